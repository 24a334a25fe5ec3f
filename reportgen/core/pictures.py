"""Pictures before preprocessing, and arrays that can be shown as pictures."""

from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import PixelBatch, Pixels
from reportgen.core.network import Network
from reportgen.core.run import Batch, LazyArray, Run


@dataclass(frozen=True)
class Picture:
    """One image before preprocessing.

    `pixels` is float32 [height, width, 1 or 3], grey or RGB from 0 to 255; `notes` state each conversion
    ("16 bits a channel, divided by 257").
    """

    name: str
    pixels: Pixels
    notes: tuple[str, ...] = ()


LEAST_SIDE = 8
"""Rows and columns from which on a network's numbers [row, column] are taken for a picture."""


def are_pictures(shape: tuple[int, ...], network: Network | None = None) -> bool:
    """Whether data of that shape can be shown: [n, h, w], [n, h, w, 1] or [n, h, w, 3].

    Of a network, [n, h, w] are pictures unless it takes an axis for time, or they are too small for one.
    """
    if len(shape) == 3 and network is not None:
        in_time = any("t" in layer.axes for layer in network.layers.values())
        return not in_time and min(shape[1:]) >= LEAST_SIDE
    return len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))


def pictures_of(run: Run, batch: Batch) -> np.ndarray | LazyArray:
    """What a batch has to show as pictures: those before preprocessing, else its inputs; empty where it has none."""
    if batch.pictures is not None:
        return batch.pictures
    return batch.images if are_pictures(batch.images.shape, run.network) else np.zeros(0, np.float32)


def image_range(images: np.ndarray | LazyArray) -> tuple[float, float]:
    """(black, white): 0 and 1 for images within these, else the least and the largest finite value."""
    low, high = np.inf, -np.inf
    for start in range(0, len(images), 1000):  # blocks bound the memory
        block = images[start : start + 1000]
        finite = block[np.isfinite(block)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high if high > low else low + 1)


def to_pixels(images: np.ndarray, shades: tuple[float, float]) -> PixelBatch:
    """float32 [n, height, width, 1 or 3] from 0 to 255: `shades` are the values of black and of white."""
    low, high = shades
    shown = images[..., None] if images.ndim == 3 else images
    return ((shown - low) / (high - low) * 255).astype(np.float32)
