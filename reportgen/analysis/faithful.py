"""How faithful a layout is to its vectors, frame by frame and from frame to frame.

    rated = rate(vectors, layout, labels)                  # of one frame: neighbourhoods and distances
    followed(vectors, later, layout, moved)                # of two: do points move as far as their vectors change?

The measures are those of the EuroVis benchmark of time-dependent projections: Vernier, Garcia, da Silva, Comba and
Telea, Computer Graphics Forum 39(3), 2020, 241-252.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from reportgen.analysis.neighbors import (
    NEIGHBORS,
    Block,
    distance_blocks,
    label_accuracy,
    measured,
    nearest,
    trustworthiness,
)
from reportgen.core.arrays import Layout, Neighbors, Points


@dataclass(frozen=True)
class Faithfulness:
    """Measures of one frame, each from 0 to 1; None where it is not defined.

    trust         trustworthiness: whether neighbours in the layout are neighbours among the vectors; 1 is best
    accuracy      leave-one-out accuracy of 15 nearest neighbours in the layout; None without labels
    continuity    whether neighbours among the vectors are neighbours in the layout; 1 is best
    preservation  mean share of a point's 15 nearest vectors that are among its 15 nearest in the layout
    stress        normalised stress at the layout's best scale: 0 where all distances are proportional
    """

    trust: float | None
    accuracy: float | None
    continuity: float | None
    preservation: float | None
    stress: float | None


def rate(
    vectors: Points,
    layout: Layout,
    labels: np.ndarray,
    near: Neighbors | None = None,
    blocks: list[Block] | None = None,
) -> Faithfulness:
    """The faithfulness of a `layout` [n, 2] to `vectors` [n, d], whose points may have `labels` [n].

    `near` [n, 15 or more] are the neighbours among the vectors, if known; `blocks` is the result of
    `neighbors.measured` for the vectors, and is overwritten.
    """
    k = min(NEIGHBORS, len(layout) - 1)
    shown, _ = nearest(layout, k)
    if near is None or near.shape[1] < k:
        near, _ = nearest(vectors, k, blocks=blocks)
    on_plane = measured(layout)
    lost = stress(vectors, layout, blocks, on_plane)
    return Faithfulness(
        trust=trustworthiness(vectors, layout, NEIGHBORS, shown, blocks),
        accuracy=label_accuracy(layout, labels, NEIGHBORS, shown),
        continuity=trustworthiness(layout, vectors, NEIGHBORS, near, on_plane),
        preservation=None if lost is None else preserved(near[:, :k], shown),
        stress=lost,
    )


def preserved(near: Neighbors, shown: Neighbors) -> float:
    """Mean share of each point's neighbours `near` [n, k] that are among those `shown` [n, k]."""
    return float((near[:, :, None] == shown[:, None, :]).any(axis=2).mean())


def stress(
    vectors: Points, layout: Layout, blocks: Iterable[Block] | None = None, on_plane: Iterable[Block] | None = None
) -> float | None:
    """Squared differences of the distances in `layout` [n, 2] from those of `vectors` [n, d], over the latter squared.

    The layout counts at the scale at which this is least: otherwise a larger drawing would be a worse one (Smelser,
    Miller and Kobourov 2024). None where either has all points in one place. `blocks` and `on_plane` are the results of
    `neighbors.measured` for the vectors and the layout; the points' distances to themselves are overwritten.
    """
    product = squares = shown_squares = 0.0
    pairs = zip(blocks or distance_blocks(vectors), on_plane or distance_blocks(layout), strict=True)
    for (rows, far), (_, shown) in pairs:
        own = np.arange(len(far)), np.arange(len(vectors))[rows]
        far[own] = shown[own] = 0.0
        squares += float(far.sum())
        shown_squares += float(shown.sum())
        both = far * shown
        product += float(np.sqrt(both, out=both).sum())
    return None if squares == 0.0 or shown_squares == 0.0 else max(0.0, 1.0 - product**2 / (squares * shown_squares))


def followed(before: Points, after: Points, layout: Layout, moved: Layout) -> float | None:
    """Spearman's correlation, over the points, of how far vectors [n, d] and positions [n, 2] went from frame to frame.

    None where all vectors, or all positions, went equally far.
    """
    from scipy.stats import spearmanr

    far, shown = np.linalg.norm(after - before, axis=1), np.linalg.norm(moved - layout, axis=1)
    if np.ptp(far) == 0.0 or np.ptp(shown) == 0.0:
        return None
    return float(spearmanr(far, shown).statistic)
