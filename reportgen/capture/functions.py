"""Names of functions of one number, such as activations written by hand: known by their values, not by their code.

    function_name(x, y)                # "quick_gelu" where y is x * sigmoid(1.702 x)
    values_on_grid(variable, start, made_by, constants)

What a program does elementwise between two of its values is evaluated on a grid of numbers, in NumPy, and
compared with the functions in `KNOWN`: x * 0.5 * (1 + erf(x / sqrt 2)) is "gelu", however it is written.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax.extend.core import Literal

from reportgen.capture.interpret import makers
from reportgen.capture.jax_versions import called_program
from reportgen.capture.operations import PASSED_ON

GRID = np.concatenate([np.linspace(-8, 8, 97), [-30.0, -1.7, -0.3, 0.3, 1.7, 30.0]])
CLOSE = 1e-5
"""Of the function's largest value: constants are given in as many digits as their authors cared for."""

AFFINE = "affine"
"""The name of a x + b, the function itself included: no activation."""


def _erf(x: Any) -> Any:
    return np.array([math.erf(value) for value in np.ravel(x)]).reshape(np.shape(x))


def _sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -x))


def _softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


def _clip(x: Any) -> Any:
    return np.clip(x, 0, 6)


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


# fmt: off
KNOWN: Mapping[str, tuple[Callable[[Any], Any], ...]] = {
    "relu": (lambda x: np.maximum(x, 0),), "relu6": (_clip,), "squared_relu": (lambda x: np.maximum(x, 0) ** 2,),
    "gelu": (lambda x: x * (1 + _erf(x / np.sqrt(2))) / 2, _gelu_tanh), "silu": (lambda x: x * _sigmoid(x),),
    "quick_gelu": (lambda x: x * _sigmoid(1.702 * x),), "mish": (lambda x: x * np.tanh(_softplus(x)),),
    "hard_swish": (lambda x: x * _clip(x + 3) / 6,), "hard_sigmoid": (lambda x: _clip(x + 3) / 6,),
    "hard_tanh": (lambda x: np.clip(x, -1, 1),), "sigmoid": (_sigmoid,), "log_sigmoid": (lambda x: -_softplus(-x),),
    "softplus": (_softplus,), "soft_sign": (lambda x: x / (1 + np.abs(x)),), "tanh": (np.tanh,),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),),
    "selu": (lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),),
    "sin": (np.sin,), "cos": (np.cos,), "exp": (np.exp,), "abs": (np.abs,), "square": (np.square,),
    "sign": (np.sign,), "round": (np.round,), "floor": (np.floor,),
    "step": (lambda x: np.where(x > 0, 1.0, 0.0), lambda x: np.where(x >= 0, 1.0, 0.0)),
}
# fmt: on


def function_name(x: np.ndarray, y: np.ndarray) -> str | None:
    """The name of the function that has the values `y` at `x` (the `GRID`); None for one that has none here."""
    if not np.isfinite(y).all():
        return None

    def same(expected: np.ndarray) -> bool:
        return bool(np.all(np.abs(y - expected) <= CLOSE * (1 + np.abs(expected))))

    slope, shift = np.polyfit(x, y, 1)
    if same(slope * x + shift):
        return AFFINE
    for name, forms in KNOWN.items():
        if any(same(form(x)) for form in forms):
            return name
    positive, negative = x == 1.7, x == -1.7
    up, down = float(y[positive][0]), float(y[negative][0])
    if same(np.where(x > 0, x, x * down / -1.7)):
        return "leaky_relu"
    low, high = float(y.min()), float(y.max())
    if same(np.clip(x, low, high)):
        return "clip"
    if 0 < up < 1.7 and same(x * _sigmoid(x * -math.log(1.7 / up - 1) / 1.7)):
        return "swish"
    # c * tanh(x / c) tends to c from below.
    limits = [c for c in (high, *_caps(up)) if c > 0]
    return "soft_cap" if any(same(c * np.tanh(x / c)) for c in limits) else None


def _caps(value: float) -> list[float]:
    """The c for which c * tanh(1.7 / c) is `value`."""
    low, high = 1e-3, 1e6
    if not low < value < 1.7:
        return []
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if middle * math.tanh(1.7 / middle) < value else (low, middle)
    return [low]


def _chosen(which: Any, *cases: Any) -> Any:
    return np.choose(np.asarray(which).astype(int), np.broadcast_arrays(*cases))


# fmt: off
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "max": np.maximum,
    "min": np.minimum, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.round,
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt,
    "log2": np.log2, "rsqrt": lambda x: 1 / np.sqrt(x), "square": np.square, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "tanh": np.tanh, "logistic": _sigmoid, "erf": _erf, "erfc": lambda x: 1 - _erf(x), "pow": np.power,
    "clamp": lambda low, x, high: np.clip(x, low, high), "select_n": _chosen, "ge": np.greater_equal, "gt": np.greater,
    "le": np.less_equal, "lt": np.less, "eq": np.equal, "ne": np.not_equal, "and": np.logical_and, "or": np.logical_or,
    "not": np.logical_not, "is_finite": np.isfinite,
}
# fmt: on
_LIKE_FUNCTIONS = (*PASSED_ON, "broadcast_in_dim", "optimization_barrier", "integer_pow")


def values_on_grid(variable: Any, start: Any, made_by: Mapping[Any, Any], constants: Mapping[Any, Any]) -> Any:
    """What `variable` is where `start` is the `GRID`; None where more than numbers and elementwise functions take part.

    `made_by` maps variables to the equations that make them, `constants` those of the program to their values.
    """
    with np.errstate(all="ignore"):
        return _value(variable, {start: GRID}, made_by, constants)


def _value(v: Any, values: dict[Any, Any], made_by: Mapping[Any, Any], constants: Mapping[Any, Any]) -> Any:
    if isinstance(v, Literal):
        return np.asarray(v.val, np.float64) if np.ndim(v.val) == 0 else None
    if v not in values:
        if v in constants:
            number = constants[v]
            values[v] = np.asarray(number, np.float64).reshape(()) if np.size(number) == 1 else None
        else:
            values[v] = _applied(made_by[v], values, made_by, constants) if v in made_by else None
    return values[v]


def _applied(equation: Any, values: dict[Any, Any], made_by: Mapping[Any, Any], constants: Mapping[Any, Any]) -> Any:
    name, inner = equation.primitive.name, called_program(equation)
    if len(equation.outvars) != 1 or not (inner or name in _FUNCTIONS or name in _LIKE_FUNCTIONS):
        return None
    inputs = [_value(v, values, made_by, constants) for v in equation.invars]
    if any(x is None for x in inputs):
        return None
    if inner is not None:
        within, made = dict(zip(inner[0].invars, inputs, strict=True)), makers(inner[0].eqns)
        return _value(inner[0].outvars[0], within, made, dict(zip(inner[0].constvars, inner[1], strict=True)))
    if name == "integer_pow":
        return inputs[0] ** float(equation.params["y"])
    if name == "convert_element_type":
        kind = np.dtype(equation.params["new_dtype"]).kind
        return inputs[0] != 0 if kind == "b" else np.trunc(inputs[0]) if kind in "iu" else inputs[0] * 1.0
    return _FUNCTIONS[name](*inputs) if name in _FUNCTIONS else inputs[0]
