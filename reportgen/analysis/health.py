"""Signs that a training went wrong: NaN in parameters, updates too large or none, channels that died.

non_finite_parameters(run.snapshots)       # where and when NaN or infinity first appeared
update_ratios(run.snapshots)               # size of each update against the size of the weights
layer_health("conv1/relu", activations.maps["conv1/relu"], "relu")
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.analysis.wide import norm, wide
from reportgen.core.arrays import IntervalNumbers, PerInterval
from reportgen.core.run import Snapshot
from reportgen.errors import DataError, OptionError, choices

#: Where an activation function is flat although its input moved on, and the width of its range. A
#: rectifier's 0 is rest, not saturation.
BOUNDS = {
    "sigmoid": ((0.0, 1.0), 1.0),
    "hard_sigmoid": ((0.0, 1.0), 1.0),
    "tanh": ((-1.0, 1.0), 2.0),
    "hard_tanh": ((-1.0, 1.0), 2.0),
    "soft_sign": ((-1.0, 1.0), 2.0),
    "relu6": ((6.0,), 6.0),
}
#: A value counts as at a bound within this fraction of the range; a channel is saturated from this share on.
NEAR, SHARE = 0.01, 0.95


@dataclass(frozen=True)
class NonFinite:
    """The first snapshot in which the parameter `name` holds NaN (`nan` of them) or infinity."""

    step: int
    epoch: int
    name: str
    nan: int
    infinite: int
    size: int


@dataclass(frozen=True, eq=False)
class UpdateRatio:
    """How far one parameter moved between consecutive kept snapshots, against its own size.

    steps   [interval] int64: the step that ends each interval; snapshots may be many updates apart,
            `updates` [interval] int64 says how many
    ratio   [interval] float64: norm(after - before) / norm(before); NaN where the parameter was all zero
            or either side is not finite
    """

    name: str
    steps: IntervalNumbers
    updates: IntervalNumbers
    ratio: PerInterval


@dataclass(frozen=True)
class LayerHealth:
    """Channels of a layer that carry nothing, over `images` images; channel numbers count from 0.

    dead        every value is exactly 0 (after a ReLU: never active)
    constant    every value is the same, and not 0
    saturated   at least 95 % of the values lie within 1 % of the range from a bound of the activation
                function, without all being the same; None for a layer whose kind has no such bounds
    non_finite  channels with NaN or infinite values; they are in none of the others
    """

    path: str
    images: int
    channels: int
    dead: tuple[int, ...]
    constant: tuple[int, ...]
    saturated: tuple[int, ...] | None
    non_finite: tuple[int, ...]


def non_finite_parameters(snapshots: Mapping[int, Snapshot]) -> tuple[NonFinite, ...]:
    """For each parameter that ever holds NaN or infinity, the first snapshot that does.

    Ordered by step, then as the snapshot names its parameters. Every snapshot is read, one array at a
    time, up to the step at which each parameter is found; give fewer snapshots to read less.
    """
    found: dict[str, NonFinite] = {}
    for step in sorted(snapshots):
        snapshot = snapshots[step]
        for name in snapshot.params:
            if name in found:
                continue
            values = wide(snapshot.params[name], name)
            if np.isfinite(values).all():
                continue
            found[name] = NonFinite(
                step=snapshot.step,
                epoch=snapshot.epoch,
                name=name,
                nan=int(np.isnan(values).sum()),
                infinite=int(np.isinf(values).sum()),
                size=values.size,
            )
    return tuple(found.values())


def first_non_finite(
    snapshots: Mapping[int, Snapshot], steps: Sequence[int]
) -> tuple[tuple[NonFinite, ...], tuple[int, ...]]:
    """(parameters that are not finite in the first snapshot that has any, the steps that were looked at).

    Looks at `steps`, ascending, up to the first with NaN or infinity, and then halves the way from the one
    before it: few of many snapshots are read. What was looked at before the first is finite; a snapshot
    that is not and is followed by whole ones may be missed.
    """
    looked: dict[int, tuple[NonFinite, ...]] = {}

    def broken(step: int) -> bool:
        looked[step] = non_finite_parameters({step: snapshots[step]})
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


def update_ratios(snapshots: Mapping[int, Snapshot], names: Sequence[str] | None = None) -> tuple[UpdateRatio, ...]:
    """Update-to-weight ratio of every parameter (or of `names`) between consecutive snapshots.

    Healthy training with Adam or SGD lies around 1e-3 per update (Karpathy, CS231n notes, "Ratio of
    weights:updates"). Raises OptionError for a name that a snapshot does not have.
    """
    steps = sorted(snapshots)
    if names is None:
        names = list(snapshots[steps[0]].params) if steps else []
    previous: dict[str, np.ndarray] = {}
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for step in steps:
        params = snapshots[step].params
        for name in names:
            if name not in params:
                raise OptionError(f"the snapshot of step {step} has no {name!r}: {choices(name, params)}")
            after = wide(params[name], name)
            if name in previous:
                ratios[name].append(_ratio(previous[name], after, name))
            previous[name] = after
    ends = np.array(steps, dtype=np.int64)
    return tuple(UpdateRatio(name, ends[1:], np.diff(ends), np.array(ratios[name])) for name in names)


def layer_health(path: str, maps: np.ndarray, kind: str = "", label_sums: np.ndarray | None = None) -> LayerHealth:
    """Dead, constant and saturated channels among `maps` [image, ..., channel] of the layer `path`.

    `label_sums` [label, channel], where given, extends "dead" to the evaluation images behind them: a
    channel whose sum is not 0 was active there. With no image or no position, no channel is called
    anything. Raises DataError for fewer than two axes or sums of other channels.
    """
    values = np.asarray(maps)
    if values.ndim < 2:
        raise DataError(f"activations need the axes [image, ..., channel]; {path} has {values.shape}.")
    images, channels = values.shape[0], values.shape[-1]
    bounds = BOUNDS.get(kind)
    if label_sums is not None and np.asarray(label_sums).shape[1:] != (channels,):
        raise DataError(f"{path} has {channels} channels, but sums of shape {np.asarray(label_sums).shape} per label.")
    if values.size == 0:
        return LayerHealth(path, images, channels, (), (), () if bounds else None, ())
    flat = values.reshape(-1, channels)
    if flat.dtype not in (np.float32, np.float64):
        flat = wide(flat, path)
    bad = (~np.isfinite(flat)).sum(axis=0)
    top, bottom = flat.max(axis=0), flat.min(axis=0)
    same = (bad == 0) & (top == bottom)
    silent = same & (top == 0)
    if label_sums is not None:
        silent &= (wide(label_sums, path) == 0).all(axis=0)
    saturated = None
    if bounds:
        ends, width = bounds
        near = np.any([np.abs(flat - end) <= NEAR * width for end in ends], axis=0)
        share = near.mean(axis=0)
        saturated = _numbers((bad == 0) & ~same & (share >= SHARE))
    return LayerHealth(
        path=path,
        images=images,
        channels=channels,
        dead=_numbers(silent),
        constant=_numbers(same & (top != 0)),
        saturated=saturated,
        non_finite=_numbers(bad > 0),
    )


def ranges_health(path: str, ranges: np.ndarray, images: int, maps: np.ndarray, kind: str = "") -> LayerHealth:
    """The same from each channel's least and largest value over `images` evaluation images, [2, channel].

    Saturation can't be told from ranges: it is of the probe images' `maps`, which are looked at only where
    the `kind` has bounds. Raises DataError for another shape.
    """
    ranges = wide(ranges, path)
    if ranges.ndim != 2 or len(ranges) != 2:
        raise DataError(f"ranges are [2, channel]; {path} has {ranges.shape}.")
    least, most = ranges
    broken = ~np.isfinite(ranges).all(axis=0) & ~(least > most)
    same = ~broken & (least == most)
    of_maps = layer_health(path, maps, kind).saturated if kind in BOUNDS else None
    return LayerHealth(
        path=path,
        images=images,
        channels=ranges.shape[1],
        dead=_numbers(same & (most == 0)),
        constant=_numbers(same & (most != 0)),
        saturated=None if of_maps is None else tuple(c for c in of_maps if not broken[c] and not same[c]),
        non_finite=_numbers(broken),
    )


def _ratio(before: np.ndarray, after: np.ndarray, name: str) -> float:
    """norm(after - before) / norm(before), or NaN where that is undefined."""
    if before.shape != after.shape:
        raise DataError(f"{name} changes its shape from {before.shape} to {after.shape} between snapshots.")
    with np.errstate(all="ignore"):
        change = after - before
    if not np.isfinite(change).all():
        return np.nan
    size, moved = norm(before), norm(change)
    return moved / size if size > 0 and np.isfinite(size) and np.isfinite(moved) else np.nan


def _numbers(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(channel) for channel in np.flatnonzero(mask))
