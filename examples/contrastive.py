"""A contrastive network: a digit with noise, and the same with other noise, belong together. Nothing is scored."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import reportgen

images = (load_digits().images[..., None] / 16).astype("float32")
layers = [nn.Conv(8, (3, 3)), nn.relu, lambda x: x.reshape(len(x), -1), nn.Dense(32), nn.relu, nn.Dense(16)]
model, optimizer = nn.Sequential(layers), optax.adam(1e-3)
variables = model.init(jax.random.key(0), images[:1])
state, update = optimizer.init(variables), jax.jit(optimizer.update)
pairs = jnp.tile(jnp.arange(50), 2)
loss_of = jax.jit(jax.value_and_grad(lambda v, x: optax.losses.ntxent(model.apply(v, x), pairs)))

data = {"probe": images[1500:1508], "evaluation": images[1500:], "task": "none"}
with reportgen.Recorder("runs/contrastive", model, variables, **data, overwrite=True) as recorder:
    for step in range(90):
        some = jnp.concatenate(2 * [images[step % 30 : 1500 : 30]])
        loss, gradient = loss_of(variables, some + 0.2 * jax.random.normal(jax.random.key(step), some.shape))
        change, state = update(gradient, state)
        variables = optax.apply_updates(variables, change)
        recorder.step(variables, loss=loss)
        if step % 30 == 29:
            recorder.epoch(variables)
reportgen.build("runs/contrastive", title="Digits told apart by contrast alone").save("contrastive.html")
