"""Shapes of arrays, checked while the tests run: the `Annotated` names of reportgen.core.arrays as jaxtyping's types.

    install_import_hook(ROOMS, "tests.shapes.checked")        # before these rooms are imported

Only shapes and dtypes are checked: all else is mypy's, and functions are also tested with what they refuse.
"""

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import beartype
import jaxtyping

PACKAGE = Path(__file__).parent.parent / "reportgen"

#: What is checked; but for what numba compiles, which takes no wrapper.
ROOMS = [
    "reportgen.core.landscape",
    "reportgen.core.outcome",
    "reportgen.core.pictures",
    "reportgen.core.run",
    "reportgen.evaluate",
    *(f"reportgen.analysis.{file.stem}" for file in (PACKAGE / "analysis").glob("*.py") if file.stem != "fuzzy"),
]


def checked(function: Any) -> Any:
    """The function, raising for an argument or a result of another shape than its annotation says."""
    hints = {name: type_of(hint) for name, hint in function.__annotations__.items()}
    function.__annotations__ = {name: hint for name, hint in hints.items() if hint is not None}
    return beartype.beartype(function) if function.__annotations__ else function


def type_of(hint: Any) -> Any:
    """The type that checks the shapes in a type; None where it names none."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        array, text = arguments
        dtype, axes = text.split(" ", 1)
        return getattr(jaxtyping, dtype)[array, axes]
    if origin in (None, Mapping):  # a mapping may read from disk what it is asked for
        return None
    found = [type_of(argument) for argument in arguments]
    if all(shape is None for shape in found):
        return None
    origin = Union if origin is types.UnionType else origin
    return origin[tuple(a if shape is None else shape for a, shape in zip(arguments, found, strict=True))]
