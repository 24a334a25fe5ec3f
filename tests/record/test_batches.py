"""The batches of a recording: with labels or without, one array or several, embedded or not."""

import html
import re

import flax.linen as nn
import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from reportgen import build
from reportgen.record import Recorder, batches
from reportgen.store import open_run
from reportgen.store.files import write_tensors
from reportgen.store.schema import place
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


def test_inputs_of_an_embedding_are_kept_as_far_as_they_fit(variables, tmp_path, monkeypatch):
    kept = {}
    for name, room in (("whole", 1 << 20), ("cut", 2500)):
        monkeypatch.setattr(batches, "EMBEDDED_BYTES", room)
        with Recorder(tmp_path / name, Net(), variables, **DATA, embedding=(IMAGES, LABELS)):
            pass
        run = open_run(tmp_path / name, verify=True)
        assert run.problems == () and run.batch("embedding").size == len(IMAGES)
        kept[name] = np.asarray(run.batch("embedding").inputs)
    np.testing.assert_array_equal(kept["whole"], IMAGES)
    each = 25 if kept["whole"].max() <= 1 else 100
    assert 1 < len(kept["cut"]) <= 2500 // each
    np.testing.assert_array_equal(kept["cut"], IMAGES[: len(kept["cut"])])


def test_the_most_probable_classes_are_kept_of_evaluation_and_embedding(variables, tmp_path):
    with Recorder(tmp_path / "run", Net(), variables, **DATA, embedding=(IMAGES[:40], LABELS[:40])):
        pass
    run = open_run(tmp_path / "run", verify=True)
    ranked, outcome = run.observations[0].top_classes, run.observations[0].outcome
    assert run.problems == () and set(ranked) == {"evaluation", "embedding"}
    np.testing.assert_array_equal(ranked["evaluation"].classes[:, 0], outcome.predictions)
    scores = np.asarray(Net().apply(variables, IMAGES[:40]))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    order = np.argsort(-scores, axis=1)[:, :5]
    np.testing.assert_array_equal(ranked["embedding"].classes, order)
    np.testing.assert_allclose(
        ranked["embedding"].probabilities, np.take_along_axis(shares, order, axis=1), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("classes", np.full((230, 4), 9, np.int32), "runs from 9 to 9, for 4 classes"),
        ("classes", np.zeros((7, 4), np.int32), "is I32[7, 4] for 230 examples"),
        ("probabilities", np.zeros((230, 4), np.int32), "is I32[230, 4] for 230 examples"),
        ("probabilities", None, "lacks its other part"),
    ],
)
def test_damaged_rankings_are_named(variables, tmp_path, name, wrong, said):
    with Recorder(tmp_path / "run", Net(), variables, **DATA):
        pass
    file = tmp_path / "run" / "activations" / "00000000.safetensors"
    tensors = load_file(file)
    tensors.pop(f"top_classes/evaluation/{name}")
    if wrong is not None:
        tensors[f"top_classes/evaluation/{name}"] = wrong
    write_tensors(file, tensors, place(0, 0))
    (problem,) = open_run(tmp_path / "run").problems
    assert said in problem


def page_of(path) -> str:
    """What a reader of the page reads."""
    page = build(path, embedding="pca").save(path / "report.html").read_text()
    page = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


NO_CLAIM = ("classifies", "accuracy of", "own class", "per class", "label 0", "their label", "its class", "Confusion")


@pytest.mark.parametrize(
    "given",
    [
        {"probe": IMAGES[:3], "evaluation": IMAGES},
        {"probe": (IMAGES[:3], None), "evaluation": (IMAGES, None), "classes": list("abcd")},
        {"probe": IMAGES[:3], "evaluation": None},
        {"probe": IMAGES[:3], "evaluation": None, "embedding": IMAGES[:50]},
    ],
    ids=["inputs alone", "no targets", "a probe alone", "a probe and an embedding"],
)
def test_a_run_without_labels_claims_nothing_about_labels(tmp_path, variables, given):
    with Recorder(tmp_path / "run", Net(), variables, **given) as recorder:
        recorder.step(variables["params"], loss=1.0)
        recorder.epoch(variables)
        assert recorder.accuracy is None
    run = open_run(tmp_path / "run", verify=True)
    assert run.problems == () and run.batch("probe").targets is None and len(run.batch("probe").labels) == 0
    final = run.observations[1]
    assert final.outcome is None and set(final.maps) == {*run.network.layers} - {"drop"}
    assert run.metrics.epochs[-1].measured == {}
    if given["evaluation"] is not None:
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
