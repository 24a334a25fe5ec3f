"""What the code blocks of the documentation stand on: a small network, its data and a recorded run, made once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from reportgen.remote import Place, spool
from tests.conftest import tiny_dataset, tiny_model

RECORDED: Path | None = None
"""The session's recorded run; set by the test."""

data = tiny_dataset()
images, labels, x_val, y_val = data.train_images[:8], data.train_labels[:8], data.test_images, data.test_labels
probe, evaluation = (images, labels), (x_val, y_val)
model = tiny_model()
variables = model.init(jax.random.key(0), images[:1])
state = TrainState.create(apply_fn=model.apply, params=variables["params"], tx=optax.adam(1e-2))
epochs, val_loss = 1, 2.3
batches = [(data.train_images[at : at + 50], data.train_labels[at : at + 50]) for at in (0, 50)]


@jax.jit
def train_step(state, batch):
    def loss_of(params):
        return optax.softmax_cross_entropy_with_integer_labels(
            state.apply_fn({"params": params}, batch[0]), batch[1]
        ).mean()

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradient), loss


def run_at(path: str) -> None:
    """A recorded run of 12 steps at that path."""
    assert RECORDED is not None
    shutil.copytree(RECORDED, path)


def data_at(path: str) -> None:
    """An .npz with images and labels, as commands take it."""
    np.savez(path, images=(data.train_images[:60, :, :, 0] * 255).astype(np.uint8), labels=data.train_labels[:60])


@contextmanager
def unplugged() -> Iterator[None]:
    """Within, nothing is uploaded, and nobody waits for it long."""

    def cut(*_: object) -> None:
        raise ConnectionError("the network is unplugged")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Place, "put", cut)
        patch.setattr(spool, "PATIENCE", 0.1)
        yield
