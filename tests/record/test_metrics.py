"""Metrics and configurations of a training loop: kept apart from the recorder's own, or refused by name."""

import argparse
import dataclasses
import enum
import json
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen import build
from reportgen.errors import OptionError, RunError
from reportgen.record import Recorder
from reportgen.record.values import metrics, numbers, plain
from reportgen.store import open_run


class Net(nn.Module):
    masked: bool = False

    @nn.compact
    def __call__(self, x):
        scores = nn.Dense(4, name="head")(nn.relu(nn.Dense(6, name="hidden")(x.reshape(len(x), -1))))
        return jnp.where(jnp.array([True, True, True, not self.masked]), scores, -jnp.inf)


X = np.random.default_rng(0).random((24, 8, 8, 1)).astype(np.float32)
Y = np.arange(24) % 3
DATA = {"probe": (X[:3], Y[:3]), "evaluation": (X, Y), "classes": list("abcd")}
VARIABLES = Net().init(jax.random.key(0), X[:1])


def scaled(factor):
    return {"params": jax.tree.map(lambda leaf: leaf * factor, VARIABLES["params"])}


@pytest.mark.parametrize("name", ["step", "epoch", "measured", "reported", "val_accuracy_reported"])
def test_a_reserved_name_is_refused(tmp_path, name):
    with Recorder(tmp_path / "run", Net(), VARIABLES, **DATA) as recorder:
        for call in (recorder.step, recorder.epoch):
            with pytest.raises(OptionError, match=f"a metric can't be called '{name}'"):
                call(VARIABLES, **{name: 7})
        recorder.step(VARIABLES, loss=0.5)
    assert [dict(row) for row in open_run(tmp_path / "run").steps] == [{"step": 1, "epoch": 1, "train_loss": 0.5}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(5), r"'loss' must be a scalar number, not an array of shape \(5,\): average it"),
        (jnp.ones((1, 1)), r"array of shape \(1, 1\)"),
        ("0.5", "not str"),
        ([0.5], "not list"),
        (np.complex64(1), "a real number, not complex64"),
        (np.datetime64("2020"), "not of type datetime64"),
        (jax.random.key(0), "not of type key"),
    ],
)
def test_what_is_not_a_scalar_number_is_refused_by_name(value, message):
    with pytest.raises(OptionError, match=message):
        metrics({"loss": value})


def test_numbers_keep_their_precision_and_their_kind():
    given = {"rate": 1e-3, "whole": 2**60, "flag": True, "half": jnp.bfloat16(0.1), "count": np.int64(3)}
    result = numbers(metrics(given))
    assert result == {"rate": 1e-3, "whole": 2**60, "flag": 1, "half": float(jnp.bfloat16(0.1)), "count": 3}
    assert [type(value) for value in result.values()] == [float, int, int, float, int]


def test_a_reported_accuracy_stands_beside_the_measured_one(tmp_path):
    with Recorder(tmp_path / "run", Net(), VARIABLES, **DATA) as recorder:
        for factor in (1.1, 1.2):
            recorder.step(scaled(factor), loss=1.0)
            recorder.epoch(scaled(factor), val_accuracy=97.5)
    run = open_run(tmp_path / "run")
    own = float(np.mean(np.argmax(np.asarray(Net().apply(VARIABLES, X)), -1) == Y))
    assert [row.measured for row in run.metrics.epochs] == [{"val_accuracy": own}] * 3
    assert [dict(row.reported) for row in run.metrics.epochs[1:]] == [{"val_accuracy": 97.5}] * 2
    built = build(run, embedding="pca")
    assert f"{100 * own:.1f}" in built.report.headline and "97" not in built.report.headline
    curves = next(section for section in built.report.sections if section.anchor == "curves")
    assert "9750" not in curves.finding and f"{100 * own:.1f}" in curves.finding
    page = built.save(tmp_path / "page.html").read_text()
    assert "Test accuracy, as reported" in page and "9750" not in page
    built.write_numbers(tmp_path)
    assert "val_accuracy,val_accuracy_reported" in (tmp_path / "metrics.csv").read_text()


def test_every_reported_metric_is_drawn(tmp_path):
    with Recorder(tmp_path / "run", Net(), VARIABLES, **DATA) as recorder:
        for epoch in range(3):
            recorder.step(scaled(1.1), loss=1 / (epoch + 1), learning_rate=0.1, grad_norm=2.0)
            recorder.epoch(scaled(1.1), test_loss=epoch)
    curves = next(s for s in build(tmp_path / "run", embedding="pca").report.sections if s.anchor == "curves")
    drawn = [block.name for block in curves.blocks if hasattr(block, "name")]
    assert drawn == ["curves-chart", *(f"curves-metric-{n}" for n in ("learning_rate", "grad_norm", "test_loss"))]


def test_each_epoch_of_a_loop_that_calls_epoch_alone_is_kept(tmp_path):
    with Recorder(tmp_path / "run", Net(), VARIABLES, **DATA) as recorder:
        with pytest.warns(UserWarning, match=r"epoch\(\) was called without step\(\)"):
            recorder.epoch(scaled(2))
        recorder.epoch(scaled(3), train_loss=0.5)  # said once
    run = open_run(tmp_path / "run")
    assert list(run.snapshots) == list(run.observations) == [0, 1, 2]
    assert [(row.step, row.epoch) for row in run.metrics.epochs] == [(0, 0), (1, 1), (2, 2)]
    np.testing.assert_allclose(run.snapshots[2].params["head/kernel"], 3 * VARIABLES["params"]["head"]["kernel"])


def test_an_epoch_inside_scan_tells_its_updates_and_their_losses(tmp_path):
    losses = jnp.linspace(1, 0.5, 4)
    with Recorder(tmp_path / "run", Net(), VARIABLES, **DATA) as recorder:
        recorder.epoch(scaled(2), losses=losses)
        recorder.epoch(scaled(3), steps=4, losses=losses)
        recorder.epoch(scaled(4), steps=2)
        for changes in ({"steps": 3, "losses": losses}, {"losses": 1.0}, {"steps": -1}, {"steps": 1.5}):
            with pytest.raises(OptionError, match=r"losses must be one number|steps must be"):
                recorder.epoch(scaled(5), **changes)
    run = open_run(tmp_path / "run")
    assert list(run.snapshots) == list(run.observations) == [0, 4, 8, 10]
    assert [row["step"] for row in run.steps] == list(range(1, 9))
    assert [row["epoch"] for row in run.steps] == [1] * 4 + [2] * 4
    np.testing.assert_array_equal([row["train_loss"] for row in run.steps], [*np.asarray(losses)] * 2)


def test_nothing_is_taken_after_close(tmp_path):
    recorder = Recorder(tmp_path / "run", Net(), VARIABLES, **DATA)
    recorder.close()
    for call in (recorder.step, recorder.epoch):
        with pytest.raises(RunError, match="is closed"):
            call(VARIABLES)
    recorder.close("failed")
    assert open_run(tmp_path / "run").status == "finished"


def test_a_class_that_is_masked_takes_no_prediction_away(tmp_path):
    net = Net(masked=True)
    Recorder(tmp_path / "run", net, VARIABLES, **DATA).close()
    expected = np.argmax(np.asarray(net.apply(VARIABLES, X)), -1)
    np.testing.assert_array_equal(open_run(tmp_path / "run").observations[0].outcome.predictions, expected)


class Kind(enum.Enum):
    FAST = 1


@dataclasses.dataclass
class Options:
    rate: float = 1e-3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1e-3), 1e-3),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (jnp.float32(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        ((1, "a", None), [1, "a", None]),
        ({"a": {1: Path("/data")}}, {"a": {"1": "/data"}}),
        (float("nan"), "nan"),
        (jnp.bfloat16, "bfloat16"),
        (np.dtype("int8"), "int8"),
        (nn.relu, "relu"),
        (Kind.FAST, "FAST"),
        (Options(), {"rate": 1e-3}),
    ],
)
def test_configuration_values_become_json(value, expected):
    assert plain(value, "config") == expected
    json.dumps(plain(value, "config"), allow_nan=False)


@pytest.mark.parametrize("value", [{"a"}, object(), b"bytes", 1j, np.zeros(2000), partial(print)])
def test_what_can_not_be_json_is_refused_by_the_name_of_its_key(tmp_path, value):
    with pytest.raises(OptionError, match=r"config\['given'\]\['x'\] is a"):
        Recorder(tmp_path / "run", Net(), VARIABLES, **DATA, config={"given": {"x": value}})
    assert not (tmp_path / "run").exists()
    with pytest.raises(OptionError, match=r"config must be a mapping .* try vars\(config\)"):
        Recorder(tmp_path / "run", Net(), VARIABLES, **DATA, config=argparse.Namespace(rate=1))
