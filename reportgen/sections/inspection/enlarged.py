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
from reportgen.sections.inspection.register import Frame, laid_over, registered, thumbnail
from reportgen.sections.inspection.scale import layer_range, scaled
from reportgen.sections.inspection.view import View


def frame_of(view: View, index: int) -> Frame:
    """The frame in which the image and its channels stand."""
    return Frame.of(view.found.pictures[index].pixels)


def range_of(view: View, layer: Layer, channels: Sequence[int]) -> tuple[float, float, Palette]:
    """(low, high, palette) of these channels over all images; diverging where the layer has negative values."""
    if view.how.kind == "range":
        return view.how.low, view.how.high, GREY
    values = view.found.maps[layer.path][..., list(channels)]
    if np.nanmin(view.stats[layer.path].minimum, initial=0.0) < 0:
        return (*symmetric(values), DIVERGING)
    return layer_range(values)


def original(view: View, index: int, name: str) -> Figure:
    """The image again, beside what the network makes of it."""
    pixels = thumbnail(view.found.pictures[index].pixels, frame_of(view, index))
    picture = _colors(pixels[None], [""])
    return Figure(
        name, picture, f"The image {view.images[index]}.", f"{view.images[index]}.", export=picture_export(picture)
    )


def channel_figure(view: View, layer: Layer, index: int, channel: int, name: str, words: str) -> Figure:
    """The channel at the image's size. `words` begin the caption."""
    low, high, palette = range_of(view, layer, [channel])
    tile = _registered(view, layer, index, channel)
    picture = mosaic(tile[None], low, high, palette, labels=[""], gap=0, stand="quarter")
    bar = colorbar(palette, low, high)
    return Figure(
        name,
        picture,
        f"{layer.path}, channel {channel}, {view.images[index]}: {words}.",
        f"{words[0].upper()}{words[1:]}. Range {bar.low} to {bar.high}.",
        export=picture_export(picture, bar),
    )


def overlay_figure(view: View, layer: Layer, index: int, channel: int, name: str) -> Figure:
    """The channel laid over the image in grey."""
    picture = _colors(overlay(view, layer, index, channel)[None], [""])
    colour = "blue positive, red negative" if range_of(view, layer, [channel])[0] < 0 else "the more orange, the larger"
    return Figure(
        name,
        picture,
        f"{layer.path}, channel {channel}, laid over {view.images[index]}.",
        f"Laid over the image: {colour}.",
        export=picture_export(picture),
    )


def overlay(view: View, layer: Layer, index: int, channel: int) -> np.ndarray:
    """uint8 [height, width, 3] at the frame's drawn size."""
    low, high, _ = range_of(view, layer, [channel])
    pixels = thumbnail(view.found.pictures[index].pixels, frame_of(view, index))
    return laid_over(pixels, _registered(view, layer, index, channel), low, high)


def tiles_figure(
    view: View, layer: Layer, index: int, channels: list[int], labels: list[str], name: str, words: str
) -> Figure:
    """Several channels at the image's size in one grid, in the grids' own normalisation."""
    shown = scaled(view.found.maps[layer.path], index, view.how, channels)
    field, frame = layer.field, frame_of(view, index)
    tiles = np.ma.stack([registered(tile, field, frame) for tile in shown.tiles])
    columns = _columns(view, index, channels)
    values = [f"channel {channel}" for channel in channels]
    picture = mosaic(tiles, shown.low, shown.high, shown.palette, labels=labels, columns=columns, values=values)
    export = picture_export(picture, shown.bar)
    return Figure(name, picture, f"{words}.", f"{words}. {shown.words}", shown.bar, export, wide=True)


def overlays_figure(
    view: View, layer: Layer, index: int, channels: list[int], labels: list[str], name: str, words: str
) -> Figure:
    """The same channels, each laid over the image in its own range."""
    tiles = np.stack([overlay(view, layer, index, channel) for channel in channels])
    columns = _columns(view, index, channels)
    picture = _colors(tiles, labels, columns=columns, values=[f"channel {channel}" for channel in channels])
    words = f"{words}, laid over the image"
    return Figure(name, picture, f"{words}.", f"{words}.", export=picture_export(picture), wide=True)


def _columns(view: View, index: int, channels: Sequence[int]) -> int:
    frame = frame_of(view, index)
    return max(1, min(len(channels), 5 if frame.small else 980 // (frame.drawn[1] + 2)))


def _colors(pixels: np.ndarray, labels: Sequence[str], **layout: Any) -> Mosaic:
    """Photographs [n, h, w, 1 or 3] from 0 to 255 as tiles."""
    colors = np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else pixels
    return photos(colors, labels, stand="quarter" if len(pixels) == 1 else "full", **layout)


def _registered(view: View, layer: Layer, index: int, channel: int) -> np.ma.MaskedArray:
    values = view.found.maps[layer.path][index, ..., channel]
    return registered(values, layer.field, frame_of(view, index))
