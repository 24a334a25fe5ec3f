"""Parameters, updates and dead channels of the two networks, side by side."""

from collections.abc import Iterator, Mapping
from math import isfinite, nan
from typing import Any

import numpy as np

from reportgen.analysis.checkup import final_health, last_updates
from reportgen.analysis.numerics import as_float64, norm
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.core.run import Run
from reportgen.sections.compare.comparison import SIDES, Comparison
from reportgen.sections.words import NOT_DEFINED, listed, percent, plural

ROWS = 15
_COLUMNS = (
    "Parameter",
    "Size, base",
    "Size, new",
    "Distance",
    "Moved, base",
    "Moved, new",
    "Last update, base",
    "Last update, new",
)


def build(comparison: Comparison) -> Section:
    """Parameters of the same shape against each other, how far each moved, and channels that died."""
    rows = list(_parameters(comparison))
    blocks: list[Block] = []
    if rows:
        caption = (
            "Size: Euclidean norm at the end. Distance: norm of the difference over the mean of both sizes; 0 is the "
            "same, about 1.4 unrelated. Moved: distance from the start of its own training, over the size there. Last "
            "update: of a kernel in the last kept interval, over its size before it."
        )
        most = sorted(range(len(rows)), key=lambda i: (-(rows[i][3] if rows[i][3] is not None else -1), i))[:ROWS]
        shown = [_rounded(rows[i]) for i in (range(len(rows)) if len(rows) <= ROWS else sorted(most))]
        blocks.append(Table("parameters-table", caption, _COLUMNS, tuple(shown), "lrrrrrrr"))
        if len(rows) > ROWS:
            every = Table("parameters-all", caption, _COLUMNS, tuple(map(_rounded, rows)), "lrrrrrrr")
            blocks.append(Fold(f"All {len(rows)} parameters", (every,)))
    dead = _dead(comparison)
    if any(base or new for base, new in dead.values()):
        some = [(path, len(base), len(new)) for path, (base, new) in dead.items() if base or new][:ROWS]
        caption = "Dead channels: always 0 on the evaluation examples (on the probe where ranges were not recorded)."
        blocks.append(Table("parameters-dead", caption, ("Layer", "Base", "New"), tuple(some), "lrr"))
    blocks.append(Text("Parameters are compared by name, in the order of channels that each network has.", "method"))
    columns = ("parameter", "norm_base", "norm_new", "distance", "moved_base", "moved_new", "update_base", "update_new")
    numbers = (
        Numbers("parameters.csv", columns, lambda: ((row[0], *map(_known, row[1:])) for row in rows)),
        Numbers("dead_channels.csv", ("layer", "side", "channel"), lambda: _dead_rows(dead)),
    )
    return Section(
        "parameters", "Parameters, updates, dead channels", _finding(comparison, rows, dead), tuple(blocks), numbers
    )


def _parameters(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    ends = [_ends(run) for run in (comparison.base, comparison.new)]
    updates = [last_updates(run) for run in (comparison.base, comparison.new)]
    (start_a, end_a), (start_b, end_b) = ends
    alone = [name for name in dict.fromkeys([*end_a, *end_b]) if name not in end_a or name not in end_b]
    reshaped = []
    for name in end_a:
        if name not in end_b:
            continue
        if end_a[name].shape != end_b[name].shape:
            reshaped.append(name)
            continue
        first, second = as_float64(end_a[name], name), as_float64(end_b[name], name)
        sizes = norm(first), norm(second)
        mean = (sizes[0] + sizes[1]) / 2
        distance = norm(second - first) / mean if mean > 0 and isfinite(mean) else (0.0 if mean == 0 else None)
        moved = [_moved(start.get(name), end) for start, end in ((start_a, first), (start_b, second))]
        last = [u[name].ratio if name in u else None for u in updates]
        yield name, *sizes, distance, *moved, *last
    if alone:
        comparison.lacks(f"Parameters that only one of the networks has were not compared: {listed(alone, 3)}")
    if reshaped:
        comparison.lacks(f"Parameters of other shapes were not compared: {listed(reshaped, 3)}")


def _ends(run: Run) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    return run.snapshots[min(run.snapshots)].params, run.snapshots[max(run.snapshots)].params


def _moved(start: np.ndarray | None, end: np.ndarray) -> float | None:
    if start is None or start.shape != end.shape:
        return None
    begun = as_float64(start, "a parameter")
    size = norm(begun)
    return norm(end - begun) / size if size > 0 else None


def _dead(comparison: Comparison) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    found = [{health.path: health.dead for health in final_health(run)} for run in (comparison.base, comparison.new)]
    return {path: (dead, found[1][path]) for path, dead in found[0].items() if path in found[1]}


def _finding(comparison: Comparison, rows: list[tuple[Any, ...]], dead: Mapping[str, Any]) -> str:
    counts = [sum(len(pair[side]) for pair in dead.values()) for side in range(2)]
    channels = f"{plural(counts[0], 'dead channel')} in base, {counts[1]:,} in new"
    channels = "No channel is dead in either network" if not any(counts) else channels
    known = [(row[3], row[0]) for row in rows if row[3] is not None and isfinite(row[3])]
    if not known:
        return f"No parameter can be compared by its values. {channels}."
    if not any(distance for distance, _ in known):
        return f"All {plural(len(known), 'parameter')} are equal. {channels}."
    equal = [name for distance, name in known if distance == 0]
    same = f"; equal: {listed(equal, 3)}" if equal else ""
    distance, name = max(known, key=lambda pair: pair[0])
    return f"{name} differs most, by {percent(distance)} of its size{same}. {channels}."


def _rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """As the table shows it: what started at 0 has not moved by a share of it, and updates are those of kernels."""
    return (row[0], *(NOT_DEFINED if x is None else short_number(x) if isfinite(x) else "not finite" for x in row[1:]))


def _known(value: float | None) -> float | None:
    return value if value is not None and isfinite(nan if value is None else value) else None


def _dead_rows(dead: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> Iterator[tuple[Any, ...]]:
    for path, pair in dead.items():
        for side, channels in zip(SIDES, pair, strict=True):
            for channel in channels:
                yield path, side, channel
