"""One channel at the image's size: beside the image, and laid over it. Shared by several sections."""

import numpy as np

from reportgen.core.report import Figure
from reportgen.core.run import Layer
from reportgen.figures.mosaic import mosaic
from reportgen.figures.paper import picture_export
from reportgen.figures.photo import lossy, photo
from reportgen.sections.inspection.register import Frame, laid_over, registered, thumbnail
from reportgen.sections.inspection.scale import Scaled, scaled
from reportgen.sections.inspection.view import View

SIDE = 256
"""A single picture is enlarged to at most this many CSS pixels, by a whole factor."""


def frame_of(view: View, index: int) -> Frame:
    """The frame in which the image and its channels stand."""
    return Frame.of(view.found.pictures[index].pixels)


def channel_figure(view: View, layer: Layer, index: int, channel: int, name: str, words: str) -> Figure:
    """The channel at the image's size. `words` name it in caption and alternative text."""
    shown, tile = _tile(view, layer, index, channel)
    # One tile's scale is bound by 3/4 of the width in height.
    picture = mosaic(tile[None], shown.low, shown.high, shown.palette, labels=[""], gap=0, width=SIDE * 4 // 3 + 1)
    height, width = layer.shape[:2]
    caption = f"{words}, {height}×{width} values at the image's size; {shown.bar.low} to {shown.bar.high}."
    return Figure(name, picture, f"{words}.", caption, export=picture_export(picture, shown.bar))


def overlay_figure(view: View, layer: Layer, index: int, channel: int, name: str, words: str) -> Figure:
    """The channel laid over the image in grey."""
    picture = photo(overlay(view, layer, index, channel))
    colour = "blue positive, red negative" if _signed(view, layer, index, channel) else "the more orange, the larger"
    return Figure(
        name,
        picture,
        f"{words}, laid over the image.",
        f"Laid over the image: {colour}.",
        export=picture_export(picture),
    )


def overlay(view: View, layer: Layer, index: int, channel: int) -> np.ndarray:
    """uint8 [height, width, 3] at the frame's drawn size."""
    shown, tile = _tile(view, layer, index, channel)
    pixels = thumbnail(view.found.pictures[index].pixels, frame_of(view, index))
    return laid_over(pixels, tile, shown.low, shown.high)


def tiles_figure(
    view: View, layer: Layer, index: int, channels: list[int], labels: list[str], name: str, words: str, *, over: bool
) -> Figure:
    """Several channels at the image's size in one grid, bare or laid over the image."""
    values = [f"channel {channel}" for channel in channels]
    frame = frame_of(view, index)
    columns = max(1, min(len(channels), 5 if frame.small else 1040 // (frame.drawn[1] + 2)))
    if over:
        tiles = np.stack([overlay(view, layer, index, channel) for channel in channels])
        picture = lossy(mosaic(tiles, 0, 255, labels=labels, columns=columns, values=values))
        return Figure(
            name,
            picture,
            f"{words}, laid over the image.",
            f"{words}, laid over the image.",
            export=picture_export(picture),
            wide=True,
        )
    shown = scaled(view.found.maps[layer.path], index, view.how, channels)
    drawn = [registered(tile, view.found.fields.get(layer.path), frame) for tile in shown.tiles]
    picture = mosaic(
        np.ma.stack(drawn), shown.low, shown.high, shown.palette, labels=labels, columns=columns, values=values
    )
    return Figure(
        name, picture, f"{words}.", f"{words}. {shown.words}", shown.bar, picture_export(picture, shown.bar), wide=True
    )


def _tile(view: View, layer: Layer, index: int, channel: int) -> tuple[Scaled, np.ma.MaskedArray]:
    shown = scaled(view.found.maps[layer.path], index, view.how, [channel])
    return shown, registered(shown.tiles[0], view.found.fields.get(layer.path), frame_of(view, index))


def _signed(view: View, layer: Layer, index: int, channel: int) -> bool:
    return scaled(view.found.maps[layer.path], index, view.how, [channel]).low < 0
