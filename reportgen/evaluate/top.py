"""The examples to which each channel responds most."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.core.arrays import RankedExamples, RankedValues
from reportgen.core.run import TopExamples
from reportgen.evaluate.arrays import LayerValues, PerExample, Ranked, RankedPlaces
from reportgen.evaluate.evaluator import Examples
from reportgen.evaluate.reducers import Values, positions_summed

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

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
        sums = [positions_summed(value).sum() for value in values.values()]
        found = {path: _largest(_flat(value), value.shape[1:-1], real, self._most) for path, value in values.items()}
        return found, ~jnp.isfinite(jnp.array(sums)).all()

    def suspect(self, part: Any) -> bool:
        return bool(part[1])

    def look(self, values: Values) -> Any:
        real = jnp.ones(len(next(iter(values.values()))), bool)
        known = {path: jnp.where(jnp.isfinite(_flat(x)), _flat(x), -jnp.inf) for path, x in values.items()}
        # All examples, as copies of real ones fill the batch up: `merge` knows which.
        return {path: _largest(known[path], x.shape[1:-1], real, len(x)) for path, x in values.items()}

    def corrected(self, part: Any, seen: Any) -> Any:
        return seen, False

    def merge(self, total: Any, part: Any, count: int) -> Any:
        done, best = total or (0, {})
        merged = {}
        for path, arrays in part[0].items():
            values, examples, positions = map(np.asarray, arrays)
            known = np.where(examples < count, values, -np.inf)
            joined = [known, (done + examples).astype(np.int64), positions]
            if path in best:
                joined = [np.concatenate(pair) for pair in zip(best[path], joined, strict=True)]
            # A stable sort keeps the earlier example first among equals.
            order = np.argsort(-joined[0], axis=0, kind="stable")[: self._most]
            merged[path] = (
                *(np.take_along_axis(array, order, axis=0) for array in joined[:2]),
                np.take_along_axis(joined[2], order[..., None], axis=0),
            )
        return done + count, merged

    def result(self, total: Any) -> dict[str, TopExamples]:
        return {path: _known(*arrays) for path, arrays in total[1].items()}


def _flat(value: LayerValues) -> jax.Array:
    """[example, position, channel] float32."""
    return value.reshape(len(value), -1, value.shape[-1] if value.ndim > 1 else 1).astype(jnp.float32)


def _largest(
    flat: jax.Array, space: tuple[int, ...], real: PerExample, most: int
) -> tuple[Ranked, Ranked, RankedPlaces]:
    """The largest values [rank, channel], one per example; the examples that they are of [rank, channel]; and their
    places [rank, channel, axis]."""
    largest = jnp.where(real[:, None], flat.max(axis=1), -jnp.inf)
    # Of equals, the earlier example comes first.
    values, examples = jax.lax.top_k(largest.T, min(most, len(flat)))
    values, examples = values.T, examples.T
    if not space:
        return values, examples, jnp.zeros((*examples.shape, 0), int)
    maps = flat[examples, :, jnp.arange(flat.shape[2])[None]]
    return values, examples, jnp.stack(jnp.unravel_index(maps.argmax(axis=-1), space), axis=-1)


def _known(values: RankedValues, examples: RankedExamples, positions: np.ndarray) -> TopExamples:
    known = np.isfinite(values)
    return TopExamples(
        np.where(known, values, np.nan).astype(np.float32),
        np.where(known, examples, -1),
        np.where(known[..., None], positions, -1).astype(np.int64),
    )
