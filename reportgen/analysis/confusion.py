"""Which classes a network confuses, and its most confident mistakes.

result = confusion(run.batch("evaluation").labels, outcome.predictions, run.classes, outcome.logit_gap)
result.accuracy, result.mistakes[0], result.misclassified[:20]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import Chosen, ClassMatrix, Labels
from reportgen.errors import DataError


@dataclass(frozen=True)
class Mistake:
    """`count` images of class `true` were predicted to be class `predicted` (indices into the classes)."""

    true: int
    predicted: int
    count: int


@dataclass(frozen=True, eq=False)
class Confusion:
    """Predictions against labels.

    classes         the class names
    matrix          [true, predicted] int64: number of images
    unpredicted     per class, the number of its images without a prediction: counted as wrong, in no column
    images          number of images, the sum of the matrix and of the unpredicted
    accuracy        fraction of images classified correctly; None without images
    class_accuracy  per class, the fraction of its images classified correctly; None for a class without images
    mistakes        pairs of classes that were confused, most frequent first, then by class index
    misclassified   [mistake] int64: indices of misclassified images, largest logit gap first, ties by index, NaN
                    gaps last; by index without logit gaps
    """

    classes: tuple[str, ...]
    matrix: ClassMatrix
    unpredicted: tuple[int, ...]
    images: int
    accuracy: float | None
    class_accuracy: tuple[float | None, ...]
    mistakes: tuple[Mistake, ...]
    misclassified: Chosen


def confusion(
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: Sequence[str],
    logit_gap: np.ndarray | None = None,
) -> Confusion:
    """Compare `predictions` [image] with `labels` [image], integer indices into `classes`;
    -1 stands for no prediction.

    `logit_gap` [image] is `Classification.logit_gap`. Raises DataError for unequal lengths, labels that are not
    integers, or indices without a class.
    """
    truth, guess = _indices(labels, len(classes), "labels", 0), _indices(predictions, len(classes), "predictions", -1)
    if truth.shape != guess.shape:
        raise DataError(f"there are {truth.size} labels for {guess.size} predictions; expected one for each.")
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    known = guess >= 0
    np.add.at(matrix, (truth[known], guess[known]), 1)
    unpredicted = np.bincount(truth[~known], minlength=len(classes))

    right, per_class = matrix.diagonal(), matrix.sum(axis=1) + unpredicted
    pairs = [
        Mistake(int(true), int(predicted), int(matrix[true, predicted]))
        for true, predicted in np.argwhere(matrix)
        if true != predicted
    ]
    wrong = np.flatnonzero(truth != guess)
    if logit_gap is not None:
        gaps = np.asarray(logit_gap, dtype=np.float64)
        if gaps.shape != truth.shape:
            raise DataError(f"there are {gaps.size} logit gaps for {truth.size} predictions.")
        # A stable sort keeps equals in index order and puts NaN last.
        wrong = wrong[np.argsort(-gaps[wrong], kind="stable")]
    return Confusion(
        classes=tuple(classes),
        matrix=matrix,
        unpredicted=tuple(map(int, unpredicted)),
        images=truth.size,
        accuracy=float(right.sum() / truth.size) if truth.size else None,
        class_accuracy=tuple(
            float(hits / total) if total else None for hits, total in zip(right, per_class, strict=True)
        ),
        mistakes=tuple(sorted(pairs, key=lambda pair: (-pair.count, pair.true, pair.predicted))),
        misclassified=wrong,
    )


def _indices(values: np.ndarray, classes: int, what: str, least: int) -> Labels:
    """`values` as int64 class indices from `least` on; DataError that names the first one out of range."""
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"{what} must be integers [image], one per image; got {array.dtype}{array.shape}.")
    outside = array[(array < least) | (array >= classes)]
    if outside.size:
        raise DataError(f"{what} contain {outside[0]}, but the {classes} classes are numbered from 0.")
    return array.astype(np.int64)
