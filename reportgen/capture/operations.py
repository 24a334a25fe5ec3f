"""Finds the functional operations in a traced model: relu, pooling, flatten, softmax, concatenation.

    found = operations(equations, module_of)   # tuple of Operation, in call order

A model's `nn.relu(x)` is no module, so no module hook sees it. The traced program (a jaxpr) has it, in
one of three forms, which are looked for in this order:

1. a call that carries the function's name: `jit` (silu), `custom_jvp_call` (relu), `custom_vjp_call`;
2. several equations that the traceback says were made inside one call of a known function (softmax,
   gelu, avg_pool), whose last value is the function's;
3. a single equation that says what it is (tanh, concatenate, a reshape that flattens).

Nothing is patched and nothing of the user's is called again: the values are the program's own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jax.extend.core import Literal

ACTIVATIONS = (
    *(
        "relu",
        "relu6",
        "silu",
        "swish",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "gelu",
        "glu",
        "softplus",
        "mish",
    ),
    *("soft_sign", "squareplus", "sparse_plus", "sigmoid", "log_sigmoid", "sparse_sigmoid", "hard_sigmoid"),
    *("hard_tanh", "hard_silu", "hard_swish", "softmax", "log_softmax", "standardize"),
)
"""Functions of jax.nn whose result is a value of interest, by name."""

POOLING = ("max_pool", "min_pool", "avg_pool")
"""Functions of flax.linen and flax.nnx for pooling; `max_pool_2x2` is reportgen.models' own form."""

CALL_NAMES = {**{name: name for name in (*ACTIVATIONS, *POOLING)}, "max_pool_2x2": "max_pool", "mean": "mean"}
"""Name of a called function -> what the operation is called in a report."""

SOURCES = (
    *("jax/_src/nn/functions.py", "flax/linen/pooling.py", "flax/nnx/nn/activations.py"),
    "jax/_src/numpy/reductions.py",  # the mean over positions: global average pooling
)
"""Files whose functions are recognised by a traceback when they leave no call behind (form 2)."""

PRIMITIVES = {
    "tanh": "tanh",
    "logistic": "sigmoid",
    "concatenate": "concatenate",
    "reduce_window_max": "max_pool",
    "reduce_window_min": "min_pool",
}

CALLS = ("jit", "custom_jvp_call", "custom_vjp_call")


@dataclass(frozen=True)
class Operation:
    """A functional operation: its name, where it stands, the variable it makes, those that it reads."""

    name: str
    scope: str
    position: int
    output: Any
    inputs: tuple[Any, ...]


def operations(equations: Sequence[Any], scope_of: Callable[[Any], str | None]) -> tuple[Operation, ...]:
    """The functional operations among the equations of a jaxpr, in call order.

    `scope_of(equation)` gives the module path that an equation was made in, or None for one inside a
    library module (the reshape of a Dense layer's bias), which is that module's own business.
    """
    found: list[Operation] = []
    group: list[int] = []
    group_key: Any = None

    def close_group() -> None:
        if group:
            found.append(_grouped(equations, group, group_key, scope_of))
            group.clear()

    for position, equation in enumerate(equations):
        scope = scope_of(equation)
        call = None if scope is None else called(equation)
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
            found.append(Operation(name, scope, position, equation.outvars[0], inputs))
    close_group()
    return tuple(found)


def called(equation) -> str | None:
    """The report's name of a call-like equation (form 1), None for any other."""
    if equation.primitive.name not in CALLS:
        return None
    name = equation.params.get("name")
    if name is None:
        inner = equation.params.get("call_jaxpr") or equation.params.get("fun_jaxpr")
        # "relu at .../functions.py:71"
        inner = getattr(inner, "jaxpr", inner)
        name = inner.debug_info.func_src_info.split(" ")[0] if inner is not None else ""
    return CALL_NAMES.get(name)


def _source_function(equation) -> tuple | None:
    """Which call of a known function made this equation (form 2): its name and the call site."""
    traceback = equation.source_info.traceback
    if traceback is None:
        return None
    codes, offsets = traceback.raw_frames()
    outermost = None
    for index, code in enumerate(codes):
        if code.co_name in CALL_NAMES and code.co_filename.replace("\\", "/").endswith(SOURCES):
            outermost = index
    if outermost is None:
        return None
    # Two calls on one line differ in the caller's instruction offset.
    return CALL_NAMES[codes[outermost].co_name], tuple(
        zip(codes[outermost + 1 :], offsets[outermost + 1 :], strict=True)
    )


def _grouped(program: Sequence[Any], group: Sequence[int], key: tuple, scope_of: Callable) -> Operation:
    equations = [program[position] for position in group]
    made = {variable for equation in equations for variable in equation.outvars}
    read = dict.fromkeys(v for equation in equations for v in equation.invars if not isinstance(v, Literal))
    inputs = tuple(variable for variable in read if variable not in made)
    return Operation(key[0], scope_of(equations[-1]), group[-1], equations[-1].outvars[0], inputs)


def _primitive_name(equation) -> str | None:
    """The report's name of a single equation (form 3), None for one that is not shown."""
    primitive = equation.primitive.name
    if primitive in PRIMITIVES:
        return PRIMITIVES[primitive]
    if primitive == "max" and any(isinstance(v, Literal) and v.val == 0 for v in equation.invars):
        return "relu"
    if primitive == "reshape":
        before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
        if len(before) > 2 and len(after) == 2 and before[0] == after[0]:
            return "flatten"
    return None


def depends_on(equations: Sequence[Any], sources: Iterable[Any]) -> set[Any]:
    """The variables whose values follow from `sources`: activations, as opposed to parameters."""
    reached = set(sources)
    for equation in equations:
        if any(v in reached for v in equation.invars if not isinstance(v, Literal)):
            scan = equation.primitive.name == "scan"
            reached.update(_out_of_scan(equation, reached) if scan else equation.outvars)
    return reached


def _out_of_scan(equation: Any, reached: set[Any]) -> list[Any]:
    """Those outputs of a scan that follow from `reached`, through any number of its iterations."""
    body = equation.params["jaxpr"].jaxpr
    first, count = equation.params["num_consts"], equation.params["num_carry"]
    sources = {
        inside
        for outside, inside in zip(equation.invars, body.invars, strict=True)
        if not isinstance(outside, Literal) and outside in reached
    }
    while True:
        inner = depends_on(body.eqns, sources)
        follow = [not isinstance(v, Literal) and v in inner for v in body.outvars]
        carried = {v for v, does in zip(body.invars[first : first + count], follow, strict=False) if does}
        if carried <= sources:
            return [v for v, does in zip(equation.outvars, follow, strict=True) if does]
        sources |= carried


PASSED_ON = ("convert_element_type", "copy", "name", "stop_gradient", "reshape", "squeeze", "transpose")
"""Primitives through which an operation still counts as reading the value before them."""


def origin(variable: Any, known: Mapping[Any, str], made_by: Mapping[Any, Any]) -> str | None:
    """The path in `known` that `variable` comes from, looking through `PASSED_ON`; None if there is none."""
    while variable not in known:
        equation = made_by.get(variable)
        if equation is None or equation.primitive.name not in PASSED_ON:
            return None
        variable = equation.invars[0]
    return known[variable]
