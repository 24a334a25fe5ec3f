"""Trainings whose checkpoints tests replay: made here with optax and Orbax, as users' loops make them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.training.train_state import TrainState

from reportgen.data import Dataset
from tests.conftest import tiny_dataset


class Small(nn.Module):
    """A convolution, a batch normalisation, a hidden layer and scores."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(nn.Conv(4, (3, 3), name="conv")(x)))
        x = nn.relu(nn.Dense(8, name="hidden")(x.reshape(len(x), -1)))
        return nn.Dense(10, name="output")(x)


def small(num_classes: int = 10) -> nn.Module:
    return Small()


class SmallNnx(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv, self.norm = nnx.Conv(1, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)
        self.hidden, self.output = nnx.Linear(256, 8, rngs=rngs), nnx.Linear(8, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x))).reshape(len(x), -1)
        return self.output(self.drop(nnx.relu(self.hidden(x))))


class State(TrainState):
    batch_stats: object


def data() -> Dataset:
    return tiny_dataset()


def states(count: int = 5, every: int = 2) -> list[State]:
    """The states of a Linen training with Adam after 0, `every`, ... updates: `count` of them."""
    images, labels = data().train_images[:100], data().train_labels[:100]
    model = Small()
    variables = model.init(jax.random.key(0), images[:1])
    state = State.create(
        apply_fn=model.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.adam(1e-2)
    )

    @jax.jit
    def update(state):
        def loss(params):
            scores, changed = state.apply_fn(
                {"params": params, "batch_stats": state.batch_stats}, images, train=True, mutable=["batch_stats"]
            )
            return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean(), changed

        gradient, changed = jax.grad(loss, has_aux=True)(state.params)
        return state.apply_gradients(grads=gradient, batch_stats=changed["batch_stats"])

    found = [state]
    for _ in range(count - 1):
        for _ in range(every):
            state = update(state)
        found.append(state)
    return found


def saved(state: State) -> dict:
    """A TrainState as the tree that Orbax and msgpack keep of it."""
    return {
        "step": np.asarray(state.step),
        "params": state.params,
        "batch_stats": state.batch_stats,
        "opt_state": state.opt_state,
    }


def loss_and_accuracy(variables: dict) -> tuple[float, float]:
    """Of the test images, computed here in 64-bit floats from the model's scores."""
    images, labels = data().test_images, data().test_labels
    scores = np.asarray(Small().apply(variables, jnp.asarray(images)), np.float64)
    shifted = scores - scores.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-logs[np.arange(len(labels)), labels].mean()), float((scores.argmax(1) == labels).mean())
