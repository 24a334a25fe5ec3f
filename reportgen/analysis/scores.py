"""The numbers that say how good a network is, of an outcome and the targets.

scores(observation.outcome, targets)            # {"val_accuracy": 0.971}
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.analysis.confusion import wilson
from reportgen.core.arrays import ClassCounts, PerClass, PerExample
from reportgen.core.outcome import Classification, Dense, MultiLabel, Outcome, Reconstruction, Regression, Tokens


def scores(outcome: Outcome, targets: Any) -> dict[str, float]:
    """Metric -> value; a metric that is not defined on these examples is not among them.

    val_accuracy              share of examples (of positions, of tokens) that are predicted correctly
    val_f1                    F1 over all pairs of example and class
    val_r2, val_mae           coefficient of determination, averaged over the output's values; mean absolute error
    val_mean_iou              intersection over union, averaged over the classes that occur or are predicted
    val_token_loss            mean cross-entropy in nats per token, and val_perplexity, its exponential
    val_reconstruction_error  mean squared error per value
    """
    match outcome:
        case Classification():
            right = outcome.predictions == targets if len(outcome.predictions) else ()
            found = {"val_accuracy": _mean(right)}
        case MultiLabel():
            found = {"val_f1": f1(outcome.scores > 0, np.asarray(targets) > 0)}
        case Regression():
            found = {"val_r2": _mean_known(r2(outcome.predictions, np.asarray(targets)))}
            found["val_mae"] = _mean(np.abs(outcome.predictions.astype(np.float64) - targets))
        case Dense():
            counted = outcome.counted.sum()
            found = {"val_accuracy": outcome.right.sum() / counted if counted else None}
            found["val_mean_iou"] = _mean_known(iou(outcome.matrix))
        case Tokens():
            counted = outcome.counts.sum()
            loss = outcome.loss_sums.sum() / counted if counted else None
            found = {"val_accuracy": outcome.right.sum() / counted if counted else None, "val_token_loss": loss}
            found["val_perplexity"] = None if loss is None else np.exp(loss)
        case Reconstruction():
            found = {"val_reconstruction_error": _mean(outcome.errors)}
    return {name: float(value) for name, value in found.items() if value is not None}


@dataclass(frozen=True, eq=False)
class ByExample:
    """What each example adds to a metric, which is sum(sums) / sum(counts).

    metric   its name in `scores`
    better   1 where a larger value is better, -1 where a smaller one is
    sums     [example] float64
    counts   [example] float64: things in the example that are scored; 0 for one with none
    """

    metric: str
    better: int
    sums: PerExample
    counts: PerExample


def by_example(outcome: Outcome, targets: Any) -> ByExample | None:
    """The metric of two networks that are compared on the same examples; None for classes, which are right or wrong.

    Of tokens, the first examples alone have their losses. Regression and several classes per example need `targets`.
    """
    match outcome:
        case MultiLabel() if np.shape(targets) == outcome.scores.shape:
            has, predicted = np.asarray(targets) > 0, outcome.scores > 0
            # A score that is NaN is no prediction.
            both = np.where(np.isnan(outcome.scores).any(axis=1), np.nan, 2.0 * (has & predicted).sum(axis=1))
            return _by_example("val_f1", 1, both, has.sum(axis=1) + predicted.sum(axis=1))
        case Regression() if len(outcome.predictions) and np.size(targets) == outcome.predictions.size:
            true = np.asarray(targets, np.float64).reshape(outcome.predictions.shape)
            off = np.abs(outcome.predictions.astype(np.float64) - true)
            return _by_example("val_mae", -1, off.sum(axis=1), np.full(len(off), off.shape[1]))
        case Dense():
            return _by_example("val_accuracy", 1, outcome.right, outcome.counted)
        case Tokens():
            known = ~np.isnan(outcome.losses)
            losses = np.where(known, outcome.losses, 0.0).sum(axis=1, dtype=np.float64)
            return _by_example("val_token_loss", -1, losses, known.sum(axis=1))
        case Reconstruction():
            return _by_example("val_reconstruction_error", -1, outcome.errors, np.ones(len(outcome.errors)))
    return None


def _by_example(metric: str, better: int, sums: np.ndarray, counts: np.ndarray) -> ByExample:
    return ByExample(metric, better, sums.astype(np.float64), counts.astype(np.float64))


def f1(predicted: np.ndarray, true: np.ndarray) -> float | None:
    """2 TP / (2 TP + FP + FN) of two boolean arrays of one shape; None where nothing is true or predicted."""
    of = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / of if of else None


Measure = tuple[PerClass, PerClass, PerClass]
"""A value for each class, and the ends of its 95 % interval; NaN where it is not defined."""


def class_measures(both: ClassCounts, guessed: ClassCounts, have: ClassCounts) -> dict[str, Measure]:
    """Precision, recall and F1 of each class with 95 % intervals, of how many examples have it and are predicted to
    have it (`both`), are predicted to, and have it.

    Wilson's intervals for precision and recall. F1 is 2 J / (1 + J), where J is `both` over the examples that have
    the class or are predicted to: Wilson's interval of J, carried over (the indirect method of Lam, Gopal and Qian
    2023, arXiv:2309.14621).
    """
    jaccard = _proportions(both, guessed + have - both)
    value, low, high = (2 * share / (1 + share) for share in jaccard)
    return {"Precision": _proportions(both, guessed), "Recall": _proportions(both, have), "F1": (value, low, high)}


def _proportions(hits: ClassCounts, total: ClassCounts) -> Measure:
    rows = [
        (hit / of, *wilson(hit, of)) if of else (np.nan, np.nan, np.nan)
        for hit, of in zip(hits.tolist(), total.tolist(), strict=True)
    ]
    values, low, high = np.array(rows, np.float64).reshape(-1, 3).T
    return values, low, high


def r2(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[value] float64: 1 - residual / total sum of squares of [example, value]; NaN for targets that are all equal."""
    true = targets.astype(np.float64)
    residual = np.square(predictions.astype(np.float64) - true).sum(axis=0)
    total = np.square(true - true.mean(axis=0)).sum(axis=0)
    share: np.ndarray = 1 - np.divide(residual, total, out=np.full_like(residual, np.nan), where=total > 0)
    return share


def iou(matrix: np.ndarray) -> np.ndarray:
    """[class] float64: intersection over union from counts, true class by predicted class; NaN for a class that
    neither occurs nor is predicted."""
    both = np.diag(matrix).astype(np.float64)
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - both
    share: np.ndarray = np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)
    return share


def mean_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float] | None:
    """The 95 % interval of sum(sums) / sum(counts), where example i contributes sums[i] over counts[i] things.

    The examples are independent, not the things within one (the pixels of an image, the tokens of a sequence): the
    interval is that of a ratio estimate (Cochran, Sampling Techniques, 1977, section 2.11). None for fewer than two
    examples.
    """
    sums, counts = np.asarray(sums, float), np.asarray(counts, float)
    if len(sums) < 2 or not counts.sum() or not np.isfinite(sums).all():
        return None
    mean = sums.sum() / counts.sum()
    spread = np.square(sums - mean * counts).sum() * len(sums) / (len(sums) - 1)
    margin = 1.96 * np.sqrt(spread) / counts.sum()
    return float(mean - margin), float(mean + margin)


def share_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float] | None:
    """`mean_interval` of a share, within 0 and 1."""
    found = mean_interval(sums, counts)
    return None if found is None else (max(found[0], 0.0), min(found[1], 1.0))


def _mean(values: Any) -> float | None:
    return float(np.mean(values)) if np.size(values) else None


def _mean_known(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
