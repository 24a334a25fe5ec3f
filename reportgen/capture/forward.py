"""Run a model with its calls marked: a Flax module, or a plain JAX function.

    forward = forward_of(model)
    output, captured = forward(variables, images)        # while JAX traces it

Of a plain `apply(params, inputs)` (Equinox, Haiku, written by hand) the output and the functional
operations can be captured; they are named after the `jax.named_scope`s around them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
from flax import nnx

from reportgen.capture.intermediates import Call
from reportgen.capture.linen import LinenForward
from reportgen.capture.marks import NAMED_SCOPES, CallTag, mark
from reportgen.capture.nnx import NnxForward, nnx_variables
from reportgen.errors import ModelError, OptionError, expect


class Forward(Protocol):
    """The function (variables, images) -> (output, Flax's captures) of a model in evaluation, its calls marked.

    `plain` gives the output, without marks and captures; `unmarked` maps modules that returned nothing
    that could be marked to the reason. `flax_capture_error` is why Flax's capture could not be used; ""
    where it is.
    """

    unmarked: dict[str, str]
    flax_capture_error: str

    def plain(self, variables: Any, images: Any) -> Any:
        """The model's output."""

    def __call__(self, variables: Any, images: Any) -> tuple[Any, dict[Call, Any]]:
        """The model's output, and what Flax captured."""

    def without_flax(self, reason: str) -> bool:
        """From now on run without Flax's capture, for this reason; with none, with it. Whether that was a change."""


class PlainForward:
    """A `Forward` of a function `apply(params, inputs)`: only its output is marked."""

    flax_capture_error = "the model is a plain function"

    def __init__(self, function: Callable[..., Any], apply: Callable[..., Any] | None = None):
        self._function = function
        self._apply = apply
        self.unmarked: dict[str, str] = {}

    def plain(self, variables: Mapping[str, Any], images: Any) -> Any:
        """The function's output."""
        if self._apply is not None:
            return self._apply(self._function, variables["params"], images)
        return self._function(variables["params"], images)

    def __call__(self, variables: Mapping[str, Any], images: Any) -> tuple[Any, dict[Call, Any]]:
        with jax.named_scope(NAMED_SCOPES):
            output = self.plain(variables, images)
        return mark(output, CallTag(path="", module="", kind="output", library=False)), {}

    def without_flax(self, reason: str) -> bool:
        """There is nothing to leave out."""
        return False


def forward_of(model: Any, apply: Callable[..., Any] | None = None) -> Forward:
    """The `Forward` of a model. Raises ModelError for anything but a Flax module or a function, OptionError for another
    `apply`."""
    check_model(model)
    expect("apply", apply, Callable | None, "a function of model, variables and inputs")
    if isinstance(model, nn.Module):
        return LinenForward(model, apply)
    if isinstance(model, nnx.Module):
        return NnxForward(model, apply)
    return PlainForward(model, apply)


FOREIGN = {
    "equinox": (
        "an Equinox model is recorded as a function of its arrays: arrays, rest = equinox.partition(model, "
        "equinox.is_array), and as model and variables: lambda arrays, x: jax.vmap(equinox.combine(arrays, rest))(x), "
        "arrays"
    ),
    "haiku": (
        "a Haiku model is recorded as a function of its parameters: give as model and variables: "
        "lambda params, x: model.apply(params, None, x), params"
    ),
    "keras": (
        "a Keras model is recorded as a function of its weights: give as model and variables: lambda weights, x: "
        "model.stateless_call(weights, model.non_trainable_variables, x)[0], "
        "[variable.value for variable in model.trainable_variables]"
    ),
    "torch": "a PyTorch model is no model that JAX runs: rebuild it in Flax, and read its weights with --from torch",
}


def check_model(model: Any) -> None:
    """Raise ModelError, saying what to give instead, for anything but a Flax module or a function."""
    if isinstance(model, nn.Module | nnx.Module):
        return
    if isinstance(model, type):
        name = model.__name__
        raise ModelError(
            f"the class {name} is neither a flax.linen.Module, nor a flax.nnx.Module, nor a function apply(params, x): "
            f"give a model made of it, {name}(...)",
            code="M103",
        )
    homes = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    for home in homes & FOREIGN.keys():
        if not hasattr(model, "__wrapped__"):  # as equinox.filter_jit leaves a function
            raise ModelError(FOREIGN[home], code="M104")
    if isinstance(getattr(model, "__self__", None), nn.Module):
        raise ModelError("a method of a Linen module was given as the model: give the module itself", code="M104")
    if not callable(model):
        what = f"{'an' if type(model).__name__[0] in 'aeiouAEIOU' else 'a'} {type(model).__name__}"
        raise ModelError(
            f"{what} is neither a flax.linen.Module, nor a flax.nnx.Module, nor a function apply(params, x); "
            "the model comes first, then its variables",
            code="M103",
        )


def name_of(model: Any) -> str:
    """The class of a module, the name of a function."""
    return getattr(model, "__name__", type(model).__name__)


def variables_of(model: Any, source: Any = None) -> dict[str, Any]:
    """{"params": ..., further collections} as a capture of `model` takes them.

    `source` is for Linen variables, a bare params tree or a TrainState; for NNX the model itself, an
    nnx.State, nested parameters, or None for `model`'s own; for a plain function any pytree of arrays,
    which is handed to it as it is. Raises OptionError for anything else.
    """
    check_model(model)
    if isinstance(model, nn.Module | nnx.Module):
        return _flax_variables(model, source)
    if isinstance(source, Mapping) and set(source) == {"params"}:
        return dict(source)
    if not jax.tree.leaves(source):
        raise OptionError("a plain function's parameters must be given: a pytree of arrays", code="C104")
    return {"params": source}


def _flax_variables(model: Any, source: Any) -> dict[str, Any]:
    if source is None and isinstance(model, nnx.Module):
        source = model
    if isinstance(source, nnx.Module | nnx.State):
        return nnx_variables(source)
    if isinstance(source, Mapping):
        return dict(source) if "params" in source else {"params": source}
    if hasattr(source, "params"):
        rest = {"batch_stats": source.batch_stats} if getattr(source, "batch_stats", None) else {}
        return {**_flax_variables(model, source.params), **rest}
    what = (
        f"an array {list(source.shape)}"
        if isinstance(source, jax.Array)
        else f"a value of type {type(source).__name__}"
    )
    raise OptionError(
        f"{what} is neither a params tree, nor variables with 'params', nor a TrainState, nor an NNX model or its "
        "state",
        code="C104",
    )
