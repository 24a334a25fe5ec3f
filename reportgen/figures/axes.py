"""Axes: scales, ticks, and their lines and labels.

scale = Scale(*padded(values), frame.bottom, frame.top)
parts = [*left_axis(frame, scale, round_ticks(scale.low, scale.high, 5))]
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.figures.fonts import text_width
from reportgen.figures.scene import SIZE, SMALL, Lines, Part, Words, middle

HAIR = 0.8


@dataclass(frozen=True)
class Frame:
    """The plot area of a chart, in CSS pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class Scale:
    """From `low` at the pixel `start` to `high` at the pixel `end`, in equal steps or in equal factors."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, values: object) -> np.ndarray:
        """Pixels of the values, of the same shape; non-finite where the value or its logarithm is."""
        numbers, low, high = np.asarray(values, float), self.low, self.high
        if self.logarithmic:
            numbers = np.log(numbers, where=numbers > 0, out=np.full(numbers.shape, np.nan))
            low, high = math.log(low), math.log(high)
        # Halves: the range itself could overflow.
        share: np.ndarray = (numbers / 2 - low / 2) / (high / 2 - low / 2)
        return self.start + share * (self.end - self.start)


def padded(values: np.ndarray, *, logarithmic: bool = False) -> tuple[float, float]:
    """The range of the finite values with a margin of a twentieth on each side; (0, 1) without any."""
    values = values[np.isfinite(values)]
    if not len(values):
        return (0.1, 1.0) if logarithmic else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        margin = math.log(high / low) * 0.05 or 0.5
        return max(low * math.exp(-margin), 5e-324), min(high * math.exp(margin), sys.float_info.max)
    margin = (high / 2 - low / 2) * 0.1 or abs(high) * 0.05 or 0.5
    return max(low - margin, -sys.float_info.max), min(high + margin, sys.float_info.max)


def round_step(least: float) -> float:
    """The first of 1, 2, 5, 10, 20, ... times a power of ten that is not below `least`, a positive number.

    >>> round_step(0.13), round_step(3), round_step(50)
    (0.2, 5.0, 50.0)
    """
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))


def round_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Multiples of a round number from `low` to `high`, at most `most` + 1; `whole` restricts them to integers."""
    step = round_step(high / most - low / most)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def decade_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`, at most seven, with their threefold where there are few."""
    first, last = math.floor(math.log10(low)), math.floor(math.log10(high))
    every = max(1, -(-(last - first) // 6))
    factors = (1.0, 3.0) if math.log10(high / low) <= 3 else (1.0,)
    ticks = [factor * 10.0**power for power in range(first, last + 1, every) for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def numbered(ticks: Sequence[float], digits: int = 6) -> dict[float, str]:
    """Each tick with its number as text."""
    return {tick: short_number(tick, digits) for tick in ticks}


def fitting(scale: Scale, *, digits: int = 6, whole: bool = False) -> dict[float, str]:
    """Numbered ticks of a horizontal scale, at most seven, fewer where their numbers would touch."""
    width = abs(scale.end - scale.start)
    for most in (6, 5, 4, 3, 2):
        names = numbered(round_ticks(scale.low, scale.high, most, whole=whole), digits)
        if sum(text_width(name, SMALL) + 12 for name in names.values()) <= width:
            break
    return names


def left_room(names: Mapping[float, str]) -> float:
    """Width in pixels of the tick labels left of an axis."""
    return max((text_width(name, SMALL) for name in names.values()), default=0.0) + 10


def bottom_axis(frame: Frame, scale: Scale, names: Mapping[float, str], label: str) -> list[Part]:
    """The line below the frame, its tick labels and the axis label."""
    return [
        Lines((np.array([[frame.left, frame.bottom], [frame.right, frame.bottom]]),), "muted", HAIR),
        *(
            Words(float(scale(at)), frame.bottom + 14, name, "muted", SMALL, anchor="middle")
            for at, name in names.items()
        ),
        Words(frame.left + frame.width / 2, frame.bottom + 32, label, "muted", SIZE, anchor="middle"),
    ]


def left_axis(frame: Frame, scale: Scale, names: Mapping[float, str]) -> list[Words]:
    """The tick labels left of the frame."""
    return [
        Words(frame.left - 6, middle(float(scale(at)), SMALL), name, "muted", SMALL, anchor="end")
        for at, name in names.items()
    ]


def no_data(frame: Frame) -> Words:
    """ "no data", in the middle of the frame."""
    x, y = frame.left + frame.width / 2, middle(frame.top + frame.height / 2, SIZE)
    return Words(x, y, "no data", "muted", anchor="middle")
