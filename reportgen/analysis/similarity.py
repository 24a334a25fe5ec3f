"""How alike two networks are inside: one layer's values in both, for the same examples.

    result = similarity(before, after)           # [example, channel] each, the numbers of channels may differ
    result.cka, result.interval, result.null, result.matches

Linear CKA (Kornblith et al. 2019) by the unbiased estimator of HSIC (Song et al. 2012): without it, few examples and
many channels look alike whatever they hold. A shuffle of the examples says what chance gives, blocks of examples
left out how far to trust the value. Channels are matched by assignment on their correlations (Li et al. 2016).
Every number is the same with the two networks exchanged.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reportgen.analysis.numerics import as_float64
from reportgen.core.arrays import ChannelMatrix, ChannelNumbers, ChannelValues, ChannelVectors, PerChannel
from reportgen.errors import DataError

LEAST = 20
"""Examples from which on two layers are compared."""

SHUFFLES = 99
BLOCKS = 10
MATCHED = 0.9
"""Correlation from which on two channels are said to be the same feature."""

SAME = 2e-3
"""Difference, as a share of the layer's largest magnitude, up to which values are the same: float16's precision."""

SEED = 0


@dataclass(frozen=True, eq=False)
class Matches:
    """Channels of the first network assigned to channels of the second, the most correlated pairs in all.

    before, after   [pair] int64: channel numbers; as many pairs as the narrower layer has channels
    correlation     [pair] float64 over the examples, descending; 0 where a channel is constant
    null            the mean correlation of an assignment after shuffling the examples of one network
    alike           pairs with a correlation of at least `MATCHED`
    """

    before: ChannelNumbers
    after: ChannelNumbers
    correlation: PerChannel
    null: float

    @property
    def alike(self) -> int:
        return int((self.correlation >= MATCHED).sum())


@dataclass(frozen=True, eq=False)
class Similarity:
    """One layer in two networks, over `examples` examples with finite values.

    channels    of the layer in each
    same        "values" where all values are the same, "order" where they are after reordering the channels, else ""
    cka         debiased linear CKA: 1 for the same representation up to rotation and scale, about 0 for unrelated
                ones (it may be slightly negative); None where a layer gives every example the same
    interval    for it, 95 %, by a jackknife over ten blocks of examples
    null        the largest of 99 values with the examples of one network shuffled: p = .01
    procrustes  share of one network's variance that the other explains by the best rotation and scale, fitted on one
                half of the examples and measured on the other half, both ways; None for more channels than a half has
                examples
    matches     the channels, matched
    """

    examples: int
    channels: tuple[int, int]
    same: str
    cka: float | None
    interval: tuple[float, float] | None
    null: float | None
    procrustes: float | None
    matches: Matches

    @property
    def beyond_chance(self) -> bool:
        """Whether the two are more alike than shuffled examples are."""
        return self.cka is not None and self.null is not None and self.cka > self.null


def similarity(before: ChannelVectors, after: ChannelVectors) -> Similarity:
    """Compare a layer's values [example, channel] in two networks, for the same examples in the same order.

    Examples with values that are not finite in either are left out. Raises DataError for unequal numbers of examples,
    or fewer than `LEAST` that are left.
    """
    first, second = (as_float64(values, "a layer's values") for values in (before, after))
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise DataError(
            f"layers are compared by values [example, channel]; got {first.shape} and {second.shape}.", code="A101"
        )
    finite = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if finite.sum() < LEAST:
        raise DataError(
            f"layers are compared on at least {LEAST} examples with finite values; there are {finite.sum()}.",
            code="A102",
        )
    first, second = first[finite], second[finite]
    involution = _involution(len(first), np.random.default_rng(SEED))
    matches = match(first, second, involution)
    cka, interval, null = _cka(first, second)
    return Similarity(
        examples=len(first),
        channels=(first.shape[1], second.shape[1]),
        same=_same(first, second, matches),
        cka=cka,
        interval=interval,
        null=null,
        procrustes=procrustes(first, second),
        matches=matches,
    )


def linear_cka(before: ChannelValues, after: ChannelValues) -> float | None:
    """Debiased linear CKA of [example, channel] and [example, other channel]; None where it is not defined."""
    first, second = (_centred(values) for values in (before, after))
    own = [_hsic(values, values) for values in (first, second)]
    # A layer that gives every example the same has none; nor has one whose estimate is negative.
    return min(_hsic(first, second) / float(np.sqrt(own[0] * own[1])), 1.0) if min(own) > 0 else None


def procrustes(before: ChannelValues, after: ChannelValues) -> float | None:
    """Share of variance explained by the best rotation, measured on examples that it was not fitted on.

    1 for networks that are equal up to rotation and scale, about 0 or less for unrelated ones.
    """
    half = len(before) // 2
    if max(before.shape[1], after.shape[1]) > half:
        return None
    wide = max(before.shape[1], after.shape[1])
    first, second = (np.pad(v, ((0, 0), (0, wide - v.shape[1]))) for v in (before, after))
    shares = []
    for fitted, held in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        (a, held_a), (b, held_b) = (_standard(values[fitted], values[held]) for values in (first, second))
        if a is None or b is None:
            return None
        left, _, right = np.linalg.svd(a.T @ b)
        total = (held_a**2).sum() + (held_b**2).sum()
        shares.append(1 - float(((held_a @ (left @ right) - held_b) ** 2).sum() / total) if total else 1.0)
    return float(np.mean(shares))


def turned(values: ChannelValues, onto: ChannelValues) -> ChannelValues:
    """Values [example, channel] rotated and reflected to lie as close to others of the same shape as they can.

    Orthogonal Procrustes (Schönemann 1966); distances between examples stay as they are.
    """
    left, _, right = np.linalg.svd(_centred(values).T @ _centred(onto))
    return np.asarray(values @ (left @ right))


def match(before: ChannelValues, after: ChannelValues, shuffled: np.ndarray) -> Matches:
    """Assign the channels of one network to those of the other.

    `shuffled` is an order of the examples that is its own inverse.
    """
    correlation = _correlations(before, after)
    rows, columns = _assigned(correlation)
    order = np.argsort(-correlation[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    null = _correlations(before, after[shuffled])
    chance = float(null[_assigned(null)].mean()) if null.size else 0.0
    return Matches(rows.astype(np.int64), columns.astype(np.int64), correlation[rows, columns], chance)


def _assigned(correlation: ChannelMatrix) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(correlation, maximize=True)
    return np.asarray(rows), np.asarray(columns)


def _correlations(before: ChannelValues, after: ChannelValues) -> ChannelMatrix:
    """Pearson's correlation of each channel with each; 0 where either is constant."""
    first, second = _unit(before), _unit(after)
    return np.asarray(np.clip(first.T @ second, -1, 1))


def _unit(values: ChannelValues) -> ChannelValues:
    """Each channel centred and of length 1; zeros for a constant one, whose centred values are rounding."""
    centred = values - values.mean(axis=0)
    size = np.linalg.norm(centred, axis=0)
    real = size > 1e-9 * np.linalg.norm(values, axis=0)
    return np.asarray(np.divide(centred, size, out=np.zeros_like(centred), where=real))


def _same(before: ChannelValues, after: ChannelValues, matches: Matches) -> str:
    if before.shape != after.shape:
        return ""
    if _close(before, after):
        return "values"
    # Constant channels have no correlation: they are matched by their value.
    constant_before, constant_after = (
        np.ptp(v[:, c], axis=0) == 0 for v, c in ((before, matches.before), (after, matches.after))
    )
    if (constant_before != constant_after).any():
        return ""
    varying = ~constant_before
    if not _close(before[:, matches.before[varying]], after[:, matches.after[varying]]):
        return ""
    rest = [np.sort(v[:1, c[~varying]]) for v, c in ((before, matches.before), (after, matches.after))]
    return "order" if _close(*rest) else ""


def _close(first: ChannelValues, second: ChannelValues) -> bool:
    largest = max(float(np.abs(values).max(initial=0.0)) for values in (first, second))
    return bool((np.abs(first - second) <= SAME * largest).all())


def _cka(before: ChannelValues, after: ChannelValues) -> tuple[float | None, tuple[float, float] | None, float | None]:
    """(CKA, its interval, the largest value with shuffled examples)."""
    first, second = (_centred(narrowed(values)) for values in (before, after))
    value = linear_cka(first, second)
    if value is None:
        return None, None, None
    rng = np.random.default_rng(SEED)
    orders = [_involution(len(first), rng) for _ in range(SHUFFLES)]
    own = np.sqrt(_hsic(first, first) * _hsic(second, second))  # whatever the order of the examples
    null = float(max(_hsic(first, second[order]) for order in orders) / own)
    return value, _jackknife(value, len(first), lambda kept: linear_cka(first[kept], second[kept])), null


def _jackknife(value: float, count: int, without: Callable[[np.ndarray], float | None]) -> tuple[float, float] | None:
    """95 % interval of a value from its values without each of ten blocks of the examples."""
    from scipy.stats import t

    blocks = np.arange(count) % BLOCKS
    values = [without(blocks != block) for block in range(BLOCKS)]
    known = np.array([v for v in values if v is not None])
    if len(known) < BLOCKS:
        return None
    error = np.sqrt((BLOCKS - 1) / BLOCKS * ((known - known.mean()) ** 2).sum())
    half = float(t.ppf(0.975, BLOCKS - 1) * error)
    return max(value - half, -1.0), min(value + half, 1.0)


def _hsic(first: ChannelValues, second: ChannelValues) -> float:
    """The unbiased estimator of HSIC with linear kernels, times n (n - 3), of centred values [example, channel].

    Song et al.'s equation 4: where the values are centred, the sums over their kernel matrices without the diagonal
    are sums over the diagonal.
    """
    n = len(first)
    own, other = (first**2).sum(axis=1), (second**2).sum(axis=1)
    shared = ((first.T @ second) ** 2).sum()
    return float(shared - n / (n - 2) * (own @ other) + own.sum() * other.sum() / ((n - 1) * (n - 2)))


def narrowed(values: ChannelValues) -> ChannelValues:
    """Values with the same inner products between examples, in no more columns than there are examples."""
    if values.shape[1] <= len(values):
        return values
    left, size, _ = np.linalg.svd(_centred(values), full_matrices=False)
    return np.asarray(left * size)


def _centred(values: ChannelValues) -> ChannelValues:
    """The values less their means, in units of the largest; zeros where only rounding is left."""
    centred = values - values.mean(axis=0)
    largest = float(np.abs(centred).max(initial=0.0))
    constant = largest <= 1e-12 * float(np.abs(values).max(initial=0.0))
    return np.zeros_like(centred) if constant else centred / largest


def _involution(count: int, rng: np.random.Generator) -> np.ndarray:
    """An order of examples that exchanges random pairs: shuffling either network by it is the same."""
    order, places = np.arange(count), rng.permutation(count)
    pairs = places[: count // 2 * 2].reshape(-1, 2)
    order[pairs[:, 0]], order[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    return order


def _standard(fitted: ChannelValues, held: ChannelValues) -> tuple[ChannelValues | None, ChannelValues]:
    """Both centred and scaled by what the fitted half says; None where that half is constant."""
    mean = fitted.mean(axis=0)
    size = float(np.linalg.norm(fitted - mean))
    constant = size <= 1e-9 * float(np.linalg.norm(fitted))
    return (None, held) if constant else ((fitted - mean) / size, (held - mean) / size)
