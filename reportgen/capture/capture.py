"""Model and batch in, every layer's activations out, in call order.

    capture = prepare(model, variables, images)
    capture.layers                                    # tuple of core.network.Layer
    output, values = capture(variables, images)       # values: layer path -> [image, ...]
    output, values = jax.jit(capture)(variables, images)

The model is traced, the variables that hold module results and functional operations are found in the
traced program, and the program is run with these as further outputs. The user's model is not changed,
runs in evaluation, and computes what it always computes. Inside jit, layers that the caller does not use
cost nothing: XLA removes them.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax import nnx

from reportgen.capture import batch
from reportgen.capture.axes import follow
from reportgen.capture.batch import ImageAxis, images_first
from reportgen.capture.fields import receptive_fields
from reportgen.capture.flops import flops
from reportgen.capture.linen import LinenForward
from reportgen.capture.names import flat_names
from reportgen.capture.nnx import NnxForward, nnx_variables
from reportgen.capture.program import Program, trace
from reportgen.capture.table import CONSTANT, Entry, build, own_params
from reportgen.core.network import INPUT, Layer
from reportgen.errors import ModelError, OptionError, choices


@dataclass(frozen=True, eq=False)
class Capture:
    """A model made ready for capturing. Calling it is pure: it may be jitted, and vmapped over a batch axis.

    `layers` are all layers in call order, `selected` the paths whose arrays a call returns, `uncaptured`
    maps what could not be captured to the reason. `image_axes` tells where the program has the images.
    """

    forward: LinenForward | NnxForward
    layers: tuple[Layer, ...]
    selected: tuple[str, ...]
    uncaptured: Mapping[str, str]
    image_axes: Mapping[str, ImageAxis]

    def __call__(self, variables: Any, images: Any) -> tuple[Any, dict[str, Any]]:
        """The model's output and {layer path: array} for a batch of images, in evaluation."""
        program, entries = self.program(variables, images)
        found = {entry.path: entry.variable for entry in entries}
        if missing := [path for path in self.selected if path not in found]:
            raise ModelError(
                f"with {count_images(images)} images the model does not compute {', '.join(missing)}, "
                f"which it does with {batch.FEW}"
            )
        output, values = program.run(variables, images, [found[path] for path in self.selected])
        count = count_images(images)
        return output, {path: self.first(path, value, count) for path, value in zip(self.selected, values, strict=True)}

    def first(self, path: str, value: Any, images: int) -> Any:
        """A layer's value as the program has it, as [image, *layer.shape]."""
        return images_first(value, self.image_axes[path], images)

    def program(self, variables: Any, images: Any) -> tuple[Program, list[Entry]]:
        """The traced model for images of this shape, and its entries in call order."""
        program = trace(self.forward, variables, images)
        return program, build(program, root=True)[0]


def prepare(
    model: Any,
    variables: Any,
    images: Any,
    *,
    apply: Callable | None = None,
    layers: Sequence[str] = ("*",),
) -> Capture:
    """Trace `model` on `images` (only shape and dtype matter) and list what can be captured.

    `apply(model, variables, images)` calls the model where the default, evaluation with no further
    arguments, does not do. `layers` are glob patterns on layer paths. What can't be captured is warned
    about, once. Raises ModelError when the model can't be called, or when a pattern matches no layer.
    """
    forward = forward_of(model, apply)
    variables = variables_of(model, variables)
    program, entries, image_axes, uncaptured = _examine(forward, variables, images)
    described = _layers(program, entries, image_axes, variables)
    for pattern in layers:
        if not any(fnmatchcase(layer.path, pattern) for layer in described):
            raise ModelError(f"no layer matches {pattern!r}; {choices(pattern, [x.path for x in described])}")
    selected = tuple(
        layer.path
        for layer in described
        if layer.alias_of is None and any(fnmatchcase(layer.path, pattern) for pattern in layers)
    )
    if uncaptured:
        listed = "; ".join(f"{name}: {reason}" for name, reason in uncaptured.items())
        warnings.warn(f"reportgen does not capture {listed}", UserWarning, stacklevel=2)
    return Capture(forward, described, selected, uncaptured, image_axes)


def forward_of(model: Any, apply: Callable | None = None) -> LinenForward | NnxForward:
    """What runs the model marked. Raises ModelError for what is no Flax module."""
    if isinstance(model, nn.Module):
        return LinenForward(model, apply)
    if isinstance(model, nnx.Module):
        return NnxForward(model, apply)
    raise ModelError(f"a {type(model).__name__} is neither a flax.linen.Module nor a flax.nnx.Module")


def variables_of(model: Any, given: Any = None) -> dict[str, Any]:
    """{"params": ..., further collections} as a capture of `model` takes them.

    `given` is for Linen variables, a bare params tree or a TrainState; for NNX the model itself, an
    nnx.State, nested parameters, or None for `model`'s own. Raises OptionError for anything else.
    """
    if given is None and isinstance(model, nnx.Module):
        given = model
    if isinstance(given, nnx.Module | nnx.State):
        return nnx_variables(given)
    if isinstance(given, Mapping):
        return dict(given) if "params" in given else {"params": given}
    if hasattr(given, "params"):
        rest = {"batch_stats": given.batch_stats} if getattr(given, "batch_stats", None) else {}
        return {**variables_of(model, given.params), **rest}
    raise OptionError(
        f"a {type(given).__name__} is neither a params tree, nor variables with 'params', nor a TrainState, "
        "nor an NNX model or its state"
    )


def count_images(images: Any) -> int:
    """The size of the first axis of the model's input."""
    return int(np.shape(jax.tree.leaves(images)[0])[0])


def _examine(
    forward: LinenForward | NnxForward, variables: Any, images: Any
) -> tuple[Program, list[Entry], dict[str, ImageAxis], dict[str, str]]:
    """The model traced for a few images, its entries, where they have the images, what has no place."""
    params = flat_names(variables.get("params", {}))
    root = any("/" not in name for name in params)
    program = trace(forward, variables, _some(images, batch.FEW))
    entries, uncaptured, constant = build(program, root)
    if not entries:
        raise ModelError("no module of the model was called, so nothing could be captured")
    shapes = {entry.path: entry.variable.aval.shape for entry in entries}
    larger = build(trace(forward, variables, _some(images, batch.MORE)), root)[0]
    image_axes, unclear = batch.image_axes(shapes, {x.path: x.variable.aval.shape for x in larger})
    shared = [entry for entry in entries if image_axes.get(entry.path, ImageAxis()).positions > 1]
    for path, outer in _orders(program, shared, image_axes, variables, images).items():
        if outer is None:
            unclear[path] = "which of its rows belong to which image could not be told"
            del image_axes[path]
        elif not outer:
            image_axes[path] = ImageAxis(image_axes[path].axis, image_axes[path].positions, outer=False)
    kept = [entry for entry in entries if entry.path in image_axes]
    _, ownerless = own_params(kept, params)
    for name in ownerless:
        module = name.rpartition("/")[0]
        found = [path for path, place in constant.items() if place == module]
        uncaptured.update(dict.fromkeys(found, CONSTANT))
        if not found:
            uncaptured[name] = "this parameter is used by no captured module"
    for name, reason in forward.untapped.items():
        if name not in shapes:
            uncaptured[name] = reason
    return program, kept, image_axes, {**uncaptured, **unclear}


def _some(images: Any, count: int) -> Any:
    """Shapes and dtypes of `count` such images."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *np.shape(x)[1:]), _dtype(x)), images)


def _dtype(x: Any) -> Any:
    return jax.dtypes.canonicalize_dtype(x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype)


def _orders(
    program: Program, entries: list[Entry], axes: Mapping[str, ImageAxis], variables: Any, images: Any
) -> dict[str, bool | None]:
    """For values whose axis is shared by images and positions: whether the images count slower."""
    if not entries:
        return {}
    wanted = [entry.variable for entry in entries]
    run = jax.jit(lambda v, x: program.run(v, x, wanted)[1])

    def two(other: int) -> Any:
        return jax.tree.map(
            lambda x: np.stack([np.ones(np.shape(x)[1:], _dtype(x)), np.full(np.shape(x)[1:], other, _dtype(x))]),
            images,
        )

    before, after = run(variables, two(1)), run(variables, two(0))
    return {
        entry.path: batch.counts_slower(np.asarray(a), np.asarray(b), axes[entry.path])
        for entry, a, b in zip(entries, before, after, strict=True)
    }


def _layers(
    program: Program, entries: list[Entry], image_axes: Mapping[str, ImageAxis], variables: Any
) -> tuple[Layer, ...]:
    """The entries as the run directory keeps them."""
    owned, _ = own_params(entries, flat_names(variables.get("params", {})))
    count = len(jax.tree.leaves(variables))
    first = len(program.constants)
    labels = follow(program.jaxpr, program.images, set(program.jaxpr.invars[first : first + count]))
    known = {INPUT, *(entry.path for entry in entries)}
    fields = receptive_fields(program.jaxpr, program.images, {entry.path: entry.variable for entry in entries})
    computed = flops(program, entries, batch.FEW)
    layers = []
    for entry in entries:
        where = image_axes[entry.path]
        shape = entry.variable.aval.shape
        example = jax.eval_shape(lambda x, where=where: images_first(x, where, batch.FEW), entry.variable.aval)
        axes: list[Any] = list(labels.get(entry.variable, "?" * len(shape)))
        axes.pop(where.axis)
        if where.positions > 1:
            axes.insert(where.axis, "?")
        params = owned.get(entry.path, {})
        layers.append(
            Layer(
                path=entry.path,
                op=entry.op,
                role=entry.role,
                shape=tuple(int(size) for size in example.shape[1:]),
                dtype=str(example.dtype),
                axes=tuple(axes),
                inputs=tuple(path for path in entry.inputs if path in known),
                params=params,
                alias_of=entry.alias_of if entry.alias_of in known else None,
                tied_to=entry.tied_to if owned.get(entry.tied_to or "") else None,
                field=fields[entry.path],
                flops=computed.get(entry.path),
            )
        )
    return tuple(layers)
