"""Activity per label, recomputed image by image from raw maps, and where there is no data."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.analysis.activity import label_activity, layer_activity
from reportgen.core.outcome import Classification
from reportgen.core.run import Observation
from reportgen.errors import DataError, OptionError


def test_against_a_loop_over_images():
    rng = np.random.default_rng(0)
    images, maps = rng.random((40, 6, 6, 1)), rng.random((40, 3, 3, 5)).astype(np.float32)
    labels, predictions = rng.integers(0, 4, 40), rng.integers(0, 4, 40)
    labels[:8] = predictions[:8] = np.arange(8) % 4
    sums, counts, inputs = np.zeros((4, 5)), np.zeros(4, int), np.zeros(4)
    for image, stack, label, guess in zip(images, maps, labels, predictions, strict=True):
        if label == guess:
            counts[label] += 1
            inputs[label] += image.sum()
            sums[label] += stack.sum(axis=(0, 1), dtype=np.float64)
    result = label_activity(sums, counts, inputs)

    selectivities = []
    for channel in range(5):
        ratios = []
        for label in range(4):
            right = [i for i in range(40) if labels[i] == predictions[i] == label]
            activity = sum(float(maps[i, :, :, channel].astype(np.float64).sum()) for i in right) / len(right)
            mean_input = sum(float(images[i].sum()) for i in right) / len(right)
            assert result.activity[label, channel] == pytest.approx(activity, rel=1e-12)
            assert result.ratio[label, channel] == pytest.approx(activity / mean_input, rel=1e-12)
            assert result.images[label] == len(right)
            ratios.append(activity / mean_input)
        mean = sum(ratios) / 4
        selectivities.append(math.sqrt(sum((r - mean) ** 2 for r in ratios) / 4) / mean)
        assert result.label_cv[channel] == pytest.approx(selectivities[-1], rel=1e-9)
        assert result.preferred[channel] == ratios.index(max(ratios))
        assert result.multiple[channel] == pytest.approx(max(ratios) / mean, rel=1e-9)
    assert result.order.tolist() == sorted(range(5), key=lambda c: -selectivities[c])
    assert result.compared == "ratio"


def test_no_data_is_nan_and_nothing_else_is():
    sums = np.array([[4.0, 0.0], [9.0, 0.0], [6.0, 0.0], [8.0, 0.0]])
    result = label_activity(sums, np.array([2, 0, 3, 4]), np.array([1.0, 1.0, 0.0, 2.0]))
    assert np.isnan(result.activity[:, 0]).tolist() == [False, True, False, False]
    assert np.isnan(result.ratio[:, 0]).tolist() == [False, True, True, False]
    assert np.isnan(result.input_mean).tolist() == [False, True, False, False]
    # Channel 1 is dead: it answers to all labels alike, and prefers none.
    assert result.label_cv[1] == 0 and result.preferred[1] == -1 and np.isnan(result.multiple[1])
    assert result.label_cv[0] == 0 and result.preferred[0] == -1  # 4 and 4: constant too


def test_channels_without_data_come_last_and_ties_go_by_number():
    sums = np.array([[1.0, 1.0, np.nan, 1.0, 3.0], [1.0, 3.0, 1.0, 1.0, 9.0]])
    result = label_activity(sums, np.array([1, 1]), np.array([1.0, 1.0]))
    assert result.order.tolist() == [1, 4, 0, 3, 2]
    assert np.isnan(result.label_cv[2]) and result.preferred[2] == -1


@given(st.floats(1e-300, 1e300), st.integers(1, 9))
def test_label_cv_does_not_depend_on_the_scale(scale, n):
    sums = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.5]])
    plain = label_activity(sums, np.full(3, n), np.ones(3))
    scaled = label_activity(sums * scale, np.full(3, n), np.ones(3))
    np.testing.assert_allclose(scaled.label_cv, plain.label_cv, rtol=1e-9)
    np.testing.assert_allclose(scaled.multiple, plain.multiple, rtol=1e-9)


def test_constant_channels_are_constant_despite_rounding():
    result = label_activity(np.full((10, 3), 0.1), np.ones(10, int), np.ones(10))
    assert result.label_cv.tolist() == [0, 0, 0] and result.preferred.tolist() == [-1, -1, -1]


def test_signed_values_have_a_preferred_label_but_no_multiple():
    result = label_activity(np.array([[-1.0], [0.5], [0.499]]), np.ones(3, int), np.ones(3))
    assert result.preferred[0] == 1 and np.isnan(result.multiple[0])
    assert 0 < result.label_cv[0] < 3


def test_standardised_input_is_compared_by_activity():
    result = label_activity(np.array([[1.0], [4.0]]), np.array([1, 1]), np.array([2.0, -2.0]))
    assert result.compared == "activity" and result.preferred[0] == 1 and result.multiple[0] == 1.6
    assert result.ratio[:, 0].tolist() == [0.5, -2.0]


def clear(activity, images=(20, 20, 20), inputs=(1, 1, 1)) -> list[bool]:
    """Whether each channel clearly prefers a label, from its mean activity [label, channel]."""
    counts = np.array(images)
    return label_activity(np.array(activity, float) * counts[:, None], counts, np.array(inputs) * counts).clear.tolist()


def test_a_clear_preference_takes_both_values_enough_images_and_a_living_channel():
    assert clear([[9, 9, 3], [3, 3, 3], [3, 3, 3]]) == [True, True, False]
    assert clear([[9, 9, 3], [3, 3, 3], [3, 3, 3]], images=(19, 20, 20)) == [False] * 3
    # Divided by the input's sum, label 2 is the largest: it has little ink.
    assert clear([[9, 9, 3], [3, 3, 3], [3, 3, 3]], inputs=(9, 9, 1)) == [False] * 3
    # The first channel is selective at a tenth of the others' activity, the last one is dead.
    assert clear([[0.9, 9, 9, 0], [0.3, 3, 3, 0], [0.3, 3, 3, 0]]) == [False, True, True, False]
    # Under 1.5 times the mean of the others.
    assert clear([[4.4, 4.4], [3, 3], [3, 3]]) == [False, False]
    assert clear([[9, 9], [-3, 3], [3, 3]]) == [False, True], "nothing is said of values of both signs"
    none = label_activity(np.zeros((0, 2)), np.zeros(0, int), np.zeros(0))
    assert none.clear.tolist() == [False, False]


def test_the_class_selectivity_index():
    result = label_activity(np.array([[6.0, 5.0, 1.0], [2.0, 5.0, 0.0], [1.0, 5.0, 0.0]]), np.ones(3, int), np.ones(3))
    assert result.selectivity.tolist() == pytest.approx([4.5 / 7.5, 0, 1])
    assert result.most_active.tolist() == [0, -1, 0] and result.times[0] == 2


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5)), st.data())
def test_any_values_give_numbers_or_no_data(sums, data):
    labels, channels = sums.shape
    counts = data.draw(hnp.arrays(np.int64, labels, elements=st.integers(0, 5)))
    inputs = data.draw(hnp.arrays(np.float64, labels))
    result = label_activity(sums, counts, inputs)
    assert not np.isinf(result.activity).any() and not np.isinf(result.ratio).any()
    assert np.isnan(result.activity[counts == 0]).all() and np.isnan(result.ratio[inputs == 0]).all()
    assert sorted(result.order.tolist()) == list(range(channels))
    known = result.label_cv[np.isfinite(result.label_cv)]
    assert (known >= 0).all() and (known <= np.sqrt(max(labels, 1)) + 1e-9).all()
    assert (result.multiple[np.isfinite(result.multiple)] >= 1 - 1e-9).all()
    index = result.selectivity[np.isfinite(result.selectivity)]
    assert (index >= 0).all() and (index <= 1).all()
    for channel in np.flatnonzero(result.preferred >= 0):
        assert counts[result.preferred[channel]] > 0


def test_float16_sums_are_widened():
    result = label_activity(np.full((2, 1), 60_000, np.float16), np.array([1, 1]), np.full(2, 1e-2, np.float16))
    assert np.isfinite(result.ratio).all() and result.ratio[0, 0] > 5e6


def test_of_a_layer():
    predictions, gaps, sums = np.zeros(0, np.int64), np.zeros(0, np.float32), {"conv1": np.array([[2.0], [4.0]])}
    outcome = Classification(predictions, gaps, np.array([1, 2]), sums, np.array([1.0, 1.0]))
    recorded = Observation(1, 1, {}, outcome=outcome)
    assert layer_activity(recorded, "conv1").activity[:, 0].tolist() == [2.0, 2.0]
    with pytest.raises(OptionError, match="did you mean conv1"):
        layer_activity(recorded, "conv")
    with pytest.raises(OptionError, match="no activity was recorded for 'conv1'"):
        layer_activity(Observation(1, 1, {}), "conv1")


@pytest.mark.parametrize(
    ("sums", "counts", "inputs"),
    [
        (np.zeros((2, 3)), np.zeros(3, int), np.zeros(2)),
        (np.zeros(2), np.zeros(2, int), np.zeros(2)),
        (np.zeros((2, 3)), np.array([-1, 2]), np.zeros(2)),
        (np.zeros((2, 3)), np.array([0.5, 2]), np.zeros(2)),
    ],
)
def test_shapes_and_counts_are_checked(sums, counts, inputs):
    with pytest.raises(DataError):
        label_activity(sums, counts, inputs)
