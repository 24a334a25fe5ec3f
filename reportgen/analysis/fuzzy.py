"""UMAP's neighbourhoods and its layout, without the parts of umap-learn that take longest.

    indices, distances = nearest(vectors, 39)
    graph = fuzzy_graph(indices, distances)                        # NumPy
    positions = lay_out(graph, start, passes=30, rate=0.25, seed=0)   # umap-learn

`umap.UMAP` would measure all distances again, and compile two more functions in every process: 8 s of the
15 s that its first frame takes. The graph is a few lines of NumPy, equal to umap-learn's to float32
rounding; what it is laid out by is umap-learn's own loop.
"""

import sys
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.analysis.neighbors import nearest

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: As in umap-learn: sigma is at least this share of the mean distance.
LEAST_SIGMA = 1e-3
#: a and b of UMAP's curve 1 / (1 + a d^2b), as umap-learn fits them for its defaults: min_dist 0.1, spread 1.
CURVE = 1.5769435, 0.8950609
NEGATIVE_SAMPLES = 5


def memberships(distances: np.ndarray, target: float) -> np.ndarray:
    """UMAP's membership strengths [m, k], from 0 to 1, of neighbours at sorted `distances` [m, k].

    exp(-(distance - nearest) / sigma), sigma per row such that they add up to `target`; 1 for the nearest
    and what is no farther. McInnes, Healy, Melville 2018, algorithm 3.
    """
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1, keepdims=True)
    beyond = np.maximum(distances - np.where(np.isfinite(nearest), nearest, 0.0), 0.0)
    low, high = np.zeros((len(beyond), 1)), np.maximum(beyond[:, -1:], np.finfo(np.float64).tiny) * 64.0
    # The sum of memberships rises with sigma: halve the interval until it is fixed to 1e-9 of its length.
    for _ in range(30):
        middle = (low + high) / 2
        too_wide = np.exp(-beyond / middle).sum(axis=1, keepdims=True) > target
        low, high = np.where(too_wide, low, middle), np.where(too_wide, middle, high)
    return np.exp(-beyond / np.maximum(high, LEAST_SIGMA * distances.mean(axis=1, keepdims=True)))


def fuzzy_graph(indices: np.ndarray, distances: np.ndarray) -> "csr_matrix":
    """The fuzzy union [n, n] of every point's memberships, from its `indices` and `distances` [n, k].

    The neighbours without the point itself, nearest first. umap-learn's `fuzzy_simplicial_set` for k + 1
    neighbours: the chance that at least one of two points counts the other as its neighbour.
    """
    from scipy.sparse import csr_matrix

    count, k = indices.shape
    # UMAP counts the point itself among its neighbours, but not in the sum.
    strengths = memberships(distances, float(np.log2(k + 1)))
    one_way = csr_matrix((strengths.ravel(), indices.ravel(), np.arange(0, count * k + 1, k)), shape=(count, count))
    return one_way + one_way.T - one_way.multiply(one_way.T)


def lay_out(graph: "csr_matrix", start: np.ndarray, passes: int, rate: float, seed: int) -> np.ndarray:
    """Positions [n, 2] float64 after `passes` of umap-learn's optimisation from `start` [n, 2].

    `rate` is the step size of the first pass; it falls to 0. Seeded and single-threaded: bitwise the same
    every time. Both axes of `start` must have some spread.
    """
    random = np.random.RandomState(seed)
    edges = graph.tocoo()
    edges.sum_duplicates()  # for their order, which is umap-learn's then
    # An edge is drawn in strength / strongest of the passes, and left out where that is less than one.
    drawn = edges.data >= edges.data.max() / passes
    strength = edges.data[drawn] / edges.data.max()
    positions = _apart(start.astype(np.float32), random)
    low, high = positions.min(axis=0), positions.max(axis=0)
    positions = (10.0 * (positions - low) / (high - low)).astype(np.float32, order="C")
    a, b = CURVE
    laid_out = _layouts().optimize_layout_euclidean(
        positions,
        positions,
        edges.row[drawn],
        edges.col[drawn],
        passes,
        graph.shape[1],
        passes / np.float64(passes * strength),
        # In float32, as the positions are, the loop takes three quarters of the time.
        np.float32(a),
        np.float32(b),
        random.randint(-(2**31) + 1, 2**31 - 2, 3).astype(np.int64),
        np.float32(1),
        np.float32(rate),
        NEGATIVE_SAMPLES,
        parallel=False,
        move_other=True,
    )
    return laid_out.astype(np.float64)


def _apart(positions: np.ndarray, random: "np.random.RandomState") -> np.ndarray:
    """The positions; where some are equal, with noise of a thousandth of the mean distance to the nearest.

    As umap-learn has it: nothing else would part two points in one place. Nor does this where every point has
    a twin, for then that mean is 0.
    """
    if len(np.unique(positions, axis=0)) == len(positions):
        return positions
    _, distances = nearest(positions, 1)
    return positions + random.normal(scale=0.001 * distances.mean(), size=positions.shape).astype(np.float32)


@lru_cache(maxsize=1)
def _layouts() -> Any:
    if "umap" not in sys.modules:
        _begin_umap()
    # Not `from umap import`, which asks the package before it looks for a module.
    layouts = import_module("umap.layouts")
    # umap-learn compiles its inner loop in every process (2 s); kept on disk, as numba keeps others, 0.02 s.
    # A later version may name it otherwise, and a folder may not be writable: then it is compiled each time.
    # With NUMBA_DISABLE_JIT it is a plain function.
    loop = getattr(layouts, "_nb_optimize_layout_euclidean_single_epoch", None)
    # Without Python's lock it leaves the other cores to other threads. What was kept on disk before is as it was.
    options = getattr(loop, "targetoptions", None)
    if options is not None:
        options["nogil"] = True
    keep = getattr(loop, "enable_caching", None)
    if keep is not None:
        try:
            keep()
        except RuntimeError as problem:
            if "cannot cache function" not in str(problem):
                raise
    return layouts


def _begin_umap() -> None:
    """Have umap-learn's modules importable without what `import umap` does.

    That imports TensorFlow where there is one, for a variant that nobody asked for (10 s), or warns that there is
    none. Whoever asks the package for more than its modules gets it whole then (PEP 562). It must stay: numba looks
    its modules up by name when it compiles them.
    """
    spec = find_spec("umap")
    if spec is None or spec.loader is None:
        return
    package, run = module_from_spec(spec), spec.loader.exec_module

    def whole(name: str) -> Any:
        if name.startswith("__") and name != "__version__":  # what the import system itself asks for
            raise AttributeError(name)
        del package.__dict__["__getattr__"]
        run(package)
        return getattr(package, name)

    package.__dict__["__getattr__"] = whole
    sys.modules["umap"] = package
