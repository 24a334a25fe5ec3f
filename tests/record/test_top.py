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
from reportgen.sections import Moment, Options, PageContext
from reportgen.sections.examples import tiles

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


class Deep(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(3, (3, 3), name="first")(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Conv(5, (3, 3), padding="VALID", name="second")(x))
        return nn.Dense(3, name="output")(x.reshape(len(x), -1))


@pytest.mark.parametrize("layer", ["first/relu", "second/relu"])
def test_a_patch_holds_all_that_its_channel_saw(layer, tmp_path):
    """Whatever the rest of the picture is replaced by, the channel's value at that place stays."""
    rng, model = np.random.default_rng(0), Deep()
    images = rng.random((12, 16, 16, 1), np.float32)
    variables = model.init(jax.random.key(1), images[:1])
    data = {"probe": (images[:2], Y[:2]), "evaluation": (images, Y[:12])}
    with Recorder(tmp_path / "run", model, variables, **data, keep=Keep(top=True)) as recorder:
        recorder.step(variables["params"])
        recorder.epoch(variables)
    run = open_run(tmp_path / "run")
    context = PageContext(Moment(run, 1), Moment(run, 0), Options())
    top, network_layer = run.observations[1].top[layer], run.network.layers[layer]
    shown = tiles(context, network_layer, top, [0, 2])
    assert shown.shape[2:4] == ((3, 3) if layer == "first/relu" else (8, 8))
    low, high = context.evaluation_pictures[1]
    for row, channel in enumerate((0, 2)):
        for rank in range(9):
            y, x = top.positions[rank, channel]
            (top_row, _), (left, _) = network_layer.field.seen(int(y), int(x))
            other, patch = rng.random((16, 16)).astype(np.float32), shown[row, rank]
            for dy, dx in np.argwhere(~np.ma.getmaskarray(patch)):
                other[top_row + dy, left + dx] = low + (high - low) * patch[dy, dx] / 255
            _, seen = model.apply(variables, other[None, :, :, None], capture_intermediates=True)
            (value,) = seen["intermediates"][layer.partition("/")[0]]["__call__"]
            np.testing.assert_allclose(value[0, y, x, channel], top.values[rank, channel], atol=1e-4)


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


def test_without_being_asked_none_are_recorded(tmp_path):
    model = Net()
    variables = model.init(jax.random.key(0), X[:1])
    with Recorder(tmp_path / "run", model, variables, probe=(X[:2], Y[:2]), evaluation=(X, Y)):
        pass
    assert not open_run(tmp_path / "run").observations[0].top
