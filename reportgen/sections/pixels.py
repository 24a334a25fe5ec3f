"""Inputs as pictures: which arrays can be shown, what is black and white in them, several in one figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reportgen.core.report import Mosaic
from reportgen.core.run import Images
from reportgen.figures.mosaic import mosaic


def are_pictures(shape: tuple[int, ...]) -> bool:
    """Whether data of that shape can be shown: [n, h, w], [n, h, w, 1] or [n, h, w, 3]."""
    return len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))


def image_range(images: np.ndarray | Images) -> tuple[float, float]:
    """(black, white): 0 and 1 for images within these, else the least and the largest finite value."""
    low, high = np.inf, -np.inf
    for start in range(0, len(images), 1000):  # 60,000 at once, their mask and a copy would be 420 MB
        block = images[start : start + 1000]
        finite = block[np.isfinite(block)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high if high > low else low + 1)


def to_pixels(images: np.ndarray, shades: tuple[float, float]) -> np.ndarray:
    """float32 [n, height, width, 1 or 3] from 0 to 255: `shades` are the values of black and of white."""
    low, high = shades
    shown = images[..., None] if images.ndim == 3 else images
    return ((shown - low) / (high - low) * 255).astype(np.float32)


def image_mosaic(
    images: np.ndarray | Images, chosen: Sequence[int] | np.ndarray, shades: tuple[float, float], **layout: Any
) -> Mosaic | None:
    """The chosen images as tiles, the least of `shades` black and the largest white; None for what is no picture."""
    if not are_pictures(images.shape) or not len(chosen):
        return None
    tiles, (low, high) = images[chosen], shades
    if tiles.ndim == 4 and tiles.shape[3] == 1:
        tiles = tiles[..., 0]
    if tiles.ndim == 3:
        return mosaic(tiles, low, high, **layout)
    return mosaic(to_pixels(tiles, shades), 0, 255, **layout)  # a mosaic takes colours from 0 to 255
