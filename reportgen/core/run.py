"""What a run directory holds, as types: the only thing that the reporting half knows of a training.

    run = reportgen.open_run("demo/run")
    run.network.layers["conv1"]              # a Layer
    run.snapshots[40].params["conv1/kernel"] # read from disk when asked for
    run.activations[40].maps["conv1"]

Every mapping here may read lazily, and so do `Images`; all else are NumPy's arrays. Steps count
optimizer updates: step 0 is before training, step s is after s updates. Epoch 0 is before training;
the updates of the first pass over the data belong to epoch 1, and its last step closes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.network import Network


@dataclass(frozen=True)
class Snapshot:
    """The parameters after `step` updates: name ("conv1/kernel") -> array."""

    step: int
    epoch: int
    params: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Activations:
    """What the network answered at one recorded step (step 0 and the end of every epoch).

    maps                layer path -> [probe, *layer.shape], the probe batch's activations
    label_sums          layer path -> [label, channel] float64: each channel summed over positions and
                        over the correctly predicted evaluation images of the label
    label_counts        [label] int64: how many correctly predicted images are behind each sum
    input_sums          [label] float64: the input's values summed over the same images
    predictions         [evaluation] int64: the label predicted for each evaluation image; -1 where its
                        scores are not all finite, which is no prediction
    margins             [evaluation] float32: output of the predicted class minus output of the true one;
                        0 where the prediction is right (for logits, the log odds against the truth)
    embedding_vectors   [embedding point, unit]: the embedding layer's output for the training points
    evaluation_vectors  [evaluation point, unit]: the same for the first evaluation images
    extremes            layer path -> [2, channel] float32: each channel's least and largest value over all
                        evaluation images and positions; NaN for a channel that holds one. Empty for a run
                        that did not note them
    """

    step: int
    epoch: int
    maps: Mapping[str, np.ndarray]
    label_sums: Mapping[str, np.ndarray]
    label_counts: np.ndarray
    input_sums: np.ndarray
    predictions: np.ndarray
    margins: np.ndarray
    embedding_vectors: np.ndarray
    evaluation_vectors: np.ndarray
    extremes: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Images:
    """Images as they were fed to the network, read from disk when asked for.

    images[7], images[:100], images[labels == 3]     # arrays; np.asarray(images) is all of them

    `shape` is that of the whole array, `read` gives what NumPy would for an index on its first axis. Tens of
    thousands cost no memory.
    """

    shape: tuple[int, ...]
    read: Callable[[Any], np.ndarray]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> np.ndarray:
        return self.read(chosen)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


MEASURED = ("val_accuracy",)
"""Metrics that a recorder measures itself."""


@dataclass(frozen=True)
class MetricRow:
    """The metrics of one step: `measured` by the recorder itself, `reported` by the training loop.

    A name may stand in both, as `val_accuracy` does where the loop computes its own.
    """

    step: int
    epoch: int
    measured: Mapping[str, float] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)

    @property
    def flat(self) -> dict[str, float]:
        """Step, epoch and all metrics in one mapping; what the recorder measures is reported as `NAME_reported`."""
        named = {f"{name}_reported" if name in MEASURED else name: value for name, value in self.reported.items()}
        return {"step": self.step, "epoch": self.epoch, **self.measured, **named}


@dataclass(frozen=True)
class Metrics:
    """A row per update and a row per recorded epoch, in the order of their steps."""

    steps: tuple[MetricRow, ...] = ()
    epochs: tuple[MetricRow, ...] = ()


@dataclass(frozen=True)
class RunData:
    """The images and labels that a run shows, as they were fed to the network (NHWC).

    `evaluation_images` may hold fewer images than there are labels: the first that fitted the
    recorder's limit. Labels are int64 indices into `Run.classes`; for a run without labels the label
    arrays are empty.
    """

    probe_images: np.ndarray
    probe_labels: np.ndarray
    evaluation_images: Images
    evaluation_labels: np.ndarray
    embedding_labels: np.ndarray


@dataclass(frozen=True)
class Run:
    """One recorded training, or one evaluation of a network that was not trained.

    `config` is what was asked for (dataset, model, seed, ...), `provenance` where it ran (versions,
    device, git commit, dataset fingerprint, seconds).
    """

    path: Path
    classes: tuple[str, ...]
    network: Network
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    metrics: Metrics
    snapshots: Mapping[int, Snapshot]
    activations: Mapping[int, Activations]
    data: RunData
    embed_layer: str | None = None
    status: str = "finished"
    problems: tuple[str, ...] = ()

    @cached_property
    def steps(self) -> tuple[Mapping[str, float], ...]:
        """A row per update: step, epoch, train_loss and what else was reported (`MetricRow.flat`)."""
        return tuple(row.flat for row in self.metrics.steps)

    @cached_property
    def epochs(self) -> tuple[Mapping[str, float], ...]:
        """A row per recorded epoch: step, epoch, val_accuracy and what was reported (`MetricRow.flat`)."""
        return tuple(row.flat for row in self.metrics.epochs)
