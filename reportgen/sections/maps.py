"""Every channel of every chosen layer, a grid per probe example; and channels.csv with every channel's numbers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.analysis.channels import Peak, strongest
from reportgen.core.network import Layer
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, FigureRow, Fold, Numbers, Section, Text
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.matrices import heatmap
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import GREY
from reportgen.sections.context import PageContext
from reportgen.sections.limits import coarse
from reportgen.sections.scale import layer_range, scaled, value_words
from reportgen.sections.words import NBSP, plural

FEW = 4
"""Examples up to which all stand open; of more, only the first."""

UNFOLDED_LAYERS = 12
"""Layers up to which all stand open; of more, each module is a fold."""

TOGETHER = 48
"""Maps up to this side stand side by side, an image each; larger ones below each other."""

READ = {
    "layer": "One range for the whole layer and image: channels can be compared within a grid, not between grids.",
    "channel": "A range for every channel of its own: every pattern can be seen, brightness can't be compared.",
    "images": "One range for the layer over all images: channels and images can be compared.",
    "range": "One fixed range everywhere: all grids can be compared.",
}


def build(context: PageContext) -> Section | None:
    """A grid per layer and example; layers without feature maps as one row of units per example."""
    parts = [(layer, _rows_of(context, layer)) for layer in context.layers]
    blocks = [*by_module(parts), Text(_method(context), "method")]
    columns = ("image", "layer", "channel", "max", "y", "x", "mean", "min")
    numbers = Numbers("channels.csv", columns, lambda: _rows(context))
    return Section("maps", "All channels", _finding(context), tuple(blocks), (numbers,))


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
    kind = context.options.normalize.kind
    signs = "Values of both signs: white 0, red negative, blue positive. Values that are never negative: black 0."
    return (
        "Each grid is one layer's output for one input, a tile per channel, numbered from 0 in rows from the upper "
        f"left. {READ[kind]} {'A is black and B is white.' if kind == 'range' else signs} The outlined channel has "
        "the layer's largest single value for the input. NaN and infinities are violet."
    )


def _finding(context: PageContext) -> str:
    layers, names = context.map_layers or context.layers, context.names
    channels = sum(layer.channels for layer in layers)
    noun = "feature map" if context.map_layers else "unit"
    text = f"{plural(channels * len(names), noun)}: {plural(channels, 'channel')} in {plural(len(layers), 'layer')}"
    text += f" for each of {len(names)} inputs." if len(names) > 1 else f" for {names[0]}."
    known = [(x, peak) for x in layers if (peak := strongest(context.stats[x.path])[0]) is not None]
    if known:
        layer, peak = known[-1]
        text += f" In {layer.path}, {peak_words(peak)} on {names[0]}."
    return text


def peak_words(peak: Peak | None) -> str:
    """A channel's largest value, in words."""
    if peak is None:
        return "no value is finite"
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
    if not layer.has_maps:
        return (FigureRow((_vectors(context, layer),), layer.path),)
    grids = [_grid(context, layer, index) for index in range(shown_images(context))]
    first = FigureRow(tuple(grids[: open_images(context)]), layer.path)
    rest = tuple(grids[open_images(context) :])
    name = f"{layer.path} for {plural(len(rest), 'further input')}"
    return (first, Fold(name, (FigureRow(rest, name),))) if rest else (first,)


def _grid(context: PageContext, layer: Layer, index: int) -> Figure:
    stats, name = context.stats[layer.path], context.names[index]
    kept = _kept(stats.maximum[index], context.limits.channels)
    shown = scaled(context.maps(layer), index, context.options.normalize, kept)
    peak = strongest(stats)[index]
    together = max(layer.shape[:2]) <= TOGETHER and len(context.names) > 1
    picture = mosaic(
        coarse(shown.tiles, shown.low, shown.high, context.limits.levels),
        shown.low,
        shown.high,
        shown.palette,
        labels=kept,
        values=[value_words(stats.maximum[index, c], stats.mean[index, c], stats.minimum[index, c]) for c in kept],
        outlined=[] if peak is None else [kept.index(peak.channel)],
        stand="half" if together else "full",
    )
    height, width = layer.shape[:2]
    count = plural(layer.channels, "channel")
    fewer = "" if len(kept) == layer.channels else f" Shown are the {len(kept)} with the largest values."
    return Figure(
        f"maps-{context.slug(layer.path)}-{index}",
        picture,
        f"{layer.path}, {count} for {name}: {peak_words(peak)}.",
        f"{name}: {layer.path}, {count} of {height}×{width}. {shown.words}{fewer}",
        shown.bar,
        picture_export(picture, shown.bar),
        wide=True,
    )


def _kept(maxima: np.ndarray, limit: int | None) -> list[int]:
    """The channels to show, in order: all, or the `limit` with the largest values."""
    if limit is None or len(maxima) <= limit:
        return list(range(len(maxima)))
    ranked = np.where(np.isfinite(maxima), maxima, -np.inf)
    return sorted(np.argsort(-ranked, kind="stable")[:limit].tolist())


def _vectors(context: PageContext, layer: Layer) -> Figure:
    """A layer without positions in two dimensions: units across, examples (and positions) down."""
    images, channels = shown_images(context), layer.channels
    values = context.maps(layer)[:images].reshape(images, -1, channels)
    places = values.shape[1]
    matrix = values.reshape(-1, channels)
    fixed = context.options.normalize
    low, high, palette = (fixed.low, fixed.high, GREY) if fixed.kind == "range" else layer_range(matrix)
    low, high = (low, high) if high > low else (low, low + 1.0)
    names = [f"{x}, {place}" if places > 1 else x for x in context.names[:images] for place in range(places)]
    broken = int((~np.isfinite(matrix)).sum())
    tail = f" {plural(broken, 'value')} not finite (violet)." if broken else ""
    peak = strongest(context.stats[layer.path])[0]
    return chart(
        f"maps-{context.slug(layer.path)}",
        heatmap(matrix, low, high, palette, x_label="channel", y_label="input", y_names=names),
        alt=f"{layer.path}, {plural(channels, 'unit')}: on {context.names[0]}, {peak_words(peak)}.",
        caption=f"{layer.path}: {plural(channels, 'unit')}, a row per input{' and position' if places > 1 else ''}; "
        f"{short_number(low)} to {short_number(high)}, one range for all.{tail}",
        wide=True,
    )


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
