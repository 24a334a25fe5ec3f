"""Many thumbnails in one picture, small enough to be carried by a page that shows any of them.

    sheet = sprites(images, (0.0, 1.0), 110_000)   # tile i lies at sheet.grid.origin(i)

Grey ones have 16 shades, coloured ones are JPEGs whose tiles share no block.
"""

import io
from dataclasses import dataclass

import numpy as np

from reportgen.core.pictures import to_pixels
from reportgen.core.report import Grid, Raster

LONGEST, SHORTEST = 32, 8
"""Pixels of a thumbnail's longer side, at most, and what it is thinned to for its bytes at least."""

SHADES = 16
BLOCK = 8
"""Sides of a JPEG's blocks, in pixels."""


@dataclass(frozen=True)
class Sheet:
    """A picture of equal tiles on a grid, the first at the upper left; a tile shows the whole cell or, of a coloured
    one, its upper left `height` x `width` pixels."""

    picture: Raster
    grid: Grid
    width: int
    height: int


def sprites(images: np.ndarray, shades: tuple[float, float], size: int) -> Sheet | None:
    """The images [n, height, width(, 1 or 3)], black and white at `shades`, in at most `size` bytes.

    Averaged over squares of pixels as far as it takes; None where 8 pixels are still too many, or without images.
    """
    if not len(images):
        return None
    pixels = np.nan_to_num(to_pixels(images, shades)).clip(0, 255)
    longer = max(pixels.shape[1:3])
    for step in range(-(-longer // LONGEST), max(1, longer // SHORTEST) + 1):
        sheet = _sheet(_thinned(pixels, step))
        if len(sheet.picture.data) <= size:
            return sheet
    return None


def _thinned(pixels: np.ndarray, step: int) -> np.ndarray:
    """The mean of every square of `step` pixels, those at the right and lower edge cut."""
    count, height, width, colors = pixels.shape
    down, across = max(1, height // step), max(1, width // step)
    tall, wide = min(step, height), min(step, width)
    cut = pixels[:, : down * tall, : across * wide]
    thin: np.ndarray = cut.reshape(count, down, tall, across, wide, colors).mean(axis=(2, 4))
    return thin


def _sheet(tiles: np.ndarray) -> Sheet:
    from PIL import Image

    count, height, width, colors = tiles.shape
    grey = colors == 1
    cell = (height, width) if grey else (-(-height // BLOCK) * BLOCK, -(-width // BLOCK) * BLOCK)
    grid = Grid(int(np.ceil(np.sqrt(count))), *cell, 0)
    across, down = grid.size(count)
    edges = (0, 0), (0, cell[0] - height), (0, cell[1] - width), (0, 0)
    rows = down // cell[0]
    cells = np.zeros((rows * grid.columns, *cell, colors), np.uint8)
    cells[:count] = np.rint(np.pad(tiles, edges, mode="edge"))
    canvas = cells.reshape(rows, grid.columns, *cell, colors).swapaxes(1, 2).reshape(down, across, colors)
    buffer = io.BytesIO()
    if grey:
        steps = 255 // (SHADES - 1)
        picture = Image.fromarray(np.rint(canvas[..., 0] / steps).astype(np.uint8))
        picture.putpalette([level * steps for level in range(SHADES) for _ in range(3)])
        picture.save(buffer, "PNG", bits=4)
    else:
        Image.fromarray(canvas).save(buffer, "JPEG", quality=60, subsampling=0)
    mime = "image/png" if grey else "image/jpeg"
    return Sheet(Raster(buffer.getvalue(), mime, across, down, pixelated=grey), grid, width, height)
