"""Sums that neither overflow nor hide a NaN: the arithmetic that the analyses share.

    values = as_float64(kernel, "conv1/kernel")  # float64, or a DataError that names it
    mean(values[np.isfinite(values)])           # None for an empty array

float16 and bfloat16 arrays are converted before anything is added; float64 values near the largest
number are scaled before they are summed.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from reportgen.core.arrays import Float64Array
from reportgen.core.numbers import PART
from reportgen.errors import DataError


def parts(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Arrays of one size, flat, `PART` elements of each at a time; one part for empty ones."""
    flat = [array.reshape(-1) for array in arrays]
    for begin in range(0, max(flat[0].size, 1), PART):
        yield tuple(array[begin : begin + PART] for array in flat)


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


def correlation_of_parts(sides: Callable[[], Iterable[tuple[Float64Array, Float64Array]]]) -> float | None:
    """As `correlation`, of sides that `sides()` gives part by part, each time anew."""
    reach, first, count = np.zeros(2), np.full(2, np.nan), 0
    for part in sides():
        if part[0].size:
            first = np.where(np.isnan(first), [values[0] for values in part], first)
            reach = np.maximum(reach, [np.abs(values).max() for values in part])
            count += part[0].size
    if count < 2:
        return None
    scale = np.maximum(reach, np.finfo(np.float64).tiny)

    def shifted() -> Iterator[np.ndarray]:
        for both in sides():
            yield np.stack([values / scale[i] - first[i] / scale[i] for i, values in enumerate(both)])

    total, far = np.zeros(2), np.zeros(2)
    for rows in shifted():
        total += rows.sum(axis=1)
        far = np.maximum(far, np.abs(rows).max(axis=1, initial=0.0))
    if not far.all():
        return None
    products = np.zeros((2, 2))
    for rows in shifted():
        centred = (rows - (total / count)[:, None]) / far[:, None]
        products += centred @ centred.T
    return float(np.clip(products[0, 1] / np.sqrt(products[0, 0] * products[1, 1]), -1.0, 1.0))
