"""One walk over a flat program that carries what is known of its inputs to all of its variables.

    axes = interpret(equations, {image: ("b", "y", "x", "channel")}, rule)

Axes, receptive fields, dependence on the images and the edges of the layer graph are rules on it. The
walk enters what a call wraps and, where it is told how values pass their borders, the bodies of loops.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from jax.extend.core import JaxprEqn, Literal, Var

from reportgen.capture.jax_versions import called_program

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Loop:
    """A scan of a flat program, its body laid open. It stands among the equations like one.

    `equation` is the scan itself. Inside, `carry` and `xs` are the variables that start an iteration;
    what the scan takes as constants is read from outside. `outputs` are the next carry and the slices of
    the outputs, `more` maps further variables of the body to those of their values over all iterations.
    """

    equation: JaxprEqn
    body: Sequence["Equation"]
    carry: Sequence[Var]
    xs: Sequence[Var]
    outputs: Sequence[Any]
    constants: Sequence[Var]
    options: Mapping[str, Any]
    more: dict[Var, Var] = field(default_factory=dict)

    @property
    def starts(self) -> Sequence[Any]:
        """The values outside with which `carry` starts, then those over which `xs` go."""
        return self.equation.invars[len(self.equation.invars) - len(self.carry) - len(self.xs) :]

    @property
    def invars(self) -> list[Any]:
        return [*self.equation.invars, *self.constants]

    @property
    def outvars(self) -> list[Var]:
        return [*self.equation.outvars, *self.more.values()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.equation, name)


Equation = JaxprEqn | Loop


@dataclass(frozen=True)
class Borders(Generic[T]):
    """How values pass the borders of loops.

    `sliced` is a value of one iteration's slice, `stacked(value, over)` that of the stack of all, where
    `over` is what is known of the arrays that are iterated over. `carried(before, after)` joins what is
    known of a carry (None: nothing) with what an iteration makes of it; it must come to rest.
    """

    sliced: Callable[[T], T]
    stacked: Callable[[T, list[T]], T]
    carried: Callable[[T | None, T | None], T | None]


def interpret(
    equations: Iterable[Equation],
    values: dict[Any, T],
    rule: Callable[[Equation, list[T | None]], Sequence[T | None]],
    *,
    note: Callable[[Var, T], T] = lambda variable, value: value,
    borders: Borders[T] | None = None,
) -> dict[Any, T]:
    """Fill `values`, variable -> what is known of it, for all that follows from those in it; returns it.

    `rule(equation, read)` gives what an equation's outputs are, from what is known of its inputs (None:
    nothing; not all of them). `note(variable, value)` has the last word. Without `borders` a loop is an
    equation like any other.
    """
    for equation in equations:
        read = [known(values, v) for v in equation.invars]
        if not equation.outvars or all(value is None for value in read):
            continue
        inner = None if isinstance(equation, Loop) else called_program(equation)
        made: Sequence[T | None]
        if isinstance(equation, Loop) and borders is not None:
            through = _through_loop(equation, values, rule, note, borders)
            made = through
        elif inner is not None and len(inner[0].invars) == len(read):
            within = {v: x for v, x in zip(inner[0].invars, read, strict=True) if x is not None}
            interpret(inner[0].eqns, within, rule, note=note, borders=borders)
            made = [known(within, v) for v in inner[0].outvars]
        else:
            made = rule(equation, read)
        for variable, value in zip(equation.outvars, made, strict=True):
            if value is not None:
                values[variable] = note(variable, value)
    return values


def known(values: dict[Any, T], variable: Any) -> T | None:
    """The known value of a variable; None for a literal."""
    return None if isinstance(variable, Literal) else values.get(variable)


def shape_of(variable: Any) -> tuple[int, ...]:
    """The shape of a variable's values; () where it holds no array."""
    return tuple(getattr(variable.aval, "shape", ()))


REDUCTIONS = (
    *("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor"),
    *("argmax", "argmin"),
)
"""Equations whose parameter `axes` are the axes that they remove."""


def axis_map(equation: Equation, operand: int = 0) -> dict[int, int]:
    """Axis of an operand -> the axis of the output that it becomes, for those that stay.

    Equations other than products, reductions and moves of axes are treated as elementwise, which is wrong for
    reshapes and gathers. Of a convolution, only the images (operand 0) may be asked for.
    """
    name, params = equation.primitive.name, equation.params
    axes = range(len(shape_of(equation.invars[operand])))
    if name == "transpose":
        return {old: new for new, old in enumerate(params["permutation"])}
    if name == "broadcast_in_dim":
        return dict(enumerate(params["broadcast_dimensions"]))
    if name == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        feature = numbers.lhs_spec[1]
        return {old: new for old, new in zip(numbers.lhs_spec, numbers.out_spec, strict=True) if old != feature}
    if name == "dot_general":
        summed, batch = (pair[operand] for pair in params["dimension_numbers"])
        free = [axis for axis in axes if axis not in (*summed, *batch)]
        first = len(batch) if operand == 0 else len(shape_of(equation.outvars[0])) - len(free)
        return {axis: i for i, axis in enumerate(batch)} | {axis: i for i, axis in enumerate(free, first)}
    if name == "stack":
        return {axis: axis + (axis >= params["axis"]) for axis in axes}
    if name == "unstack":
        return {axis: axis - (axis > params["axis"]) for axis in axes if axis != params["axis"]}
    gone = params["axes"] if name in REDUCTIONS else params["dimensions"] if name == "squeeze" else ()
    return {old: new for new, old in enumerate(axis for axis in axes if axis not in gone)}


def _through_loop(
    loop: Loop, values: dict[Any, T], rule: Any, note: Callable[[Var, T], T], borders: Borders[T]
) -> list[T | None]:
    starts = [known(values, v) for v in loop.starts]
    carried, over = starts[: len(loop.carry)], starts[len(loop.carry) :]
    values.update({v: borders.sliced(x) for v, x in zip(loop.xs, over, strict=True) if x is not None})
    while True:
        values.update({v: x for v, x in zip(loop.carry, carried, strict=True) if x is not None})
        interpret(loop.body, values, rule, note=note, borders=borders)
        made = [known(values, v) for v in loop.outputs]
        after = [borders.carried(*pair) for pair in zip(carried, made, strict=False)]
        if after == carried:
            break
        carried = after
    slices = [x for x in over if x is not None]
    stacks = [*made[len(carried) :], *(known(values, v) for v in loop.more)]
    return [*made[: len(carried)], *(None if x is None else borders.stacked(x, slices) for x in stacks)]


def depends_on(equations: Iterable[Equation], sources: Iterable[Any]) -> set[Any]:
    """The variables whose values follow from `sources`, those inside loops included."""
    through = Borders[bool](lambda x: x, lambda x, over: x, lambda before, after: before or after)
    return set(
        interpret(equations, dict.fromkeys(sources, True), lambda e, read: [True] * len(e.outvars), borders=through)
    )


def makers(equations: Iterable[Equation]) -> dict[Var, Equation]:
    """Variable -> the equation that makes it, those inside loops included."""
    result: dict[Var, Equation] = {}
    for equation in equations:
        result.update(dict.fromkeys(equation.outvars, equation))
        if isinstance(equation, Loop):
            result.update(makers(equation.body))
    return result
