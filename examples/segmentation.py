"""A segmentation: which pixels of a noisy digit are paper, ink and bright ink."""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import reportgen

levels = load_digits().images.repeat(2, 1).repeat(2, 2)
masks, noise = (levels > 4).astype(int) + (levels > 11), jax.random.normal(jax.random.key(1), levels.shape)
images = (levels / 16 + 0.4 * noise)[..., None]
model = nn.Sequential([nn.Conv(16, (5, 5)), nn.relu, nn.Conv(16, (5, 5)), nn.relu, nn.Conv(3, (1, 1))])
variables, optimizer = model.init(jax.random.key(0), images[:1]), optax.adam(3e-3)
state, update = optimizer.init(variables), jax.jit(optimizer.update)
cross_entropy = optax.softmax_cross_entropy_with_integer_labels
loss_of = jax.jit(jax.value_and_grad(lambda v, x, y: cross_entropy(model.apply(v, x), y).mean()))

data = {"probe": (images[1500:1506], masks[1500:1506]), "evaluation": (images[1500:], masks[1500:])}
data |= {"classes": ["paper", "ink", "bright ink"], "overwrite": True}
with reportgen.Recorder("runs/segmentation", model, variables, **data) as recorder:
    for _ in range(3):
        for at in range(0, 1500, 50):
            loss, gradient = loss_of(variables, images[at : at + 50], masks[at : at + 50])
            change, state = update(gradient, state)
            variables = optax.apply_updates(variables, change)
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/segmentation", title="Paper, ink and bright ink of noisy digits").save("segmentation.html")
