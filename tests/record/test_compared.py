"""What a recorder keeps for comparing runs: layer vectors of some examples, and fingerprints, within 2 % of the run."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from reportgen.core.examples import fingerprints
from reportgen.record import Keep, Recorder, batches
from reportgen.store import layout, open_run, save_run
from tests.record.test_recorder import DATA, IMAGES, LABELS, Net


@pytest.fixture(scope="module")
def variables():
    return Net().init(jax.random.key(0), IMAGES[:1])


def record(path, variables, epochs=1, model=None, **options):
    with Recorder(path, model or Net(), variables, **{**DATA, **options}) as recorder:
        for _ in range(epochs):
            for _ in range(3):
                recorder.step(variables["params"], loss=1.0)
            recorder.epoch(variables)
    return path


def size(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_the_vectors_are_the_means_of_the_last_observation_by_fingerprint(variables, tmp_path):
    run = open_run(record(tmp_path / "run", variables, epochs=4))
    assert [run.observations[step].layer_vectors is not None for step in run.observations] == [False] * 4 + [True]
    vectors = run.observations[12].layer_vectors
    inputs, _ = DATA["evaluation"]
    expected = np.argsort(fingerprints(np.asarray(inputs)), kind="stable")[: len(vectors.examples)]
    np.testing.assert_array_equal(vectors.examples, expected)
    assert 0 < len(expected) < len(inputs)
    _, captured = Net().apply(variables, np.asarray(inputs)[expected], capture_intermediates=True)
    conv = np.asarray(captured["intermediates"]["conv"]["__call__"][0])
    np.testing.assert_allclose(vectors.vectors["conv"], conv.mean(axis=(1, 2)), rtol=2e-3, atol=1e-4)
    assert vectors.vectors["conv"].dtype == np.float16


def test_they_take_at_most_2_percent_of_the_run(variables, tmp_path):
    # The embedding's fingerprints are always kept: the dearest case.
    path = record(tmp_path / "run", variables, epochs=10, embedding=(IMAGES, LABELS))
    without = record(tmp_path / "without", variables, epochs=10, embedding=(IMAGES, LABELS), keep=Keep(compare=False))
    assert open_run(path).batch("embedding").fingerprints is not None
    assert size(without) < size(path) <= 1.02 * size(without)


def test_they_can_be_switched_off(variables, tmp_path):
    run = open_run(record(tmp_path / "run", variables, embedding=(IMAGES, LABELS), keep=Keep(compare=False)))
    assert not (run.path / layout.VECTORS_FILE).exists()
    assert all(run.observations[step].layer_vectors is None for step in run.observations)
    assert all(batch.fingerprints is None for batch in run.batches.values())


def test_fingerprints_are_kept_of_examples_whose_inputs_are_not(variables, tmp_path, monkeypatch):
    whole = open_run(record(tmp_path / "whole", variables, embedding=(IMAGES, LABELS)))
    assert whole.batch("evaluation").fingerprints is None
    np.testing.assert_array_equal(whole.batch("embedding").fingerprints, fingerprints(np.asarray(IMAGES)))
    monkeypatch.setattr(batches, "INPUT_BYTES", 2000)
    cut = open_run(record(tmp_path / "cut", variables)).batch("evaluation")
    assert len(cut.inputs) < cut.size
    np.testing.assert_array_equal(cut.fingerprints, fingerprints(np.asarray(DATA["evaluation"][0])))


def test_values_beyond_float16_are_kept_as_float32(tmp_path):
    class Large(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3, name="out")(1e5 * nn.relu(nn.Dense(4, name="hidden")(x)))

    inputs = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    variables = Large().init(jax.random.key(0), inputs)
    path = record(tmp_path / "run", variables, epochs=60, model=Large(), probe=inputs[:2], evaluation=inputs)
    vectors = open_run(path).observations[180].layer_vectors.vectors
    assert vectors["out"].dtype == np.float32 and np.abs(vectors["out"]).max() > 6e4
    assert vectors["hidden"].dtype == np.float16


def test_a_copy_of_the_run_has_them_too(variables, tmp_path):
    run = open_run(record(tmp_path / "run", variables, epochs=6, embedding=(IMAGES, LABELS)))
    copy = save_run(run, tmp_path / "copy")
    again, vectors = open_run(copy), run.observations[18].layer_vectors
    np.testing.assert_array_equal(again.batch("embedding").fingerprints, run.batch("embedding").fingerprints)
    np.testing.assert_array_equal(again.observations[18].layer_vectors.examples, vectors.examples)
    for path, values in again.observations[18].layer_vectors.vectors.items():
        np.testing.assert_array_equal(values, vectors.vectors[path], strict=True)


def test_damaged_ones_are_left_out_and_named(variables, tmp_path):
    path = record(tmp_path / "run", variables, epochs=6)
    content = bytearray((path / layout.VECTORS_FILE).read_bytes())
    content[-1] ^= 1
    (path / layout.VECTORS_FILE).write_bytes(content)
    run = open_run(path, verify=True)
    assert any("layer vectors left out" in problem for problem in run.problems)
    assert run.observations[18].layer_vectors is None
