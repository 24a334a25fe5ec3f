"""What changed between two images, against loops."""

import numpy as np
import pytest

from reportgen.analysis.changes import changes, differing_box, peak_changes, reach_of
from reportgen.errors import DataError

RANDOM = np.random.default_rng(3)


def test_changes_agree_with_a_loop():
    first, second = RANDOM.normal(size=(2, 5, 4, 6)).astype(np.float32)
    found = changes(first, second)
    largest = max(np.abs(first).max(), np.abs(second).max())
    for channel in range(6):
        best = max(
            (
                (abs(float(second[y, x, channel]) - float(first[y, x, channel])), y, x)
                for y in range(5)
                for x in range(4)
            ),
            key=lambda entry: entry[0],
        )
        assert tuple(found.position[channel]) == best[1:]
        assert abs(found.largest[channel]) == best[0]
        assert found.before[channel] == first[best[1], best[2], channel]
        assert found.after[channel] == second[best[1], best[2], channel]
        assert found.share[channel] == pytest.approx(best[0] / largest)
    assert list(found.order) == sorted(range(6), key=lambda c: -found.share[c])


def test_changes_of_vectors_have_no_position():
    found = changes(np.array([1.0, 5.0]), np.array([4.0, 3.0]))
    assert found.position.shape == (2, 0)
    assert list(found.largest) == [3, -2]
    assert list(found.share) == [0.6, 0.4]


def test_values_that_are_not_finite_are_no_data():
    first, second = np.ones((2, 2, 3)), np.full((2, 2, 3), 2.0)
    first[0, 0, 0] = np.nan
    second[..., 1] = np.inf
    second[1, 1, 2] = 9.0
    found = changes(first, second)
    assert found.largest[0] == 1 and tuple(found.position[0]) == (0, 1)
    assert np.isnan(found.largest[1]) and np.isnan(found.share[1]) and tuple(found.position[1]) == (-1, -1)
    assert list(found.order) == [2, 0, 1]


def test_a_layer_of_zeros_did_not_change():
    found = changes(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))
    assert list(found.share) == [0, 0]


def test_large_values_do_not_overflow():
    found = changes(np.full((1, 1), 3e38, np.float32), np.full((1, 1), -3e38, np.float32))
    assert found.largest[0] == pytest.approx(-6e38)


def test_peaks_are_followed_to_the_other_image():
    first = np.zeros((13, 13))
    first[4:7, 3:6] = [[2, 3, 1], [4, 10, 5], [1, 2, 3]]
    first[5, 9] = 8.0
    first[11, 2] = 4.9  # below half of the largest
    second = first.copy()
    second[4:7, 3:6] *= 0.3
    second[4, 8] = 8.08  # moved by one position: still within reach
    peaks = peak_changes(first, second)
    assert [peak.position for peak in peaks] == [(5, 4), (5, 9)]
    assert peaks[0].relative == pytest.approx(-0.7)
    assert (peaks[1].before, peaks[1].after) == (8.0, 8.08)


def test_a_plateau_is_one_peak_and_flat_or_negative_maps_have_none():
    plateau = np.zeros((13, 13))
    plateau[6, 6:8] = 1.0
    assert [peak.position for peak in peak_changes(plateau, plateau)] == [(6, 6)]
    for nothing in (np.zeros((5, 5)), np.full((5, 5), -1.0), np.full((5, 5), np.nan)):
        assert peak_changes(nothing, nothing) == ()


def test_the_reach_grows_with_the_map():
    first = np.zeros((52, 52))
    first[20, 20], first[20, 23], first[20, 40] = 10, 9, 8
    assert reach_of(52, 52) == 4
    assert [peak.position for peak in peak_changes(first, first)] == [(20, 20), (20, 40)]


def test_the_box_around_a_difference():
    first = np.zeros((6, 8, 3))
    second = first.copy()
    assert differing_box(first, second) is None
    second[2, 5, 1] = second[4, 3, 0] = 1
    assert differing_box(first, second) == ((2, 4), (3, 5), 2 / 48)


def test_shapes_must_agree():
    with pytest.raises(DataError, match="one shape"):
        changes(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(DataError, match="one shape"):
        differing_box(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(DataError, match="two maps"):
        peak_changes(np.zeros(4), np.zeros(4))
