"""The filters: the first convolution's in the images' own colours, other kernels as mosaics of weights."""

import numpy as np

from reportgen.core.network import Layer
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, FigureRow, Section, Text
from reportgen.figures.export import picture_export
from reportgen.figures.kernels import kernel_tiles
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import DIVERGING, colorbar, symmetric
from reportgen.sections.inspection.maps import by_module
from reportgen.sections.inspection.view import View
from reportgen.sections.words import plural


def build(view: View) -> Section | None:
    """Kernels of the first convolution and of the chosen layers; None where there are none."""
    first = next((layer for layer in view.found.network.layers.values() if _is_first(view, layer)), None)
    blocks: list[Block] = []
    if first is not None:
        blocks.append(_colored(view, first))
    rest = [layer for layer in view.layers if layer is not first and view.kernel(layer) is not None]
    blocks += by_module(view, [(layer, (_weights(view, layer),)) for layer in rest])
    if not blocks:
        return None
    blocks.append(
        Text(
            "A filter in colour shows its weights for red, green and blue as a colour: mid-grey is 0, brighter "
            "positive, "
            "darker negative, one symmetric range for all filters. Elsewhere white is 0, red negative, blue positive.",
            "method",
        )
    )
    return Section("filters", "Filters", _finding(view, first, rest), tuple(blocks))


def _is_first(view: View, layer: Layer) -> bool:
    kernel = view.kernel(layer)
    return (
        kernel is not None
        and kernel[1].ndim == 4
        and kernel[1].shape[2] == view.found.inputs.shape[-1]
        and kernel[1].shape[:2] != (1, 1)
        and kernel[1].shape[2] in (1, 3)
        and layer is next((x for x in view.found.network.layers.values() if view.kernel(x) is not None), None)
    )


def _finding(view: View, first: Layer | None, rest: list[Layer]) -> str:
    if first is None:
        return f"The kernels of {plural(len(rest), 'layer')}, weight by weight."
    name, kernel = view.kernel(first) or ("", np.zeros(0))
    norms = np.sqrt(np.square(kernel.astype(np.float64)).sum(axis=(0, 1, 2)))
    height, width = kernel.shape[:2]
    largest = int(np.nan_to_num(norms, nan=-1.0).argmax())
    return (
        f"{name} holds {plural(kernel.shape[-1], 'filter')} of {height}×{width}; filter {largest} has the largest "
        "weights "
        f"(norm {short_number(float(norms[largest]))})."
    )


def _colored(view: View, layer: Layer) -> Figure:
    name, kernel = view.kernel(layer) or ("", np.zeros((1, 1, 1, 1)))
    low, high = symmetric(kernel)
    tiles = np.moveaxis(kernel, -1, 0).astype(np.float64)
    size = "×".join(map(str, kernel.shape[:2]))
    planes = view.found.preprocessing.planes
    if kernel.shape[2] == 3:
        if planes == ("B", "G", "R"):
            tiles = tiles[..., ::-1]
        span = high - low or 1.0
        picture = mosaic((tiles - low) / span * 255, 0, 255, labels=range(len(tiles)))
        bar = None
        known = (
            f"as {'BGR turned to RGB' if planes == ('B', 'G', 'R') else 'RGB'}"
            if len(planes) == 3
            else "its three inputs as RGB"
        )
        colour = f"in colour, {known}: mid-grey 0, {short_number(low)} to {short_number(high)}"
    else:
        picture, bar = mosaic(tiles, low, high, DIVERGING, labels=range(len(tiles))), colorbar(DIVERGING, low, high)
        colour = f"{short_number(low)} to {short_number(high)}"
    return Figure(
        f"filters-{view.slug(layer.path)}",
        picture,
        f"{name}: {plural(len(tiles), 'filter')} of {size}.",
        f"{name}: {plural(len(tiles), 'filter')} of {size}, a tile per output channel, {colour}.",
        bar,
        picture_export(picture, bar),
        wide=True,
    )


def _weights(view: View, layer: Layer) -> FigureRow:
    name, kernel = view.kernel(layer) or ("", np.zeros((1, 1)))
    laid_out = kernel_tiles(kernel)
    low, high = symmetric(kernel)
    bar = colorbar(DIVERGING, low, high)
    picture = mosaic(laid_out.tiles, low, high, DIVERGING, labels=laid_out.labels, gap=laid_out.gap)
    shape = "×".join(map(str, kernel.shape))
    figure = Figure(
        f"filters-{view.slug(layer.path)}",
        picture,
        f"{name}, {shape} weights from {bar.low} to {bar.high}.",
        f"{name}, {shape}. {laid_out.reading} {bar.low} to {bar.high}.",
        bar,
        picture_export(picture, bar),
        wide=True,
    )
    return FigureRow((figure,), name)
