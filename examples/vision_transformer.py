"""A vision transformer on 8x8 digits: patches of 2x2 pixels as tokens, two blocks, attention over the pictures."""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import reportgen

images, labels = (load_digits().images[..., None] / 16).astype("float32"), load_digits().target


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(32, (2, 2), 2, name="patch")(x).reshape(len(x), 16, 32)
        x = x + self.param("position", nn.initializers.normal(0.02), (1, 16, 32))
        for number in range(2):
            x = x + nn.MultiHeadDotProductAttention(4, name=f"attention{number}")(nn.LayerNorm()(x))
            x = x + nn.Dense(32)(nn.gelu(nn.Dense(64, name=f"mlp{number}")(nn.LayerNorm()(x))))
        return nn.Dense(10, name="output")(nn.relu(nn.Dense(32, name="hidden")(x.mean(1))))


model, optimizer = Transformer(), optax.adam(4e-3)
variables = model.init(jax.random.key(0), images[:1])
state, update = optimizer.init(variables), jax.jit(optimizer.update)
cross_entropy = optax.softmax_cross_entropy_with_integer_labels
loss_of = jax.jit(jax.value_and_grad(lambda v, x, y: cross_entropy(model.apply(v, x), y).mean()))
data = {"probe": (images[1500:1508], labels[1500:1508]), "evaluation": (images[1500:], labels[1500:])}
with reportgen.Recorder("runs/vit", model, variables, **data, overwrite=True) as recorder:
    for _ in range(12):
        for at in range(0, 1500, 50):
            loss, gradient = loss_of(variables, images[at : at + 50], labels[at : at + 50])
            change, state = update(gradient, state)
            variables = optax.apply_updates(variables, change)
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/vit").save("vit.html")
