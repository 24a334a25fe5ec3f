"""UMAP's neighbourhoods and its layout, without the parts of umap-learn that take longest.

    indices, distances = nearest(vectors, 39)
    graph = fuzzy_graph(indices, distances)                        # NumPy
    positions = lay_out(graph, start, passes=30, rate=0.25, seed=0)   # umap-learn

`umap.UMAP` would measure all distances again, and compile two more functions in every process: 8 s of the
15 s that its first frame takes. The graph is a few lines of NumPy, equal to umap-learn's to float32
rounding; what it is laid out by is umap-learn's own.
"""

import sys
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: As in umap-learn: sigma is at least this share of the mean distance.
LEAST_SIGMA = 1e-3
#: umap-learn's defaults: distance from which points lie apart, distance they may lie at.
SPREAD, MIN_DIST = 1.0, 0.1
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
    umap = _umap()
    laid_out, _ = umap.simplicial_set_embedding(
        start,  # read for its length only
        graph,
        n_components=2,
        initial_alpha=rate,
        a=_curve()[0],
        b=_curve()[1],
        gamma=1.0,
        negative_sample_rate=NEGATIVE_SAMPLES,
        n_epochs=passes,
        init=start.astype(np.float32),
        random_state=_random_state(seed),
        metric="euclidean",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        parallel=False,
    )
    return laid_out.astype(np.float64)


@lru_cache(maxsize=1)
def _umap() -> Any:
    if "umap" not in sys.modules:
        _begin_umap()
    # Not `from umap import`, which asks the package before it looks for a module.
    layouts, umap_ = import_module("umap.layouts"), import_module("umap.umap_")
    # umap-learn compiles its inner loop in every process (2 s); kept on disk, as numba keeps others, 0.02 s.
    # A later version may name it otherwise, and a folder may not be writable: then it is compiled each time.
    # With NUMBA_DISABLE_JIT it is a plain function.
    loop = getattr(layouts, "_nb_optimize_layout_euclidean_single_epoch", None)
    keep = getattr(loop, "enable_caching", None)
    if keep is not None:
        try:
            keep()
        except RuntimeError as problem:
            if "cannot cache function" not in str(problem):
                raise
    return umap_


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


@lru_cache(maxsize=1)
def _curve() -> tuple[float, float]:
    a, b = _umap().find_ab_params(SPREAD, MIN_DIST)
    return float(a), float(b)


def _random_state(seed: int) -> Any:
    from sklearn.utils import check_random_state

    return check_random_state(seed)
