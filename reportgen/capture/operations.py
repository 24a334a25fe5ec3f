"""Finds the functional operations in a traced model: relu, pooling, flatten, softmax, concatenation.

    operations(equations)           # in call order

A model's `nn.relu(x)` is not a module, so no module hook sees it. The traced program (a jaxpr) has it, in
one of three forms, which are looked for in this order:

1. a call that carries the function's name: `jit` (silu), `custom_jvp_call` (relu), `custom_vjp_call`;
2. several equations that the traceback says were made inside one call of a known function (softmax,
   gelu, avg_pool), whose last value is the function's;
3. a single equation that says what it is (tanh, concatenate, a reshape that flattens).

Nothing is patched and nothing of the user's is called again: the values are the program's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jax.extend.core import JaxprEqn, Literal

from reportgen.capture.interpret import Equation, Loop, shape_of
from reportgen.capture.jax_versions import SOURCES, called_name, frames_of
from reportgen.capture.marks import scope_of

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

ATTENTION_WEIGHTS = "attention_weights"
"""The softmax inside a library's attention."""

PRIMITIVES = {
    "tanh": "tanh",
    "logistic": "sigmoid",
    "concatenate": "concatenate",
    "reduce_window_max": "max_pool",
    "reduce_window_min": "min_pool",
}


@dataclass(frozen=True)
class Operation:
    """A functional operation: its name, where it stands, the variable it makes, those that it reads.

    `reduced` are the axes over which it sums or takes maxima on its way (those that a softmax normalises),
    `within` the variables that it makes on its way. One without a name is an equation of which `structure` tells
    whether it is an operation.
    """

    name: str
    scope: str
    position: int
    output: Any
    inputs: tuple[Any, ...]
    reduced: tuple[int, ...] = ()
    within: tuple[Any, ...] = ()


def operations(equations: Sequence[Equation]) -> tuple[Operation, ...]:
    """The functional operations among the equations of a jaxpr, in call order.

    What a library module does (the reshape of a Dense layer's bias) is that module's own business, but for
    the weights of an attention.
    """
    result: list[Operation] = []
    group: list[int] = []
    group_key: Any = None

    def close_group() -> None:
        if group:
            result.append(_grouped(equations, group, *group_key[:2]))
            group.clear()

    for position, equation in enumerate(equations):
        scope, kind = scope_of(equation.source_info.name_stack)
        call = None if kind != "module" or isinstance(equation, Loop) else called(equation)
        source = None if kind == "function" or call else _source_function(equation)
        if source is not None and kind == "library":
            source = (ATTENTION_WEIGHTS, source[1]) if source[0] == "softmax" else None
        key = None if source is None else (source[0], scope, source[1])
        if key != group_key:
            close_group()
        group_key = key
        if key is not None:
            group.append(position)
        if key is not None or kind != "module":
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
    codes, offsets = frames_of(equation)
    outermost = None
    for index, code in enumerate(codes):
        if code.co_name in CALLED and code.co_filename.replace("\\", "/").endswith(SOURCES):
            outermost = index
    if outermost is None:
        return None
    # Two calls on one line differ in the caller's instruction offset.
    return codes[outermost].co_name, tuple(zip(codes[outermost + 1 :], offsets[outermost + 1 :], strict=True))


def _grouped(program: Sequence[Equation], group: Sequence[int], name: str, scope: str) -> Operation:
    equations = [program[position] for position in group]
    made = {variable for equation in equations for variable in equation.outvars}
    read = dict.fromkeys(v for equation in equations for v in equation.invars if not isinstance(v, Literal))
    inputs = tuple(variable for variable in read if variable not in made)
    reduced = {axis for e in equations if e.primitive.name.startswith("reduce_") for axis in e.params.get("axes", ())}
    last = equations[-1]
    output = last.outvars[0]
    within = tuple(made - {output})
    return Operation(name, scope, group[-1], output, inputs, tuple(sorted(reduced)), within)


def _primitive_name(equation: Equation) -> str | None:
    """The report's name of a single equation (form 3), None for one that is not shown."""
    primitive = equation.primitive.name
    if primitive in PRIMITIVES:
        return PRIMITIVES[primitive]
    if primitive == "max" and any(isinstance(v, Literal) and v.val == 0 for v in equation.invars):
        return "relu"
    if primitive == "reshape":
        before, after = shape_of(equation.invars[0]), shape_of(equation.outvars[0])
        if len(before) > 2 and len(after) == 2 and before[0] == after[0]:
            return "flatten"
    return None


PASSED_ON = ("convert_element_type", "copy", "name", "stop_gradient", "reshape", "squeeze", "transpose")
"""Primitives through which an operation still counts as reading the value before them."""
MOVES = (
    *(
        *PASSED_ON,
        "broadcast_in_dim",
        "slice",
        "dynamic_slice",
        "dynamic_update_slice",
        "pad",
        "rev",
        "split",
        "unstack",
    ),
    *("expand_dims", "optimization_barrier", "reduce_precision"),
)
"""Primitives that change no value, but perhaps its place."""
