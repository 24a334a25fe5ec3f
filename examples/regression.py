"""A regression: how diabetes progresses within a year, from ten measurements of each patient."""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import load_diabetes

import reportgen

measured, progress = load_diabetes(return_X_y=True)
measured, progress = (20 * measured).astype("float32"), progress[:, None].astype("float32") / 100
model = nn.Sequential([nn.Dense(16), nn.tanh, nn.Dense(1)])
variables, optimizer = model.init(jax.random.key(0), measured[:1]), optax.adam(1e-2)
state = optimizer.init(variables)


@jax.jit
def update(variables, state, x, y):
    loss, gradient = jax.value_and_grad(lambda v: optax.squared_error(model.apply(v, x), y).mean())(variables)
    change, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, change), state, loss


data = {"probe": (measured[300:308], progress[300:308]), "evaluation": (measured[300:], progress[300:])}
with reportgen.Recorder("runs/regression", model, variables, **data, overwrite=True) as recorder:
    for _ in range(20):
        for at in range(0, 300, 30):
            variables, state, loss = update(variables, state, measured[at : at + 30], progress[at : at + 30])
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/regression").save("regression.html")
