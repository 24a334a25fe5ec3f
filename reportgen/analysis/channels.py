"""What every channel of a layer shows on every image: its largest value, where, and its mean.

    stats = channel_stats(activations.maps["conv1/relu"])
    strongest(stats)[0].channel                # of image 0: the channel with the largest single value
    ranking(stats, image=0, by="mean", top=10)

Works on feature maps [image, height, width, channel] and on any [image, ..., channel]: dense layers,
tokens, volumes. NaN and infinite values are counted and left out.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reportgen.analysis.wide import wide
from reportgen.core.arrays import ByExample, ByExampleCounts, ByExamplePlaces, ChannelNumbers, PerChannel
from reportgen.errors import DataError, OptionError, choices


@dataclass(frozen=True, eq=False)
class ChannelStats:
    """Statistics per image and channel, over the finite values at all positions.

    maximum, minimum, mean   [image, channel] float64; NaN where a channel has no finite value
    position     [image, channel, axis] int64: where the maximum is, the first in row-major order, one
                 entry per axis between image and channel (y, x for feature maps); -1 where there is none
    non_finite   [image, channel] int64: how many values are NaN or infinite
    """

    maximum: ByExample
    minimum: ByExample
    mean: ByExample
    position: ByExamplePlaces
    non_finite: ByExampleCounts


@dataclass(frozen=True)
class Peak:
    """One channel's place in a ranking for one image; `position` is that of its maximum."""

    image: int
    channel: int
    maximum: float
    mean: float
    position: tuple[int, ...]


def channel_stats(maps: np.ndarray) -> ChannelStats:
    """Statistics of every channel for each image of `maps` [image, ..., channel], any real dtype.

    One image is widened at a time, so memory stays at a few times one image's maps. Raises DataError
    for fewer than two axes.
    """
    maps = np.asarray(maps)
    if maps.ndim < 2:
        raise DataError(f"activations need the axes [image, ..., channel]; the shape is {maps.shape}.")
    images, *spatial, channels = maps.shape
    maximum, minimum, mean = (np.full((images, channels), np.nan) for _ in range(3))
    position = np.full((images, channels, len(spatial)), -1, dtype=np.int64)
    non_finite = np.zeros((images, channels), dtype=np.int64)
    places = int(np.prod(spatial))
    for image in range(images if places and channels else 0):
        values = maps[image].reshape(places, channels)
        if values.dtype != np.float32:
            values = wide(values, "a layer's activations")
        with np.errstate(invalid="ignore", over="ignore"):
            total = values.sum(axis=0, dtype=np.float64)
        if np.isfinite(total).all():
            # A finite float64 total means that every value is finite: no mask is needed.
            maximum[image], minimum[image] = values.max(axis=0), values.min(axis=0)
            mean[image] = total / places
        else:
            _masked(values, image, maximum, minimum, mean, non_finite)
        if spatial:
            first = _first(values, maximum[image])
            found = np.stack(np.unravel_index(np.maximum(first, 0), tuple(spatial)), axis=-1)
            position[image] = np.where((first >= 0)[:, None], found, -1)
    return ChannelStats(maximum, minimum, mean, position, non_finite)


def _first(values: np.ndarray, wanted: PerChannel, block: int = 256) -> ChannelNumbers:
    """First row of values [place, channel] at which each channel equals `wanted` [channel]; -1 if none.

    NumPy's argmax along the first axis copies the whole transposed array; comparing block by block
    until every channel is found is several times faster.
    """
    rows = np.full(len(wanted), -1, dtype=np.int64)
    target = wanted.astype(values.dtype)
    for start in range(0, len(values), block):
        missing = np.flatnonzero(rows < 0)
        if not missing.size:
            break
        equal = values[start : start + block] == target
        fresh = missing[equal.any(axis=0)[missing]]
        rows[fresh] = start + equal[:, fresh].argmax(axis=0)
    return rows


def _masked(
    values: np.ndarray,
    image: int,
    maximum: ByExample,
    minimum: ByExample,
    mean: ByExample,
    non_finite: ByExampleCounts,
) -> None:
    """Fill one image's row of the results from the finite ones among `values` [place, channel]."""
    finite = np.isfinite(values)
    counts = finite.sum(axis=0)
    non_finite[image] = len(values) - counts
    top = np.where(finite, values, -np.inf).max(axis=0)
    bottom = np.where(finite, values, np.inf).min(axis=0)
    some = counts > 0
    maximum[image] = np.where(some, top, np.nan)
    minimum[image] = np.where(some, bottom, np.nan)
    scale = np.where(some, np.maximum(np.abs(top), np.abs(bottom)), 1.0).astype(np.float64)
    scale[scale == 0] = 1.0
    # Scaled first: the sum of float64 values near the largest number would overflow.
    scaled = np.where(finite, values, 0.0).astype(np.float64) / scale
    mean[image] = np.where(some, scaled.sum(axis=0) / np.maximum(counts, 1) * scale, np.nan)


def strongest(stats: ChannelStats) -> tuple[Peak | None, ...]:
    """For each image, the channel with the largest single value (the first of equals); None where no
    value is finite."""
    return tuple(next(iter(ranking(stats, image, by="max", top=1)), None) for image in range(len(stats.maximum)))


def ranking(stats: ChannelStats, image: int, by: Literal["max", "mean"] = "max", top: int = 10) -> tuple[Peak, ...]:
    """The `top` channels of one image by their maximum or mean, largest first, ties by channel number.

    Channels without a finite value are not ranked. Raises OptionError for another `by`.
    """
    if by not in ("max", "mean"):
        raise OptionError(f"channels cannot be ranked by {by!r}: {choices(by, ('max', 'mean'))}")
    values = (stats.maximum if by == "max" else stats.mean)[image]
    order = np.argsort(-values, kind="stable")[: max(top, 0)]
    return tuple(
        Peak(
            image=image,
            channel=int(channel),
            maximum=float(stats.maximum[image, channel]),
            mean=float(stats.mean[image, channel]),
            position=tuple(int(place) for place in stats.position[image, channel]),
        )
        for channel in order
        if np.isfinite(values[channel])
    )
