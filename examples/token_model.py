"""A token model: the digits' pixels as 64 words, each of a place and a grey level, [image, time]."""

import jax
import optax
from flax import linen as nn
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

import reportgen

levels, labels = load_digits(return_X_y=True)
words = levels.astype("int32") + [17 * place for place in range(64)]
attention = nn.MultiHeadDotProductAttention(2)
model = nn.Sequential([nn.Embed(1088, 16), attention, nn.relu, lambda x: x.mean(axis=1), nn.Dense(10)])
params = model.init(jax.random.key(0), words[:1])["params"]
state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(3e-3))


@jax.jit
def train_step(state, x, y):
    def loss_of(params):
        return optax.softmax_cross_entropy_with_integer_labels(state.apply_fn({"params": params}, x), y).mean()

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradient), loss


probe, test = (words[1500:1508], labels[1500:1508]), (words[1500:], labels[1500:])
with reportgen.Recorder("runs/tokens", model, state, probe=probe, evaluation=test, overwrite=True) as recorder:
    for _ in range(3):
        for start in range(0, 1500, 50):
            state, loss = train_step(state, words[start : start + 50], labels[start : start + 50])
            recorder.step(state, loss=loss)
        recorder.epoch(state)
reportgen.build("runs/tokens").save("tokens.html")
