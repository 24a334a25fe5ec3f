"""Check the arguments of public functions: each is taken as Python has it, or refused by its name in one sentence.

truth("verify", np.bool_(True))          # True
count("epochs", np.int64(10), least=0)   # 10
positive("learning rate", 1e-3)
texts("rename", "a=b", "rules OLD=NEW")  # ("a=b",)

`errors.expect` checks a type alone.
"""

import operator
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from reportgen.errors import OptionError


def truth(name: str, value: Any) -> bool:
    """A switch of that name. Raises OptionError for anything but True and False."""
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{name} must be True or False, not {value!r:.80}", code="O101")
    return bool(value)


def whole(value: Any) -> int | None:
    """A whole number of Python's, NumPy's or JAX's; None for anything else, True and False too."""
    try:
        return None if isinstance(value, bool | np.bool_) else operator.index(value)
    except (TypeError, RuntimeError):  # RuntimeError: an array that was deleted
        return None


def count(name: str, value: Any, least: int = 0) -> int:
    """A whole number of that name. Raises OptionError for any other, for one below `least`, and beyond 64 bits."""
    result = whole(value)
    if result is None:
        raise OptionError(f"{name} must be a whole number, not {value!r:.80}", code="O101")
    if result < least:
        raise OptionError(f"{name} must be at least {least}, not {result}", code="O106")
    if result >= 2**63:
        raise OptionError(f"{name} must be below 2^63, not {result}", code="O106")
    return result


def positive(name: str, value: Any) -> None:
    """Raise OptionError unless a value of that name is a finite number above 0, of Python's, NumPy's or JAX's."""
    try:
        fits = not isinstance(value, bool | np.bool_) and np.ndim(value) == 0 and isfinite(value) and value > 0
    except (TypeError, ValueError, OverflowError, RuntimeError):  # no number, or an array that was deleted
        fits = False
    if not fits:
        raise OptionError(f"{name} must be a positive number, not {value!r:.80}", code="O101")


def texts(name: str, value: Any, words: str) -> tuple[str, ...]:
    """One text or a sequence of them, which `words` describe. Raises OptionError for anything else."""
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Sequence) or isinstance(given, bytes) or not all(isinstance(each, str) for each in given):
        raise OptionError(f"{name} must be {words}, not {value!r:.80}", code="O101")
    return tuple(given)
