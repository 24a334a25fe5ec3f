"""Signs that a training went wrong: NaN in parameters, updates too large or none, channels that died.

first_non_finite(run.snapshots, steps)     # where and when NaN or infinity first appeared
update_ratio(kernel, later_kernel)         # size of an update relative to the weights
layer_health("conv1/relu", observation.maps["conv1/relu"], "relu")
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.analysis.numerics import as_float64, norm, parts
from reportgen.core.run import Snapshot
from reportgen.errors import DataError

#: The bounds at which an activation function saturates, and the width of its range. A rectifier's 0 is rest,
#: not saturation.
BOUNDS = {
    "sigmoid": ((0.0, 1.0), 1.0),
    "hard_sigmoid": ((0.0, 1.0), 1.0),
    "tanh": ((-1.0, 1.0), 2.0),
    "hard_tanh": ((-1.0, 1.0), 2.0),
    "soft_sign": ((-1.0, 1.0), 2.0),
    "relu6": ((6.0,), 6.0),
}
#: A value within this fraction of the range is at a bound; a channel with at least this share of such values is
#: saturated.
NEAR, SHARE = 0.01, 0.95


@dataclass(frozen=True)
class NonFinite:
    """A snapshot's parameter `name` of `size` values, of which `nan` are NaN and `infinite` infinite."""

    step: int
    epoch: int
    name: str
    nan: int
    infinite: int
    size: int


@dataclass(frozen=True)
class LayerHealth:
    """Channels of a layer that carry no information, over `images` images; channel numbers count from 0.

    dead        every value is exactly 0 (after a ReLU: never active)
    constant    every value is the same, and not 0
    saturated   at least 95 % of the values lie within 1 % of the range from a bound of the activation
                function, without all being the same; None for a layer whose kind has no such bounds
    non_finite  channels with NaN or infinite values, which are in none of the other groups
    """

    path: str
    images: int
    channels: int
    dead: tuple[int, ...]
    constant: tuple[int, ...]
    saturated: tuple[int, ...] | None
    non_finite: tuple[int, ...]


def non_finite_parameters(snapshot: Snapshot) -> tuple[NonFinite, ...]:
    """The snapshot's parameters that hold NaN or infinity, in its order; one array is read at a time."""
    found = []
    for name in snapshot.params:
        array, counts = np.asarray(snapshot.params[name]), np.zeros(2, np.int64)
        for (part,) in parts(array):
            values = as_float64(part, name)
            counts += [np.count_nonzero(np.isnan(values)), np.count_nonzero(np.isinf(values))]
        nan, infinite = counts.tolist()
        if nan or infinite:
            found.append(NonFinite(snapshot.step, snapshot.epoch, name, nan, infinite, array.size))
    return tuple(found)


def all_finite(values: np.ndarray, name: str = "parameter") -> bool:
    """Whether it holds neither NaN nor infinity. Raises DataError for what are no real numbers."""
    array = np.asarray(values)
    return all(
        np.isfinite(part if part.dtype.kind == "f" else as_float64(part, name)).all() for (part,) in parts(array)
    )


def first_non_finite(
    snapshots: Mapping[int, Snapshot], steps: Sequence[int]
) -> tuple[tuple[NonFinite, ...], tuple[int, ...]]:
    """(non-finite parameters of the first snapshot that has any, the steps that were read).

    Reads `steps`, ascending, up to the first with NaN or infinity, then bisects back to the step before it,
    so that few of many snapshots are read. A non-finite snapshot between finite ones may be missed.
    """
    looked: dict[int, tuple[NonFinite, ...]] = {}

    def broken(step: int) -> bool:
        looked[step] = non_finite_parameters(snapshots[step])
        return bool(looked[step])

    first = next((step for step in steps if broken(step)), None)
    if first is None:
        return (), tuple(sorted(looked))
    whole = [step for step in looked if step < first]
    between = [step for step in snapshots if (not whole or step > max(whole)) and step <= first]
    low, high = 0, len(between) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if broken(between[middle]) else (middle + 1, high)
    return looked[between[high]], tuple(sorted(looked))


def update_ratio(before: np.ndarray, after: np.ndarray, name: str = "parameter") -> float:
    """norm(after - before) / norm(before); NaN where `before` is all zero or either is not finite.

    Healthy training with Adam or SGD lies around 1e-3 per update (Karpathy, CS231n notes, "Ratio of
    weights:updates"). Raises DataError for two shapes.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape:
        raise DataError(
            f"{name} changes its shape from {before.shape} to {after.shape} between snapshots.", code="A101"
        )
    size = moved = 0.0
    for first, second in parts(before, after):
        values = as_float64(first, name)
        with np.errstate(all="ignore"):
            change = as_float64(second, name)
            change -= values
            size, moved = float(np.hypot(size, norm(values))), float(np.hypot(moved, norm(change)))
    return moved / size if size > 0 and np.isfinite(size) and np.isfinite(moved) else np.nan


def layer_health(path: str, maps: np.ndarray, kind: str = "", label_sums: np.ndarray | None = None) -> LayerHealth:
    """Dead, constant and saturated channels among `maps` [image, ..., channel] of the layer `path`; [image] is one.

    `label_sums` [label, channel] extends "dead" to the evaluation images: a channel whose sum is not 0 was
    active there. Without images or positions no channel is in any group. Raises DataError for sums of another
    number of channels.
    """
    values = np.asarray(maps)
    images, channels = len(values), values.shape[-1] if values.ndim > 1 else 1
    bounds = BOUNDS.get(kind)
    if label_sums is not None and np.asarray(label_sums).shape[1:] != (channels,):
        raise DataError(
            f"{path} has {channels} channels, but sums of shape {np.asarray(label_sums).shape} per label.", code="A101"
        )
    if values.size == 0:
        return LayerHealth(path, images, channels, (), (), () if bounds else None, ())
    flat = values.reshape(-1, channels)
    if flat.dtype not in (np.float32, np.float64):
        flat = as_float64(flat, path)
    saturated = None
    if bounds:
        ends, width = bounds
        near = np.any([np.abs(flat - end) <= NEAR * width for end in ends], axis=0)
        saturated = _numbers(near.mean(axis=0) >= SHARE)
    active = np.zeros(channels, bool) if label_sums is None else (as_float64(label_sums, path) != 0).any(axis=0)
    broken = ~np.isfinite(flat).all(axis=0)
    return _health(path, images, flat.min(axis=0), flat.max(axis=0), broken, saturated, active)


def ranges_health(path: str, ranges: np.ndarray, images: int, maps: np.ndarray, kind: str = "") -> LayerHealth:
    """The same from each channel's least and largest value over `images` evaluation images, [2, channel].

    Ranges do not show saturation: that is judged on the probe images' `maps`, which are read only where the
    `kind` has bounds. Raises DataError for another shape.
    """
    ranges = as_float64(ranges, path)
    if ranges.ndim != 2 or len(ranges) != 2:
        raise DataError(f"ranges are [2, channel]; {path} has {ranges.shape}.", code="A101")
    least, most = ranges
    broken = ~np.isfinite(ranges).all(axis=0) & ~(least > most)
    saturated = layer_health(path, maps, kind).saturated if kind in BOUNDS else None
    return _health(path, images, least, most, broken, saturated, np.zeros(len(least), bool))


def _health(
    path: str,
    images: int,
    least: np.ndarray,
    most: np.ndarray,
    broken: np.ndarray,
    saturated: tuple[int, ...] | None,
    active: np.ndarray,
) -> LayerHealth:
    """The verdict from each channel's least and largest value; `active` channels are not dead elsewhere."""
    same = ~broken & (least == most)
    return LayerHealth(
        path=path,
        images=images,
        channels=len(least),
        dead=_numbers(same & (most == 0) & ~active),
        constant=_numbers(same & (most != 0)),
        saturated=None if saturated is None else tuple(c for c in saturated if not broken[c] and not same[c]),
        non_finite=_numbers(broken),
    )


def _numbers(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(channel) for channel in np.flatnonzero(mask))
