"""The reducers that a report needs: ranges, predictions, sums per label, vectors, maps."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.core.arrays import (
    Activations,
    BySummedLabel,
    ChannelRanges,
    Chosen,
    EmbeddingVectors,
    LabelCounts,
    Labels,
    LogitGaps,
    PerLabel,
    SummedLabels,
)
from reportgen.core.examples import leaves
from reportgen.core.run import LayerVectors, TopClasses
from reportgen.evaluate.arrays import ByExample, PerExample, Scores
from reportgen.evaluate.columns import Columns, Layers, together
from reportgen.evaluate.evaluator import Examples, predicted
from reportgen.evaluate.parts import token_leaf, unmasked


class Ranges:
    """Layer path -> [2, channel] float32: each channel's least and largest value; NaN for one that holds a NaN.

    With `rows`, the largest are those of the rows' largest, which `Top` asks for too.
    """

    def __init__(self, rows: bool = False):
        self._rows = rows

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        # Copies of real examples change no range.
        least = [replace(x, values=x.by_example(_least).min(axis=0)) for x in values.groups]
        largest = [replace(x, values=self._largest(x).max(axis=0, initial=-jnp.inf)) for x in values.groups]
        # On the CPU, XLA's min and max of large arrays drop NaN. Sums are NaN wherever a value is, and seldom
        # elsewhere (infinities of both signs): only then is each value looked at.
        return least, largest, values.sums

    def _largest(self, group: Columns) -> ByExample:
        return group.row_maxima().max(axis=1, initial=-jnp.inf) if self._rows else group.by_example(_most)

    def suspect(self, part: Any) -> bool:
        return any(np.isnan(sums.values).any() for sums in part[2])

    def look(self, values: Layers) -> Any:
        return [replace(x, values=jnp.isnan(x.values).any(axis=tuple(range(x.values.ndim - 1)))) for x in values.groups]

    def corrected(self, part: Any, seen: Any) -> Any:
        found = [[np.where(n.values, np.nan, x.values) for n, x in zip(seen, each, strict=True)] for each in part[:2]]
        least, largest = ([replace(n, values=array) for n, array in zip(seen, each, strict=True)] for each in found)
        return least, largest, part[2]

    def merge(self, total: Any, part: Any, count: int) -> Any:
        least, largest = together(part[0]), together(part[1])
        here = np.stack([least.values, largest.values])
        if total is not None:
            # Both hand NaN on: one in any batch stays seen.
            here = np.stack([np.minimum(total.values[0], here[0]), np.maximum(total.values[1], here[1])])
        return replace(least, values=here)

    def result(self, total: Any) -> dict[str, ChannelRanges]:
        return {} if total is None else total.layers()


class Predictions:
    """(predictions [example] int64, logit gap [example] float32), as in `core.outcome.Classification`.

    `scores` gives scores [example, class] of the model's output.
    """

    def __init__(self, scores: Callable[[Any], Scores] = lambda output: output):
        self._scores = scores

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        return self._scores(output), examples.targets

    def merge(self, total: Any, part: Any, count: int) -> Any:
        scores, truth = np.asarray(part[0], np.float32)[:count], np.asarray(part[1])[:count]
        with np.errstate(invalid="ignore"):  # of infinite scores
            gap = scores.max(axis=1) - np.take_along_axis(scores, truth[:, None], axis=1)[:, 0]
        return [*(total or []), (predicted(scores), gap)]

    def result(self, total: Any) -> tuple[Labels, LogitGaps]:
        predictions, gaps = zip(*total, strict=True)
        return np.concatenate(predictions).astype(np.int64), np.concatenate(gaps).astype(np.float32)


class MostProbable:
    """`core.run.TopClasses` of scores [example, class], which `scores` gives of the model's output.

    With `likely` they are probabilities already.
    """

    RANKS = 5

    def __init__(self, scores: Callable[[Any], Scores], likely: bool):
        self._scores, self._likely = scores, likely

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        return self._scores(output)

    def merge(self, total: Any, part: Any, count: int) -> Any:
        scores = np.asarray(part, np.float32)[:count]
        none = (predicted(scores) < 0)[:, None]
        # By scores: two probabilities may be rounded to one.
        classes = _best(scores, self.RANKS)
        found = np.take_along_axis(scores, classes, axis=1)
        if not self._likely:
            with np.errstate(invalid="ignore"):  # of scores that are not finite
                largest = scores.max(axis=1, keepdims=True)
                found = np.exp(found - largest) / np.exp(scores - largest).sum(axis=1, keepdims=True)
        return [*(total or []), (np.where(none, -1, classes), np.where(none, np.float32(np.nan), found))]

    def result(self, total: Any) -> TopClasses:
        classes, probabilities = zip(*total, strict=True)
        return TopClasses(np.concatenate(classes).astype(np.int32), np.concatenate(probabilities).astype(np.float32))


def _best(scores: np.ndarray, most: int) -> np.ndarray:
    """[example, rank]: the classes with the largest of scores [example, class], the first of equals first."""
    left = np.maximum(scores, np.finfo(scores.dtype).min)  # so that -inf can stand for what has been found
    ranks = []
    for _ in range(min(most, scores.shape[1])):
        ranks.append(left.argmax(axis=1)[:, None])
        np.put_along_axis(left, ranks[-1], -np.inf, axis=1)
    return np.concatenate(ranks, axis=1)


SUMS_BYTES = 64 << 20
"""Sums by label that are kept of one evaluation, at most; of more labels, those with the most examples have sums."""


def summed_labels(targets: Labels, channels: int) -> SummedLabels:
    """The labels among the targets, ascending; where sums of so many channels took over `SUMS_BYTES`, those with the
    most examples, the lowest of equals."""
    labels, counts = np.unique(targets, return_counts=True)
    most = max(1, SUMS_BYTES // (8 * max(channels, 1)))
    chosen: SummedLabels = np.sort(labels[np.argsort(-counts, kind="stable")[:most]]).astype(np.int64)
    return chosen


class LabelSums:
    """(sums by layer path [summed label, channel] float64, examples [label] int64, input sums [label] float64).

    Channels are summed over positions and over the examples of each of the labels `summed`; where `scores` gives
    scores [example, label] of the model's output, over those that are predicted correctly, or over those that are
    `missed`. Counts and input sums are of all `labels`.
    """

    def __init__(
        self, labels: int, summed: SummedLabels, scores: Callable[[Any], Scores] | None = None, missed: bool = False
    ):
        self._labels = labels
        self.summed = summed
        self._scores = scores
        self._missed = missed

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        scores = None if self._scores is None else self._scores(output)
        return values.sums, scores, examples.targets, jax.vmap(_sum)(examples.inputs)

    def merge(self, total: Any, part: Any, count: int) -> Any:
        sums, scores = together(part[0]), part[1]
        truth, inputs = (np.asarray(array)[:count] for array in part[2:])
        if total is None:
            empty = np.zeros((len(self.summed), sums.values.shape[-1]))
            total = replace(sums, values=empty), np.zeros(self._labels, np.int64), np.zeros(self._labels)
        order = np.argsort(truth, kind="stable")
        if scores is not None:
            counted = (predicted(np.asarray(scores)[:count]) == truth) ^ self._missed
            order = order[counted[order]]
        labels, starts, counts = np.unique(truth[order], return_index=True, return_counts=True)
        total[1][labels] += counts
        _, at, of = np.intersect1d(self.summed, labels, assume_unique=True, return_indices=True)
        if len(order):
            with np.errstate(invalid="ignore"):  # of infinities of both signs
                total[2][labels] += np.add.reduceat(inputs[order], starts, dtype=np.float64)
                if sums.parts:
                    # Row after row; `reduceat` goes through each column by itself.
                    each = np.split(sums.values[order], starts[1:])
                    for row, label in zip(at, of, strict=True):
                        total[0].values[row] += each[label].sum(axis=0, dtype=np.float64)
        return total

    def result(self, total: Any) -> tuple[dict[str, BySummedLabel], LabelCounts, PerLabel]:
        sums, counts, inputs = total
        return sums.layers(), counts.copy(), inputs.copy()


class Vectors:
    """[example, unit]: one layer's output for the first `most` examples, each flattened.

    Of a layer [time, unit] of a token network it is the mean over the places that the inputs' mask leaves.
    """

    def __init__(self, path: str, most: int):
        self._path = path
        self._most = most

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        value, inputs = values[self._path], leaves(examples.inputs)
        tokens = token_leaf(inputs)
        if value.ndim != 3 or tokens is None or tokens.shape != value.shape[:2]:
            return value.reshape(len(value), -1)
        share = unmasked(inputs, tokens.shape).astype(value.dtype)[..., None]
        return (value * share).sum(axis=1) / jnp.maximum(share.sum(axis=1), 1)

    def merge(self, total: Any, part: Any, count: int) -> Any:
        parts = total or []
        return parts if sum(map(len, parts)) >= self._most and parts else [*parts, np.asarray(part)[:count]]

    def result(self, total: Any) -> EmbeddingVectors:
        return np.concatenate(total)[: self._most]


class Maps:
    """Layer path -> [example, *layer.positions, channel], whole.

    float32 as float16 if `halved`, where that can hold the values.
    """

    def __init__(self, halved: bool = False):
        self._halved = halved

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        return dict(values)

    def merge(self, total: Any, part: Any, count: int) -> Any:
        parts: dict[str, list[np.ndarray]] = {path: [] for path in part} if total is None else total
        for path, value in part.items():
            parts[path].append(np.asarray(value)[:count])
        return parts

    def result(self, total: Any) -> dict[str, Activations]:
        maps = {path: parts[0] if len(parts) == 1 else np.concatenate(parts) for path, parts in total.items()}
        return {path: _narrow(array) for path, array in maps.items()} if self._halved else maps


class ChannelMeans:
    """`core.run.LayerVectors` of the examples `chosen` and the layers `paths`."""

    def __init__(self, chosen: Chosen, paths: Sequence[str]):
        self._chosen = chosen
        self._paths = paths

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        return values.sums

    def merge(self, total: Any, part: Any, count: int) -> Any:
        done, parts = total or (0, [])
        rows = np.sort(self._chosen[(self._chosen >= done) & (self._chosen < done + count)]) - done
        if len(rows):
            with np.errstate(invalid="ignore"):  # of layers without positions
                means = [np.asarray(x.values)[rows] / np.float32(math.prod(x.parts[0].space)) for x in part]
            parts = [*parts, together([replace(x, values=array) for x, array in zip(part, means, strict=True)])]
        return done + count, parts

    def result(self, total: Any) -> LayerVectors:
        # The rows stand in the order of the batches; `chosen` has an order of its own.
        order = np.argsort(np.argsort(self._chosen))
        first = total[1][0]
        vectors = replace(first, values=np.concatenate([part.values for part in total[1]])[order]).layers()
        return LayerVectors(self._chosen, {path: _narrow(vectors[path]) for path in self._paths})


def _narrow(array: np.ndarray) -> np.ndarray:
    """float32 as float16 where its range and precision hold values of this size."""
    if array.dtype != np.float32:
        return array
    largest = float(np.abs(array).max(initial=0.0))
    return array.astype(np.float16) if 1e-2 < largest < 6e4 or largest == 0 else array


def _least(values: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    return values.min(axis=axis, initial=jnp.inf)


def _most(values: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    return values.max(axis=axis, initial=-jnp.inf)


def _sum(inputs: Any) -> jax.Array:
    """The values of one example's inputs, summed; magnitudes where they are complex."""
    leaves = [jnp.abs(leaf) if jnp.iscomplexobj(leaf) else leaf for leaf in jax.tree.leaves(inputs)]
    sums: list[jax.Array] = [leaf.astype(jnp.float32).sum() for leaf in leaves]
    return functools.reduce(jnp.add, sums)
