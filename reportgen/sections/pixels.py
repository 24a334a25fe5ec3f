"""Several inputs as one picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reportgen.core.pictures import are_pictures, to_pixels
from reportgen.core.report import Mosaic
from reportgen.core.run import LazyArray
from reportgen.figures.mosaic import mosaic
from reportgen.figures.photo import SMALL, photos


def image_mosaic(
    images: np.ndarray | LazyArray, chosen: Sequence[int] | np.ndarray, shades: tuple[float, float], **layout: Any
) -> Mosaic | None:
    """The chosen images as tiles, the least of `shades` black and the largest white; None for what is no picture."""
    if not are_pictures(images.shape) or not len(chosen):
        return None
    tiles, (low, high) = images[chosen], shades
    if tiles.ndim == 4 and tiles.shape[3] == 1:
        tiles = tiles[..., 0]
    if tiles.ndim == 3:
        return mosaic(tiles, low, high, **layout)
    pixels = to_pixels(tiles, shades)  # a mosaic takes colours from 0 to 255
    if max(pixels.shape[1:3]) > SMALL and np.isfinite(pixels).all():
        return photos(pixels, **{name: value for name, value in layout.items() if name != "gap"})
    return mosaic(pixels, 0, 255, **layout)


def colors(pixels: np.ndarray) -> np.ndarray:
    """[height, width, 3] uint8 of a picture [height, width, 1 or 3] from 0 to 255."""
    shown: np.ndarray = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    return np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
