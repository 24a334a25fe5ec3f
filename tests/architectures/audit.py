"""What a model computes, seen without reportgen: which modules and activation functions it calls.

    called_modules(example, variables)                # {"conv1": "Conv", ...}, by Flax's own means or Python's
    silent(example, variables, network, values)       # ["nn.relu of float32[3, 8] is neither captured nor listed"]

Nothing here reads a traced program. Modules: of Linen, what `capture_intermediates` lists; of NNX, the modules whose
`__call__` Python's profiler sees. Activations: the model runs as it is, with Flax's and JAX's functions replaced by
ones that keep their results; each result must be among the captured values.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax import nnx
from flax.core.tracers import current_trace
from flax.traverse_util import flatten_dict

from tests.architectures.samples import Example

FUNCTIONS = (
    *("relu", "relu6", "silu", "swish", "elu", "selu", "celu", "leaky_relu", "gelu", "glu", "softplus", "softmax"),
    *("sigmoid", "log_sigmoid", "hard_sigmoid", "hard_tanh", "hard_silu", "hard_swish", "soft_sign", "log_softmax"),
    *("tanh", "max_pool", "avg_pool"),
)
"""Activation functions and pools that every capture must show, wherever the model finds them."""


def called_modules(example: Example, variables: Mapping[str, Any]) -> set[str]:
    """Paths of the modules that were called outside loops; of Linen models only those that returned arrays."""
    if isinstance(example.model, nn.Module):
        state = jax.eval_shape(
            lambda v: example.model.apply(v, *example.arguments, capture_intermediates=True, mutable=["intermediates"])[
                1
            ],
            variables,
        )["intermediates"]
        results = flatten_dict(state)
        return {"/".join(path[:-1]) for path, found in results.items() if jax.tree.leaves(found) and len(path) > 1}
    model = nnx.clone(example.model)
    model.eval()
    path_of = {id(module): "/".join(map(str, path)) for path, module in nnx.iter_modules(model)}
    called = set()

    def see(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name == "__call__":
            called.add(path_of.get(id(frame.f_locals.get("self")), ""))

    sys.setprofile(see)
    try:
        model(*example.arguments)
    finally:
        sys.setprofile(None)
    return called - {""}


def silent(example: Example, variables: Mapping[str, Any], network: Any, values: Mapping[str, Any]) -> list[str]:
    """What the model computes that is neither among the captured `values` nor named in `network.uncaptured`."""
    missing = [
        f"the module {path}"
        for path in sorted(called_modules(example, variables))
        if not any(shown == path or shown.startswith((f"{path}/", f"{path}[", f"{path}#")) for shown in network.layers)
        and not any(listed == path or listed.startswith((f"{path}/", f"{path}[")) for listed in network.uncaptured)
    ]
    captured: dict[int, list[np.ndarray]] = {}
    for value in values.values():
        array = np.sort(np.ravel(np.asarray(value, np.float64))) if np.isrealobj(value) else np.zeros(0)
        captured.setdefault(array.size, []).append(array)
    for name, shape, result in _activations(example, variables):
        if not any(np.allclose(result, other, rtol=1e-3, atol=1e-5) for other in captured.get(result.size, ())):
            missing.append(f"{name} of {list(shape)}")
    return missing


def _activations(example: Example, variables: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...], np.ndarray]]:
    """(function, shape, sorted values) of each call outside loops whose result depends on the inputs."""
    names: list[str] = []

    @jax.jit
    def run(variables: Any, inputs: Any) -> list[Any]:
        seen: list[tuple[str, Any]] = []
        with _watched(seen):
            if isinstance(example.model, nn.Module):
                example.model.apply(variables, *inputs)
            else:
                model = nnx.clone(example.model)
                model.eval()
                model(*inputs)
        names[:] = [name for name, _ in seen]
        return [result for _, result in seen]

    results = run(variables, example.arguments)
    others = run(variables, jax.tree.map(_other, example.arguments))
    return [
        (name, a.shape, np.sort(np.ravel(np.asarray(a, np.float64))))
        for name, a, b in zip(names, results, others, strict=True)
        if np.isrealobj(a) and not np.array_equal(a, b)
    ]


def _other(array: np.ndarray) -> np.ndarray:
    """Other inputs of this kind: whole numbers stay valid."""
    return array[::-1].copy() if np.issubdtype(array.dtype, np.integer) else 0.9 * array + np.float32(0.01)


@contextmanager
def _watched(seen: list[tuple[str, Any]]) -> Iterator[None]:
    """Within, calls of `FUNCTIONS` from an architecture's own file are noted with their results."""

    level = current_trace()

    def watching(name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller.startswith("tests.architectures") and current_trace() == level:
                seen.append((name, result))
            return result

        return call

    before = [
        (space, name, getattr(space, name))
        for space in (nn, nnx, jax.nn, jax.numpy)
        for name in FUNCTIONS
        if hasattr(space, name)
    ]
    try:
        for space, name, function in before:
            setattr(space, name, watching(f"{space.__name__}.{name}", function))
        yield
    finally:
        for space, name, function in before:
            setattr(space, name, function)
