"""Attention weights as pictures: a grid of heads for each layer and example, and what is read laid over pictures."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reportgen.analysis.attention import rollout
from reportgen.core.report import Block, Figure, FigureRow, Fold
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import FEW, mosaic
from reportgen.figures.palettes import GREY, colorbar
from reportgen.figures.photo import photos
from reportgen.figures.text import patches
from reportgen.sections.context import PageContext
from reportgen.sections.enlarged import frame_of, pixels_of
from reportgen.sections.heads import Patches, Weights, called
from reportgen.sections.limits import coarse
from reportgen.sections.maps import by_module, open_images, shown_images
from reportgen.sections.overlay import laid_over, registered, thumbnail
from reportgen.sections.reading import ROOM, Shown, packed
from reportgen.sections.words import noun, plural

PIXELS = 400_000
"""Pixels of all grids of heads together: at FEW shades some 280 KB of a page at most."""

OVER = 115_000
"""Bytes of all pictures of what heads read, before they are written as text: larger ones are drawn smaller."""

SIDE = 64
"""Longest side of a picture under patches, in pixels."""


def grids(context: PageContext, weights: Weights) -> list[Block]:
    """The weights of every head on every shown example, a tile per head, in a fold."""
    images, layers = shown_images(context), weights.layers
    heads = sum(layer.shape[0] for layer in layers)
    side = max(8, int(np.sqrt(PIXELS / (heads * images))))
    parts = []
    for layer in layers:
        values = weights.of(layer)[:images]
        step = -(-max(layer.shape[1:]) // side)
        tiles, high = _largest(values, step), float(np.nanmax(values, initial=0.0))
        bar, part = colorbar(GREY, 0.0, high), ""
        if step > 1:
            part = f" A pixel is the largest of {step}×{step} weights."
        if not np.isfinite(tiles).all():
            part += " Violet: a query that reads nothing."
        figures = []
        for index in range(images):
            picture = mosaic(
                coarse(tiles[index], 0.0, high, FEW - 2), 0.0, high, GREY, labels=range(layer.shape[0]), stand="half"
            )
            figures.append(
                Figure(
                    f"maps-{context.slug(layer.path)}-{index}",
                    picture,
                    f"{called(layer)}, {plural(layer.shape[0], 'head')} for {context.names[index]}.",
                    f"{context.names[index]}: {called(layer)}, a tile per head; rows are queries, columns keys.{part}",
                    bar,
                    picture_export(picture, bar),
                    wide=True,
                    of=("maps", layer.path),
                )
            )
        parts.append((layer, (FigureRow(tuple(figures), called(layer)),)))
    return [Fold(f"The weights of {plural(heads, 'head')}", tuple(by_module(parts)))]


def _largest(values: np.ndarray, step: int) -> np.ndarray:
    """[..., query, key] by the largest of each `step` x `step` weights; NaN where a query reads nothing."""
    for axis in (2, 3):
        values = np.fmax.reduceat(values, np.arange(0, values.shape[axis], step), axis=axis)
    return values


def over_pictures(context: PageContext, weights: Weights) -> list[Block]:
    """Each head of the last layer over each picture, the rollout of all layers, and what a chosen patch reads."""
    grid, layer = weights.grid, weights.layers[-1]
    assert grid is not None
    reads = "the class token reads" if grid.leading else "the patches read in the mean"
    read_by = [np.nan_to_num(weights.of(each)) for each in weights.layers]
    flows = rollout(read_by)
    heads, flow = grid.read(read_by[-1]), grid.read(flows)
    images = shown_images(context)
    figures = []
    for index in range(images):
        name = context.names[index]
        maps = [*heads[index], flow[index]]
        labels = [*map(str, range(len(heads[index]))), "rollout"]
        picture = photos(np.stack([_laid_over(context, index, one) for one in maps]), labels, most=OVER // images)
        over = Figure(
            f"attention-over-{index}",
            picture,
            f"What {reads} of {name}: {plural(len(heads[index]), 'head')} and rollout.",
            f"{name}: what {reads} in {called(layer)}, a tile per head, and by rollout through "
            f"{plural(len(weights.layers), 'layer')}. The more orange, the more is read, in each tile up to its "
            "own largest weight.",
            export=picture_export(picture),
            wide=True,
            of=("maps", layer.path),
        )
        read = [Shown("rollout", "rollout", flows[index])]
        read += [
            Shown(called(each), f"head {head}", values[index, head])
            for each, values in reversed(list(zip(weights.layers, read_by, strict=True)))
            for head in range(each.shape[0])
        ]
        small = _small(pixels_of(context, index))
        shown = chart(
            f"attention-patches-{index}",
            patches(small, flow[index], float(flow[index].max())),
            alt=f"What {reads} of {name} by rollout.",
            caption=f"{name}: what {reads} by rollout. Where scripts run, head and patch can be chosen.",
        )
        figures.append((over, replace(shown, shades=packed(_from_patches(read, grid), (), 0, ROOM // images))))
    first = open_images(context)
    blocks: list[Block] = [each for pair in figures[:first] for each in pair]
    if figures[first:]:
        name = plural(images - first, f"further {noun(context.run)}")
        blocks.append(Fold(name, tuple(each for pair in figures[first:] for each in pair)))
    return blocks


def _from_patches(read: Sequence[Shown], grid: Patches) -> list[Shown]:
    """What patches read of patches, and before it what the class token reads of them."""
    found = [replace(each, values=each.values[grid.leading :, grid.leading :]) for each in read]
    if grid.leading:
        classes = [Shown("class token", f"{x.title}, {x.name}", x.values[0, grid.leading :]) for x in read]
        return [*classes, *found]
    return found


def _small(pixels: np.ndarray) -> np.ndarray:
    """A picture as uint8 [height, width, 3], every so many of its rows and columns."""
    step = -(-max(pixels.shape[:2]) // SIDE)
    thin = np.rint(pixels[step // 2 :: step, step // 2 :: step]).astype(np.uint8)
    return np.repeat(thin, 3, axis=2) if thin.shape[2] == 1 else thin


def _laid_over(context: PageContext, index: int, read: np.ndarray) -> np.ndarray:
    frame = frame_of(context, index)
    pixels = thumbnail(pixels_of(context, index), frame)
    return laid_over(pixels, registered(read, None, frame), 0.0, float(read.max()))
