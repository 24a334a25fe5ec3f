"""The hidden layer of both networks on one plane: new's laid out from base's."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.core.report import Numbers, Section, Text
from reportgen.figures.chart import chart
from reportgen.figures.scatter import embedding_multiples
from reportgen.sections.compare.comparison import SIDES, Comparison
from reportgen.sections.words import percent, plural


def build(comparison: Comparison) -> Section | None:
    """Both embeddings side by side; None where there are none."""
    found = comparison.embedding
    if isinstance(found, str):
        comparison.lacks(found)
        return None
    embedding, places = found
    points, classes = len(embedding.points), comparison.base.classes if len(embedding.labels) else ()
    layers = list(dict.fromkeys(str(run.embed_layer) for run in (comparison.base, comparison.new)))
    start, end = embedding.accuracy
    finding = f"{plural(points, 'evaluation example')} of {' and '.join(layers)} in both networks."
    if start is not None and end is not None:
        of = plural(points, "evaluation example")
        finding = f"{percent(start)} of {of} lie among their own class in base, {percent(end)} in new."
    umap = embedding.method == "umap"
    placed = (
        "new's layout begins at base's, and is turned and shifted onto it, never scaled"
        if umap
        else ("both on one plane, after new's vectors were turned onto base's")
    )
    figure = chart(
        "embedding-both",
        embedding_multiples(list(embedding.frames), SIDES, embedding.labels, classes),
        alt=finding,
        caption=f"{plural(points, 'point')} of {' and '.join(layers)}, by {'UMAP' if umap else 'PCA'}; {placed}.",
        wide=True,
    )
    method = (
        "Points are coloured by label, which does not shape the layout. Own class: what the 15 nearest points on the "
        "plane "
        "vote for. A network laid out again moves by about 0.05 to 0.1 of the radius; the axes have no meaning."
    )
    moved = embedding.movement[1]
    text = f"From base to new, points move by {moved:.2f} of the layout's radius." if moved is not None else ""
    blocks = (figure, *((Text(text),) if text else ()), Text(method, "method"))
    numbers = Numbers(
        "embedding.csv", ("side", "index_base", "x", "y"), lambda: _rows(embedding.frames, places[embedding.points])
    )
    return Section("embedding", "The hidden layer of both", finding, blocks, (numbers,))


def _rows(frames: np.ndarray, places: np.ndarray) -> Iterator[tuple[Any, ...]]:
    for side, frame in zip(SIDES, frames, strict=True):
        for place, (x, y) in zip(places, frame, strict=True):
            yield side, int(place), float(x), float(y)
