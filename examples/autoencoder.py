"""An autoencoder: digits through six numbers and back. Without targets its outputs are compared with its inputs."""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import reportgen

images = (load_digits().images[..., None] / 16).astype("float32")
ends = (lambda x: x.reshape(len(x), -1), lambda x: x.reshape(-1, 8, 8, 1))
model = nn.Sequential([ends[0], nn.Dense(64), nn.relu, nn.Dense(6), nn.Dense(64), nn.relu, nn.Dense(64), ends[1]])
variables, optimizer = model.init(jax.random.key(0), images[:1]), optax.adam(3e-3)
state, update = optimizer.init(variables), jax.jit(optimizer.update)
loss_of = jax.jit(jax.value_and_grad(lambda v, x: optax.squared_error(model.apply(v, x), x).mean()))

data = {"probe": images[1500:1508], "evaluation": images[1500:]}
with reportgen.Recorder("runs/autoencoder", model, variables, **data, overwrite=True) as recorder:
    for _ in range(10):
        for at in range(0, 1500, 50):
            loss, gradient = loss_of(variables, images[at : at + 50])
            change, state = update(gradient, state)
            variables = optax.apply_updates(variables, change)
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/autoencoder", title="Digits through six numbers and back").save("autoencoder.html")
