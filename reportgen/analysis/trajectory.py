"""The plane on which most of a training's way lies, from the inner products of its states alone.

    products = gram(blocks)                    # blocks of parameters, [state, value] each
    plane = plane_of(products)
    plane.path, plane.distances, plane.shares

A network has too many parameters for a matrix of all states; their inner products are a few thousand numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import Directions, Gram, Path2, PerComponent, PerState

FLAT = 1e-10
"""A second principal direction with less than this share of the variance is rounding."""


@dataclass(frozen=True)
class Plane:
    """The plane through the last state along the two largest principal directions of all.

    weights    [2, state]: each direction, of length 1, as a sum of so much of each state's offset from the last
    path       [state, 2]: where on the plane each state's nearest point is; the last state is the origin
    distances  [state]: from each state to that point
    shares     [component]: of the variance of the states around their mean, descending
    """

    weights: Directions
    path: Path2
    distances: PerState
    shares: PerComponent


def gram(blocks: Iterable[np.ndarray]) -> Gram:
    """Inner products of the states' offsets from the last one, of all blocks [state, value] of their values."""
    total: Gram | float = 0.0
    for block in blocks:
        offsets = block - block[-1]
        total = total + offsets @ offsets.T
    return np.asarray(total)


def plane_of(products: Gram) -> Plane | None:
    """The plane of states with these inner products (`gram`); None where they lie on a line or do not move.

    Principal components as of Jolliffe (2002), by the eigenvectors of the centred inner products. Each direction points
    from the first state to the last.
    """
    count = len(products)
    if count < 3:
        return None
    centre = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(centre @ products @ centre)
    values, vectors = np.maximum(values[::-1][: count - 1], 0), vectors[:, ::-1]
    if not values[0] or values[1] < FLAT * values[0]:
        return None
    weights = (centre @ vectors[:, :2] / np.sqrt(values[:2])).T
    path = (weights @ products).T
    signs = np.where(path[0] > 0, -1.0, 1.0)
    weights, path = weights * signs[:, None], path * signs
    outside = np.maximum(np.diag(products) - (path**2).sum(axis=1), 0)
    return Plane(weights, path, np.sqrt(outside), values / values.sum())


def random_walk_shares(states: int) -> PerComponent:
    """What `Plane.shares` would be of so many states of a random walk in a space of very many dimensions.

    Antognini and Sohl-Dickstein, PCA of high dimensional random walks with comparison to neural network training,
    NeurIPS 2018: 60.8 % and 15.2 % for a long one. Steps of equal size in each direction make the inner products of
    states those of `min(i, j)`; centred, these are the inverse of the path's Laplacian, with known eigenvalues.

    >>> random_walk_shares(1000)[:2].round(3).tolist()
    [0.608, 0.152]
    """
    values = 1 / (2 - 2 * np.cos(np.pi * np.arange(1, states) / states))
    shares: PerComponent = values / values.sum()
    return shares
