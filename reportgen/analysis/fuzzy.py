"""UMAP's neighbourhood graph, and positions on a plane that fit it.

    indices, distances = nearest(vectors, 39)
    graph = fuzzy_graph(indices, distances)
    positions = lay_out(graph, start, passes=30, rate=0.25, seed=0)

UMAP (McInnes, Healy, Melville 2018), with neighbours and start chosen by the caller. numba compiles the loop
over edges, caches it on disk, and runs it without the GIL.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from reportgen.analysis.neighbors import nearest
from reportgen.core.arrays import Layout, NeighborDistances, Neighbors
from reportgen.errors import naming_the_extra

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: As in umap-learn: sigma is at least this share of the mean distance.
LEAST_SIGMA = 1e-3
#: a and b of UMAP's curve 1 / (1 + a d^2b) for min_dist 0.1 and spread 1, as umap-learn fits them.
CURVE = 1.5769435, 0.8950609
#: Random points that repel a point for each neighbour that attracts it.
NEGATIVE_SAMPLES = 5
#: A gradient beyond this is clipped, per axis.
STEEPEST = 4.0


def memberships(distances: NeighborDistances, target: float) -> NeighborDistances:
    """UMAP's membership strengths [m, k], from 0 to 1, of neighbours at sorted `distances` [m, k].

    exp(-(distance - nearest) / sigma), with sigma per row such that they add up to `target`; 1 for the nearest
    and for duplicates. McInnes, Healy, Melville 2018, algorithm 3.
    """
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1, keepdims=True)
    beyond = np.maximum(distances - np.where(np.isfinite(nearest), nearest, 0.0), 0.0)
    low, high = np.zeros((len(beyond), 1)), np.maximum(beyond[:, -1:], np.finfo(np.float64).tiny) * 64.0
    # The sum of memberships rises with sigma: bisect to 1e-9 of the interval.
    for _ in range(30):
        middle = (low + high) / 2
        too_wide = np.exp(-beyond / middle).sum(axis=1, keepdims=True) > target
        low, high = np.where(too_wide, low, middle), np.where(too_wide, middle, high)
    sigma = np.maximum(high, LEAST_SIGMA * distances.mean(axis=1, keepdims=True))
    strengths: np.ndarray = np.exp(-beyond / sigma)
    return strengths


def fuzzy_graph(indices: Neighbors, distances: NeighborDistances) -> "csr_matrix":
    """The fuzzy union [n, n] of every point's memberships, from its `indices` and `distances` [n, k].

    Neighbours exclude the point itself and come nearest first. Equals umap-learn's `fuzzy_simplicial_set` for
    k + 1 neighbours: the probability that at least one of two points counts the other as a neighbour.
    """
    from scipy.sparse import csr_matrix

    count, k = indices.shape
    # UMAP counts the point itself as a neighbour, but not in the sum.
    strengths = memberships(distances, float(np.log2(k + 1)))
    one_way = csr_matrix((strengths.ravel(), indices.ravel(), np.arange(0, count * k + 1, k)), shape=(count, count))
    return one_way + one_way.T - one_way.multiply(one_way.T)


def lay_out(graph: "csr_matrix", start: Layout, passes: int, rate: float, seed: int) -> Layout:
    """Positions [n, 2] float64 after `passes` of stochastic gradient descent from `start` [n, 2].

    In each pass an edge of the symmetric `graph` [n, n] attracts its ends in proportion to its strength (the strongest
    once), and `NEGATIVE_SAMPLES` random points repel the first end. `rate` is the step size of the first pass and falls
    to 0. Seeded and single-threaded: bitwise reproducible. Neither axis of `start` may be constant.
    """
    random = np.random.RandomState(seed)
    edges = graph.sorted_indices().tocoo()  # in order of their first end
    positions = _apart(start.astype(np.float32), random)
    low, high = positions.min(axis=0), positions.max(axis=0)
    positions = np.ascontiguousarray(10 * (positions - low) / (high - low), np.float32)
    strengths = edges.data / edges.data.max()
    steps = (rate * (1 - np.arange(passes) / passes)).astype(np.float32)
    a, b = CURVE
    constants = np.array([a, b, 2 * a * b, 2 * b, 1e-3, STEEPEST, 1], np.float32)
    _compiled()(positions, edges.row, edges.col, strengths, steps, constants, int(random.randint(2**31)))
    return positions.astype(np.float64)


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    with naming_the_extra():
        from numba import njit

    def compiled(cache: bool) -> Callable[..., None]:
        loop: Callable[..., None] = njit(nogil=True, fastmath=True, cache=cache)(_descend)
        return loop

    try:
        return compiled(cache=True)
    except RuntimeError:  # no writable cache folder: each process compiles
        return compiled(cache=False)


def _descend(
    positions: np.ndarray,
    firsts: np.ndarray,
    seconds: np.ndarray,
    strengths: np.ndarray,
    steps: np.ndarray,
    constants: np.ndarray,
    state: int,
) -> None:
    """Move `positions` [n, 2] float32 along the gradients of UMAP's cross entropy, a pass per element of `steps`.

    `firsts` and `seconds` [edge] are the ends of the edges, `strengths` [edge] in 0..1. `state` seeds a linear
    congruential generator (modulus 2^32, Numerical Recipes' constants), whose upper bits choose the repelling points.
    """
    a, b, pull, push, softening, steepest, one = constants
    for number in range(len(steps)):
        step = steps[number]
        for edge in range(len(firsts)):
            # After `number` passes an edge has acted as often as the integer part of this product.
            if int((number + 1) * strengths[edge]) == int(number * strengths[edge]):
                continue
            first, second = firsts[edge], seconds[edge]
            x, y = positions[first, 0], positions[first, 1]
            # All forces act where the point was: one after the other, each would wait for the one before.
            new_x, new_y = x, y
            dx, dy = x - positions[second, 0], y - positions[second, 1]
            square = dx * dx + dy * dy
            if square > 0:
                power = square**b
                force = pull * power / (square * (a * power + one))
                dx = step * min(max(force * dx, -steepest), steepest)
                dy = step * min(max(force * dy, -steepest), steepest)
                new_x, new_y = new_x - dx, new_y - dy
                positions[second, 0] += dx
                positions[second, 1] += dy
            for _ in range(NEGATIVE_SAMPLES):
                state = (1664525 * state + 1013904223) & 0xFFFFFFFF
                other = (state * len(positions)) >> 32
                dx, dy = x - positions[other, 0], y - positions[other, 1]
                square = dx * dx + dy * dy
                if other != first and square > 0:
                    force = push / ((softening + square) * (a * square**b + one))
                    new_x += step * min(max(force * dx, -steepest), steepest)
                    new_y += step * min(max(force * dy, -steepest), steepest)
            positions[first, 0], positions[first, 1] = new_x, new_y


def _apart(positions: np.ndarray, random: "np.random.RandomState") -> np.ndarray:
    """Jitter duplicate positions by a thousandth of the mean distance to the nearest neighbour.

    Coinciding points exert no force on each other. A no-op if every point is duplicated: that mean is 0.
    """
    if len(np.unique(positions, axis=0)) == len(positions):
        return positions
    _, distances = nearest(positions, 1)
    return positions + random.normal(scale=0.001 * distances.mean(), size=positions.shape).astype(np.float32)
