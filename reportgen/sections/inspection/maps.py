"""All channels of every chosen layer, a grid per image; and channels.csv with every channel's numbers."""

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
from reportgen.sections.inspection.scale import Normalize, layer_range, scaled, value_words
from reportgen.sections.inspection.view import OPEN_IMAGES, UNFOLDED_LAYERS, View
from reportgen.sections.words import NBSP, plural

TOGETHER = 48
"""Maps up to this side stand side by side, an image each; larger ones below each other."""

READ = {
    "layer": "One range for the whole layer and image, as MATLAB's mat2gray: channels can be compared within a grid, "
    "not between grids.",
    "channel": "A range for every channel of its own: every pattern can be seen, brightness can't be compared.",
    "images": "One range for the layer over all images: channels and images can be compared.",
    "range": "One fixed range everywhere: all grids can be compared.",
}


def build(view: View) -> Section | None:
    """A grid per layer and image; layers without feature maps as one row of units per image."""
    if not view.layers:
        return None
    parts = [(layer, _rows_of(view, layer)) for layer in view.layers]
    blocks = [*by_module(view, parts), Text(_method(view), "method")]
    numbers = Numbers(
        "channels.csv", ("image", "layer", "channel", "max", "y", "x", "mean", "min"), lambda: _rows(view)
    )
    return Section("maps", "All channels", _finding(view), tuple(blocks), (numbers,))


def by_module(view: View, parts: Sequence[tuple[Layer, tuple[Block, ...]]]) -> list[Block]:
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


def _method(view: View) -> str:
    return (
        "Each grid is one layer's output for one image, a tile per channel, numbered from 0 in rows from the upper "
        "left. "
        f"{READ[view.how.kind]} "
        + (
            "A is black and B is white."
            if view.how.kind == "range"
            else "Values of both signs: white 0, red negative, blue positive. Values that are never negative: black "
            "the least, white the largest."
        )
        + " The outlined channel has the layer's largest single value for the image. NaN and infinities are violet."
    )


def _finding(view: View) -> str:
    channels = sum(layer.channels for layer in view.map_layers)
    count = plural(channels * len(view.images), "feature map")
    text = f"{count}: {plural(channels, 'channel')} in {plural(len(view.map_layers), 'layer')}"
    text += f" for each of {len(view.images)} images." if len(view.images) > 1 else f" for {view.images[0]}."
    peaks = [(layer, strongest(view.stats[layer.path])[0]) for layer in view.map_layers]
    known = [(layer, peak) for layer, peak in peaks if peak is not None]
    if known:
        layer, peak = known[-1]
        text += f" In {layer.path}, {peak_words(peak)} on {view.images[0]}."
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


def _rows_of(view: View, layer: Layer) -> tuple[Block, ...]:
    if not layer.has_maps:
        return (FigureRow((_vectors(view, layer),), layer.path),)
    grids = [_grid(view, layer, index) for index in range(len(view.images))]
    first = FigureRow(tuple(grids[:OPEN_IMAGES]), layer.path)
    rest = tuple(grids[OPEN_IMAGES:])
    name = f"{layer.path} for {plural(len(rest), 'further image')}"
    return (first, Fold(name, (FigureRow(rest, name),))) if rest else (first,)


def _grid(view: View, layer: Layer, index: int) -> Figure:
    maps, stats = view.found.maps[layer.path], view.stats[layer.path]
    shown = scaled(maps, index, view.how)
    peak = strongest(stats)[index]
    together = max(layer.shape[:2]) <= TOGETHER and len(view.images) > 1
    picture = mosaic(
        shown.tiles,
        shown.low,
        shown.high,
        shown.palette,
        labels=range(layer.channels),
        values=[
            value_words(*numbers)
            for numbers in zip(stats.maximum[index], stats.mean[index], stats.minimum[index], strict=True)
        ],
        outlined=[] if peak is None else [peak.channel],
        stand="half" if together else "full",
    )
    height, width = layer.shape[:2]
    return Figure(
        f"maps-{view.slug(layer.path)}-{index}",
        picture,
        f"{layer.path}, {plural(layer.channels, 'channel')} for {view.images[index]}: {peak_words(peak)}.",
        f"{view.images[index]}: {layer.path}, {plural(layer.channels, 'channel')} of {height}×{width}. {shown.words}",
        shown.bar,
        picture_export(picture, shown.bar),
        wide=True,
    )


def _vectors(view: View, layer: Layer) -> Figure:
    """A layer without positions in two dimensions: units across, images (and positions) down."""
    maps = view.found.maps[layer.path]
    images, channels = len(maps), layer.channels
    values = maps.reshape(images, -1, channels)
    places = values.shape[1]
    matrix = values.reshape(-1, channels)
    low, high, palette = layer_range(matrix) if view.how.kind != "range" else _fixed(view.how)
    low, high = (low, high) if high > low else (low, low + 1.0)
    names = [f"{name}, {place}" if places > 1 else name for name in view.images for place in range(places)]
    broken = int((~np.isfinite(matrix)).sum())
    tail = f" {plural(broken, 'value')} not finite (violet)." if broken else ""
    peaks = [peak_words(peak) for peak in strongest(view.stats[layer.path])]
    return chart(
        f"maps-{view.slug(layer.path)}",
        heatmap(matrix, low, high, palette, x_label="channel", y_label="image", y_names=names),
        alt=f"{layer.path}, {plural(channels, 'unit')}: on {view.images[0]}, {peaks[0]}.",
        caption=f"{layer.path}: {plural(channels, 'unit')}, a row per image{' and position' if places > 1 else ''}; "
        f"{short_number(low)} to {short_number(high)}, one range for all.{tail}",
        wide=True,
    )


def _fixed(how: Normalize) -> tuple:
    from reportgen.figures.palettes import GREY

    return how.low, how.high, GREY


def _rows(view: View) -> Iterator[tuple[Any, ...]]:
    """Every channel of every chosen layer, image by image; y and x are empty where a layer has no such axis."""
    for index, name in enumerate(view.images):
        for layer in view.layers:
            stats = view.stats[layer.path]
            for channel in range(layer.channels):
                position = [int(p) if p >= 0 else None for p in stats.position[index, channel]]
                y, x = position[-2:] if len(position) >= 2 else [*position, None, None][:2]
                numbers = (stats.maximum[index, channel], stats.mean[index, channel], stats.minimum[index, channel])
                top, mean, least = (float(v) if np.isfinite(v) else None for v in numbers)
                yield name, layer.path, channel, top, y, x, mean, least
