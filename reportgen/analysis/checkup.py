"""One look at the health of a whole run: parameters, losses, channels and updates, at a price that stays low.

    found = checkup(run)
    found.broken, found.channels["conv1/relu"][-1].dead, found.updates["conv1/kernel"]

Of hundreds of snapshots those at the ends of epochs are read, and what leads to the first that is not finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from reportgen.analysis.health import (
    LayerHealth,
    NonFinite,
    first_non_finite,
    layer_health,
    ranges_health,
    update_ratios,
)
from reportgen.core.network import PASSING, Layer
from reportgen.core.run import Observation, Run

EPOCHS = 50
"""Recorded epochs that are looked at, evenly chosen, the first and the last among them."""


@dataclass(frozen=True)
class Update:
    """How far a parameter moved in the `updates` updates up to `step`, as a share of its size; NaN: no data."""

    step: int
    epoch: int
    updates: int
    ratio: float


@dataclass(frozen=True, eq=False)
class Checkup:
    """What was found. Epochs and steps are those that were looked at.

    looked     steps whose parameters were looked at; `broken` are the parameters that are not finite in the
               first that has any
    broken_layer   the first layer in call order that is not finite, of the first epoch that has any
    loss       (first step with a training loss that is not finite, how many steps have one), or None
    epochs, steps   of the activations
    images     how many images `channels` are over; `whole` says whether these are all evaluation images, or
               the probe images alone, in a run that did not note more
    channels   layer path -> health at each of the epochs
    updates    kernel -> its update at the end of each epoch
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


def checkup(run: Run) -> Checkup:
    """Look a run over. Raises DataError for arrays that are no real numbers."""
    recorded = [step for step in run.observations if step in run.snapshots] or list(run.snapshots)
    ends = sorted({*_evenly(recorded), min(run.snapshots), max(run.snapshots)})
    broken, looked = first_non_finite(run.snapshots, ends)
    losses = [int(row["step"]) for row in run.steps if not isfinite(row.get("train_loss", 0.0))]
    steps = _evenly(list(run.observations))
    answers = [run.observations[step] for step in steps]
    layers = [layer for layer in run.network.distinct if answers and _noted(answers, layer)]
    channels = {layer.path: tuple(_channels(run, a, layer) for a in answers) for layer in layers}
    whole = bool(answers) and all(a.ranges for a in answers)
    return Checkup(
        looked=looked,
        broken=broken,
        broken_layer=_first_broken(run, layers, steps, channels),
        loss=(losses[0], len(losses)) if losses else None,
        epochs=tuple(a.epoch for a in answers),
        steps=tuple(steps),
        images=max((found[-1].images for found in channels.values()), default=0),
        whole=whole,
        channels={layer.path: channels[layer.path] for layer in layers if layer.role not in PASSING},
        updates=_updates(run, ends),
    )


def _noted(answers: list[Observation], layer: Layer) -> bool:
    return all(layer.path in a.ranges or layer.path in a.maps for a in answers)


def _channels(run: Run, answers: Observation, layer: Layer) -> LayerHealth:
    outcome = answers.outcome
    if layer.path not in answers.ranges:
        sums = None if outcome is None else outcome.label_sums.get(layer.path)
        return layer_health(layer.path, answers.maps[layer.path], layer.op, sums)
    images = run.batch("evaluation").size if outcome is None else len(outcome.predictions)
    maps = answers.maps.get(layer.path, np.zeros((0, *layer.shape)))
    return ranges_health(layer.path, answers.ranges[layer.path], images, maps, layer.op)


def _first_broken(
    run: Run, layers: list[Layer], steps: list[int], channels: Mapping[str, tuple[LayerHealth, ...]]
) -> tuple[int, LayerHealth] | None:
    """(epoch, layer) of the first values that are not finite; epochs between those looked at are read for it."""
    for place, step in enumerate(steps):
        if any(channels[layer.path][place].non_finite for layer in layers):
            since = steps[place - 1] if place else -1
            for between in (s for s in run.observations if since < s <= step):
                answers = run.observations[between]
                for layer in layers:
                    health = _channels(run, answers, layer)
                    if health.non_finite:
                        return answers.epoch, health
    return None


def _updates(run: Run, ends: list[int]) -> dict[str, tuple[Update, ...]]:
    """Of every kernel, the last interval between kept snapshots before each of the steps."""
    kept = list(run.snapshots)
    first = run.snapshots[kept[0]].params
    kernels = [name for name in first if first[name].ndim >= 2]
    found: dict[str, list[Update]] = {name: [] for name in kernels}
    for end in ends:
        place = kept.index(end)
        if not place:
            continue
        pair = {step: run.snapshots[step] for step in kept[place - 1 : place + 1]}
        for ratio in update_ratios(pair, kernels):
            update = Update(end, pair[end].epoch, int(ratio.updates[0]), float(ratio.ratio[0]))
            found[ratio.name].append(update)
    return {name: tuple(updates) for name, updates in found.items()}


def _evenly(steps: list[int]) -> list[int]:
    places = np.unique(np.linspace(0, len(steps) - 1, min(EPOCHS, len(steps))).round().astype(int))
    return [steps[place] for place in places]
