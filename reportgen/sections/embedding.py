"""The hidden layer on a plane, epoch by epoch; and further examples over the embedded ones."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.analysis.embedding import Embedding, place_in
from reportgen.analysis.neighbors import NEIGHBORS, nearest
from reportgen.core.numbers import short_number
from reportgen.core.outcome import Kind
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Text
from reportgen.core.run import Run
from reportgen.figures.animation import animation
from reportgen.figures.chart import chart
from reportgen.figures.palettes import CLASS_COLORS
from reportgen.figures.scatter import embedding_multiples, embedding_overlay
from reportgen.sections import faithful, story
from reportgen.sections.context import PageContext
from reportgen.sections.crowd import most_frequent, overlap
from reportgen.sections.faithful import labels_of
from reportgen.sections.story import frame_names
from reportgen.sections.words import listed, noun, percent, plural

FRAME_MS = 500
MULTIPLES = 6
FILMED = 31
"""Frames of the GIF, at most: it is as long as all else of the page where there are a hundred."""
GROUPS = 5
"""Groups of points by their value, where values are predicted."""
LEAST = 0.005
"""Movement that is printed as 0.00."""


def build(context: PageContext) -> Section | None:
    """The animation, small multiples and the numbers that say how far to trust them."""
    found, crowd = context.embedding, context.crowd
    if found is None:
        return None
    stage = context.run.stage
    title = f"The hidden layer, {stage} by {stage}"
    if isinstance(found, str):
        return Section("embedding", title, "There is no embedding of this run.", (Text(found, "warning"),))
    run = context.run
    epochs = [run.observations[step].epoch for step in run.observations]
    axis, called = ("epoch", epochs) if stage == "epoch" else ("step", list(run.observations))
    names = frame_names(context)
    layer, several = run.embed_layer, len(found.frames) > 1
    points, (labels, marked, coloured) = plural(len(found.points), _embedded(context)), _marks(context, found)
    how = f"{points} in {layer}{_averaged(context)}, {_method_name(found)}"
    colours, ordered = f" Each point is one {noun(run)}{coloured}.", bool(len(labels)) and not marked
    finding, blocks = _finding(context, found, axis, called), list[Block]()
    live = story.NAME if context.limits.thumbnails is not None else ""
    if several and context.limits.moving:
        film = np.unique(np.linspace(0, len(names) - 1, min(FILMED, len(names))).round().astype(int))
        filmed = [found.frames[i] for i in film], labels, marked, [names[i] for i in film]
        shown = animation(*filmed, FRAME_MS, ordered=ordered)
        alt = f"{len(names)} frames of the embedding: {finding}"
        caption = f"{how}, a frame per {stage}.{colours}{_others(context) if live else ''}"
        blocks.append(Figure("embedding-epochs", shown, alt, caption, live=live))
    picked = _by_change(found)
    chosen = "" if len(picked) == len(names) else f" {len(picked)} of {len(names)}, chosen by change."
    same = "The same frames side by side, at one scale." if several else f"{how}, {names[0]}.{colours}"
    multiples = [found.frames[i] for i in picked], [names[i] for i in picked], labels, marked
    alt = f"The embedding at {plural(len(picked), stage)} side by side." if several else finding
    scene = embedding_multiples(*multiples, ordered=ordered)
    side_by_side = chart("embedding-multiples", scene, alt=alt, caption=same + chosen, wide=several)
    blocks.append(side_by_side if several else replace(side_by_side, live=live))
    table = faithful.table(found, called, axis)
    fold = Fold("How far each frame can be believed", (table,))
    if faithful.rated(found):
        blocks += [faithful.curves(found, called, axis), fold] if several else [table]
    return Section(
        "embedding",
        title if several else "The hidden layer",
        finding,
        (*blocks, Text(_method(found), "method")),
        (
            Numbers(
                "embedding.csv",
                ("epoch", "index", "label", "x", "y"),
                lambda: _rows(context, found, epochs),
                tuple((axis, live, axis, *ends) for axis, ends in crowd.ends.items()) if live and crowd else (),
            ),
            *([faithful.numbers(found, epochs)] if faithful.rated(found) else []),
        ),
    )


def _embedded(context: PageContext) -> str:
    """What one of the embedded points is."""
    assert context.crowd is not None
    return context.crowd.groups[0].name


def _others(context: PageContext) -> str:
    """What the living embedding shows besides, for its caption."""
    assert context.crowd is not None
    groups = context.crowd.groups
    if len(groups) < 2:
        return ""
    count = plural(len(groups[1].numbers), groups[1].name)
    of = context.run.batch(groups[1].batch).size
    more = f" (of {of:,})" if len(groups[1].numbers) < of else ""
    return f" Where a script draws it, {count}{more} can be put among them; they did not shape the layout."


def _by_change(found: Embedding) -> list[int]:
    """At most MULTIPLES frames, the first and the last among them, with about as much movement between each two."""
    moved = np.array([max((m or 0.0) - (found.noise or 0.0), 0.0) for m in found.movement])
    gone, count = moved.cumsum() + 1e-6 * np.arange(len(moved)), min(MULTIPLES, len(moved))
    picked = {0, len(gone) - 1} | {int(np.abs(gone - at).argmin()) for at in np.linspace(0, gone[-1], count)}
    most = [int(i) for i in np.argsort(-moved, kind="stable") if moved[i] > 0 and int(i) not in picked]
    return sorted([*picked, *most[: count - len(picked)]])


def build_overlay(context: PageContext) -> Section | None:
    """The final frame with further images placed among its points; None where the run has no others."""
    found, final = context.embedding, context.observation
    if found is None or isinstance(found, str) or final is None or not len(final.vectors.get("evaluation", ())):
        return None
    run, vectors = context.run, final.vectors
    others = np.flatnonzero(~overlap(run, found))
    if not len(others):
        return None
    placed = place_in(found, len(found.frames) - 1, vectors["embedding"], vectors["evaluation"][others])
    labels = run.batch("evaluation").labels
    labels = labels[others] if len(labels) else labels
    one, embedded = f"evaluation {noun(run)}", _embedded(context)
    count = plural(len(placed), one) + (", none of them embedded," if embedded.startswith("evaluation") else "")
    accuracy = _agreement(found, placed, labels)
    where = "by the same linear map" if found.method == "pca" else "where its nearest neighbours in the layer lie"
    figure = chart(
        "overlay-chart",
        embedding_overlay(found.frames[-1], found.labels, placed, labels, _names(run, found)),
        alt=f"{plural(len(placed), one)} over {plural(len(found.points), embedded)}.",
        caption=f"Pale: the {embedded}s, as in the embedding's final frame. Full, with a rim: {one}s, each put "
        f"{where}; they did not shape the layout.",
    )
    share = (
        ""
        if accuracy is None
        else (
            f"{percent(accuracy)} of {count} fall among {embedded}s of their own class "
            "(majority of the 15 nearest on the plane)."
        )
    )
    numbers = Numbers("overlay.csv", ("index", "label", "x", "y"), lambda: _placed_rows(run, others, placed, labels))
    title = f"{one.capitalize()}s over {'' if embedded.startswith('training') else 'the '}{embedded}s"
    return Section("overlay", title, share, (figure,), (numbers,))


def _names(run: Run, found: Embedding) -> tuple[str, ...]:
    """The classes; none for points without labels."""
    return run.classes if len(labels_of(found)) else ()


def _marks(context: PageContext, found: Embedding) -> tuple[np.ndarray, tuple[str, ...], str]:
    """A class of each point to colour it by, their names, and how a caption says so; none where nothing is known of it.

    Of several classes it is the most frequent one; where values are predicted these are groups of equal size by the
    true value, the first of several.
    """
    run = context.run
    if len(labels := labels_of(found)):
        return labels, run.classes, ", in the colour of its class" + _in_turn(run)
    several = most_frequent(run, "embedding", found.points)
    if len(np.unique(several)) > 1:
        none = ", grey where it has none" if (several < 0).any() else ""
        return several, run.classes, f", in the colour of the most frequent of its true classes{none}{_in_turn(run)}"
    targets = run.batch("embedding").targets
    if run.task is None or run.task.kind is not Kind.REGRESSION or targets is None:
        return labels, (), ""
    true = np.asarray(targets)
    values = true[found.points, 0].astype(float)
    if not np.isfinite(values).all():
        return labels, (), ""
    edges = np.unique(np.quantile(values, np.arange(1, GROUPS) / GROUPS))
    edges = edges[edges > values.min()]
    if not len(edges):
        return labels, (), ""
    parted = listed([short_number(edge) for edge in edges])
    value = "true value" if true.shape[1] == 1 else "first true value"
    coloured = f", the stronger its colour, the larger its {value}, in {len(edges) + 1} groups parted at {parted}"
    groups: np.ndarray = np.searchsorted(edges, values, side="right")
    return groups, (), coloured


def _in_turn(run: Run) -> str:
    """More classes than there are colours share them; the page's script colours none but the chosen one."""
    return f" ({len(CLASS_COLORS)} colours in turn; where a script draws it, the chosen class alone)" * (
        len(run.classes) > len(CLASS_COLORS)
    )


def _averaged(context: PageContext) -> str:
    """Says that the vectors are means over positions, where they are."""
    layer, seen = context.network.layers.get(context.run.embed_layer or ""), context.observation
    if layer is None or seen is None or len(layer.shape) != 2 or seen.vectors["embedding"].shape[1] != layer.channels:
        return ""
    return ", averaged over the positions that no mask leaves out"


def _agreement(found: Embedding, placed: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of placed points whose 15 nearest embedded points vote for their label; None without labels."""
    known = np.isfinite(placed).all(axis=1)
    if not faithful.rated(found) or not len(labels_of(found)) or not len(labels) or not known.any():
        return None
    indices, _ = nearest(found.frames[-1], min(NEIGHBORS, len(found.frames[-1])), placed[known])
    votes = [np.bincount(row).argmax() for row in found.labels[indices]]
    return float(np.mean(votes == labels[known]))


def _method_name(found: Embedding) -> str:
    return f"UMAP ({found.n_neighbors} neighbours)" if found.method == "umap" else "PCA (linear)"


def _method(found: Embedding) -> str:
    noise = (
        f": one more frame of the last vectors, which have not changed, moves {found.noise:.2f} of the radius"
        if found.noise
        else ""
    )
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
            "to it as it can. What still moves is the network's doing and the layout's own noise"
            f"{noise}. UMAP keeps neighbourhoods; sizes of clusters and distances between them mean nothing."
        )
    source = f" {faithful.SOURCE}" if faithful.rated(found) else ""
    dropped = f" {plural(found.dropped, 'point')} with values that are not finite left out." if found.dropped else ""
    colours = " The labels colour the points; they do not shape the layout." if len(labels_of(found)) else ""
    return f"{how}{colours} The axes have no meaning.{dropped}{source}"


def _finding(context: PageContext, found: Embedding, axis: str, called: list[int]) -> str:
    """What the frames show; each is called by its place on the axis, an epoch or a step."""
    stage, layer, points = context.run.stage, context.run.embed_layer, plural(len(found.points), _embedded(context))
    start = "before training" if called[0] == 0 else f"after {axis} {called[0]:,}"
    through = f", {start} and after each {stage}" if len(called) > 1 else ""
    final = context.observation
    if (
        final is not None
        and len(found.points) > 1
        and not np.ptp(final.vectors["embedding"][found.points], axis=0).any()
    ):
        return f"{points} have one and the same vector in {layer} at the end: their places there mean nothing."
    if not faithful.rated(found):
        return f"{points} in {layer}{through}: too few to say how far the layout can be believed."
    first, last = (found.accuracy[0], found.accuracy[-1]) if len(labels_of(found)) else (None, None)
    moved = f"; {_moved(found, axis, called, stage)}" if len(called) > 1 else ""
    if first is None or last is None:
        return f"{points} in {layer}{through}{moved}."
    if not moved:
        return f"In {layer}, {percent(last)} of {points} lie among {noun(context.run)}s of their own class, {start}."
    return (
        f"In {layer}, {percent(first)} of {points} lay among {noun(context.run)}s of their own class {start} and "
        f"{percent(last)} after {axis} {called[-1]:,}{moved}."
    )


def _moved(found: Embedding, axis: str, called: list[int], stage: str) -> str:
    """Until when the points move by more than they do where nothing changes."""
    noise = max(found.noise or 0.0, LEAST)
    moving = [i for i, moved in enumerate(found.movement) if moved is not None and moved > noise]
    if not moving:
        return "the layout does not change"
    if moving[-1] < len(called) - 1:
        return f"the layout stops changing after {axis} {called[moving[-1]]:,}"
    still = f"points moved {found.movement[-1]:.2f} of the radius"
    if len(called) > 2:
        when = f"{'in' if stage == 'epoch' else 'before'} the last {stage}"
        still = f"points still moved {found.movement[-1]:.2f} of the radius {when}"
    return still + (f", where a standing layout moves {found.noise:.2f}" if found.noise else "")


def _placed_rows(run: Run, examples: np.ndarray, placed: np.ndarray, labels: np.ndarray) -> Iterator[tuple[Any, ...]]:
    for index, (x, y) in enumerate(placed):
        label = run.classes[labels[index]] if len(labels) else None
        yield int(examples[index]), label, *(float(at) if np.isfinite(at) else None for at in (x, y))


def _rows(context: PageContext, found: Embedding, epochs: list[int]) -> Iterator[tuple[Any, ...]]:
    classes, batch = context.run.classes, context.run.batch("embedding")
    labels = batch.labels
    one_value = not len(labels) and batch.targets is not None and batch.targets.shape[1:] == (1,)
    values = np.asarray(batch.targets)[:, 0] if one_value else labels[:0]
    for epoch, frame in zip(epochs, found.frames, strict=True):
        for index, (x, y) in zip(found.points, frame, strict=True):
            label = classes[labels[index]] if len(labels) else float(values[index]) if len(values) else None
            yield epoch, int(index), label, float(x), float(y)
