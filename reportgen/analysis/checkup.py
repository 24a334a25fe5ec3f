"""The health of a whole run: parameters, losses, channels and updates, without reading every snapshot.

    result = checkup(run)
    result.broken, result.channels["conv1/relu"][-1].dead, result.updates["conv1/kernel"]

Reads the snapshots at the ends of epochs, and those needed to find the first that is not finite.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from reportgen.analysis.diffs import ParamDiff, stored_difference
from reportgen.analysis.health import (
    LayerHealth,
    NonFinite,
    all_finite,
    first_non_finite,
    layer_health,
    ranges_health,
    update_ratio,
)
from reportgen.core.network import PASSING, Layer, is_kernel
from reportgen.core.outcome import Classification
from reportgen.core.run import Observation, Run

EPOCHS = 50
"""The most recorded epochs that are read, evenly spaced, including the first and the last."""


@dataclass(frozen=True)
class Update:
    """How far a parameter moved in the `updates` updates up to `step`, relative to its size; NaN is no data."""

    step: int
    epoch: int
    updates: int
    ratio: float


@dataclass(frozen=True, eq=False)
class Checkup:
    """The result. Epochs and steps are those that were read.

    looked     steps whose parameters were read; `broken` are the non-finite parameters of the first that has any
    broken_layer   (epoch, health) of the first layer in call order that is not finite, in the first such epoch
    loss       (first step with a non-finite training loss, number of such steps), or None
    epochs, steps   of the observations
    images     number of images behind `channels`; `whole` says whether these are all evaluation images, or
               only the probe images, in a run that recorded no ranges
    channels   layer path -> health at each of the epochs
    updates    kernel -> its update at the end of each epoch
    compared   parameter -> its change between the two steps that were asked for, as far as these were read
    """

    looked: tuple[int, ...]
    broken: tuple[NonFinite, ...]
    broken_layer: tuple[int, LayerHealth] | None
    loss: tuple[int, int] | None
    epochs: tuple[int, ...]
    steps: tuple[int, ...]
    images: int
    whole: bool
    channels: Mapping[str, tuple[LayerHealth, ...]]
    updates: Mapping[str, tuple[Update, ...]]
    compared: Mapping[str, ParamDiff]


def checkup(run: Run, compare: tuple[int, int] | None = None, names: Collection[str] = ()) -> Checkup:
    """Check a run. Raises DataError for arrays that do not hold real numbers.

    Of the parameters `names`, the snapshots of the steps `compare` are compared on the way: a large network's
    parameters take longer to read than to look at.
    """
    recorded = [step for step in run.observations if step in run.snapshots] or list(run.snapshots)
    ends = sorted({*_evenly(recorded), min(run.snapshots), max(run.snapshots)})
    updates, finite, compared = _walked(run, ends, compare, names)
    broken, looked = ((), tuple(ends)) if finite else first_non_finite(run.snapshots, ends)
    losses = [int(row["step"]) for row in run.steps if not isfinite(row.get("train_loss", 0.0))]
    steps = _evenly(list(run.observations))
    observations = [run.observations[step] for step in steps]
    layers = [layer for layer in run.network.distinct if observations and _recorded(observations, layer)]
    channels = {
        layer.path: tuple(_channels(run, observation, layer) for observation in observations) for layer in layers
    }
    whole = bool(observations) and all(a.ranges for a in observations)
    return Checkup(
        looked=looked,
        broken=broken,
        broken_layer=_first_broken(run, layers, steps, channels),
        loss=(losses[0], len(losses)) if losses else None,
        epochs=tuple(a.epoch for a in observations),
        steps=tuple(steps),
        images=max((health[-1].images for health in channels.values()), default=0),
        whole=whole,
        channels={layer.path: channels[layer.path] for layer in layers if _judged(layer)},
        updates=updates,
        compared=compared,
    )


def final_health(run: Run) -> tuple[LayerHealth, ...]:
    """The channels of each layer at the last observation, in call order; () where none was recorded."""
    steps = list(run.observations)
    if not steps:
        return ()
    last = run.observations[steps[-1]]
    layers = [layer for layer in run.network.distinct if _judged(layer) and _recorded([last], layer)]
    return tuple(_channels(run, last, layer) for layer in layers)


def _judged(layer: Layer) -> bool:
    """Whether it has channels of its own: pooling hands on what died before, and attention weights have keys."""
    return layer.role not in PASSING and not layer.has_attention


def last_updates(run: Run) -> dict[str, Update]:
    """The last interval between kept snapshots, of every kernel; empty for a single snapshot."""
    return {name: updates[-1] for name, updates in _walked(run, [max(run.snapshots)])[0].items() if updates}


def _recorded(observations: list[Observation], layer: Layer) -> bool:
    return all(layer.path in a.ranges or layer.path in a.maps for a in observations)


def _channels(run: Run, observation: Observation, layer: Layer) -> LayerHealth:
    outcome = observation.outcome if isinstance(observation.outcome, Classification) else None
    if layer.path not in observation.ranges:
        sums = None if outcome is None else outcome.label_sums.get(layer.path)
        return layer_health(layer.path, layer.by_channel(observation.maps[layer.path]), layer.op, sums)
    # Without the file that holds them, the examples are known by their predictions alone.
    images = run.batch("evaluation").size or (0 if outcome is None else len(outcome.predictions))
    maps = observation.maps.get(layer.path, np.zeros((0, *layer.shape)))
    return ranges_health(layer.path, observation.ranges[layer.path], images, layer.by_channel(maps), layer.op)


def _first_broken(
    run: Run, layers: list[Layer], steps: list[int], channels: Mapping[str, tuple[LayerHealth, ...]]
) -> tuple[int, LayerHealth] | None:
    """(epoch, health) of the first non-finite layer; reads the epochs between two checked ones to find it."""
    for place, step in enumerate(steps):
        if any(channels[layer.path][place].non_finite for layer in layers):
            since = steps[place - 1] if place else -1
            for between in (s for s in run.observations if since < s <= step):
                observation = run.observations[between]
                for layer in layers:
                    health = _channels(run, observation, layer)
                    if health.non_finite:
                        return observation.epoch, health
    return None


def _walked(
    run: Run, ends: list[int], compare: tuple[int, int] | None = None, names: Collection[str] = ()
) -> tuple[dict[str, tuple[Update, ...]], bool, dict[str, ParamDiff]]:
    """For every kernel, the last interval between recorded snapshots before each of the steps; whether all
    parameters are finite at these; and what is `compared`, as `checkup` has it.

    One parameter after the other, so that what ends one interval and begins the next is read once.
    """
    steps = list(run.snapshots)
    intervals = [(steps[place - 1] if place else None, end) for end in ends for place in [steps.index(end)]]
    snapshots = {
        step: run.snapshots[step] for step in {step for pair in intervals for step in pair if step is not None}
    }
    updates: dict[str, tuple[Update, ...]] = {}
    compared: dict[str, ParamDiff] = {}
    finite = True
    for name, form in snapshots[ends[0]].forms.items():
        found: list[Update] = []
        last: tuple[int | None, np.ndarray] = None, np.zeros(0)
        first: np.ndarray | None = None
        kernel = is_kernel(name, form.shape)
        for start, end in intervals:
            before = (
                last[1] if start == last[0] else snapshots[start].params[name] if kernel and start is not None else None
            )
            last = end, snapshots[end].params[name]
            finite = finite and all_finite(last[1], name)
            if kernel and before is not None and start is not None:
                ratio = update_ratio(before, last[1], name)
                found.append(Update(end, snapshots[end].epoch, end - start, ratio))
            if compare is not None and name in names:
                if end == compare[0]:
                    first = last[1]
                elif end == compare[1] and first is not None and first.shape == last[1].shape:
                    earlier, later = (snapshots[step] for step in compare)
                    compared[name] = stored_difference(earlier, later, name, (first, last[1]))
        if kernel:
            updates[name] = tuple(found)
    return updates, finite, compared


def _evenly(steps: list[int]) -> list[int]:
    places = np.unique(np.linspace(0, len(steps) - 1, min(EPOCHS, len(steps))).round().astype(int))
    return [steps[place] for place in places]
