"""Everything that depends on JAX's version: reading the equations of a traced program, and building part of one.

    scan_of(equation)            # the parts of a `scan` equation, or None
    called_program(equation)     # what a `jit`, `remat` or custom derivative wraps, or None

Everything else in `capture` uses public modules of JAX and no parameter of these equations by name.
`KNOWN` are the releases that the tests have run on; an equation that can't be read raises ModelError.
"""

import os
import sysconfig
import traceback
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import flax
import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

import reportgen
from reportgen.errors import ModelError

KNOWN = ("0.10", "0.12")

WRAPPERS = (
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
)
"""Equations that do no more than run the program inside them."""

NAMED = ("jit", "custom_jvp_call", "custom_vjp_call")
"""Those of them that keep the name of the function that was called."""

CUSTOM = ("custom_jvp_call", "custom_vjp_call")
"""Those of functions with a derivative of their own."""

SOURCES = (
    *("jax/_src/nn/functions.py", "flax/linen/pooling.py", "flax/nnx/nn/activations.py"),
    "jax/_src/numpy/reductions.py",  # the mean over positions: global average pooling
)
"""Files whose functions are recognised by a traceback where they leave no call behind."""


LIBRARIES = tuple(
    f"{Path(file).parent}{os.sep}" for file in (jax.__file__, flax.__file__, reportgen.__file__) if file is not None
)
"""Folders of code that is not the model's."""


class Scan(NamedTuple):
    """A `scan` equation: its first `consts` inputs and the next `carry`, its program, and how it runs.

    `body` takes consts, carry and a slice of each further input; it gives the carry and a slice of each
    further output.
    """

    consts: int
    carry: int
    body: Jaxpr
    body_consts: Sequence[Any]
    options: Mapping[str, Any]


def frames_of(equation: Any) -> tuple[Sequence[CodeType], Sequence[int]]:
    """The calls in which an equation was made, the innermost first: their code, and how far each had come in it."""
    made = equation.source_info.traceback
    return made.raw_frames() if made is not None else ((), ())


def place_of(equation: Any) -> str:
    """The line of the model's own code that made an equation, "model.py:12"; "" where there is none."""
    return place(zip(*frames_of(equation), strict=True))


def place_here() -> str:
    """The line of the model's own code that is being called from."""
    return place((frame.f_code, frame.f_lasti) for frame, _ in traceback.walk_stack(None))


def place(frames: Iterable[tuple[CodeType, int]]) -> str:
    """The innermost line that is neither JAX's, Flax's, Python's nor reportgen's, "model.py:12"; "" where none is."""
    for code, offset in frames:
        if not _is_library(code.co_filename):
            lines = [line for start, end, line in code.co_lines() if start <= offset < end and line is not None]
            return f"{Path(code.co_filename).name}:{lines[0] if lines else code.co_firstlineno}"
    return ""


@cache
def _is_library(file: str) -> bool:
    python = file.startswith(sysconfig.get_path("stdlib")) and "site-packages" not in file
    return file.startswith((*LIBRARIES, "<frozen", "<string>")) or python


def scan_of(equation: JaxprEqn) -> Scan | None:
    """The parts of a `scan` equation; None for any other. Raises ModelError for one of an unknown form."""
    if equation.primitive.name != "scan":
        return None
    params = equation.params
    try:
        if "ft_in" in params:  # JAX 0.12
            consts, carry = (len(list(part)) for part in params["ft_in"].unpack()[:2])
        else:
            consts, carry = params["num_consts"], params["num_carry"]
        body, values = opened(params["jaxpr"])
        options = {name: params[name] for name in ("length", "reverse", "unroll")}
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ModelError(
            f"a loop (scan) of the model can't be read: JAX {jax.__version__} describes it by "
            f"{', '.join(sorted(params))}; reportgen knows the form of JAX {' and '.join(KNOWN)}",
            code="M108",
        ) from error
    return Scan(consts, carry, body, values, options)


def opened(program: Any) -> tuple[Jaxpr, Sequence[Any]]:
    """A program and the values of its constants. JAX 0.12 has one class for what were two before."""
    return getattr(program, "jaxpr", program), getattr(program, "consts", ())


def called_program(equation: JaxprEqn) -> tuple[Jaxpr, Sequence[Any]] | None:
    """The program inside one of the `WRAPPERS` and its constants; None for other equations."""
    if equation.primitive.name not in WRAPPERS:
        return None
    keys = ("jaxpr", "call_jaxpr", "fun_jaxpr")
    inner = next((equation.params[key] for key in keys if key in equation.params), None)
    return None if inner is None else opened(inner)


def called_name(equation: JaxprEqn) -> str:
    """Name of the function that one of the `NAMED` calls; "" for other equations."""
    if equation.primitive.name not in NAMED:
        return ""
    inner = called_program(equation)
    name = equation.params.get("name")
    # "relu at .../functions.py:71"
    return str(name or (inner and inner[0].debug_info.func_src_info.split(" ")[0]) or "")


def is_jaxs_own(program: Jaxpr) -> bool:
    """Whether the function is one of JAX's: "_roll_static at .../jax/_src/numpy/lax_numpy.py:123"."""
    return "/jax/_src/" in program.debug_info.func_src_info.replace("\\", "/")


def inner_programs(equation: JaxprEqn) -> list[Jaxpr]:
    """The programs among an equation's parameters."""
    values = [x for value in equation.params.values() for x in (value if isinstance(value, tuple | list) else [value])]
    return [opened(x)[0] for x in values if isinstance(x, Jaxpr | ClosedJaxpr)]


def program_of(like: Jaxpr, inputs: Sequence[Any], outputs: Sequence[Any], equations: Sequence[JaxprEqn]) -> Any:
    """A closed program of these equations. JAX asks for debug information, which is that of `like`."""
    copy: Any = like.replace  # it has no types
    info = like.debug_info._replace(arg_names=None, result_paths=None)
    parts = {"invars": list(inputs), "outvars": list(outputs), "eqns": list(equations)}
    return ClosedJaxpr(copy(constvars=[], debug_info=info, **parts), [])
