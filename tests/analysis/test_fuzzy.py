"""Neighbourhoods against umap-learn's own and against the equation, the layout bit by bit."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from reportgen.analysis.fuzzy import CURVE, _apart, fuzzy_graph, lay_out, memberships
from reportgen.analysis.neighbors import nearest

ROOT = Path(__file__).parents[2]


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


def laid_out_by_umap(umap_, vectors, start, rate):
    """(graph, layout) of its own after 20 passes from `start`, seeded with 5; its loop in float32, as ours is."""
    a, b, one, rate = (np.float32(value) for value in (*CURVE, 1, rate))
    # The neighbours are given, for numba would compile its search as well.
    given = {"precomputed_knn": as_umap_wants(*nearest(vectors, 14)), "init": start.astype(np.float32)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = umap_.UMAP(
            15, n_epochs=20, random_state=5, a=a, b=b, repulsion_strength=one, learning_rate=rate, **given
        )
        layout = model.fit_transform(vectors)
    return model.graph_, layout


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


def test_the_layout_is_umap_learns(vectors, umap_):
    start = vectors[:, [20, 43]] + np.random.default_rng(0).normal(size=(len(vectors), 2))
    # Of one and the same graph: in another one, rounding would tell after a few chaotic passes.
    graph, expected = laid_out_by_umap(umap_, vectors, start, 0.5)
    np.testing.assert_array_equal(lay_out(graph, start, 20, 0.5, seed=5), expected)
    assert not np.array_equal(lay_out(graph, start, 20, 0.5, seed=6), expected)


def test_the_curve_is_umap_learns_for_its_defaults(umap_):
    np.testing.assert_allclose(CURVE, umap_.find_ab_params(1.0, 0.1), rtol=1e-6)


def test_points_in_one_place_are_parted_as_umap_learn_does(vectors, umap_):
    start = np.random.default_rng(0).normal(size=(len(vectors), 2))
    start[1::3] = start[::3]
    assert len(np.unique(_apart(start, np.random.RandomState(5)), axis=0)) == len(start)
    graph, expected = laid_out_by_umap(umap_, vectors, start, 1.0)
    np.testing.assert_array_equal(lay_out(graph, start, 20, 1.0, seed=5), expected)


LAID_OUT = """
import warnings
import numpy as np
from reportgen.analysis.fuzzy import fuzzy_graph, lay_out
from reportgen.analysis.neighbors import nearest

warnings.simplefilter("ignore")
vectors = np.random.default_rng(0).normal(size=(20, 3))
lay_out(fuzzy_graph(*nearest(vectors, 5)), vectors[:, :2], 5, 1.0, seed=0)
print("laid out")
import umap
from umap import UMAP
print(umap.UMAP is UMAP, umap.umap_.UMAP is UMAP, umap.__version__[:2])
"""


def test_tensorflow_is_imported_only_for_who_asks_for_the_whole_of_umap_learn(tmp_path):
    (tmp_path / "tensorflow.py").write_text("print('tensorflow')\nraise ImportError")
    # Compiling the whole of umap-learn would take longest here too.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", LAID_OUT], capture_output=True, text=True, env=environment)
    assert done.stdout.split("\n") == ["laid out", "tensorflow", "True True 0.", ""], done.stderr
