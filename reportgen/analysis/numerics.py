"""Sums that neither overflow nor hide a NaN: the arithmetic that the analyses share.

    values = as_float64(kernel, "conv1/kernel")  # float64, or a DataError that names it
    mean(values[np.isfinite(values)])           # None for an empty array

float16 and bfloat16 arrays are converted before anything is added; float64 values near the largest
number are scaled before they are summed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.core.arrays import Float64Array
from reportgen.core.numbers import CACHED, PART
from reportgen.errors import DataError

SAFE = 1e-200, 1e300
"""Sums of squares in which nothing overflowed, and too little to count was lost below the least number."""


def parts(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Arrays of one size, flat, whole up to `PART` elements, of more some at a time; one part for empty ones."""
    flat = [array.reshape(-1) for array in arrays]
    step = PART if flat[0].size <= PART else CACHED
    for begin in range(0, max(flat[0].size, 1), step):
        yield tuple(array[begin : begin + step] for array in flat)


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
    with np.errstate(over="ignore"):
        found = float(values.mean())
    if np.isfinite(found):
        return found
    largest = float(np.abs(values).max())
    return float((values / largest).mean()) * largest


def norm(values: Float64Array) -> float:
    """Euclidean norm of a float64 array of finite values; inf where it is beyond float64, 0 when empty."""
    flat = values.reshape(-1)
    with np.errstate(over="ignore", under="ignore"):
        squares = float(np.einsum("i,i->", flat, flat))
    if SAFE[0] < squares < SAFE[1]:
        return float(np.sqrt(squares))
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


class Correlation:
    """As `correlation`, of sides that come part by part: `add` takes them, `result` is what is known by then."""

    def __init__(self) -> None:
        self._count = 0
        self._scale, self._first, self._mean = np.full(2, np.finfo(np.float64).tiny), np.zeros(2), np.zeros(2)
        self._products = np.zeros((2, 2))

    def add(self, first: Float64Array, second: Float64Array) -> None:
        """Take a further part of both sides."""
        if not first.size:
            return
        if not self._count:
            self._first[:] = first[0], second[0]
        scale = np.maximum(self._scale, [max(values.max(), -values.min()) for values in (first, second)])
        shrunk = self._scale / scale
        self._mean *= shrunk
        self._products *= np.outer(shrunk, shrunk)
        self._scale = scale
        # Shifted by the first value of all, a constant is recognised exactly.
        rows = [values * unit for values, unit in zip((first, second), 1 / scale, strict=True)]
        for values, shift in zip(rows, self._first * (1 / scale), strict=True):
            values -= shift
        mean = np.array([values.mean() for values in rows])
        for values, middle in zip(rows, mean, strict=True):
            values -= middle
        apart, total = mean - self._mean, self._count + first.size
        # Without BLAS, whose threads cost more than they save on what is so short.
        mixed = float((rows[0] * rows[1]).sum())
        own = [float(np.square(values).sum()) for values in rows]
        # What two parts have in common is moved to the mean of both (Chan, Golub, LeVeque 1979).
        self._products += np.array([[own[0], mixed], [mixed, own[1]]])
        self._products += np.outer(apart, apart) * (self._count / total * first.size)
        self._mean += apart * (first.size / total)
        self._count = total

    def result(self) -> float | None:
        """Pearson's correlation of what was taken; None where it is undefined."""
        if self._count < 2 or not np.diagonal(self._products).all():
            return None
        sizes = np.sqrt(np.diagonal(self._products))
        return float(np.clip(self._products[0, 1] / sizes[0] / sizes[1], -1.0, 1.0))
