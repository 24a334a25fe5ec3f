"""What the filters became: parameters and their change between two snapshots, kernel by kernel."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.analysis.diffs import ParamDiff
from reportgen.core.numbers import short_number
from reportgen.core.report import Figure, FigureRow, Mosaic, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.kernels import KernelTiles, kernel_tiles
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import DIVERGING, colorbar, symmetric
from reportgen.figures.scatter import scatter_change
from reportgen.page.mosaic import scale
from reportgen.sections.context import Context
from reportgen.sections.limits import coarse
from reportgen.sections.words import percent, plural


def build(context: Context) -> Section | None:
    """Every kernel at the later step, and its change since the earlier one, as heatmaps."""
    diffs = context.diffs
    if not diffs:
        return None
    start, end = context.options.from_step, context.options.to_step
    rows = [_figures(context, diff, start, end) for diff in diffs if diff.before.ndim >= 2]
    method = Text(
        f"Change is the value at step {end} minus the value at step {start}, computed in 64-bit floats. White is 0; "
        "red is negative, blue positive; each heatmap has its own symmetric range, printed beside it.",
        "method",
    )
    return Section(
        "parameters",
        f"Parameters and their change, step {start} to step {end}",
        _finding(diffs, start, end),
        (*rows, _table(diffs, start), method),
        (Numbers("diffs.csv", _COLUMNS, lambda: _rows(diffs, start, end)),),
    )


def build_scatter(context: Context) -> Section | None:
    """Value before against change, a panel per kernel; None when nothing moved."""
    kernels = [diff for diff in context.diffs if diff.before.ndim >= 2]
    if not kernels or all(not diff.max_abs for diff in kernels):
        return None
    start, end = context.options.from_step, context.options.to_step
    value = _value(start)
    panels = tuple(_scatter(context, diff) for diff in kernels)
    known = [(diff.correlation, diff.name) for diff in kernels if diff.correlation is not None]
    finding = f"No kernel has a correlation between {value} and change."
    if known:
        low, high = min(known), max(known)
        away = sum(diff.away for diff in kernels) / max(sum(diff.away + diff.toward for diff in kernels), 1)
        finding = (
            f"Of all kernel weights that moved, {percent(away)} grew away from zero; the correlation of {value} "
            f"and change runs from {_signed(low[0])} ({low[1]}) to {_signed(high[0])} ({high[1]})."
        )
    method = Text(
        "A negative correlation means that large values shrank, as weight decay or regression to the mean "
        "would have it; one near 0 that training moved weights without regard to where they started. Counts: "
        "positive weights that increased and negative that decreased grew away from zero, the others towards or "
        "through it.",
        "method",
    )
    return Section(
        "change",
        f"{value[0].upper()}{value[1:]} against change, step {start} to step {end}",
        finding,
        (FigureRow(panels), method),
    )


def _scatter(context: Context, diff: ParamDiff) -> Figure:
    return chart(
        f"change-{context.slug(diff.name)}",
        scatter_change(diff.before, diff.delta, diff.name, diff.correlation),
        alt=_moved(diff),
        caption=_moved(diff),
    )


def _figures(context: Context, diff: ParamDiff, start: int, end: int) -> FigureRow:
    name = context.slug(diff.name)
    shape = "×".join(map(str, diff.before.shape))
    kept = _kept(diff, context.limits.channels)
    outputs = diff.before.shape[-1]
    fewer = "" if len(kept) == outputs else f" Shown are the {len(kept)} of {outputs} that changed most."
    pair = []
    for kind, values, words in (
        ("value", diff.after, f"at step {end}"),
        ("change", diff.delta, f"change from step {start} to step {end}"),
    ):
        laid_out = kernel_tiles(values[..., kept])
        low, high = symmetric(values)
        picture = _mosaic(laid_out, low, high, kept, context.limits.levels)
        bar = colorbar(DIVERGING, low, high)
        caption = (
            f"{diff.name} {words}, {shape}. {laid_out.reading}{fewer}" if kind == "value" else f"{diff.name}, {words}."
        )
        pair.append(
            Figure(
                f"parameters-{name}-{kind}",
                picture,
                f"{diff.name} {words}: values from {bar.low} to {bar.high}."
                if kind == "value"
                else f"{diff.name} {words}: {_moved(diff)}",
                caption,
                bar,
                picture_export(picture, bar),
                wide=True,
            )
        )
    return FigureRow(tuple(pair), diff.name)


def _kept(diff: ParamDiff, limit: int | None) -> list[int]:
    """Output channels to show, in order: all, or of a convolution the `limit` with the largest mean change."""
    outputs = diff.before.shape[-1]
    if limit is None or outputs <= limit or diff.before.ndim < 3:
        return list(range(outputs))
    moved = np.abs(np.where(np.isfinite(diff.delta), diff.delta, 0.0)).reshape(-1, outputs).mean(axis=0)
    return sorted(np.argsort(-moved, kind="stable")[:limit].tolist())


def _mosaic(laid_out: KernelTiles, low: float, high: float, kept: list[int], levels: int | None) -> Mosaic:
    """The tiles at a size that lets value and change stand side by side; each across the page where that is 1:1."""
    tiles, labels = coarse(laid_out.tiles, low, high, levels), laid_out.labels
    labels = tuple(str(c) for c in kept) if len(labels) == len(kept) > 1 else ("",) if len(labels) == 1 else labels
    picture = mosaic(tiles, low, high, DIVERGING, labels=labels, gap=laid_out.gap, stand="half")
    return picture if scale(picture) > 1 else replace(picture, stand="full")


def _moved(diff: ParamDiff) -> str:
    if diff.mean_abs is None:
        return f"{diff.name}: no finite difference."
    text = (
        f"{plural(diff.increased, 'weight')} increased and {diff.decreased:,} decreased, by "
        f"{short_number(diff.mean_abs)} on average and {short_number(diff.max_abs or 0.0)} at most; "
        f"{diff.away:,} grew away from zero, {diff.toward:,} towards it."
    )
    return text + (f" {diff.non_finite:,} are not finite." if diff.non_finite else "")


def _finding(diffs: tuple[ParamDiff, ...], start: int, end: int) -> str:
    moved = [diff for diff in diffs if diff.before.ndim >= 2 and _relative(diff) is not None]
    broken = sum(diff.non_finite for diff in diffs)
    if broken:
        return f"{plural(broken, 'parameter')} of {sum(diff.size for diff in diffs):,} are not finite at step {end}."
    if not moved or all(not diff.max_abs for diff in moved):
        return f"No kernel changed between step {start} and step {end}."
    most, least = (f(moved, key=lambda diff: _relative(diff) or 0.0) for f in (max, min))
    size = f"size at step {start}" if start else "initial size"
    text = f"{most.name} changed most: by {percent(_relative(most) or 0.0)} of its {size} (mean absolute values)"
    return f"{text}; {least.name} least, by {percent(_relative(least) or 0.0)}." if least is not most else f"{text}."


def _relative(diff: ParamDiff) -> float | None:
    """Mean absolute change / mean absolute value before; None where either is missing or 0."""
    finite = np.abs(diff.before[np.isfinite(diff.before)])
    size = float(finite.mean()) if finite.size else 0.0
    return None if diff.mean_abs is None or size == 0 else diff.mean_abs / size


def _signed(value: float | None) -> str:
    return "no data" if value is None else f"{value:.2f}".replace("-", "−")


def _value(start: int) -> str:
    return f"value at step {start}" if start else "initial value"


def _table(diffs: tuple[ParamDiff, ...], start: int) -> Table:
    return Table(
        "parameters-table",
        f"Change of every parameter. Correlation: Pearson's, of {_value(start)} and change.",
        ("Parameter", "Elements", "Mean", "Mean abs.", "Max abs.", "Increased", "Decreased", "Correlation"),
        tuple(
            (
                diff.name,
                diff.size,
                *(None if v is None else short_number(v) for v in (diff.mean, diff.mean_abs, diff.max_abs)),
                diff.increased,
                diff.decreased,
                None if diff.correlation is None else _signed(diff.correlation),
            )
            for diff in diffs
        ),
        "lrrrrrrr",
    )


_COLUMNS = (
    *("param", "from_step", "to_step", "mean", "mean_abs", "max_abs", "increased", "decreased"),
    *("init_delta_correlation", "elements", "away_from_zero", "towards_zero", "non_finite"),
)


def _rows(diffs: tuple[ParamDiff, ...], start: int, end: int) -> Iterator[tuple[Any, ...]]:
    for d in diffs:
        yield (
            *(d.name, start, end, d.mean, d.mean_abs, d.max_abs, d.increased, d.decreased),
            *(d.correlation, d.size, d.away, d.toward, d.non_finite),
        )
