"""What excites each channel most among labelled images, and how it answers to each label.

    labelled = excitations(capture, variables, dataset, way.apply, classes=10)

Images go through in batches; of each only the largest value of every channel, its place, and the sum are
kept, so memory does not grow with the number of images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import Capture
from reportgen.core.network import Layer
from reportgen.data import Dataset

BEST = 9
"""Images kept for each channel."""

BATCH_BYTES = 128 << 20
"""All chosen layers of one batch take about this much, within one and a hundred images."""


@dataclass(frozen=True)
class Excitation:
    """How one layer answers to a dataset.

    values       [rank, channel] float32: the largest values of each channel, one per image, falling; NaN
                 where there are fewer images
    images       [rank, channel] int64: the image of each, -1 where there is none
    positions    [rank, channel, axis] int64: where in the feature map the value stands
    label_sums   [label, channel] float64: each channel summed over positions and over the label's images
    """

    values: np.ndarray
    images: np.ndarray
    positions: np.ndarray
    label_sums: np.ndarray


@dataclass(frozen=True)
class Labelled:
    """The labelled images that the channels were tried on.

    `images` are pictures [image, height, width, 1 or 3] from 0 to 1, `layers` has an `Excitation` per
    layer path. `label_counts` and `input_sums` [label] are what `analysis.activity` takes; they and the
    sums are over the correctly predicted images where `predicted` holds their number, over all where the
    network gives no score per class (None).
    """

    name: str
    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    layers: Mapping[str, Excitation]
    label_counts: np.ndarray
    input_sums: np.ndarray
    predicted: int | None


def excitations(
    capture: Capture,
    variables: Any,
    dataset: Dataset,
    pictures: np.ndarray,
    preprocess: Callable[[np.ndarray], np.ndarray],
    progress: Callable[[int, int], Any] | None = None,
) -> Labelled:
    """The dataset's test images through the network: see `core.inspection.Labelled`.

    `pictures` [image, h, w, channel] are they, from 0 to 1, with the channels that the network takes.
    """
    layers = [layer for layer in capture.network.layers.values() if layer.path in capture.selected]
    labels, names = dataset.test_labels, dataset.classes
    size = _batch_size(layers, len(pictures))
    example = jax.eval_shape(
        lambda v, x: capture(v, x)[0],
        variables,
        jax.ShapeDtypeStruct((2, *preprocess(pictures[:1] * 255).shape[1:]), np.float32),
    )
    scored = getattr(example, "shape", None) == (2, len(names))
    reduce = jax.jit(lambda v, x: _reduced(capture, v, x))
    found = {layer.path: _Best(layer, len(names)) for layer in layers}
    counts, inputs, right = np.zeros(len(names), np.int64), np.zeros(len(names)), 0
    for start in range(0, len(pictures), size):
        batch = preprocess(pictures[start : start + size] * np.float32(255))
        real = len(batch)
        if real < size:
            batch = np.concatenate([batch, np.repeat(batch[-1:], size - real, axis=0)])
        output, reduced = reduce(variables, batch)
        truth = labels[start : start + real]
        counted = np.ones(real, bool)
        if scored:
            scores = np.asarray(output, np.float32)[:real]
            known = np.isfinite(scores.max(axis=1)) & ~np.isnan(scores).any(axis=1)
            counted = (scores.argmax(axis=1) == truth) & known
            right += int(counted.sum())
        np.add.at(counts, truth[counted], 1)
        np.add.at(inputs, truth[counted], batch[:real].reshape(real, -1).sum(axis=1, dtype=np.float64)[counted])
        for path, (values, places, sums) in reduced.items():
            tops, where, totals = (np.asarray(x)[:real] for x in (values, places, sums))
            found[path].add(tops, where, totals, start, truth, counted)
        if progress is not None:
            progress(min(start + size, len(pictures)), len(pictures))
    return Labelled(
        dataset.name,
        names,
        pictures,
        labels,
        {path: best.result() for path, best in found.items()},
        counts,
        inputs,
        right if scored else None,
    )


def _batch_size(layers: Sequence[Layer], images: int) -> int:
    per_image = sum(int(np.prod(layer.shape)) * 4 for layer in layers)
    return max(2, min(100, BATCH_BYTES // max(per_image, 1), max(images, 2)))


def _reduced(capture: Capture, variables: Any, images: Any) -> tuple[Any, dict[str, tuple]]:
    output, values = capture(variables, images)
    reduced = {}
    for path, value in values.items():
        flat = value.reshape(len(value), -1, value.shape[-1] if value.ndim > 1 else 1).astype(jnp.float32)
        # NaN is no excitation; the grids and the summary show it.
        known = jnp.where(jnp.isfinite(flat), flat, -jnp.inf)
        reduced[path] = known.max(axis=1), known.argmax(axis=1), flat.sum(axis=1)
    return output, reduced


class _Best:
    """The largest values of each channel of one layer so far, and its sums by label."""

    def __init__(self, layer: Layer, labels: int):
        self._space = layer.shape[:-1]
        self._values = np.full((0, layer.channels), -np.inf, np.float32)
        self._images = np.full((0, layer.channels), -1, np.int64)
        self._places = np.full((0, layer.channels), -1, np.int64)
        self._sums = np.zeros((labels, layer.channels))

    def add(
        self,
        values: np.ndarray,
        places: np.ndarray,
        sums: np.ndarray,
        first: int,
        labels: np.ndarray,
        counted: np.ndarray,
    ) -> None:
        """One batch: arrays [image, channel]; `first` is the number of its first image."""
        images = np.broadcast_to(first + np.arange(len(values))[:, None], values.shape)
        joined = [
            np.concatenate(pair) for pair in ((self._values, values), (self._images, images), (self._places, places))
        ]
        # A stable sort keeps the earlier image first among equals.
        order = np.argsort(-joined[0], axis=0, kind="stable")[:BEST]
        self._values, self._images, self._places = (np.take_along_axis(x, order, axis=0) for x in joined)
        np.add.at(self._sums, labels[counted], sums[counted].astype(np.float64))

    def result(self) -> Excitation:
        known = np.isfinite(self._values)
        places = np.where(known, self._places, 0)
        positions = (
            np.stack(np.unravel_index(places, self._space), axis=-1) if self._space else np.zeros((*places.shape, 0))
        )
        return Excitation(
            np.where(known, self._values, np.nan).astype(np.float32),
            np.where(known, self._images, -1),
            np.where(known[..., None], positions, -1).astype(np.int64),
            self._sums,
        )
