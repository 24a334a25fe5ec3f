"""What two runs had differently on the way in, and where their trainings parted.

    result = origins(before, after)
    result.settings, result.layers, result.examples["evaluation"], result.parting, result.frozen

Everything is read from the two runs; what neither holds can't be compared. "Equal" allows for rounding: `ROUNDING` of
the largest magnitude, as another number of processor cores gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from math import isfinite
from typing import Any

import numpy as np

from reportgen.analysis.numerics import as_float64, correlation, norm
from reportgen.core.examples import common, fingerprints_of
from reportgen.core.network import Layer, Network
from reportgen.core.run import CLOCK, Batch, Run

OF_ITS_OWN = (*CLOCK, "command", "snapshots_kept", "snapshots_thinned")
"""Circumstances that may differ between any two runs: what was asked for stands in the configuration, and which updates
were kept can depend on the time they took."""

ROUNDING = 1e-6
COARSE = {"float16": 1e-3, "bfloat16": 1e-2}
"""The same where one of two arrays is of a type with fewer digits."""

ALONG = 0.99
"""Correlation from which on two changes are said to point the same way."""

MOMENTS = 1000
"""Inputs of which the mean and the spread are taken."""


@dataclass(frozen=True)
class Setting:
    """A named value that differs; None on the side that does not have it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class LayerChange:
    """A layer that is not the same in both networks: None on the side that does not have it."""

    before: Layer | None
    after: Layer | None


@dataclass(frozen=True)
class ExamplesChange:
    """A batch of one run against the same batch of the other.

    sizes        examples in each
    shared       examples that both have, by their fingerprints; None where a run has none
    in_order     whether the shared ones are all, in one order
    relabelled   (label before, label after, count) of shared examples whose label differs, most frequent first
    counts       per label, the examples of each; empty without labels or with other classes
    rescaled     (factor, offset) where inputs after = factor * inputs before + offset; None where they are equal or
                 differ otherwise
    """

    sizes: tuple[int, int]
    shared: int | None
    in_order: bool
    relabelled: tuple[tuple[int, int, int], ...]
    counts: tuple[tuple[int, ...], tuple[int, ...]]
    rescaled: tuple[float, float] | None


@dataclass(frozen=True)
class Parting:
    """Where two trainings of one architecture part.

    same_until   the last step at which all parameters are equal; None where they differ from the first on
    step         the first step at which some differ; None where they never do
    names        the parameters that differ there
    of           number of parameters (arrays); where they differ from the first step on, without those that are one
                 constant in both, as biases are before training: they tell nothing
    loss         (step, before, after) of the first reported training loss that differs
    equal_losses updates before that whose losses both reported
    update       where the first update differs and no loss does up to it: "larger" by `factor` in the same direction,
                 "decay" where the difference is `factor` times the parameters, or "other"
    """

    same_until: int | None
    step: int | None
    names: tuple[str, ...]
    of: int
    loss: tuple[int, float, float] | None
    equal_losses: int = 0
    update: str = ""
    factor: float = 0.0


@dataclass(frozen=True)
class Origins:
    """The differences. `parting` is None where parameters or steps can't be compared.

    seeds    "equal" or "different" by the settings that have "seed" in their name; "" where neither run has one
    frozen   names of variables ("params/hidden/kernel") that a training left as they were while the other changed them:
             those of the first, and of the second
    dtypes   (name, type before, type after) of parameters whose type differs
    """

    settings: tuple[Setting, ...]
    circumstances: tuple[Setting, ...]
    seeds: str
    layers: tuple[LayerChange, ...]
    examples: Mapping[str, ExamplesChange]
    steps: tuple[int, int]
    epochs: tuple[int, int]
    parting: Parting | None
    frozen: tuple[tuple[str, ...], tuple[str, ...]]
    dtypes: tuple[tuple[str, str, str], ...]

    @property
    def one_configuration(self) -> bool:
        """Whether nothing that the runs recorded differs but seeds, the order of the batches, and what follows."""
        settings = [setting for setting in self.settings if not _is_seed(setting.name)]
        examples = [
            change
            for change in self.examples.values()
            if change.relabelled
            or change.rescaled
            or change.shared not in (None, *change.sizes)
            or len({*change.sizes}) > 1
        ]
        found = (settings, self.circumstances, self.layers, examples, self.dtypes, *self.frozen)
        return not any(found) and self.steps[0] == self.steps[1] and self._parts_as_by_chance

    @property
    def _parts_as_by_chance(self) -> bool:
        """Whether the trainings part as other seeds or another order of the batches make them."""
        found = self.parting
        if found is None or found.step is None or self.seeds == "different":
            return True
        if found.same_until is None:
            return self.seeds != "equal"
        return found.update not in ("larger", "decay") and not found.equal_losses


def origins(before: Run, after: Run) -> Origins:
    """Compare two runs as they were begun and trained. Raises DataError for arrays that do not hold real numbers."""
    first, second = before.snapshots[min(before.snapshots)], after.snapshots[min(after.snapshots)]
    types = [{name: str(array.dtype) for name, array in snapshot.params.items()} for snapshot in (first, second)]
    changed = [_changed(run) for run in (before, after)]
    both = changed[0].keys() & changed[1].keys()
    frozen = [[n for n in ours if n in both and not ours[n] and theirs[n]] for ours, theirs in (changed, changed[::-1])]
    return Origins(
        settings=differing(before.config, after.config),
        circumstances=tuple(s for s in differing(before.provenance, after.provenance) if s.name not in OF_ITS_OWN),
        seeds=_seeds(before.config, after.config),
        layers=layer_changes(before.network, after.network),
        examples={
            name: _examples(before.batches[name], after.batches[name], before.classes == after.classes)
            for name in before.batches
            if name in after.batches
        },
        steps=(max(before.snapshots), max(after.snapshots)),
        epochs=(_epochs(before), _epochs(after)),
        parting=parting(before, after),
        frozen=(tuple(frozen[0]), tuple(frozen[1])),
        dtypes=tuple((n, types[0][n], types[1][n]) for n in types[0] if types[1].get(n, types[0][n]) != types[0][n]),
    )


def differing(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> tuple[Setting, ...]:
    """The values that differ, by their dotted names."""
    found: list[Setting] = []
    for name in dict.fromkeys([*before, *after]):
        first, second = before.get(name), after.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            found += differing(first, second, f"{prefix}{name}.")
        elif first != second:
            found.append(Setting(f"{prefix}{name}", first, second))
    return tuple(found)


def _is_seed(name: str) -> bool:
    return "seed" in name.lower()


def _seeds(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if any(_is_seed(setting.name) for setting in differing(before, after)):
        return "different"
    return "equal" if any(_is_seed(setting.name) for setting in differing(before, {})) else ""


def layer_changes(before: Network, after: Network) -> tuple[LayerChange, ...]:
    """The layers that were added, removed or changed, in call order; one in place of another counts as changed."""
    first, second = list(before.layers), list(after.layers)
    found = []
    for kind, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        for place in range(max(b - a, d - c)):
            pair = (
                before.layers[first[a + place]] if a + place < b else None,
                after.layers[second[c + place]] if c + place < d else None,
            )
            if kind != "equal" or (pair[0] and pair[1] and _kind(pair[0]) != _kind(pair[1])):
                found.append(LayerChange(*pair))
    return tuple(found)


def _kind(layer: Layer) -> tuple[Any, ...]:
    return layer.op, layer.shape, layer.dtype, dict(layer.params), layer.alias_of, layer.tied_to


def _examples(before: Batch, after: Batch, same_classes: bool) -> ExamplesChange:
    known = fingerprints_of(before), fingerprints_of(after)
    sizes, shared, in_order = (before.size, after.size), None, False
    relabelled: tuple[tuple[int, int, int], ...] = ()
    labelled = same_classes and len(before.labels) > 0 and len(after.labels) > 0
    if known[0] is not None and known[1] is not None:
        here, there = common(known[0], known[1])
        shared, in_order = len(here), len(here) == sizes[0] == sizes[1] and bool((here == there).all())
        if labelled:
            pairs = np.stack([before.labels[here], after.labels[there]], axis=1)
            rows, counts = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            relabelled = tuple((int(rows[i][0]), int(rows[i][1]), int(counts[i])) for i in order)
    classes = max((int(b.labels.max(initial=-1)) + 1 for b in (before, after)), default=0)
    per_label = [tuple(map(int, np.bincount(b.labels, minlength=classes))) if labelled else () for b in (before, after)]
    return ExamplesChange(sizes, shared, in_order, relabelled, (per_label[0], per_label[1]), _rescaled(before, after))


def _rescaled(before: Batch, after: Batch) -> tuple[float, float] | None:
    """(factor, offset) that make the first inputs of one batch those of the other."""
    first, second = before.images, after.images
    if first.shape[1:] != second.shape[1:] or not len(first) or not len(second):
        return None
    count = min(len(first), len(second), MOMENTS)
    x, y = (as_float64(images[:count], "the inputs").reshape(-1) for images in (first, second))
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or not x.std() or np.array_equal(x, y):
        return None
    factor = float(((x - x.mean()) * (y - y.mean())).mean() / x.var())
    offset = float(y.mean() - factor * x.mean())
    return (factor, offset) if _equal(factor * x + offset, y, 1e-3) else None


def _epochs(run: Run) -> int:
    return max((row.epoch for row in run.metrics.epochs), default=0)


def _changed(run: Run) -> dict[str, bool]:
    """For each variable of the first and the last snapshot, whether the two differ; empty for a run of one snapshot."""
    first, last = run.snapshots[min(run.snapshots)].variables, run.snapshots[max(run.snapshots)].variables
    if len(run.snapshots) < 2:
        return {}
    return {
        f"{kind}/{name}": not np.array_equal(tree[name], last[kind][name], equal_nan=True)
        for kind, tree in first.items()
        for name in tree
        if name in last.get(kind, ())
    }


def parting(before: Run, after: Run) -> Parting | None:
    """Where the two trainings part; None for other parameters, or no step that both have.

    Reads about log2 of the steps.
    """
    steps = [step for step in before.snapshots if step in after.snapshots]
    if not steps:
        return None
    shapes = [{n: a.shape for n, a in run.snapshots[steps[0]].params.items()} for run in (before, after)]
    if shapes[0] != shapes[1]:
        return None

    def differ(step: int) -> tuple[str, ...]:
        pairs = {n: (array, after.snapshots[step].params[n]) for n, array in before.snapshots[step].params.items()}
        return tuple(name for name, pair in pairs.items() if not _equal(*pair, _rounding(*pair)))

    (loss, equal), of = _first_loss(before, after), len(shapes[0])
    if names := differ(steps[0]):
        start = before.snapshots[steps[0]].params
        telling = sum(name in names or len(np.unique(start[name])) > 1 for name in start)
        return Parting(None, steps[0], names, telling, loss, equal)
    if not differ(steps[-1]):
        return Parting(steps[-1], None, (), of, loss, equal)
    low, high = 0, len(steps) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if differ(steps[middle]) else (middle, high)
    found = Parting(steps[low], steps[high], differ(steps[high]), of, loss, equal)
    if steps[high] - steps[low] > 1 or (loss is not None and loss[0] <= steps[high]):
        return found
    kind, factor = _update(before, after, steps[low], steps[high])
    return replace(found, update=kind, factor=factor)


def _first_loss(before: Run, after: Run) -> tuple[tuple[int, float, float] | None, int]:
    """(the first loss that differs, how many before it do not)."""
    losses = [
        {int(row["step"]): float(row["train_loss"]) for row in run.steps if "train_loss" in row}
        for run in (before, after)
    ]
    steps = sorted(losses[0].keys() & losses[1].keys())
    for place, step in enumerate(steps):
        first, second = losses[0][step], losses[1][step]
        if first != second and not abs(first - second) <= 1e-5 * max(abs(first), abs(second)):
            return (step, first, second), place
    return None, len(steps)


def _update(before: Run, after: Run, start: int, end: int) -> tuple[str, float]:
    """(kind, factor) of the first update that differs, see `Parting.update`."""
    origin = before.snapshots[start].params
    moved = [
        np.concatenate([_flat(run.snapshots[end].params[n]) - _flat(origin[n]) for n in origin])
        for run in (before, after)
    ]
    if not all(np.isfinite(values).all() for values in moved) or not norm(moved[0]) or not norm(moved[1]):
        return "other", 0.0
    weights = np.concatenate([_flat(origin[n]) for n in origin])
    extra = moved[1] - moved[0]
    if _along(weights, extra):  # first: a small decay hardly turns the update
        return "decay", float(extra @ weights / (weights @ weights))
    return ("larger", norm(moved[1]) / norm(moved[0])) if _along(moved[0], moved[1]) else ("other", 0.0)


def _along(first: np.ndarray, second: np.ndarray) -> bool:
    return abs(correlation(first, second) or 0.0) >= ALONG


def _flat(values: np.ndarray) -> np.ndarray:
    return as_float64(values, "a parameter").reshape(-1)


def _rounding(first: np.ndarray, second: np.ndarray) -> float:
    if first.dtype == second.dtype:
        return ROUNDING
    return max(COARSE.get(array.dtype.name, ROUNDING) for array in (first, second))


def _equal(first: np.ndarray, second: np.ndarray, rounding: float) -> bool:
    a, b = (as_float64(values, "a parameter") for values in (first, second))
    largest = max(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) for values in (a, b))
    with np.errstate(invalid="ignore"):
        return bool(((np.abs(a - b) <= rounding * largest) | (a == b) | (np.isnan(a) & np.isnan(b))).all())


def finite(value: Any) -> bool:
    """Whether it is a number that is neither NaN nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
