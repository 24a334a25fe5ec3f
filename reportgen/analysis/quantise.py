"""Parameters over steps in a byte each, small enough to travel inside a page.

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
    wide = values.astype(np.float64)
    finite = np.isfinite(wide)
    largest = float(np.abs(wide).max(where=finite, initial=0.0))
    scale = largest / LEVELS or 1.0
    levels = np.rint(np.where(finite, wide, 0.0) / scale).clip(-LEVELS, LEVELS).astype(np.int8)
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
    # 9 takes six times as long for a fiftieth fewer bytes.
    return zlib.compress(b"".join(parts), 6)
