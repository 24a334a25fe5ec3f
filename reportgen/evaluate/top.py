"""The examples to which each channel responds most."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from reportgen.core.arrays import RankedExamples, RankedValues
from reportgen.core.run import TopExamples
from reportgen.evaluate.arrays import ByExample, LayerValues, PerExample, Places
from reportgen.evaluate.evaluator import Examples
from reportgen.evaluate.reducers import Values

MOST = 9
"""Examples kept for each channel."""


class Top:
    """Layer path -> `core.run.TopExamples`.

    Of each batch only the largest value of every channel and its place are fetched, so memory does not grow
    with the number of examples.
    """

    def __init__(self, most: int = MOST):
        self._most = most

    def batch(self, values: Values, output: Any, examples: Examples, real: PerExample) -> Any:
        return {path: _largest(value) for path, value in values.items()}

    def merge(self, total: Any, part: Any, count: int) -> Any:
        done, best = total or (0, {})
        merged = {}
        for path, arrays in part.items():
            values, positions = (np.asarray(array)[:count] for array in arrays)
            examples = np.broadcast_to(done + np.arange(count)[:, None], values.shape)
            joined = [values, examples, positions]
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


def _largest(value: LayerValues) -> tuple[ByExample, Places]:
    """Largest finite values [example, channel] float32, -inf for none, and their places [example, channel, axis]."""
    channels = value.shape[-1] if value.ndim > 1 else 1
    flat = value.reshape(len(value), -1, channels).astype(jnp.float32)
    # NaN and infinities don't count as responses; grids and summary show them.
    known = jnp.where(jnp.isfinite(flat), flat, -jnp.inf)
    space = value.shape[1:-1]
    places = jnp.unravel_index(known.argmax(axis=1), space) if space else ()
    return known.max(axis=1), jnp.stack(places, axis=-1) if space else jnp.zeros((len(value), channels, 0), int)


def _known(values: RankedValues, examples: RankedExamples, positions: np.ndarray) -> TopExamples:
    known = np.isfinite(values)
    return TopExamples(
        np.where(known, values, np.nan).astype(np.float32),
        np.where(known, examples, -1),
        np.where(known[..., None], positions, -1).astype(np.int64),
    )
