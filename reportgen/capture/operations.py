"""Finds the functional operations in a traced model: relu, pooling, flatten, softmax, concatenation, addition.

    operations(equations, scope_of)   # tuple of Operation, in call order

A model's `nn.relu(x)` is not a module, so no module hook sees it. The traced program (a jaxpr) has it, in
one of three forms, which are looked for in this order:

1. a call that carries the function's name: `jit` (silu), `custom_jvp_call` (relu), `custom_vjp_call`;
2. several equations that the traceback says were made inside one call of a known function (softmax,
   gelu, avg_pool), whose last value is the function's;
3. a single equation that says what it is (tanh, concatenate, a reshape that flattens).

Nothing is patched and nothing of the user's is called again: the values are the program's own.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jax.extend.core import JaxprEqn, Literal

from reportgen.capture.interpret import Equation, Loop, shape_of
from reportgen.capture.jax_versions import SOURCES, called_name

ACTIVATIONS = (
    *("relu", "relu6", "silu", "swish", "elu", "selu", "celu", "leaky_relu", "gelu", "glu", "softplus", "mish"),
    *("soft_sign", "squareplus", "sparse_plus", "sigmoid", "log_sigmoid", "sparse_sigmoid", "hard_sigmoid"),
    *("hard_tanh", "hard_silu", "hard_swish", "softmax", "log_softmax", "standardize"),
)
"""Functions of jax.nn whose result is a value of interest, by name."""

POOLING = ("max_pool", "min_pool", "avg_pool")
"""Functions for pooling, of flax.linen and flax.nnx or of the user's own under these names."""

CALLED = frozenset((*ACTIVATIONS, *POOLING, "mean"))
"""Names of functions whose calls are functional operations."""

PRIMITIVES = {
    "tanh": "tanh",
    "logistic": "sigmoid",
    "concatenate": "concatenate",
    "reduce_window_max": "max_pool",
    "reduce_window_min": "min_pool",
}

JOINS = ("add", "mul")
"""Single equations that are operations where they join two different values: `table` decides."""


@dataclass(frozen=True)
class Operation:
    """A functional operation: its name, where it stands, the variable it makes, those that it reads.

    `reduced` are the axes over which it sums or takes maxima on its way (those that a softmax normalises).
    """

    name: str
    scope: str
    position: int
    output: Any
    inputs: tuple[Any, ...]
    reduced: tuple[int, ...] = ()


def operations(equations: Sequence[Equation], scope_of: Callable[[Equation], str | None]) -> tuple[Operation, ...]:
    """The functional operations among the equations of a jaxpr, in call order.

    `scope_of(equation)` gives the module path that an equation was made in, or None for one inside a
    library module (the reshape of a Dense layer's bias), which is that module's own business.
    """
    result: list[Operation] = []
    group: list[int] = []
    group_key: Any = None

    def close_group() -> None:
        if group:
            result.append(_grouped(equations, group, group_key[0], scope_of))
            group.clear()

    for position, equation in enumerate(equations):
        scope = scope_of(equation)
        call = None if scope is None or isinstance(equation, Loop) else called(equation)
        key = None if scope is None or call else _source_function(equation)
        if key != group_key:
            close_group()
        group_key = key
        if scope is None:
            continue
        if key is not None:
            group.append(position)
            continue
        name = call or _primitive_name(equation)
        if name is not None and equation.outvars:
            inputs = tuple(v for v in equation.invars if not isinstance(v, Literal))
            result.append(Operation(name, scope, position, equation.outvars[0], inputs))
    close_group()
    return tuple(result)


def called(equation: JaxprEqn) -> str | None:
    """The report's name of a call-like equation (form 1), None for any other."""
    name = called_name(equation)
    return name if name in CALLED else None


def _source_function(equation: Equation) -> tuple[str, tuple[Any, ...]] | None:
    """Which call of a known function made this equation (form 2): its name and the call site."""
    traceback = equation.source_info.traceback
    if traceback is None:
        return None
    codes, offsets = traceback.raw_frames()
    outermost = None
    for index, code in enumerate(codes):
        if code.co_name in CALLED and code.co_filename.replace("\\", "/").endswith(SOURCES):
            outermost = index
    if outermost is None:
        return None
    # Two calls on one line differ in the caller's instruction offset.
    return codes[outermost].co_name, tuple(zip(codes[outermost + 1 :], offsets[outermost + 1 :], strict=True))


def _grouped(
    program: Sequence[Equation], group: Sequence[int], name: str, scope_of: Callable[[Equation], str | None]
) -> Operation:
    equations = [program[position] for position in group]
    made = {variable for equation in equations for variable in equation.outvars}
    read = dict.fromkeys(v for equation in equations for v in equation.invars if not isinstance(v, Literal))
    inputs = tuple(variable for variable in read if variable not in made)
    reduced = {axis for e in equations if e.primitive.name.startswith("reduce_") for axis in e.params.get("axes", ())}
    last = equations[-1]
    return Operation(name, scope_of(last) or "", group[-1], last.outvars[0], inputs, tuple(sorted(reduced)))


def _primitive_name(equation: Equation) -> str | None:
    """The report's name of a single equation (form 3), None for one that is not shown."""
    primitive = equation.primitive.name
    if primitive in PRIMITIVES:
        return PRIMITIVES[primitive]
    if primitive in JOINS and not any(isinstance(v, Literal) for v in equation.invars):
        return str(primitive)
    if primitive == "max" and any(isinstance(v, Literal) and v.val == 0 for v in equation.invars):
        return "relu"
    if primitive == "reshape":
        before, after = shape_of(equation.invars[0]), shape_of(equation.outvars[0])
        if len(before) > 2 and len(after) == 2 and before[0] == after[0]:
            return "flatten"
    return None


PASSED_ON = ("convert_element_type", "copy", "name", "stop_gradient", "reshape", "squeeze", "transpose")
"""Primitives through which an operation still counts as reading the value before them."""

MOVED = (
    *("broadcast_in_dim", "slice", "pad", "rev", "concatenate", "add", "sub", "mul", "div", "neg"),
    *("dot_general", "conv_general_dilated"),
)
"""Further ones through which a sum still counts as one of that value, if they read no other."""


def origin(variable: Any, known: Mapping[Any, str], made_by: Mapping[Any, Any]) -> str | None:
    """The path in `known` that `variable` comes from, looking through `PASSED_ON`; None if there is none."""
    while variable not in known:
        equation = made_by.get(variable)
        if equation is None or equation.primitive.name not in PASSED_ON:
            return None
        variable = equation.invars[0]
    return known[variable]


def joined(
    inputs: Sequence[Any], known: Mapping[Any, str], made_by: Mapping[Any, Any], activations: Collection[Any]
) -> bool:
    """Whether two values are different layers' or inputs, but for what `PASSED_ON` and `MOVED` did to them."""

    @cache
    def source(variable: Any) -> Any:
        if variable in known or variable not in made_by:
            return known.get(variable, variable)
        equation = made_by[variable]
        reads = {v for v in equation.invars if not isinstance(v, Literal) and v in activations}
        sources = {source(v) for v in reads} if equation.primitive.name in (*PASSED_ON, *MOVED) else set()
        return sources.pop() if len(sources) == 1 else None

    sources = [source(v) for v in inputs if v in activations]
    return len(sources) == 2 and None not in sources and sources[0] != sources[1]
