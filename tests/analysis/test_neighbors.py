"""Neighbours and the two measures against scikit-learn and loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from reportgen.analysis.neighbors import label_accuracy, nearest, trustworthiness


@pytest.fixture(scope="module")
def cloud():
    return np.random.default_rng(0).normal(size=(700, 20))


def test_against_scikit_learn(cloud):
    expected_distances, expected = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(cloud).kneighbors()
    indices, distances = nearest(cloud, 10)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-5)
    queries = np.random.default_rng(1).normal(size=(90, 20))
    expected_distances, expected = NearestNeighbors(n_neighbors=7).fit(cloud).kneighbors(queries)
    indices, distances = nearest(cloud, 7, queries)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-9)


def test_offset_and_size_do_not_eat_the_digits(cloud):
    expected, _ = nearest(cloud, 5)
    for moved in (cloud + 1e6, cloud * 1e250, cloud * 1e-250):
        np.testing.assert_array_equal(nearest(moved, 5)[0], expected)
    np.testing.assert_allclose(nearest(cloud * 1e250, 5)[1], nearest(cloud, 5)[1] * 1e250, rtol=1e-6)


def test_equal_points_are_at_distance_zero_and_ordered_by_index():
    points = np.repeat(np.random.default_rng(0).normal(size=(4, 8)) + 50, 3, axis=0)
    indices, distances = nearest(points, 2)
    assert (distances == 0).all()
    assert indices[4].tolist() == [3, 5]


@given(hnp.arrays(np.float64, st.tuples(st.integers(2, 9), st.integers(1, 3)), elements=st.integers(-4, 4)))
def test_distances_are_those_of_a_loop(points):
    count = len(points)
    _, distances = nearest(points, count - 1)
    for i in range(count):
        expected = sorted(float(np.linalg.norm(points[i] - points[j])) for j in range(count) if j != i)
        np.testing.assert_allclose(distances[i], expected, atol=1e-9)


@pytest.mark.parametrize("k", [1, 5, 15])
def test_trustworthiness_is_scikit_learns(cloud, k):
    for layout in (cloud[:, :2], np.random.default_rng(3).normal(size=(700, 2))):
        expected = sklearn_trustworthiness(cloud, layout, n_neighbors=k)
        assert trustworthiness(cloud, layout, k) == pytest.approx(expected, abs=1e-9)


def test_trustworthiness_of_many_points_rates_some_against_all():
    points = np.random.default_rng(0).normal(size=(2300, 3))
    rated = trustworthiness(points, points[:, :2])
    assert rated == pytest.approx(sklearn_trustworthiness(points, points[:, :2], n_neighbors=15), abs=0.003)
    assert trustworthiness(points, points) == 1.0


def test_few_or_equal_points_have_no_trustworthiness():
    three = np.array([[0.0, 0], [1, 0], [5, 0]])
    assert trustworthiness(three, three) == 1.0
    assert trustworthiness(three[:2], three[:2]) is None
    assert trustworthiness(np.ones((9, 4)), np.zeros((9, 2))) is None


def test_label_accuracy_is_leave_one_out(cloud):
    layout, labels = cloud[:80, :2], np.digitize(cloud[:80, 0], [-0.5, 0.5]) * 3 + 1
    hits = 0
    for i in range(80):
        others = np.arange(80) != i
        model = KNeighborsClassifier(15).fit(layout[others], labels[others])
        hits += int(model.predict(layout[i : i + 1])[0] == labels[i])
    assert label_accuracy(layout, labels) == pytest.approx(hits / 80)


def test_label_accuracy_where_it_says_nothing():
    layout = np.arange(12.0).reshape(6, 2)
    assert label_accuracy(layout, np.zeros(0)) is None
    assert label_accuracy(np.zeros((6, 2)), np.arange(6)) is None
    assert label_accuracy(layout[:1], np.zeros(1)) is None
    assert label_accuracy(layout, np.full(6, 7)) == 1.0
