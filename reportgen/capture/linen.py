"""Runs a Linen model so that every module call's result is marked, and captured by Flax, in the traced program.

    forward = LinenForward(model)
    output, captured = forward(variables, images)        # while JAX traces it

Nothing of the model is touched: `nn.intercept_methods` sees each call, wherever it is made, and Flax's
`capture_intermediates` sows what each call returned, marks and all. The marks give the order of the calls
and reach inside loops; that they stand on what Flax captures is proven in every trace (`program`).
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

from reportgen.capture.intermediates import Call, Intermediates
from reportgen.capture.jax_versions import place_here
from reportgen.capture.marks import CallTag, at, mark, reason_unmarked, scope, shown_methods

EVALUATION_ARGUMENTS = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}
"""Arguments of a model's `__call__` that are set without being asked: a capture is an evaluation."""


def evaluation_arguments(call: Callable[..., Any]) -> dict[str, bool]:
    """Those of `EVALUATION_ARGUMENTS` that `call` takes."""
    return {name: value for name, value in EVALUATION_ARGUMENTS.items() if name in inspect.signature(call).parameters}


class LinenForward:
    """The function (variables, images) -> (output, Flax's captures) of a Linen model in evaluation, its calls marked.

    `apply(model, variables, images)` is for models that need more than `EVALUATION_ARGUMENTS` gives. The rest is as
    in `forward.Forward`.
    """

    def __init__(self, model: nn.Module, apply: Callable[..., Any] | None = None):
        self._model = model
        self._apply = apply or _in_evaluation
        self.unmarked: dict[str, str] = {}
        self.flax_capture_error = ""
        self._without_flax = False
        self._shown: dict[str, str] = {}
        self._methods: dict[type, list[str]] = {}
        self._running: list[tuple[nn.Module, str, Callable[..., Any]]] = []
        self._marked = False

    def plain(self, variables: Mapping[str, Any], images: jax.Array) -> Any:
        """The model's output."""
        return self._apply(self._model, variables, images)

    def __call__(self, variables: Mapping[str, Any], images: jax.Array) -> tuple[Any, dict[Call, Any]]:
        with nn.intercept_methods(self._mark):
            if self._without_flax:
                return self.plain(variables, images), {}
            capturing = Intermediates(self._model, self._has_marked)
            output = self._apply(capturing.model, variables, images)
        self.flax_capture_error = capturing.flax_capture_error
        return output, capturing.values

    def without_flax(self, reason: str) -> bool:
        """From now on run without Flax's capture, for this reason; with none, with it. Whether that was a change."""
        before, self._without_flax, self.flax_capture_error = self._without_flax, bool(reason), reason
        return before != self._without_flax

    def _has_marked(self) -> bool:
        """Whether the call that just ended was marked; asked once after each call."""
        marked, self._marked = self._marked, False
        return marked

    def _mark(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        self._marked = False
        module, method = context.module, context.method_name
        kind = type(module)
        if kind not in self._methods:
            self._methods[kind] = shown_methods(kind, is_library)
        function = context.orig_method.func
        around = [other for held, name, other in self._running if held is module and name == method]
        # A subclass's call reaches its parent's by super(): that is one call, not two.
        if method not in self._methods[kind] or (around and around[-1] is not function):
            output = call(*args, **kwargs)
            self._marked = False
            return output
        tag = CallTag(
            path=self._path(module.path, kind.__name__),
            module="/".join(module.path),
            kind=kind.__name__,
            library=is_library(kind) and kind is not nn.Sequential,
            method="" if method == "__call__" else method,
        )
        self._running.append((module, method, function))
        try:
            with scope(tag.path, tag.library):
                output = call(*args, **kwargs)
        finally:
            self._running.pop()
        if (reason := reason_unmarked(output)) is not None:
            self.unmarked[tag.path or tag.kind] = at(reason, place_here())
        self._marked = True
        return mark(output, tag)

    def _path(self, path: tuple[str, ...], kind: str) -> str:
        """The path without the names that `nn.remat` and `nn.jit` give to modules that have none."""
        if path and re.fullmatch(rf"(Checkpoint|Jit){re.escape(kind)}_\d+", path[-1]):
            self._shown["/".join(path)] = f"{kind}_{path[-1].rsplit('_', 1)[1]}"
        return "/".join(self._shown.get("/".join(path[: i + 1]), name) for i, name in enumerate(path))


def is_library(cls: type) -> bool:
    """Whether a class is Flax's own."""
    return cls.__module__.split(".")[0] == "flax"


def _in_evaluation(model: nn.Module, variables: Mapping[str, Any], images: jax.Array) -> Any:
    arguments: dict[str, Any] = {**evaluation_arguments(type(model).__call__)}
    return model.apply(variables, images, **arguments)
