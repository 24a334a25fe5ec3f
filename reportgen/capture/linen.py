"""Runs a Linen model so that every module's output comes along, in call order.

    forward = linen_forward(model)
    output, calls = forward(variables, images)    # calls: list of Call

Values come from Flax's own `capture_intermediates`; it forgets the order under jit, which
`nn.intercept_methods` sees.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from reportgen.capture.types import Call
from reportgen.errors import ModelError

EVALUATION_ARGUMENTS = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}
"""Arguments of a model's `__call__` that are set without being asked: a capture is an evaluation."""


def evaluation_arguments(call: Callable) -> dict[str, bool]:
    """Those of `EVALUATION_ARGUMENTS` that `call` takes."""
    return {
        name: value
        for name, value in EVALUATION_ARGUMENTS.items()
        if name in inspect.signature(call).parameters
    }


class CapturingModel:
    """Stands for the model in a user's `apply` function: `apply` captures, everything else is the model's."""

    def __init__(self, model: nn.Module):
        self._model = model
        self.intermediates: Mapping[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def apply(self, variables: Mapping[str, Any], *args: Any, mutable: Any = False, **kwargs: Any) -> Any:
        """As `Module.apply`, with the same result; keeps the intermediates aside."""
        # Intermediates that were passed back in would be appended to.
        variables = {name: value for name, value in variables.items() if name != "intermediates"}
        asked = [] if mutable is False else [mutable] if isinstance(mutable, str) else mutable
        wanted = True if asked is True else [*asked, "intermediates"]
        kwargs.setdefault("capture_intermediates", True)
        output, state = self._model.apply(variables, *args, mutable=wanted, **kwargs)
        state = dict(state)
        self.intermediates = state.pop("intermediates", {})
        return output if mutable is False else (output, state)


def linen_forward(model: nn.Module, apply: Callable | None = None) -> Callable:
    """The function (variables, images) -> (output, calls) of a Linen model in evaluation.

    `apply(model, variables, images)` is for models that need more arguments than `EVALUATION_ARGUMENTS`
    gives. Raises ModelError when it did not call `model.apply`.
    """
    if apply is None:
        arguments = evaluation_arguments(type(model).__call__)

        def apply(model, variables, images):
            return model.apply(variables, images, **arguments)

    def forward(variables: Mapping[str, Any], images: jax.Array) -> tuple[Any, list[Call]]:
        entered: list[tuple[tuple[str, ...], type]] = []

        def note(next_function, args, kwargs, context):
            output = next_function(*args, **kwargs)
            if context.method_name == "__call__":
                entered.append((context.module.path, type(context.module)))
            return output

        stand_in = CapturingModel(model)
        with nn.intercept_methods(note):
            output = apply(stand_in, variables, images)
        if stand_in.intermediates is None:
            raise ModelError("the apply function did not call model.apply, so nothing could be captured")
        return output, _in_call_order(entered, stand_in.intermediates, variables.get("params", {}))

    return forward


def _in_call_order(entered: list, intermediates: Mapping, params: Mapping) -> list[Call]:
    calls: list[Call] = []
    seen: Counter = Counter()
    for path, kind in entered:
        values = _at(intermediates, path).get("__call__", ())
        index = seen[path]
        seen[path] += 1
        own = {name: int(np.size(x)) for name, x in _at(params, path).items() if not isinstance(x, Mapping)}
        library = kind.__module__.startswith("flax.") and kind is not nn.Sequential
        calls.append(
            Call(
                path=path,
                index=index,
                kind=kind.__name__,
                value=values[index] if index < len(values) else None,
                own_params=own if index == 0 else {},
                opaque=library,
            )
        )
    return calls


def _at(tree: Any, path: tuple[str, ...]) -> Mapping:
    for name in path:
        tree = tree.get(name, {}) if isinstance(tree, Mapping) else {}
    return tree if isinstance(tree, Mapping) else {}
