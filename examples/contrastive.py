"""A contrastive network: a digit and the same digit with noise belong together. It has no targets to be scored on."""

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
state = optimizer.init(variables)


@jax.jit
def update(variables, state, x, key):
    def loss_of(variables):
        one, other = (model.apply(variables, x + 0.2 * jax.random.normal(k, x.shape)) for k in jax.random.split(key))
        return optax.losses.ntxent(jnp.concatenate([one, other]), jnp.tile(jnp.arange(len(x)), 2))

    loss, gradient = jax.value_and_grad(loss_of)(variables)
    change, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, change), state, loss


data = {"probe": images[1500:1508], "evaluation": images[1500:], "task": "none"}
with reportgen.Recorder("runs/contrastive", model, variables, **data, overwrite=True) as recorder:
    for step in range(90):
        variables, state, loss = update(variables, state, images[step % 30 : 1500 : 30], jax.random.key(step))
        recorder.step(variables, loss=loss)
        if step % 30 == 29:
            recorder.epoch(variables)
reportgen.build("runs/contrastive").save("contrastive.html")
