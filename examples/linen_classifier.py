"""A classifier in Linen: three lines in its training loop record it, one writes the report."""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import reportgen

images, labels = (load_digits().images[..., None] / 16).astype("float32"), load_digits().target
model = nn.Sequential([nn.Conv(8, (3, 3)), nn.relu, lambda x: x.reshape(len(x), -1), nn.Dense(10)])
variables, optimizer = model.init(jax.random.key(0), images[:1]), optax.adam(3e-3)
state, cross_entropy = optimizer.init(variables), optax.softmax_cross_entropy_with_integer_labels


@jax.jit
def update(variables, state, x, y):
    loss, gradient = jax.value_and_grad(lambda v: cross_entropy(model.apply(v, x), y).mean())(variables)
    change, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, change), state, loss


data = {"probe": (images[1500:1508], labels[1500:1508]), "evaluation": (images[1500:], labels[1500:])}
with reportgen.Recorder("runs/linen", model, variables, **data, overwrite=True) as recorder:
    for _ in range(3):
        for at in range(0, 1500, 50):
            variables, state, loss = update(variables, state, images[at : at + 50], labels[at : at + 50])
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/linen", title="Digits, classified in Linen").save("linen.html")
