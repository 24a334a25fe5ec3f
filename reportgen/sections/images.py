"""The probe as the network sees it: what was given, what was made of it, where two pictures differ."""

import numpy as np

from reportgen.analysis.changes import differing_box
from reportgen.core.numbers import ordinal, short_number
from reportgen.core.report import Block, Figure, FigureRow, Fold, Raster, Section
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import colorbar
from reportgen.figures.photo import photo
from reportgen.sections.context import PageContext
from reportgen.sections.enlarged import pixels_of
from reportgen.sections.options import Need
from reportgen.sections.overlay import Frame, thumbnail
from reportgen.sections.scale import layer_range
from reportgen.sections.words import listed, percent, plural

OPEN = 8
"""Images shown open; of more, the rest stand in a fold."""

LONGEST = 1024
"""Pixels of a picture's longer side; a larger one is made smaller."""


def build(context: PageContext) -> Section:
    """Every picture with its conversions, the preprocessing, and the values that it came to."""
    inputs, stated = context.probe.inputs, context.probe.preprocessing
    figures = [_given(context, index) for index in range(len(context.names))]
    blocks: list[Block] = [FigureRow(tuple(figures[:OPEN]))]
    if figures[OPEN:]:
        blocks.append(Fold(f"{plural(len(figures) - OPEN, 'further image')}", (FigureRow(tuple(figures[OPEN:])),)))
    if inputs.ndim == 4 and inputs.shape[3] == 3:
        rows = tuple(_planes(context, index) for index in range(min(len(context.names), OPEN)))
        blocks.append(Fold("The input's channels, one by one", rows))
    height, width = inputs.shape[1:3]
    how = ", unchanged" if stated is None else f" (height × width): {stated.words}"
    finding = f"The network receives {plural(len(context.names), 'image')} of {height}×{width} pixels{how}."
    if len(context.names) == 2 and Need.COMPARABLE in context.offers:
        finding += f" {differ_words(context, 1)}"
    return Section("images", "The images as the network sees them", finding, tuple(blocks))


def differ_words(context: PageContext, other: int) -> str:
    """Where image `other` differs from the first, as a sentence."""
    box = differing_box(context.probe.inputs[0], context.probe.inputs[other])
    if box is None:
        return "To the network they are equal, value by value."
    (top, bottom), (left, right), share = box
    return (
        f"They differ in {percent(share)} of the pixels, within rows {top} to {bottom} and columns {left} to {right}."
    )


def _given(context: PageContext, index: int) -> Figure:
    name, values, probe = context.names[index], context.probe.inputs[index], context.probe
    raster = _whole(pixels_of(context, index))
    finite = values[np.isfinite(values)]
    low, high = (short_number(float(x)) for x in (finite.min(), finite.max())) if finite.size else ("NaN", "NaN")
    notes = f" Converted: {probe.notes[index]}." if index < len(probe.notes) and probe.notes[index] else ""
    channels = values.reshape(-1, values.shape[-1] if values.ndim == 3 else 1)
    mean = ", ".join(short_number(float(x)) for x in channels.mean(axis=0, dtype=np.float64))
    planes = () if probe.preprocessing is None else probe.preprocessing.planes
    each = f" Mean of {listed(planes)}: {mean}." if len(planes) > 1 else f" Mean {mean}."
    return Figure(
        f"image-{index}",
        raster,
        f"The image {name}, {raster.height} by {raster.width} pixels.",
        f"{name}. Input values from {low} to {high}.{each}{notes}",
        export=picture_export(raster),
    )


def _whole(pixels: np.ndarray) -> Raster:
    """The picture at its own size, as far as that is at most `LONGEST`."""
    height, width = pixels.shape[:2]
    factor = LONGEST / max(height, width)
    if factor >= 1:
        return photo(pixels)
    return photo(
        thumbnail(pixels, Frame((height, width), (max(1, round(height * factor)), max(1, round(width * factor)))))
    )


def _planes(context: PageContext, index: int) -> FigureRow:
    values = np.moveaxis(context.probe.inputs[index], -1, 0)
    low, high, palette = layer_range(values)
    frame = Frame.of(context.probe.inputs[index])
    step = -(-frame.size[0] // frame.drawn[0])
    stated = context.probe.preprocessing
    names = (stated.planes if stated is not None else ()) or tuple(str(i) for i in range(len(values)))
    picture = mosaic(values[:, ::step, ::step], low, high, palette, labels=names, columns=len(values))
    bar = colorbar(palette, low, high)
    thinned = f" Every {ordinal(step)} pixel is shown." if step > 1 else ""
    figure = Figure(
        f"image-{index}-planes",
        picture,
        f"{context.names[index]}, the input's channels {listed(names)}, from {bar.low} to {bar.high}.",
        f"{context.names[index]}: the values that the network reads, channel by channel, {bar.low} to {bar.high}."
        f"{thinned}",
        bar,
        picture_export(picture, bar),
        wide=True,
    )
    return FigureRow((figure,))
