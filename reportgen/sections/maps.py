"""Every channel of every chosen layer, a grid per probe example; and channels.csv with every channel's numbers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.analysis.channels import Peak, strongest
from reportgen.core.network import MAPS, Layer
from reportgen.core.numbers import short_number
from reportgen.core.pictures import LEAST_SIDE, are_pictures
from reportgen.core.report import Block, Figure, FigureRow, Fold, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.kernels import HEATMAP
from reportgen.figures.matrices import heatmap
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import GREY, Palette
from reportgen.sections.context import PageContext
from reportgen.sections.limits import coarse
from reportgen.sections.scale import layer_range, scaled, value_words
from reportgen.sections.tokens import position_names, token_inputs
from reportgen.sections.words import NBSP, noun, plural

FEW = 4
"""Examples up to which all stand open; of more, only the first."""

UNFOLDED_LAYERS = 12
"""Layers up to which all stand open; of more, each module is a fold."""

MOST_ROWS = 512
"""Rows of one heatmap."""

TOGETHER = 48
"""Maps up to this side stand side by side, an image each; larger ones below each other."""

WIDEST = 4096
"""Columns of one heatmap: of more channels several stand together, on a page with small pictures of fewer ones."""

READ = {
    "layer": "One range for the whole layer and {one}: channels can be compared within a grid, not between grids.",
    "channel": "A range for every channel of its own: every pattern can be seen, brightness can't be compared.",
    "images": "One range for the layer over all {one}s: channels and {one}s can be compared.",
    "range": "One fixed range everywhere: all grids can be compared.",
}


def build(context: PageContext) -> Section | None:
    """A grid per layer and example; of layers without feature maps a row of units per example, or per position."""
    # Attention weights stand where attention is told of.
    layers = [layer for layer in context.layers if not layer.has_attention]
    parts = [(layer, _rows_of(context, layer)) for layer in layers if context.draws(layer.path)]
    if not parts:
        return None
    blocks = [*by_module(parts), *_ranges(context), Text(_method(context), "method")]
    columns = ("image", "layer", "channel", "max", "y", "x", "mean", "min")
    numbers = [Numbers("channels.csv", columns, lambda: _rows(context))]
    if _known_ranges(context):
        numbers.append(Numbers("channel_ranges.csv", ("layer", "channel", "min", "max"), lambda: _range_rows(context)))
    title = "All channels" if context.map_layers else "Activations of every channel"
    return Section("maps", title, _finding(context), tuple(blocks), tuple(numbers))


def by_module(parts: Sequence[tuple[Layer, tuple[Block, ...]]]) -> list[Block]:
    """Blocks per layer in call order: open where they are few, else a fold for each outermost module."""
    if len(parts) <= UNFOLDED_LAYERS:
        return [block for _, blocks in parts for block in blocks]
    groups: list[tuple[str, list[Block], list[Layer]]] = []
    for layer, blocks in parts:
        name = layer.path.split("/")[0]
        if not groups or groups[-1][0] != name:
            groups.append((name, [], []))
        groups[-1][1].extend(blocks)
        groups[-1][2].append(layer)
    return [Fold(f"{name}: {plural(len(layers), 'layer')}", tuple(blocks)) for name, blocks, layers in groups]


def _method(context: PageContext) -> str:
    kind, one = context.options.normalize.kind, noun(context.run)
    signs = "Values of both signs: white 0, red negative, blue positive. Values that are never negative: black 0."
    grids = (
        "Each grid is one layer's output for one input, a tile per channel, numbered from 0 in rows from the upper "
        f"left. {READ[kind].format(one=one)} {'A is black and B is white.' if kind == 'range' else signs} The outlined "
        "channel has the layer's largest single value for the input. "
    )
    rows = "A layer without such maps is a heatmap, a row per input or position, one range for the layer. "
    drawn = [*([grids] if any(map(_tiles, context.layers)) else [f"{signs} "])]
    drawn += [rows] if not all(map(_tiles, context.layers)) else []
    return f"{''.join(drawn)}NaN and infinities are violet."


def _finding(context: PageContext) -> str:
    layers, names = context.map_layers or [x for x in context.layers if not x.has_attention], context.names
    channels = sum(layer.channels for layer in layers)
    text = f"{plural(channels, 'channel')} in {plural(len(layers), 'layer')}"
    if context.map_layers:
        text = f"{plural(channels * len(names), 'feature map')}: {text}"
    text += f" for each of {len(names)} inputs." if len(names) > 1 else f" for {names[0]}."
    if context.limits.layers is not None and context.limits.layers < len(context.layers):
        text += f" {context.limits.layers} of {plural(len(context.layers), 'layer')} are drawn."
    several = [layer for layer in layers if np.prod(layer.shape) > 1]
    known = [(x, peak) for x in several if (peak := strongest(context.stats[x.path])[0]) is not None]
    if known:
        layer, peak = known[-1]
        text += f" In {layer.path}, {peak_words(peak)} on {names[0]}."
    return text


def peak_words(peak: Peak | None) -> str:
    """A channel's largest value, in words."""
    if peak is None:
        return "no value is finite"
    if peak.least == peak.maximum:
        return f"every value is {short_number(peak.maximum, 4)}"
    place = f" at {place_words(peak.position)}" if peak.position else ""
    return f"channel {peak.channel} has the largest value, {short_number(peak.maximum, 4)}{place}"


def place_words(position: Sequence[int]) -> str:
    """A position as the page writes it: (row, column)."""
    return f"({f',{NBSP}'.join(str(int(p)) for p in position)})"


def shown_images(context: PageContext) -> int:
    """How many examples the page shows maps of."""
    return min(len(context.names), context.limits.images or len(context.names))


def open_images(context: PageContext) -> int:
    """How many examples of a layer stand open; the rest are in a fold."""
    return FEW if shown_images(context) <= FEW else 1


def _rows_of(context: PageContext, layer: Layer) -> tuple[Block, ...]:
    if _tiles(layer) is not None:
        figures = [_grid(context, layer, index) for index in range(shown_images(context))]
    elif len(layer.positions) == 1:
        figures = [_sequence(context, layer, index) for index in range(shown_images(context))]
    else:
        return (FigureRow((_vectors(context, layer),), layer.path),)
    shown = open_images(context) if _tiles(layer) is not None else 1
    first, rest = FigureRow(tuple(figures[:shown]), layer.path), tuple(figures[shown:])
    name = f"{layer.path} for {plural(len(rest), 'further input')}"
    return (first, Fold(name, (FigureRow(rest, name),))) if rest else (first,)


def _tiles(layer: Layer) -> str | None:
    """What a tile of the layer's grid is: "channel", or "head" of attention weights; None for a layer without grids."""
    # An output that is made by reshaping units, as a generator's, has positions that no operation names.
    pictured = layer.axes == ("?", "?", "channel") and are_pictures((1, *layer.shape))
    if layer.axes[-3:] == MAPS or (pictured and min(layer.shape[:2]) >= LEAST_SIDE):
        return "channel"
    return "head" if len(layer.shape) == 3 and layer.axes[0] == "head" else None


def _as_maps(layer: Layer, values: np.ndarray) -> tuple[np.ndarray, str]:
    """[example, height, width, tile], and which part of a layer with further axes it is, as a sentence to add."""
    if _tiles(layer) == "head":
        return np.moveaxis(values, 1, -1), f" Rows are {_axis(layer, 1)}, columns {_axis(layer, 2)}."
    more = values.ndim - 4
    for _ in range(more):
        values = values[:, values.shape[1] // 2]
    middle = ", ".join(
        f"{name} {size // 2} of {size}" for name, size in zip(layer.axes, layer.shape[:more], strict=False)
    )
    return values, f" The middle slice: {middle}." if more else ""


def _axis(layer: Layer, place: int) -> str:
    return {"query": "queries", "key": "keys", "t": "positions", "channel": "channels"}.get(
        layer.axes[place], "positions"
    )


def _grid(context: PageContext, layer: Layer, index: int) -> Figure:
    stats, name, tile = context.stats[layer.path], context.names[index], _tiles(layer) or "channel"
    maps, part = _as_maps(layer, context.maps(layer))
    height, width, count = maps.shape[1:]
    kept, values, outlined = list(range(count)), list[str](), list[int]()
    peak = strongest(stats)[index] if tile == "channel" else None
    if tile == "channel":
        kept = _kept(stats.maximum[index], context.limits.channels)
        values = [value_words(stats.maximum[index, c], stats.mean[index, c], stats.minimum[index, c]) for c in kept]
        outlined = [] if peak is None else [kept.index(peak.channel)]
    shown = scaled(maps, index, context.options.normalize, kept, noun(context.run))
    together = max(height, width) <= TOGETHER and len(context.names) > 1
    picture = mosaic(
        coarse(shown.tiles, shown.low, shown.high, context.limits.levels),
        shown.low,
        shown.high,
        shown.palette,
        labels=kept,
        values=values,
        outlined=outlined,
        stand="half" if together else "full",
    )
    counted = plural(count, tile)
    fewer = "" if len(kept) == count else f" Shown are the {len(kept)} with the largest values."
    return Figure(
        f"maps-{context.slug(layer.path)}-{index}",
        picture,
        f"{layer.path}, {counted} for {name}" + (f": {peak_words(peak)}." if tile == "channel" else "."),
        f"{name}: {layer.path}, {counted} of {height}×{width}. {shown.words}{part}{fewer}",
        shown.bar,
        picture_export(picture, shown.bar),
        wide=True,
        of=("maps", layer.path),
    )


def _kept(maxima: np.ndarray, limit: int | None) -> list[int]:
    """The channels to show, in order: all, or the `limit` with the largest values."""
    if limit is None or len(maxima) <= limit:
        return list(range(len(maxima)))
    ranked = np.where(np.isfinite(maxima), maxima, -np.inf)
    return sorted(np.argsort(-ranked, kind="stable")[:limit].tolist())


def _sequence(context: PageContext, layer: Layer, index: int) -> Figure:
    """One example's [position, channel]: a row per position, named by its token where the input is tokens."""
    values, name, (positions,) = context.maps(layer)[index], context.names[index], layer.positions
    low, high, palette = _one_range(context, context.maps(layer))
    tokens = token_inputs(context.probe)
    names = [str(place) for place in range(positions)]
    if tokens is not None and tokens.shape[1] == positions:
        names = position_names(context.run, tokens[index])
    peak = strongest(context.stats[layer.path])[index]
    together, said = _together(context, layer)
    heads = "" if layer.head_channels is None else f", head after head ({layer.head_channels} each)"
    return chart(
        f"maps-{context.slug(layer.path)}-{index}",
        heatmap(values, low, high, palette, x_label="channel", y_label="position", y_names=names, together=together),
        alt=f"{layer.path}, {plural(layer.channels, 'channel')} for {name}: {peak_words(peak)}.",
        caption=f"{name}: {layer.path}, {plural(layer.channels, 'channel')}{heads}, a row per position; "
        f"{_span(low, high, context.maps(layer))}, one range for the layer.{said}{_broken(values)}",
        wide=True,
        of=("maps", layer.path),
    )


def columns(context: PageContext, layer: Layer) -> int:
    """How many columns a heatmap of the layer has."""
    return -(-layer.channels // _together(context, layer)[0])


def _together(context: PageContext, layer: Layer) -> tuple[int, str]:
    """How many channels a column of the layer's heatmap stands for, and a sentence on it to add."""
    width = context.limits.heatmap[0]
    together = -(-layer.channels // (WIDEST if width == HEATMAP[0] else width))
    said = f" A column stands for {together} channels and shows the value furthest from zero." if together > 1 else ""
    return together, said


def _one_range(context: PageContext, values: np.ndarray) -> tuple[float, float, Palette]:
    fixed = context.options.normalize
    low, high, palette = (fixed.low, fixed.high, GREY) if fixed.kind == "range" else layer_range(values)
    return (low, high, palette) if high > low else (low, low + 1.0, palette)


def _span(low: float, high: float, values: np.ndarray) -> str:
    """The range that is drawn, in words; of a layer without two values only its value."""
    known = values[np.isfinite(values)]
    flat = bool(known.size) and known.min() == known.max()
    return f"every value is {short_number(float(known[0]))}" if flat else f"{short_number(low)} to {short_number(high)}"


def _broken(values: np.ndarray) -> str:
    broken = int((~np.isfinite(values)).sum())
    return f" {plural(broken, 'value')} not finite (violet)." if broken else ""


def _vectors(context: PageContext, layer: Layer) -> Figure:
    """A layer without positions: units across, examples down; of other layers, positions in the order of memory."""
    images, channels = shown_images(context), layer.channels
    values = context.maps(layer)[:images].reshape(images, -1, channels)
    places = min(values.shape[1], max(1, MOST_ROWS // images))
    left_out = values.shape[1] - places
    matrix = values[:, :places].reshape(-1, channels)
    low, high, palette = _one_range(context, matrix)
    names = [f"{x}, {place}" if places > 1 else x for x in context.names[:images] for place in range(places)]
    peak = strongest(context.stats[layer.path])[0]
    together, said = _together(context, layer)
    rows = f"a row per input{' and position' if places > 1 else ''}"
    rows += f", the first {places:,} of {values.shape[1]:,} positions" if left_out else ""
    return chart(
        # A last part as those of single examples have one: of "take" the third, and of "take#3" all, have other names.
        f"maps-{context.slug(layer.path)}-all",
        heatmap(matrix, low, high, palette, x_label="channel", y_label="input", y_names=names, together=together),
        alt=f"{layer.path}, {plural(channels, 'unit')}: on {context.names[0]}, {peak_words(peak)}.",
        caption=f"{layer.path}: {plural(channels, 'unit')}, {rows}; "
        f"{_span(low, high, matrix)}, one range for all.{said}{_broken(matrix)}",
        wide=True,
        of=("maps", layer.path),
    )


def _known_ranges(context: PageContext) -> list[tuple[Layer, np.ndarray]]:
    """The layers that are shown with [2, channel]: the least and the largest value over the evaluation."""
    ranges = {} if context.observation is None else context.observation.ranges
    return [(layer, ranges[layer.path]) for layer in context.layers if layer.path in ranges]


def _ranges(context: PageContext) -> list[Block]:
    rows = tuple(
        (
            layer.path,
            layer.channels if not layer.has_attention else plural(layer.channels, "key"),
            *(short_number(float(at)) if np.isfinite(at) else None for at in (low.min(), high.max())),
            short_number(float(np.median(high - low))) if np.isfinite([low, high]).all() else None,
        )
        for layer, (low, high) in _known_ranges(context)
    )
    if not rows:
        return []
    over = plural(context.run.batch("evaluation").size, f"evaluation {noun(context.run)}")
    table = Table(
        "maps-ranges",
        f"Least and largest value of each layer over {over}, and the range of its median channel; channel_ranges.csv "
        "has every channel's.",
        ("Layer", "Channels", "Least", "Largest", "Median channel's range"),
        rows,
        "lrrrr",
    )
    return [Fold("Ranges over the evaluation", (table,))]


def _range_rows(context: PageContext) -> Iterator[tuple[Any, ...]]:
    for layer, (low, high) in _known_ranges(context):
        if layer.has_attention:
            continue
        for channel, ends in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            yield layer.path, channel, *(at if np.isfinite(at) else None for at in ends)


def _rows(context: PageContext) -> Iterator[tuple[Any, ...]]:
    """Every channel of every chosen layer, example by example; y and x are empty where a layer has no such axis."""
    for index, name in enumerate(context.names):
        for layer in context.layers:
            stats = context.stats[layer.path]
            for channel in range(layer.channels):
                position = [int(p) if p >= 0 else None for p in stats.position[index, channel]]
                y, x = position[-2:] if len(position) >= 2 else [*position, None, None][:2]
                numbers = (stats.maximum[index, channel], stats.mean[index, channel], stats.minimum[index, channel])
                top, mean, least = (float(v) if np.isfinite(v) else None for v in numbers)
                yield name, layer.path, channel, top, y, x, mean, least
