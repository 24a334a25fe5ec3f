"""A language model of bytes, on the reference that Python ships."""

from pydoc_data.topics import topics

import jax
import numpy as np
import optax
from flax import linen as nn

import reportgen

text = np.frombuffer("\n".join(topics.values()).encode()[:204_800], np.uint8)
train, test = np.split(text.astype(int).reshape(-1, 64), [3000])
model = nn.Sequential([nn.Embed(256, 32), nn.RNN(nn.GRUCell(96)), nn.Dense(256)])
variables, optimizer = model.init(jax.random.key(0), test[:1]), optax.adam(5e-3)
state, update = optimizer.init(variables), jax.jit(optimizer.update)
cross_entropy = optax.softmax_cross_entropy_with_integer_labels
loss_of = jax.jit(jax.value_and_grad(lambda v, x: cross_entropy(model.apply(v, x)[:, :-1], x[:, 1:]).mean()))

data = {"probe": test[:4], "evaluation": test, "vocabulary": chr}
with reportgen.Recorder("runs/language", model, variables, **data, overwrite=True) as recorder:
    for _ in range(4):
        for batch in np.split(train, 60):
            loss, gradient = loss_of(variables, batch)
            change, state = update(gradient, state)
            variables = optax.apply_updates(variables, change)
            recorder.step(variables, loss=loss)
        recorder.epoch(variables)
reportgen.build("runs/language").save("language.html")
