"""Attention whose weights are never an array: they are computed from its own equations, and proven.

    found, unproven = fused(program, variables, images)       # once, of a few examples
    program, weights = with_weights(program, found)

A fused attention (over blocks of keys, divided by the sum at the end, or one kernel) gives softmax(scores) @ value
without softmax(scores). Its output is linear in the values: where they are rows of the identity, its equations
give the weights, with all scales, masks and biases. Which values are meant, and which axis counts the keys, is tried;
it is right if the weights are shares that give, multiplied with the values, the output that the model computed.
Source: Dao et al. (2022), FlashAttention, for the form that is recognised.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from reportgen.capture.fields import ELEMENTWISE
from reportgen.capture.flatten import CapturePoint
from reportgen.capture.interpret import REDUCTIONS, Equation, Loop, depends_on, makers, shape_of
from reportgen.capture.jax_versions import place_of
from reportgen.capture.marks import at, scope_of
from reportgen.capture.mesh import jitted
from reportgen.capture.operations import ATTENTION_WEIGHTS, MOVES, Operation
from reportgen.capture.program import Program, evaluate, needed

KERNELS = ("pallas_call", "dot_product_attention_fwd_wrapper", "dot_product_attention_fwd")
"""Equations that may be a whole attention: the third activation that they read are the values."""

CLOSE = {"bfloat16": 3e-2, "float16": 4e-3}
"""Largest difference between output and weighted values, as a share of its largest magnitude, where the dtype is
too coarse for the `EXACT` one."""
EXACT = 1e-5

UNPROVEN = "this attention never holds them as an array, and none could be computed that reproduce its output"

MOST = 16
"""Values up to which an attention's output is looked for after the product that it begins with."""


@dataclass(frozen=True)
class Fused:
    """An attention of a program: the places of its values and its output among `_places`, and the axes that
    count keys and queries; features are the last. `scope` is the module that it is in."""

    scope: str
    value: int
    output: int
    keys: int
    queries: int


def fused(program: Program, variables: Any, images: Any) -> tuple[list[Fused], dict[str, str]]:
    """The fused attentions whose weights could be proven; and for those of which they could not, path -> reason.

    `images` are a few that differ; the model is run on them, but only where it has such an attention.
    """
    found: list[Fused] = []
    unproven = {}
    for scope, position, values, place in _candidates(program):
        after = program.equations[position].outvars
        tried = (_proven(program, scope, value, after, variables, images) for value in values)
        proven = next((x for x in tried if x is not None), None)
        if proven is None:
            unproven["/".join(filter(None, (scope, ATTENTION_WEIGHTS)))] = at(UNPROVEN, place)
        elif proven not in found:
            found.append(proven)
    return found, unproven


def with_weights(program: Program, found: Sequence[Fused]) -> Program:
    """The program with the weights [..., query, key] of these attentions among its values and its points."""
    places = _places(program)
    for attention in found:
        value, output = places[attention.value], places[attention.output]
        weighted, read = _on_identity(program, value, attention.keys, [output])
        weights = partial(_weights, weighted, attention.queries)
        struct: Any = jax.ShapeDtypeStruct  # it has no types
        avals: list[Any] = [v.aval for v in read]
        closed = jax.make_jaxpr(weights)(*(struct(x.shape, x.dtype) for x in avals))
        outer = dict(zip(closed.jaxpr.invars, read, strict=True))
        equations = [
            equation.replace(invars=[v if isinstance(v, Literal) else outer.get(v, v) for v in equation.invars])
            for equation in closed.jaxpr.eqns
        ]
        program = _added(program, equations, closed, attention.scope, output)
    return program


def _weights(weighted: Callable[..., list[Any]], queries: int, *known: Any) -> Any:
    return jnp.moveaxis(weighted(*known)[0], queries, -2)


def _added(program: Program, equations: list[Any], closed: Any, scope: str, output: Any) -> Program:
    (weights,) = closed.jaxpr.outvars
    order = {v: i for i, equation in enumerate(program.equations) for v in equation.outvars}
    at = [order.get(point.variable, -1) >= order[output] for point in program.points]
    place = at.index(True) if True in at else len(at)
    last = len(shape_of(weights)) - 1
    operation = Operation(ATTENTION_WEIGHTS, scope, order[output], weights, (), (last,))
    point = CapturePoint(weights, weights, operation=operation, equation=program.equations[order[output]])
    return replace(
        program,
        equations=[*program.equations, *equations],
        inputs=(*closed.jaxpr.constvars, *program.inputs),
        constants=[*closed.consts, *program.constants],
        points=(*program.points[:place], point, *program.points[place:]),
    )


def _places(program: Program) -> list[Any]:
    """The variables outside of loops, the same in the same order however many examples there are."""
    return [*program.images, *(v for equation in program.equations for v in equation.outvars)]


def _candidates(program: Program) -> Iterator[tuple[str, int, list[Any], str]]:
    """Module, position outside of loops, what may be the values, the nearest first, and the line of each product that
    may be an attention's."""
    activations = depends_on(program.equations, program.images)
    made_by = makers(program.equations)
    outside = set(_places(program))
    for position, equation in enumerate(program.equations):
        for inner in _inner((equation,)):
            reads = [v for v in inner.invars if not isinstance(v, Literal) and v in activations]
            values = None
            if inner.primitive.name == "dot_general" and len(reads) == 2:
                soft = [_is_unnormalised(v, made_by, activations) for v in reads]
                values = reads[soft.index(False)] if sum(soft) == 1 else None
            elif inner.primitive.name in KERNELS and len(reads) > 2:
                values = reads[2]
            if values is not None:
                starts = _starts(equation) if isinstance(equation, Loop) else {}
                path = [v for v in _back([values], made_by, MOVES, starts) if v in outside and v in activations]
                yield scope_of(inner.source_info.name_stack)[0], position, path, place_of(inner)


def _inner(equations: Iterable[Equation]) -> Iterator[Any]:
    for equation in equations:
        if isinstance(equation, Loop):
            yield from _inner(equation.body)
        else:
            yield equation


def _starts(loop: Loop) -> dict[Any, Any]:
    """What the loop, and those inside it, iterate over -> the arrays of all iterations."""
    found = dict(zip((*loop.carry, *loop.xs), loop.starts, strict=True))
    for equation in loop.body:
        found.update(_starts(equation) if isinstance(equation, Loop) else {})
    return found


def _is_unnormalised(weights: Any, made_by: Mapping[Any, Equation], activations: Collection[Any]) -> bool:
    """Whether these are exponentials of products of two activations that are not yet divided by their sum."""
    near = _back([weights], made_by, {*ELEMENTWISE, *MOVES} - {"exp", "exp2"})
    powers = {v for v in near if v in made_by and made_by[v].primitive.name in ("exp", "exp2")}
    soft = {*ELEMENTWISE, *MOVES, *REDUCTIONS}
    for v in near.keys() - powers:
        if v in made_by and made_by[v].primitive.name in ("div", "mul"):
            behind = [powers & set(_back([x], made_by, soft)) for x in made_by[v].invars]
            if len(behind) == 2 and all(behind):
                return False
    scores = _back([v for power in powers for v in made_by[power].invars], made_by, soft)
    return any(
        v in made_by and made_by[v].primitive.name == "dot_general" and all(x in activations for x in made_by[v].invars)
        for v in scores
    )


def _back(
    start: Iterable[Any],
    made_by: Mapping[Any, Equation],
    through: Collection[str],
    starts: Mapping[Any, Any] | None = None,
) -> dict[Any, None]:
    """These variables and those that they are made from by such equations, the nearest first.

    `starts` leads out of loops.
    """
    seen: dict[Any, None] = {}
    waiting = [v for v in start if not isinstance(v, Literal)]
    while waiting:
        v = waiting.pop(0)
        if v in seen:
            continue
        seen[v] = None
        before = [starts[v]] if starts and v in starts else []
        equation = made_by.get(v)
        if equation is not None and equation.primitive.name in through:
            before += equation.invars
        waiting += [x for x in before if not isinstance(x, Literal)]
    return seen


def _on_identity(
    program: Program, value: Any, keys: int, outputs: Sequence[Any]
) -> tuple[Callable[..., list[Any]], list[Any]]:
    """What `outputs` [..., key] are where the values of the key k are 1 at the k-th feature and 0 else: a function
    of what the equations on the way read beside the values; and what that is."""
    follows = depends_on(program.equations, [value])
    steps = [e for e in needed(program.equations, outputs, [value]) if any(v in follows for v in e.outvars)]
    made = {value, *(v for step in steps for v in step.outvars)}
    variables = dict.fromkeys(v for step in steps for v in step.invars if not isinstance(v, Literal))
    read = [v for v in variables if v not in made]
    aval = value.aval
    count, width = aval.shape[keys], aval.shape[-1]

    def weighted(*known: Any) -> list[Any]:
        parts = []
        for start in range(0, count, width):
            key, feature = (
                jax.lax.broadcasted_iota(np.int32, aval.shape, axis) for axis in (keys, len(aval.shape) - 1)
            )
            rows = (key == start + feature).astype(aval.dtype)
            inputs = {**dict(zip(read, known, strict=True)), value: rows}
            parts.append(evaluate(steps, outputs, inputs, program.like))
        return [jnp.concatenate(x, -1)[..., :count] for x in zip(*parts, strict=True)]

    return weighted, read


def _proven(
    program: Program, scope: str, value: Any, after: Sequence[Any], variables: Any, images: Any
) -> Fused | None:
    """The attention that sums `value` into one of what follows from it and from `after`."""
    places, shape = _places(program), shape_of(value)
    follows = depends_on(program.equations, [value]) & depends_on(program.equations, after)
    outputs = [v for v in places if v in follows and len(shape_of(v)) > 2 and shape_of(v)[-1:] == shape[-1:]]
    # Those of the values' form first: queries and keys then stand on the same axis.
    outputs = sorted(outputs, key=lambda v: len(shape_of(v)) != len(shape))[:MOST]
    for keys in range(1, len(shape) - 1) if outputs else ():
        weighted, read = _on_identity(program, value, keys, outputs)

        def run(variables: Any, images: Any, weighted: Any = weighted, read: Any = read) -> Any:
            arrays = program.run(variables, images, [value, *outputs, *read])[1]
            return arrays[0], arrays[1 : 1 + len(outputs)], weighted(*arrays[1 + len(outputs) :])

        summed, made, weights = jitted(run)(variables, images)
        for output, result, shares in zip(outputs, made, weights, strict=True):
            for queries in sorted(range(1, result.ndim - 1), key=lambda axis: axis != keys):
                if reproduces(shares, summed, result, keys, queries):
                    return Fused(scope, places.index(value), places.index(output), keys, queries)
    return None


def reproduces(weights: Any, values: Any, output: Any, keys: int, queries: int) -> bool:
    """Whether `weights` [..., key], the queries on an axis of `output`, are shares, and the sums of `values` by them
    are `output`. Heads may share values."""
    close = CLOSE.get(str(output.dtype), EXACT)
    shares, made, summed = (np.asarray(x, np.float64) for x in (weights, output, values))
    shares, made, summed = (
        np.moveaxis(x, axis, -2) for x, axis in ((shares, queries), (made, queries), (summed, keys))
    )
    sums = shares.sum(-1)
    if not ((np.abs(sums - 1) <= 10 * close) | (np.abs(sums) <= 10 * close)).all() or shares.min(initial=0) < -close:
        return False
    allowed = close * np.abs(made).max(initial=0)
    return any((np.abs(shares @ x - made) <= allowed).all() for x in _for_each_head(summed, made.shape[:-2]))


def _for_each_head(values: np.ndarray, heads: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The values [..., key, feature] in every order of their other axes that fits `heads`; shared by neighbours."""
    for order in permutations(range(values.ndim - 2)):
        moved = np.transpose(values, (*order, values.ndim - 2, values.ndim - 1))
        moved = moved.reshape(*moved.shape[:-2], *(1 for _ in heads[len(order) :]), *moved.shape[-2:])
        for axis, size in enumerate(heads):
            if axis < moved.ndim - 2 and size % moved.shape[axis] == 0:
                moved = np.repeat(moved, size // moved.shape[axis], axis)
        if moved.shape[:-2] == heads:
            yield moved
