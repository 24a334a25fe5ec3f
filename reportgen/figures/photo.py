"""Photographs, encoded for the page: small ones without loss, others as WebP, a tenth of a PNG's bytes.

    picture = photo(pixels)                     # uint8 [height, width, 3] or [height, width, 1]
    tiles = lossy(mosaic(tiles, 0, 255, labels=...))

For pictures that are there to be recognised, never for values: those stay lossless (`figures.mosaic`).
"""

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reportgen.core.report import Mosaic, Raster
from reportgen.figures.mosaic import image

if TYPE_CHECKING:
    import PIL.Image

SMALL = 64
QUALITY = 80


def photo(pixels: np.ndarray) -> Raster:
    """`pixels` from 0 to 255; up to 64x64 a PNG with hard pixel edges, beyond that a WebP."""
    height, width = pixels.shape[:2]
    if max(height, width) <= SMALL:
        return image(pixels, 0, 255)
    from PIL import Image

    colors = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    colors = np.repeat(colors, 3, axis=2) if colors.shape[2] == 1 else colors
    return Raster(_webp(Image.fromarray(colors)), "image/webp", width, height)


def lossy(picture: Mosaic) -> Mosaic:
    """The mosaic of photographs with its picture as a WebP; of tiles up to 64x64 as it is."""
    if max(picture.tile_height, picture.tile_width) <= SMALL:
        return picture
    from PIL import Image

    data = _webp(Image.open(io.BytesIO(picture.raster.data)))
    return replace(picture, raster=replace(picture.raster, data=data, mime="image/webp", pixelated=False))


def _webp(picture: "PIL.Image.Image") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()
