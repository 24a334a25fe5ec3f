"""Sums that neither overflow nor hide a NaN: the arithmetic that the analyses share.

    values = as_float64(kernel, "conv1/kernel")  # float64, or a DataError that names it
    mean(values[np.isfinite(values)])           # None for an empty array

float16 and bfloat16 arrays are converted before anything is added; float64 values near the largest
number are scaled before they are summed.
"""

from typing import Any

import numpy as np

from reportgen.core.arrays import Float64Array
from reportgen.errors import DataError


def as_float64(values: Any, what: str) -> Float64Array:
    """`values` as a float64 array of the same shape (bfloat16 and other ml_dtypes included).

    Raises DataError, naming `what`, for complex numbers, text, objects and records.
    """
    array = np.asarray(values)
    if array.dtype.kind in "cOSUMmT" or array.dtype.names is not None:
        raise DataError(f"{what} holds {array.dtype} values; expected real numbers.", code="A101")
    return array.astype(np.float64)


def mean(values: Float64Array) -> float | None:
    """Mean of a float64 array of finite values, without overflow on the way; None when it is empty."""
    if values.size == 0:
        return None
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return 0.0
    return float((values / largest).mean()) * largest


def norm(values: Float64Array) -> float:
    """Euclidean norm of a float64 array of finite values; inf where it is beyond float64, 0 when empty."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    return float(np.sqrt(np.square(values / largest).sum())) * largest


def correlation(first: Float64Array, second: Float64Array) -> float | None:
    """Pearson's correlation of two equally long float64 arrays of finite values.

    None where it is undefined: fewer than two values, or one side constant. Each side is shifted by
    its own first value before the mean is taken, so that a constant is recognised exactly and a
    large offset costs no precision.
    """
    if first.size < 2:
        return None
    sides = []
    for values in (first, second):
        scaled = values / max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
        shifted = scaled - scaled.flat[0]
        largest = float(np.abs(shifted).max())
        if largest == 0.0:
            return None
        centred = shifted / largest
        sides.append(centred - centred.mean())
    product = float((sides[0] * sides[1]).sum())
    return float(np.clip(product / (norm(sides[0]) * norm(sides[1])), -1.0, 1.0))
