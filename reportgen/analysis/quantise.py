"""Parameters over steps, small enough to embed in a page: as they are, or in two bytes per value.

    levels, scale = quantise(np.stack(kernels))      # [step, ...] -> int16 [step, ...], value = level * scale
    pack([levels, exact(np.stack(biases))])          # of core.scripted: the first step, then differences step by step

One scale per parameter over all steps, so that differences between steps are exact multiples of it. A
value is off by at most scale / 2, a difference of two by at most scale.
"""

import numpy as np

from reportgen.core.arrays import Packable

LEVELS = 32767
NOT_FINITE = -32768
"""The level of NaN and infinite values."""


def quantise(values: np.ndarray) -> tuple[Packable, float]:
    """Levels int16 of the same shape, and the scale; values that are not finite become `NOT_FINITE`.

    The scale is the largest finite absolute value / 32767, or 1 where all values are 0 or not finite.
    """
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    largest = float(np.abs(values).max(where=finite, initial=0.0))
    scale = largest / LEVELS or 1.0
    levels = np.rint(np.where(finite, values, 0.0) / scale).clip(-LEVELS, LEVELS).astype(np.int16)
    levels[~finite] = NOT_FINITE
    return levels, scale


def exact(values: np.ndarray) -> Packable | None:
    """The values as float32 where that keeps each of them, else None."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return single if np.array_equal(single.astype(np.float64), values.astype(np.float64), equal_nan=True) else None
