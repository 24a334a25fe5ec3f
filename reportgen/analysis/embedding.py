"""A 2-D embedding of the hidden layer, one frame per epoch, with comparable frames.

    result = embed([observations[step].vectors["embedding"] for step in steps], labels)
    result.frames[-1], result.trust[-1], result.movement
    place(vectors[result.points], result.frames[-1], test_vectors, result.projection)

"umap" is UMAP (McInnes, Healy, Melville 2018), seeded and single-threaded. The first frame starts
from the vectors' two principal components; each later frame starts from the previous one, is laid out in
a few passes with small steps, and is then rotated, reflected and shifted (never scaled) onto the previous
frame. The remaining movement comes from the network and from the layout's noise. "pca" is linear: one plane
for all frames, each frame's vectors first centred and scaled to unit RMS radius.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reportgen.analysis.faithful import Faithfulness, followed, rate
from reportgen.analysis.fuzzy import fuzzy_graph, lay_out, memberships
from reportgen.analysis.neighbors import Block, measured, nearest
from reportgen.analysis.numerics import as_float64
from reportgen.core.arrays import (
    EmbeddingVectors,
    Frames,
    Layout,
    NeighborDistances,
    NeighborPlaces,
    Neighbors,
    PerUnit,
    Placed,
    Plane,
    PointIndices,
    Points,
    Queries,
)
from reportgen.errors import DataError, OptionError, choices

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

METHODS = ("umap", "pca")
#: Layout passes of the first frame, the untrained network's, which is the hardest. On 2,000 MNIST digits, more
#: passes up to UMAP's own 500 raise trustworthiness by no more than .002.
FIRST_PASSES = 200
#: Passes and step size of a chained frame. On the same digits, more passes raise trustworthiness by no more than
#: .003; larger steps lower it and add movement.
NEXT_PASSES, NEXT_RATE = 30, 0.25
#: Neighbours of a point in UMAP's graph, including the point itself.
UMAP_NEIGHBORS = 40
SEED = 0
#: Neighbours that determine a new point's place.
PLACED_BY = 15


@dataclass(frozen=True, eq=False)
class Projection:
    """The linear map of a "pca" embedding's frame: position = (vector - centre) @ basis, [d] and [d, 2]."""

    centre: PerUnit
    basis: Plane


@dataclass(frozen=True, eq=False)
class Embedding:
    """Positions of the same points in every frame, with measures of their faithfulness.

    frames        [frame, point, 2] float64, all around one centre; the points of a frame coincide where all
                  its vectors are equal
    points        [point] int64: indices into the vectors; `dropped` vectors are excluded for NaN or infinite
                  values in at least one frame
    labels        [point] int64, or empty where there are none
    method        "umap", or "pca" (a linear projection)
    n_neighbors   UMAP's, including the point itself: lowered where there are few points; 0 for pca
    rated         per frame, how faithful it is
    followed      per frame, whether the points moved as far as their vectors changed since the previous one
                  (`faithful.followed`); None for the first
    movement      per frame, mean distance moved since the previous frame / RMS radius of this frame; None for
                  the first and for frames whose points coincide
    noise         the movement of a layout whose vectors stand still: of one more frame of the last vectors; 0 for pca,
                  None without a second frame
    projections   per frame, its linear map; () for umap
    """

    frames: Frames
    points: PointIndices
    dropped: int
    labels: np.ndarray
    method: str
    n_neighbors: int
    rated: tuple[Faithfulness, ...]
    followed: tuple[float | None, ...]
    movement: tuple[float | None, ...]
    noise: float | None = None
    projections: tuple[Projection, ...] = ()

    @property
    def trust(self) -> tuple[float | None, ...]:
        """Trustworthiness per frame, with 15 neighbours; None where all vectors are equal."""
        return tuple(frame.trust for frame in self.rated)

    @property
    def accuracy(self) -> tuple[float | None, ...]:
        """Accuracy per frame of 15 nearest neighbours on the plane; None without labels."""
        return tuple(frame.accuracy for frame in self.rated)


def embed(
    vectors: Sequence[np.ndarray],
    labels: np.ndarray,
    method: Literal["umap", "pca"] = "umap",
    progress: Callable[[int, int], Any] | None = None,
) -> Embedding:
    """Embed `vectors`, one [point, unit] array per frame with the same points in the same order.

    `labels` [point] colour the points and rate the frames, without influence on the layout; may be empty.
    `progress(done, of)` is called after each frame. Bitwise reproducible on one machine with one set of
    versions. Raises DataError for frames that do not match or fewer than three points that are finite in
    every frame, OptionError for another method.
    """
    if method not in METHODS:
        raise OptionError(f"unknown embedding {method!r}; {choices(method, METHODS)}", code="O102")
    frames, labels = _matching([np.asarray(frame) for frame in vectors], np.asarray(labels))
    finite = [np.isfinite(frame).all(axis=1) for frame in frames]
    points = np.flatnonzero(np.all(finite, axis=0))
    if len(points) < 3:
        worst = int(np.argmin([rows.sum() for rows in finite]))
        raise DataError(
            f"an embedding needs three points with finite vectors in every frame; there are {len(points)}. "
            f"Frame {worst} (counted from 0) has {int(finite[worst].sum())} of {len(frames[worst])}: "
            "exclude the frames in which the network diverged.",
            code="A102",
        )
    labels = labels[points] if labels.size else labels
    unit = [_unit(frame[points]) for frame in frames]
    neighbors = min(UMAP_NEIGHBORS, len(points) - 1) if method == "umap" else 0

    layouts: list[Layout] = []
    rated: list[Future[Faithfulness]] = []
    basis = _principal(np.concatenate(unit)) if method == "pca" else None
    # While one frame is laid out, another core finds the next frame's neighbours and rates the previous layout.
    with _beside() as beside:
        known = beside.submit(_neighborhood, unit[0], neighbors)
        for index, frame in enumerate(unit):
            between, near, graph = known.result()
            if index + 1 < len(unit):
                known = beside.submit(_neighborhood, unit[index + 1], neighbors)
            if basis is not None:
                layouts.append(frame @ basis)
            else:
                layouts.append(_umap_frame(frame, layouts[-1] if layouts else None, graph))
            rated.append(beside.submit(rate, frame, layouts[-1], labels, near, between))
            if progress is not None:
                progress(index + 1, len(unit))
        again = _umap_frame(unit[-1], layouts[-1], graph) if basis is None and len(unit) > 1 else layouts[-1]
    return Embedding(
        frames=np.stack(layouts),
        points=points,
        dropped=len(frames[0]) - len(points),
        labels=labels,
        method=method,
        n_neighbors=neighbors,
        rated=tuple(rating.result() for rating in rated),
        followed=(None, *(followed(*unit[i : i + 2], *layouts[i : i + 2]) for i in range(len(unit) - 1))),
        movement=(None, *(movement(a, b) for a, b in pairwise(layouts))),
        noise=movement(layouts[-1], again) if len(layouts) > 1 else None,
        projections=() if basis is None else tuple(_projection(frame[points], basis) for frame in frames),
    )


def place_in(found: Embedding, frame: int, vectors: EmbeddingVectors, new_vectors: Queries) -> Placed:
    """Positions [m, 2] in a frame of an embedding of `new_vectors` [m, unit]; `vectors` are those it was made of."""
    projection = found.projections[frame] if found.projections else None
    return place(vectors[found.points], found.frames[frame], new_vectors, projection)


def place(
    train_vectors: np.ndarray,
    train_layout: np.ndarray,
    new_vectors: np.ndarray,
    projection: Projection | None = None,
) -> Placed:
    """Positions [m, 2] float64 of `new_vectors` [m, unit] in a finished layout; NaN for non-finite vectors.

    With a `projection` (pca), by that linear map. Otherwise each goes to the geometric median of the
    positions [n, 2] of its 15 nearest `train_vectors` [n, unit], weighted by UMAP's membership strengths
    (exp(-(distance - nearest) / sigma), sigma such that they add up to log2 of the number of neighbours).
    The mean, from which `UMAP.transform` starts, may lie between two clusters and belong to neither. A vector
    equal to a training vector takes that one's position.

    Raises DataError when shapes do not match or training values are not finite.
    """
    train, layout = as_float64(train_vectors, "the training vectors"), as_float64(train_layout, "the layout")
    new = as_float64(new_vectors, "the new vectors")
    if train.ndim != 2 or new.ndim != 2 or new.shape[1:] != train.shape[1:] or layout.shape != (len(train), 2):
        raise DataError(
            "placing needs training vectors [n, unit], their layout [n, 2] and new vectors [m, unit]; "
            f"got the shapes {train.shape}, {layout.shape} and {new.shape}.",
            code="A101",
        )
    if not len(train) or not np.isfinite(train).all() or not np.isfinite(layout).all():
        raise DataError("placing new points needs training points whose values are all finite.", code="A102")
    usable = np.isfinite(new).all(axis=1)
    placed = np.full((len(new), 2), np.nan)
    if projection is not None:
        placed[usable] = (new[usable] - projection.centre) @ projection.basis
        return placed
    indices, distances = nearest(train, min(PLACED_BY, len(train)), new[usable])
    weights = memberships(distances, float(np.log2(max(distances.shape[1], 2))))
    same = distances[:, :1] == 0
    floor = 1e-4 * (float(np.ptp(layout, axis=0).max()) or 1.0)
    placed[usable] = np.where(same, layout[indices[:, 0]], _median(layout[indices], weights, floor))
    return placed


def align(layout: Layout, onto: Layout) -> Layout:
    """`layout` [n, 2] rotated, reflected and shifted, not scaled, to the least squared distance from `onto`.

    Orthogonal Procrustes (Schönemann 1966).
    """
    moved, target = layout - layout.mean(axis=0), onto - onto.mean(axis=0)
    left, _, right = np.linalg.svd(moved.T @ target)
    aligned: Layout = moved @ (left @ right) + onto.mean(axis=0)
    return aligned


def movement(before: Layout, after: Layout) -> float | None:
    """Mean distance between [n, 2] positions before and after / RMS radius after; None for one of rounding alone."""
    radius, moved = _radius(after - after.mean(axis=0)), float(np.linalg.norm(after - before, axis=1).mean())
    return moved / radius if radius > 1e-6 * max(moved, float(np.abs(after).max())) else None


def _matching(frames: list[np.ndarray], labels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The frames in float64 and the labels; DataError names the shapes that do not match."""
    shapes = [frame.shape for frame in frames]
    if not frames or any(len(shape) != 2 or shape != shapes[0] for shape in shapes) or shapes[0][1] == 0:
        raise DataError(
            "an embedding needs one [point, unit] array per frame, all of one shape with at least one unit; "
            f"the shapes are {', '.join(map(str, shapes)) or 'missing'}.",
            code="A101",
        )
    if labels.size and labels.shape != shapes[0][:1]:
        raise DataError(f"there are {labels.size} labels for {shapes[0][0]} embedded points.", code="A101")
    return [as_float64(frame, "the embedded vectors") for frame in frames], labels


def _centre(frame: Points) -> PerUnit:
    """Mean row, exact for a column whose values are all equal."""
    first = frame[0]
    with np.errstate(over="ignore"):
        offset = (frame - first).mean(axis=0)
    centre: PerUnit = np.where(np.isfinite(offset), first + offset, (frame / len(frame)).sum(axis=0))
    return centre


def _radius(centred: Points) -> float:
    """Root mean squared distance of the rows from 0, without overflow."""
    largest = float(np.abs(centred).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    return largest * float(np.sqrt(np.square(centred / largest).sum(axis=1).mean()))


def _unit(frame: Points) -> Points:
    """The rows around their centre at an RMS radius of 1; zeros where all are equal."""
    # Halved, since the distance between two values near the largest float overflows.
    centred = frame / 2 - _centre(frame / 2)
    radius = _radius(centred)
    return centred / radius if radius > 0 else np.zeros_like(centred)


def _projection(frame: Points, basis: Plane) -> Projection:
    centre = _centre(frame)
    radius = _radius(frame - centre)
    # Below the least normal number the quotient overflows: such points are as good as equal.
    return Projection(centre, basis / (radius if radius >= np.finfo(float).tiny else 1.0))


def _principal(rows: Points) -> Plane:
    """The first two principal directions [d, 2] of centred rows, the largest loading of each positive."""
    width = rows.shape[1]
    if 4 * len(rows) < width:
        leading = np.linalg.svd(rows, full_matrices=False)[2][:2].T  # far less than the products of all columns
    elif width <= 1024:
        _, directions = np.linalg.eigh(rows.T @ rows)
        leading = directions[:, ::-1][:, :2]
    else:
        from sklearn.utils.extmath import randomized_svd

        leading = randomized_svd(rows, n_components=2, random_state=SEED)[2].T
    basis = np.zeros((width, 2))
    basis[:, : leading.shape[1]] = leading
    sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(2)])
    return basis * np.where(sign == 0, 1.0, sign)


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """A background thread; work that it has not begun is dropped when anything fails."""
    with ThreadPoolExecutor(1, "reportgen-neighbors") as thread:
        try:
            yield thread
        except BaseException:
            thread.shutdown(wait=False, cancel_futures=True)
            raise


def _neighborhood(frame: Points, neighbors: int) -> "tuple[list[Block] | None, Neighbors | None, csr_matrix | None]":
    """The frame's distances (`measured`), its neighbours and its UMAP graph; None where no graph is needed."""
    between = measured(frame)
    if neighbors == 0 or not frame.any():
        return between, None, None
    # UMAP counts a point as its own first neighbour.
    near, distances = nearest(frame, neighbors - 1, blocks=between)
    return between, near, fuzzy_graph(near, distances)


def _umap_frame(frame: Points, previous: Layout | None, graph: "csr_matrix | None") -> Layout:
    """Lay out unit vectors [n, d] by UMAP, started from and aligned to the previous frame [n, 2].

    Without a graph, all points coincide.
    """
    if graph is None:
        return np.zeros((len(frame), 2)) if previous is None else np.tile(previous.mean(axis=0), (len(frame), 1))
    chained = previous is not None and bool((np.ptp(previous, axis=0) > 0).all())
    if previous is not None and chained:
        start = previous
    else:
        start = frame @ _principal(frame)
        # UMAP stretches both axes to one length, so a constant axis needs a little noise.
        start = start + np.random.default_rng(SEED).normal(scale=1e-4, size=start.shape)
    layout = lay_out(graph, start, *((NEXT_PASSES, NEXT_RATE) if chained else (FIRST_PASSES, 1.0)), SEED)
    return layout - layout.mean(axis=0) if previous is None else align(layout, previous)


def _median(positions: NeighborPlaces, weights: NeighborDistances, floor: float) -> Placed:
    """Weighted geometric median [m, 2] of `positions` [m, k, 2], by ten steps of Weiszfeld's iteration.

    Distances below `floor` count as `floor`, which bounds the weight of a position that the median falls on.
    """
    pull, median = weights, positions[:, 0]
    for _ in range(11):
        median = np.einsum("mk,mkc->mc", pull, positions) / pull.sum(axis=1, keepdims=True)
        pull = weights / np.maximum(np.linalg.norm(positions - median[:, None], axis=2), floor)
    return median
