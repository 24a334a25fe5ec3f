"""Trains a classifier on a dataset and records it: an ordinary user of `record.Recorder`.

summary = train("runs/lenet", load("mnist5k"), build("lenet", 10), epochs=10)
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from reportgen.data import Dataset
from reportgen.errors import DataError, OptionError, ReportgenError
from reportgen.inspection.network import cannot_take
from reportgen.record import Recorder
from reportgen.training.checkpoint import Checkpoints, latest
from reportgen.training.forward import forward_of
from reportgen.training.resume import begun_with, check_more, check_same
from reportgen.training.step import State, make_loss, make_update


@dataclass(frozen=True)
class Summary:
    """What a training came to: steps and epochs done, accuracy (None where the output is no score per
    class) and loss on the test images, seconds."""

    steps: int
    epochs: int
    test_accuracy: float | None
    test_loss: float
    seconds: float


def train(
    path: str | Path,
    dataset: Dataset,
    model: Any,
    *,
    model_name: str = "",
    epochs: int = 10,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    seed: int = 0,
    snapshot_every: str | int | None = None,
    embed_layer: str | None = None,
    embed_size: int = 2000,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Summary:
    """Train a flax.linen or NNX `model` with Adam on `dataset`, recording into the run directory `path`.

    Each epoch takes the training images in a fresh order, in whole batches; what is left over after the
    last whole batch waits for the next order. `epochs` 0 records the untrained network. `resume` goes on
    from the last epoch that a run was stopped after, up to `epochs`, with the options it was begun with.
    The same seed on the same machine with the same number of threads gives the same parameters, bit for bit.

    Raises OptionError for values that make no sense, RunError when `path` can't be recorded into or was
    begun with other options, ModelError when the model can't take the images.
    """
    _check(epochs, batch_size, learning_rate, embed_size)
    started = time.monotonic()
    path = Path(path)
    batch_size = min(batch_size, len(dataset.train_labels))
    key = jax.random.key(seed)
    config: dict[str, Any] = {
        "model": model_name or type(model).__name__,
        "dataset": dataset.name,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": "adam",
        "seed": seed,
        "embed_size": embed_size,
        **({} if embed_layer is None else {"embed_layer": embed_layer}),
    }
    if resume:
        check_same(path, {**config, "snapshot_every": snapshot_every}, dataset.fingerprint)
        if snapshot_every is None and (before := begun_with(path)) is not None:
            snapshot_every = before[0].get("snapshot_every")
    variables = _initial(model, config["model"], key, dataset.train_images[:batch_size])
    optimizer = optax.adam(learning_rate)
    params = variables.pop("params")
    state = State(params, variables, optimizer.init(params), jnp.zeros((), jnp.int32))
    update = make_update(model, optimizer)
    loss_of = make_loss(model)

    def test_loss() -> float:
        return loss_of({"params": state.params, **state.others}, dataset.test_images, dataset.test_labels)

    done = 0
    if resume:
        done, restored = latest(path, like=state._asdict())
        check_more(path, epochs, done)
        state = State(**restored)
    loss_now = test_loss()
    recorder = Recorder(
        path,
        model,
        {"params": state.params, **state.others},
        probe=_first_of_each_class(dataset),
        evaluation=(dataset.test_images, dataset.test_labels),
        embedding=(dataset.train_images[:embed_size], dataset.train_labels[:embed_size]),
        classes=dataset.classes,
        embed_layer=embed_layer,
        snapshot_every=snapshot_every,
        config=config,
        facts={
            "dataset_fingerprint": dataset.fingerprint,
            "train_images": len(dataset.train_labels),
            "test_images": len(dataset.test_labels),
        },
        initial={"val_loss": loss_now},
        overwrite=overwrite,
        resume_at=int(state.step) if resume else None,
    )
    with recorder, Checkpoints(path) as checkpoints:
        if not resume:
            recorder.flush()
            checkpoints.save(0, state._asdict())
        per_epoch = len(dataset.train_labels) // batch_size
        bar = tqdm(total=epochs * per_epoch, initial=done * per_epoch, unit="step", disable=not progress)
        with bar:
            for epoch in range(done, epochs):
                losses, corrects = [], []
                for images, labels in _batches(dataset, batch_size, seed, epoch):
                    state, (loss, correct) = update(state, images, labels, key)
                    recorder.step({"params": state.params, **state.others}, loss=loss)
                    losses.append(loss)
                    corrects.append(correct)
                    bar.update()
                loss_now = test_loss()
                recorder.epoch(
                    {"params": state.params, **state.others},
                    train_loss=np.mean(np.asarray(losses, np.float64)),
                    train_accuracy=np.sum(np.asarray(corrects, np.int64)) / (per_epoch * batch_size),
                    val_loss=loss_now,
                )
                if recorder.accuracy is not None:
                    bar.set_postfix(test_accuracy=f"{recorder.accuracy:.4f}")
                # A checkpoint promises that the run before it is there: resuming goes on from its last step.
                recorder.flush()
                checkpoints.save(epoch + 1, state._asdict())
    return Summary(
        steps=int(state.step),
        epochs=epochs,
        test_accuracy=recorder.accuracy,
        test_loss=loss_now,
        seconds=time.monotonic() - started,
    )


def _initial(model: Any, name: str, key: jax.Array, images: np.ndarray) -> dict[str, Any]:
    """The variables that the model starts with; a model that can't be trained on these images is told here."""
    forward = forward_of(model)
    try:
        variables = forward.init(jax.random.fold_in(key, 0), jnp.asarray(images[:1]))
        params, others = variables["params"], {kind: v for kind, v in variables.items() if kind != "params"}
        jax.eval_shape(forward.train, params, others, images, key)
    except (ReportgenError, Warning):
        raise
    except Exception as problem:  # whatever the user's model, Flax and jax raise
        raise cannot_take(name, images.shape[1:], problem) from problem
    return variables


def _check(epochs: int, batch_size: int, learning_rate: float, embed_size: int) -> None:
    for name, value, least in (
        ("epochs", epochs, 0),
        ("batch size", batch_size, 1),
        ("embed size", embed_size, 3),
    ):
        if value < least:
            raise OptionError(f"{name} must be at least {least}, not {value}")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise OptionError(f"the learning rate must be a positive number, not {learning_rate}")


def _first_of_each_class(dataset: Dataset, most: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The first test image of each class, of the first `most` classes that have one."""
    present, first = np.unique(dataset.test_labels, return_index=True)
    if len(present) == 0:
        raise DataError(f"{dataset.name} has no test images")
    return dataset.test_images[first[:most]], dataset.test_labels[first[:most]]


def _batches(dataset: Dataset, size: int, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = np.random.default_rng([seed, epoch]).permutation(len(dataset.train_labels))
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        yield dataset.train_images[chosen], dataset.train_labels[chosen]
