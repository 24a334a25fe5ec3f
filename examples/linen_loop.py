"""Three lines in a Linen training loop: record it, and write its report to linen.html."""

import jax
import optax
from flax import linen as nn
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

import reportgen

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8, 1).astype("float32") / 16
model = nn.Sequential([nn.Conv(8, (3, 3)), nn.relu, lambda x: x.reshape(len(x), -1), nn.Dense(10)])
params = model.init(jax.random.key(0), images[:1])["params"]
state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(3e-3))


@jax.jit
def train_step(state, x, y):
    def loss_of(params):
        return optax.softmax_cross_entropy_with_integer_labels(state.apply_fn({"params": params}, x), y).mean()

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradient), loss


probe, test = (images[1500:1508], labels[1500:1508]), (images[1500:], labels[1500:])
with reportgen.Recorder("runs/linen", model, state, probe=probe, evaluation=test, overwrite=True) as recorder:
    for _ in range(3):
        for start in range(0, 1500, 50):
            state, loss = train_step(state, images[start : start + 50], labels[start : start + 50])
            recorder.step(state, loss=loss)
        recorder.epoch(state)
reportgen.build("runs/linen").save("linen.html")
