"""The examples to which each channel responds most."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.core.arrays import RankedExamples, RankedValues
from reportgen.core.run import TopExamples
from reportgen.evaluate.arrays import Lists, PerExample, Ranked
from reportgen.evaluate.columns import Columns, Layers, joined
from reportgen.evaluate.evaluator import Examples

MOST = 9
"""Examples kept for each channel."""


class Top:
    """Layer path -> `core.run.TopExamples`.

    Of each batch only the largest values of every channel and their places are fetched, so memory does not grow
    with the number of examples. NaN and infinities don't count as responses: a batch that has some is looked at once
    more, as a maximum that leaves them out takes XLA thirty times as long on a CPU.
    """

    def __init__(self, most: int = MOST):
        self._most = most

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        return _largest(_with_values(values), real, self._most), values.sums

    def suspect(self, part: Any) -> bool:
        return not all(np.isfinite(sums.values).all() for sums in part[1])

    def look(self, values: Layers) -> Any:
        groups = [
            replace(x, values=jnp.where(jnp.isfinite(x.values), x.values, -jnp.inf)) for x in _with_values(values)
        ]
        count = len(groups[0].values)
        # All examples, as copies of real ones fill the batch up: `merge` knows which.
        return _largest(groups, jnp.ones(count, bool), count)

    def corrected(self, part: Any, seen: Any) -> Any:
        return seen, part[1]

    def merge(self, total: Any, part: Any, count: int) -> Any:
        done, best = total or (0, None)
        values, examples, places = (np.asarray(columns.values) for columns in part[0])
        here = [np.where(examples < count, values, -np.inf), examples.astype(np.int64) + done, places]
        if best is not None:
            here = [np.concatenate([columns.values, array]) for columns, array in zip(best, here, strict=True)]
        # A stable sort keeps the earlier example first among equals.
        order = np.argsort(-here[0], axis=0, kind="stable")[: self._most]
        kept = [np.take_along_axis(array, order, axis=0) for array in here]
        return done + count, [replace(columns, values=array) for columns, array in zip(part[0], kept, strict=True)]

    def result(self, total: Any) -> dict[str, TopExamples]:
        values, examples, places = (columns.layers() for columns in total[1])
        return {
            part.path: _known(values[part.path], examples[part.path], places[part.path], part.space)
            for part in total[1][0].parts
        }


def _with_values(values: Layers) -> list[Columns]:
    """The layers that have any: an axis may be of size 0."""
    some = {path: value for path, value in values.items() if value.size}
    return values.groups if len(some) == len(values) else Layers(some).groups


def _largest(groups: Sequence[Columns], real: PerExample, most: int) -> list[Columns]:
    """Columns [rank, channel]: the largest values, one per example; the examples that they are of; and their places
    among the layer's positions, one after the other."""
    found = [_largest_of(group, real, most) for group in groups]
    return [joined(groups, [arrays[which] for arrays in found]) for which in range(3)]


def _largest_of(group: Columns, real: PerExample, most: int) -> tuple[Ranked, Ranked, Ranked]:
    count, *space, channels = group.values.shape
    rows = group.row_maxima()
    # Of equals, the earlier example comes first.
    values, examples = jax.lax.top_k(jnp.where(real[:, None], rows.max(axis=1), -jnp.inf).T, min(most, count))
    values, examples = values.T, examples.T
    if not space:
        return values, examples, jnp.zeros_like(examples)
    row = _first(rows, examples, values)
    column = _first(group.values.reshape(-1, space[-1], channels), examples * rows.shape[1] + row, values)
    return values, examples, row * space[-1] + column


def _first(lists: Lists, which: Ranked, values: Ranked) -> Ranked:
    """[rank, channel]: where a value stands first in the list of its channel."""
    # XLA vectorises a minimum of places; an argmax, which is a reduction of two arrays, it does not.
    chosen = jnp.take_along_axis(lists, which[:, None], axis=0, mode="promise_in_bounds")
    places = jnp.arange(lists.shape[1])[None, :, None]
    return jnp.where(chosen == values[:, None], places, lists.shape[1] - 1).min(axis=1)


def _known(values: RankedValues, examples: RankedExamples, places: np.ndarray, space: tuple[int, ...]) -> TopExamples:
    known = np.isfinite(values)
    positions = np.stack(np.unravel_index(places, space), axis=-1) if space else np.zeros((*places.shape, 0), np.int64)
    return TopExamples(
        np.where(known, values, np.nan).astype(np.float32),
        np.where(known, examples, -1),
        np.where(known[..., None], positions, -1).astype(np.int64),
    )
