"""Model and batch in, every layer's activations out, in call order.

    capture = prepare(model, variables, images)
    capture.network                                   # core.network.Network
    output, values = capture(variables, images)       # values: layer path -> [image, ...]
    output, values = jax.jit(capture)(variables, images)

The model is traced, the variables that hold module results and functional operations are found in the
traced program, and the program is run with these as further outputs. The user's model is not changed,
runs in evaluation, and computes what it always computes. Inside jit, layers that the caller does not use
cost nothing: XLA removes them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jax
import numpy as np
from jax.extend.core import Literal

from reportgen.capture import attention, batch
from reportgen.capture.axes import arranged, follow, with_heads, with_pairs
from reportgen.capture.batch import ImageAxis, images_first
from reportgen.capture.calling import cannot_be_called
from reportgen.capture.fields import receptive_fields
from reportgen.capture.flops import flops
from reportgen.capture.forward import Forward, PlainForward, forward_of, name_of, variables_of
from reportgen.capture.jax_versions import place_of
from reportgen.capture.marks import at
from reportgen.capture.mesh import jitted
from reportgen.capture.names import flat_names
from reportgen.capture.operations import ATTENTION_WEIGHTS
from reportgen.capture.program import Program, trace
from reportgen.capture.table import CapturedLayer, build, own_params
from reportgen.core.network import INPUT, Layer, Network, Role
from reportgen.errors import ModelError, ReportgenError, choices, warn

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Capture:
    """A model made ready for capturing. Calling it is pure: it may be jitted, and vmapped over a batch axis.

    `network` describes all layers, `selected` are the paths whose arrays a call returns. `image_axes`
    tells where the program has the images.
    """

    forward: Forward
    network: Network
    selected: tuple[str, ...]
    image_axes: Mapping[str, ImageAxis]
    fused: Sequence[attention.Fused] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Deprecated: `network.layers`."""
        warn("Capture.layers is now Capture.network.layers", DeprecationWarning, code="N101")
        return tuple(self.network.layers.values())

    @property
    def uncaptured(self) -> Mapping[str, str]:
        """Deprecated: `network.uncaptured`."""
        warn("Capture.uncaptured is now Capture.network.uncaptured", DeprecationWarning, code="N101")
        return self.network.uncaptured

    def __call__(self, variables: Any, images: Any) -> tuple[Any, dict[str, Any]]:
        """The model's output and {layer path: array} for a batch of images, in evaluation."""
        program, layers = self.program(variables, images)
        found = {layer.path: layer.variable for layer in layers}
        if missing := [path for path in self.selected if path not in found]:
            raise ModelError(
                f"with {count_images(images)} images the model does not compute {', '.join(missing)}, "
                f"which it does with {batch.FEW}",
                code="M109",
            )
        output, values = program.run(variables, images, [found[path] for path in self.selected])
        count = count_images(images)
        return output, {path: self.first(path, value, count) for path, value in zip(self.selected, values, strict=True)}

    def plain(self, variables: Any, inputs: Any) -> Any:
        """The model's output alone, by the model as it is. Raises ModelError where it can't be called."""
        try:
            return self.forward.plain(variables, inputs)
        except ReportgenError:
            raise
        except Exception as error:  # whatever the user's model raises
            raise ModelError(cannot_be_called(error, self.forward.plain, variables, inputs), code="M104") from error

    def first(self, path: str, value: Any, images: int) -> Any:
        """A layer's value as the program has it, as [image, *layer.shape]."""
        return images_first(value, self.image_axes[path], images)

    def program(self, variables: Any, images: Any) -> tuple[Program, list[CapturedLayer]]:
        """The traced model for images of this shape, and its layers in call order."""
        program = attention.with_weights(trace(self.forward, variables, images), self.fused)
        return program, build(program, root=True)[0]


def prepare(
    model: Any,
    variables: Any,
    images: Any,
    *,
    apply: Callable[..., Any] | None = None,
    layers: Sequence[str] = ("*",),
) -> Capture:
    """Trace `model` on `images` (only shape and dtype matter) and list what can be captured.

    `model` is a Flax module, or a function `model(params, images)`. `apply(model, variables, images)` calls
    the model where the default, evaluation with no further arguments, does not do. `layers` are glob
    patterns on layer paths. What can't be captured is warned about, once. Raises ModelError when the
    model can't be called, or when a pattern matches no layer.
    """
    forward = forward_of(model, apply)
    variables = variables_of(model, variables)
    program, captured, image_axes, uncaptured, fused = _examine(forward, variables, images)
    described = _layers(program, captured, image_axes, variables, uncaptured)
    network = Network(name_of(model), {layer.path: layer for layer in described}, uncaptured)
    for pattern in network.separate(layers):
        if not network.select((pattern,)):
            raise ModelError(f"no layer matches {pattern!r}; {choices(pattern, list(network.layers))}", code="M105")
    selected = tuple(layer.path for layer in network.select(layers) if layer.alias_of is None)
    if uncaptured:
        listed = "; ".join(f"{name}: {reason}" for name, reason in uncaptured.items())
        warn(f"reportgen does not capture {listed}", code="M201")
    return Capture(forward, network, selected, image_axes, fused)


def count_images(images: Any) -> int:
    """The size of the first axis of the model's input."""
    return int(np.shape(jax.tree.leaves(images)[0])[0])


def _examine(
    forward: Forward, variables: Any, images: Any
) -> tuple[Program, list[CapturedLayer], dict[str, ImageAxis], dict[str, str], list[attention.Fused]]:
    """The model traced for a few images, its layers, where they have the images, what has no place; what is fused."""
    params = flat_names(variables.get("params", {}))
    root = isinstance(forward, PlainForward) or any("/" not in name for name in params)
    program, more = _traced_twice(forward, variables, images)
    fused, unproven = attention.fused(program, variables, _two(images))
    program = attention.with_weights(program, fused)
    layers, uncaptured = build(program, root)
    uncaptured.update(unproven)
    if not layers:
        given = "" if program.outputs else ", and no array came out: return the model's output"
        raise ModelError(f"no module of the model was called, so nothing could be captured{given}", code="M108")
    shapes = {layer.path: layer.variable.aval.shape for layer in layers}
    larger = build(attention.with_weights(more, fused), root)[0]
    image_axes, unclear = batch.image_axes(shapes, {x.path: x.variable.aval.shape for x in larger})
    shared = [layer for layer in layers if image_axes.get(layer.path, ImageAxis()).positions > 1]
    for path, outer in _orders(program, shared, image_axes, variables, images).items():
        if outer is None:
            unclear[path] = "its rows could not be assigned to images"
            del image_axes[path]
        elif not outer:
            image_axes[path] = ImageAxis(image_axes[path].axis, image_axes[path].positions, outer=False)
    unclear.update({x.path: at(unclear[x.path], x.point.place) for x in layers if x.point and x.path in unclear})
    kept = [layer for layer in layers if layer.path in image_axes]
    _, ownerless = own_params(kept, params)
    read = _read_at(program, variables) if ownerless else {}
    for name in ownerless:
        if name.rpartition("/")[0] not in uncaptured:
            uncaptured[name] = at("this parameter is used by no captured module", read.get(name, ""))
    for name, reason in forward.unmarked.items():
        if name not in shapes:
            uncaptured[name] = reason
    return program, kept, image_axes, {**uncaptured, **unclear}, fused


def _traced_twice(forward: Forward, variables: Any, images: Any) -> tuple[Program, Program]:
    """The model traced for `FEW` and for `MORE` examples, by which the axis that counts them is told."""
    try:
        few, more = (trace(forward, variables, _some(images, count)) for count in (batch.FEW, batch.MORE))
    except ModelError:
        given = count_images(images)
        trace(forward, variables, _some(images, given))  # raises where that is the model's fault
        raise ModelError(
            f"the model takes {given} examples at once, but not {batch.FEW} or not {batch.MORE}, by which reportgen "
            "tells the axis that counts them; let it take any number of examples",
            code="M109",
        ) from None
    return few, more


def _read_at(program: Program, variables: Any) -> dict[str, str]:
    """Parameter -> the line of the model's code that reads it."""
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    name_of = {
        v: jax.tree_util.keystr(path[1:], simple=True, separator="/")
        for v, (path, _) in zip(program.variables, leaves, strict=True)
    }
    read: dict[str, str] = {}
    for equation in program.equations:
        for v in equation.invars:
            if not isinstance(v, Literal) and v in name_of and (line := place_of(equation)):
                read.setdefault(name_of[v], line)
    return read


def _some(images: Any, count: int) -> Any:
    """Shapes and dtypes of `count` such images."""
    struct: Any = jax.ShapeDtypeStruct  # it has no types
    return jax.tree.map(lambda x: struct((count, *np.shape(x)[1:]), _dtype(x)), images)


def _dtype(x: Any) -> Any:
    return jax.dtypes.canonicalize_dtype(x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype)


def _picture(images: Any, which: int) -> np.ndarray:
    """An example like those of `images`, of small numbers that vary, or zeros and ones."""
    dtype, shape = _dtype(images), np.shape(images)[1:]
    places = np.arange(math.prod(shape)).reshape(shape)
    waves = np.cos(0.7 * (which + 1) * places + which)
    return (waves if np.issubdtype(dtype, np.inexact) else waves > 0).astype(dtype)


def _two(images: Any, other: int = 1) -> Any:
    """Two images; of constant ones, every position would answer alike."""
    return jax.tree.map(lambda x: np.stack([_picture(x, 0), _picture(x, other)]), images)


def _orders(
    program: Program, layers: Sequence[CapturedLayer], axes: Mapping[str, ImageAxis], variables: Any, images: Any
) -> dict[str, bool | None]:
    """For values whose axis is shared by images and positions: whether the images count slower."""
    if not layers:
        return {}
    wanted = [layer.variable for layer in layers]
    run = jitted(lambda v, x: program.run(v, x, wanted)[1])
    before, after = run(variables, _two(images, 0)), run(variables, _two(images))
    return {
        layer.path: batch.counts_slower(np.asarray(a), np.asarray(b), axes[layer.path])
        for layer, a, b in zip(layers, before, after, strict=True)
    }


def _known(what: str, find: Callable[[], dict[str, T]], uncaptured: dict[str, str]) -> dict[str, T]:
    """What is known of layers beside their values. What fails costs this alone: `uncaptured` gets the reason."""
    try:
        return find()
    except Exception as error:  # XLA's cost analysis, and equations of every kind
        uncaptured[what] = f"{type(error).__name__}: {error}".splitlines()[0]
        return {}


def _layers(
    program: Program,
    captured: Sequence[CapturedLayer],
    image_axes: dict[str, ImageAxis],
    variables: Any,
    uncaptured: dict[str, str],
) -> tuple[Layer, ...]:
    """The captured layers as the run directory keeps them.

    `image_axes` get the order of their axes, `uncaptured` what could not be found out of them.
    """
    owned, _ = own_params(captured, flat_names(variables.get("params", {})))
    labels = follow(program)
    paths = {INPUT, *(layer.path for layer in captured)}
    variable_of = {layer.path: layer.variable for layer in captured}
    fields = _known(
        "receptive fields", lambda: receptive_fields(program.equations, program.images, variable_of), uncaptured
    )
    attentions = {layer.module for layer in captured if layer.role is Role.ATTENTION}
    computed = _known("numbers of operations", lambda: flops(program, captured, batch.FEW), uncaptured)
    layers = []
    for layer in captured:
        where = image_axes[layer.path]
        shape = layer.variable.aval.shape
        named = labels.get(layer.variable, ("?",) * len(shape))
        if layer.operation is not None and layer.op in ("softmax", ATTENTION_WEIGHTS):
            iterated = len(shape) - len(layer.inner.aval.shape)  # the axes of the loops that it is in stand in front
            reduced = [iterated + axis for axis in layer.operation.reduced]
            named = with_pairs(named, reduced, layer.op == ATTENTION_WEIGHTS)
        if layer.role is Role.DENSE and layer.module is not None and layer.module.rpartition("/")[0] in attentions:
            named = with_heads(named)
        found = list(named)
        found.pop(where.axis)
        if where.positions > 1:
            found.insert(where.axis, "?")
        axes: Any
        axes, order, heads = arranged(found, where.axis if where.positions > 1 else None)
        if heads > 1 or order != tuple(range(len(order))):
            parted = jax.eval_shape(lambda x, where=where: images_first(x, where, batch.FEW), layer.variable.aval)
            sizes = tuple(int(parted.shape[1 + i]) for i in order[:heads]) if heads > 1 else ()
            where = image_axes[layer.path] = replace(where, order=(0, *(1 + i for i in order)), heads=sizes)
        example = jax.eval_shape(lambda x, where=where: images_first(x, where, batch.FEW), layer.variable.aval)
        layers.append(
            Layer(
                path=layer.path,
                op=layer.op,
                role=Role.ATTENTION if {"query", "key"} <= set(axes) else layer.role,
                shape=tuple(int(size) for size in example.shape[1:]),
                dtype=str(example.dtype),
                axes=axes,
                inputs=tuple(path for path in layer.inputs if path in paths),
                params=owned.get(layer.path, {}),
                alias_of=layer.alias_of if layer.alias_of in paths else None,
                tied_to=layer.tied_to if owned.get(layer.tied_to or "") else None,
                field=fields.get(layer.path),
                flops=computed.get(layer.path),
            )
        )
    return tuple(layers)
