"""Which classes a network confuses, and its most confident mistakes.

result = confusion(run.batch("evaluation").labels, outcome.predictions, run.classes, outcome.logit_gap)
result.accuracy, result.mistakes[0], result.misclassified[:20]
"""

import math
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
        raise DataError(
            f"there are {truth.size} labels for {guess.size} predictions; expected one for each.", code="A101"
        )
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
            raise DataError(f"there are {gaps.size} logit gaps for {truth.size} predictions.", code="A101")
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


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a proportion, `hits` of `total` > 0: (low, high) from 0 to 1.

    Wilson's score interval (Wilson 1927), which stays within 0 and 1 and holds near them.

    >>> low, high = wilson(971, 1000)
    >>> round(low, 3), round(high, 3)
    (0.959, 0.98)
    """
    share, square = hits / total, 1.959964**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = math.sqrt(square * (share * (1 - share) / total + square / (4 * total**2))) / (1 + square / total)
    return 0.0 if hits == 0 else middle - half, 1.0 if hits == total else middle + half


def hardest(result: Confusion) -> int | None:
    """The class with the least accuracy, where its interval lies below that of every other class; else None."""
    totals = result.matrix.sum(axis=1) + result.unpredicted
    intervals = {
        label: wilson(int(result.matrix[label, label]), int(total)) for label, total in enumerate(totals) if total
    }
    if len(intervals) < 2:
        return None
    lowest = min(intervals, key=lambda label: intervals[label][1])
    others = (low for label, (low, _) in intervals.items() if label != lowest)
    return lowest if intervals[lowest][1] < min(others) else None


def similar_order(matrix: ClassMatrix) -> Chosen:
    """An order of the classes in which those that are confused stand together: [class] int64.

    The leaves of an average-linkage tree; two classes are the nearer, the larger the share of their images that is
    taken for the other one.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    count = len(matrix)
    if count < 3:
        return np.arange(count)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    near = (shares + shares.T) / 2
    far = 1 - near / max(float(near[~np.eye(count, dtype=bool)].max()), 1e-12)
    np.fill_diagonal(far, 0)
    return np.asarray(leaves_list(linkage(squareform(far, checks=False), "average")), dtype=np.int64)


def _indices(values: np.ndarray, classes: int, what: str, least: int) -> Labels:
    """`values` as int64 class indices from `least` on; DataError that names the first one out of range."""
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"{what} must be integers [image], one per image; got {array.dtype}{array.shape}.", code="A101")
    outside = array[(array < least) | (array >= classes)]
    if outside.size:
        raise DataError(f"{what} contain {outside[0]}, but the {classes} classes are numbered from 0.", code="A101")
    return array.astype(np.int64)
