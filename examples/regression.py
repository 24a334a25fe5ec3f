"""A regression: how diabetes progresses within a year, from ten measurements of each patient."""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import load_diabetes

import reportgen

measured, progress = load_diabetes(return_X_y=True)
model = nn.Sequential([lambda x: 20 * x, nn.Dense(16), nn.tanh, nn.Dense(1), lambda x: 100 * x[:, 0]])
variables, optimizer = model.init(jax.random.key(0), measured[:1]), optax.adam(1e-2)
state, update = optimizer.init(variables), jax.jit(optimizer.update)
loss_of = jax.jit(jax.value_and_grad(lambda v, x, y: optax.squared_error(model.apply(v, x), y).mean()))

data = {"probe": (measured[300:308], progress[300:308]), "evaluation": (measured[300:], progress[300:])}
with reportgen.Recorder("runs/regression", model, variables, **data, overwrite=True) as recorder:
    for _ in range(20):
        for at in range(0, 300, 30):
            loss, gradient = loss_of(variables, measured[at : at + 30], progress[at : at + 30])
            change, state = update(gradient, state)
            variables = optax.apply_updates(variables, change)
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/regression", title="How diabetes progresses within a year").save("regression.html")
