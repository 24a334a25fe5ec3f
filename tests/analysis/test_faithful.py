"""The measures of a layout against scikit-learn, SciPy and loops, and what they are where nothing is defined."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from reportgen.analysis import neighbors
from reportgen.analysis.faithful import followed, rate, stress

NONE = np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def cloud():
    return np.random.default_rng(0).normal(size=(300, 8))


@pytest.fixture(scope="module")
def layout(cloud):
    return cloud[:, :2] + 0.3 * np.random.default_rng(1).normal(size=(300, 2))


def test_neighbourhoods_are_scikit_learns(cloud, layout):
    rated = rate(cloud, layout, NONE)
    assert rated.trust == pytest.approx(trustworthiness(cloud, layout, n_neighbors=15))
    assert rated.continuity == pytest.approx(trustworthiness(layout, cloud, n_neighbors=15))
    near, shown = (NearestNeighbors(n_neighbors=15).fit(points).kneighbors()[1] for points in (cloud, layout))
    shares = [len(set(a) & set(b)) / 15 for a, b in zip(near, shown, strict=True)]
    assert rated.preservation == pytest.approx(np.mean(shares))
    assert rated.accuracy is None


def test_what_is_known_already_changes_nothing(cloud, layout):
    blocks = neighbors.measured(cloud)
    near, _ = neighbors.nearest(cloud, 39, blocks=blocks)
    assert rate(cloud, layout, NONE, near, blocks) == rate(cloud, layout, NONE)


def test_stress_is_the_least_over_all_scales(cloud, layout):
    far, shown = cdist(cloud, cloud), cdist(layout, layout)
    found = stress(cloud, layout)
    scales = np.linspace(0.2, 5, 2000)
    least = min(float(((far - scale * shown) ** 2).sum() / (far**2).sum()) for scale in scales)
    assert found == pytest.approx(least, abs=1e-5)
    assert stress(cloud, 1000 * layout) == pytest.approx(found) and stress(1e-9 * cloud, layout) == pytest.approx(found)
    assert stress(layout, -3 * layout) == pytest.approx(0, abs=1e-12)


def test_stress_of_many_points_is_that_of_evenly_spaced_ones(cloud, layout, monkeypatch):
    whole = stress(cloud, layout)
    monkeypatch.setattr(neighbors, "RATED", 100)
    rated = np.linspace(0, 299, 100).astype(int)
    far, shown = cdist(cloud[rated], cloud), cdist(layout[rated], layout)
    expected = 1 - (far * shown).sum() ** 2 / ((far**2).sum() * (shown**2).sum())
    assert stress(cloud, layout) == pytest.approx(expected)
    assert stress(cloud, layout) != whole


def test_points_that_move_as_their_vectors_change_follow_them(cloud, layout):
    random = np.random.default_rng(2)
    far, turned = random.uniform(size=(300, 1)), random.normal(size=(300, 2))
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    later = cloud + far * np.eye(8)[0]
    assert followed(cloud, later, layout, layout + 2 * far**3 * turned) == pytest.approx(1)
    moved = layout + random.normal(size=(300, 2))
    expected = spearmanr(far[:, 0], np.linalg.norm(moved - layout, axis=1)).statistic
    assert followed(cloud, later, layout, moved) == pytest.approx(expected)
    assert followed(cloud, cloud, layout, moved) is None and followed(cloud, later, layout, layout) is None


def test_points_in_one_place_have_no_measures():
    random, same = np.random.default_rng(0).normal(size=(20, 3)), np.ones((20, 3))
    for vectors, layout in ((random, same[:, :2]), (same, random[:, :2])):
        rated = rate(vectors, layout, NONE)
        assert rated.stress is None and rated.preservation is None
    assert rate(same, random[:, :2], NONE).trust is None
    assert rate(random, same[:, :2], NONE).continuity is None
