"""A causal transformer of bytes, on the reference that Python ships: heads form that read the byte before."""

from pydoc_data.topics import topics

import jax
import numpy as np
import optax
from flax import linen as nn

import reportgen

text = np.frombuffer("\n".join(topics.values()).encode("ascii", "ignore")[:204_800], np.uint8)
train, test = np.split(text.astype(int).reshape(-1, 80), [2400])


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        x, mask = nn.Embed(256, 64)(tokens), nn.make_causal_mask(tokens)
        place = self.param("place", nn.initializers.normal(1.0), (1, 80, 64))  # for queries and keys alone
        for number in range(2):
            value = nn.LayerNorm()(x)
            read = nn.MultiHeadDotProductAttention(4, name=f"attention{number}")
            x = x + read(value + place, value + place, value, mask=mask)
            x = x + nn.Dense(64)(nn.gelu(nn.Dense(128, name=f"mlp{number}")(nn.LayerNorm()(x))))
        return nn.Dense(256, name="output")(nn.LayerNorm()(x))


model, optimizer, order = Transformer(), optax.adam(5e-3), np.random.default_rng(0)
variables = model.init(jax.random.key(0), test[:1])
state, update = optimizer.init(variables), jax.jit(optimizer.update)
cross_entropy = optax.softmax_cross_entropy_with_integer_labels
loss_of = jax.jit(jax.value_and_grad(lambda v, x: cross_entropy(model.apply(v, x)[:, :-1], x[:, 1:]).mean()))

data = {"probe": test[-4:], "evaluation": test, "vocabulary": chr}
with reportgen.Recorder("runs/language", model, variables, **data, overwrite=True) as recorder:
    for _ in range(4):
        for batch in order.permutation(train).reshape(-1, 24, 80):
            loss, gradient = loss_of(variables, batch)
            change, state = update(gradient, state)
            variables = optax.apply_updates(variables, change)
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/language").save("language.html")
