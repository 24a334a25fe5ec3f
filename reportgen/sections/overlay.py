"""A channel at the image's size, in register with it: beside the image, and laid over it.

    frame = Frame.of(picture.pixels)
    enlarged = registered(channel, field, frame)      # masked where no unit looks
    laid_over(picture.pixels, enlarged, ...)          # uint8 [height, width, 3]

A unit's value stands where the middle of its receptive field is, as far as halfway to its neighbours; the
rim of the image where no unit has its middle stays empty. Where the receptive field is not known, the map is
stretched over the whole image.
"""

from dataclasses import dataclass

import numpy as np

from reportgen.core.network import ReceptiveField
from reportgen.figures.palettes import rgb

LARGEST = 222
"""Longest side of a repeated image, in pixels: a larger one is made smaller."""

LARGE, POSITIVE, NEGATIVE = "#ff9500", "#1f6fd0", "#d02030"


@dataclass(frozen=True)
class Frame:
    """A picture's size and the one that it is drawn in, (height, width) each."""

    size: tuple[int, int]
    drawn: tuple[int, int]

    @staticmethod
    def of(pixels: np.ndarray) -> "Frame":
        height, width = pixels.shape[:2]
        factor = min(1.0, LARGEST / max(height, width))
        return Frame((height, width), (max(1, round(height * factor)), max(1, round(width * factor))))

    @property
    def small(self) -> bool:
        """Whether its pixels are so few that each is to be seen."""
        return max(self.size) <= 64


def registered(channel: np.ndarray, field: ReceptiveField | None, frame: Frame) -> np.ma.MaskedArray:
    """`channel` [y, x] as a masked array of the frame's drawn size."""
    steps, offsets = (0, 0), (0, 0)
    if field is not None:
        steps, offsets = (field.step_y, field.step_x), (field.top, field.left)
    lengths = (field.height, field.width) if field is not None else (0, 0)
    rows, columns = (
        _units(channel.shape[axis], steps[axis], offsets[axis] + (lengths[axis] - 1) / 2, frame, axis)
        for axis in (0, 1)
    )
    values = channel[np.maximum(rows, 0)[:, None], np.maximum(columns, 0)[None]]
    return np.ma.array(values, mask=(rows < 0)[:, None] | (columns < 0)[None])


def _units(count: int, step: int, first: float, frame: Frame, axis: int) -> np.ndarray:
    """For each drawn row or column, the unit that stands there; -1 where there is none."""
    size, drawn = frame.size[axis], frame.drawn[axis]
    at = (np.arange(drawn) + 0.5) * size / drawn - 0.5
    if step == 0:
        return np.minimum((np.arange(drawn) * count) // drawn, count - 1)
    units = np.floor((at - first) / step + 0.5).astype(int)
    return np.where((units >= 0) & (units < count), units, -1)


def thumbnail(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    """The picture at the frame's drawn size, 0 to 255."""
    if frame.size == frame.drawn:
        return pixels
    from PIL import Image

    height, width = frame.drawn
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.LANCZOS))
        for plane in np.moveaxis(pixels.astype(np.float32), -1, 0)
    ]
    drawn: np.ndarray = np.clip(np.stack(planes, axis=-1), 0, 255)
    return drawn


def laid_over(pixels: np.ndarray, enlarged: np.ma.MaskedArray, low: float, high: float) -> np.ndarray:
    """The picture in grey, uint8 [height, width, 3], with the channel over it: orange where values are never
    negative, else blue positive and red negative.

    `pixels` are at the drawn size. Nothing of the colour at 0 (at `low` for values that are never negative),
    most of it at `high`: 80 %, so that the picture can still be seen.
    """
    weights = [0.299, 0.587, 0.114] if pixels.shape[2] == 3 else [1.0]
    grey = (pixels @ np.array(weights))[..., None]
    values = np.nan_to_num(np.ma.filled(enlarged.astype(np.float64), 0.0), nan=0.0, posinf=high, neginf=low)
    if low < 0:
        share = values / max(abs(low), abs(high), np.finfo(float).tiny)
    else:
        share = np.where(np.ma.getmaskarray(enlarged), 0.0, (values - low) / (high - low if high > low else 1.0))
    share = np.clip(share, -1, 1)[..., None]
    over = np.array(rgb(POSITIVE if low < 0 else LARGE), float)
    tint = np.where(share < 0, np.array(rgb(NEGATIVE), float), over)
    opacity = 0.8 * np.abs(share)
    mixed: np.ndarray = np.rint(np.clip(grey * (1 - opacity) + tint * opacity, 0, 255)).astype(np.uint8)
    return mixed
