"""The layers of a traced model in call order: their names, what they read, which are the same.

    layers, uncaptured = build(program)
    layers[0].path, layers[0].variable

Names follow the modules: "Block_0/Conv_1", a second call "Block_0/Conv_1#2". A functional operation is
named after the layer that it reads ("Conv_0/relu"), or after the module that it is computed in; the sum
or product of two values likewise ("Block_0/add").
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jax.extend.core import Literal

from reportgen.capture.flatten import CapturePoint
from reportgen.capture.intermediates import Call
from reportgen.capture.interpret import Borders, Equation, depends_on, interpret, known, makers
from reportgen.capture.marks import CallTag, at, scope_of
from reportgen.capture.operations import Operation
from reportgen.capture.program import Program
from reportgen.capture.structure import Step, structure
from reportgen.core.network import INPUT, Role, role_of

CONSTANT = "its value does not depend on the images"


@dataclass(frozen=True)
class CapturedLayer:
    """A value that can be captured. `module` is where its own parameters are, None for an operation.

    `op`, `role`, `inputs`, `alias_of` and `tied_to` are as in `core.network.Layer`. `variable` and `inner`
    are as in its `CapturePoint`, `point`. `call` tells which module call's result it is, `flax` that Flax's own
    capture gave the same variable.
    """

    path: str
    op: str
    role: Role
    variable: Any
    inner: Any
    module: str | None = None
    inputs: tuple[str, ...] = ()
    alias_of: str | None = None
    tied_to: str | None = None
    operation: Operation | None = None
    call: Call | None = None
    flax: bool = False
    point: CapturePoint | None = None


def build(program: Program, root: bool = False) -> tuple[list[CapturedLayer], dict[str, str]]:
    """The layers in call order, and what could not be captured with the reason.

    With `root`, the model itself is a layer even where its output is that of its last layer.
    """
    return _Table(program, root).build()


class _Table:
    def __init__(self, program: Program, root: bool):
        self._program = program
        self._root = root
        self._activations = depends_on(program.equations, program.images)
        self._made_by = makers(program.equations)
        self._learned = depends_on(program.equations, program.variables) - self._activations
        named = {v for p in program.points if p.operation and p.operation.name for v in (p.inner, *p.operation.within)}
        self._steps = structure(program, self._activations, self._learned, named, self._made_by)
        self._layers: dict[str, CapturedLayer] = {}
        self._path_of: dict[Any, str] = {}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._first: dict[str, str] = {}
        self._constant: dict[str, str] = {}
        self._scopes: set[str] = set()
        """Modules with something captured inside."""

    def build(self) -> tuple[list[CapturedLayer], dict[str, str]]:
        for point in self._program.points:
            varies = not isinstance(point.variable, Literal) and point.variable in self._activations
            if point.tag is not None and varies:
                self._add_call(point, point.tag)
            elif point.tag is not None and not (point.tag.library and self._is_parameter(point.inner)):
                self._constant[_name(point.tag) + point.tag.leaf] = at(CONSTANT, point.place)
            elif point.operation is not None and varies and point.variable not in self._path_of:
                self._add_operation(point, point.operation, self._steps.found.get(point.inner))
        shown = {path.split("#")[0] for path in self._layers}
        uncaptured = {name: reason for name, reason in self._constant.items() if name not in shown}
        for name, (reason, inputs) in self._program.hidden.items():
            if any(v in self._activations for v in inputs if not isinstance(v, Literal)):
                uncaptured[name] = reason
        inputs_of = self._inputs()
        layers = {
            x.path: replace(x, inputs=(x.alias_of,) if x.alias_of else inputs_of[x.path]) for x in self._layers.values()
        }
        return _in_order(layers), uncaptured

    def _is_parameter(self, variable: Any) -> bool:
        """Whether a module of Flax's hands on what it holds, as a gate of an LSTM cell its kernel to the cell."""
        while not isinstance(variable, Literal) and variable in self._made_by:
            equation = self._made_by[variable]
            if equation.primitive.name not in ("convert_element_type", "copy"):
                return False
            variable = equation.invars[0]
        return True

    def _add_call(self, point: CapturePoint, tag: CallTag) -> None:
        if not tag.path and not tag.method and not self._root and point.variable in self._path_of:
            return  # The model's own output is its last layer's.
        name = _name(tag)
        self._calls[name, tag.leaf] += 1
        count = self._calls[name, tag.leaf]
        base = name if count == 1 else f"{name}#{count}"
        first = self._first.setdefault(tag.module, base)
        op = tag.method or tag.kind
        layer = CapturedLayer(
            path=self._unique(base + tag.leaf),
            op=op,
            role=role_of(op) if tag.library else self._structure(tag.path),
            variable=point.variable,
            inner=point.inner,
            module=tag.module,
            tied_to=None if first == base else first,
            call=Call(tag.module, tag.method or "__call__", count - 1, tag.leaf),
            flax=point.flax,
            point=point,
        )
        self._add(layer, tag.path.rpartition("/")[0] if tag.path else None)

    def _add_operation(self, point: CapturePoint, operation: Operation, step: Step | None) -> None:
        if point.inner in self._steps.dropped or not (operation.name or step):
            return
        if step is not None and not operation.name:
            operation = replace(operation, name=step.name, inputs=step.inputs, reduced=step.reduced)
        inputs = [v for v in operation.inputs if v in self._activations]
        read = self._origin(inputs[0]) if len(inputs) == 1 and not (step and step.joins) else None
        base = operation.scope
        if read is not None:
            # relu(conv(x)) and max_pool(relu(conv(x))) both happen to the convolution.
            base = read if self._layers[read].module is not None else read.rpartition("/")[0]
        path = self._unique(f"{base}/{operation.name}" if base else operation.name)
        role = role_of(operation.name) if step is None else step.role
        variable, inner = point.variable, point.inner
        layer = CapturedLayer(path, operation.name, role, variable, inner, operation=operation, point=point)
        self._add(layer, operation.scope)

    def _origin(self, variable: Any) -> str | None:
        """The path of the captured value that all of `variable` was computed from."""
        while variable is not None and variable not in self._path_of:
            variable = self._steps.above.get(variable)
        return self._path_of.get(variable)

    def _add(self, layer: CapturedLayer, scope: str | None) -> None:
        same = self._path_of.setdefault(layer.variable, layer.path)
        self._path_of.setdefault(layer.inner, layer.path)
        self._layers[layer.path] = layer if same == layer.path else replace(layer, alias_of=same)
        while scope is not None and scope not in self._scopes:
            self._scopes.add(scope)
            scope = scope.rpartition("/")[0] if scope else None

    def _structure(self, path: str) -> Role:
        """The role of a user's own module: that of its only product with parameters, else a block."""
        return Role.BLOCK if path in self._scopes else self._products.get(path, Role.BLOCK)

    @cached_property
    def _products(self) -> dict[str, Role]:
        """Module path -> the role of the product with parameters that each of its calls computes, where it is one."""
        result: dict[str, list[Role]] = {}
        for equation in dict.fromkeys(self._made_by.values()):
            role = _PRODUCTS.get(equation.primitive.name)
            if role is not None and any(v in self._learned for v in equation.invars if not isinstance(v, Literal)):
                result.setdefault(scope_of(equation.source_info.name_stack)[0], []).append(role)
        calls = Counter((x.tag.path, x.tag.method, x.tag.leaf) for x in self._program.points if x.tag is not None)
        times: dict[str, int] = {}
        for (path, _, _), count in calls.items():
            times[path] = max(count, times.get(path, 0))
        return {path: roles[0] for path, roles in result.items() if roles == roles[:1] * times.get(path, 0)}

    def _inputs(self) -> dict[str, tuple[str, ...]]:
        """Path -> the captured values that it is computed from, in call order, `INPUT` first.

        The carry of a loop is not an edge: the graph has no cycles. A layer that
        reads nothing else reads what the loop reads.
        """
        reads: dict[Any, frozenset[str]] = {}

        def note(variable: Any, value: frozenset[str]) -> frozenset[str]:
            if variable not in self._path_of:
                return value
            reads[variable] = value
            return frozenset((self._path_of[variable],))

        def rule(equation: Equation, read: list[frozenset[str] | None]) -> list[frozenset[str]]:
            return [frozenset().union(*(x for x in read if x is not None))] * len(equation.outvars)

        borders = Borders[frozenset[str]](lambda x: x, lambda x, over: x, lambda before, after: before or after)
        start = dict.fromkeys(self._program.images, frozenset((INPUT,)))
        values = interpret(self._program.equations, dict(start), rule, note=note, borders=borders)
        order = {path: number for number, path in enumerate((INPUT, *self._layers))}
        result = {}
        for layer in self._layers.values():
            loop = self._made_by.get(layer.variable)
            looped = layer.inner is not layer.variable
            around = [known(values, v) for v in loop.invars] if loop is not None and looped else []
            candidates = reads.get(layer.inner, start.get(layer.variable)), frozenset().union(*filter(None, around))
            earlier = [
                sorted((p for p in x or () if order[p] < order[layer.path] or not looped), key=order.__getitem__)
                for x in candidates
            ]
            result[layer.path] = tuple(earlier[0] or earlier[1])
        return result

    def _unique(self, name: str) -> str:
        count, candidate = 1, name
        while candidate in self._layers:
            count += 1
            candidate = f"{name}#{count}"
        return candidate


def _in_order(layers: Mapping[str, CapturedLayer]) -> list[CapturedLayer]:
    """The layers in call order, but each after those that it reads.

    One of several results of a module may be read before the module returns, as the indices of a quantiser.
    """
    found: dict[str, CapturedLayer] = {}

    def put(layer: CapturedLayer) -> None:
        for path in layer.inputs:
            if path in layers and path not in found:
                put(layers[path])
        found[layer.path] = layer

    for layer in layers.values():
        if layer.path not in found:
            put(layer)
    order = {path: number for number, path in enumerate((INPUT, *found))}
    return [replace(x, inputs=tuple(sorted(x.inputs, key=order.__getitem__))) for x in found.values()]


_PRODUCTS = {"conv_general_dilated": Role.CONV, "dot_general": Role.DENSE, "gather": Role.EMBEDDING}


def _name(tag: CallTag) -> str:
    parts = [part for part in (tag.path, tag.method) if part]
    return "/".join(parts) or tag.kind


Shapes = dict[str, tuple[int, ...]]


def own_params(
    layers: Sequence[CapturedLayer], params: Mapping[str, Any]
) -> tuple[dict[str, dict[str, tuple[int, ...]]], list[str]]:
    """Layer path -> its parameters' names and shapes; and the parameters that belong to no layer.

    A parameter belongs to the first captured call of the module that holds it, or, where that module
    itself gives no activation (the gates of an LSTM cell), of the module around it. Where the model alone
    is captured, of no module inside it, all are the model's.
    """
    first: dict[str, str] = {}
    for layer in layers:
        if layer.module is not None:
            first.setdefault(layer.module, layer.path)
    owned: dict[str, Shapes] = {}
    ownerless = []
    for name, value in params.items():
        module = name.rpartition("/")[0]
        while module not in first and module:
            module = module.rpartition("/")[0]
        if module in first and (module or "/" not in name or len(first) == 1):
            owned.setdefault(first[module], {})[name] = tuple(map(int, np.shape(value)))
        else:
            ownerless.append(name)
    return owned, ownerless
