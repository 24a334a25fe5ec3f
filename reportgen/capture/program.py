"""A traced model as a flat program that gives, besides its output, any value inside.

    program = trace(forward, variables, images)
    program.points                      # module results and functional operations, in call order
    program.run(variables, images, [point.variable for point in program.points])

A part of it that is asked for is evaluated equation by equation; a loop of which inner values are asked
for is entered again by `jax.lax.scan`, and gives them as further outputs.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import jax
from jax.extend.core import Jaxpr, Literal, Var, jaxpr_as_fun

from reportgen.capture.calling import cannot_be_called
from reportgen.capture.flatten import CapturePoint, Flattener, read
from reportgen.capture.forward import Forward
from reportgen.capture.intermediates import Call, ways_back
from reportgen.capture.interpret import Equation, Loop, depends_on, makers
from reportgen.capture.jax_versions import program_of
from reportgen.errors import ModelError, ReportgenError


@dataclass(frozen=True, eq=False)
class Part:
    """Equations that compute `outputs` from `inputs`, and nothing that these do not need."""

    inputs: Sequence[Var]
    outputs: Sequence[Any]
    equations: Sequence[Equation]
    like: Jaxpr

    def __call__(self, *values: Any) -> list[Any]:
        """The outputs' values."""
        return evaluate(self.equations, self.outputs, dict(zip(self.inputs, values, strict=True)), self.like)

    @property
    def shapes(self) -> list[Any]:
        """Shapes and dtypes of the inputs."""
        struct: Any = jax.ShapeDtypeStruct  # it has no types
        avals: list[Any] = [v.aval for v in self.inputs]
        return [struct(aval.shape, aval.dtype) for aval in avals]

    def compiled(self) -> tuple[str, Callable[..., Any]]:
        """A text that only the same computation has, and the function as one program."""
        plain = [equation for equation in self.equations if not isinstance(equation, Loop)]
        if len(plain) == len(self.equations):
            program = program_of(self.like, self.inputs, self.outputs, plain)
        else:
            program = jax.make_jaxpr(self)(*self.shapes)
        return str(program), jaxpr_as_fun(program)


@dataclass(frozen=True, eq=False)
class Program:
    """A traced and flattened model.

    `inputs` are its constants (with the values `constants`), then the model's variables, then the images;
    `hidden` maps what can't be captured to the reason and the variables that it follows from; `functions` is as in
    `Flattener`.
    """

    equations: Sequence[Equation]
    inputs: Sequence[Var]
    outputs: Sequence[Any]
    constants: Sequence[Any]
    points: Sequence[CapturePoint]
    hidden: Mapping[str, tuple[str, Sequence[Any]]]
    functions: Mapping[Var, tuple[str, bool]]
    structure: Any
    images: Sequence[Var]
    like: Jaxpr

    @property
    def variables(self) -> Sequence[Var]:
        """The inputs that hold the model's variables."""
        return self.inputs[len(self.constants) : len(self.inputs) - len(self.images)]

    def values(self, variables: Any, images: Any) -> dict[Var, Any]:
        """What the inputs hold in a call."""
        return dict(zip(self.inputs, (*self.constants, *jax.tree.leaves((variables, images))), strict=True))

    def run(self, variables: Any, images: Any, more: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The model's output, and the values of the program's variables `more`."""
        wanted = [*self.outputs, *more]
        steps = needed(self.equations, wanted, effects=True)
        results = evaluate(steps, wanted, self.values(variables, images), self.like)
        count = len(self.outputs)
        return jax.tree.unflatten(self.structure, results[:count]), results[count:]

    def between(self, output: Var, available: Collection[Var]) -> Part:
        """The part that computes `output` from the variables `available` and from the program's own inputs.

        `output` itself is computed, also where it is given.
        """
        steps = needed(self.equations, [output], available)
        made = {v for equation in steps for v in equation.outvars}
        reads = dict.fromkeys(v for equation in steps for v in _variables(equation.invars))
        inputs = [v for v in reads if v in available or v not in made] if steps else [output]
        return Part([v for v in inputs if v is not output or not steps], [output], steps, self.like)


def trace(forward: Forward, variables: Any, images: Any) -> Program:
    """Trace `forward(variables, images)`, whose module calls are marked and captured by Flax.

    `forward` gives (output, {Call: value}). A model that can only be called without Flax's capture (such
    as one whose branches of a condition call different modules) is traced with the marks alone, and
    `forward.flax_capture_error` says so. Raises ModelError when the model can't be called, or when Flax
    captured another value than the one that is marked.
    """
    try:
        closed, shapes = jax.make_jaxpr(forward, return_shape=True)(variables, images)
    except ReportgenError:
        raise
    except Exception as error:  # whatever the user's model raises
        text = f"{type(error).__name__}: {error}"
        if forward.without_flax(f"with it, the model can't be called: {text.splitlines()[0]}"):
            try:
                return trace(forward, variables, images)
            except ModelError:
                forward.without_flax("")
                raise
        raise ModelError(cannot_be_called(error, forward.plain, variables, images), code="M104") from error
    flat = Flattener()
    jaxpr = closed.jaxpr
    flat.constants.update(zip(jaxpr.constvars, closed.consts, strict=True))
    environment: dict[Var, Any] = {}
    flat.walk(jaxpr, environment, None)
    structure, count = jax.tree.structure(shapes[0]), len(jax.tree.leaves(shapes[0]))
    outputs = [read(environment, v) for v in jaxpr.outvars]
    captured = dict(zip(sorted(shapes[1]), outputs[count:], strict=True))
    inputs = tuple(jaxpr.invars[len(jaxpr.invars) - len(jax.tree.leaves(images)) :])
    return Program(
        equations=flat.equations,
        inputs=(*flat.constants, *jaxpr.invars),
        outputs=outputs[:count],
        constants=list(flat.constants.values()),
        points=tuple(_proven(flat, captured, inputs)),
        hidden=flat.hidden,
        functions=flat.functions,
        structure=structure,
        images=inputs,
        like=jaxpr,
    )


def _proven(flat: Flattener, captured: Mapping[Call, Any], images: Sequence[Any]) -> list[CapturePoint]:
    """The points, with those marked of which Flax captured this very variable: the n-th call of its n-th.

    Raises ModelError where what it captured of a module's call is none of the values marked there.
    """
    points = flat.points()
    waiting: dict[tuple[str, str, str], list[int]] = {}
    for place, point in enumerate(points):
        if point.tag is not None:
            key = point.tag.module, point.tag.method or "__call__", point.tag.leaf
            waiting.setdefault(key, []).append(place)
    made_by = makers(flat.equations)
    activations = depends_on(flat.equations, images)
    for call, variable in captured.items():
        if isinstance(variable, Literal):
            continue
        same = set(ways_back(variable, made_by, flat.moved))
        places = waiting.get((call.module, call.method, call.leaf), [])
        while places:
            # A call that stands before is one that Flax dropped: it was made inside a loop.
            place = places.pop(0)
            marked = points[place].variable
            if not isinstance(marked, Literal) and marked in same:
                points[place] = replace(points[place], flax=True)
                break
        else:
            if variable in activations and call.module not in flat.unreached:
                method = "" if call.method == "__call__" else call.method
                raise ModelError(
                    f"of {'/'.join(filter(None, (call.module, method))) or 'the model'}{call.leaf}, Flax's "
                    f"capture_intermediates gives another value than call {call.number} returned; is there another "
                    "interceptor around it?",
                    code="M108",
                )
    return points


def needed(
    equations: Sequence[Equation], outputs: Iterable[Any], available: Collection[Var] = (), *, effects: bool = False
) -> list[Equation]:
    """The equations that `outputs` need where the variables `available` are known, though not as outputs.

    With `effects`, also those that do something beside computing, such as printing.
    """
    steps: list[Equation] = []
    requested = set(_variables(outputs))
    wanted = set(requested)
    for equation in reversed(equations):
        if any(v in wanted and (v in requested or v not in available) for v in equation.outvars) or (
            effects and equation.effects
        ):
            steps.append(equation)
            wanted.update(_variables(equation.invars))
    return steps[::-1]


def _variables(atoms: Iterable[Any]) -> list[Var]:
    return [v for v in atoms if not isinstance(v, Literal)]


def evaluate(equations: Sequence[Equation], outputs: Sequence[Any], values: dict[Any, Any], like: Jaxpr) -> list[Any]:
    """The values of the variables `outputs`; `values` are those of the variables that are known before."""
    later = set(_variables(outputs))
    read_later = later.union(*(_variables(equation.invars) for equation in equations))

    def opened(equation: Equation) -> bool:
        return isinstance(equation, Loop) and any(v in read_later for v in equation.more.values())

    stretches = [(is_opened, list(group)) for is_opened, group in groupby(equations, opened)]
    wanted: list[set[Var]] = []  # by each stretch, of what it makes
    for _, group in reversed(stretches):
        wanted.insert(0, later)
        later = later.union(*(_variables(equation.invars) for equation in group))
    for (is_opened, group), requested in zip(stretches, wanted, strict=True):
        if is_opened:
            for loop in group:
                values.update(_again(loop, read_later, values, like))
            continue
        plain = [step.equation if isinstance(step, Loop) else step for step in group]
        made = list(dict.fromkeys(v for step in plain for v in step.outvars if v in requested))
        reads = [v for v in dict.fromkeys(v for step in plain for v in _variables(step.invars)) if v in values]
        program = program_of(like, reads, made, plain)
        values.update(zip(made, jaxpr_as_fun(program)(*(values[v] for v in reads)), strict=True))
    return [v.val if isinstance(v, Literal) else values[v] for v in outputs]


def _again(loop: Any, wanted: Collection[Var], values: Mapping[Any, Any], like: Jaxpr) -> dict[Any, Any]:
    """The values of a loop's own outputs, and of the `wanted` ones among the further ones."""
    more = {inner: outer for inner, outer in loop.more.items() if outer in wanted}
    requested = [*loop.outputs, *more]
    steps = needed(loop.body, requested, effects=True)
    count = len(loop.carry)

    def iteration(carry: Sequence[Any], xs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        inside = {**values, **dict(zip((*loop.carry, *loop.xs), (*carry, *xs), strict=True))}
        results = evaluate(steps, requested, inside, like)
        return results[:count], results[count:]

    starts = [v.val if isinstance(v, Literal) else values[v] for v in loop.starts]
    carry, stacks = jax.lax.scan(iteration, starts[:count], starts[count:], **loop.options)
    return dict(zip([*loop.equation.outvars, *more.values()], (*carry, *stacks), strict=True))
