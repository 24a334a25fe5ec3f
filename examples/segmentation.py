"""A segmentation: which pixels of a noisy digit are ink, and which are bright ink."""

import jax
import numpy as np
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import reportgen

levels = load_digits().images.repeat(2, 1).repeat(2, 2)
masks, noise = (levels > 4).astype(int) + (levels > 11), np.random.default_rng(0).normal(size=levels.shape)
images = (levels / 16 + 0.4 * noise)[..., None].astype("float32")
model = nn.Sequential([nn.Conv(16, (5, 5)), nn.relu, nn.Conv(16, (5, 5)), nn.relu, nn.Conv(3, (1, 1))])
variables, optimizer = model.init(jax.random.key(0), images[:1]), optax.adam(3e-3)
state, cross_entropy = optimizer.init(variables), optax.softmax_cross_entropy_with_integer_labels


@jax.jit
def update(variables, state, x, y):
    loss, gradient = jax.value_and_grad(lambda v: cross_entropy(model.apply(v, x), y).mean())(variables)
    change, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, change), state, loss


data = {"probe": (images[1500:1506], masks[1500:1506]), "evaluation": (images[1500:], masks[1500:])}
names = {"classes": ["paper", "ink", "bright ink"], "overwrite": True}
with reportgen.Recorder("runs/segmentation", model, variables, **data, **names) as recorder:
    for step in range(90):
        some = slice(step % 30, 1500, 30)
        variables, state, loss = update(variables, state, images[some], masks[some])
        recorder.step(variables, loss=loss)
        if step % 30 == 29:
            recorder.epoch(variables)
reportgen.build("runs/segmentation").save("segmentation.html")
