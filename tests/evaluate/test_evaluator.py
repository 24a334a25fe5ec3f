"""The evaluator and its reducers: NaN seen in every batch, few batches in flight, copies that never count."""

import math
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.analysis.health import ranges_health
from reportgen.capture import prepare
from reportgen.core.outcome import Kind, Task
from reportgen.core.run import Batch, LazyArray
from reportgen.evaluate import (
    Evaluator,
    LabelSums,
    Maps,
    Observer,
    Predictions,
    Ranges,
    Top,
    Vectors,
    columns,
    evaluator,
    predicted,
    reducers,
)
from reportgen.evaluate.evaluator import AHEAD, BATCH, Examples
from reportgen.evaluate.reducers import MostProbable, summed_labels


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (1, 1), name="conv")(x)
        return nn.Dense(3, name="output")(nn.relu(x).mean(axis=(1, 2)))


def images_of(count: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, size, size, 1)).astype(np.float32)


VARIABLES = Net().init(jax.random.key(0), images_of(1))
CAPTURE = prepare(Net(), VARIABLES, images_of(2))


def ranges_of(images: np.ndarray) -> np.ndarray:
    (ranges,) = Evaluator(CAPTURE, [Ranges()])(VARIABLES, images)
    return ranges["conv"]


def conv_of(images: np.ndarray) -> np.ndarray:
    kernel, bias = (np.asarray(VARIABLES["params"]["conv"][name]) for name in ("kernel", "bias"))
    return images * kernel[0, 0] + bias


@pytest.mark.parametrize("where", [(0, 0, 0), (57, 3, 4), (99, 7, 7)])
def test_one_nan_among_thousands_of_values_is_in_the_range(where):
    """64 positions x 100 images are 6,400 values per channel; one pixel makes one value of each NaN."""
    images = images_of(2 * BATCH)
    images[where] = np.nan
    ranges = ranges_of(images)
    assert np.isnan(ranges).all()
    assert ranges_health("conv", ranges, BATCH, np.zeros((0, 8, 8, 4))).non_finite == (0, 1, 2, 3)


def test_ranges_are_numpys():
    images = images_of(250)
    values = conv_of(images).reshape(-1, 4)
    np.testing.assert_allclose(ranges_of(images), [values.min(axis=0), values.max(axis=0)], rtol=1e-6)


def test_a_layer_of_nothing_but_nan_is_broken_not_empty():
    ranges = ranges_of(np.full((BATCH, 8, 8, 1), np.nan, np.float32))
    assert ranges_health("conv", ranges, BATCH, np.zeros((0, 8, 8, 4))).non_finite == (0, 1, 2, 3)


def test_infinities_of_both_signs_are_a_range_and_no_nan():
    images = images_of(BATCH)
    images[4, 2, 2], images[4, 5, 5] = np.inf, -np.inf
    np.testing.assert_array_equal(ranges_of(images), [[-np.inf] * 4, [np.inf] * 4])


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_image_whose_scores_are_not_finite_has_no_prediction_and_is_never_right(value):
    images = images_of(130)
    images[[3, 120]] = value
    right = np.asarray(Net().apply(VARIABLES, np.where(np.isfinite(images), images, 0))).argmax(axis=1)
    # Class 0 is what argmax makes of NaN. All weights of this net are negative: -inf gives infinite scores.
    labels = np.where(np.isin(np.arange(130), [3, 120]), 0, right)
    # As the recorder has them; alone, XLA fuses relu into the mean, and its max drops NaN before the output has it.
    evaluate = Evaluator(CAPTURE, [Ranges(), Predictions(), LabelSums(3, np.arange(3), lambda output: output)])
    _, (predictions, _), (sums, counts, inputs) = evaluate(VARIABLES, images, labels)
    assert np.flatnonzero(predictions == -1).tolist() == [3, 120]
    assert counts.sum() == 128
    assert np.isfinite(sums["conv"]).all() and np.isfinite(inputs).all()


def test_a_score_of_minus_infinity_masks_its_class_alone():
    nan, inf = np.nan, np.inf
    scores = np.array([[-inf, 1, 2], [-inf, -inf, -inf], [inf, 0, 1], [nan, 0, 1], [0, 3, nan], [5, -inf, 1]])
    for found in (predicted(scores), predicted(jnp.array(scores)), jax.jit(predicted)(scores)):
        assert found.tolist() == [2, -1, -1, -1, -1, 0]


def test_what_several_reducers_give_of_a_batch_is_computed_and_held_once():
    class Shared:
        def batch(self, values, output, examples, real):
            return {"output": output, "sums": values.sums, "targets": examples.targets}

        def merge(self, total, part, count):
            return [*(total or []), *jax.tree.leaves(part)]

        def result(self, total):
            return total

    one, other = Evaluator(CAPTURE, [Shared(), Shared()])(VARIABLES, images_of(6), np.arange(6))
    assert len(one) > 2 and all(a is b for a, b in zip(one, other, strict=True))


class Counted:
    """A reducer that notes which parts wait on the device."""

    def __init__(self):
        self.traced, self.merged = [], []

    def batch(self, values, output, examples, real):
        self.traced.append(len(output))
        return jnp.sum(real)

    def merge(self, total, part, count):
        self.merged.append((int(part), count))
        return (total or 0) + count

    def result(self, total):
        return total


@pytest.mark.parametrize(
    ("examples", "size", "counts"),
    [(8, 8, [8]), (1, 2, [1]), (100, 100, [100]), (101, 51, [51, 50]), (250, 84, [84, 84, 82])],
)
def test_batches_are_of_one_size_and_lack_less_than_an_example_each(monkeypatch, examples, size, counts):
    monkeypatch.setattr(evaluator, "BATCH", 100)
    reducer = Counted()
    (total,) = Evaluator(CAPTURE, [reducer])(VARIABLES, images_of(examples))
    assert reducer.traced == [size] and total == examples
    assert reducer.merged == [(count, count) for count in counts]


def test_few_batches_are_in_flight():
    read, reducer = [], Counted()
    images = images_of(12 * BATCH - 30, 2)

    def part(chosen):
        read.append(len(read) + 1 - len(reducer.merged))
        return images[chosen]

    progress = []
    inputs = LazyArray(images.shape, part)
    (total,) = Evaluator(CAPTURE, [reducer])(VARIABLES, inputs, progress=lambda *done: progress.append(done))
    assert total == len(images) and max(read) == AHEAD and len(read) == 12
    assert progress[0] == (254, 3042) and progress[-1] == (3042, 3042) and len(progress) == 12


def test_vectors_are_of_the_first_examples_and_maps_are_whole():
    images = images_of(5 * BATCH - 30, 2)
    evaluate = Evaluator(CAPTURE, [Vectors("conv", 150), Maps()])
    vectors, maps = evaluate(VARIABLES, images)
    np.testing.assert_allclose(maps["conv"], conv_of(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(vectors, maps["conv"][:150].reshape(150, -1))
    few = evaluate(VARIABLES, images[:3])
    np.testing.assert_allclose(few[1]["conv"], maps["conv"][:3], rtol=1e-6)


def test_a_call_takes_as_many_examples_as_fit_into_the_bytes_set_for_it(monkeypatch):
    monkeypatch.setattr(evaluator, "BATCH_BYTES", 7 * 4 * math.prod(CAPTURE.network.layers["conv"].shape))
    images, sizes = images_of(20), []
    evaluate = Evaluator(replace(CAPTURE, selected=("conv",)), [Maps()])
    (maps,) = evaluate(VARIABLES, images, progress=lambda done, of: sizes.append(done))
    assert sizes == [7, 14, 20]
    np.testing.assert_allclose(maps["conv"], conv_of(images), rtol=1e-5, atol=1e-6)


def test_more_examples_than_a_few_take_no_more_than_is_held_for_the_next_call(monkeypatch):
    size = 4 * sum(math.prod(layer.shape) for layer in CAPTURE.network.layers.values())
    monkeypatch.setattr(evaluator, "HELD", 3)
    for examples, sizes in ((4, [4, 8, 12]), (1, [3, 6, 9, 12])):
        done = []
        monkeypatch.setattr(evaluator, "HELD_BYTES", examples * size)
        Evaluator(CAPTURE, [Counted()])(
            VARIABLES, images_of(12), progress=lambda count, of, done=done: done.append(count)
        )
        assert done == sizes


@pytest.mark.parametrize(("size", "selected"), [(8, ("output",)), (64, ("conv",)), (64, ("output",))])
@pytest.mark.parametrize("streamed", [False, True])
def test_few_large_examples_do_not_take_the_memory_of_a_hundred(monkeypatch, size, selected, streamed):
    images, sizes = images_of(20, size), []
    capture = replace(prepare(Net(), VARIABLES, images[:2]), selected=selected)
    monkeypatch.setattr(evaluator, "BATCH_BYTES", 5 * 4 * 4 * size * size)  # of the largest layer, which has 4 channels
    evaluate = Evaluator(capture, [Counted()])
    done = lambda done, of: sizes.append(done)  # noqa: E731
    if streamed:
        evaluate.stream(VARIABLES, iter([Examples(images[:12], None), Examples(images[12:], None)]), 20, done)
    else:
        evaluate(VARIABLES, images, progress=done)
    assert sizes == [5, 10, 15, 20]


def test_inputs_that_are_larger_than_all_layers_make_batches_small(monkeypatch):
    images, sizes = images_of(8, 32), []
    capture = prepare(lambda params, x: x.mean(axis=(1, 2)) @ params["w"], {"w": jnp.ones((1, 2))}, images[:2])
    monkeypatch.setattr(evaluator, "BATCH_BYTES", 2 * 4 * 32 * 32)
    evaluate = Evaluator(capture, [Counted()])
    evaluate({"params": {"w": jnp.ones((1, 2))}}, images, progress=lambda done, of: sizes.append(done))
    assert sizes == [2, 4, 6, 8]


def test_sums_of_all_examples_where_nothing_is_predicted():
    images, labels = images_of(130), np.arange(130) % 2
    ((sums, counts, inputs),) = Evaluator(CAPTURE, [LabelSums(2, np.arange(2))])(VARIABLES, images, labels)
    assert counts.tolist() == [65, 65]
    values = conv_of(images.astype(np.float64)).sum(axis=(1, 2))
    np.testing.assert_allclose(sums["conv"], [values[labels == i].sum(axis=0) for i in (0, 1)], rtol=1e-4)
    np.testing.assert_allclose(inputs, [images[labels == i].sum(dtype=float) for i in (0, 1)], rtol=1e-4)


def test_sums_of_more_labels_than_examples_in_a_batch():
    images, labels = images_of(130), np.arange(130) * 7 % 397
    summed = np.unique(labels)[3:-2]
    ((sums, counts, inputs),) = Evaluator(CAPTURE, [LabelSums(50_000, summed)])(VARIABLES, images, labels)
    assert counts.tolist() == np.bincount(labels, minlength=50_000).tolist()
    values = conv_of(images.astype(np.float64)).sum(axis=(1, 2))
    assert sums["conv"].dtype == np.float64
    np.testing.assert_allclose(sums["conv"], [values[labels == i].sum(axis=0) for i in summed], rtol=1e-4)
    np.testing.assert_allclose(inputs[labels], images.sum(axis=(1, 2, 3), dtype=float), rtol=1e-4)


def test_a_batch_may_have_no_label_of_those_that_are_summed():
    ((sums, counts, _),) = Evaluator(CAPTURE, [LabelSums(3, np.array([2]))])(VARIABLES, images_of(6), np.arange(6) % 2)
    assert sums["conv"].shape == (1, 4) and not sums["conv"].any() and counts.tolist() == [3, 3, 0]


def test_sums_are_of_the_labels_that_are_there_and_the_most_frequent_of_those_that_fit(monkeypatch):
    labels = np.array([7, 3, 3, 9, 9, 9, 40_000, 7])
    assert summed_labels(labels, 10).tolist() == [3, 7, 9, 40_000]
    monkeypatch.setattr(reducers, "SUMS_BYTES", 2 * 8 * 10)
    assert summed_labels(labels, 10).tolist() == [3, 9]


def test_top_examples_are_those_of_a_sort_with_the_earlier_first_among_equals():
    images = np.repeat(images_of(75), 2, axis=0)
    images[20], images[30, 0, 0] = np.nan, np.inf
    (top,) = Evaluator(CAPTURE, [Top(5)])(VARIABLES, images)
    values = conv_of(images)
    values = np.where(np.isfinite(values), values, -np.inf)
    for channel in range(4):
        largest = values[..., channel].reshape(150, -1).max(axis=1)
        order = np.argsort(-largest, kind="stable")[:5]
        assert top["conv"].examples[:, channel].tolist() == order.tolist()
        np.testing.assert_allclose(top["conv"].values[:, channel], largest[order], rtol=1e-6)
        for rank, example in enumerate(order):
            y, x = top["conv"].positions[rank, channel]
            np.testing.assert_allclose(values[example, y, x, channel], largest[example], rtol=1e-6)
    (none,) = Evaluator(CAPTURE, [Top(5)])(VARIABLES, np.full_like(images[:3], np.nan))
    assert np.isnan(none["conv"].values).all() and (none["conv"].examples == -1).all()
    assert (none["conv"].positions == -1).all() and none["output"].positions.shape == (3, 3, 0)


def _shapes(params: dict, x: np.ndarray) -> jax.Array:
    """Layers of which some share their positions, and one is far larger than the others."""
    parts = {
        "wide": x,
        "tall": x[:, :3],
        "again": x[:, :, ::2],
        "line": x[:, 0],
        "flat": x[:, 0, 0],
        "scalar": x[:, 0, 0, 0],
    }
    found = {}
    for name, part in parts.items():
        with jax.named_scope(name):
            found[name] = nn.relu(part * params["w"])
    return sum(value.reshape(len(x), -1).sum(axis=1, keepdims=True) for value in found.values())


@pytest.mark.parametrize("small", [0, 1 << 12, 1 << 30])
def test_layers_are_reduced_alike_whether_they_share_an_array_or_not(monkeypatch, small):
    monkeypatch.setattr(columns, "SMALL", small)
    images = np.random.default_rng(0).integers(-9, 9, (60, 6, 5, 4)).astype(np.float32)
    variables = {"params": {"w": np.float32(1)}}
    capture = prepare(_shapes, variables["params"], images[:2])
    reducers = [Ranges(), LabelSums(2, np.arange(2)), Top(4), Maps()]
    labels = np.arange(60) % 2
    ranges, (sums, *_), top, maps = Evaluator(capture, reducers)(variables, images, labels)
    assert set(ranges) == set(sums) == set(top) == set(maps) >= {"wide/relu", "scalar/relu"}
    for path, found in maps.items():
        flat = found.reshape(60, -1, found.shape[-1] if found.ndim > 1 else 1)
        np.testing.assert_array_equal(ranges[path], [flat.min(axis=(0, 1)), flat.max(axis=(0, 1))])
        np.testing.assert_array_equal(sums[path], [flat[labels == i].sum(axis=(0, 1)) for i in (0, 1)])
        order = np.argsort(-flat.max(axis=1), axis=0, kind="stable")[:4]
        np.testing.assert_array_equal(top[path].examples, order)
        np.testing.assert_array_equal(top[path].values, np.take_along_axis(flat.max(axis=1), order, axis=0))
        places = np.take_along_axis(flat.argmax(axis=1), order, axis=0)
        space = found.shape[1:-1]
        assert top[path].positions.shape == (*order.shape, len(space))
        if space:
            np.testing.assert_array_equal(top[path].positions, np.stack(np.unravel_index(places, space), axis=-1))


def test_layers_without_positions_or_channels_have_no_range_and_no_examples():
    def apply(params, x):
        found = []
        for name, part in {"rows": x[:, :0], "columns": x[:, :, :0], "channels": x[..., :0], "all": x}.items():
            with jax.named_scope(name):
                found.append(nn.relu(part * params["w"]).sum(axis=(1, 2, 3)))
        return sum(found)[:, None]

    images = images_of(30)
    capture = prepare(apply, {"w": np.float32(1)}, images[:2])
    of = [Ranges(), LabelSums(2, np.arange(2)), Top(4)]
    ranges, (sums, *_), top = Evaluator(capture, of)({"params": {"w": np.float32(1)}}, images, np.arange(30) % 2)
    for path in ("rows/relu", "columns/relu"):
        assert ranges[path].tolist() == [[np.inf], [-np.inf]] and not sums[path].any()
    assert ranges["channels/relu"].shape == (2, 0) and ranges["all/relu"][1] == images.max()
    assert "all/relu" in top and not {"rows/relu", "columns/relu", "channels/relu"} & top.keys()


def test_an_observation_has_what_its_batches_allow():
    images, labels = images_of(120), np.arange(120) % 3
    probe, evaluation = Batch(4, images[:4]), Batch(120, images, labels)
    whole = Observer(
        CAPTURE,
        {"probe": probe, "evaluation": evaluation, "embedding": Batch(50)},
        Task(Kind.CLASSIFICATION),
        3,
        "output",
    )
    seen = whole(VARIABLES, step=6, epoch=2)
    assert (seen.step, seen.epoch) == (6, 2) and set(seen.maps) == set(seen.ranges)
    assert seen.vectors["embedding"].shape == seen.vectors["evaluation"].shape == (50, 3)
    assert len(seen.outcome.predictions) == 120
    assert set(seen.top_classes) == {"evaluation"}
    other = {"probe": probe, "embedding": Batch(7, images[50:57])}
    less = Observer(CAPTURE, other, Task(Kind.NONE), 0, "output")(VARIABLES, step=0, epoch=0)
    assert less.outcome is None and less.ranges == {} and set(less.vectors) == {"embedding"}
    np.testing.assert_allclose(less.vectors["embedding"], Net().apply(VARIABLES, images[50:57]), rtol=1e-5)


@pytest.mark.parametrize("likely", [False, True])
def test_the_most_probable_classes_are_those_of_a_sort(likely):
    random = np.random.default_rng(0)
    scores = random.normal(size=(130, 7)).astype(np.float32) * 40
    if likely:
        scores = np.array(jax.nn.softmax(scores / 40))
    scores[3, 2], scores[4, :] = np.nan, -np.inf
    scores[5, 3], scores[6, :5] = (0 if likely else -np.inf), scores[6, 5]
    reducer = MostProbable(lambda output: output, likely)
    total = None
    for start in (0, 100):
        here = jnp.asarray(scores[start : start + 100])
        part = reducer.batch({}, here, Examples(here, None), jnp.ones(len(here), bool))
        total = reducer.merge(total, part, len(here))
    found = reducer.result(total)
    assert found.classes.shape == found.probabilities.shape == (130, 5)
    assert (found.classes[3:5] == -1).all() and np.isnan(found.probabilities[3:5]).all()
    sound = np.delete(np.arange(130), [3, 4])
    np.testing.assert_array_equal(found.classes[sound], np.argsort(-scores[sound], axis=1, kind="stable")[:, :5])
    shares = scores if likely else np.asarray(jax.nn.softmax(scores))
    expected = -np.sort(-shares[sound], axis=1)[:, :5]
    np.testing.assert_allclose(found.probabilities[sound], expected, rtol=1e-5, atol=1e-37)  # less, XLA takes for 0


def test_complex_inputs_are_summed_by_their_magnitudes():
    inputs = np.array([[3 + 4j, 0], [0, 5j]], np.complex64)
    capture = prepare(lambda params, x: params * jnp.abs(x), np.float32(2), inputs)
    ((sums, counts, summed),) = Evaluator(capture, [LabelSums(2, np.arange(2))])(
        {"params": np.float32(2)}, inputs, np.array([0, 1])
    )
    assert summed.tolist() == [5, 5] and counts.tolist() == [1, 1]
    assert [layer.tolist() for layer in sums.values()][-1] == [[10, 0], [0, 10]]
