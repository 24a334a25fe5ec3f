"""The embedding over epochs: still, comparable, deterministic, and quiet on degenerate data."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from reportgen.analysis.embedding import align, embed, movement, place
from reportgen.analysis.fuzzy import fuzzy_graph, lay_out
from reportgen.analysis.neighbors import nearest
from reportgen.errors import DataError, OptionError

DIGITS = load_digits()
ONE_FRAME = """
import sys, hashlib, numpy as np
from reportgen.analysis.embedding import embed
vectors = np.load(sys.argv[1])
print(hashlib.sha256(embed(list(vectors), np.zeros(0)).frames.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def digits():
    return DIGITS.data[:300].astype(np.float32), DIGITS.target[:300]


@pytest.fixture(scope="module")
def turned(digits):
    """The same vectors in every frame: mirrored and turned in 64 dimensions, then shifted and scaled."""
    vectors, labels = digits
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    mirror = np.eye(64)
    mirror[0, 0] = -1
    return embed([vectors, vectors @ mirror @ rotation, vectors, 3 * vectors + 100], labels)


def test_the_same_vectors_turned_or_mirrored_hardly_move(digits, turned):
    vectors, _ = digits
    graph = fuzzy_graph(*nearest(vectors, 39))
    # UMAP from a random start (tests/analysis/test_fuzzy.py compares the layout with umap-learn's own).
    starts = np.random.default_rng(0).normal(size=(2, len(vectors), 2))
    layouts = [lay_out(graph, start, 500, 1.0, seed) for seed, start in enumerate(starts)]
    independent = movement(*layouts)
    assert independent > 0.6
    assert all(moved < 0.25 and moved < independent / 3 for moved in turned.movement[1:])


def test_the_layout_is_worth_believing(digits, turned):
    vectors, labels = digits
    for frame, trust, accuracy in zip(turned.frames, turned.trust, turned.accuracy, strict=True):
        assert trust == pytest.approx(sklearn_trustworthiness(vectors, frame, n_neighbors=15), abs=1e-3)
        assert trust > 0.94 and accuracy > 0.9
    assert turned.movement[0] is None and len(turned.movement) == 4
    assert turned.method == "umap" and turned.n_neighbors == 40 and turned.dropped == 0
    np.testing.assert_array_equal(turned.labels, labels)


def test_frames_lie_around_one_centre_and_are_aligned(turned):
    np.testing.assert_allclose(turned.frames.mean(axis=1), 0, atol=1e-4)
    for before, after in zip(turned.frames, turned.frames[1:], strict=False):
        np.testing.assert_allclose(align(after, before), after, atol=1e-4)


def test_bitwise_the_same_in_two_processes(digits, tmp_path):
    vectors, _ = digits
    frames = np.stack([vectors[:120], vectors[:120] ** 1.2])
    np.save(tmp_path / "frames.npy", frames)
    command = [sys.executable, "-c", ONE_FRAME, str(tmp_path / "frames.npy")]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    here = hashlib.sha256(embed(list(frames), np.zeros(0)).frames.tobytes()).hexdigest()
    # And silent: nothing but the hash, on either stream.
    assert (other.stdout, other.stderr) == (here + "\n", "")


def test_align_undoes_a_rotation_a_mirror_and_a_shift():
    layout = np.random.default_rng(0).normal(size=(50, 2)) * [3, 1]
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    for matrix in (turn, turn @ np.diag([1, -1])):
        np.testing.assert_allclose(align(layout @ matrix + 7, layout), layout, atol=1e-12)
    np.testing.assert_allclose(np.ptp(align(2 * layout, layout), axis=0), 2 * np.ptp(layout, axis=0), atol=1e-9)


def test_movement_is_the_mean_distance_by_the_radius():
    square = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert movement(square + np.array([3, 4]), square) == pytest.approx(5 / np.sqrt(2))
    assert movement(square, np.ones((4, 2))) is None
    assert movement(square, 3 + 1e-15 * square) is None, "a radius that is only rounding"


def test_pca_is_one_linear_map(digits):
    vectors, labels = digits
    seen = []
    result = embed([vectors, vectors * 2 + 1], labels, "pca", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)] and result.n_neighbors == 0
    # Scale and offset of a frame are taken out: nothing moves.
    assert result.movement[1] == pytest.approx(0, abs=1e-5)
    expected = PCA(2, svd_solver="full").fit_transform(vectors.astype(np.float64))
    expected /= np.sqrt(np.square(vectors - vectors.mean(axis=0)).sum(axis=1).mean())
    np.testing.assert_allclose(np.abs(result.frames[0]), np.abs(expected), atol=1e-5)
    again = place(vectors * 2 + 1, result.frames[-1], vectors * 2 + 1, result.projections[-1])
    np.testing.assert_allclose(again, result.frames[-1], atol=1e-9)
    first = result.projections[-1].basis
    assert (first[np.abs(first).argmax(axis=0), [0, 1]] > 0).all()


def test_pca_of_very_wide_vectors():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 1500)) * [1.0] + rng.normal(size=(60, 1500)) * 0.01
    layout = embed([vectors], np.zeros(0), "pca").frames[0]
    expected = PCA(2, svd_solver="full").fit_transform(vectors)
    np.testing.assert_allclose(
        np.abs(layout) / np.abs(layout).max(), np.abs(expected) / np.abs(expected).max(), atol=1e-6
    )


@pytest.mark.parametrize("method", ["umap", "pca"])
@pytest.mark.parametrize(
    "frame",
    [
        np.ones((12, 4)),
        np.full((12, 4), 0.1, np.float32),
        np.zeros((3, 5)),
        np.eye(3),
        np.arange(12.0)[:, None],
        np.arange(20.0)[:, None] * [1.0, 0.0],
        np.repeat(np.eye(4), 10, axis=0),
        np.vstack([np.zeros((30, 3)), np.ones((1, 3))]),
        np.random.default_rng(0).normal(size=(30, 2)) * 1e300,
        np.random.default_rng(0).normal(size=(30, 2)) * 1e-300,
        (np.random.default_rng(0).normal(size=(30, 2)) * 2e4).astype(np.float16),
    ],
    ids=["equal", "rounded", "zeros", "three", "one_unit", "line", "twins", "outlier", "huge", "tiny", "half"],
)
def test_degenerate_frames(frame, method):
    other = np.random.default_rng(1).normal(size=frame.shape)
    result = embed([frame, other, frame, frame], np.zeros(0), method)
    assert result.frames.shape == (4, len(frame), 2) and np.isfinite(result.frames).all()
    assert result.frames.dtype == np.float64
    if (frame == frame[0]).all():
        assert (result.frames[0] == result.frames[0, 0]).all() and (result.frames[2] == result.frames[2, 0]).all()
        assert result.trust[0] is None and result.movement[2] is None
    else:
        assert np.ptp(result.frames[0], axis=0).max() > 0 and 0 <= result.trust[0] <= 1
    if method == "umap":
        assert result.n_neighbors == min(40, len(frame) - 1)


@settings(max_examples=30)
@example(np.array([[[5e-324], [0.0], [0.0]]]))
@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(3, 9), st.integers(1, 4))))
def test_pca_of_anything_is_finite_or_refused(frames):
    try:
        result = embed(list(frames), np.arange(frames.shape[1]), "pca")
    except DataError as error:
        assert "three points" in str(error)
        return
    assert np.isfinite(result.frames).all() and result.dropped + len(result.points) == frames.shape[1]
    assert np.abs(result.frames).max() <= np.sqrt(frames.shape[1]) * 1.001
    assert all(value is None or np.isfinite(value) for value in (*result.trust, *result.accuracy, *result.movement))


def test_points_that_are_not_finite_are_left_out_and_counted(digits):
    vectors, labels = (part[:40].copy() for part in digits)
    broken = vectors.copy()
    broken[3, 5], broken[17, 0] = np.nan, np.inf
    result = embed([vectors, broken], labels, "pca")
    assert result.dropped == 2 and result.frames.shape == (2, 38, 2)
    assert set(range(40)) - set(result.points.tolist()) == {3, 17}
    np.testing.assert_array_equal(result.labels, labels[result.points])
    with pytest.raises(DataError, match=r"Frame 1 .*has 0 of 40"):
        embed([vectors, vectors * np.nan], labels)


@pytest.mark.parametrize(
    ("frames", "labels", "words"),
    [
        ([], np.zeros(0), "missing"),
        ([np.zeros((5, 2)), np.zeros((5, 3))], np.zeros(0), r"\(5, 2\), \(5, 3\)"),
        ([np.zeros((5, 0))], np.zeros(0), "at least one unit"),
        ([np.zeros(5)], np.zeros(0), r"\(5,\)"),
        ([np.zeros((5, 2))], np.zeros(4), "4 labels for 5"),
        ([np.zeros((2, 2))], np.zeros(2), "three points"),
    ],
)
def test_what_does_not_match_is_said(frames, labels, words):
    with pytest.raises(DataError, match=words):
        embed(frames, labels)


def test_unknown_options():
    with pytest.raises(OptionError, match="did you mean umap"):
        embed([np.eye(4)], np.zeros(0), "unap")


def test_placed_points_keep_the_labels_that_their_vectors_tell():
    train, test = DIGITS.data[:600], DIGITS.data[600:1200]
    truth, expected = DIGITS.target[:600], DIGITS.target[600:1200]
    layout = embed([train], truth).frames[0]
    placed = place(train, layout, test)
    rate = KNeighborsClassifier(15).fit(layout, truth).score
    in_full = KNeighborsClassifier(15).fit(train, truth).score(test, expected)
    assert rate(placed, expected) >= in_full - 0.02
    # The mean of the same neighbours' positions lies between the clusters more often.
    _, indices = NearestNeighbors(n_neighbors=15).fit(train).kneighbors(test)
    assert rate(placed, expected) >= rate(layout[indices].mean(axis=1), expected)
    # A point's place does not depend on the company it is placed in.
    np.testing.assert_allclose(place(train, layout, test[5:6]), placed[5:6], atol=1e-9)


def test_placing_single_points():
    train = np.array([[0.0, 0], [0, 1], [0, 2], [10, 0], [10, 1], [10, 2]])
    layout = np.array([[0.0, 0], [0, 1], [0, 2], [5, 0], [5, 1], [5, 2]])
    placed = place(train, layout, np.array([[0.0, 1.0], [np.nan, 0], [9.9, 1.1], [1e300, 0]]))
    np.testing.assert_array_equal(placed[0], layout[1])
    assert np.isnan(placed[1]).all() and np.isfinite(placed[2:]).all()
    assert placed[2, 0] > 4
    assert place(train, layout, np.zeros((0, 2))).shape == (0, 2)
    # A vector between two equally distant clusters is put into one of them or between, never outside.
    assert 0 <= place(train, layout, np.array([[5.0, 1.0]]))[0, 0] <= 5
    with pytest.raises(DataError, match=r"\(6, 2\), \(5, 2\)"):
        place(train, layout[:5], train)
    with pytest.raises(DataError, match="all finite"):
        place(train * np.nan, layout, train)
