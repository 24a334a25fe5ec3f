"""The reducers that a report needs: ranges, predictions, sums per label, vectors, maps."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
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
from reportgen.evaluate.arrays import LayerValues, PerExample, Scores
from reportgen.evaluate.columns import Columns, joined, side_by_side
from reportgen.evaluate.evaluator import Examples, predicted
from reportgen.evaluate.parts import token_leaf, unmasked

Values = Mapping[str, LayerValues]


class Ranges:
    """Layer path -> [2, channel] float32: each channel's least and largest value; NaN for one that holds a NaN."""

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
        # Copies of real examples change no range.
        groups = side_by_side(values)
        least = joined(groups, [group.by_example(_least).min(axis=0) for group in groups])
        largest = joined(groups, [group.row_maxima().max(axis=(0, 1), initial=-jnp.inf) for group in groups])
        # On the CPU, XLA's min and max of large arrays drop NaN. Sums are NaN wherever a value is, and seldom
        # elsewhere (infinities of both signs): only then is each value looked at.
        sums = summed(groups).values.sum(axis=0)
        return replace(least, values=jnp.stack([least.values, largest.values])), sums

    def suspect(self, part: Any) -> bool:
        return bool(np.isnan(part[1]).any())

    def look(self, values: Values) -> Any:
        groups = side_by_side(values)
        return joined(groups, [jnp.isnan(x.values).any(axis=tuple(range(x.values.ndim - 1))) for x in groups])

    def corrected(self, part: Any, seen: Any) -> Any:
        return replace(part[0], values=np.where(seen.values, np.nan, part[0].values)), part[1]

    def merge(self, total: Any, part: Any, count: int) -> Any:
        here = np.asarray(part[0].values)
        if total is not None:
            # Both hand NaN on: one in any batch stays seen.
            here = np.stack([np.minimum(total.values[0], here[0]), np.maximum(total.values[1], here[1])])
        return replace(part[0], values=here)

    def result(self, total: Any) -> dict[str, ChannelRanges]:
        return {} if total is None else total.layers()


class Predictions:
    """(predictions [example] int64, logit gap [example] float32), as in `core.outcome.Classification`.

    `scores` gives scores [example, class] of the model's output.
    """

    def __init__(self, scores: Callable[[Any], Scores] = lambda output: output):
        self._scores = scores

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
        scores = self._scores(output)
        return predicted(scores), jax.vmap(_gap)(scores.astype(jnp.float32), examples.targets)

    def merge(self, total: Any, part: Any, count: int) -> Any:
        return [*(total or []), tuple(np.asarray(array)[:count] for array in part)]

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

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
        scores = self._scores(output).astype(jnp.float32)
        # By scores: two probabilities may be rounded to one.
        _, classes = jax.lax.top_k(scores, min(self.RANKS, scores.shape[-1]))
        shares = scores if self._likely else jax.nn.softmax(scores)
        none = (predicted(scores) < 0)[:, None]
        return jnp.where(none, -1, classes), jnp.where(none, jnp.nan, jnp.take_along_axis(shares, classes, axis=-1))

    def merge(self, total: Any, part: Any, count: int) -> Any:
        return [*(total or []), tuple(np.asarray(array)[:count] for array in part)]

    def result(self, total: Any) -> TopClasses:
        classes, probabilities = zip(*total, strict=True)
        return TopClasses(np.concatenate(classes).astype(np.int32), np.concatenate(probabilities).astype(np.float32))


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
    `missed`. Counts and input sums are of all `labels`. What a batch takes does not grow with the labels.
    """

    def __init__(
        self, labels: int, summed: SummedLabels, scores: Callable[[Any], Scores] | None = None, missed: bool = False
    ):
        self._labels = labels
        self.summed = summed
        self._scores = scores
        self._missed = missed

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
        truth = examples.targets
        counted = real if self._scores is None else real & ((predicted(self._scores(output)) == truth) ^ self._missed)
        # The sums of a batch have a row per label, or per example where these are fewer: that of a label's first one.
        first = jnp.argmax(truth[:, None] == truth[None], axis=1)
        few = len(self.summed) <= len(truth)
        rows = jnp.asarray(self.summed) if few else truth
        slots = truth[:, None] == rows[None] if few else first[:, None] == jnp.arange(len(truth))[None]
        # In double precision where the program has enabled it: there the order of examples costs no digits.
        share = (slots & counted[:, None]).astype(jnp.result_type(float))

        def per_row(per_example: jax.Array) -> jax.Array:
            # One that does not count must not, not even as NaN * 0; and accelerators would round to bfloat16.
            chosen = jnp.where(counted[:, None], per_example, 0)
            return jnp.matmul(share.T, chosen, precision=jax.lax.Precision.HIGHEST)

        each = summed(side_by_side(values))
        sums = replace(each, values=per_row(each.values)) if each.parts else each
        return sums, rows, truth, counted, jax.vmap(_sum)(examples.inputs)

    def merge(self, total: Any, part: Any, count: int) -> Any:
        sums, rows, truth, counted, inputs = jax.tree.map(np.asarray, part)
        if total is None:
            empty = np.zeros((len(self.summed), sums.values.shape[-1]))
            total = replace(sums, values=empty), np.zeros(self._labels, np.int64), np.zeros(self._labels)
        _, at, of = np.intersect1d(self.summed, rows, return_indices=True)  # of rows that stand twice, the first
        if sums.parts:
            # Within a batch float32 is exact enough; over many batches it would not be.
            total[0].values[at] += sums.values[of]
        np.add.at(total[1], truth[counted], 1)
        np.add.at(total[2], truth[counted], inputs[counted].astype(np.float64))
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

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
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

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
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

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
        groups = side_by_side(values)
        return joined(groups, [group.by_example(jnp.sum) / math.prod(group.parts[0].space) for group in groups])

    def merge(self, total: Any, part: Any, count: int) -> Any:
        done, parts = total or (0, [])
        rows = np.sort(self._chosen[(self._chosen >= done) & (self._chosen < done + count)]) - done
        if len(rows):
            parts = [*parts, replace(part, values=np.asarray(part.values)[rows])]
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


def summed(groups: Sequence[Columns]) -> Columns:
    """[example, channel]: each channel's sum over positions."""
    return joined(groups, [group.by_example(jnp.sum) for group in groups])


def _least(values: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    return values.min(axis=axis, initial=jnp.inf)


def _gap(scores: jax.Array, label: jax.Array) -> jax.Array:
    """How far one example's largest score is above the score of its label."""
    return jnp.max(scores) - scores[label]


def _sum(inputs: Any) -> jax.Array:
    """The values of one example's inputs, summed; magnitudes where they are complex."""
    leaves = [jnp.abs(leaf) if jnp.iscomplexobj(leaf) else leaf for leaf in jax.tree.leaves(inputs)]
    sums: list[jax.Array] = [leaf.astype(jnp.float32).sum() for leaf in leaves]
    return functools.reduce(jnp.add, sums)
