"""What a model computes between its modules, by structure: functions, sums, products that have no name in the program.

    steps = structure(program, activations)
    steps.found[variable]              # Step("squared_relu", Role.ACTIVATION, ...)

A value that dominates what reads it (`graph`) is where one function ends and the next begins:
h * sigmoid(1.702 h) is one function, sin(abs(h)) are two. Of these values, those are found that a rule of
`docs/capture.md` names.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from reportgen.capture.fields import ELEMENTWISE
from reportgen.capture.functions import AFFINE, GRID, function_name, values_on_grid
from reportgen.capture.graph import PRODUCTS, Graph, variables
from reportgen.capture.interpret import Equation, shape_of
from reportgen.capture.marks import scope_of
from reportgen.capture.operations import MOVES
from reportgen.core.network import Role, role_of

NAMES: Mapping[str, tuple[str, Role]] = {
    **{"add": ("add", Role.JOIN), "sub": ("sub", Role.JOIN), "mul": ("mul", Role.JOIN), "div": ("div", Role.JOIN)},
    **{"max": ("maximum", Role.JOIN), "min": ("minimum", Role.JOIN), "select_n": ("where", Role.JOIN)},
    **{"reduce_sum": ("sum", Role.POOL), "reduce_max": ("max", Role.POOL), "reduce_min": ("min", Role.POOL)},
    **{"dot_general": ("dot", Role.OTHER), "conv_general_dilated": ("conv", Role.OTHER)},
    **{"concatenate": ("concatenate", Role.JOIN), "gather": ("take", Role.OTHER), "integer_pow": ("power", Role.OTHER)},
    **{"clamp": ("clip", Role.ACTIVATION), "logistic": ("sigmoid", Role.ACTIVATION)},
    **{"scatter-add": ("segment_sum", Role.OTHER), "scatter": ("scatter", Role.OTHER)},
    **{"real": ("real", Role.OTHER), "imag": ("imag", Role.OTHER), "stack": ("stack", Role.RESHAPE)},
}
"""Primitive -> name and role of a step that has no other; the rest are called by the primitive."""

TAILS = ("scale", "shift")
"""The names of a function's result times, or plus, constants or parameters."""

OWN_NAMES = (
    "resize",
    "repeat",
    "tile",
    "clip",
    "where",
    "var",
    "std",
    "cumsum",
    "sort",
    "take",
    "norm",
    "one_hot",
    "softmax",
)
"""Functions of JAX's own that name a step that ends in their result."""


@dataclass(frozen=True)
class Step:
    """A value found by structure: its name and role, and the values that it is computed from; whether it joins them.

    `reduced` are the axes over which it sums on its way."""

    name: str
    role: Role
    inputs: tuple[Any, ...]
    joins: bool
    reduced: tuple[int, ...] = ()


@dataclass
class Steps:
    """`found` maps variables (inside the loop that makes them) to steps; `dropped` are the named operations that
    are parts of one; `above` maps a value to the one that all of it was computed from."""

    found: dict[Any, Step] = field(default_factory=dict)
    dropped: set[Any] = field(default_factory=set)
    above: dict[Any, Any] = field(default_factory=dict)


def structure(
    program: Any,
    activations: Collection[Any],
    learned: Collection[Any],
    named: Collection[Any],
    made_by: Mapping[Any, Equation],
) -> Steps:
    """The steps of a `program`.

    `activations` are the variables that follow from its input, `learned` those that follow from parameters
    alone, `named` those of functional operations that are known by name; `made_by` is as
    `interpret.makers` gives it.
    """
    graph = Graph(program, activations, learned, named)
    graph.walk(program.equations)
    graph.ends.update(v for v in variables(program.outputs) if v in activations)
    return _Finder(graph, program, named, made_by).steps()


@dataclass
class _Finder:
    graph: Graph
    program: Any
    named: Collection[Any]
    made_by: Mapping[Any, Equation]

    @cached_property
    def _constants(self) -> dict[Any, Any]:
        return dict(zip(self.program.inputs, self.program.constants, strict=False))

    def steps(self) -> Steps:
        graph, cut = self.graph, self._passed()
        kind: dict[Any, str] = {}
        since: dict[Any, Any] = {}  # where a function began whose values can't be captured, such as x > 0
        names: dict[Any, tuple[str, Role]] = {}
        parts: dict[Any, list[Equation]] = {}
        steps = Steps(above=graph.above)
        for v in graph.order:
            if v not in cut:
                continue
            above = graph.above[v]
            if v in graph.joins:
                kind[v] = "op"
                names[v] = self._joined(graph.joins[v])
                continue
            start = since.get(above, above)
            parts[v] = segment = self._between(start, v)
            before = "start" if above in graph.results else kind.get(above, "start")
            if v in self.named:
                kind[v] = "op"
            elif before == "pending" or not self._is_plain(v, above, segment):
                kind[v] = "op" if _inexact(v) and not self._inside(v) else "pending"
                if kind[v] == "op":
                    names[v] = self._name(v, start, segment)
                else:
                    since[v] = start
            elif self._only_moves(segment):
                kind[v] = before
            else:
                kind[v] = "tail" if before in ("op", "tail") else before
        self._choose(steps, cut, kind, names, parts)
        return steps

    def _choose(self, steps: Steps, cut: Any, kind: Any, names: Any, parts: Any) -> None:
        graph = self.graph
        below: dict[Any, list[Any]] = {}
        for v in graph.order:
            if v in cut and v not in graph.joins:
                below.setdefault(graph.above[v], []).append(v)
        continued: dict[Any, bool] = {}
        for v in reversed(graph.order):
            if v in cut:
                children = below.get(v, []) if v not in graph.results else []
                moved = [(kind[w] == "tail" and not self._only_moves(parts[w])) or continued[w] for w in children]
                continued[v] = bool(moved) and all(moved) and v not in graph.ends
        for v in graph.order:
            own = v in graph.own and not (v in graph.joins and names[v][1] is Role.JOIN)
            if v not in cut or own or not _inexact(v):
                continue
            tail = kind[v] == "tail" and not self._only_moves(parts[v])
            if v in names and not (continued[v] and self._weak(v, names[v])):
                name, role = names[v]
                inner = self._named_parts(v, parts) - cut
                if role in (Role.ACTIVATION, Role.NORM):
                    steps.dropped |= inner
                reads = graph.read(graph.joins[v]) if v in graph.joins else [graph.above[v], *(inner - steps.dropped)]
                if role is Role.JOIN and len(reads) == 1:
                    role = _kind(parts[v])
                sums = [e.params["axes"] for e in parts.get(v, ()) if e.primitive.name == "reduce_sum"]
                reduced = tuple(sorted({axis for axes in sums for axis in axes}))
                steps.found[v] = Step(name, role, tuple(reads), v in graph.joins, reduced)
            elif tail and not continued[v]:
                op = graph.above[v]
                while kind.get(op) == "tail" or (op in kind and op not in names and op not in self.named):
                    op = graph.above[op]
                whole = self._function(v, self._root(v))
                scaled = {e.primitive.name for e in parts[v]} & {"mul", "div", "neg"}
                name, role = TAILS[0 if scaled else 1], Role.OTHER
                if op in names and op not in steps.found:
                    name, role = names[op]
                if whole not in (None, AFFINE):
                    name, role = whole, Role.ACTIVATION
                if role in (Role.ACTIVATION, Role.NORM):
                    steps.dropped |= self._named_parts(op, parts) - cut
                joined = graph.joins.get(op)
                reads = graph.read(joined) if joined is not None and op not in steps.found else [graph.above[v]]
                steps.found[v] = Step(name, role, tuple(reads), joined is not None)

    def _weak(self, v: Any, name: tuple[str, Role]) -> bool:
        """Whether a scale or shift that follows is part of it: of products, and functions without a name of theirs."""
        if v in self.graph.joins:
            return self.graph.joins[v].primitive.name in PRODUCTS
        return v not in self.named and name[1] in (Role.NORM, Role.POOL, Role.JOIN, Role.OTHER)

    def _named_parts(self, v: Any, parts: Mapping[Any, Sequence[Equation]]) -> set[Any]:
        """The operations known by name on the way to a value."""
        return {w for e in parts.get(v, ()) for w in e.outvars if w in self.named and w is not v}

    def _passed(self) -> set[Any]:
        """The values that dominate one that is read by a module, a join or a loop, or returned."""
        cut: set[Any] = set()
        for v in self.graph.ends:
            while v is not None and v not in cut:
                cut.add(v)
                v = self.graph.above.get(v)
        return cut

    def _between(self, start: Any, end: Any) -> list[Equation]:
        """The equations that make `end` from `start`."""
        seen: dict[int, Equation] = {}
        waiting = [end]
        while waiting:
            v = waiting.pop()
            if v is start or v not in self.made_by or id(self.made_by[v]) in seen:
                continue
            equation = self.made_by[v]
            seen[id(equation)] = equation
            waiting += self.graph.read(equation)
        return list(seen.values())[::-1]

    def _only_moves(self, segment: Sequence[Equation]) -> bool:
        """Whether no value changes, but perhaps its place; jnp.roll cuts and concatenates."""
        return all(
            e.primitive.name in MOVES
            or (e.primitive.name == "concatenate" and scope_of(e.source_info.name_stack)[1] == "function")
            for e in segment
        )

    def _is_plain(self, v: Any, above: Any, segment: Sequence[Equation]) -> bool:
        """Whether it moves values, or scales and shifts them by constants or parameters."""
        if len(segment) > 1:
            return self._only_moves(segment) or self._function(v, above) == AFFINE
        (equation,) = segment
        name, reads = equation.primitive.name, self.graph.read(equation)
        if name == "convert_element_type":
            return _inexact(v) or not _inexact(reads[0])
        if name == "reshape" and (before := self.made_by.get(above)) is not None:
            # Repeated along an axis that was merged with another: upsampling.
            enlarged = before.primitive.name == "broadcast_in_dim" and above not in self.graph.joins
            return not enlarged or _size(above) <= _size(before.invars[0])
        if name in ("add", "sub", "neg", "add_any") or self._only_moves(segment):
            return True
        once = [v is reads[0] for v in equation.invars]
        return (name == "mul" and sum(once) == 1) or (name == "div" and once == [True, False])

    def _inside(self, v: Any) -> bool:
        """Whether it is made on the way of a function of JAX's own, such as the squares of a variance."""
        return v not in self.program.functions and scope_of(self.made_by[v].source_info.name_stack)[1] == "function"

    def _root(self, v: Any) -> Any:
        while (above := self.graph.above.get(v)) is not None:
            v = above
            if v in self.graph.results:
                break
        return v

    def _function(self, v: Any, start: Any) -> str | None:
        values = values_on_grid(v, start, self.made_by, self._constants)
        return None if values is None else function_name(GRID, np.broadcast_to(values, GRID.shape))

    def _name(self, v: Any, start: Any, segment: Sequence[Equation]) -> tuple[str, Role]:
        for begin in dict.fromkeys((self._root(v), start)):
            name = self._function(v, begin)
            if name not in (None, AFFINE):
                return name, Role.ACTIVATION
        function = self.program.functions.get(v)
        if function is not None and (not function[1] or function[0] in OWN_NAMES):
            role = role_of(function[0])
            return function[0], _kind(segment) if role is Role.OTHER else role
        primitives = {e.primitive.name for e in segment}
        if start in self.made_by and self.made_by[start].primitive.name == "exp":
            primitives.add("exp")
        if {"exp", "reduce_sum", "div"} <= primitives and not primitives & {"sqrt", "rsqrt"}:
            return "softmax", Role.ACTIVATION
        if primitives & {"reduce_sum", "reduce_max"} and primitives & {"sqrt", "rsqrt"} and primitives & {"div", "mul"}:
            return "normalize", Role.NORM
        work = [e for e in segment if e.primitive.name not in MOVES]
        if not work:
            return "repeat", Role.RESHAPE
        primitive = work[-1].primitive.name
        name, role = NAMES.get(primitive, (primitive.removeprefix("reduce_").replace("-", "_"), _kind(segment)))
        return name, _kind(segment) if role is Role.JOIN and len(self.graph.read(work[-1])) == 1 else role

    def _joined(self, equation: Equation) -> tuple[str, Role]:
        primitive = equation.primitive.name
        name, role = NAMES.get(primitive, (primitive.replace("-", "_"), Role.OTHER))
        learned = primitive in PRODUCTS and any(v in self.graph.learned for v in variables(equation.invars))
        return name, PRODUCTS[primitive] if learned else role


def _kind(segment: Sequence[Equation]) -> Role:
    """The role of an unknown function: an activation if it works on each value alone."""
    return Role.ACTIVATION if all(e.primitive.name in (*ELEMENTWISE, *MOVES) for e in segment) else Role.OTHER


def _inexact(v: Any) -> bool:
    return bool(np.issubdtype(getattr(v.aval, "dtype", np.int32), np.inexact)) or str(v.aval.dtype) == "bfloat16"


def _size(v: Any) -> int:
    return int(np.prod(shape_of(v)))
