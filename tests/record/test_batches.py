"""The batches of a recording: with labels or without, one array or several, embedded or not."""

import html
import re

import flax.linen as nn
import jax
import numpy as np
import pytest

from reportgen import build
from reportgen.record import Recorder
from reportgen.store import open_run
from tests.record.test_recorder import DATA, IMAGES, LABELS, Net


@pytest.fixture(scope="module")
def variables():
    return Net().init(jax.random.key(0), IMAGES[:1])


def test_the_embedding_is_of_the_evaluation_images_unless_others_are_given(variables, tmp_path):
    vectors = {}
    for name, embedding in (("same", None), ("given", (IMAGES, LABELS))):
        Recorder(tmp_path / name, Net(), variables, **DATA, embedding=embedding).close()
        vectors[name] = open_run(tmp_path / name).observations[0].vectors["embedding"]
    assert vectors["same"].shape == (230, 6)
    np.testing.assert_allclose(vectors["same"], vectors["given"], atol=1e-5)


def page_of(path) -> str:
    """What a reader of the page reads."""
    page = build(path, embedding="pca").save(path / "report.html").read_text()
    page = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


NO_CLAIM = ("classifies", "accuracy of", "own class", "per class", "label 0", "their label", "its class", "Confusion")


@pytest.mark.parametrize(
    "batches",
    [
        {"probe": IMAGES[:3], "evaluation": IMAGES},
        {"probe": (IMAGES[:3], None), "evaluation": (IMAGES, None), "classes": list("abcd")},
        {"probe": IMAGES[:3], "evaluation": None},
        {"probe": IMAGES[:3], "evaluation": None, "embedding": IMAGES[:50]},
    ],
    ids=["inputs alone", "no targets", "a probe alone", "a probe and an embedding"],
)
def test_a_run_without_labels_claims_nothing_about_labels(tmp_path, variables, batches):
    with Recorder(tmp_path / "run", Net(), variables, **batches) as recorder:
        recorder.step(variables["params"], loss=1.0)
        recorder.epoch(variables)
        assert recorder.accuracy is None
    run = open_run(tmp_path / "run", verify=True)
    assert run.problems == () and run.batch("probe").targets is None and len(run.batch("probe").labels) == 0
    final = run.observations[1]
    assert final.outcome is None and set(final.maps) == {*run.network.layers} - {"drop"}
    assert run.metrics.epochs[-1].measured == {}
    if batches["evaluation"] is not None:
        assert run.batch("evaluation").size == 230 and set(final.ranges) == set(final.maps)
        assert final.vectors["evaluation"].shape == (230, 6)
    else:
        assert "evaluation" not in run.batches and not final.ranges
    page = page_of(tmp_path / "run")
    assert "All channels" in page
    for claim in NO_CLAIM:
        assert claim not in page, claim


class TwoInputs(nn.Module):
    @nn.compact
    def __call__(self, batch):
        return nn.Dense(3, name="image")(batch["image"]) + nn.Embed(9, 3, name="token")(batch["token"])


def test_inputs_may_be_several_arrays(tmp_path):
    images, labels = np.linspace(0, 1, 130 * 6, dtype=np.float32).reshape(130, 6), np.arange(130) % 3
    inputs = {"image": images, "token": np.arange(130) % 9}
    net = TwoInputs()
    start = net.init(jax.random.key(0), inputs)
    few = jax.tree.map(lambda leaf: leaf[:4], inputs)
    with Recorder(tmp_path / "run", net, start, probe=(few, labels[:4]), evaluation=(inputs, labels)) as recorder:
        recorder.step(start, loss=1.0)
        recorder.epoch(start)
    run = open_run(tmp_path / "run", verify=True)
    assert run.problems == () and len(run.batch("evaluation").images) == 0
    jax.tree.map(np.testing.assert_array_equal, run.batch("probe").inputs, few)
    np.testing.assert_array_equal(run.batch("evaluation").inputs["token"], inputs["token"])
    scores = np.asarray(net.apply(start, inputs))
    np.testing.assert_array_equal(run.observations[1].outcome.predictions, scores.argmax(axis=1))
    right = scores.argmax(axis=1) == labels
    total = images.sum(axis=1) + inputs["token"]
    expected = [total[right & (labels == label)].sum() for label in range(3)]
    np.testing.assert_allclose(run.observations[1].outcome.input_sums, expected, rtol=1e-5)
    assert "classifies" in page_of(tmp_path / "run")
