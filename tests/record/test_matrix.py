"""The whole way, record and build, for one small model per row of what people bring: Linen and NNX side by side."""

import html
import re
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from reportgen import build
from reportgen.core.outcome import Classification, Reconstruction
from reportgen.record import Recorder
from reportgen.store import open_run
from tests.architectures.variables import variables_for
from tests.layers import letters
from tests.record import matrix_linen, matrix_nnx

RANDOM = np.random.default_rng(3)
LABELS = np.arange(8) % 3


@dataclass(frozen=True)
class Row:
    """`model` of both families, the shape of an image; layers in call order, with a library's own names apart."""

    model: str
    image: tuple[int, ...]
    layers: tuple[str, ...]
    nnx_layers: tuple[str, ...] = ()
    same: dict[str, str] = field(default_factory=dict)
    tied_to: dict[str, str] = field(default_factory=dict)
    dtype: str = ""
    tokens: int = 0
    axes: dict[str, str] = field(default_factory=dict)


POOLED = ("conv", "conv/relu", "conv/max_pool", "conv/flatten", "head")
NARROW = ("conv", "conv/relu", "conv/mean", "head")
PICTURE, VECTOR = (8, 8, 1), (4,)

ROWS = {
    "functional": Row("Functional", PICTURE, POOLED, axes={"conv/max_pool": "yxc", "conv/flatten": "c"}),
    "residual": Row(
        "Residual",
        PICTURE,
        (
            *("stem", "block/conv", "block/norm", "block/norm/relu", "block/drop", "block/add"),
            *("block/relu", "block", "block/mean", "head"),
        ),
        same={"block/drop": "block/norm/relu", "block": "block/relu"},
    ),
    "called_twice": Row(
        "Repeated",
        VECTOR,
        (
            *("same/dense", "same/dense/relu", "same"),
            *("same/dense#2", "same/dense#2/relu", "same#2", "head"),
        ),
        same={"same": "same/dense/relu", "same#2": "same/dense#2/relu"},
        tied_to={"same/dense#2": "same/dense"},
    ),
    "tied": Row("Tied", VECTOR, ("dense", "dense/tanh", "table/attend")),
    "inherited": Row(
        "Inherits",
        VECTOR,
        ("child/dense", "child/dense/relu", "child", "head"),
        ("child/dense", "child/dense/relu", "child", "child/dense/tanh", "fixed", "head"),
        same={"child": "child/dense/relu", "fixed": "child/dense/tanh"},
    ),
    "remat": Row(
        "Remat",
        VECTOR,
        ("again/dense", "again/dense/relu", "again", "head"),
        same={"again": "again/dense/relu"},
    ),
    "scan": Row(
        "Scan",
        VECTOR,
        ("loop/dense", "loop/dense/relu", "loop[0]", "head"),
        ("loop/dense", "loop/dense/relu", "loop", "head"),
        same={"loop": "loop/dense/relu", "loop[0]": "loop/dense/relu"},
        axes={"loop/dense": "?c"},
    ),
    "rnn": Row(
        "Recurrent",
        (5, 3),
        ("cell/i", "cell/h", "cell[0]", "cell[1]", "rnn", "head"),
        ("rnn/cell/dense_i", "rnn/cell/dense_h", "rnn/cell[0]", "rnn/cell[1]", "rnn", "head"),
        same={"cell[1]": "cell[0]", "rnn/cell[1]": "rnn/cell[0]"},
        axes={"rnn": "tc"},
    ),
    "several_outputs": Row(
        "Several",
        VECTOR,
        ("parts/dense", "parts['mean']", "parts['rest'][0]", "concatenate", "head"),
        same={"parts['mean']": "parts/dense"},
    ),
    "dense_only": Row("Dense", VECTOR, ("hidden", "hidden/sigmoid", "head")),
    "tokens": Row(
        "Tokens",
        (6,),
        (
            *("table", "attention/query", "attention/key", "attention/value"),
            *("attention/attention_weights", "attention/out", "attention"),
            *("add", "norm", "norm/mean", "head"),
        ),
        same={"attention": "attention/out"},
        tokens=11,
        axes={"table": "tc", "attention/query": "thc", "norm": "tc", "norm/mean": "c"},
    ),
    "signal": Row(
        "Signal", (8, 2), ("conv", "conv/gelu", "conv/avg_pool", "conv/flatten", "head"), axes={"conv": "tc"}
    ),
    "volume": Row("Volume", (4, 4, 4, 1), POOLED, axes={"conv/max_pool": "zyxc"}),
    "maps": Row("Maps", PICTURE, ("down", "down/relu", "up"), axes={"up": "yxc"}),
    "bfloat16": Row("Narrow", PICTURE, NARROW, dtype="bfloat16"),
    "float16": Row("Narrow", PICTURE, NARROW, dtype="float16"),
}


def made(row, family):
    """(model, variables or None, images) of a row."""
    images = (
        RANDOM.integers(0, row.tokens, (8, *row.image))
        if row.tokens
        else RANDOM.normal(size=(8, *row.image)).astype(np.float32)
    )
    given = (row.dtype,) if row.dtype else ()
    if family == "linen":
        model = getattr(matrix_linen, row.model)(*given)
        return model, variables_for(model, images), images
    return getattr(matrix_nnx, row.model)(*given, nnx.Rngs(0)), None, images


@pytest.mark.parametrize("family", ["linen", "nnx"])
@pytest.mark.parametrize("name", ROWS)
def test_record_and_build(name, family, tmp_path):
    row = ROWS[name]
    model, variables, images = made(row, family)
    data = {"probe": (images[:2], LABELS[:2]), "evaluation": (images, LABELS)}
    with Recorder(tmp_path / "run", model, variables, **data) as recorder:
        for step in (1, 2):
            # An update by hand: what the recorder is given after it is what counts here.
            if family == "linen":
                variables = {**variables, "params": optax.tree.scale(1.1, variables["params"])}
            else:
                nnx.update(model, jax.tree.map(lambda p: (p * 1.1).astype(p.dtype), nnx.state(model, nnx.Param)))
            recorder.step(model if family == "nnx" else variables["params"], loss=jnp.float32(1 / step))
        recorder.epoch(model if family == "nnx" else variables)

    run = open_run(tmp_path / "run")
    expected = row.layers if family == "linen" else row.nnx_layers or row.layers
    layers = {layer.path: layer for layer in run.network.layers.values()}
    assert list(layers) == list(expected)
    assert run.network.uncaptured == {} and run.problems == () and "flax_capture_not_used" not in run.provenance
    assert {path: x.alias_of for path, x in layers.items() if x.alias_of} == {
        path: first for path, first in row.same.items() if path in layers
    }
    assert {path: x.tied_to for path, x in layers.items() if x.tied_to} == row.tied_to
    assert {path: letters(layers[path]) for path in row.axes if path in layers} == {
        path: axes for path, axes in row.axes.items() if path in layers
    }
    if row.dtype:
        assert {x.dtype for x in layers.values()} == {row.dtype}
        assert run.snapshots[0].params["head/kernel"].dtype.name == row.dtype
    assert sorted(p for x in layers.values() for p in x.params) == sorted(run.snapshots[0].params)

    assert list(run.snapshots) == [0, 1, 2] and list(run.observations) == [0, 2]
    for param, value in run.snapshots[2].params.items():
        before = np.asarray(run.snapshots[0].params[param], np.float64)
        np.testing.assert_allclose(np.asarray(value, np.float64), 1.21 * before, rtol=2e-2 if row.dtype else 1e-5)
    for step in (0, 2):
        found = run.observations[step]
        for path, layer in layers.items():
            if layer.alias_of is None:
                assert found.maps[path].shape == (2, *layer.shape) and str(found.maps[path].dtype) == layer.dtype
                assert np.isfinite(np.asarray(found.maps[path], np.float64)).all()
                if name != "maps":
                    assert found.outcome.label_sums[path].shape == (3, layer.channels)
        assert isinstance(found.outcome, Reconstruction if name == "maps" else Classification)

    page = build(tmp_path / "run", embedding="pca").save(tmp_path / "report.html").read_text()
    shown = {html.unescape(text).strip() for text in re.findall(r">([^<>]+)<", page)}
    assert set(layers) <= shown
