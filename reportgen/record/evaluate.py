"""What the recorder asks of the network at step 0 and after every epoch, reduced inside jit, batch by batch.

    passes = Passes(capture, labels=10, embed_layer="hidden/relu")
    passes.evaluate(variables, images, labels)   # per-label sums, predictions, margins, vectors
    passes.vectors(variables, images)            # the embedding layer's output
    passes.maps(variables, images)               # every selected layer's activations

A batch's feature maps live only inside its jit call: what comes out is a few numbers per channel and
label. A batch of 100 needs a tenth of the memory of one call over all images, and less time.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import Capture
from reportgen.core.run import Classification, Outcome

BATCH = 100

AHEAD = 4
"""Batches that are dispatched before the first of them is fetched."""


class Passes:
    """The compiled evaluation passes of one model.

    `labels` is the number of classes, 0 when the output is no score per class: then sums, predictions
    and margins come back empty, and extremes alone tell of the channels.
    """

    def __init__(self, capture: Capture, labels: int, embed_layer: str | None):
        self._labels = labels
        self._embed_layer = embed_layer
        hidden = replace(capture, selected=(embed_layer,) if embed_layer else ())
        self._maps = jax.jit(lambda variables, images: capture(variables, images)[1])
        self._vectors = jax.jit(lambda variables, images: _flat(hidden(variables, images)[1], embed_layer))
        self._nan = jax.jit(lambda variables, images: jax.tree.map(_has_nan, capture(variables, images)[1]))
        self._evaluate: Callable = jax.jit(lambda *batch: _reduced(capture, labels, embed_layer, *batch))

    def maps(self, variables: Any, images: Any) -> dict[str, np.ndarray]:
        """Layer path -> [image, *layer.shape]."""
        return {path: np.asarray(value) for path, value in self._maps(variables, images).items()}

    def vectors(self, variables: Any, images: Any) -> np.ndarray:
        """[image, unit]: the embedding layer's output, each image's flattened."""
        parts = [self._vectors(variables, batch)[:count] for count, batch in _batches(images)]
        return np.concatenate([np.asarray(part) for part in parts])

    def evaluate(
        self, variables: Any, images: Any, labels: np.ndarray, vectors: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray, Outcome]:
        """Ranges by layer path, vectors of the first `vectors` images, and outcome, as in `core.run.Observation`."""
        sums: dict[str, np.ndarray] = {}
        extremes: dict[str, np.ndarray] = {}
        predictions, margins, hidden = [], [], []
        for start, count, result in _ahead(self._dispatched(variables, images, labels, vectors)):
            for name, value in result["sums"].items():
                # Within a batch float32 is exact enough; over many batches it would not be.
                sums[name] = sums.get(name, 0.0) + np.asarray(value, np.float64)
            # On the CPU, XLA's min and max of large arrays drop NaN. Sums are NaN wherever a value is, and seldom
            # elsewhere (infinities of both signs): looking at each value only then saves a fifth.
            broken = self._nan(variables, _filled(images, start)) if result["suspect"] else {}
            for path, (least, most) in result["extremes"].items():
                here = np.where(broken.get(path, False), np.nan, np.stack([least, most]))
                before = extremes.get(path, here)
                # Both hand NaN on: one in any batch stays seen.
                extremes[path] = np.stack([np.minimum(before[0], here[0]), np.maximum(before[1], here[1])])
            predictions.append(np.asarray(result["predictions"])[:count])
            margins.append(np.asarray(result["margins"])[:count])
            if start < vectors:
                hidden.append(np.asarray(result["vectors"])[:count])
        found = np.concatenate(hidden)[:vectors] if hidden else np.zeros((0, 0), np.float32)
        if not self._labels:
            return extremes, found, None
        counts, inputs = (sums.pop(name) for name in ("label_counts", "input_sums"))
        return (
            extremes,
            found,
            Classification(
                predictions=np.concatenate(predictions).astype(np.int64),
                logit_gap=np.concatenate(margins).astype(np.float32),
                label_counts=np.rint(counts).astype(np.int64),
                label_sums={name.removeprefix("label_sums/"): value for name, value in sums.items()},
                input_sums=inputs,
            ),
        )

    def _dispatched(
        self, variables: Any, images: Any, labels: np.ndarray, vectors: int
    ) -> Iterator[tuple[int, int, dict]]:
        """(number of its first image, of its images, results) of each batch, which the device may still work on."""
        starts = range(0, count_images(images), BATCH)
        for start, (count, batch) in zip(starts, _batches(images), strict=True):
            truth = _padded(labels[start : start + count]) if self._labels else labels
            result = dict(self._evaluate(variables, batch, truth, count))
            if start >= vectors:
                del result["vectors"]
            yield start, count, result


def count_images(inputs: Any) -> int:
    """How many examples the inputs hold."""
    return int(jax.tree.leaves(inputs)[0].shape[0])


def _reduced(capture: Capture, labels: int, embed_layer: str | None, variables, images, truth, count) -> dict:
    """One batch of the evaluation; only the first `count` images are real, the others fill it up."""
    output, values = capture(variables, images)
    size = count_images(images)
    vectors = _flat(values, embed_layer) if embed_layer else jnp.zeros((size, 0))
    # An image that fills the batch up is a copy of a real one: it changes no extreme.
    extremes = {path: _extremes(value) for path, value in values.items()}
    suspect = jnp.array([jnp.isnan(_positions_summed(value)).any() for value in values.values()], bool).any()
    found = {"vectors": vectors, "extremes": extremes, "suspect": suspect}
    if not labels:
        return {**found, "sums": {}, "predictions": jnp.zeros(0), "margins": jnp.zeros(0)}
    predictions = predicted(output)
    real = jnp.arange(size) < count
    correct = real & (predictions == truth)
    share = ((truth[:, None] == jnp.arange(labels)) & correct[:, None]).astype(jnp.float32)
    margins = jax.vmap(lambda scores, label: jnp.max(scores) - scores[label])(output.astype(jnp.float32), truth)

    def per_label(per_example: jax.Array) -> jax.Array:
        # A wrong image must not count, not even as NaN * 0; and accelerators would round to bfloat16.
        chosen = jnp.where(correct.reshape(-1, *[1] * (per_example.ndim - 1)), per_example, 0)
        return jnp.matmul(share.T, chosen, precision=jax.lax.Precision.HIGHEST)

    sums = {f"label_sums/{path}": per_label(_positions_summed(value)) for path, value in values.items()}
    sums["label_counts"] = share.sum(axis=0)
    sums["input_sums"] = per_label(jax.vmap(_sum)(images))
    return {**found, "sums": sums, "predictions": predictions, "margins": margins}


def _sum(inputs: Any) -> jax.Array:
    """The values of one example's inputs, summed."""
    return functools.reduce(jnp.add, [leaf.astype(jnp.float32).sum() for leaf in jax.tree.leaves(inputs)])


def predicted(scores: jax.Array) -> jax.Array:
    """[example]: the class with the largest of scores [example, class]; -1 where that is not finite or a score is NaN.

    A score of -inf masks its class alone.
    """
    # argmax takes NaN for the largest.
    best = jnp.argmax(scores, axis=-1)
    return jnp.where(jnp.isfinite(jnp.max(scores, axis=-1)) & ~jnp.isnan(scores).any(axis=-1), best, -1)


def _extremes(value: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Least and largest value of each channel over a batch, with or without NaN."""
    wide = _wide(value)
    axes = tuple(range(wide.ndim - 1))
    return wide.min(axis=axes, initial=jnp.inf), wide.max(axis=axes, initial=-jnp.inf)


def _has_nan(value: jax.Array) -> jax.Array:
    """Whether a channel has a NaN anywhere in a batch."""
    wide = _wide(value)
    return jnp.isnan(wide).any(axis=tuple(range(wide.ndim - 1)))


def _positions_summed(value: jax.Array) -> jax.Array:
    """[image, channel]: each channel's sum over its positions."""
    wide = _wide(value)
    return wide.sum(axis=tuple(range(1, wide.ndim - 1)))


def _wide(value: jax.Array) -> jax.Array:
    """Activations as float32 [image, ..., channel]."""
    return (value if value.ndim > 1 else value[:, None]).astype(jnp.float32)


def _flat(values: dict[str, jax.Array], path: str | None) -> jax.Array:
    value = values[path] if path else jnp.zeros((0, 0))
    return value.reshape(len(value), -1)


def _ahead(batches: Iterable) -> Iterator:
    """The same, `AHEAD` of them begun before the first is handed on: the device does not wait for Python."""
    begun: deque = deque()
    for batch in batches:
        begun.append(batch)
        if len(begun) == AHEAD:
            yield begun.popleft()
    yield from begun


def _batches(images: Any) -> Iterator[tuple[int, Any]]:
    """(number of real images, batch); the last is filled up, so that one compilation does."""
    for start in range(0, count_images(images), BATCH):
        yield min(BATCH, count_images(images) - start), _filled(images, start)


def _filled(images: Any, start: int) -> Any:
    return jax.tree.map(lambda leaf: _padded(leaf[start : start + BATCH]), images)


def _padded(array: np.ndarray) -> np.ndarray:
    missing = BATCH - len(array)
    return array if not missing else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
