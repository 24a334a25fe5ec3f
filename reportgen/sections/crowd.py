"""The examples that a page knows one by one: where they lie, what they are taken for in each frame, their neighbours.

    crowd = crowd_of(run, embedding)               # None for a run that has no examples to tell of
    crowd.positions[frame, 604], crowd.predicted[frame, 604]

Those of the embedding come first, then those of the evaluation, each named by its batch and its number there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from reportgen.analysis.embedding import Embedding, place_in
from reportgen.analysis.neighbors import nearest
from reportgen.core.outcome import Classification, Dense, Kind, Outcome, Reconstruction, Regression, Tokens
from reportgen.core.run import Run
from reportgen.figures.scatter import limits
from reportgen.sections.words import noun

MOST = 1000
"""Evaluation examples that are carried whatever became of them: the first ones."""

MOST_WRONG = 500
"""Further ones that are misclassified."""

NEAR = 5
"""Neighbours of an example that are named."""

SHARE = "share correct, %"
"""The measure of an example of which each position has a class."""

UNKNOWN = -2
"""A prediction that was not recorded; -1 is none."""


@dataclass(frozen=True, eq=False)
class Group:
    """Examples of one batch: what one is called, the letter before its number in a link, and their numbers."""

    name: str
    letter: str
    batch: str
    numbers: np.ndarray


@dataclass(frozen=True, eq=False)
class Crowd:
    """Examples of some groups, one group after the other, in every recorded frame.

    positions  [frame, example, 2] in the embedding, NaN for those that have no place; None without an embedding
    truth      [example]: labels int64 (-1 unknown) where `predicted` are classes, else values float32; empty for none
    predicted  [frame, example]: classes int64 (-1 none, -2 unknown), or values float32; empty for none
    sure       [frame, example] float32: the probability of the predicted class, NaN unknown; empty for none
    top        (classes, probabilities) [rank, example] in the last frame; None where unknown
    near       [rank, example] int64: the nearest embedded examples in the hidden layer, -1 for none; None likewise
    scores     a measure's name -> [frame, example] float32, NaN unknown
    """

    groups: tuple[Group, ...]
    positions: np.ndarray | None
    truth: np.ndarray
    predicted: np.ndarray
    sure: np.ndarray
    top: tuple[np.ndarray, np.ndarray] | None
    near: np.ndarray | None
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many examples there are."""
        return sum(len(group.numbers) for group in self.groups)

    @property
    def ends(self) -> dict[str, tuple[float, float]]:
        """The coordinates between which all places lie, by axis: left and right, top and bottom."""
        left, right, bottom, top = limits(np.zeros((0, 2)) if self.positions is None else self.positions)
        return {"x": (left, right), "y": (top, bottom)}

    @property
    def classes(self) -> bool:
        """Whether truth and predictions are classes."""
        return self.predicted.dtype == np.int64 and self.predicted.size > 0

    @property
    def links(self) -> list[str]:
        """The anchor of each example: "example-604", of the embedding's own ones "example-t12"."""
        return [f"example-{group.letter}{number}" for group in self.groups for number in group.numbers.tolist()]

    @property
    def names(self) -> list[str]:
        """What each is called: "evaluation image 604"."""
        return [f"{group.name} {number}" for group in self.groups for number in group.numbers.tolist()]


def overlap(run: Run, found: Embedding) -> np.ndarray:
    """Which of the evaluation's vectors are those of embedded points: [example] bool."""
    final = list(run.observations.values())[-1]
    embedded, others = final.vectors["embedding"][found.points], final.vectors.get("evaluation", np.zeros((0, 1)))
    finite = np.isfinite(others).all(axis=1)
    same = np.zeros(len(others), bool)
    if finite.any():
        _, distances = nearest(embedded.astype(np.float64), 1, others[finite].astype(np.float64))
        same[finite] = distances[:, 0] <= _rounding(embedded)
    return same


def _rounding(vectors: np.ndarray) -> float:
    """The distance below which two vectors are those of one example, evaluated in two batches."""
    return 1e-5 * float(np.linalg.norm(vectors, axis=1).max())


def crowd_of(run: Run, found: Embedding | None) -> Crowd | None:
    """The run's examples, with their places in the embedding where there is one; None where nothing is known of any."""
    groups = _groups(run, found)
    if not groups or not run.observations:
        return None
    last = list(run.observations.values())[-1].outcome
    tell = _values if isinstance(last, Regression) and last.predictions.shape[1] == 1 else _classes
    truth, predicted, sure = (
        np.concatenate(parts, axis=-1) for parts in zip(*(tell(run, group) for group in groups), strict=True)
    )
    known = np.isfinite(predicted) if tell is _values else predicted != UNKNOWN
    positions, near = (None, None) if found is None else _places(run, found, groups)
    return Crowd(
        groups,
        positions,
        truth if (np.isfinite(truth) if tell is _values else truth >= 0).any() else truth[:0],
        predicted if known.any() else predicted[:0],
        sure if np.isfinite(sure).any() else sure[:0],
        _top(run, groups),
        near,
        _scores(run, groups),
    )


def most_frequent(run: Run, batch: str, numbers: np.ndarray) -> np.ndarray:
    """[example] int64: which of its several true classes most embedded examples have, -1 for none.

    Empty where examples do not have several classes, or nothing is known of these examples' or the embedded ones'.
    """
    targets, embedded = run.batch(batch).targets, run.batch("embedding").targets
    if run.task is None or run.task.kind is not Kind.MULTILABEL or targets is None or embedded is None:
        return np.zeros(0, np.int64)
    true, counts = np.asarray(targets)[numbers] > 0, (np.asarray(embedded) > 0).sum(axis=0)
    # One more than the count: a class that no embedded example has is still one.
    found: np.ndarray = np.where(true.any(axis=1), np.where(true, counts + 1, 0).argmax(axis=1), -1)
    return found


def _groups(run: Run, found: Embedding | None) -> tuple[Group, ...]:
    evaluation, one = run.batch("evaluation"), noun(run)
    groups = []
    if found is not None:
        kind = "training" if "embed_size" in run.config else "embedded"
        if overlap(run, found).sum() >= len(found.points):
            kind, vectors = "evaluation", list(run.observations.values())[-1].vectors
            embedded, others = vectors["embedding"][found.points], vectors["evaluation"]
            if found.points.max() < len(others):
                apart = np.linalg.norm(others[found.points] - embedded, axis=1)
                if (apart <= _rounding(embedded)).all():
                    return (Group(f"evaluation {one}", "", "evaluation", found.points),)
        groups.append(Group(f"{kind} {one}", "t", "embedding", found.points))
    if evaluation.size:
        chosen = np.arange(min(evaluation.size, MOST))
        last = list(run.observations.values())[-1].outcome if run.observations else None
        if isinstance(last, Classification) and len(last.predictions) == len(evaluation.labels):
            wrong = np.flatnonzero(last.predictions != evaluation.labels)
            chosen = np.union1d(chosen, wrong[wrong >= len(chosen)][:MOST_WRONG])
        groups.append(Group(f"evaluation {one}", "", "evaluation", chosen))
    return tuple(groups)


def _classes(run: Run, group: Group) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, predicted class and its probability in each frame) of a group, as far as they are known."""
    count, frames = len(group.numbers), len(run.observations)
    labels = run.batch(group.batch).labels
    predicted = np.full((frames, count), UNKNOWN, np.int64)
    sure = np.full((frames, count), np.nan, np.float32)
    for frame, seen in enumerate(run.observations.values()):
        ranked = seen.top_classes.get(group.batch)
        if ranked is not None:
            predicted[frame] = ranked.classes[group.numbers, 0]
            sure[frame] = ranked.probabilities[group.numbers, 0]
        elif group.batch == "evaluation" and isinstance(seen.outcome, Classification) and len(seen.outcome.predictions):
            predicted[frame] = seen.outcome.predictions[group.numbers]
    return labels[group.numbers] if len(labels) else np.full(count, -1, np.int64), predicted, sure


def _values(run: Run, group: Group) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(true values, predicted ones in each frame, nothing) of a group, for a network that gives one value."""
    count, targets = len(group.numbers), run.batch(group.batch).targets
    truth = np.full(count, np.nan, np.float32)
    if targets is not None and len(targets) > group.numbers.max():
        truth = np.asarray(targets[group.numbers], np.float32).reshape(count, -1)[:, 0]
    outcomes = [seen.outcome if group.batch == "evaluation" else None for seen in run.observations.values()]
    unknown = np.full(count, np.nan, np.float32)
    predicted = [o.predictions[group.numbers, 0] if isinstance(o, Regression) else unknown for o in outcomes]
    return truth, np.stack(predicted), np.full((len(outcomes), count), np.nan, np.float32)


def _scores(run: Run, groups: tuple[Group, ...]) -> dict[str, np.ndarray]:
    """The task's measure of each example, where it is known of the evaluation's examples one by one."""
    measured = [_measure(seen.outcome) for seen in run.observations.values()]
    name = measured[-1][0]
    if not name:
        return {}
    parts = []
    for group in groups:
        unknown = np.full(len(group.numbers), np.nan, np.float32)
        frames = [
            _picked(values, group.numbers) if values is not None and group.batch == "evaluation" else unknown
            for _, values in measured
        ]
        parts.append(np.stack(frames))
    return {name: np.concatenate(parts, axis=1)}


def _measure(outcome: Outcome | None) -> tuple[str, np.ndarray | None]:
    """The name of a measure of single examples, and its values for the first of them."""
    match outcome:
        case Tokens(losses=losses):
            known = np.isfinite(losses)
            sums, counts = np.where(known, losses, 0).sum(axis=1), known.sum(axis=1)
            return "loss, nats per token", np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        case Reconstruction(errors=errors):
            return "error", errors
        case Dense(right=right, counted=counted):
            return SHARE, np.divide(100 * right, counted, out=np.full(len(right), np.nan), where=counted > 0)
    return "", None


def _picked(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """[example] float32: the values of these examples, NaN beyond the last one known."""
    found = np.full(len(numbers), np.nan, np.float32)
    there = numbers < len(values)
    found[there] = values[numbers[there]]
    return found


def _top(run: Run, groups: tuple[Group, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    ranked = list(run.observations.values())[-1].top_classes
    if any(group.batch not in ranked for group in groups):
        return None
    picked = [(ranked[group.batch], group.numbers) for group in groups]
    return (
        np.concatenate([found.classes[numbers].T for found, numbers in picked], axis=1),
        np.concatenate([found.probabilities[numbers].T for found, numbers in picked], axis=1),
    )


def _places(run: Run, found: Embedding, groups: tuple[Group, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """(positions [frame, example, 2], neighbours [rank, example]); who did not shape the layout is placed in it.

    Where all vectors are equal in the end, no example is nearer than another.
    """
    count = len(found.points)
    positions, seen = [found.frames], list(run.observations.values())
    last = seen[-1].vectors["embedding"][found.points].astype(np.float64)
    rank = min(NEAR, count - 1)
    near = [nearest(last, rank)[0]]
    for group in groups[1:]:
        frames = np.full((len(seen), len(group.numbers), 2), np.nan)
        lowest = np.full((len(group.numbers), rank), -1, np.int64)
        for frame, observation in enumerate(seen):
            others = observation.vectors.get("evaluation", np.zeros((0, 1)))
            there = np.flatnonzero(group.numbers < len(others))
            there = there[np.isfinite(others[group.numbers[there]]).all(axis=1)]
            if not len(there):
                continue
            vectors = others[group.numbers[there]]
            frames[frame, there] = place_in(found, frame, observation.vectors["embedding"], vectors)
            if observation is seen[-1]:
                lowest[there] = nearest(last, rank, vectors.astype(np.float64))[0]
        positions.append(frames)
        near.append(lowest)
    return np.concatenate(positions, axis=1), np.concatenate(near).T if np.ptp(last, axis=0).any() else None
