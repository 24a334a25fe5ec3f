"""Parameters over steps in one byte per value, small enough to embed in a page.

    levels, scale = quantise(np.stack(kernels))      # [step, ...] -> int8 [step, ...], value = level * scale
    packed = pack([levels])                          # zlib: the first step, then differences step by step

One scale per parameter over all steps, so that differences between steps are exact multiples of it. A
value is off by at most scale / 2, a difference of two by at most scale.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from reportgen.core.arrays import Levels

LEVELS = 127
NOT_FINITE = -128
"""The level of NaN and infinite values."""


def quantise(values: np.ndarray) -> tuple[Levels, float]:
    """Levels int8 of the same shape, and the scale; values that are not finite become `NOT_FINITE`.

    The scale is the largest finite absolute value / 127, or 1 where all values are 0 or not finite.
    """
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    largest = float(np.abs(values).max(where=finite, initial=0.0))
    scale = largest / LEVELS or 1.0
    levels = np.rint(np.where(finite, values, 0.0) / scale).clip(-LEVELS, LEVELS).astype(np.int8)
    levels[~finite] = NOT_FINITE
    return levels, scale


def pack(parameters: Sequence[Levels]) -> bytes:
    """zlib bytes of int8 levels [step, ...]: parameter after parameter, step after step, as differences mod 256.

    Neighbouring steps differ little, so differences compress several times better than levels.
    """
    parts = []
    for levels in parameters:
        flat = levels.reshape(len(levels), -1).view(np.uint8)
        parts.append(np.concatenate([flat[:1], flat[1:] - flat[:-1]]).tobytes())
    # Level 9 takes far longer for hardly fewer bytes.
    return zlib.compress(b"".join(parts), 6)
