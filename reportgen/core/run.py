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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reportgen.core.arrays import (
    Activations,
    BySummedLabel,
    ChannelRanges,
    Chosen,
    EmbeddingVectors,
    Fingerprints,
    Labels,
    PixelBatch,
    RankedClasses,
    RankedExamples,
    RankedPlaces,
    RankedProbabilities,
    RankedValues,
    Targets,
)
from reportgen.core.landscape import Landscape
from reportgen.core.network import Layer, Network
from reportgen.core.outcome import Classification, Outcome, Task
from reportgen.errors import expect, warn


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

    @property
    def forms(self) -> Mapping[str, np.ndarray]:
        """Name -> an array of the parameter's shape and type, whose values say nothing: none is read from disk."""
        forms: Mapping[str, np.ndarray] = getattr(self.params, "forms", self.params)
        return forms


@dataclass(frozen=True)
class TopExamples:
    """The examples to which the channels of one layer respond most.

    values       [rank, channel] float32: the largest values of each channel, one per example, descending; NaN
                 where there are fewer examples
    examples     [rank, channel] int64: the example of each, -1 where there is none
    positions    [rank, channel, axis] int64: the value's position among `Layer.positions`
    """

    values: RankedValues
    examples: RankedExamples
    positions: RankedPlaces


@dataclass(frozen=True)
class TopClasses:
    """The classes to which a network gives the largest probabilities, the most probable first, five at most.

    classes        [example, rank] int32; -1 where nothing is predicted, as a score is NaN or the largest not finite
    probabilities  [example, rank] float32, from 0 to 1: the softmax of the scores, or the network's own; NaN likewise
    """

    classes: RankedClasses
    probabilities: RankedProbabilities


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
    top_classes  batch name -> the most probable classes of its examples, "evaluation" and "embedding" where the network
              classifies; empty in earlier runs
    layer_vectors  of the observation recorded last; None in earlier ones, and where they are not recorded
    """

    step: int
    epoch: int
    maps: Mapping[str, Activations]
    ranges: Mapping[str, ChannelRanges] = field(default_factory=dict)
    vectors: Mapping[str, EmbeddingVectors] = field(default_factory=dict)
    outcome: Outcome | None = None
    top: Mapping[str, TopExamples] = field(default_factory=dict)
    layer_vectors: LayerVectors | None = None
    top_classes: Mapping[str, TopClasses] = field(default_factory=dict)

    @property
    def label_sums(self) -> Mapping[str, BySummedLabel]:
        """Deprecated: `outcome.label_sums` of a `Classification`."""
        return self._classified().label_sums

    @property
    def predictions(self) -> Labels:
        """Deprecated: `outcome.predictions` of a `Classification`."""
        return self._classified().predictions

    def _classified(self) -> Classification:
        warn("what was predicted is in Observation.outcome now", DeprecationWarning, code="N101")
        if not isinstance(self.outcome, Classification):
            raise AttributeError("nothing was classified at this step")
        return self.outcome


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
    targets        [example, ...]: what the outputs are compared with (see `Run.task`); int64 [example] are labels,
                   indices into `Run.classes`. Large ones may be of the first examples alone; None for none
    names          of the examples, () if they have none
    pictures       [example, height, width, 1 or 3] from 0 to 255, before preprocessing; None where the inputs
                   themselves are shown
    preprocessing  from pictures to inputs
    notes          conversions behind each picture, () for none
    fingerprints   [example] uint64 (`core.examples`) where they are recorded: of examples whose inputs are not
    stream         gives all examples anew, in batches (inputs, targets), where `inputs` are only the first
    """

    size: int = 0
    inputs: Any = None
    targets: Targets | LazyArray | None = None
    names: tuple[str, ...] = ()
    pictures: PixelBatch | LazyArray | None = None
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    fingerprints: Fingerprints | None = None
    stream: Callable[[], Iterable[tuple[Any, Any]]] | None = None

    @property
    def images(self) -> np.ndarray | LazyArray:
        """The inputs if they are one array, else an empty one."""
        return self.inputs if isinstance(self.inputs, np.ndarray | LazyArray) else np.zeros(0, np.float32)

    @property
    def labels(self) -> Labels:
        """The targets where they are labels, else an empty array."""
        targets = self.targets
        labels = isinstance(targets, np.ndarray) and targets.ndim == 1 and targets.dtype == np.int64
        return targets if labels else np.zeros(0, np.int64)  # type: ignore[return-value]


def numbered_names(count: int, labels: Labels, classes: Sequence[str]) -> tuple[str, ...]:
    """Names for `count` probe examples that have none: "probe 0", with the class in brackets where it is known."""
    known = [f" ({classes[int(label)]})" for label in labels]
    return tuple(f"probe {i}{known[i] if i < len(known) else ''}" for i in range(count))


MEASURED = ("val_accuracy",)
"""Names that are the recorder's own, whether it measures them or not."""

CLOCK = ("seconds", "evaluating_seconds", "date")
"""What a run's provenance says of the clock, which no two recordings have alike."""


@dataclass(frozen=True, slots=True)
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
        """Step, epoch and all metrics; a reported metric of a name that is the recorder's is `NAME_reported`."""
        own = {*MEASURED, *self.measured}
        named = {f"{name}_reported" if name in own else name: value for name, value in self.reported.items()}
        return {"step": self.step, "epoch": self.epoch, **self.measured, **named}


@dataclass(frozen=True)
class Metrics:
    """A row per update and a row per recorded epoch, in the order of their steps."""

    steps: tuple[MetricRow, ...] = ()
    epochs: tuple[MetricRow, ...] = ()


@dataclass(frozen=True)
class Run:
    """One recorded training, or one evaluation of a network without training.

    `task` says what is scored, None for a run that does not state it (then what `Observation.outcome` is).
    `vocabulary` has the text of each token, `landscape` is what `reportgen.landscape` computed. `batches` may hold
    "probe", whose maps are recorded, "evaluation" and "embedding". `config` is the request (dataset, model, seed,
    ...), `provenance` its circumstances (versions, device, command, date, git commit, dataset fingerprint, seconds).
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
    task: Task | None = None
    vocabulary: tuple[str, ...] = ()
    landscape: Landscape | None = None

    def batch(self, name: str) -> Batch:
        """The batch of that name; an empty one if the run has none."""
        expect("name", name, str, "the name of a batch")
        return self.batches.get(name, Batch())

    @property
    def stage(self) -> str:
        """What ends where the network was observed: an "epoch", or a "checkpoint" of a replay that knows no epochs."""
        return "checkpoint" if self.provenance.get("epochs_are") == "checkpoints" else "epoch"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Deprecated: `network.layers`."""
        warn("Run.layers is Run.network.layers.values() now", DeprecationWarning, code="N101")
        return tuple(self.network.layers.values())

    @property
    def activations(self) -> Mapping[int, Observation]:
        """The earlier name of `observations`."""
        warn("Run.activations is called Run.observations now", DeprecationWarning, code="N101")
        return self.observations

    @cached_property
    def steps(self) -> tuple[Mapping[str, float], ...]:
        """A row per update: step, epoch, train_loss and other reported metrics (`MetricRow.flat`)."""
        return tuple(row.flat for row in self.metrics.steps)

    @cached_property
    def epochs(self) -> tuple[Mapping[str, float], ...]:
        """A row per recorded epoch: step, epoch, val_accuracy and reported metrics (`MetricRow.flat`)."""
        return tuple(row.flat for row in self.metrics.epochs)
