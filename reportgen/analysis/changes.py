"""How a layer's feature maps differ between two images, per channel and at each channel's peaks.

    change = changes(maps[0], maps[1])                 # [height, width, channel] each
    change.order[0]                                    # the channel that changed most
    peaks = peak_changes(maps[0][..., 13], maps[1][..., 13])
    peaks[0].relative                                  # -0.706: fell by 70.6 %

Non-finite values count as no data: a channel is compared at the positions that are finite in both images.
"""

from dataclasses import dataclass

import numpy as np

from reportgen.analysis.numerics import as_float64
from reportgen.core.arrays import ChannelNumbers, ChannelPlaces, PerChannel
from reportgen.errors import DataError

SHARE = 0.5
"""A peak is a local maximum of at least this share of its map's largest value."""

MOST = 6
"""The most peaks taken from one map."""


@dataclass(frozen=True, eq=False)
class Changes:
    """Change of every channel from the first image to the second.

    largest      [channel] float64: the change, second minus first, furthest from 0 over all positions;
                 NaN where no position is finite in both
    position     [channel, axis] int64: its position; -1 where there is none
    before, after   [channel] float64: the values at that position
    share        [channel] float64: |largest| / the layer's largest |value| in both images; 0 for a layer of
                 zeros, NaN where there is no data
    order        [channel] int64: channels by falling share, ties by number, no data last
    """

    largest: PerChannel
    position: ChannelPlaces
    before: PerChannel
    after: PerChannel
    share: PerChannel
    order: ChannelNumbers


def changes(first: np.ndarray, second: np.ndarray) -> Changes:
    """Compare two images' activations [..., channel] of one layer. Raises DataError where shapes differ."""
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim < 1:
        raise DataError(
            f"activations to compare must have one shape; got {first.shape} and {second.shape}.", code="A101"
        )
    *space, channels = first.shape
    a, b = (as_float64(x, "activations").reshape(-1, channels) for x in (first, second))
    with np.errstate(invalid="ignore", over="ignore"):
        difference = b - a
    known = np.isfinite(difference)
    size = np.where(known, np.abs(difference), -1.0)
    at = size.argmax(axis=0)
    some = known.any(axis=0)
    across = np.arange(channels)

    def at_largest(values: np.ndarray) -> PerChannel:
        return np.where(some, values[at, across], np.nan)

    largest = at_largest(difference)
    finite = [np.abs(x[np.isfinite(x)]) for x in (a, b)]
    scale = max((float(x.max()) for x in finite if x.size), default=0.0)
    share = np.abs(largest) / scale if scale else np.where(some, 0.0, np.nan)
    position = np.full((channels, len(space)), -1, np.int64)
    if space:
        position = np.where(some[:, None], np.stack(np.unravel_index(at, tuple(space)), axis=-1), -1)
    return Changes(largest, position, at_largest(a), at_largest(b), share, np.argsort(-share, kind="stable"))


@dataclass(frozen=True)
class PeakChange:
    """A peak of a channel's map in the first image, and the second image's value there.

    `position` (y, x) is the peak's; `before` its value, `after` the largest value of the second image
    within `reach` positions of it.
    """

    position: tuple[int, int]
    before: float
    after: float
    reach: int

    @property
    def relative(self) -> float:
        """(after - before) / before: -0.5 fell by half."""
        return (self.after - self.before) / self.before


def reach_of(height: int, width: int) -> int:
    """Radius of a peak's neighbourhood, in positions: a thirteenth of the shorter side, at least 1.

    >>> [reach_of(n, n) for n in (7, 13, 27, 56, 113)]
    [1, 1, 2, 4, 9]
    """
    return max(1, round(min(height, width) / 13))


def peak_changes(first: np.ndarray, second: np.ndarray) -> tuple[PeakChange, ...]:
    """The peaks of `first` [height, width], highest first, each compared with `second`.

    A peak is positive, the largest value within `reach_of` positions around it, and at least SHARE of the
    map's largest value; of equal values the first in row-major order. Returns at most MOST; none where
    a value is not finite or the largest is not positive. Raises DataError unless both are maps of one shape.
    """
    a, b = as_float64(first, "a feature map"), as_float64(second, "a feature map")
    if a.shape != b.shape or a.ndim != 2:
        raise DataError(
            f"peaks are compared between two maps [height, width]; got {a.shape} and {b.shape}.", code="A101"
        )
    if not a.size or not np.isfinite(a).all() or not np.isfinite(b).all() or a.max() <= 0:
        return ()
    reach = reach_of(*a.shape)
    candidates = np.argwhere(a >= SHARE * a.max())
    values = a[tuple(candidates.T)]
    peaks: list[PeakChange] = []
    for y, x in candidates[np.argsort(-values, kind="stable")]:
        near = slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)
        taken = any(max(abs(y - p.position[0]), abs(x - p.position[1])) <= reach for p in peaks)
        if not taken and a[y, x] == a[near].max():
            peaks.append(PeakChange((int(y), int(x)), float(a[y, x]), float(b[near].max()), reach))
        if len(peaks) == MOST:
            break
    return tuple(peaks)


def differing_box(first: np.ndarray, second: np.ndarray) -> tuple[tuple[int, int], tuple[int, int], float] | None:
    """The box in which two images [height, width, ...] differ.

    Returns ((first row, last row), (first column, last column), share of pixels that differ).

    None where they are equal. Raises DataError for images of two shapes.
    """
    if first.shape != second.shape:
        raise DataError(f"images to compare must have one shape; got {first.shape} and {second.shape}.", code="A101")
    differs = first != second
    differs = differs.any(axis=tuple(range(2, differs.ndim)))
    if not differs.any():
        return None
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1])), float(differs.mean())
