"""The layers' values side by side: a few arrays, where there would be dozens of small ones.

layers = Layers(values)
largest = [replace(group, values=group.by_example(jnp.max)) for group in layers.groups]
together(largest).layers()                  # layer path -> [example, channel]
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.evaluate.arrays import ByExample, LayerValues, Lists, Wide

SMALL = 1 << 20
"""Bytes of a layer's values that are copied beside others', at most: a CPU copies them while it starts an operation."""


class Part(NamedTuple):
    """A layer's part of the columns; `space` are the axes of its positions."""

    path: str
    channels: int
    space: tuple[int, ...]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["values"], meta_fields=["parts"])
@dataclass(frozen=True)
class Columns:
    """An array [..., channel] that holds those of several layers side by side."""

    values: Any
    parts: tuple[Part, ...]

    def by_example(self, reduce: Callable[..., Any]) -> ByExample:
        """[example, channel]: values [example, *position, channel] with `reduce(values, axis=)` over the positions."""
        values: ByExample = self.values
        return reduce(values, axis=tuple(range(1, values.ndim - 1))) if values.ndim > 2 else values

    def row_maxima(self) -> Lists:
        """[example, row, channel]: the largest value of each row of positions [example, *position, channel]."""
        count, *space, channels = self.values.shape
        if not space:
            alone: Lists = self.values[:, None]
            return alone
        rows = self.values.reshape(count, math.prod(space[:-1]), space[-1], channels).max(axis=2, initial=-jnp.inf)
        # Several reducers go on from these; XLA would rather begin at the values again, once for each of them.
        found: Lists = jax.lax.optimization_barrier(rows)
        return found

    def layers(self) -> dict[str, np.ndarray]:
        """Layer path -> [..., channel], copies."""
        ends = np.cumsum([part.channels for part in self.parts])[:-1]
        arrays = np.split(np.asarray(self.values), ends, axis=-1)
        return {part.path: array.copy() for part, array in zip(self.parts, arrays, strict=False)}


class Layers(dict[str, LayerValues]):
    """Layer path -> [example, *position, channel], and what several reducers ask for of them, which is there once."""

    @functools.cached_property
    def groups(self) -> list[Columns]:
        """As float32 [example, *position, channel]; small ones of the same positions share an array."""
        return _side_by_side(self)

    @functools.cached_property
    def sums(self) -> list[Columns]:
        """[example, channel] of each group: each channel's sum over positions."""
        return [replace(group, values=group.by_example(jnp.sum)) for group in self.groups]


def _side_by_side(values: Mapping[str, LayerValues]) -> list[Columns]:
    groups: dict[Any, list[tuple[Part, Wide]]] = {}
    for path, value in values.items():
        wide = (value[:, None] if value.ndim == 1 else value).astype(jnp.float32)
        part = Part(path, wide.shape[-1], wide.shape[1:-1])
        small = 4 * math.prod(wide.shape) <= SMALL
        groups.setdefault(part.space if small else path, []).append((part, wide))
    return [Columns(_concatenated([w for _, w in group]), tuple(p for p, _ in group)) for group in groups.values()]


def joined(groups: Sequence[Columns], arrays: Sequence[Any]) -> Columns:
    """One of arrays [..., channel] that were made of the groups, on the device."""
    return Columns(_concatenated(arrays), tuple(part for group in groups for part in group.parts))


def together(groups: Sequence[Columns]) -> Columns:
    """One of columns [..., channel], in NumPy: for XLA each way of putting arrays together is more to compile."""
    arrays = [np.asarray(group.values) for group in groups]
    values = np.concatenate(arrays, axis=-1) if arrays else np.zeros(0, np.float32)
    return Columns(values, tuple(part for group in groups for part in group.parts))


def _concatenated(arrays: Sequence[Any]) -> Any:
    return jnp.concatenate(arrays, axis=-1) if arrays else jnp.zeros(0)
