"""The evaluation passes: NaN seen in every batch, few batches in flight, images without a prediction."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from reportgen.analysis.health import ranges_health
from reportgen.capture import prepare
from reportgen.record.evaluate import AHEAD, BATCH, Passes


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (1, 1), name="conv")(x)
        return nn.Dense(3, name="output")(nn.relu(x).mean(axis=(1, 2)))


def passes(images: np.ndarray):
    variables = Net().init(jax.random.key(0), images[:1])
    return Passes(prepare(Net(), variables, images[:2]), labels=3, embed_layer="output"), variables


def images_of(count: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, size, size, 1)).astype(np.float32)


@pytest.mark.parametrize("where", [(0, 0, 0), (57, 3, 4), (99, 7, 7)])
def test_one_nan_among_thousands_of_values_is_an_extreme(where):
    """64 positions x 100 images are 6,400 values per channel; one pixel makes one value of each NaN."""
    images = images_of(BATCH)
    images[where] = np.nan
    found, variables = passes(images)
    extremes = found.evaluate(variables, images, np.zeros(BATCH, np.int64), vectors=0)[0]["conv"]
    assert np.isnan(extremes).all()
    assert ranges_health("conv", extremes, BATCH, np.zeros((0, 8, 8, 4))).non_finite == (0, 1, 2, 3)


def test_extremes_are_numpys():
    images = images_of(250)
    found, variables = passes(images)
    kernel, bias = (np.asarray(variables["params"]["conv"][name]) for name in ("kernel", "bias"))
    values = (images * kernel[0, 0] + bias).reshape(-1, 4)
    extremes = found.evaluate(variables, images, np.zeros(250, np.int64), vectors=0)[0]["conv"]
    np.testing.assert_allclose(extremes, [values.min(axis=0), values.max(axis=0)], rtol=1e-6)


def test_a_layer_of_nothing_but_nan_is_broken_not_empty():
    images = np.full((BATCH, 8, 8, 1), np.nan, np.float32)
    found, variables = passes(images)
    extremes = found.evaluate(variables, images, np.zeros(BATCH, np.int64), vectors=0)[0]["conv"]
    assert ranges_health("conv", extremes, BATCH, np.zeros((0, 8, 8, 4))).non_finite == (0, 1, 2, 3)


def test_few_batches_are_in_flight_and_vectors_are_kept_of_the_first_images_only():
    images, labels = images_of(12 * BATCH - 30, 2), np.zeros(12 * BATCH - 30, np.int64)
    found, variables = passes(images)
    expected = found.evaluate(variables, images, labels, vectors=150)
    evaluate, waiting, most, with_vectors = found._evaluate, set(), 0, []

    class Watched:
        """A batch's predictions, which leave the set of those that wait when they are fetched."""

        def __init__(self, number, value):
            self.number, self.value = number, value

        def __array__(self, dtype=None, copy=None):
            waiting.discard(self.number)
            return np.asarray(self.value)

    def watched(*batch):
        nonlocal most
        result = dict(evaluate(*batch))
        number = len(with_vectors)
        waiting.add(number)
        most = max(most, len(waiting))
        result["predictions"] = Watched(number, result["predictions"])
        with_vectors.append(result["vectors"])
        return result

    found._evaluate = watched
    again = found.evaluate(variables, images, labels, vectors=150)
    assert len(with_vectors) == 12
    assert 1 < most <= AHEAD
    np.testing.assert_equal(again[0], expected[0])
    np.testing.assert_equal(vars(again[2]), vars(expected[2]))
    np.testing.assert_array_equal(again[1], np.concatenate(with_vectors[:2])[:150])
    begun = [result for _, _, result in found._dispatched(variables, images, labels, 150)]
    assert ["vectors" in result for result in begun] == [True, True] + [False] * 10


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_image_whose_scores_are_not_finite_has_no_prediction_and_is_never_right(value):
    images = images_of(130)
    images[[3, 120]] = value
    found, variables = passes(images)
    right = np.asarray(Net().apply(variables, np.where(np.isfinite(images), images, 0))).argmax(axis=1)
    # Class 0 is what argmax makes of NaN. All weights of this net are negative: -inf gives infinite scores.
    labels = np.where(np.isin(np.arange(130), [3, 120]), 0, right)
    _, _, result = found.evaluate(variables, images, labels, vectors=0)
    assert np.flatnonzero(result.predictions == -1).tolist() == [3, 120]
    assert result.label_counts.sum() == 128
    assert np.isfinite(result.label_sums["conv"]).all() and np.isfinite(result.input_sums).all()


def test_infinities_of_both_signs_are_extremes_and_no_nan():
    images = images_of(BATCH)
    images[4, 2, 2], images[4, 5, 5] = np.inf, -np.inf
    found, variables = passes(images)
    extremes = found.evaluate(variables, images, np.zeros(BATCH, np.int64), vectors=0)[0]["conv"]
    np.testing.assert_array_equal(extremes, [[-np.inf] * 4, [np.inf] * 4])
