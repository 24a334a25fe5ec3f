"""Trains a classifier on a dataset and records it: an ordinary user of `record.Recorder`.

summary = train("runs/lenet", load_dataset("mnist5k"), build("lenet", 10), epochs=10)
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reportgen.core.arguments import truth
from reportgen.core.outcome import Kind, Task
from reportgen.core.paths import naming, orbax_path
from reportgen.core.progress import Bar
from reportgen.data import Dataset
from reportgen.errors import DataError, ReportgenError, expect
from reportgen.inspection.network import cannot_take
from reportgen.record import Keep, Recorder, Start
from reportgen.store import RunSpool, target
from reportgen.training.checkpoint import Checkpoints, latest
from reportgen.training.config import TrainConfig
from reportgen.training.forward import forward_of
from reportgen.training.resume import begun_with, check_more, check_same
from reportgen.training.step import State, make_update

EMBED_SIZE = 2000
"""Training images that are embedded."""


@dataclass(frozen=True)
class Summary:
    """The result of a training: steps and epochs done, accuracy (None where the output is no score per
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
    embed_size: int = EMBED_SIZE,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Summary:
    """Train a flax.linen or NNX `model` with Adam on `dataset`, recording into the run directory or URL `path`.

    Each epoch takes the training images in a fresh order, in whole batches; what is left over after the
    last whole batch waits for the next order. `epochs` 0 records the untrained network. `resume` goes on
    from the last epoch that a run was stopped after, up to `epochs`, with the options it was begun with.
    The same seed on the same machine with the same number of threads gives the same parameters, bit for bit.

    Raises OptionError for invalid values and a path that is not UTF-8, RunError when `path` can't be recorded into or
    was begun with other options, ModelError when the model can't take the images.
    """
    expect("dataset", dataset, Dataset, "a Dataset, as reportgen.load_dataset returns it")
    expect("model_name", model_name, str, "a text")
    resume, overwrite = truth("resume", resume), truth("overwrite", overwrite)
    name = model_name or type(model).__name__
    config = TrainConfig(
        name,
        dataset.name,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        embed_size=embed_size,
        embed_layer=embed_layer,
        snapshot_every=snapshot_every,
    )
    config.check()
    started = time.monotonic()
    spool, folder = target(path, shown=progress)
    if spool is not None:
        spool.prepare(overwrite=overwrite, resume=resume)
    training = _Training(spool or folder, dataset, model, config)
    if resume:
        with naming(path, folder):
            training.resume()
    steps = training.run(overwrite, progress)
    return Summary(steps, epochs, training.accuracy, training.loss, time.monotonic() - started)


class _Training:
    """One training: the state that it is at, and the functions that change it."""

    def __init__(self, place: Path | RunSpool, dataset: Dataset, model: Any, config: TrainConfig):
        self._place, self._dataset, self._model = place, dataset, model
        self._path = orbax_path(place.folder if isinstance(place, RunSpool) else place)
        self._config = config = replace(config, batch_size=min(config.batch_size, len(dataset.train_labels)))
        self._key = jax.random.key(config.seed)
        variables = _initial(model, config.model, self._key, dataset.train_images[: config.batch_size])
        optimizer = optax.adam(config.learning_rate)
        params = variables.pop("params")
        self._state = State(params, variables, optimizer.init(params), jnp.zeros((), jnp.int32))
        self._update = make_update(model, optimizer)
        self._done = 0
        self._resumed = False
        self.loss = float("nan")
        self.accuracy: float | None = None

    def resume(self) -> None:
        """Go on from the last checkpoint of the run, which was begun with the same options."""
        check_same(self._path, self._config, self._dataset.fingerprint)
        if self._config.snapshot_every is None and (before := begun_with(self._path)) is not None:
            self._config = replace(self._config, snapshot_every=before[0].get("snapshot_every"))
        self._done, state = latest(self._path, like=self._state._asdict())
        check_more(self._path, self._config.epochs, self._done)
        self._state = State(**state)
        self._resumed = True

    def run(self, overwrite: bool, progress: bool) -> int:
        """Train and record the epochs that are left; returns the number of updates in all."""
        per_epoch = len(self._dataset.train_labels) // self._config.batch_size
        total, done = self._config.epochs * per_epoch, self._done * per_epoch
        with self._recorder(overwrite) as recorder, Checkpoints(self._path) as checkpoints:
            if not self._resumed:
                self._checkpoint(recorder, checkpoints, 0)
            self._scored(recorder)
            with Bar("train", total, "step", done=done, shown=progress) as bar:
                for epoch in range(self._done, self._config.epochs):
                    self._epoch(recorder, epoch, bar)
                    self._checkpoint(recorder, checkpoints, epoch + 1)
        return int(self._state.step)

    def _epoch(self, recorder: Recorder, epoch: int, bar: Bar) -> None:
        losses, corrects = [], []
        size = self._config.batch_size
        for images, labels in _batches(self._dataset, size, self._config.seed, epoch):
            self._state, (loss, correct) = self._update(self._state, images, labels, self._key)
            recorder.step(self._variables, loss=loss)
            losses.append(loss)
            corrects.append(correct)
            bar.advance()
        recorder.epoch(
            self._variables,
            train_loss=np.mean(np.asarray(losses, np.float64)),
            train_accuracy=np.sum(np.asarray(corrects, np.int64)) / (len(losses) * size),
        )
        self._scored(recorder)
        accuracy = "" if self.accuracy is None else f", test accuracy {self.accuracy:.4f}"
        bar.part(f"epoch {epoch + 1}/{self._config.epochs}{accuracy}")

    @property
    def _variables(self) -> dict[str, Any]:
        return {"params": self._state.params, **self._state.others}

    def _scored(self, recorder: Recorder) -> None:
        self.accuracy = recorder.accuracy
        self.loss = self.loss if recorder.loss is None else recorder.loss

    def _recorder(self, overwrite: bool) -> Recorder:
        data, config = self._dataset, self._config
        return Recorder(
            self._place,
            self._model,
            self._variables,
            probe=first_of_each_class(data),
            evaluation=(data.test_images, data.test_labels),
            embedding=(data.train_images[: config.embed_size], data.train_labels[: config.embed_size]),
            classes=data.classes,
            task=Task(Kind.CLASSIFICATION),
            keep=Keep(every=config.snapshot_every, embed=config.embed_layer, loss=True, top=True),
            config=config.as_json(),
            overwrite=overwrite,
            start=Start(
                resume_at=int(self._state.step) if self._resumed else None,
                facts={
                    "dataset_fingerprint": data.fingerprint,
                    "train_images": len(data.train_labels),
                    "test_images": len(data.test_labels),
                },
            ),
        )

    def _checkpoint(self, recorder: Recorder, checkpoints: Checkpoints, epoch: int) -> None:
        # A checkpoint promises that the run before it is there: resuming goes on from its last step.
        recorder.flush()
        checkpoints.save(epoch, self._state._asdict())


def _initial(model: Any, name: str, key: jax.Array, images: np.ndarray) -> dict[str, Any]:
    """The variables that the model starts with. Raises ModelError if it can't be trained on these images."""
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


def first_of_each_class(dataset: Dataset, most: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The first test image of each class, of the first `most` classes that have one."""
    present, first = np.unique(dataset.test_labels, return_index=True)
    if len(present) == 0:
        raise DataError(f"{dataset.name} has no test images", code="D105")
    return dataset.test_images[first[:most]], dataset.test_labels[first[:most]]


def _batches(dataset: Dataset, size: int, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = np.random.default_rng([seed, epoch]).permutation(len(dataset.train_labels))
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        yield dataset.train_images[chosen], dataset.train_labels[chosen]
