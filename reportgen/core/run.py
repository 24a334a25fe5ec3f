"""The contents of a run directory, as types: all that the reporting half knows of a training.

    run = reportgen.open_run("demo/run")
    run.network.layers["conv1"]              # a Layer
    run.snapshots[40].params["conv1/kernel"] # read from disk when asked for
    run.observations[40].maps["conv1"]
    run.batch("evaluation").labels

Every mapping here may read lazily, as `LazyArray`s do; other arrays are NumPy's. Steps count optimizer
updates: step 0 is before training, step s is after s updates. Epoch 0 is before training; the updates of
the first pass over the data belong to epoch 1, which ends with the last of them.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reportgen.core.arrays import (
    Activations,
    ByLabel,
    ChannelRanges,
    Chosen,
    EmbeddingVectors,
    Fingerprints,
    LabelCounts,
    Labels,
    LogitGaps,
    PerLabel,
    PixelBatch,
    RankedExamples,
    RankedPlaces,
    RankedValues,
)
from reportgen.core.network import Network


@dataclass(frozen=True)
class Snapshot:
    """The network's variables after `step` updates: collection -> name ("conv1/kernel") -> array.

    Parameters are the collection "params". Others, such as "batch_stats", are present if they were recorded
    at this step.
    """

    step: int
    epoch: int
    variables: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def params(self) -> Mapping[str, np.ndarray]:
        """The parameters: name -> array."""
        return self.variables["params"]


@dataclass(frozen=True)
class Classification:
    """The predictions of a network with a score per class, for the evaluation batch.

    predictions   [example] int64: the predicted class; -1 for none, where the largest score is not finite or
                  a score is NaN
    logit_gap     [example] float32: score of the predicted class minus score of the true one; 0 where the
                  prediction is correct (for logits, the log odds against the true class)
    label_counts  [label] int64: correctly predicted examples
    label_sums    layer path -> [label, channel] float64: each channel summed over positions and over the
                  correctly predicted examples of the label
    input_sums    [label] float64: the input's values summed over the same examples
    """

    predictions: Labels
    logit_gap: LogitGaps
    label_counts: LabelCounts
    label_sums: Mapping[str, ByLabel]
    input_sums: PerLabel


Outcome = Classification | None
"""The network's output compared with the targets; None where it was not compared."""


@dataclass(frozen=True)
class TopExamples:
    """The examples to which the channels of one layer respond most.

    values       [rank, channel] float32: the largest values of each channel, one per example, descending; NaN
                 where there are fewer examples
    examples     [rank, channel] int64: the example of each, -1 where there is none
    positions    [rank, channel, axis] int64: the value's position in the layer's output
    """

    values: RankedValues
    examples: RankedExamples
    positions: RankedPlaces


@dataclass(frozen=True)
class LayerVectors:
    """What each layer gave for some evaluation examples, a value per channel: what a comparison of runs looks at.

    examples   [chosen] int64: indices into the evaluation batch, of the examples with the smallest fingerprints, in
               their order: two runs choose the same ones wherever these stand in their batches
    vectors    layer path -> [chosen, channel] float16 (float32 where that could not hold the values): each channel's
               mean over positions
    """

    examples: Chosen
    vectors: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Observation:
    """How the network responded at one recorded step (step 0 and the end of every epoch).

    maps      layer path -> [probe example, *layer.shape]
    ranges    layer path -> [2, channel] float32: each channel's least and largest value over the whole
              evaluation batch and all positions; NaN for a channel that holds one. Empty where not measured
    vectors   batch name -> [example, unit]: the embedding layer's output for the first examples
    outcome   the output compared with the targets
    top       layer path -> its top-activating examples; empty unless requested
    layer_vectors  of the observation recorded last; None in earlier ones, and where they are not recorded
    """

    step: int
    epoch: int
    maps: Mapping[str, Activations]
    ranges: Mapping[str, ChannelRanges] = field(default_factory=dict)
    vectors: Mapping[str, EmbeddingVectors] = field(default_factory=dict)
    outcome: Outcome = None
    top: Mapping[str, TopExamples] = field(default_factory=dict)
    layer_vectors: LayerVectors | None = None


@dataclass(frozen=True, eq=False)
class LazyArray:
    """An array that is read from disk, or computed, part by part on indexing.

    images[7], images[:100], images[labels == 3]     # arrays; np.asarray(images) is all of them

    `shape` is that of the whole array; `read` takes any NumPy index on the first axis. Tens of thousands of
    images take no memory.
    """

    shape: tuple[int, ...]
    read: Callable[[Any], np.ndarray]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> np.ndarray:
        return self.read(chosen)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class Preprocessing:
    """The steps from a picture to the network's input.

    `name` is the requested preprocessing; `words` describe it: colour order, mean, scale. `planes` names the
    input's channels in order ("B", "G", "R"), () if unknown.
    """

    name: str
    words: str
    planes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples that passed through the network.

    size           number of examples
    inputs         the network's input: an array, or a dict or tuple of arrays, example axis first. May hold only
                   the first of the `size` examples; None if not recorded
    targets        [example] int64: indices into `Run.classes`; None for a batch without labels
    names          of the examples, () if they have none
    pictures       [example, height, width, 1 or 3] from 0 to 255, before preprocessing; None where the inputs
                   themselves are shown
    preprocessing  from pictures to inputs
    notes          conversions behind each picture, () for none
    fingerprints   [example] uint64 (`core.examples`) where they are recorded: of examples whose inputs are not
    """

    size: int = 0
    inputs: Any = None
    targets: Labels | None = None
    names: tuple[str, ...] = ()
    pictures: PixelBatch | LazyArray | None = None
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    fingerprints: Fingerprints | None = None

    @property
    def images(self) -> np.ndarray | LazyArray:
        """The inputs if they are one array, else an empty one."""
        return self.inputs if isinstance(self.inputs, np.ndarray | LazyArray) else np.zeros(0, np.float32)

    @property
    def labels(self) -> Labels:
        """The targets, empty if there are none."""
        return np.zeros(0, np.int64) if self.targets is None else self.targets


def numbered_names(count: int, targets: Labels | None, classes: Sequence[str]) -> tuple[str, ...]:
    """Names for `count` probe examples that have none: "probe 0", with the class in brackets where it is known."""
    labels = [] if targets is None else [f" ({classes[int(label)]})" for label in targets]
    return tuple(f"probe {i}{labels[i] if i < len(labels) else ''}" for i in range(count))


MEASURED = ("val_accuracy",)
"""Metrics that the recorder measures itself."""


@dataclass(frozen=True)
class MetricRow:
    """The metrics of one step: `measured` by the recorder, `reported` by the training loop.

    A name may be in both, as `val_accuracy` is where the loop computes its own.
    """

    step: int
    epoch: int
    measured: Mapping[str, float] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)

    @property
    def flat(self) -> dict[str, float]:
        """Step, epoch and all metrics; a reported metric that the recorder also measures is `NAME_reported`."""
        named = {f"{name}_reported" if name in MEASURED else name: value for name, value in self.reported.items()}
        return {"step": self.step, "epoch": self.epoch, **self.measured, **named}


@dataclass(frozen=True)
class Metrics:
    """A row per update and a row per recorded epoch, in the order of their steps."""

    steps: tuple[MetricRow, ...] = ()
    epochs: tuple[MetricRow, ...] = ()


@dataclass(frozen=True)
class Run:
    """One recorded training, or one evaluation of a network without training.

    `batches` may hold "probe", whose maps are recorded, "evaluation" and "embedding". `config` is the request
    (dataset, model, seed, ...), `provenance` its circumstances (versions, device, git commit, dataset
    fingerprint, seconds).
    """

    path: Path
    classes: tuple[str, ...]
    network: Network
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    metrics: Metrics
    snapshots: Mapping[int, Snapshot]
    observations: Mapping[int, Observation]
    batches: Mapping[str, Batch]
    embed_layer: str | None = None
    status: str = "finished"
    problems: tuple[str, ...] = ()
    kind: Literal["training", "inspection"] = "training"
    notes: tuple[str, ...] = ()

    def batch(self, name: str) -> Batch:
        """The batch of that name; an empty one if the run has none."""
        return self.batches.get(name, Batch())

    @property
    def activations(self) -> Mapping[int, Observation]:
        """The earlier name of `observations`."""
        warnings.warn("Run.activations is called Run.observations now", DeprecationWarning, stacklevel=2)
        return self.observations

    @cached_property
    def steps(self) -> tuple[Mapping[str, float], ...]:
        """A row per update: step, epoch, train_loss and other reported metrics (`MetricRow.flat`)."""
        return tuple(row.flat for row in self.metrics.steps)

    @cached_property
    def epochs(self) -> tuple[Mapping[str, float], ...]:
        """A row per recorded epoch: step, epoch, val_accuracy and reported metrics (`MetricRow.flat`)."""
        return tuple(row.flat for row in self.metrics.epochs)
