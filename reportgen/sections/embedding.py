"""The hidden layer on a plane, epoch by epoch; and test points over the training points."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.embedding import Embedding, place
from reportgen.analysis.neighbors import NEIGHBORS, nearest
from reportgen.core.report import Figure, Numbers, Section, Table, Text
from reportgen.core.run import Run
from reportgen.figures.animation import animation
from reportgen.figures.chart import chart
from reportgen.figures.scatter import embedding_multiples, embedding_overlay
from reportgen.sections.context import Context
from reportgen.sections.words import percent, plural

FRAME_MS = 500
MULTIPLES = 8


def build(context: Context) -> Section | None:
    """The animation, small multiples and the numbers that say how far to trust them."""
    found = context.embedding
    if found is None:
        return None
    title = "The hidden layer, epoch by epoch"
    if isinstance(found, str):
        return Section("embedding", title, "There is no embedding of this run.", (Text(found, "warning"),))
    run = context.run
    epochs = [run.observations[step].epoch for step in run.observations]
    names = [f"epoch {epoch}" if epoch else "before training" for epoch in epochs]
    layer, points = run.embed_layer, len(found.points)
    moving = Figure(
        "embedding-epochs",
        animation(list(found.frames), found.labels, _names(run, found), names, FRAME_MS),
        f"Animation of {plural(len(names), 'frame')}: {_finding(context, found, epochs)}",
        f"{plural(points, 'point')} of {layer}, {_method_name(found)}, a frame per epoch. Each point is one "
        + ("image in the colour of its class, named at the class's median." if len(found.labels) else "example."),
    )
    picked = np.unique(np.linspace(0, len(names) - 1, min(MULTIPLES, len(names))).round().astype(int))
    multiples = chart(
        "embedding-multiples",
        embedding_multiples(
            [found.frames[i] for i in picked], [names[i] for i in picked], found.labels, _names(run, found)
        ),
        alt=f"The embedding at {plural(len(picked), 'epoch')} side by side.",
        caption="The same frames side by side, at one scale."
        + ("" if len(picked) == len(names) else f" {len(picked)} of {len(names)}, evenly chosen."),
        wide=True,
    )
    table = _trust(found, epochs)
    return Section(
        "embedding",
        title,
        _finding(context, found, epochs),
        (moving, multiples, table, Text(_method(found), "method")),
        (
            Numbers("embedding.csv", ("epoch", "index", "label", "x", "y"), lambda: _rows(context, found, epochs)),
            Numbers("embedding_quality.csv", _QUALITY, lambda: _quality(found, epochs)),
        ),
    )


def _trust(found: Embedding, epochs: list[int]) -> Table:
    columns: dict[str, list[Any]] = {
        "Epoch": epochs,
        "Trustworthiness": [_rounded(value) for value in found.trust],
        "Neighbour accuracy": [None if value is None else percent(value) for value in found.accuracy],
        "Movement": [_rounded(value) for value in found.movement],
    }
    voted = "Neighbour accuracy: share of points whose 15 nearest on the plane vote for their label. "
    if not len(found.labels):
        del columns["Neighbour accuracy"]
        voted = ""
    return Table(
        "embedding-trust",
        "How far each frame can be believed. Trustworthiness (15 neighbours; 1 is best): whether neighbours on "
        f"the plane are neighbours in the layer. {voted}Movement: mean distance from the frame before, as a share "
        "of the frame's RMS radius.",
        tuple(columns),
        tuple(zip(*columns.values(), strict=True)),
        "r" * len(columns),
    )


def build_overlay(context: Context) -> Section | None:
    """The final frame with the evaluation images placed among its points."""
    found, final = context.embedding, context.final
    if found is None or isinstance(found, str) or final is None or not len(final.vectors.get("evaluation", ())):
        return None
    run = context.run
    vectors = final.vectors
    placed = place(vectors["embedding"][found.points], found.frames[-1], vectors["evaluation"], found.projection)
    labels = run.batch("evaluation").labels[: len(placed)]
    accuracy = _agreement(found, placed, labels)
    where = "by the same linear map" if found.method == "pca" else "where its nearest neighbours in the layer lie"
    figure = chart(
        "overlay-chart",
        embedding_overlay(found.frames[-1], found.labels, placed, labels, _names(run, found)),
        alt=f"{plural(len(placed), 'test point')} over {plural(len(found.points), 'training point')}.",
        caption=f"Pale: the points of the final frame above. Full, with a rim: test images, each put {where}; "
        "they did not shape the layout.",
    )
    share = (
        ""
        if accuracy is None
        else (
            f"{percent(accuracy)} of {plural(len(placed), 'test image')} fall among embedded points of their own class "
            "(majority of the 15 nearest on the plane)."
        )
    )
    numbers = Numbers("overlay.csv", ("index", "label", "x", "y"), lambda: _placed_rows(run, placed, labels))
    return Section("overlay", "Test images over training images", share, (figure,), (numbers,))


def _names(run: Run, found: Embedding) -> tuple[str, ...]:
    """The classes; none for points without labels."""
    return run.classes if len(found.labels) else ()


def _agreement(found: Embedding, placed: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of placed points whose 15 nearest embedded points vote for their label; None without labels."""
    known = np.isfinite(placed).all(axis=1)
    if not len(found.labels) or not len(labels) or not known.any():
        return None
    indices, _ = nearest(found.frames[-1], min(NEIGHBORS, len(found.frames[-1])), placed[known])
    votes = [np.bincount(row).argmax() for row in found.labels[indices]]
    return float(np.mean(votes == labels[known]))


def _method_name(found: Embedding) -> str:
    return f"UMAP ({found.n_neighbors} neighbours)" if found.method == "umap" else "PCA (linear)"


def _method(found: Embedding) -> str:
    if found.method == "pca":
        how = (
            "One linear plane for all frames: the two principal components of all epochs' vectors together, each "
            "epoch centred and brought to unit RMS radius before. A linear plane shows distances faithfully and "
            "hides what needs more than two directions."
        )
    else:
        how = (
            "UMAP, seeded and single-threaded. The first frame starts from the vectors' principal components, each "
            "next one from the frame before, and is then turned, mirrored and shifted, never scaled, to lie as close "
            "to it as it can. What still moves is the network's doing and the layout's own noise: a network that "
            "stands still moves by about 0.05 to 0.1 a frame. UMAP keeps neighbourhoods; sizes of clusters and "
            "distances between them mean nothing."
        )
    dropped = f" {plural(found.dropped, 'point')} with values that are not finite left out." if found.dropped else ""
    colours = " The labels colour the points; they do not shape the layout." if len(found.labels) else ""
    return f"{how}{colours} The axes have no meaning.{dropped}"


def _finding(context: Context, found: Embedding, epochs: list[int]) -> str:
    layer = context.run.embed_layer
    first, last = found.accuracy[0], found.accuracy[-1]
    if first is None or last is None:
        return f"{plural(len(found.points), 'point')} of {layer} over {plural(len(epochs), 'epoch')}."
    if len(epochs) == 1:
        return (
            f"In {layer}, {percent(last)} of {plural(len(found.points), 'image')} lie among images of their own class."
        )
    moved = [m for m in found.movement if m is not None]
    still = (
        f"; points moved {moved[0]:.2f} of the radius until epoch {epochs[1]} and {moved[-1]:.2f} in the last"
        if len(moved) > 1
        else ""
    )
    start = "before training" if epochs[0] == 0 else f"after epoch {epochs[0]}"
    return (
        f"In {layer}, {percent(first)} of {plural(len(found.points), 'image')} lay among images of their own class "
        f"{start} and {percent(last)} after epoch {epochs[-1]}{still}."
    )


def _placed_rows(run: Run, placed: np.ndarray, labels: np.ndarray) -> Iterator[tuple[Any, ...]]:
    for index, (x, y) in enumerate(placed):
        label = run.classes[labels[index]] if len(labels) else None
        yield index, label, *(float(at) if np.isfinite(at) else None for at in (x, y))


_QUALITY = ("epoch", "points", "trustworthiness", "neighbor_accuracy", "movement")


def _quality(found: Embedding, epochs: list[int]) -> Iterator[tuple[Any, ...]]:
    for epoch, trust, accuracy, moved in zip(epochs, found.trust, found.accuracy, found.movement, strict=True):
        yield epoch, len(found.points), trust, accuracy, moved


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _rows(context: Context, found: Embedding, epochs: list[int]) -> Iterator[tuple[Any, ...]]:
    classes, labels = context.run.classes, context.run.batch("embedding").labels
    for epoch, frame in zip(epochs, found.frames, strict=True):
        for index, (x, y) in zip(found.points, frame, strict=True):
            label = classes[labels[index]] if len(labels) else None
            yield epoch, int(index), label, float(x), float(y)
