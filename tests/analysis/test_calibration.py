"""Calibration: recomputed bin by bin, and against networks of which the answer is known."""

import numpy as np
import pytest

from reportgen.analysis.calibration import BINS, calibration, top_right
from reportgen.analysis.scores import class_measures
from reportgen.errors import DataError


def by_hand(confidence, right):
    """(error, examples per bin): each example is looked for in each bin."""
    error, counts = 0.0, []
    for place in range(BINS):
        low, high = place / BINS, (place + 1) / BINS
        inside = [i for i, p in enumerate(confidence) if low < p <= high or (place == 0 and p == 0)]
        counts.append(len(inside))
        if inside:
            distance = abs(np.mean([confidence[i] for i in inside]) - np.mean([right[i] for i in inside]))
            error += len(inside) / len(confidence) * distance
    return error, counts


def test_the_error_is_that_of_every_bin_by_hand():
    rng = np.random.default_rng(1)
    confidence = np.concatenate([[0.0, 1.0], rng.random(400)])
    right = rng.random(402) < confidence**2
    found = calibration(confidence, right)
    error, counts = by_hand(confidence.tolist(), right.tolist())
    assert found.error == pytest.approx(error, abs=1e-12)
    assert found.images.tolist() == counts
    assert found.right.sum() == right.sum() and found.mean == pytest.approx(confidence.mean())


@pytest.mark.parametrize("power", [1, 6])
def test_a_calibrated_network_stays_within_chance_and_an_overconfident_one_does_not(power):
    rng = np.random.default_rng(2)
    confidence = rng.random(3000) * 0.5 + 0.5
    found = calibration(confidence, rng.random(3000) < confidence**power)
    assert (found.error > found.chance[1]) == (power > 1)
    assert 0 < found.chance[0] < found.chance[1] < 0.05


def test_chance_is_what_drawing_the_answers_gives():
    """Of one bin the error is |hits / n − p|, whose distribution is the binomial's."""
    from scipy.stats import binom

    n, p = 200, 0.97
    found = calibration(np.full(n, p), np.arange(n) >= 6)
    hits = np.arange(n + 1)
    assert found.error == pytest.approx(0.0, abs=1e-12)
    assert found.chance[0] == pytest.approx((np.abs(hits / n - p) * binom.pmf(hits, n, p)).sum(), rel=0.1)


def test_the_same_examples_have_the_same_chance():
    confidence = np.linspace(0.4, 1, 50, dtype=np.float32)
    first, again = (calibration(confidence, confidence > 0.5) for _ in range(2))
    assert first.chance == again.chance


def test_nothing_and_nonsense():
    assert np.isnan(calibration(np.zeros(0), np.zeros(0, bool)).error)
    with pytest.raises(DataError, match="from 0 to 1"):
        calibration(np.array([0.5, np.nan]), np.array([True, False]))
    with pytest.raises(DataError, match="2 confidences for 1"):
        calibration(np.array([0.5, 0.5]), np.array([True]))


def test_the_truth_among_the_first_guesses():
    classes = np.array([[2, 0, 1], [1, 2, 0], [-1, -1, -1]], np.int32)
    assert top_right(classes, np.array([0, 1, 2])).tolist() == [1, 2, 2]


def test_class_measures_are_those_of_scikit_learn_and_their_intervals_hold_them():
    from sklearn.metrics import precision_recall_fscore_support

    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 300)
    guess = np.where(rng.random(300) < 0.7, truth, rng.integers(0, 4, 300))
    both, guessed, have = (np.bincount(of, minlength=5) for of in (truth[truth == guess], guess, truth))
    found = class_measures(both, guessed, have)
    expected = precision_recall_fscore_support(truth, guess, labels=range(5), zero_division=np.nan)
    for (value, low, high), right in zip(found.values(), expected, strict=False):
        np.testing.assert_allclose(value[:4], right[:4])
        assert ((low <= value) & (value <= high))[:4].all()
        assert np.isnan([value[4], low[4], high[4]]).all(), "a class that neither occurs nor is predicted"


def test_a_perfect_class_has_an_interval_too():
    """The interval of a ratio estimate would be a point."""
    value, low, high = class_measures(*(np.array([30]),) * 3)["F1"]
    assert value == high == 1 and 0.9 < low[0] < 0.97


def test_the_interval_of_f1_covers_the_truth_as_often_as_it_says():
    rng, n = np.random.default_rng(4), 150
    has = rng.random((400, n)) < 0.3
    says = np.where(rng.random((400, n)) < 0.9, has, ~has)
    true = 2 * 0.27 / (0.3 + 0.27 + 0.07)
    _, low, high = class_measures((has & says).sum(axis=1), says.sum(axis=1), has.sum(axis=1))["F1"]
    assert 0.92 <= ((low <= true) & (true <= high)).mean() <= 0.99
