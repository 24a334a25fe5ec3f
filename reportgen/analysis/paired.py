"""Whether one network is better than another: on the same examples, or over several seeds of each.

result = paired(labels == before, labels == after)
result.difference, result.interval, result.p, result.fixed

result = paired_scores((errors_before, counts), (errors_after, counts))
result.difference, result.interval, result.p

result = seeds([.971, .968, .973], [.975, .977, .974])
result.difference, result.interval, result.detectable
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from reportgen.analysis.confusion import wilson
from reportgen.core.arrays import Correct, PerExample, Places
from reportgen.errors import DataError

LEVEL = 0.05
"""p below which two networks are said to differ. It is about these two networks: two seeds of one configuration differ
too, far beyond the chance of the examples where a training is short, so that one run of each does not show why."""

CONFIDENCE = 0.95
"""Of every interval."""


@dataclass(frozen=True, eq=False)
class Paired:
    """Two networks on the same `count` examples.

    right_before, right_after   examples classified correctly
    fixed, broken   int64: the examples that only the second, and only the first classifies correctly
    difference      of the shares, after - before
    interval        for it, 95 %: Newcombe's for paired proportions (1998, method 10), which stays within -1 and 1
    p               two-sided, McNemar's exact test; 1 where no example changed sides
    """

    count: int
    right_before: int
    right_after: int
    fixed: Places
    broken: Places
    difference: float
    interval: tuple[float, float]
    p: float


def paired(before: Correct, after: Correct) -> Paired:
    """Compare two networks by whether each example [example] is classified correctly, in the same order.

    Raises DataError for no examples, or unequal numbers of them.
    """
    if before.shape != after.shape or not before.size:
        raise DataError(
            f"two networks are compared on the same examples; got {before.size} and {after.size}.", code="A101"
        )
    fixed, broken = np.flatnonzero(~before & after), np.flatnonzero(before & ~after)
    count, first, second = len(before), int(before.sum()), int(after.sum())
    return Paired(
        count=count,
        right_before=first,
        right_after=second,
        fixed=fixed,
        broken=broken,
        difference=(second - first) / count,
        interval=_newcombe(int((before & after).sum()), len(broken), len(fixed), count),
        p=mcnemar(len(fixed), len(broken)),
    )


@dataclass(frozen=True, eq=False)
class PairedScores:
    """Two networks on the same examples, each of which adds to a metric sum(sums) / sum(counts).

    used            int64: places of the examples with a finite value in both, on which all the rest is
    before, after   the metric
    each            [used] float64 twice: an example's own sums / counts, before and after
    difference      of the metric, after - before
    interval        for it, 95 %: Student's t over the examples, of a ratio estimate (Cochran, Sampling Techniques,
                    1977, section 6); None for fewer than two examples
    p               two-sided, Wilcoxon's signed-rank test of the changes; 1 where none is
    """

    used: Places
    before: float
    after: float
    each: tuple[PerExample, PerExample]
    difference: float
    interval: tuple[float, float] | None
    p: float

    @property
    def changes(self) -> PerExample:
        """[used] float64: after - before of each example."""
        return np.asarray(self.each[1] - self.each[0])


def differ(result: Paired | PairedScores) -> bool | None:
    """Whether two networks differ, by interval and test; None where these disagree, as they may at the level, and of
    scores where a few examples change by much, or many by little."""
    excluded = _excludes_zero(result.interval)
    return excluded if excluded == (result.p < LEVEL) else None


def paired_scores(before: tuple[PerExample, PerExample], after: tuple[PerExample, PerExample]) -> PairedScores | None:
    """Compare two networks by (sums, counts) of each example, in the same order; None where nothing is scored in both.

    Raises DataError for unequal numbers of examples.
    """
    from scipy.stats import t, wilcoxon

    if len({array.shape for array in (*before, *after)}) != 1:
        raise DataError("two networks are compared on the same examples; got unequal numbers of them.", code="A101")
    known = [np.isfinite(sums) & (counts > 0) for sums, counts in (before, after)]
    used = np.flatnonzero(known[0] & known[1])
    count = len(used)
    if not count:
        return None
    sides = [(sums[used], counts[used]) for sums, counts in (before, after)]
    first, second = (float(sums.sum() / counts.sum()) for sums, counts in sides)
    # What each example moves its metric by; the two are correlated, so that the variance is of their difference.
    moves = [
        (sums - value * counts) / counts.mean() for (sums, counts), value in zip(sides, (first, second), strict=True)
    ]
    difference, each = second - first, tuple(sums / counts for sums, counts in sides)
    changes = each[1] - each[0]
    interval = None
    if count > 1:
        error = float(np.std(moves[1] - moves[0], ddof=1)) / sqrt(count)
        half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
        interval = (difference - half, difference + half)
    p = float(wilcoxon(changes).pvalue) if changes.any() else 1.0
    return PairedScores(used, first, second, (each[0], each[1]), difference, interval, p)


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided p of McNemar's exact test: of a fair coin for each example that changed sides."""
    from scipy.stats import binomtest

    return float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0


def holm(ps: Sequence[float]) -> list[float]:
    """The p of several tests, each raised so that the chance of any false alarm stays below the level (Holm 1979)."""
    adjusted, least = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        least = max(least, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = least
    return adjusted


@dataclass(frozen=True)
class Seeds:
    """One metric of several runs of two configurations.

    before, after   the values
    difference      of their means, after - before
    interval        for it, 95 %: Welch's t; None for a single run on a side, or where no value varies
    p               two-sided, Mann-Whitney's exact test, which assumes no distribution
    least_p         the smallest p that this many runs can reach with it
    detectable      half the width of the interval: a difference smaller than this could not have been shown
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    difference: float
    interval: tuple[float, float] | None
    p: float
    least_p: float
    detectable: float | None

    @property
    def differ(self) -> bool:
        """Whether the interval excludes 0."""
        return _excludes_zero(self.interval)


def seeds(before: Sequence[float], after: Sequence[float]) -> Seeds:
    """Compare a metric over the runs of two configurations.

    Raises DataError for no run on a side, or values that are not finite.
    """
    from scipy.stats import mannwhitneyu, ttest_ind

    first, second = np.array(before, np.float64), np.array(after, np.float64)
    if not first.size or not second.size or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("runs are compared by finite values of at least one run on each side.", code="A102")
    difference = float(second.mean() - first.mean())
    interval = half = None
    if min(first.size, second.size) > 1 and (np.ptp(first) or np.ptp(second)):
        low, high = ttest_ind(second, first, equal_var=False).confidence_interval(CONFIDENCE)
        interval, half = (float(low), float(high)), float(high - low) / 2
    ends = mannwhitneyu(np.zeros(first.size), np.ones(second.size) + np.arange(second.size), method="exact")
    return Seeds(
        before=tuple(map(float, first)),
        after=tuple(map(float, second)),
        difference=difference,
        interval=interval,
        p=float(mannwhitneyu(first, second, method="exact").pvalue),
        least_p=float(ends.pvalue),
        detectable=half,
    )


def _excludes_zero(interval: tuple[float, float] | None) -> bool:
    return interval is not None and not interval[0] <= 0 <= interval[1]


def _newcombe(both: int, only_first: int, only_second: int, count: int) -> tuple[float, float]:
    """Newcombe's interval (method 10) for the difference second - first of two paired shares."""
    neither = count - both - only_first - only_second
    first, second = both + only_first, both + only_second
    share_1, share_2 = first / count, second / count
    (low_1, high_1), (low_2, high_2) = wilson(first, count), wilson(second, count)
    product = first * (count - first) * second * (count - second)
    between = both * neither - only_first * only_second
    # Newcombe's correction for continuity of a positive association.
    phi = (max(between - count / 2, 0) if between > 0 else between) / sqrt(product) if product else 0.0

    def half(a: float, b: float) -> float:
        return sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))

    difference = share_2 - share_1
    return difference - half(share_2 - low_2, high_1 - share_1), difference + half(high_2 - share_2, share_1 - low_1)
