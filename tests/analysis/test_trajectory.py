"""The plane of a training's way: against a singular value decomposition of all its states."""

import numpy as np
import pytest

from reportgen.analysis.trajectory import gram, plane_of, random_walk_shares


def states(count=9, values=400):
    rng = np.random.default_rng(3)
    return np.cumsum(rng.standard_normal((count, values)) * np.linspace(3, 0.1, values), axis=0)


def test_the_plane_is_that_of_the_principal_components():
    points = states()
    plane = plane_of(gram([points[:, :100], points[:, 100:101], points[:, 101:]]))
    _, sizes, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(plane.shares, (sizes**2 / (sizes**2).sum())[:8], rtol=1e-9)
    offsets = points - points[-1]
    directions = plane.weights @ points
    np.testing.assert_allclose(np.abs(directions @ axes[:2].T), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(plane.path, offsets @ directions.T, atol=1e-9)
    nearest = plane.path @ directions
    np.testing.assert_allclose(plane.distances, np.linalg.norm(offsets - nearest, axis=1), atol=1e-9)
    assert (plane.path[0] < 0).all()  # both directions lead to the last state, the origin
    assert plane.path[-1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "points",
    [
        states(2),
        np.zeros((5, 10)),
        np.outer(np.array([0, 1, 5, 2]), np.ones(20)),
    ],
    ids=["two states", "no movement", "a line"],
)
def test_there_is_no_plane_where_states_do_not_span_one(points):
    assert plane_of(gram([points])) is None


def test_the_shares_of_a_random_walk_are_those_that_one_has():
    walk = np.cumsum(np.random.default_rng(0).standard_normal((30, 40_000)), axis=0)
    found = plane_of(gram([walk])).shares
    np.testing.assert_allclose(random_walk_shares(30)[:5], found[:5], rtol=0.03)
    assert random_walk_shares(30).sum() == pytest.approx(1)
