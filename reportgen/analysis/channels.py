"""Every channel of a layer on every image: its largest value, its position, and its mean.

    stats = channel_stats(observation.maps["conv1/relu"])
    strongest(stats)[0].channel                # on image 0: the channel with the largest single value
    ranking(stats, image=0, by="mean", top=10)

Takes feature maps [image, height, width, channel] and any other [image, ..., channel]: dense layers,
tokens, volumes. NaN and infinite values are counted and left out.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reportgen.analysis.numerics import as_float64
from reportgen.core.arrays import ByExample, ByExampleCounts, ByExamplePlaces, ChannelNumbers, PerChannel
from reportgen.errors import OptionError, choices


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
    """A channel in the ranking of one image; `position` is that of its maximum, `least` the layer's least value."""

    image: int
    channel: int
    maximum: float
    mean: float
    least: float
    position: tuple[int, ...]


def channel_stats(maps: np.ndarray) -> ChannelStats:
    """Statistics of every channel for each image of `maps` [image, ..., channel], any real dtype; [image] is one.

    Converts one image at a time, so memory stays at a few times one image's maps.
    """
    maps = np.asarray(maps)
    images, *spatial, channels = maps.shape if maps.ndim > 1 else (*maps.shape, 1)
    maximum, minimum, mean = (np.full((images, channels), np.nan) for _ in range(3))
    position = np.full((images, channels, len(spatial)), -1, dtype=np.int64)
    non_finite = np.zeros((images, channels), dtype=np.int64)
    places = int(np.prod(spatial))
    for image in range(images if places and channels else 0):
        values = maps[image].reshape(places, channels)
        if values.dtype != np.float32:
            values = as_float64(values, "a layer's activations")
        with np.errstate(invalid="ignore", over="ignore"):
            total = values.sum(axis=0, dtype=np.float64)
        if np.isfinite(total).all():
            # A finite float64 total means that every value is finite: no mask is needed.
            finite = np.full(channels, places)
            maximum[image], minimum[image], mean[image] = values.max(axis=0), values.min(axis=0), total / places
        else:
            maximum[image], minimum[image], mean[image], finite = _masked(values)
        non_finite[image] = places - finite
        if spatial:
            first = (values == maximum[image].astype(values.dtype)).argmax(axis=0)
            at = np.stack(np.unravel_index(first, tuple(spatial)), axis=-1)
            position[image] = np.where((finite > 0)[:, None], at, -1)
    return ChannelStats(maximum, minimum, mean, position, non_finite)


def _masked(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, PerChannel, ChannelNumbers]:
    """Maximum, minimum, mean and number of each channel's finite values [place, channel]; NaN where there are none."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    top = np.where(finite, values, -np.inf).max(axis=0)
    bottom = np.where(finite, values, np.inf).min(axis=0)
    # Scaled by a power of two, which is exact: the sum of values near the largest number would overflow.
    total = (np.where(finite, values, 0).astype(np.float64) * 2.0**-64).sum(axis=0)
    some = count > 0
    mean = total / np.maximum(count, 1) * 2.0**64
    return (*(np.where(some, part, np.nan) for part in (top, bottom, mean)), count)


def strongest(stats: ChannelStats) -> tuple[Peak | None, ...]:
    """For each image, the channel with the largest single value (the first of equals); None where no
    value is finite."""
    return tuple(next(iter(ranking(stats, image, by="max", top=1)), None) for image in range(len(stats.maximum)))


def ranking(stats: ChannelStats, image: int, by: Literal["max", "mean"] = "max", top: int = 10) -> tuple[Peak, ...]:
    """The `top` channels of one image by their maximum or mean, largest first, ties by channel number.

    Channels without a finite value are not ranked. Raises OptionError for another `by`.
    """
    if by not in ("max", "mean"):
        raise OptionError(f"channels cannot be ranked by {by!r}; {choices(by, ('max', 'mean'))}", code="O102")
    values = (stats.maximum if by == "max" else stats.mean)[image]
    order = np.argsort(-values, kind="stable")[: max(top, 0)]
    least = float(np.nanmin(stats.minimum[image], initial=np.inf))
    return tuple(
        Peak(
            image=image,
            channel=int(channel),
            maximum=float(stats.maximum[image, channel]),
            mean=float(stats.mean[image, channel]),
            least=least,
            position=tuple(int(place) for place in stats.position[image, channel]),
        )
        for channel in order
        if np.isfinite(values[channel])
    )
