"""How far each frame of an embedding can be believed: three curves, a table of all measures, their numbers file."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.analysis.embedding import Embedding
from reportgen.analysis.neighbors import NEIGHBORS
from reportgen.core.numbers import decimals
from reportgen.core.report import Figure, Numbers, Table
from reportgen.figures.chart import chart
from reportgen.figures.curves import panels
from reportgen.sections.words import NOT_DEFINED, listed, percent

TRUST = "Trustworthiness (15 neighbours; 1 is best): whether neighbours on the plane are neighbours in the layer. "
VOTED = "Neighbour accuracy: share of points whose 15 nearest on the plane vote for their label. "
MOVED = "Movement: mean distance from the frame before, as a share of the frame's RMS radius."
MORE = (
    " Continuity (1 is best): whether neighbours in the layer are neighbours on the plane. Preservation: mean share of "
    "a point's 15 neighbours in the layer that are among its 15 on the plane. Stress (0 is best): normalised, at the "
    "plane's best scale. Following: Spearman's correlation, over the points, of how far a point moved and how far its "
    "vector changed."
)
SOURCE = (
    "Trustworthiness, continuity, preservation and stress say how faithful a frame is to the layer, following and "
    "movement how faithful its motion; the measures are those of Vernier et al., Computer Graphics Forum 39(3), 2020. "
    "Where frames are made to follow one another, points near each other may move although their vectors did not."
)


LEAST = 2 * NEIGHBORS + 1
"""Points from which 15 neighbours are fewer than half of the others: of fewer, nothing is said."""


def rated(found: Embedding) -> bool:
    """Whether there are enough points for the measures to say something."""
    return len(found.points) >= LEAST


def labels_of(found: Embedding) -> np.ndarray:
    """The points' labels; none where all are one, which tells nothing apart."""
    return found.labels if len(np.unique(found.labels)) > 1 else found.labels[:0]


def curves(found: Embedding, places: list[int], axis: str) -> Figure:
    """Trustworthiness, neighbour accuracy and movement over the frames' epochs or steps, as the axis says."""
    measures = {"Trustworthiness": found.trust, "Neighbour accuracy": found.accuracy, "Movement": found.movement}
    if not len(labels_of(found)):
        del measures["Neighbour accuracy"]
    values = {name: [np.nan if v is None else v for v in column] for name, column in measures.items()}
    noise = {} if not found.noise else {"Movement": found.noise}
    band = " Grey: what a layout moves whose vectors stand still." if noise else ""
    return chart(
        "embedding-measures",
        panels(places, values, noise, axis),
        alt=f"{listed(list(measures))} by {axis}.",
        caption=f"{_what(found)}{band}",
        wide=True,
    )


def table(found: Embedding, places: list[int], axis: str) -> Table:
    """Every measure of every frame, which its epoch or step names."""
    shown: dict[str, Callable[[float], str]] = {"Neighbour accuracy": percent}
    columns: dict[str, Sequence[Any]] = {
        name: [NOT_DEFINED if v is None else shown.get(name, _rounded)(v) for v in column]
        for name, column in _columns(found).items()
    }
    columns = {axis.capitalize(): places, **columns}
    rows = tuple(zip(*columns.values(), strict=True))
    return Table("embedding-trust", _what(found) + MORE, tuple(columns), rows, "r" * len(columns))


def numbers(found: Embedding, epochs: list[int]) -> Numbers:
    """The numbers file of the same measures."""
    names = {"Neighbour accuracy": "neighbor_accuracy"}
    columns = {"Trustworthiness": found.trust, "Neighbour accuracy": found.accuracy, **_columns(found)}

    def rows() -> Iterator[tuple[Any, ...]]:
        for epoch, *values in zip(epochs, *columns.values(), strict=True):
            yield epoch, len(found.points), *values

    named = (names.get(name, name.lower()) for name in columns)
    return Numbers("embedding_quality.csv", ("epoch", "points", *named), rows)


def _columns(found: Embedding) -> dict[str, tuple[float | None, ...]]:
    columns = {
        "Trustworthiness": found.trust,
        "Neighbour accuracy": found.accuracy,
        "Continuity": tuple(frame.continuity for frame in found.rated),
        "Preservation": tuple(frame.preservation for frame in found.rated),
        "Stress": tuple(frame.stress for frame in found.rated),
        "Movement": found.movement,
        "Following": found.followed,
    }
    if not len(labels_of(found)):
        del columns["Neighbour accuracy"]
    return columns


def _what(found: Embedding) -> str:
    return f"{TRUST}{VOTED if len(labels_of(found)) else ''}{MOVED}"


def _rounded(value: float) -> str:
    return decimals(value, 3)
