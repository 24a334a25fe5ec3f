"""A training layer by layer over its steps: weights, activations, dead channels, updates; and where it broke.

    result = score(run, checkup(run), similar_to_last(run))
    result.breaks[0].step, result.staves[0].lanes[0].values

Everything comes from what a run holds. Of many steps, some are read: `STEPS` snapshots and observations.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reportgen.analysis.checkup import Checkup
from reportgen.analysis.similarity import LEAST, linear_cka, narrowed
from reportgen.core.network import Layer
from reportgen.core.run import Run

STEPS = 24
"""Snapshots and observations whose values are read, evenly spaced, including the first and the last."""

QUANTILES = (0.5, 0.05, 0.25, 0.75, 0.95)
VALUES = 20_000
"""Values of an array from which quantiles are taken, evenly spaced in it."""

EXAMPLES = 512
"""Examples by which representations are compared."""

STAVES = 12
POINTS = 80
"""Points of a line over updates; each is the median of as many updates."""

BEFORE, AFTER, SIGMAS, SHARE = 50, 5, 6.0, 0.1
"""When a loss jumps (`loss_jump`)."""

LOSS_JUMPS = "loss jumps"
"""What happened there."""

Quantity = Literal["loss", "gradient", "weights", "activations", "dead", "update", "similarity"]


@dataclass(frozen=True, eq=False)
class Lane:
    """One quantity over steps.

    values  [step, 1], or [step, quantile] in the order of `QUANTILES` for weights and activations; NaN where a value
            is not finite. `dead` is a share of channels, `update` the size of an update relative to the kernel,
            `similarity` debiased linear CKA with the representation at the last step
    """

    quantity: Quantity
    steps: tuple[int, ...]
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Staff:
    """The lanes of one kernel and of the layer that holds it; of the whole network where `kernel` is ""."""

    name: str
    kernel: str
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Break:
    """Where a training broke: the first step of it, in words what happened, and to which layer or parameter ("")."""

    step: int
    what: str
    where: str = ""


@dataclass(frozen=True, eq=False)
class Score:
    """The staves that are shown, in the network's order, the kernels that are not, and what broke, by step."""

    staves: tuple[Staff, ...]
    others: tuple[str, ...]
    breaks: tuple[Break, ...]


def score(run: Run, found: Checkup, similar: Lane | None) -> Score:
    """The score of a run that `found` is the checkup of, and `similar` the lane of `similar_to_last`.

    Raises DataError for arrays that are not of real numbers.
    """
    gradients = _gradients(run, list(found.updates))
    holders = {name: layer for layer in run.network.layers.values() for name in layer.params}
    chosen = _chosen(run, found, holders)
    seen = set[str]()
    staves = list[Staff]()
    for kernel in chosen:
        layer = holders.get(kernel)
        active = None if layer is None else run.network.activation_of(layer) or layer
        lanes = [_weights(run, found, kernel)]
        if active is not None and active.path not in seen:
            seen.add(active.path)
            lanes += _channels(run, found, active)
        lanes += _updates(found, kernel)
        lanes += _lines(run, "gradient", gradients.get(kernel, ""))
        if layer is not None and active is not None and run.embed_layer in (layer.path, active.path):
            seen.add(run.embed_layer)
            lanes += [similar] if similar is not None else []
        alone = layer is not None and sum(holders.get(name) is layer for name in found.updates) == 1
        staves.append(Staff(layer.path if alone and layer is not None else kernel, kernel, tuple(lanes)))
    if run.embed_layer is not None and run.embed_layer not in seen and similar is not None:
        staves.append(Staff(run.embed_layer, "", (similar,)))
    if whole := (*_lines(run, "loss", "train_loss"), *_lines(run, "gradient", gradients.get("", ""))):
        staves.insert(0, Staff("Whole network", "", whole))
    return Score(tuple(staves), tuple(name for name in found.updates if name not in chosen), breaks(run, found))


def breaks(run: Run, found: Checkup) -> tuple[Break, ...]:
    """Where the training broke, by step: each kind once, where it began."""
    broken = list[Break]()
    if found.loss:
        broken.append(Break(found.loss[0], "training loss not finite"))
    if found.broken:
        broken.append(Break(found.broken[0].step, "parameters not finite", found.broken[0].name))
    if found.broken_layer:
        epoch, health = found.broken_layer
        step = next(step for step, seen in run.observations.items() if seen.epoch == epoch)
        broken.append(Break(step, "activations not finite", health.path))
    rows = [(row["step"], row["train_loss"]) for row in run.steps if "train_loss" in row]
    jump = loss_jump(np.array([loss for _, loss in rows], np.float64))
    if jump is not None:
        broken.append(Break(int(rows[jump][0]), LOSS_JUMPS))
    died = [
        (found.steps[place], path)
        for path, health in found.channels.items()
        for place, one in enumerate(health)
        if 1 < one.channels == len(one.dead)
    ]
    if died:
        broken.append(Break(*(min(died)[0], "all channels dead", min(died)[1])))
    return tuple(sorted(broken, key=lambda one: one.step))


def loss_jump(losses: np.ndarray) -> int | None:
    """Index of the first of `AFTER` losses whose median lies far above that of the `BEFORE` losses before; or None.

    Far: by six standard deviations of those before (1.4826 times their median absolute deviation), by a tenth of
    their median, and by a tenth of the range that such medians have had so far. Only losses before the first that is
    not finite are looked at.

    >>> loss_jump(np.r_[np.linspace(2, 0.5, 200), np.full(20, 3.0)])
    200
    """
    broken = np.flatnonzero(~np.isfinite(losses))
    losses = losses[: broken[0]] if len(broken) else losses
    if len(losses) < BEFORE + AFTER:
        return None
    windows = np.lib.stride_tricks.sliding_window_view
    before = windows(losses, BEFORE)[:-AFTER]
    usual = np.median(before, axis=1)
    spread = np.empty_like(usual)
    for start in range(0, len(before), 20_000):  # of 200,000 updates all windows at once take hundreds of megabytes
        part = slice(start, start + 20_000)
        spread[part] = 1.4826 * np.median(np.abs(before[part] - usual[part, None]), axis=1)
    width = np.maximum.accumulate(usual) - np.minimum.accumulate(usual)
    rise = np.median(windows(losses[BEFORE:], AFTER), axis=1)[: len(usual)] - usual
    far = (rise > SIGMAS * spread) & (rise > SHARE * np.abs(usual)) & (rise > SHARE * width)
    if not far.any():
        return None
    first = BEFORE + int(far.argmax())  # the window's median is high once most of it is: the first high one in it
    bound = usual[first - BEFORE] + rise[first - BEFORE] / 2
    return first + int((losses[first : first + AFTER] > bound).argmax())


def _chosen(run: Run, found: Checkup, holders: Mapping[str, Layer]) -> list[str]:
    """At most `STAVES` kernels in the network's order: the first and the last, those where something broke, then
    those of the layers with the largest shares of dead channels, then those with the largest last updates."""
    places = {path: place for place, path in enumerate(run.network.layers)}
    kernels = sorted(found.updates, key=lambda name: places[holders[name].path] if name in holders else len(places))
    broken = {part.name for part in found.broken}

    def rank(name: str) -> tuple[bool, bool, float, float]:
        layer = holders.get(name)
        active = None if layer is None else run.network.activation_of(layer) or layer
        health = found.channels.get(active.path, ()) if active is not None else ()
        dead = len(health[-1].dead) / health[-1].channels if health and health[-1].channels else 0.0
        ratio = found.updates[name][-1].ratio if found.updates[name] else 0.0
        ends = name in (kernels[0], kernels[-1])
        return not ends, name not in broken and dead < 1, -dead, -np.nan_to_num(ratio)

    kept = set(sorted(kernels, key=rank)[:STAVES])
    return [name for name in kernels if name in kept]


def _evenly(steps: Sequence[int], most: int = STEPS) -> list[int]:
    places = np.unique(np.linspace(0, len(steps) - 1, min(most, len(steps))).round().astype(int))
    return [steps[place] for place in places]


def _quantiles(values: np.ndarray) -> list[float]:
    """NaN where a value is not finite."""
    flat = np.ravel(values)
    flat = flat[:: max(1, flat.size // VALUES)].astype(np.float64)
    if not flat.size or not np.isfinite(flat).all():
        return [np.nan] * len(QUANTILES)
    return [float(value) for value in np.quantile(flat, QUANTILES)]


def _weights(run: Run, found: Checkup, kernel: str) -> Lane:
    steps = sorted({*_evenly(list(run.snapshots)), *(part.step for part in found.broken)})
    values = [_quantiles(run.snapshots[step].params[kernel]) for step in steps]
    return Lane("weights", tuple(steps), np.array(values))


def _channels(run: Run, found: Checkup, layer: Layer) -> Iterator[Lane]:
    steps = [step for step in _evenly(found.steps) if layer.path in run.observations[step].maps]
    if steps and layer.shape:
        values = [_quantiles(np.asarray(run.observations[step].maps[layer.path])) for step in steps]
        yield Lane("activations", tuple(steps), np.array(values))
    health = found.channels.get(layer.path, ())
    if health and health[0].channels > 1:
        yield Lane("dead", found.steps, np.array([[len(one.dead) / one.channels] for one in health]))


def _updates(found: Checkup, kernel: str) -> Iterator[Lane]:
    updates = found.updates[kernel]
    if updates:
        yield Lane("update", tuple(one.step for one in updates), np.array([[one.ratio] for one in updates]))


def _lines(run: Run, quantity: Quantity, name: str) -> Iterator[Lane]:
    """A metric over updates, else over epochs, as medians of equally many."""
    for rows in (run.steps, run.epochs):
        known = [(int(row["step"]), float(row[name])) for row in rows if name in row]
        if len(known) < 2:
            continue
        parts = np.array_split(np.arange(len(known)), min(POINTS, len(known)))
        values = np.array([value for _, value in known])
        steps = tuple(known[part[len(part) // 2]][0] for part in parts)
        yield Lane(quantity, steps, np.array([[np.median(values[part])] for part in parts]))
        return


def similar_to_last(run: Run) -> Lane | None:
    """The embedded layer's similarity to itself at the last observation; None where too little was recorded."""
    steps = _evenly([step for step in run.observations if "embedding" in run.observations[step].vectors])
    vectors = [np.asarray(run.observations[step].vectors["embedding"][:EXAMPLES], np.float64) for step in steps]
    if len(vectors) < 2 or len(vectors[-1]) < LEAST or not np.isfinite(vectors[-1]).all():
        return None
    last = narrowed(vectors[-1])
    values = [linear_cka(narrowed(one), last) if np.isfinite(one).all() else None for one in vectors]
    return Lane("similarity", tuple(steps), np.array([[np.nan if value is None else value] for value in values]))


def _gradients(run: Run, kernels: Sequence[str]) -> dict[str, str]:
    """Kernel -> the reported metric of its gradient, and "" -> that of the whole network's.

    A metric is one of a gradient where "grad" begins a part of its name; it is a kernel's where the rest of the name
    holds the kernel's, or that of the layer.
    """
    names = dict.fromkeys(name for row in (*run.steps, *run.epochs) for name in row)
    gradients = dict[str, str]()
    for name in names:
        parts = [part for part in re.split(r"[/._ ]+", name.lower()) if part]
        if not any(part.startswith("grad") for part in parts):
            continue
        text = f"/{'/'.join(parts)}/"
        paths = {kernel: re.sub(r"[._ ]+", "/", kernel.lower()) for kernel in kernels}
        fits = [kernel for kernel, path in paths.items() if f"/{path}/" in text]
        fits = fits or [kernel for kernel, path in paths.items() if f"/{path.rpartition('/')[0]}/" in text]
        gradients.setdefault(max(fits, key=len) if fits else "", name)
    return gradients
