"""What a network is trained to do, and how its outputs compare with the targets.

    run.task.kind                                  # Kind.REGRESSION
    run.observations[40].outcome.predictions       # of the evaluation batch

A network's `Task` says which of its outputs is compared with what; an `Outcome` holds the comparison at one step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from reportgen.core.arrays import (
    BySummedLabel,
    ClassMatrix,
    ExampleErrors,
    ExampleScores,
    ExampleValues,
    LabelCounts,
    Labels,
    LogitGaps,
    PerLabel,
    PerPosition,
    PositionCounts,
    ProbeOutputs,
    SummedLabels,
    TokenIds,
    TokenLosses,
)
from reportgen.errors import OptionError, expect


class Kind(StrEnum):
    """What the output is compared with."""

    CLASSIFICATION = "classification"
    """One class per example: scores [example, class], or one logit [example] or [example, 1] for two classes."""

    MULTILABEL = "multilabel"
    """Any number of classes per example: a logit for each, and targets of 0 and 1 of the same shape."""

    REGRESSION = "regression"
    """Real values: targets of the output's shape."""

    DENSE = "dense"
    """A class per position (segmentation, tagging): scores [example, *position, class]."""

    TOKENS = "tokens"
    """The next token of a sequence: scores [example, time, token]."""

    RECONSTRUCTION = "reconstruction"
    """Values like an input (autoencoder, denoising): targets of the output's shape, by default the inputs."""

    NONE = "none"
    """Nothing to compare with: representations, policies, energies."""


@dataclass(frozen=True)
class Task:
    """What is scored.

    kind      what the output is compared with
    output    which output is scored, where the model gives several: its key or index, nested ones joined by "/"
    reason    for `Kind.NONE`: why nothing is scored; "" where nothing was to be scored
    """

    kind: Kind
    output: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        expect("a task's output", self.output, str, "the key or index of an output, as text")
        expect("a task's reason", self.reason, str, "a text")
        if not isinstance(self.kind, str) or self.kind not in list(Kind):
            raise OptionError(f"a task's kind must be one of {', '.join(Kind)}, not {self.kind!r}", code="O102")
        object.__setattr__(self, "kind", Kind(self.kind))


def task_named(value: Task | str | None) -> Task | None:
    """The task that is asked for, perhaps by its kind alone. Raises OptionError for what is no kind."""
    expect("task", value, Task | str | None, f"a Task or one of {', '.join(Kind)}")
    return value if value is None or isinstance(value, Task) else Task(value)  # type: ignore[arg-type]


MOST_CLASSES = 4096
"""Classes up to which outputs are compared class by class: 128 MB of counts."""


@dataclass(frozen=True)
class Classification:
    """The predictions of a network with a score per class, for the evaluation batch.

    predictions   [example] int64: the predicted class; -1 for none, where the largest score is not finite or
                  a score is NaN
    logit_gap     [example] float32: score of the predicted class minus score of the true one; 0 where the
                  prediction is correct (for logits, the log odds against the true class)
    label_counts  [label] int64: correctly predicted examples
    label_sums    layer path -> [summed label, channel] float64: each channel summed over positions and over the
                  correctly predicted examples of the label
    input_sums    [label] float64: the input's values summed over the same examples
    labels        [summed label] int64, ascending: the labels that `label_sums` have a row for; None: all of them
    loss          mean cross-entropy in nats of all examples, where it was asked for; a run has it among its metrics
    missed_sums   as `label_sums`, over the examples of the label that are not correctly predicted: both together are
                  over all of them. Empty in runs of earlier releases

    Where the network has labels and no scores for them, `predictions` and `logit_gap` are empty, and the sums are
    over all examples.
    """

    predictions: Labels
    logit_gap: LogitGaps
    label_counts: LabelCounts
    label_sums: Mapping[str, BySummedLabel]
    input_sums: PerLabel
    labels: SummedLabels | None = None
    loss: float | None = None
    missed_sums: Mapping[str, BySummedLabel] = field(default_factory=dict)

    @property
    def summed(self) -> SummedLabels:
        """The labels that `label_sums` have a row for."""
        return np.arange(len(self.label_counts)) if self.labels is None else self.labels


@dataclass(frozen=True)
class MultiLabel:
    """scores [example, class] float32: log odds of each class; a class is predicted where they are above 0."""

    scores: ExampleScores


@dataclass(frozen=True)
class Regression:
    """predictions [example, value] float32: the output, flattened."""

    predictions: ExampleValues


@dataclass(frozen=True)
class Dense:
    """A class per position, over the positions of the evaluation batch whose target is not negative.

    matrix     [class, class] int64: positions, true class by predicted class
    right      [example] int64: correctly predicted positions
    counted    [example] int64: positions
    predicted  [probe example, ...] int64: the predicted class of each position of the probe
    """

    matrix: ClassMatrix
    right: Labels
    counted: Labels
    predicted: ProbeOutputs


@dataclass(frozen=True)
class Tokens:
    """The surprise at each token, in nats: minus the log of the probability that the network gave to it.

    loss_sums  [time] float64: summed over the evaluation batch, by the position of the predicted token
    counts     [time] int64: tokens that were predicted at the position; padding is not among them
    right      [time] int64: those that had the largest score
    losses     [example, time] float32: of the first evaluation examples; NaN where nothing is predicted
    best       [example, time] int64: the token with the largest score for the place; -1 likewise

    Place t of `losses` and `best` is token t of the sequence, predicted from those before it; with targets given
    it is place t of the targets.
    """

    loss_sums: PerPosition
    counts: PositionCounts
    right: PositionCounts
    losses: TokenLosses
    best: TokenIds


@dataclass(frozen=True)
class Reconstruction:
    """errors [example] float32: mean squared difference between output and target over an example's values;
    outputs [probe example, ...] float32: the outputs for the probe."""

    errors: ExampleErrors
    outputs: ProbeOutputs


Outcome = Classification | MultiLabel | Regression | Dense | Tokens | Reconstruction
"""The network's outputs compared with the targets."""
