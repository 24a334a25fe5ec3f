"""The parameters: every kernel as heatmaps, at one moment or at two with the change between them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.analysis.diffs import ParamDiff, change
from reportgen.core.network import Layer, Role, is_kernel
from reportgen.core.numbers import decimals, short_number
from reportgen.core.report import Block, Figure, FigureRow, Mosaic, Numbers, Section, Table, Text, folded
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.kernels import HEATMAP, KernelTiles, head_tiles, kernel_tiles
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import DIVERGING, colorbar, symmetric
from reportgen.figures.scatter import DOTS_UP_TO, scatter_change
from reportgen.page.mosaic import fits, scale
from reportgen.sections.context import PageContext
from reportgen.sections.limits import Limits, coarse
from reportgen.sections.maps import by_module
from reportgen.sections.options import Moment
from reportgen.sections.words import NOT_DEFINED, percent, plural

_READING = (
    "White is 0; red is negative, blue positive; each heatmap has its own symmetric range, printed beside it. A filter "
    "in colour shows its weights for red, green and blue: mid-grey is 0, brighter positive, darker negative."
)


def build(context: PageContext) -> Section | None:
    """Every kernel as a heatmap, and its change since the moment before where there is one."""
    before, now = context.before, context.now
    kernels = [name for name in context.kernels if is_kernel(name, now.forms[name].shape)]
    first = _first_layer(context)
    if before is None:
        if not kernels and first is None:
            return None
        layers, holders = context.network.layers, context.holders
        named = [(name, holders[name]) for name in kernels if name in holders and context.draws(holders[name])]
        parts = [(layers[holder], (_row(context, name, None),)) for name, holder in named]
        blocks: list[Block] = [*([_colored(context, first)] if first else []), *by_module(parts)]
        finding = _largest_filter(context, first) if first else f"The weights of {plural(len(kernels), 'kernel')}."
        return Section("parameters", "Parameters", finding, (*blocks, Text(_READING, "method")))
    if not context.diffs:
        return None
    rows = [_row(context, diff.name, diff) for diff in _drawn(context)]
    method = (
        f"Change is the value at {now.name} minus the value at {before.name}, computed in 64-bit floats. {_READING}"
    )
    return Section(
        "parameters",
        f"Parameters and their change, {before.name} to {now.name}",
        _finding(context.diffs, before, now),
        (
            *([_colored(context, first)] if first else []),
            *rows,
            folded(_table(context.diffs, before), "Every parameter"),
            Text(method, "method"),
        ),
        (Numbers("diffs.csv", _COLUMNS, lambda: _rows(context.diffs, before, now)),),
    )


def build_scatter(context: PageContext) -> Section | None:
    """Value before against change, a panel per kernel; None when nothing moved."""
    before, now = context.before, context.now
    kernels = [diff for diff in context.diffs if is_kernel(diff.name, diff.shape)]
    if before is None or not kernels or all(not diff.max_abs for diff in kernels):
        return None
    value = _value(before)
    panels = tuple(_scatter(context, diff) for diff in _drawn(context))
    known = [(diff.correlation, diff.name) for diff in kernels if diff.correlation is not None]
    finding = f"No kernel has a correlation between {value} and change."
    if known:
        low, high = min(known), max(known)
        finding = (
            f"{_away(sum(diff.away for diff in kernels), sum(diff.toward for diff in kernels))}; the correlation of "
            f"{value} and change runs from {_signed(low[0])} ({low[1]}) to {_signed(high[0])} ({high[1]})."
        )
    many = any(diff.size > DOTS_UP_TO for diff in kernels)
    binned = f" Of more than {DOTS_UP_TO:,} weights, a cell is the darker the more of them it holds." if many else ""
    method = Text(
        "A negative correlation means that large values shrank, as weight decay or regression to the mean "
        "would have it; one near 0 that training moved weights without regard to where they started. Counts: "
        "positive weights that increased and negative that decreased grew away from zero, the others towards or "
        f"through it.{binned}",
        "method",
    )
    title = f"{value[0].upper()}{value[1:]} against change, {before.name} to {now.name}"
    return Section("change", title, finding, (FigureRow(panels), method))


def _away(away: int, toward: int) -> str:
    """Which way weights grew; neither within three standard deviations of as many tosses of a coin."""
    count = max(away + toward, 1)
    if abs(away - toward) <= 3 * count**0.5:
        return f"About as many kernel weights grew away from zero ({percent(away / count)}) as towards it"
    return f"Of all kernel weights that moved, {percent(away / count)} grew away from zero"


def _drawn(context: PageContext) -> list[ParamDiff]:
    """The kernels that are drawn."""
    kernels = [diff for diff in context.diffs if is_kernel(diff.name, diff.shape)]
    return [diff for diff in kernels if context.draws(context.holders.get(diff.name, diff.name))]


def _scatter(context: PageContext, diff: ParamDiff, arrays: tuple[np.ndarray, np.ndarray] | None = None) -> Figure:
    """A kernel's values before against their change, drawn once: of these two `arrays` where they are at hand."""
    drawn: dict[str, Figure] = context.found.setdefault("scatters", {})
    if diff.name not in drawn:
        before, delta = arrays or (diff.before, diff.delta)
        drawn[diff.name] = chart(
            f"change-{context.slug(diff.name)}",
            scatter_change(before, delta, diff.name, diff.correlation),
            alt=_moved(diff),
            caption=_moved(diff),
        )
    return drawn[diff.name]


def _row(context: PageContext, name: str, diff: ParamDiff | None) -> FigureRow:
    """A kernel's values now, beside them their change."""
    before, now = context.before, context.now
    earlier, values = (None, np.asarray(now.params[name])) if diff is None else diff.read()
    slug, shape = context.slug(name), "×".join(map(str, values.shape))
    heads = _heads(context, name)
    delta = None if earlier is None else change(earlier, values)
    if diff is not None and earlier is not None and delta is not None:
        _scatter(context, diff, (earlier, delta))  # a large kernel takes longer to read than to draw
    kept = _kept(values if delta is None else delta, context.limits.channels if heads is None else None)
    outputs = values.shape[-1]
    rule = "are largest" if diff is None else "changed most"
    fewer = "" if len(kept) == outputs else f" Shown are the {len(kept)} of {outputs} that {rule}."
    at = "" if before is None else f" at {now.name}"
    axes = AXES.get(name.rpartition("/")[2], ("index of axis 1", "index of axis 2"))
    picture, bar, reading = _heatmap(context, values, kept, heads, axes)
    figures = [
        Figure(
            f"parameters-{slug}-value",
            picture,
            f"{name}{at}: values from {bar.low} to {bar.high}.",
            f"{name}{at}, {shape}. {reading}{fewer}",
            bar,
            picture_export(picture, bar),
            wide=True,
            of=("kernels", context.holders[name]) if name in context.holders else None,
        )
    ]
    if diff is not None and delta is not None and before is not None:
        picture, bar, _ = _heatmap(context, delta, kept, heads, axes)
        figures.append(
            Figure(
                f"parameters-{slug}-change",
                picture,
                f"{name} change from {before.name} to {now.name}: {_moved(diff)}",
                f"{name}, change from {before.name} to {now.name}.",
                bar,
                picture_export(picture, bar),
                wide=True,
            )
        )
    return FigureRow(tuple(figures), name)


def _heads(context: PageContext, name: str) -> int | None:
    """The axis of heads of an attention's kernel: 1 of queries, keys and values, 0 of what its output is made with."""
    owner = context.network.layers.get(name.rpartition("/")[0].rpartition("/")[0])
    attends = owner is not None and owner.role is Role.ATTENTION
    return (0 if "/out/" in name else 1) if attends and context.now.forms[name].ndim == 3 else None


AXES = {"kernel": ("input", "output"), "embedding": ("entry", "feature")}
"""The last part of a parameter's name in Flax -> its two axes; of others it is not known what they are."""


def _heatmap(
    context: PageContext, values: np.ndarray, kept: list[int], heads: int | None, axes: tuple[str, str]
) -> tuple[Mosaic, Any, str]:
    chosen = values if len(kept) == values.shape[-1] else values[..., kept]
    most = context.limits.heatmap
    laid_out = kernel_tiles(chosen, axes, most) if heads is None else head_tiles(values, heads, most)
    low, high = symmetric(values)
    picture = _mosaic(laid_out, low, high, kept if heads is None else [], context.limits)
    return picture, colorbar(DIVERGING, low, high), laid_out.reading


def _kept(weight: np.ndarray, limit: int | None) -> list[int]:
    """Output channels to show, in order: all, or of a convolution the `limit` with the largest mean magnitude."""
    outputs = weight.shape[-1]
    if limit is None or outputs <= limit or weight.ndim < 3:
        return list(range(outputs))
    size = np.abs(np.where(np.isfinite(weight), weight, 0.0)).reshape(-1, outputs).mean(axis=0)
    return sorted(np.argsort(-size, kind="stable")[:limit].tolist())


def _mosaic(laid_out: KernelTiles, low: float, high: float, kept: list[int], limits: Limits) -> Mosaic:
    """The tiles at a size that lets value and change stand side by side; each across the page where that is 1:1.

    Side by side in any case where heatmaps are small enough for that.
    """
    tiles, labels = coarse(laid_out.tiles, low, high, limits.levels), laid_out.labels
    labels = tuple(str(c) for c in kept) if len(labels) == len(kept) > 1 else ("",) if len(labels) == 1 else labels
    picture = mosaic(tiles, low, high, DIVERGING, labels=labels, gap=laid_out.gap, stand="half")
    beside = limits.heatmap < HEATMAP and fits(picture)
    return picture if scale(picture) > 1 or beside else replace(picture, stand="full")


def _first_layer(context: PageContext) -> Layer | None:
    """The first layer with a kernel, where its weights can be shown in the input's own three colours."""
    for layer in context.network.layers.values():
        if (name := _largest(context, layer)) is not None:
            shape = context.now.forms[name].shape
            tall, wide, inputs = shape[:3] if len(shape) == 4 else (1, 1, 0)
            return layer if inputs == 3 and (tall, wide) != (1, 1) and context.size is not None else None
    return None


def _largest(context: PageContext, layer: Layer) -> str | None:
    """The name of the layer's largest parameter of two axes or more."""
    own = [name for name, shape in layer.params.items() if is_kernel(name, shape) and name in context.now.forms]
    return max(own, key=lambda name: np.prod(layer.params[name])) if own else None


def _kernel(context: PageContext, layer: Layer) -> np.ndarray:
    """That parameter of a layer that has one."""
    name = _largest(context, layer)
    assert name is not None
    return np.asarray(context.now.params[name])


def _colored(context: PageContext, layer: Layer) -> Figure:
    """The first convolution's filters as colours."""
    kernel = _kernel(context, layer)
    low, high = symmetric(kernel)
    tiles = np.moveaxis(kernel, -1, 0).astype(np.float64)
    stated = context.probe.preprocessing
    reversed_planes = stated is not None and stated.planes == ("B", "G", "R")
    tiles = tiles[..., ::-1] if reversed_planes else tiles
    picture = mosaic((tiles - low) / (high - low or 1.0) * 255, 0, 255, labels=range(len(tiles)))
    size, count = "×".join(map(str, kernel.shape[:2])), plural(len(tiles), "filter")
    planes = "BGR turned to RGB" if reversed_planes else "RGB"
    return Figure(
        f"filters-{context.slug(layer.path)}",
        picture,
        f"{layer.path}: {count} of {size}.",
        f"{layer.path}: {count} of {size}, a tile per output channel, in colour, as {planes}: mid-grey 0, "
        f"{short_number(low)} to {short_number(high)}.",
        export=picture_export(picture),
        wide=True,
    )


def _largest_filter(context: PageContext, layer: Layer) -> str:
    kernel = _kernel(context, layer)
    norms = np.sqrt(np.square(kernel.astype(np.float64)).sum(axis=(0, 1, 2)))
    largest = int(np.nan_to_num(norms, nan=-1.0).argmax())
    height, width = kernel.shape[:2]
    return (
        f"{layer.path} holds {plural(kernel.shape[-1], 'filter')} of {height}×{width}; filter {largest} has the "
        f"largest weights (norm {short_number(float(norms[largest]))})."
    )


def _moved(diff: ParamDiff) -> str:
    if diff.mean_abs is None:
        return f"{diff.name}: no finite difference."
    text = (
        f"{plural(diff.increased, 'weight')} increased and {diff.decreased:,} decreased, by "
        f"{short_number(diff.mean_abs)} on average and {short_number(diff.max_abs or 0.0)} at most; "
        f"{diff.away:,} grew away from zero, {diff.toward:,} towards it."
    )
    return text + (f" {diff.non_finite:,} are not finite." if diff.non_finite else "")


def _finding(diffs: tuple[ParamDiff, ...], before: Moment, now: Moment) -> str:
    moved = [diff for diff in diffs if is_kernel(diff.name, diff.shape) and diff.relative is not None]
    broken = sum(diff.non_finite for diff in diffs)
    if broken:
        return f"{plural(broken, 'parameter')} of {sum(diff.size for diff in diffs):,} are not finite at {now.name}."
    if not moved or all(not diff.max_abs for diff in moved):
        return f"No kernel changed between {before.name} and {now.name}."
    most, least = (f(moved, key=lambda diff: diff.relative or 0.0) for f in (max, min))
    size = f"size at {before.name}" if before.step else "initial size"
    text = f"{most.name} changed most: by {percent(most.relative or 0.0)} of its {size} (mean absolute values)"
    return f"{text}; {least.name} least, by {percent(least.relative or 0.0)}." if least is not most else f"{text}."


def _signed(value: float | None) -> str:
    return NOT_DEFINED if value is None else decimals(value, 2)


def _value(before: Moment) -> str:
    return f"value at {before.name}" if before.step else "initial value"


def _table(diffs: tuple[ParamDiff, ...], before: Moment) -> Table:
    return Table(
        "parameters-table",
        f"Change of every parameter array. Correlation: Pearson's, of {_value(before)} and change.",
        ("Parameter", "Elements", "Mean", "Mean abs.", "Max abs.", "Increased", "Decreased", "Correlation"),
        tuple(
            (
                diff.name,
                diff.size,
                *(None if v is None else short_number(v) for v in (diff.mean, diff.mean_abs, diff.max_abs)),
                diff.increased,
                diff.decreased,
                NOT_DEFINED if diff.correlation is None else _signed(diff.correlation),
            )
            for diff in diffs
        ),
        "lrrrrrrr",
    )


_COLUMNS = (
    *("param", "from_step", "to_step", "mean", "mean_abs", "max_abs", "increased", "decreased"),
    *("init_delta_correlation", "elements", "away_from_zero", "towards_zero", "non_finite"),
)


def _rows(diffs: tuple[ParamDiff, ...], before: Moment, now: Moment) -> Iterator[tuple[Any, ...]]:
    for d in diffs:
        yield (
            *(d.name, before.step, now.step, d.mean, d.mean_abs, d.max_abs, d.increased, d.decreased),
            *(d.correlation, d.size, d.away, d.toward, d.non_finite),
        )
