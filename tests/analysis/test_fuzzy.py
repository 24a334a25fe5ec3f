"""Neighbourhoods and layout against umap-learn's own and against the equations."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from reportgen.analysis import fuzzy
from reportgen.analysis.fuzzy import CURVE, _apart, _compiled, _descend, fuzzy_graph, lay_out, memberships
from reportgen.analysis.neighbors import nearest, trustworthiness


def as_umap_wants(indices, distances):
    """The point itself as the first neighbour, int32 and float32."""
    count = len(indices)
    return (
        np.column_stack([np.arange(count), indices]).astype(np.int32),
        np.column_stack([np.zeros(count), distances]).astype(np.float32),
    )


@pytest.fixture(scope="module")
def vectors():
    """Digits, some of them twice and one three times."""
    some = load_digits().data[:300]
    return np.concatenate([some, some[:20], some[:1]])


def test_the_graph_is_umap_learns(vectors, umap_):
    found = nearest(vectors, 14)
    expected, _, _ = umap_.fuzzy_simplicial_set(vectors, 15, None, "euclidean", {}, *as_umap_wants(*found))
    graph = fuzzy_graph(*found)
    assert abs(graph - expected).max() < 1e-4
    assert abs(graph - graph.T).max() == 0 and graph.max() == 1


def test_memberships_add_up_to_the_target():
    distances = np.sort(np.random.default_rng(0).uniform(1, 5, size=(40, 12)), axis=1)
    strengths = memberships(distances, np.log2(13))
    np.testing.assert_allclose(strengths.sum(axis=1), np.log2(13), rtol=1e-6)
    assert (strengths[:, 0] == 1).all() and (np.diff(strengths, axis=1) <= 0).all()
    # The logarithm falls in proportion to what a neighbour lies beyond the nearest.
    slopes = np.log(strengths[:, 1:]) / (distances[:, 1:] - distances[:, :1])
    np.testing.assert_allclose(slopes, np.repeat(slopes[:, :1], 11, axis=1), rtol=1e-6)


@pytest.mark.parametrize("distances", [np.zeros((2, 5)), np.full((2, 5), 3.0), np.array([[0.0, 0, 0, 0, 1e-300]])])
def test_neighbours_at_one_distance_are_full_members(distances):
    strengths = memberships(distances, 2.0)
    assert np.isfinite(strengths).all() and (strengths[:, :4] == 1).all()


def test_the_layout_keeps_neighbours_as_well_as_umap_learns(umap_):
    vectors = load_digits().data[:160]
    centred = vectors - vectors.mean(axis=0)
    start = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    found = nearest(vectors, 14)
    # The neighbours are given, for numba would compile its search as well.
    given = {"precomputed_knn": as_umap_wants(*found), "init": start.astype(np.float32)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = umap_.UMAP(15, n_epochs=60, random_state=5, **given).fit_transform(vectors)
    rated = [
        trustworthiness(vectors, layout.astype(np.float64), 15)
        for layout in (expected, *(lay_out(fuzzy_graph(*found), start, 60, 1.0, seed) for seed in range(5)))
    ]
    assert rated[0] > 0.9
    assert np.mean(rated[1:]) > rated[0] - 0.004 and min(rated[1:]) > rated[0] - 0.01


def test_a_seed_gives_one_layout(vectors):
    graph = fuzzy_graph(*nearest(vectors, 14))
    start = vectors[:, [20, 43]] + np.random.default_rng(0).normal(size=(len(vectors), 2))
    layout = lay_out(graph, start, 20, 0.5, seed=5)
    np.testing.assert_array_equal(lay_out(graph, start, 20, 0.5, seed=5), layout)
    assert not np.array_equal(lay_out(graph, start, 20, 0.5, seed=6), layout)


def constants():
    a, b = CURVE
    return np.array([a, b, 2 * a * b, 2 * b, 1e-3, fuzzy.STEEPEST, 1])


def gradient(function, place):
    """By central differences."""
    nudges = 1e-5 * np.eye(2)
    return np.array([(function(place + nudge) - function(place - nudge)) / 2e-5 for nudge in nudges])


def near(place):
    """UMAP's probability that two points with this difference are neighbours."""
    a, b = CURVE
    return 1 / (1 + a * np.square(place).sum() ** b)


def test_neighbours_are_pulled_along_the_gradient(monkeypatch):
    monkeypatch.setattr(fuzzy, "NEGATIVE_SAMPLES", 0)
    before = np.array([[1.0, 2.0], [1.5, 1.0], [7.0, 7.0]])
    positions = before.copy()
    _descend(positions, np.array([0]), np.array([1]), np.ones(1), np.array([0.1]), constants(), 0)
    slope = gradient(lambda place: -np.log(near(place - before[1])), before[0])
    np.testing.assert_allclose(positions - before, [-0.1 * slope, 0.1 * slope, [0, 0]], rtol=1e-6)


def test_random_points_push_along_the_gradient(monkeypatch):
    monkeypatch.setattr(fuzzy, "NEGATIVE_SAMPLES", 1)
    before = np.array([[1.0, 2.0], [1.0, 2.0], [1.5, 1.0]])
    slope = gradient(lambda place: -np.log(1 - near(place - before[2])), before[0])
    for state in range(0, 1 << 32, 1 << 27):
        positions = before.copy()
        # Ends in one place don't pull.
        _descend(positions, np.array([0]), np.array([1]), np.ones(1), np.array([0.1]), constants(), state)
        moved = positions - before
        if moved.any():
            # UMAP adds 0.001 to the squared distance, lest the push has no bound.
            np.testing.assert_allclose(moved, [-0.1 * slope, [0, 0], [0, 0]], rtol=1e-3)
            return
    raise AssertionError("the third point was never drawn")


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.3125, 0.0625])
def test_an_edge_pulls_in_its_share_of_the_passes(monkeypatch, strength):
    monkeypatch.setattr(fuzzy, "NEGATIVE_SAMPLES", 0)
    moved = []
    for passes in range(101):
        positions = np.array([[0.0, 0.0], [1.0, 0.0]])
        _descend(positions, np.array([0]), np.array([1]), np.array([strength]), np.full(passes, 1e-6), constants(), 0)
        moved.append(positions[0, 0])
    pulls = np.rint(np.array(moved) / moved[-1] * int(100 * strength))
    np.testing.assert_array_equal(pulls, [int(passes * strength) for passes in range(101)])


def test_the_compiled_loop_does_what_python_does():
    random = np.random.default_rng(3)
    positions = random.normal(scale=3, size=(40, 2)).astype(np.float32)
    edges = (random.integers(0, 40, 200), random.integers(0, 40, 200), random.uniform(size=200))
    steps, by_python, compiled = np.full(3, 0.5, np.float32), positions.copy(), positions.copy()
    _descend(by_python, *edges, steps, constants().astype(np.float32), 7)
    _compiled()(compiled, *edges, steps, constants().astype(np.float32), 7)
    assert np.abs(by_python - positions).max() > 0.1
    np.testing.assert_allclose(compiled, by_python, atol=1e-3)


def test_the_curve_is_umap_learns_for_its_defaults(umap_):
    np.testing.assert_allclose(CURVE, umap_.find_ab_params(1.0, 0.1), rtol=1e-6)


def test_points_in_one_place_are_parted(vectors):
    start = np.random.default_rng(0).normal(size=(len(vectors), 2)).astype(np.float32)
    start[1::3] = start[::3]
    apart = _apart(start, np.random.RandomState(5))
    assert len(np.unique(apart, axis=0)) == len(start)
    assert np.abs(apart - start).max() < 0.01
    assert len(np.unique(lay_out(fuzzy_graph(*nearest(vectors, 14)), start, 20, 1.0, seed=5), axis=0)) == len(start)
