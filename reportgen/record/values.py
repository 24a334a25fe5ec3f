"""Convert what a training loop passes besides arrays: metrics, and its configuration as JSON values.

metrics = Metrics()
given = metrics({"loss": loss})        # leaves out or refuses what is no scalar number; waits for no device
row = numbers(given)                   # {"loss": 2.3}, which waits
config = plain({"lr": np.float32(1e-3), "data": Path("digits")}, "config")
"""

import argparse
import dataclasses
import enum
import functools
import types
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.core.arguments import count, whole
from reportgen.core.run import MetricRow
from reportgen.errors import OptionError, expect, warn
from reportgen.store import RESERVED

MOST_ITEMS = 1000
"""Numbers of an array that a configuration may have; data do not belong there."""

LARGEST = 2**1000
"""Whole numbers are kept below it: what reads JSON has float64 for them."""


class Metrics:
    """Selects the metrics that can be recorded: scalar numbers under names that the recorder does not use itself.

    What else is given to the first call ends in OptionError, which names the metric, as this costs nothing yet. Later
    it is left out with one warning for each name: a training of hours does not end for it.
    """

    def __init__(self) -> None:
        self._begun = False
        self._left_out: set[str] = set()

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics themselves; values on the device are not waited for."""
        taken = {}
        for name, value in values.items():
            problem = problem_of(name, value)
            if problem is None:
                taken[name] = value
            elif not self._begun:
                raise OptionError(problem, code="C105")
            elif name not in self._left_out:
                self._left_out.add(name)
                warn(f"{problem}; until then it is left out", code="C203")
        self._begun = True
        return taken


def problem_of(name: str, value: Any) -> str | None:
    """Why a metric can't be recorded; None where it can."""
    if name in RESERVED:
        return f"a metric can't be called {name!r}, which the recorder notes itself; give it another name"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if dtype is None and isinstance(value, Real | Decimal):  # also bool, Fraction
        return (
            None
            if not isinstance(value, Integral) or abs(int(value)) < LARGEST
            else f"the metric {name!r} is too large"
        )
    if isinstance(value, jax.core.Tracer):
        return (
            f"the metric {name!r} is a value that JAX traces: call the recorder outside of jit, grad and scan, with "
            "what these return"
        )
    if shape is None or dtype is None or isinstance(value, jax.ShapeDtypeStruct):
        return f"the metric {name!r} must be a scalar number, not {type(value).__name__}"
    if shape != ():
        return f"the metric {name!r} must be a scalar number, not an array of shape {tuple(shape)}: average it"
    if isinstance(value, jax.Array) and value.is_deleted():
        return f"the metric {name!r} was deleted or donated before it was given to the recorder"
    if jnp.issubdtype(dtype, np.complexfloating):
        return f"the metric {name!r} must be a real number, not {dtype}"
    if not (jnp.issubdtype(dtype, np.number) or jnp.issubdtype(dtype, np.bool_)):
        return f"the metric {name!r} must be a scalar number, not of type {dtype}"
    return None


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The metrics as Python's numbers: whole ones stay whole, others are the decimals that they print as."""
    return {name: _number(value) for name, value in values.items()}


def rows_of(rows: Mapping[int, Mapping[str, Any]], epoch: int, taken: Metrics) -> list[MetricRow]:
    """The metrics that updates of `epoch` reported, step -> name -> number, in the order of the steps.

    Raises OptionError for other mappings, and as `Metrics` does.
    """
    epoch = count("epoch", epoch)
    words = "a mapping of steps to metrics: {step: {name: number}}"
    expect("rows", rows, Mapping, words)
    for row in rows.values():
        expect("rows", row, Mapping, words)
    steps = {count("a step of rows", step): row for step, row in rows.items()}
    return [MetricRow(step, epoch, reported=numbers(taken(steps[step]))) for step in sorted(steps)]


def _number(value: Any) -> float:
    if not hasattr(value, "dtype"):
        return int(value) if isinstance(value, Integral) else float(value)
    item = np.asarray(value)[()]
    if item.dtype.kind == "f":
        return decimal(item)
    return int(item) if jnp.issubdtype(item.dtype, np.integer) or item.dtype == bool else decimal(item)


def decimal(value: Any) -> float:
    """The shortest decimal that a floating scalar of NumPy's or JAX's rounds from: float32's 0.001 is 0.001.

    As a float64 it would be 0.0010000000474974513, digits that nobody gave. Converting it back to its type gives the
    same value.
    """
    wide = float(value)
    if value.dtype.itemsize >= 8 or not isfinite(wide):
        return wide
    if isinstance(value, np.float32):
        return float(str(value))
    kind = value.dtype.type
    # 9 digits tell any two numbers of 32 bits apart.
    shorter = (float(f"{wide:.{digits}g}") for digits in range(1, 10))
    with np.errstate(over="ignore"):  # of a short one that is above the type's largest
        return next(short for short in shorter if kind(short) == value)


def configuration(values: Any, name: str) -> dict[str, Any]:
    """A mapping, namespace or dataclass of settings as JSON has it, see `plain`. Raises OptionError for others."""
    try:
        result = {} if values is None else plain(values, name)
    except RecursionError as error:
        raise OptionError(f"{name} contains itself, or is nested too deeply to be recorded", code="C106") from error
    if not isinstance(result, dict):
        raise OptionError(
            f"{name} must be a mapping of names to values, not {type(values).__name__}; try vars({name})", code="C106"
        )
    return result


def plain(value: Any, name: str) -> Any:
    """A configuration value as JSON has it.

    - Numbers, texts, booleans, None, sequences and mappings stay what they are; sets become sorted lists.
    - NumPy's and JAX's scalars and small arrays become numbers (see `decimal`) and lists of them.
    - Dataclasses and namespaces become mappings; dates, times and complex numbers texts.
    - Paths, dtypes, enumeration members, classes, functions and partial functions become their names.
    - Numbers that are not finite become texts.

    Raises OptionError, with `name`, for anything else, and for a mapping whose keys read the same.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        return _array(value, name)
    if isinstance(value, Integral) and abs(int(value)) < LARGEST:
        return int(value)
    if isinstance(value, Real | Decimal) and not isinstance(value, Integral):
        return float(value) if isfinite(value) else str(float(value))
    if isinstance(value, PurePath | date | datetime | time | timedelta | complex):
        return str(value)
    if isinstance(value, Mapping) or (hasattr(value, "keys") and hasattr(value, "__getitem__")):
        return _mapping(value, name)
    if isinstance(value, argparse.Namespace | types.SimpleNamespace):
        return _mapping(vars(value), name)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{name}.{f.name}") for f in dataclasses.fields(value)}
    if isinstance(value, Set):
        items = [plain(item, f"{name}{{{item!r}}}") for item in value]
        return sorted(items, key=lambda x: (isinstance(x, str), x if isinstance(x, int | float) else 0, str(x)))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, functools.partial):
        return f"{plain(value.func, name)}(...)"
    if callable(value) and isinstance(text := getattr(value, "__qualname__", getattr(value, "__name__", None)), str):
        return text
    raise OptionError(
        f"{name} is a {type(value).__name__}, which can't be recorded; give a number, a text, a list or a mapping",
        code="C106",
    )


def _mapping(values: Mapping[Any, Any], name: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key in tuple(values.keys()):  # a ConfigDict has keys, and is no Mapping
        if str(key) in result:
            raise OptionError(
                f"{name} has two keys that read {str(key)!r}, of which one would be lost; rename one", code="C106"
            )
        result[str(key)] = plain(values[key], f"{name}[{key!r}]")
    return result


def _array(value: Any, name: str) -> Any:
    """A scalar or array of NumPy's or JAX's as a number or text, or as nested lists of them."""
    is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    if is_key or np.size(value) > MOST_ITEMS or value.dtype.hasobject or value.dtype.names:
        what = f"{'a random key' if is_key else value.dtype} of shape {list(np.shape(value))}"
        raise OptionError(
            f"{name} is {what}, which can't be recorded; at most {MOST_ITEMS:,} numbers or texts can be", code="C106"
        )
    array = np.asarray(value)
    if array.dtype.kind in "biuU":
        return array.tolist()
    floating = jnp.issubdtype(array.dtype, np.floating)
    items = [plain(decimal(item), name) if floating else str(item) for item in array.reshape(-1)]
    return np.array(items, object).reshape(array.shape).tolist()


NO_STEP = (
    "epoch() was called without step() since the last epoch, so that it counts as one update; "
    "give the number of its updates as steps=, or their losses="
)


def history(columns: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """A row of metrics for each of `count` updates, of columns [update]. Raises OptionError for others."""
    arrays = {}
    for name, column in columns.items():
        try:
            arrays[name] = np.asarray(column)
        except (TypeError, ValueError, RuntimeError) as error:  # ragged, traced, or deleted
            raise OptionError(
                f"{name} must be one number for each of the {count:,} updates: {error}", code="C108"
            ) from error
        if arrays[name].shape != (count,):
            raise OptionError(
                f"{name} must be [{count:,}], a number for each update; got {list(arrays[name].shape)}", code="C108"
            )
    return [{name: array[number] for name, array in arrays.items()} for number in range(count)]


def updates(losses: Any, steps: Any) -> tuple[list[Any], int]:
    """The loss of each of an epoch's updates, where known, and how many these are. Raises OptionError for others."""
    count = None if steps is None else whole(steps)
    if steps is not None and (count is None or count < 0):
        raise OptionError(f"steps must be the number of the epoch's updates, not {steps!r}", code="C108")
    if losses is None:
        return [], count or 0
    try:
        array = np.asarray(losses)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged, traced, or deleted
        raise OptionError(f"losses must be one number for each of the epoch's updates: {error}", code="C108") from error
    if array.size and (problem := problem_of("losses", array.reshape(-1)[0])):
        raise OptionError(problem, code="C105")
    if array.ndim != 1 or count not in (None, len(array)):
        number = "" if count is None else f"{count} "
        raise OptionError(
            f"losses must be one number for each of the epoch's {number}updates; got {array.shape}", code="C108"
        )
    return list(array), len(array)
