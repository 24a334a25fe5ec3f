"""The images as the network sees them: what was given, what was made of it, where two of them differ."""

import numpy as np

from reportgen.analysis.changes import differing_box
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, FigureRow, Fold, Raster, Section
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import DIVERGING, GREY, colorbar, symmetric
from reportgen.figures.photo import photo
from reportgen.sections.inspection.register import Frame, thumbnail
from reportgen.sections.inspection.view import View
from reportgen.sections.words import listed, percent, plural

OPEN = 8
"""Images shown open; of more, the rest stand in a fold."""


def build(view: View) -> Section:
    """Every image with its conversions, the preprocessing, and the values that it came to."""
    found = view.found
    figures = [_given(view, index) for index in range(len(view.images))]
    blocks: list[Block] = [FigureRow(tuple(figures[:OPEN]))]
    if figures[OPEN:]:
        blocks.append(Fold(f"{plural(len(figures) - OPEN, 'further image')}", (FigureRow(tuple(figures[OPEN:])),)))
    if found.inputs.shape[-1] == 3:
        rows = tuple(_planes(view, index) for index in range(min(len(view.images), OPEN)))
        blocks.append(Fold("The input's channels, one by one", rows))
    height, width = found.inputs.shape[1:3]
    finding = (
        f"The network sees {plural(len(view.images), 'image')} of {height}×{width} pixels (height × width): "
        f"{found.preprocessing.words}."
    )
    if len(view.images) == 2:
        finding += f" {differ_words(view, 1)}"
    return Section("images", "The images as the network sees them", finding, tuple(blocks))


def differ_words(view: View, other: int) -> str:
    """Where image `other` differs from the first, as a sentence."""
    box = differing_box(view.found.inputs[0], view.found.inputs[other])
    if box is None:
        return "To the network they are equal, value by value."
    (top, bottom), (left, right), share = box
    return (
        f"They differ in {percent(share)} of the pixels, within rows {top} to {bottom} and columns {left} to {right}."
    )


def _given(view: View, index: int) -> Figure:
    picture, values = view.found.pictures[index], view.found.inputs[index]
    raster = _whole(picture.pixels)
    finite = values[np.isfinite(values)]
    low, high = (short_number(float(x)) for x in (finite.min(), finite.max()))
    notes = f" Converted: {'; '.join(picture.notes)}." if picture.notes else ""
    mean = ", ".join(
        short_number(float(x)) for x in values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    )
    planes = view.found.preprocessing.planes
    each = f" Mean of {listed(planes)}: {mean}." if len(planes) > 1 else f" Mean {mean}."
    return Figure(
        f"image-{index}",
        raster,
        f"The image {picture.name}, {raster.height} by {raster.width} pixels.",
        f"{picture.name}. Input values from {low} to {high}.{each}{notes}",
        export=picture_export(raster),
    )


def _whole(pixels: np.ndarray) -> Raster:
    """The picture at its own size; beyond 1,024 pixels made smaller."""
    longest = max(pixels.shape[:2])
    if longest > 1024:
        factor = 1024 / longest
        size = (max(1, round(pixels.shape[0] * factor)), max(1, round(pixels.shape[1] * factor)))
        return photo(thumbnail(pixels, Frame(pixels.shape[:2], size)))
    return photo(pixels)


def _planes(view: View, index: int) -> FigureRow:
    values = np.moveaxis(view.found.inputs[index], -1, 0)
    finite = values[np.isfinite(values)]
    signed = bool(finite.size and finite.min() < 0)
    low, high = symmetric(values) if signed else (0.0, float(finite.max()) if finite.size else 0.0)
    palette = DIVERGING if signed else GREY
    frame = Frame.of(view.found.inputs[index])
    step = -(-frame.size[0] // frame.drawn[0])
    names = view.found.preprocessing.planes or tuple(str(i) for i in range(len(values)))
    picture = mosaic(values[:, ::step, ::step], low, high, palette, labels=names, columns=len(values))
    bar = colorbar(palette, low, high)
    figure = Figure(
        f"image-{index}-planes",
        picture,
        f"{view.images[index]}, the input's channels {listed(names)}, from {bar.low} to {bar.high}.",
        f"{view.images[index]}: the values that the network reads, channel by channel, {bar.low} to {bar.high}."
        + (f" Every {step}th pixel is shown." if step > 1 else ""),
        bar,
        picture_export(picture, bar),
        wide=True,
    )
    return FigureRow((figure,))
