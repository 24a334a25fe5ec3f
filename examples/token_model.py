"""A transformer on tokens: the digits' rows, read as 64 words of 17 grey levels, [image, time]."""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

import reportgen

tokens, labels = load_digits(return_X_y=True)
tokens = tokens.astype("int32")


class Reader(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        places = self.param("places", nn.initializers.normal(0.1), (64, 16))
        x = nn.Embed(17, 16, name="words")(tokens) + places
        x = x + nn.SelfAttention(2, name="attention")(nn.LayerNorm(name="norm")(x))
        x = nn.relu(nn.Dense(32, name="hidden")(x).mean(axis=1))
        return nn.Dense(10, name="output")(x)


model, optimizer = Reader(), optax.adam(3e-3)
params = model.init(jax.random.key(0), tokens[:1])["params"]
state = optimizer.init(params)


@jax.jit
def train_step(params, state, x, y):
    def loss_of(params):
        return optax.softmax_cross_entropy_with_integer_labels(model.apply({"params": params}, x), y).mean()

    loss, gradient = jax.value_and_grad(loss_of)(params)
    change, state = optimizer.update(gradient, state)
    return optax.apply_updates(params, change), state, loss


probe, test = (tokens[1500:1508], labels[1500:1508]), (tokens[1500:], labels[1500:])
with reportgen.Recorder("runs/tokens", model, params, probe=probe, evaluation=test, overwrite=True) as recorder:
    for _ in range(3):
        for start in range(0, 1500, 50):
            params, state, loss = train_step(params, state, tokens[start : start + 50], labels[start : start + 50])
            recorder.step(params, loss=loss)
        recorder.epoch(params)
reportgen.build("runs/tokens").save("tokens.html")
