"""Every metric of both sides on one axis; several seeds as their mean in a band from the least to the largest."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.origins import finite
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table, Text
from reportgen.core.run import Run
from reportgen.figures.chart import chart
from reportgen.figures.curves import beside
from reportgen.sections.compare.comparison import SIDES, Comparison
from reportgen.sections.compare.verdict import amount, p_text
from reportgen.sections.words import others, percent, slug

SHOWN = 2
MOST = 24
STEPS = 600
"""Points of a curve of updates; of more, the medians of neighbours are drawn."""


def build(comparison: Comparison) -> Section | None:
    """A chart per metric, the most telling first; None where the two sides have no metric in common."""
    names = _names(comparison)
    every = [_chart(comparison, name, number) for number, name in enumerate(names[:MOST])]
    figures = [figure for figure in every if figure is not None]
    if not figures:
        comparison.lacks("No curves: the two sides reported no metric in common")
        return None
    blocks: list[Block] = [*figures[:SHOWN]]
    if comparison.has_seeds and comparison.seeds:
        blocks.append(_seeds_table(comparison))
    if figures[SHOWN:]:
        blocks.append(Fold(others(len(figures) - SHOWN, "metric"), tuple(figures[SHOWN:])))
    if comparison.has_seeds:
        blocks.append(Text(_seeds_method(comparison), "method"))
    numbers = Numbers(
        "curves.csv", ("metric", "side", "run", "step", "epoch", "value"), lambda: _rows(comparison, names)
    )
    return Section("curves", "Curves", _finding(comparison), tuple(blocks), (numbers,))


def _names(comparison: Comparison) -> list[str]:
    """Metrics that every run has, those of evaluation first."""
    sides = [[set().union(*(row for row in (*run.epochs, *run.steps))) for run in side] for side in comparison.sides]
    both = set.intersection(*(names for side in sides for names in side)) - {"step", "epoch"}
    return sorted(
        both, key=lambda name: (name != "val_accuracy", name != "val_loss", not name.startswith("val_"), name)
    )


def _points(run: Run, name: str, axis: str) -> tuple[np.ndarray, np.ndarray]:
    """(place on the axis, value) of a metric: per epoch, else per update."""
    rows = [row for row in run.epochs if name in row]
    if len(rows) < 2 and axis == "step":
        rows = [row for row in run.steps if name in row]
    if len(rows) > 1 or axis == "step":
        return np.array([row[axis] for row in rows], float), np.array([row[name] for row in rows], float)
    ends = [(row["step"], row["epoch"]) for row in run.epochs] or [(0, 0), (max(run.snapshots), 1)]
    rows = [row for row in run.steps if name in row]
    steps, epochs = np.array(ends, float).T
    return np.interp([row["step"] for row in rows], steps, epochs), np.array([row[name] for row in rows], float)


def _chart(comparison: Comparison, name: str, number: int) -> Figure | None:
    # Epochs of a replay may be its checkpoints, which are none of the other's epochs.
    axis = "step" if any(run.stage != "epoch" for side in comparison.sides for run in side) else "epoch"
    series = [[_points(run, name, axis) for run in side] for side in comparison.sides]
    places = np.unique(np.concatenate([at for side in series for at, _ in side]))
    if len(places) < 2:
        return None
    if len(places) > STEPS:
        places = np.unique(places[np.linspace(0, len(places) - 1, STEPS).round().astype(int)])
    drawn, bands, rated = {}, {}, name.endswith("accuracy") and _are_shares(series)
    for side, runs in zip(SIDES, series, strict=True):
        values = np.stack([_at(places, at, column) for at, column in runs])
        known = np.isfinite(values).all(axis=0)
        middle, low, high = (np.full(len(places), np.nan) for _ in range(3))
        middle[known] = values[:, known].mean(axis=0)
        low[known], high[known] = values[:, known].min(axis=0), values[:, known].max(axis=0)
        ends = np.stack([low, high])
        # Near 1, what differs is the error.
        drawn[side] = 100 - 100 * middle if rated else middle
        if len(runs) > 1:
            bands[side] = 100 - 100 * ends[::-1] if rated else ends
    seeds = "; the band is from the least to the largest run, the line their mean" if bands else ""
    return chart(
        f"curves-{number}-{slug(name)}",  # two metrics may have one slug
        beside(places, drawn, f"Error, 100 − {name}, %" if rated else name, bands, axis),
        alt=f"{name} of base and new over the training.",
        caption=f"{name} of base (grey) and new (blue) over the training{seeds}. Both are on one axis of {axis}s.",
        wide=True,
    )


def _are_shares(series: list[list[tuple[np.ndarray, np.ndarray]]]) -> bool:
    values = np.concatenate([column for side in series for _, column in side])
    return not (values > 1).any()


def _at(places: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values at the places between its own first and last, NaN beyond."""
    if not len(at):
        return np.full(len(places), np.nan)
    return np.asarray(np.interp(places, at, values, left=np.nan, right=np.nan))


def _finding(comparison: Comparison) -> str:
    sides = [comparison.measures.get("val_accuracy", ((), ()))[i] for i in range(2)]
    best = [
        max((row["val_accuracy"], -row["epoch"]) for row in run.epochs if finite(row.get("val_accuracy")))
        for run in (comparison.base, comparison.new)
        if any(finite(row.get("val_accuracy")) for row in run.epochs)
    ]
    if not all(sides) or len(best) < 2 or comparison.has_seeds or comparison.other_tasks is not None:
        return ""
    when = [f"after epoch {-best[side][1]:.0f} in {name} ({percent(best[side][0])})" for side, name in enumerate(SIDES)]
    return f"Accuracy on the evaluation examples was highest {when[0]} and {when[1]}."


def _seeds_table(comparison: Comparison) -> Table:
    rows = []
    for name, result in comparison.seeds.items():
        low, high = (None, None) if result.interval is None else (amount(name, end) for end in result.interval)
        middle = [float(np.mean(values)) for values in (result.before, result.after)]
        spread = [float(np.std(v, ddof=1)) if len(v) > 1 else None for v in (result.before, result.after)]
        rows.append(
            (
                name,
                middle[0],
                spread[0],
                middle[1],
                spread[1],
                amount(name, result.difference),
                low,
                high,
                p_text(result.p),
            )
        )
    columns = ("Metric", "Base, mean", "spread", "New, mean", "spread", "Difference", "from", "to", "Mann-Whitney")
    return Table(
        "curves-seeds",
        "The runs of both sides at their end. Spread: standard deviation over the runs. From, to: "
        "95\N{NO-BREAK SPACE}% interval for the difference of the means.",
        columns,
        tuple(rows),
        "lrrrrrrrr",
    )


def _seeds_method(comparison: Comparison) -> str:
    result = next(iter(comparison.seeds.values()), None)
    least = (
        ""
        if result is None
        else f" With so many runs it can't be smaller than {result.least_p:.2g}, whatever the values."
    )
    return (
        "The interval is Welch's t, which takes the runs' values for normally distributed. Mann-Whitney's exact test "
        "assumes no "
        f"distribution.{least} The metrics are not corrected for their number."
    )


def _rows(comparison: Comparison, names: list[str]) -> Iterator[tuple[Any, ...]]:
    for name in names:
        for side, runs in zip(SIDES, comparison.sides, strict=True):
            for number, run in enumerate(runs):
                for row in (*run.steps, *run.epochs):
                    if name in row:
                        value = row[name]
                        yield name, side, number, row["step"], row["epoch"], value if finite(value) else None
