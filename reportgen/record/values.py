"""Convert what a training loop passes besides arrays: metrics, and its configuration as JSON values.

given = metrics({"loss": loss})        # refuses what is not a scalar number, without waiting for the device
row = numbers(given)                   # {"loss": 2.3}, which waits
config = plain({"lr": np.float32(1e-3), "data": Path("digits")}, "config")
"""

import dataclasses
import enum
import operator
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import PurePath
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.errors import OptionError
from reportgen.store import RESERVED

MOST_ITEMS = 1000
"""Numbers of an array that a configuration may have; data do not belong there."""


def metrics(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics themselves. Raises OptionError, naming the metric, for a reserved name or for what is not a
    scalar number; values on the device are not waited for."""
    for name, value in values.items():
        if name in RESERVED:
            raise OptionError(
                f"a metric can't be called {name!r}, which the recorder notes itself; give it another name"
            )
        if isinstance(value, bool | int | float):
            continue
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if shape is None or dtype is None:
            raise OptionError(f"the metric {name!r} must be a scalar number, not {type(value).__name__}")
        if shape != ():
            raise OptionError(f"the metric {name!r} must be a scalar number, not an array of shape {shape}: average it")
        if not (jnp.issubdtype(dtype, np.number) or jnp.issubdtype(dtype, np.bool_)):
            raise OptionError(f"the metric {name!r} must be a scalar number, not of type {dtype}")
        if jnp.issubdtype(dtype, np.complexfloating):
            raise OptionError(f"the metric {name!r} must be a real number, not {dtype}")
    return values


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The metrics as Python's numbers: whole ones stay whole, others keep every digit."""
    return {name: _number(value) for name, value in values.items()}


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return int(value) if isinstance(value, bool) else value
    item = np.asarray(value)
    return int(item) if np.issubdtype(item.dtype, np.integer) or item.dtype == bool else float(item)


def configuration(config: Any) -> dict[str, Any]:
    """A mapping of settings as JSON has it, empty for None. Raises OptionError for anything else."""
    if config is not None and not isinstance(config, Mapping):
        raise OptionError(f"config must be a mapping of names to values, not {type(config).__name__}; try vars(config)")
    return plain_items(config or {}, "config")


def plain_items(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A mapping's items as JSON has them (`plain`)."""
    return {str(key): plain(value, f"{name}[{key!r}]") for key, value in values.items()}


def plain(value: Any, name: str) -> Any:
    """A configuration value as JSON has it.

    Numbers, texts, booleans, None, sequences and mappings stay what they are; NumPy's and JAX's scalars and
    small arrays become numbers and lists of them, dataclasses mappings; paths, dtypes, enumeration members,
    classes and functions become their names; numbers that are not finite become texts. Raises OptionError,
    with `name`, for anything else.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{name}.{f.name}") for f in dataclasses.fields(value)}
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, np.generic | np.ndarray | jax.Array) and np.size(value) <= MOST_ITEMS:
        array = np.asarray(value)
        if array.dtype.kind in "biufU" or jnp.issubdtype(array.dtype, np.floating):
            return plain(array.tolist(), name)
    elif callable(value) and isinstance(text := getattr(value, "__qualname__", getattr(value, "__name__", None)), str):
        return text
    raise OptionError(
        f"{name} is a {type(value).__name__}, which can't be recorded; give a number, a text, a list or a mapping"
    )


def update_losses(losses: Any, steps: int | None) -> list[Any]:
    """The loss of each of an epoch's updates. Raises OptionError when these are not as many as `steps`."""
    if losses is None:
        return []
    array = np.asarray(losses)
    if array.ndim != 1 or (steps is not None and len(array) != steps):
        raise OptionError(f"losses must be one number for each of the epoch's {steps or ''} updates; got {array.shape}")
    each = list(array)
    if each:
        metrics({"losses": each[0]})
    return each


def update_count(steps: Any) -> int:
    """The number of an epoch's updates. Raises OptionError for anything else."""
    try:
        count = operator.index(steps)
    except TypeError:
        count = -1
    if count < 0:
        raise OptionError(f"steps must be the number of the epoch's updates, not {steps!r}")
    return count
