"""Layers with heads: every head has channels of its own, numbered head after head."""

import csv

import flax.linen as nn
import jax
import numpy as np
import pytest

from reportgen import build
from reportgen.core.run import Run
from reportgen.record import Keep, Recorder
from reportgen.store import open_run

HEADS, SIZE, TOKENS, LABELS = 3, 4, 5, 2
PATH = "attention/query"


class Reader(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(7, HEADS * SIZE, name="embed")(tokens)
        x = x + nn.MultiHeadDotProductAttention(HEADS, name="attention")(x)
        return nn.Dense(LABELS, name="output")(x.mean(axis=1))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    draw = np.random.default_rng(0)
    tokens, labels = draw.integers(0, 7, (40, TOKENS)).astype(np.int32), draw.integers(0, LABELS, 40)
    model = Reader()
    variables = model.init(jax.random.key(0), tokens[:1])
    path = tmp_path_factory.mktemp("heads") / "run"
    of = {"probe": tokens, "evaluation": (tokens, labels)}
    with Recorder(path, model, variables, **of, keep=Keep(top=True)) as recorder:
        recorder.epoch(variables, steps=1)
    return open_run(path, verify=True)


def test_what_is_reduced_is_each_heads(run):
    assert run.problems == ()
    layer, seen = run.network.layers[PATH], run.observations[1]
    assert layer.axes == ("t", "head", "channel") and layer.shape == (TOKENS, HEADS, SIZE)
    assert layer.positions == (TOKENS,) and layer.channels == HEADS * SIZE
    maps, labels = seen.maps[PATH], run.batch("evaluation").labels
    assert maps.shape == (40, *layer.shape)
    each = maps.reshape(40, TOKENS, HEADS * SIZE)
    np.testing.assert_allclose(seen.ranges[PATH], [each.min((0, 1)), each.max((0, 1))], rtol=1e-6)
    right = seen.outcome.predictions == labels
    sums = [each[right & (labels == label)].sum((0, 1)) for label in range(LABELS)]
    np.testing.assert_allclose(seen.outcome.label_sums[PATH], sums, rtol=1e-4, atol=1e-5)
    top, largest = seen.top[PATH], each.max(axis=1)
    np.testing.assert_array_equal(top.examples[0], largest.argmax(axis=0))
    at = each.argmax(axis=1)[top.examples[0], np.arange(HEADS * SIZE)]
    np.testing.assert_array_equal(top.positions[0, :, 0], at)


def test_the_page_has_channels_of_every_head(run, tmp_path):
    build(run.path).write_numbers(tmp_path)
    rows = list(csv.DictReader((tmp_path / "channels.csv").read_text().splitlines()))
    assert {int(row["channel"]) for row in rows if row["layer"] == PATH} == set(range(HEADS * SIZE))
