"""Model and batch in, every layer's activations out, in call order.

    capture = prepare(model, variables, images)
    capture.layers                                    # tuple of core.run.Layer
    output, values = capture(variables, images)       # values: layer path -> [batch, ...]
    output, values = jax.jit(capture)(variables, images)

The model is traced, the variables that hold module outputs and functional operations are found in the
traced program, and the program is run with these as further outputs. The user's model is not changed,
runs in evaluation, and computes what it always computes. Inside jit, layers that the caller does not use
cost nothing: XLA removes them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from reportgen.capture.linen import linen_forward
from reportgen.capture.operations import depends_on, operations, origin
from reportgen.capture.types import Call
from reportgen.core.run import Layer
from reportgen.errors import ModelError, choices


@dataclass(frozen=True, eq=False)
class Capture:
    """A model made ready for capturing. Calling it is pure: it may be jitted, and vmapped over a batch axis.

    `layers` are all layers in call order, `selected` the paths whose arrays a call returns, `uncaptured`
    maps what could not be captured to the reason.
    """

    forward: Callable
    layers: tuple[Layer, ...]
    selected: tuple[str, ...]
    uncaptured: Mapping[str, str]

    def __call__(self, variables: Any, images: Any) -> tuple[Any, dict[str, Any]]:
        """The model's output and {layer path: array} for a batch of images, in evaluation."""
        output, traced = _trace(self.forward, variables, images)
        wanted = {path: traced.variables[path] for path in self.selected}
        values = traced.run(variables, images, list(wanted.values()))
        return output(values), dict(zip(wanted, values[traced.outputs :], strict=True))


def prepare(
    model: Any, variables: Any, images: Any, *, apply: Callable | None = None, layers: Sequence[str] = ("*",)
) -> Capture:
    """Trace `model` on `images` (only shape and dtype matter) and list what can be captured.

    `apply(model, variables, images)` calls the model where the default, evaluation with no further
    arguments, does not do. `layers` are glob patterns on layer paths. Raises ModelError when the model
    can't be called, or when a pattern matches no layer.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"a {type(model).__name__} is no flax.linen Module; nothing else can be captured yet"
        )
    forward = linen_forward(model, apply)
    _, traced = _trace(forward, variables, images)
    for pattern in layers:
        if not any(fnmatchcase(layer.path, pattern) for layer in traced.layers):
            raise ModelError(
                f"no layer matches {pattern!r}; {choices(pattern, [x.path for x in traced.layers])}"
            )
    selected = tuple(
        layer.path
        for layer in traced.layers
        if layer.same_as is None and any(fnmatchcase(layer.path, pattern) for pattern in layers)
    )
    return Capture(forward, traced.layers, selected, traced.uncaptured)


@dataclass(frozen=True)
class _Traced:
    """A traced model: its program, and which variable of it holds each layer's value."""

    program: ClosedJaxpr
    outputs: int
    layers: tuple[Layer, ...]
    variables: Mapping[str, Any]
    uncaptured: Mapping[str, str]

    def run(self, variables: Any, images: Any, more: list) -> list:
        """Evaluate the program with the values of the variables `more` after its own outputs."""
        jaxpr = self.program.jaxpr
        jaxpr = jaxpr.replace(
            outvars=[*jaxpr.outvars[: self.outputs], *more],
            debug_info=jaxpr.debug_info._replace(result_paths=None),
        )
        return jaxpr_as_fun(ClosedJaxpr(jaxpr, self.program.consts))(*jax.tree.leaves((variables, images)))


def _trace(forward: Callable, variables: Any, images: Any) -> tuple[Callable, _Traced]:
    """Trace once; returns what rebuilds the model's output from a run's values, and the traced model."""
    calls: list[Call] = []

    def flat(variables, images):
        output, made = forward(variables, images)
        calls.extend(replace(call, value=None) for call in made)
        return output, [call.value for call in made]

    program, shapes = jax.make_jaxpr(flat, return_shape=True)(variables, images)
    leaves, structure = jax.tree.flatten(shapes[0])
    jaxpr = program.jaxpr
    module_values = _module_variables(calls, shapes[1], jaxpr.outvars[len(leaves) :])
    batch = np.shape(jax.tree.leaves(images)[0])[0]
    image_variables = jaxpr.invars[len(jax.tree.leaves(variables)) :]
    table = _Table(jaxpr, image_variables, batch)
    layers, found, uncaptured = table.build(calls, module_values)
    traced = _Traced(program, len(leaves), layers, found, uncaptured)
    return lambda values: jax.tree.unflatten(structure, values[: len(leaves)]), traced


def _module_variables(calls: list[Call], shapes: list, outvars: list) -> list[list[tuple[str, Any]]]:
    """For each call, its output's leaves as (name of the leaf, variable); [] where nothing was passed on."""
    remaining = iter(outvars)
    result = []
    for _, value in zip(calls, shapes, strict=True):
        leaves = jax.tree_util.tree_leaves_with_path(value)
        result.append([(jax.tree_util.keystr(path), next(remaining)) for path, _ in leaves])
    return result


class _Table:
    """Puts module outputs and functional operations of one program into one list, in call order."""

    def __init__(self, jaxpr: Any, image_variables: Sequence[Any], batch: int):
        self._jaxpr = jaxpr
        self._batch = batch
        self._activations = depends_on(jaxpr, image_variables)
        self._made_by = {v: equation for equation in jaxpr.eqns for v in equation.outvars}
        self._made_at = {v: i for i, equation in enumerate(jaxpr.eqns) for v in equation.outvars}
        self._layers: list[Layer] = []
        self._path_of: dict[Any, str] = {}
        self._variables: dict[str, Any] = {}

    def build(
        self, calls: list[Call], values: list
    ) -> tuple[tuple[Layer, ...], dict[str, Any], dict[str, str]]:
        known = {call.path for call in calls}
        opaque = {call.path for call in calls if call.opaque}
        found = operations(self._jaxpr, lambda equation: _scope(equation, known, opaque))
        uncaptured: dict[str, str] = {}
        entries: list[tuple[int, int, Any]] = []
        last = -1
        for call, leaves in zip(calls, values, strict=True):
            if not leaves:
                name = "/".join(call.path) or call.kind
                uncaptured[name] = (
                    "Flax passed no value on: the module is called inside a lifted transformation (nn.scan, "
                    "nn.vmap) without variable_axes={'intermediates': 0}, or returned nothing"
                )
                continue
            # A module that returns what it was given (dropout in evaluation) stands where it was called.
            last = max([last, *(self._made_at.get(v, -1) for _, v in leaves if not isinstance(v, Literal))])
            entries.append((last, 1, (call, leaves)))
        entries += [(operation.position, 0, operation) for operation in found]
        for _, is_call, entry in sorted(entries, key=lambda item: item[:2]):
            if is_call:
                self._add_call(*entry)
            else:
                self._add_operation(entry)
        return tuple(self._layers), self._variables, uncaptured

    def _add_call(self, call: Call, leaves: list[tuple[str, Any]]) -> None:
        base = "/".join(call.path) or call.kind
        if not call.path and all(variable in self._path_of for _, variable in leaves):
            return  # The model's own output is its last layer's.
        for key, variable in leaves:
            params = {"/".join((*call.path, name)): size for name, size in call.own_params.items()}
            self._add(self._unique(base) + key, call.kind, variable, params, is_module=True)

    def _add_operation(self, operation: Any) -> None:
        if operation.output in self._path_of or operation.output not in self._activations:
            return
        inputs = [v for v in operation.inputs if v in self._activations]
        read = origin(inputs[0], self._path_of, self._made_by) if len(inputs) == 1 else None
        base = "/".join(operation.scope)
        if read is not None:
            # relu(conv(x)) and max_pool(relu(conv(x))) both happen to the convolution.
            layer = next(layer for layer in self._layers if layer.path == read)
            base = layer.path if layer.is_module else layer.path.rsplit("/", 1)[0]
        name = f"{base}/{operation.name}" if base else operation.name
        self._add(self._unique(name), operation.name, operation.output, {}, reads=read)

    def _add(
        self,
        path: str,
        kind: str,
        variable: Any,
        params: Mapping[str, int],
        *,
        reads: str | None = None,
        is_module: bool = False,
    ) -> None:
        shape = variable.aval.shape
        if not shape or shape[0] != self._batch:
            return  # Not a value per example: a carry's counter, a table of positions.
        same = self._path_of.get(variable) if not isinstance(variable, Literal) else None
        self._layers.append(
            Layer(
                path=path,
                kind=kind,
                shape=tuple(int(size) for size in shape[1:]),
                dtype=str(variable.aval.dtype),
                params=tuple(params),
                parameters=sum(params.values()),
                reads=reads,
                same_as=same,
                is_module=is_module,
            )
        )
        self._variables[path] = variable
        if same is None:
            self._path_of[variable] = path

    def _unique(self, name: str) -> str:
        taken = {layer.path for layer in self._layers}
        count = 1
        candidate = name
        while candidate in taken:
            count += 1
            candidate = f"{name}#{count}"
        return candidate


def _scope(
    equation: Any, known: set[tuple[str, ...]], opaque: set[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """The module path in an equation's name stack, None inside an opaque module.

    Linen writes the model's name, then the modules'; a user's `jax.named_scope` stands among them and
    is left out.
    """
    scope: tuple[str, ...] = ()
    for part in str(equation.source_info.name_stack).split("/")[1:]:
        deeper = (*scope, part.split(".")[0])
        if deeper in known:
            scope = deeper
        if scope in opaque:
            return None
    return scope
