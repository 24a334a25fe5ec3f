"""Proof that what was captured is what the model computed.

    found = verify(model, variables, images)
    str(found)                         # "31 of 31 operations verified"
    found.flax                         # "17 of 17 module results equal Flax's own capture"
    found.failed                       # {} or {"conv1/relu": "differs by up to 0.3 at ..."}

Each captured value is computed again, from the captured values that its operation read and from the
parameters: a value under a wrong name, of a wrong place or from a wrong pass does not fit its
neighbours. Where it differs by more than rounding (`TOLERANCE`), it is computed again from values that are
changed by as much as rounding may, and passes if that changes it by as much as it differs, at most
`AMPLIFIED`: an error of a thousandth of a layer's largest value is found. The output is compared with that
of the plain model, which nothing was asked of. And every module's result is compared with Flax's own
capture: for Linen, `capture_intermediates` gave the same variable of the same traced program; for NNX,
`nnx.capture` runs again, compiled by itself.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from reportgen.capture.batch import as_computed
from reportgen.capture.capture import Capture, count_images, prepare
from reportgen.capture.forward import variables_of
from reportgen.capture.mesh import jitted
from reportgen.capture.nnx import NnxForward
from reportgen.capture.table import CapturedLayer

TOLERANCE = {
    **{"float64": 1e-12, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2},
    **{"complex128": 1e-12, "complex64": 2e-5},
}
"""Largest difference allowed, as a share of the layer's largest magnitude, where another compiled program
may round otherwise (XLA fuses and orders sums as it likes). Whole numbers must be equal."""

AMPLIFIED = 9e-4
"""Largest difference allowed, likewise, where rounding is amplified (a large number subtracted, the sine of one)."""

ROUNDINGS = 4
"""How often a layer that differs by more than its tolerance is computed again from values changed at random by as
much as another program may round them. It passes if one of them changes it by as much as it differs, anywhere in it."""


@dataclass(frozen=True)
class Verification:
    """The result of a verification.

    `operations` counts the values computed again, `failed` maps those that differ to how they do;
    "output" in it stands for the model's own output. `exact` says that the captured program without its
    further outputs is the plain model's, instruction for instruction; else both were compared as numbers.
    `flax` says how many module results equal those of Flax's own capture, and how many it does not give.
    """

    operations: int
    failed: Mapping[str, str]
    exact: bool
    flax: str

    @property
    def facts(self) -> dict[str, Any]:
        """The result as a run's provenance has it."""
        return {"verification": str(self), "verification_flax": self.flax, "verification_failed": dict(self.failed)}

    def __bool__(self) -> bool:
        return not self.failed

    def __str__(self) -> str:
        wrong = sum(path != "output" for path in self.failed)
        text = f"{self.operations - wrong} of {self.operations} operations verified"
        return text + (f"; output: {self.failed['output']}" if "output" in self.failed else "")


def verify(model: Any, variables: Any, images: Any, *, apply: Callable[..., Any] | None = None) -> Verification:
    """Capture all layers of `model` for `images` and compute each again.

    Arguments as for `prepare`, but here the values of `images` matter: random or real ones prove, zeros
    prove little. Raises ModelError as `prepare` does.
    """
    return check(prepare(model, variables, images, apply=apply), variables_of(model, variables), images)


def check(
    capture: Capture, variables: Any, images: Any, captured: tuple[Any, Mapping[str, Any]] | None = None
) -> Verification:
    """Verify what `capture` gave for `images`, (output, values); where it is left out, what it gives now."""
    output, values = jitted(capture)(variables, images) if captured is None else captured
    program, layers = capture.program(variables, images)
    again = computed_again(capture, variables, images, values)
    failed = {path: text for path, value in again.items() if (text := difference(values[path], value))}
    for number in range(ROUNDINGS if failed else 0):
        rounded = computed_again(capture, variables, images, values, failed, rounding=number)
        for path, other in rounded.items():
            if not difference(values[path], again[path], beside=other):
                failed.pop(path, None)
    plain = jax.jit(capture.forward.plain).lower(variables, images)
    alone = jax.jit(lambda v, x: program.run(v, x, [])[0]).lower(variables, images)
    expected = jax.tree.leaves(jitted(lambda results: results)(plain.compile()(variables, images)))
    texts = [difference(a, b) for a, b in zip(jax.tree.leaves(output), expected, strict=True)]
    if any(texts):
        failed["output"] = next(text for text in texts if text)
    flax, differing = _against_flax(capture, layers, variables, images, values)
    failed = {**{path: f"is not what Flax's own capture gives: {text}" for path, text in differing.items()}, **failed}
    return Verification(len(again), failed, exact=_text(plain) == _text(alone), flax=flax)


def check_all(capture: Capture, variables: Any, images: Any) -> Verification:
    """Verify all layers for `images`, whichever are selected."""
    every = tuple(layer.path for layer in capture.network.distinct)
    return check(replace(capture, selected=every), variables, images)


def _against_flax(
    capture: Capture, layers: Sequence[CapturedLayer], variables: Any, images: Any, values: Mapping[str, Any]
) -> tuple[str, dict[str, str]]:
    """How many of the captured module results equal Flax's own, in words; path -> how one differs."""
    listed = capture.network.layers
    results = {
        layer.call: layer
        for layer in layers
        if layer.call is not None and layer.path in listed and (layer.path in values or layer.alias_of in values)
    }
    missing, differing = "", {}
    if isinstance(capture.forward, NnxForward):
        try:
            flax_results: Mapping[Any, Any] = jitted(capture.forward.captured)(variables, images)
        except Exception as error:  # whatever nnx.capture raises on a model that the marks can follow
            return f"nnx.capture can't be used on this model: {type(error).__name__}: {error}".splitlines()[0], {}
        for call, layer in results.items():
            path = layer.path if layer.path in values else layer.alias_of
            if call in flax_results and path is not None:
                ours = as_computed(values[path], capture.image_axes[path])
                if text := difference(ours, flax_results[call]):
                    differing[layer.path] = text
    else:
        flax_results = {call: layer for call, layer in results.items() if layer.flax}
        reason = capture.forward.flax_capture_error
        missing = reason and f": {reason}"
    compared = sum(call in flax_results for call in results)
    text = f"{compared - len(differing)} of {compared} module results equal Flax's own capture"
    if compared < len(results):
        text += f", which gives none of {len(results) - compared} others{missing}"
    return text, differing


def difference(captured: Any, again: Any, beside: Any = None) -> str:
    """How two arrays differ beyond the tolerance of their dtype; "" when they do not.

    `beside` is what the second is where rounding was imitated: by as much as these two differ anywhere, but by no more
    than `AMPLIFIED`, the first may differ too.
    """
    dtype = str(captured.dtype)
    if captured.shape != again.shape or dtype != str(again.dtype):
        return f"is {dtype}{list(captured.shape)}, computed again {again.dtype}{list(again.shape)}"
    wide = np.complex128 if dtype.startswith("complex") else np.float64
    a, b = np.asarray(captured).astype(wide), np.asarray(again).astype(wide)
    with np.errstate(invalid="ignore"):  # of infinities
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
    magnitude = np.max(np.abs(b), initial=0, where=np.isfinite(b))
    allowed = TOLERANCE.get(dtype, 0.0) * magnitude
    if beside is not None and allowed:
        with np.errstate(invalid="ignore"):
            moved = np.abs(np.asarray(beside).astype(wide) - b)
        allowed = max(allowed, min(np.max(moved, initial=0, where=np.isfinite(moved)), AMPLIFIED * magnitude))
    if not (wrong := ~(apart <= allowed)).any():
        return ""
    place = [int(i) for i in np.unravel_index(np.argmax(np.where(np.isnan(apart), np.inf, apart)), a.shape)]
    return f"{int(wrong.sum())} of {a.size} values differ, most at {place}: {a[tuple(place)]} against {b[tuple(place)]}"


def computed_again(
    capture: Capture,
    variables: Any,
    images: Any,
    values: Mapping[str, Any],
    paths: Collection[str] | None = None,
    rounding: int | None = None,
) -> dict[str, Any]:
    """Every captured value, or those of `paths`, from the captured values before it: one program of unconnected parts.

    `rounding` is the number of a random change of the captured values, within their tolerance.
    """
    program, layers = capture.program(variables, images)
    variable_of = {x.path: x.variable for x in layers if x.path in values and not isinstance(x.variable, Literal)}
    known = {variable: as_computed(values[path], capture.image_axes[path]) for path, variable in variable_of.items()}
    if rounding is not None:
        random = np.random.default_rng(rounding)
        known = {variable: _rounded(value, random) for variable, value in known.items()}
    known.update(program.values(variables, images))
    wanted = variable_of if paths is None else {path: variable_of[path] for path in paths if path in variable_of}
    parts = {path: program.between(variable, known.keys()) for path, variable in wanted.items()}

    def replay(inputs: dict[str, list[Any]]) -> dict[str, Any]:
        return {path: part(*inputs[path])[0] for path, part in parts.items()}

    computed = jitted(replay)({path: [known[v] for v in part.inputs] for path, part in parts.items()})
    count = count_images(images)
    return {path: capture.first(path, value, count) for path, value in computed.items()}


def _rounded(value: Any, random: np.random.Generator) -> Any:
    """The value, changed by up to its tolerance: each number by a share of the layer's largest."""
    array = np.asarray(value)
    share = TOLERANCE.get(str(array.dtype), 0.0)
    if not share:
        return value
    wide = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    largest = np.max(np.abs(wide), initial=0, where=np.isfinite(wide))
    change = random.uniform(-1, 1, array.shape) + (
        1j * random.uniform(-1, 1, array.shape) if np.iscomplexobj(array) else 0
    )
    return (wide + share * largest * change).astype(array.dtype)


def _text(lowered: Any) -> str:
    """The program without the name of the function that it came from."""
    return str(lowered.as_text()).split("\n", 1)[1]
