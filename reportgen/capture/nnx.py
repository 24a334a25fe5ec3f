"""Runs an NNX model so that every module call's result is marked in the traced program.

    variables = nnx_variables(model)           # {"params": {...}, "BatchStat": {...}}, plain arrays
    forward = NnxForward(model)
    output, _ = forward(variables, images)     # while JAX traces it
    forward.captured(variables, images)        # {Call: array}: Flax's own capture, to compare with

The user's model is never called: each call merges a copy of it from `variables`, in evaluation. NNX has
no hook that sees every call (`nnx.capture` misses an inherited `__call__` and fails on a static one), so
while the copy runs, the classes' methods are replaced by ones that mark the results of the copy's
modules and leave every other module alone; afterwards, and after an exception, they are put back. A lock
keeps two threads from doing that at once; a third one that runs the same classes is not disturbed.

What `nnx.capture` gives is what a verification compares with. It patches classes for everybody and leaves
them patched after an error, so it is shown a copy whose modules are of classes of their own.
"""

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import unflatten_dict

from reportgen.capture.intermediates import Call
from reportgen.capture.jax_versions import place_here
from reportgen.capture.linen import evaluation_arguments, is_library
from reportgen.capture.marks import CallTag, at, mark, reason_unmarked, scope, shown_methods
from reportgen.errors import ModelError

MARK = "_reportgen_path"
"""Attribute by which the modules of the copy are known; no other module has it."""

ARRAYS = "arrays"
"""The collection of the arrays that modules keep as plain attributes (a table of frequencies, a mask)."""

_PATCHING = threading.RLock()


def nnx_variables(given: Any) -> dict[str, Any]:
    """{"params": ..., the other variable types by name, ARRAYS}, nested dicts of arrays, without random keys.

    `given` is an `nnx.Module`, or an `nnx.State` as `nnx.state` or `nnx.split` give it.
    """
    state = nnx.state(given) if isinstance(given, nnx.Module) else given
    found: dict[str, dict[tuple[str, ...], Any]] = {}
    for path, variable in nnx.to_flat_state(state):
        if not _is_random(variable):
            found.setdefault(_collection(variable), {})[tuple(map(str, path))] = _value(variable)
    return {kind: unflatten_dict(flat) for kind, flat in found.items()}


def copier(model: nnx.Module) -> Callable[..., Any]:
    """The function (variables, key=None) -> a copy of the model with these variables; the model is not touched.

    The copy's random streams are as they were when the model was handed over, or begin anew from `key`. It raises
    ModelError for variables that lack one of the model's.
    """
    definition, state = nnx.split(model)
    recorded = nnx.to_flat_state(state)

    def copied(variables: Mapping[str, Any], key: jax.Array | None = None) -> nnx.Module:
        leaves, streams = [], 0
        for path, variable in recorded:
            value = _value(variable)
            if not _is_random(variable):
                value = _get(variables, _collection(variable), [str(part) for part in path])
            elif key is not None and not isinstance(variable, nnx.RngCount):
                drawn, streams = jax.random.fold_in(key, streams), streams + 1
                value = jax.random.split(drawn, value.shape) if value.shape else drawn
            elif key is not None:
                value = jnp.zeros_like(value)
            leaves.append((path, variable.replace(value) if isinstance(variable, nnx.Variable) else value))
        return nnx.merge(definition, nnx.from_flat_state(leaves))

    return copied


def _collection(variable: Any) -> str:
    if not isinstance(variable, nnx.Variable):
        return ARRAYS
    return "params" if isinstance(variable, nnx.Param) else type(variable).__name__


def _value(variable: Any) -> Any:
    return variable.get_value() if isinstance(variable, nnx.Variable) else variable


def _is_random(variable: Any) -> bool:
    """Whether it is a random stream's, or a key that a module keeps as an attribute."""
    dtype = getattr(_value(variable), "dtype", None)
    return isinstance(variable, nnx.RngState) or (dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key))


class NnxForward:
    """The function (variables, images) -> (output, {}) of an NNX model in evaluation, its calls marked.

    `apply(model, variables, images)` is for models that need more than the images; its `model` is the
    copy, which holds the variables already. The rest is as in `forward.Forward`, but Flax's capture is a run of its
    own here, `captured`.
    """

    flax_capture_error = ""

    def __init__(self, model: nnx.Module, apply: Callable[..., Any] | None = None):
        self._apply = apply or _in_evaluation
        self._copied = copier(model)
        self.unmarked: dict[str, str] = {}

    def plain(self, variables: Mapping[str, Any], images: jax.Array) -> Any:
        """The model's output."""
        return self._apply(self._copy(variables), variables, images)

    def __call__(self, variables: Mapping[str, Any], images: jax.Array) -> tuple[Any, dict[Call, Any]]:
        model = self._copy(variables)
        modules = dict(nnx.iter_modules(model))
        for path, module in modules.items():
            setattr(module, MARK, "/".join(map(str, path)))
        with _patched({type(module) for module in modules.values()}, self._call):
            return self._apply(model, variables, images), {}

    def without_flax(self, reason: str) -> bool:
        """As for `LinenForward`; there is nothing to leave out."""
        return False

    def captured(self, variables: Mapping[str, Any], images: jax.Array) -> dict[Call, Any]:
        """The results of module calls as `nnx.capture` gives them; nothing of the marks takes part."""
        model = self._copy(variables)
        for module in dict(nnx.iter_modules(model)).values():
            cls: Any = type(module)
            object.__setattr__(module, "__class__", _twin(cls))
        run = nnx.capture(
            lambda model: self._apply(model, variables, images), nnx.Intermediate, method_outputs=nnx.Intermediate
        )
        found: dict[Call, Any] = {}
        for (*path, method), variable in nnx.to_flat_state(run(model)[1]):
            for number, result in enumerate(variable.get_value()):
                for place, value in jax.tree_util.tree_leaves_with_path(result):
                    if isinstance(value, jax.Array):
                        call = Call("/".join(map(str, path)), str(method), number, jax.tree_util.keystr(place))
                        found[call] = value
        return found

    def _copy(self, variables: Mapping[str, Any]) -> Any:
        """The model with `variables`, in evaluation."""
        model = self._copied(variables)
        model.eval()
        return model

    def _call(self, module: Any, method: str, call: Callable[..., Any]) -> Any:
        kind = type(module)
        tag = CallTag(
            path=getattr(module, MARK),
            module=getattr(module, MARK),
            kind=kind.__name__,
            library=is_library(kind) and kind is not nnx.Sequential,
            method="" if method == "__call__" else method,
        )
        with scope(tag.path, tag.library):
            output = call()
        if (reason := reason_unmarked(output)) is not None:
            self.unmarked[tag.path or tag.kind] = at(reason, place_here())
        return mark(output, tag)


@contextmanager
def _patched(classes: set[type], marked: Callable[..., Any]) -> Iterator[None]:
    """While open, `marked(module, method, call)` makes the calls of marked modules of these classes."""
    before: list[tuple[type, str, bool, Any]] = []
    with _PATCHING:
        try:
            for cls in sorted(classes, key=lambda cls: (cls.__module__, cls.__qualname__)):
                for name in shown_methods(cls, is_library):
                    original = inspect.getattr_static(cls, name)
                    before.append((cls, name, name in vars(cls), original))
                    setattr(cls, name, _marking(cls, name, original, marked))
            yield
        finally:
            for cls, name, own, original in before:
                if own:
                    setattr(cls, name, original)
                else:
                    delattr(cls, name)


@cache
def _twin(cls: type) -> type:
    """A class like `cls` that has of its own, for `nnx.capture` to see, what `cls` inherits or has as static."""

    def forward(original: Any) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            bound = original.__get__(self, type(self)) if hasattr(original, "__get__") else original
            return bound(*args, **kwargs)

        return method

    methods = {name: forward(inspect.getattr_static(cls, name)) for name in shown_methods(cls, is_library)}
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, "__qualname__": cls.__qualname__, **methods})


def _marking(cls: type, name: str, original: Any, marked: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A static or class method, or one wrapped by nnx.jit, binds in its own way.
        bound = original.__get__(self, type(self)) if hasattr(original, "__get__") else original
        # A subclass's call reaches its parent's by super(): that is one call, not two.
        if type(self) is not cls or not hasattr(self, MARK):
            return bound(*args, **kwargs)
        return marked(self, name, lambda: bound(*args, **kwargs))

    return method


def _in_evaluation(model: Any, variables: Mapping[str, Any], images: jax.Array) -> Any:
    if not callable(model):
        raise ModelError(
            f"{type(model).__name__} has no __call__; give apply=(model, variables, images) -> output", code="M104"
        )
    return model(images, **evaluation_arguments(type(model).__call__))


def _get(variables: Mapping[str, Any], kind: str, path: list[str]) -> Any:
    value: Any = variables.get(kind)
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        raise ModelError(
            f"the variables lack {kind} {'/'.join(path)}, which the model has; give the whole model", code="C104"
        )
    return value
