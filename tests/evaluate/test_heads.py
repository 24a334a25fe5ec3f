"""Layers with heads: every head has channels of its own, numbered head after head."""

import csv
import json
import shutil
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

from reportgen import build
from reportgen.core.run import Run
from reportgen.record import Keep, Recorder
from reportgen.store import open_run
from reportgen.store.files import Tensors, write_tensors

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


def test_a_run_whose_channels_were_added_up_over_heads_is_read_as_it_was(run, tmp_path):
    earlier = Path(shutil.copytree(run.path, tmp_path / "run"))
    header = json.loads((earlier / "run.json").read_text())
    assert header["format"] == 5
    (earlier / "run.json").write_text(json.dumps({**header, "format": 3}))
    layers = {layer.path: layer for layer in run.network.layers.values()}
    for file in (earlier / "activations").iterdir():
        tensors = Tensors(file)
        arrays = {name: np.asarray(tensors[name]) for name in tensors}
        for name, array in arrays.items():
            layer = layers.get(name.partition("/")[2])
            if layer is not None and layer.head_channels and not name.startswith("maps/"):
                # Of a head after the other, what the first one has is of the size that it was.
                arrays[name] = array[..., : layer.head_channels]
        arrays = {name: array for name, array in arrays.items() if not name.startswith("top/")}
        write_tensors(file, arrays, tensors.metadata)
    again = open_run(earlier, verify=True)
    assert again.problems == () and set(again.observations) == set(run.observations)
    assert again.network.layers[PATH].axes == ("t", "?", "channel") and again.network.layers[PATH].channels == SIZE
    build(earlier)
