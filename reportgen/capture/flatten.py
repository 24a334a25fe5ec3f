"""A traced program as one flat list of equations, and the places in it that hold the layers' values.

    flat = Flattener()
    flat.walk(jaxpr, {}, None)
    flat.equations, flat.points()        # points: module results and functional operations, in call order

What jit, remat and custom derivatives wrap is laid open, since only then an operation inside can be seen
and returned. A scan stays a loop whose body is flat and whose inner values can be asked for, stacked over
its iterations. What can't be reached (the branches of a condition, a while loop) is noted in `hidden`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from reportgen.capture.intermediates import MOVES, ways_back
from reportgen.capture.interpret import Equation, Loop, makers
from reportgen.capture.jax_versions import (
    CUSTOM,
    Scan,
    called_name,
    called_program,
    inner_programs,
    is_jaxs_own,
    place_of,
    scan_of,
)
from reportgen.capture.marks import CallTag, at, scope_name, scope_of, tag_of
from reportgen.capture.operations import Operation, called, operations

HIDING = {"while": "a while loop", "cond": "a condition's branch"}


@dataclass(frozen=True)
class CapturePoint:
    """One value to capture: a module's result (`tag`) or a functional operation's.

    `variable` holds it in the program; `inner` is the variable inside the loop where it is made, the same
    one outside of loops. `flax` says that Flax's own capture gave this very variable. `equation` is the one
    that its place in the model's code is known from.
    """

    variable: Any
    inner: Any
    tag: CallTag | None = None
    operation: Operation | None = None
    flax: bool = False
    equation: Any = None

    @property
    def place(self) -> str:
        """The line of the model's code that made it, "model.py:12"."""
        return "" if self.equation is None else place_of(self.equation)


@dataclass
class Flattener:
    """Collects the equations of one level: a whole program, or the body of a loop.

    `constants` are values inside that became inputs of the whole program. `moved` maps a loop's own
    output to the further output that holds the same values, if perhaps with other axes first. `hidden`
    maps what can't be captured to the reason and the variables that it follows from; `unreached` are the
    modules among it. `functions` maps a value to the function that returned it, and whether that is JAX's own.
    """

    equations: list[Equation] = field(default_factory=list)
    constants: dict[Var, Any] = field(default_factory=dict)
    hidden: dict[str, tuple[str, Sequence[Any]]] = field(default_factory=dict)
    moved: dict[Var, Var] = field(default_factory=dict)
    unreached: set[str] = field(default_factory=set)
    functions: dict[Var, tuple[str, bool]] = field(default_factory=dict)
    _functions: list[Operation] = field(default_factory=list)
    _marked: list[tuple[int, CapturePoint]] = field(default_factory=list)

    def points(self) -> list[CapturePoint]:
        """Module results and operations in the order in which they are computed."""
        known = [*self._functions, *operations(self.equations)]
        made = {operation.output: operation for operation in reversed(known)}
        for position, equation in enumerate(self.equations):
            scope, kind = scope_of(equation.source_info.name_stack)
            if kind == "library" or equation.primitive.name in MOVES:
                continue
            for variable in equation.equation.outvars if isinstance(equation, Loop) else equation.outvars:
                made.setdefault(variable, Operation("", scope, position, variable, ()))
        both = [
            (x.position, 0, CapturePoint(v, v, operation=x, equation=self.equations[x.position]))
            for v, x in made.items()
        ]
        both += [(position, 1, point) for position, point in self._marked]
        return [point for _, _, point in sorted(both, key=lambda item: item[:2])]

    def walk(self, jaxpr: Jaxpr, environment: dict[Var, Any], stack: Any) -> None:
        """Append the equations of `jaxpr`, its variables replaced by those in `environment`."""
        for equation in jaxpr.eqns:
            source = equation.source_info
            if stack is not None:
                source = source.replace(name_stack=stack + source.name_stack)
            inputs = [read(environment, v) for v in equation.invars]
            tag = tag_of(equation)
            if tag is not None:
                made: Equation = equation
                if not place_of(equation):  # nothing of the model's own calls the model
                    made = next((e for e in reversed(self.equations) if inputs[0] in e.outvars), equation)
                point = CapturePoint(inputs[0], inputs[0], tag=tag, equation=made)
                self._marked.append((len(self.equations) - 1, point))
                environment[equation.outvars[0]] = inputs[0]
                continue
            inner = _wrapped(equation)
            if inner is not None:
                within = source.name_stack
                path, kind = scope_of(within)
                marked, own = _has_mark(inner[0]), is_jaxs_own(inner[0])
                if own and not marked and kind == "module":
                    # The concatenation inside jnp.roll is not an operation of the model.
                    within = within.extend(scope_name(path, "function"))
                outputs = self._lay_open(*inner, inputs, within)
                environment.update(zip(equation.outvars, outputs, strict=True))
                if not marked and kind == "module":
                    self._note_function(equation, inputs, outputs, path, own)
                continue
            fresh = [Var(v.aval) for v in equation.outvars] if stack is not None else equation.outvars
            environment.update(zip(equation.outvars, fresh, strict=True))
            equation = equation.replace(invars=inputs, outvars=list(fresh), source_info=source)
            scan = scan_of(equation)
            if equation.primitive.name in HIDING:
                self._note_hidden(equation)
            self.equations.append(equation if scan is None else self._open_loop(equation, scan))

    def _note_function(
        self, equation: JaxprEqn, inputs: Sequence[Any], outputs: Sequence[Any], scope: str, own: bool
    ) -> None:
        """Remember which function gave a value; one with a derivative of the user's own is an operation."""
        name = called_name(equation).strip("_")
        if not name or name == "<lambda>" or len(outputs) != 1 or isinstance(outputs[0], Literal):
            return
        value: Any = outputs[0]
        for position in reversed(range(len(self.equations))):
            made = self.equations[position]
            if value not in made.outvars:
                continue
            self.functions[value] = name, own
            if made.primitive.name not in MOVES:
                break
            value = made.invars[0]
        else:
            return
        if not own and equation.primitive.name in CUSTOM:
            reads = tuple(v for v in inputs if not isinstance(v, Literal))
            self._functions.append(Operation(name, scope, position, value, reads))

    def _lay_open(self, inner: Jaxpr, consts: Sequence[Any], inputs: Sequence[Any], stack: Any) -> list[Any]:
        environment: dict[Var, Any] = dict(zip(inner.invars, inputs, strict=True))
        environment.update(self._constants(inner, consts))
        self.walk(inner, environment, stack)
        return [read(environment, v) for v in inner.outvars]

    def _constants(self, program: Jaxpr, values: Sequence[Any]) -> dict[Var, Any]:
        """Inputs of the whole program for the constants of one inside it."""
        fresh = {v: Var(v.aval) for v in program.constvars}
        self.constants.update(zip(fresh.values(), values, strict=True))
        return dict(fresh)

    def _open_loop(self, equation: JaxprEqn, scan: Scan) -> Loop:
        """The scan with its body laid open, whose inner values are points out here."""
        flat, body = Flattener(), scan.body
        # The variables of a body may stand in several scans of the program: these are its own.
        inside = [Var(v.aval) for v in body.invars[scan.consts :]]
        environment: dict[Var, Any] = dict(zip(body.invars, [*equation.invars[: scan.consts], *inside], strict=True))
        environment.update(flat._constants(body, scan.body_consts))
        flat.walk(body, environment, equation.source_info.name_stack)
        self.hidden.update({name: (reason, equation.invars) for name, (reason, _) in flat.hidden.items()})
        self.unreached |= flat.unreached
        self.constants.update(flat.constants)
        self.functions.update(flat.functions)
        points = [point for point in flat.points() if not isinstance(point.variable, Literal)]
        length, carry = scan.options["length"], scan.carry
        more = {v: Var(v.aval.update(shape=(length, *v.aval.shape))) for v in dict.fromkeys(p.variable for p in points)}
        outputs = [read(environment, v) for v in body.outvars]
        made_by = makers(flat.equations)
        for output, within in zip(equation.outvars[carry:], outputs[carry:], strict=True):
            if not isinstance(within, Literal):
                same = [more[v] for v in ways_back(within, made_by, flat.moved) if v in more]
                self.moved.update({output: same[0]} if same else {})
        self._marked += [
            (len(self.equations), CapturePoint(more[p.variable], p.inner, p.tag, p.operation, equation=p.equation))
            for p in points
        ]
        return Loop(
            equation, flat.equations, inside[:carry], inside[carry:], outputs, list(flat.constants), scan.options, more
        )

    def _note_hidden(self, equation: JaxprEqn) -> None:
        for inner in inner_programs(equation):
            flat = Flattener()
            flat.walk(inner, {}, equation.source_info.name_stack)
            for point in flat.points():
                if point.tag is not None:
                    self.unreached.add(point.tag.module)
                    name = point.tag.path
                elif point.operation is not None and point.operation.name:
                    name = "/".join(filter(None, (point.operation.scope, point.operation.name)))
                else:
                    continue
                reason = f"it is computed inside {HIDING[equation.primitive.name]}"
                self.hidden[name] = at(reason, point.place), equation.invars
            self.unreached |= flat.unreached
            self.hidden.update({name: (reason, equation.invars) for name, (reason, _) in flat.hidden.items()})


def read(environment: Mapping[Var, Any], variable: Any) -> Any:
    """What stands for a variable; itself where nothing does."""
    return variable if isinstance(variable, Literal) else environment.get(variable, variable)


def _wrapped(equation: JaxprEqn) -> tuple[Jaxpr, Sequence[Any]] | None:
    """The program inside a wrapper; None for other equations, and for a call that is an operation itself."""
    inner = called_program(equation)
    if inner is None or (called(equation) is not None and not _has_mark(inner[0])):
        return None
    return inner


def _has_mark(program: Jaxpr) -> bool:
    return any(
        tag_of(equation) is not None or any(_has_mark(deeper) for deeper in inner_programs(equation))
        for equation in program.eqns
    )
