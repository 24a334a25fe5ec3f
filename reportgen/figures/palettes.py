"""Colours of numbers and classes, the same on every figure.

    low, high = symmetric(change)
    indices = to_indices(change, low, high, DIVERGING)    # uint8, 0..253 levels, 254 NaN or infinite
    outside(change, low, high)                            # the number of values outside the range
    colorbar(DIVERGING, low, high)                        # the scale, printed beside the picture

A palette has 256 entries: 254 levels from the low end to the high end, one for non-finite values
(violet, otherwise unused), and one for the gaps between tiles (transparent). Levels 126 and 127 of the
diverging palette are both white, so that 0 is exactly white in any symmetric range. Red is negative and
blue positive; red is never paired with green.

Classes take the ten colours of `petroff10` (M. A. Petroff, "Accessible Color Sequences for Data
Visualization", arXiv:2107.02270), distinguishable for colour-blind readers. From the eleventh class on the
colours repeat with another mark (`class_mark`) as a second cue.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reportgen.core.numbers import PART, short_number
from reportgen.core.report import ColorBar
from reportgen.errors import DataError

LEVELS = 254
STOPS = 17  # of a colour bar: interpolated colours are within two levels of the palette's
NOT_FINITE = 254
GAP = 255
NOT_FINITE_COLOR = "#aa00ff"

CLASS_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)

Mark = Literal["dot", "square", "ring"]
_MARKS: tuple[Mark, ...] = ("dot", "square", "ring")

# ColorBrewer's RdBu (C. Brewer, colorbrewer2.org) with its middle made white.
_RED_WHITE_BLUE = (
    "#67001f",
    "#b2182b",
    "#d6604d",
    "#f4a582",
    "#fddbc7",
    "#ffffff",
    "#d1e5f0",
    "#92c5de",
    "#4393c3",
    "#2166ac",
    "#053061",
)


@dataclass(frozen=True)
class Palette:
    """`rgb` [256, 3] uint8, read-only; `flat` is the level of values in a range of width 0."""

    rgb: np.ndarray
    flat: int

    @property
    def diverging(self) -> bool:
        """Whether the middle of the range is the neutral colour."""
        return self.flat != 0


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour written "#rrggbb"."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def class_role(index: int) -> str:
    """Name of the class's colour in `scene.COLORS`, "c0" to "c9"; repeats after ten."""
    return f"c{index % len(CLASS_COLORS)}"


def class_mark(index: int) -> Mark:
    """Mark of the class's points: dots for classes 0 to 9, squares for 10 to 19, rings for 20 to 29."""
    return _MARKS[index // len(CLASS_COLORS) % len(_MARKS)]


def _build(levels: np.ndarray, flat: int = 0) -> Palette:
    table = np.zeros((256, 3), np.uint8)
    table[:LEVELS] = np.rint(levels)
    table[NOT_FINITE] = rgb(NOT_FINITE_COLOR)
    table.flags.writeable = False
    return Palette(table, flat)


def _diverging() -> Palette:
    anchors = np.array([rgb(color) for color in _RED_WHITE_BLUE], float)
    half = LEVELS // 2
    at = np.concatenate([np.linspace(0, 0.5, half), np.linspace(0.5, 1, half)])
    stops = np.linspace(0, 1, len(anchors))
    levels = np.stack([np.interp(at, stops, anchors[:, channel]) for channel in range(3)], axis=1)
    return _build(levels, half - 1)


GREY = _build(np.repeat(np.linspace(0, 255, LEVELS)[:, None], 3, axis=1))
DIVERGING = _diverging()


def _finite_range(low: float, high: float) -> tuple[float, float]:
    low, high = float(low), float(high)
    if not (np.isfinite(low) and np.isfinite(high)) or high < low:
        raise DataError(
            f"a colour range must be two finite numbers, the lower first; got {low!r} to {high!r}", code="A101"
        )
    return low, high


def to_indices(values: np.ndarray, low: float, high: float, palette: Palette = GREY) -> np.ndarray:
    """Palette entries, uint8 and of the same shape: `low` is level 0, `high` level 253, linear between.

    Values outside the range are clipped to its ends (`outside` counts them); NaN and infinities become
    NOT_FINITE; the masked elements of a masked array become GAP. With low == high the values equal to it take
    the palette's `flat` level. Raises DataError for a range that is not finite or not increasing.
    """
    low, high = _finite_range(low, high)
    masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    data = np.asarray(np.ma.getdata(values))
    # float64 throughout, and halved where the range itself would overflow: 3e38 - (-3e38) in float32.
    numbers = data.astype(np.float64)
    finite = np.isfinite(numbers)
    every = bool(finite.all())
    if not every:
        numbers[~finite] = low
    np.clip(numbers, low, high, out=numbers)
    if low == high:
        indices = np.full(data.shape, palette.flat, np.uint8)
        indices[data < low] = 0
        indices[data > high] = LEVELS - 1
    else:
        if not np.isfinite(high - low):
            numbers, low, high = numbers / 2, low / 2, high / 2
        numbers -= low
        numbers /= high - low
        numbers *= LEVELS - 1
        indices = np.rint(numbers, out=numbers).astype(np.uint8)
    if not every:
        indices[~finite] = NOT_FINITE
    if masked is not None:
        indices[masked] = GAP
    return indices


@dataclass(frozen=True)
class Outside:
    """The number of values below a range, above it and not finite, among `total` values."""

    below: int
    above: int
    not_finite: int
    total: int

    @property
    def clipped(self) -> int:
        """Finite values shown in the colour of the nearest end of the range."""
        return self.below + self.above


def outside(values: np.ndarray, low: float, high: float) -> Outside:
    """Count the values that `to_indices` clips or can't place; masked elements are excluded."""
    low, high = _finite_range(low, high)
    numbers = np.asarray(np.ma.compressed(values) if np.ma.isMaskedArray(values) else values)
    finite = np.isfinite(numbers)
    return Outside(
        below=int((finite & (numbers < low)).sum()),
        above=int((finite & (numbers > high)).sum()),
        not_finite=int((~finite).sum()),
        total=int(numbers.size),
    )


def symmetric(*arrays: np.ndarray) -> tuple[float, float]:
    """(-m, m), where m is the largest finite absolute value in the arrays; (0, 0) where there is none."""
    largest = 0.0
    for values in arrays:
        flat = np.ma.filled(values, 0).reshape(-1)
        ends = [float(flat.min(initial=0)), float(flat.max(initial=0))]
        if np.isfinite(ends).all():
            largest = max(largest, -ends[0], ends[1])
            continue
        for begin in range(0, flat.size, PART):
            numbers = np.abs(flat[begin : begin + PART].astype(np.float64))
            largest = max(largest, float(np.max(numbers, where=np.isfinite(numbers), initial=0.0)))
    return -largest, largest


def colorbar(palette: Palette, low: float, high: float) -> ColorBar:
    """The palette's scale from `low` to `high`; a diverging one has its middle number too."""
    low, high = _finite_range(low, high)
    entries = np.rint(np.linspace(0, LEVELS - 1, STOPS)).astype(int)
    colors = tuple("#" + bytes(palette.rgb[entry]).hex() for entry in entries)
    middle = short_number(low / 2 + high / 2) if palette.diverging else None
    return ColorBar(colors, short_number(low), short_number(high), middle)
