"""Photographs, encoded for the page: small ones losslessly, others as WebP, which takes a tenth of a PNG's bytes.

    picture = photo(pixels)                     # uint8 [height, width, 3] or [height, width, 1]
    sheet = photos(tiles, labels)               # uint8 [n, height, width, 3], as one picture

For pictures to be recognised, never for values, which stay lossless (`figures.mosaic`).
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reportgen.core.report import Grid, Mosaic, Raster, Stand
from reportgen.figures.mosaic import best_columns, image, mosaic

if TYPE_CHECKING:
    import PIL.Image

SMALL = 64
LEAST = 16
"""Sides of pictures, in pixels: up to the one they are lossless, and down to the other they are made smaller."""

QUALITY = 80


def photo(pixels: np.ndarray) -> Raster:
    """`pixels` from 0 to 255, as a PNG with hard pixel edges up to 64x64, as a WebP above."""
    height, width = pixels.shape[:2]
    if max(height, width) <= SMALL:
        return image(pixels, 0, 255)
    from PIL import Image

    colors = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    colors = np.repeat(colors, 3, axis=2) if colors.shape[2] == 1 else colors
    return Raster(_webp(Image.fromarray(colors)), "image/webp", width, height)


def photos(
    tiles: np.ndarray,
    labels: Sequence[str],
    *,
    columns: int | None = None,
    values: Sequence[str] = (),
    stand: Stand = "full",
    most: int | None = None,
) -> Mosaic:
    """Photographs [n, height, width, 3] from 0 to 255 in one picture, laid out as by `mosaic`, encoded as by `photo`.

    One of more than `most` bytes is a WebP whatever its size, of half as many rows and columns until it keeps to them.

    Raises DataError as `mosaic` does.
    """
    count, tall, wide = tiles.shape[:3]
    gap = 0 if count == 1 else 2
    # The lossless mosaic of one pixel per tile determines the columns and validates the arguments.
    plan = mosaic(tiles[:, :1, :1], 0, 255, labels=labels, columns=columns or best_columns(count, tall, wide))
    if max(tall, wide) <= SMALL:
        exact = mosaic(tiles, 0, 255, labels=labels, columns=plan.grid.columns, values=values, gap=gap, stand=stand)
        if most is None or len(exact.raster.data) <= most:
            return exact
    from PIL import Image

    pictures = [Image.fromarray(tile) for tile in np.rint(np.clip(tiles, 0, 255)).astype(np.uint8)]
    while True:
        wide, tall = pictures[0].size
        grid = Grid(plan.grid.columns, tall, wide, gap)
        size = grid.size(count)
        sheet = Image.new("RGBA" if gap else "RGB", size)
        for index, picture in enumerate(pictures):
            sheet.paste(picture, grid.origin(index))
        data = _webp(sheet)
        if most is None or len(data) <= most or min(tall, wide) <= LEAST:
            raster = Raster(data, "image/webp", *size, pixelated=max(tall, wide) <= SMALL)
            return Mosaic(raster, grid, plan.labels, tuple(values), stand=stand)
        pictures = [picture.resize((-(-wide // 2), -(-tall // 2)), Image.Resampling.BOX) for picture in pictures]


def _webp(picture: "PIL.Image.Image") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()
