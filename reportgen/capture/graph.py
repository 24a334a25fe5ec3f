"""The values between modules as a graph: which value all of another was computed from.

    graph = Graph(program, activations, learned, named)
    graph.walk(program.equations)
    graph.above[variable]

The roots are the input, the modules' results and whatever joins two of them. A value through which all that
was computed from one root passes on its way to another value dominates that one.
Source: Cooper, Harvey and Kennedy (2001), A Simple, Fast Dominance Algorithm.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from typing import Any

from jax.extend.core import Literal

from reportgen.capture.interpret import Equation, Loop, makers
from reportgen.capture.marks import scope_of
from reportgen.core.network import Role

PRODUCTS = {"conv_general_dilated": Role.CONV, "dot_general": Role.DENSE, "ragged_dot_general": Role.DENSE}
BRANCHES = ("while", "cond")


class Graph:
    """The dominator tree of the equations outside of library modules, once it `walk`ed them.

    `above` maps a value to the nearest one that all of it was computed from, `joins` those that were computed from
    several (or begin a new function) to their equations. `order` are all of them in the order of computation, `ends`
    those that a module, a join or a loop reads, or that are returned. `results` are the modules' results with their
    tags, and `own` those that the module computed itself.
    """

    def __init__(self, program: Any, activations: Collection[Any], learned: Collection[Any], named: Collection[Any]):
        self.activations = activations
        self.learned = learned
        self.named = named
        self.results = {point.inner: point.tag for point in program.points if point.tag is not None}
        self.above: dict[Any, Any] = {}
        self.joins: dict[Any, Equation] = {}
        self.order: list[Any] = []
        self.ends: set[Any] = set()
        self.own: set[Any] = set()
        self._depth: dict[Any, int] = {}
        self._parent: dict[Any, Any] = {}

    def read(self, equation: Equation) -> list[Any]:
        """The activations among an equation's inputs."""
        return [v for v in dict.fromkeys(variables(equation.invars)) if v in self.activations]

    def walk(self, equations: Iterable[Equation]) -> None:
        for equation in equations:
            reads = self.read(equation)
            made = [v for v in equation.outvars if v in self.activations]
            if not reads or not made:
                continue
            path, kind = scope_of(equation.source_info.name_stack)
            if isinstance(equation, Loop):
                self.ends.update(reads)
                self.walk(equation.body)
                self.ends.update(v for v in variables(equation.outputs) if v in self.activations)
                common = None
                if kind != "library" and self.results.keys().isdisjoint(makers(equation.body)):
                    # The last of what it carries; what it stacks are values inside.
                    carried = [v for v in equation.equation.outvars[: len(equation.carry)] if v in self.activations]
                    self.joins.update(dict.fromkeys(carried, equation))
                    self.order += carried
            elif kind == "library":
                self.ends.update(reads)
                common = None
            else:
                common = None if self._is_root(equation, reads) else self._common(reads)
                if common is None:
                    self.ends.update(reads)
                    self.joins.update(dict.fromkeys(made, equation))
                self.order += made
            for v in made:
                self._place(v, common)
                tag = self.results.get(v)
                if tag is not None:
                    self.own.update((v,) if tag.path == path and v not in self.named else ())
                    self.ends.add(v)
                    self._depth[v], self._parent[v] = 0, None

    def _is_root(self, equation: Equation, reads: Sequence[Any]) -> bool:
        """Whether a new function begins: a product with parameters or of two activations, a branch."""
        if equation.primitive.name in PRODUCTS:
            return all(v in self.activations or v in self.learned for v in variables(equation.invars[:2]))
        return equation.primitive.name in BRANCHES

    def _place(self, variable: Any, parent: Any) -> None:
        self.above[variable] = self._parent[variable] = parent
        self._depth[variable] = 0 if parent is None else self._depth.get(parent, 0) + 1

    def _common(self, variables: Sequence[Any]) -> Any:
        """The nearest value that all of them were computed from; None where there is none."""

        def nearest(a: Any, b: Any) -> Any:
            while a is not b and a is not None and b is not None:
                if self._depth.get(a, 0) >= self._depth.get(b, 0):
                    a = self._parent.get(a)
                else:
                    b = self._parent.get(b)
            return a if a is b else None

        return reduce(nearest, variables)


def variables(atoms: Iterable[Any]) -> list[Any]:
    """Those of an equation's inputs or outputs that are no literals."""
    return [v for v in atoms if not isinstance(v, Literal)]
