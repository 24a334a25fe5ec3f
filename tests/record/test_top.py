"""Top-activating examples of a training: recorded when asked for, and on the page."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen import Keep, Recorder, build, open_run
from reportgen.capture import prepare
from reportgen.evaluate.evaluator import Evaluator
from reportgen.evaluate.top import Top

X = np.random.default_rng(0).random((30, 8, 8, 1)).astype(np.float32)
Y = np.arange(30) % 3


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x))
        return nn.Dense(3, name="output")(x.mean((1, 2)))


def test_the_examples_with_the_largest_activations_are_recorded_and_shown(tmp_path):
    model = Net()
    variables = model.init(jax.random.key(0), X[:1])
    data = {"probe": (X[:2], Y[:2]), "evaluation": (X, Y)}
    with Recorder(tmp_path / "run", model, variables, **data, keep=Keep(top=True)) as recorder:
        recorder.step(variables["params"], loss=1.0)
        recorder.epoch(variables)
    run = open_run(tmp_path / "run", verify=True)
    top = run.observations[1].top["conv/relu"]
    conv = variables["params"]["conv"]
    maps = np.maximum(np.asarray(nn.Conv(4, (3, 3)).apply({"params": conv}, X)), 0)
    largest = maps.max(axis=(1, 2))
    for channel in range(4):
        order = np.argsort(-largest[:, channel], kind="stable")[:9]
        np.testing.assert_allclose(top.values[:, channel], largest[order, channel], rtol=1e-5)
        for example, (y, x) in zip(top.examples[:, channel], top.positions[:, channel], strict=True):
            np.testing.assert_allclose(maps[example, y, x, channel], largest[example, channel], rtol=1e-5)
    report = build(run, embedding="pca")
    (activity,) = [section for section in report.document.sections if section.anchor == "activity"]
    assert "excitations.csv" in {numbers.filename for numbers in activity.numbers}
    captions = [block.caption for block in activity.blocks if hasattr(block, "caption")]
    assert any("the 9 evaluation images with its largest values" in caption for caption in captions)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("count", [3, 30, 130])
def test_what_is_not_finite_is_no_response_and_copies_that_fill_a_batch_are_none(bad, count):
    """Channel 1 is the negative of channel 0; one position of one example is not finite."""
    images = np.random.default_rng(1).integers(0, 5, (count, 4, 4, 1)).astype(np.float32)
    images[2, 1, 1] = bad

    def apply(params, x):
        with jax.named_scope("both"):
            return nn.relu(jnp.concatenate([x, -x], axis=-1) + params)

    params = np.full((1, 1, 1, 2), 10, np.float32)
    variables = {"params": params}
    capture = prepare(apply, variables, images[:1])
    top = next(top for path, top in Evaluator(capture, [Top()])(variables, images)[0].items() if "relu" in path)
    values = np.concatenate([images, -images], axis=-1) + 10
    flat = np.where(np.isfinite(values), np.maximum(values, 0), -np.inf).reshape(count, 16, 2)
    order = np.argsort(-flat.max(axis=1), axis=0, kind="stable")[:9]
    for channel in range(2):
        expected = order[:, channel]
        assert top.examples[:, channel].tolist() == expected.tolist()
        assert top.values[:, channel].tolist() == flat[expected, :, channel].max(axis=1).tolist()
        places = flat[expected, :, channel].argmax(axis=1)
        assert (top.positions[:, channel] @ [4, 1]).tolist() == places.tolist()


def test_without_being_asked_none_are_recorded(recorded):
    assert not open_run(recorded).observations[12].top
