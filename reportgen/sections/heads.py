"""Attention weights of a run with what their queries and keys stand for, and the heads that a page names."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reportgen.analysis.attention import HeadMeasures, Repeated, head_measures, repeated
from reportgen.core.network import Layer
from reportgen.core.run import Observation
from reportgen.sections.context import PageContext
from reportgen.sections.tokens import counted_positions, token_inputs

LEAST = 20
"""Queries below which nothing is said of a head."""

HALF = 0.5
"""Share of a head's weight from which it is said to read one kind of position."""


class Weights:
    """The attention weights of one observation with what their queries and keys stand for."""

    def __init__(self, context: PageContext, observation: Observation, layers: Sequence[Layer]):
        self.epoch = observation.epoch
        self.layers = [layer for layer in layers if layer.path in observation.maps]
        self._maps, self._context = observation.maps, context
        self._measures: dict[str, tuple[HeadMeasures, Repeated | None]] = {}

    def of(self, layer: Layer) -> np.ndarray:
        """[example, head, query, key]; NaN where a query reads nothing."""
        weights = np.asarray(self._maps[layer.path], np.float64)
        # What a mask leaves nothing to is either 0 everywhere or not finite.
        return np.where(weights.sum(axis=3, keepdims=True) > 0, weights, np.nan)

    @cached_property
    def tokens(self) -> np.ndarray | None:
        """[example, position]: the probe's tokens; None for other inputs."""
        return token_inputs(self._context.probe)

    @cached_property
    def grid(self) -> "Patches | None":
        """How the keys lie on a picture: patches in rows, after a class token or without; None where they do not."""
        size = self._context.size
        counts = {layer.shape[2] for layer in self.layers} | {layer.shape[1] for layer in self.layers}
        if size is None or len(counts) != 1:
            return None
        count = counts.pop()
        for leading in (0, 1):
            rows = round(np.sqrt((count - leading) * size[0] / size[1]))
            if rows and (count - leading) % rows == 0:
                columns = (count - leading) // rows
                if rows * size[1] == columns * size[0] and size[0] % rows == 0 and rows > 1:
                    return Patches(rows, columns, leading)
        return None

    def measures(self, layer: Layer) -> tuple[HeadMeasures, Repeated | None]:
        """Those of the layer's heads; of repeated tokens, where the network reads tokens."""
        if layer.path not in self._measures:
            self._measures[layer.path] = self._measured(layer)
        return self._measures[layer.path]

    def _measured(self, layer: Layer) -> tuple[HeadMeasures, Repeated | None]:
        weights, (queries, keys) = self.of(layer), layer.shape[1:]
        counted = counted_positions(self._context, queries)
        places = None if self.grid is None else self.grid.places
        found = head_measures(weights, counted, places)
        if self.tokens is None or not self.tokens.shape[1] == queries == keys:
            return found, None
        return found, repeated(weights, self.tokens, counted)


@dataclass(frozen=True)
class Patches:
    rows: int
    columns: int
    leading: int

    @property
    def places(self) -> np.ndarray:
        """[key, 2]: row and column of each patch, NaN for the class token."""
        at = np.stack(np.unravel_index(np.arange(self.rows * self.columns), (self.rows, self.columns)), axis=1)
        return np.concatenate([np.full((self.leading, 2), np.nan), at])

    def read(self, weights: np.ndarray) -> np.ndarray:
        """[..., row, column] of [..., query, key]: what the class token reads, or all patches in the mean."""
        of = weights[..., 0, :] if self.leading else weights.mean(axis=-2)
        patches: np.ndarray = of[..., self.leading :].reshape(*of.shape[:-1], self.rows, self.columns)
        return patches


def called(layer: Layer) -> str:
    """The attention whose weights the layer has, where it is a module, by that module's path."""
    return layer.path.removesuffix("/attention_weights")


@dataclass(frozen=True)
class Head:
    """A head that reads one kind of position; `share` of its weight, `chance` that of a head that reads all alike."""

    layer: Layer
    number: int
    kind: str
    share: float
    chance: float | None = None

    @property
    def name(self) -> str:
        return f"head {self.number} of {called(self.layer)}"


KINDS = {
    "repeated": ("Induction", "what followed earlier copies of the token"),
    "previous": ("Previous position", "the position before"),
    "first": ("First position", "the first position"),
}
"""Kinds of position that a head can read, with a title and words for them."""


def shares_of(found: HeadMeasures, copies: Repeated | None) -> dict[str, np.ndarray]:
    shares = {} if copies is None else {"repeated": copies.score}
    return shares | {"previous": found.previous, "first": found.first}


def named(weights: Weights) -> list[Head]:
    """The heads that put half of their weight or more on one kind of position, the largest share first by kind.

    Half where copies are concerned too, and three times what reading all alike gives.
    """
    heads: dict[str, list[Head]] = {kind: [] for kind in KINDS}
    for layer in weights.layers if weights.grid is None else ():
        found, copies = weights.measures(layer)
        for kind, shares in shares_of(found, copies).items():
            count, chance = found.queries, None
            if kind == "repeated" and copies is not None:
                count, chance = copies.queries, copies.chance
            for number, share in enumerate(shares.tolist()):
                if count >= LEAST and share >= max(HALF, 3 * (chance or 0)):
                    heads[kind].append(Head(layer, number, kind, share, chance))
    return [head for kind in heads.values() for head in sorted(kind, key=lambda head: -head.share)]
