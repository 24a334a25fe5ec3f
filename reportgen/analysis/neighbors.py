"""Exact nearest neighbours, and two measures of a 2-D layout based on them.

    indices, distances = nearest(vectors, 15)            # of each row among the others
    indices, distances = nearest(vectors, 15, queries)   # of each query among the rows
    trustworthiness(vectors, layout)                     # are neighbours in the layout neighbours among the vectors?
    label_accuracy(layout, labels)                       # do neighbours in the layout share the label?

Exact: by brute force over blocks of rows, so memory stays at a few copies of the vectors, or by a tree on a plane.
Bitwise reproducible.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from reportgen.core.arrays import NeighborDistances, Neighbors, Points, Positions, Queries, QueryDistances

#: Neighbours that the two measures consider.
NEIGHBORS = 15
#: Columns up to which a tree finds neighbours sooner, and differences give distances sooner than products do.
FLAT = 3
#: Trustworthiness averages over at most this many points, evenly spaced; each is compared with all.
RATED = 2000

#: Rows of queries, and their squared distances to all points, in units of the points' scale.
Block = tuple[slice | np.ndarray, QueryDistances]


def measured(points: Points) -> list[Block] | None:
    """The distances between all `points` [n, d], shared by `nearest` and then `trustworthiness`.

    None for more than `RATED` points, whose distances take too much memory: then each computes its own.
    """
    return list(_blocks(points, points, alone=True)) if len(points) <= RATED else None


def distance_blocks(points: Points) -> Iterator[Block]:
    """Blocks of the distances between all `points` [n, d]; of more than `RATED`, between evenly spaced ones and all."""
    if len(points) <= RATED:
        yield from _blocks(points, points, alone=True)
        return
    rated = np.linspace(0, len(points) - 1, RATED).astype(np.int64)
    for rows, squared in _blocks(points, points[rated], alone=False):
        yield rated[rows], squared


def nearest(
    points: Points, k: int, queries: Queries | None = None, blocks: Iterable[Block] | None = None
) -> tuple[Neighbors, NeighborDistances]:
    """The `k` nearest rows of `points` [n, d], nearest first: indices int64 and distances float64, [m, k].

    For each row of `queries` [m, d]; without queries, for each row of `points` among the other n - 1.
    Euclidean. All values must be finite, and k at most the number of candidates. `blocks`, only without
    queries, is the result of `measured` for the points.
    """
    alone = queries is None
    count = len(points) if queries is None else len(queries)
    indices, distances = np.zeros((count, k), dtype=np.int64), np.zeros((count, k))
    if k == 0:
        return indices, distances
    if blocks is None:
        if points.shape[1] <= FLAT:
            return _in_tree(points, k, queries)
        blocks = _blocks(points, points if queries is None else queries, alone)
    for rows, squared in blocks:
        chosen = np.argpartition(squared, k - 1, axis=1)[:, :k]
        # Sorted by index first, so that the stable sort orders equally distant points by index.
        chosen.sort(axis=1)
        near = np.take_along_axis(squared, chosen, axis=1)
        order = np.argsort(near, axis=1, kind="stable")
        indices[rows] = np.take_along_axis(chosen, order, axis=1)
        distances[rows] = np.sqrt(np.take_along_axis(near, order, axis=1))
    return indices, distances * _scale(points)


def trustworthiness(
    vectors: Points,
    layout: Positions,
    k: int = NEIGHBORS,
    shown: Neighbors | None = None,
    blocks: Iterable[Block] | None = None,
) -> float | None:
    """How far neighbours in `layout` [n, 2] are neighbours in `vectors` [n, d]: 1 is best, chance is about .5.

    Venna and Kaski 2001; equals scikit-learn's `trustworthiness` for data without ties. `k` is lowered to
    below n / 2, where the measure is defined. `shown` [n, k or more] are the neighbours in the layout, if
    known; `blocks` is the result of `measured` for the vectors, and is overwritten. None for fewer than three
    points, or where all vectors are equal.
    """
    count = len(vectors)
    k = min(k, (count - 1) // 2)
    if k < 1 or _scale(vectors) == 0.0:
        return None
    if shown is None:
        shown, _ = nearest(layout, k)
    rated = np.linspace(0, count - 1, min(count, RATED)).astype(np.int64)
    excess = 0.0
    for rows, squared in _blocks(vectors, vectors[rated], alone=False) if blocks is None else blocks:
        points = rated[rows]
        squared[np.arange(len(points)), points] = np.inf
        reached = np.take_along_axis(squared, shown[points, :k], axis=1)
        # Sorting a row once and searching it for all k neighbours is faster than counting for each.
        squared.sort(axis=1)
        nearer = np.array([np.searchsorted(row, distances) for row, distances in zip(squared, reached, strict=True)])
        excess += float(np.maximum(nearer + 1 - k, 0).sum())
    return 1.0 - excess * 2.0 / (len(rated) * k * (2.0 * count - 3.0 * k - 1.0))


def label_accuracy(
    layout: Positions, labels: np.ndarray, k: int = NEIGHBORS, shown: Neighbors | None = None
) -> float | None:
    """Fraction of points whose label is the commonest among their `k` nearest others in `layout` [n, 2].

    Leave-one-out, one vote per neighbour, ties to the lowest label. `shown` [n, k or more] are these neighbours,
    if known. None without labels [n], for fewer than two points, or where all points coincide.
    """
    k = min(k, len(layout) - 1)
    if k < 1 or len(labels) != len(layout) or _scale(layout) == 0.0:
        return None
    _, codes = np.unique(labels, return_inverse=True)
    indices = nearest(layout, k)[0] if shown is None else shown[:, :k]
    votes = np.zeros((len(layout), int(codes.max()) + 1), dtype=np.int64)
    for column in indices.T:
        votes[np.arange(len(layout)), codes[column]] += 1
    return float((votes.argmax(axis=1) == codes).mean())


def _in_tree(points: Points, k: int, queries: Queries | None) -> tuple[Neighbors, NeighborDistances]:
    """`nearest` by a k-d tree."""
    from scipy.spatial import KDTree

    scale, tree = _scale(points), KDTree(_centred(points, points))
    asked = tree.data if queries is None else _centred(queries, points)
    distances, indices = tree.query(asked, range(1, k + 1 + (queries is None)))
    if queries is None:
        # A point is its own first neighbour, or any of the first where others coincide with it; or not among them.
        own = indices == np.arange(len(points))[:, None]
        own[~own.any(axis=1), -1] = True
        indices, distances = indices[~own].reshape(-1, k), distances[~own].reshape(-1, k)
    order = np.lexsort((indices, distances))
    near = np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    return near[0].astype(np.int64), near[1] * scale


def _scale(points: Points) -> float:
    """Largest distance of a coordinate from its column's midrange; 0 where all rows are equal."""
    if points.size == 0:
        return 0.0
    points = points.astype(np.float64)
    # Halved first, since the sum of two values near the largest float overflows.
    return float(np.max(points.max(axis=0) / 2 - points.min(axis=0) / 2))


def _blocks(points: Points, queries: Queries, alone: bool) -> Iterator[Block]:
    """Squared distances [rows, n] of blocks of `queries` to all `points`, in units of the points' scale.

    `alone`: the queries are the points, and each one's distance to itself is infinite.
    """
    centred = _centred(points, points)
    squares = np.square(centred).sum(axis=1)
    # Large products (32 MB) are faster than many small ones; elementwise work is fastest on parts that fit the
    # cache (2 MB).
    many, few = (max(32, values // max(len(points), 1)) for values in (RATED * RATED, 250_000))
    flat = points.shape[1] <= FLAT
    for begin in range(0, len(queries), many):
        block = _centred(queries[begin : begin + many], points)
        own = np.square(block).sum(axis=1)[:, None]
        products = np.empty((len(block), 0)) if flat else (-2.0 * block) @ centred.T
        for start in range(0, len(block), few):
            part = slice(start, start + few)
            if flat:
                squared = _by_axes(block[part], centred)
            else:
                squared, size = products[part], own[part] + squares
                # In place: allocating buffers of this size costs more than the arithmetic.
                squared += size
                # A distance below the expansion's rounding error is 0.
                size *= 1e-13
                np.copyto(squared, 0.0, where=squared < size)
            rows = np.arange(begin + start, begin + start + len(squared))
            if alone:
                squared[np.arange(len(rows)), rows] = np.inf
            yield slice(rows[0], rows[-1] + 1), squared


def _centred(rows: Queries, points: Points) -> Queries:
    """Rows [m, d] around the middle of the points, in units of their scale: so |a|² + |b|² - 2ab cancels least."""
    points = points.astype(np.float64)
    middle = points.max(axis=0) / 2 + points.min(axis=0) / 2
    with np.errstate(over="ignore"):
        centred = (rows.astype(np.float64) - middle) / (_scale(points) or 1.0)
    # Beyond this distance all points are equally near, and the squares would overflow.
    clipped: Queries = np.clip(centred, -1e100, 1e100)
    return clipped


def _by_axes(queries: Queries, points: Points) -> QueryDistances:
    """Squared distances [m, n] of rows with few columns, a column at a time: small ones lose no digits."""
    total: QueryDistances | None = None
    for column, others in zip(queries.T, np.ascontiguousarray(points.T), strict=True):
        apart = column[:, None] - others
        np.square(apart, out=apart)
        total = apart if total is None else np.add(total, apart, out=total)
    assert total is not None
    return total
