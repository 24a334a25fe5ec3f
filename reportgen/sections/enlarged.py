"""One channel at the image's size: beside the image, and laid over it. Shared by several sections.

A single channel takes its own range, over all images, so that a weak one can be seen too and images can be
compared; a fixed range that was asked for holds here as well. The range is printed at every picture.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reportgen.core.network import Layer
from reportgen.core.report import Figure, Mosaic
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import DIVERGING, GREY, Palette, colorbar, symmetric
from reportgen.figures.photo import photos
from reportgen.sections.context import PageContext
from reportgen.sections.overlay import Frame, laid_over, registered, thumbnail
from reportgen.sections.scale import layer_range, scaled


def pixels_of(context: PageContext, index: int) -> np.ndarray:
    """The picture [height, width, 1 or 3], from 0 to 255."""
    assert context.pixels is not None
    pixels: np.ndarray = context.pixels[index]
    return pixels


def frame_of(context: PageContext, index: int) -> Frame:
    """The frame in which the image and its channels stand."""
    return Frame.of(pixels_of(context, index))


def range_of(context: PageContext, layer: Layer, channels: Sequence[int]) -> tuple[float, float, Palette]:
    """(low, high, palette) of these channels over all images; diverging where the layer has negative values."""
    if context.options.normalize.kind == "range":
        return context.options.normalize.low, context.options.normalize.high, GREY
    values = context.maps(layer)[..., list(channels)]
    if np.nanmin(context.stats[layer.path].minimum, initial=0.0) < 0:
        return (*symmetric(values), DIVERGING)
    return layer_range(values)


def original(context: PageContext, index: int, name: str) -> Figure:
    """The image again, beside what the network makes of it."""
    pixels = thumbnail(pixels_of(context, index), frame_of(context, index))
    picture = _colors(pixels[None], [""])
    return Figure(
        name, picture, f"The image {context.names[index]}.", f"{context.names[index]}.", export=picture_export(picture)
    )


def channel_figure(context: PageContext, layer: Layer, index: int, channel: int, name: str, words: str) -> Figure:
    """The channel at the image's size. `words` begin the caption."""
    low, high, palette = range_of(context, layer, [channel])
    tile = _registered(context, layer, index, channel)
    picture = mosaic(tile[None], low, high, palette, labels=[""], gap=0, stand="quarter")
    bar = colorbar(palette, low, high)
    return Figure(
        name,
        picture,
        f"{layer.path}, channel {channel}, {context.names[index]}: {words}.",
        f"{words[0].upper()}{words[1:]}.{f' Range {bar.low} to {bar.high}.' if low < high else ''}",
        export=picture_export(picture, bar),
    )


def overlay_figure(context: PageContext, layer: Layer, index: int, channel: int, name: str) -> Figure:
    """The channel laid over the image in grey."""
    picture = _colors(overlay(context, layer, index, channel)[None], [""])
    colour = (
        "blue positive, red negative" if range_of(context, layer, [channel])[0] < 0 else "the more orange, the larger"
    )
    return Figure(
        name,
        picture,
        f"{layer.path}, channel {channel}, laid over {context.names[index]}.",
        f"Laid over the image: {colour}.",
        export=picture_export(picture),
    )


def overlay(context: PageContext, layer: Layer, index: int, channel: int) -> np.ndarray:
    """uint8 [height, width, 3] at the frame's drawn size."""
    low, high, _ = range_of(context, layer, [channel])
    pixels = thumbnail(pixels_of(context, index), frame_of(context, index))
    return laid_over(pixels, _registered(context, layer, index, channel), low, high)


def tiles_figure(
    context: PageContext, layer: Layer, index: int, channels: list[int], labels: list[str], name: str, words: str
) -> Figure:
    """Several channels at the image's size in one grid, in the grids' own normalisation."""
    shown = scaled(context.maps(layer), index, context.options.normalize, channels)
    field, frame = layer.field, frame_of(context, index)
    tiles = np.ma.stack([registered(tile, field, frame) for tile in shown.tiles])
    columns = _columns(context, index, channels)
    values = [f"channel {channel}" for channel in channels]
    picture = mosaic(tiles, shown.low, shown.high, shown.palette, labels=labels, columns=columns, values=values)
    export = picture_export(picture, shown.bar)
    return Figure(name, picture, f"{words}.", f"{words}. {shown.words}", shown.bar, export, wide=True)


def overlays_figure(
    context: PageContext, layer: Layer, index: int, channels: list[int], labels: list[str], name: str, words: str
) -> Figure:
    """The same channels, each laid over the image in its own range."""
    tiles = np.stack([overlay(context, layer, index, channel) for channel in channels])
    columns = _columns(context, index, channels)
    picture = _colors(tiles, labels, columns=columns, values=[f"channel {channel}" for channel in channels])
    words = f"{words}, laid over the image"
    return Figure(name, picture, f"{words}.", f"{words}.", export=picture_export(picture), wide=True)


def _columns(context: PageContext, index: int, channels: Sequence[int]) -> int:
    frame = frame_of(context, index)
    return max(1, min(len(channels), 5 if frame.small else 980 // (frame.drawn[1] + 2)))


def _colors(pixels: np.ndarray, labels: Sequence[str], **layout: Any) -> Mosaic:
    """Photographs [n, h, w, 1 or 3] from 0 to 255 as tiles."""
    colors = np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else pixels
    return photos(colors, labels, stand="quarter" if len(pixels) == 1 else "full", **layout)


def _registered(context: PageContext, layer: Layer, index: int, channel: int) -> np.ma.MaskedArray:
    values = context.maps(layer)[index, ..., channel]
    return registered(values, layer.field, frame_of(context, index))
