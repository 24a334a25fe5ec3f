"""Metrics and configurations of a training loop: kept apart from the recorder's own, or refused by name."""

import argparse
import dataclasses
import datetime
import enum
import json
import types
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen import build
from reportgen.errors import OptionError, RunError
from reportgen.record import Keep, Recorder
from reportgen.record.values import Metrics, configuration, numbers, plain
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
        Metrics()({"loss": value})


def test_a_metric_that_is_no_number_later_is_left_out_with_one_warning(tmp_path):
    with Recorder(tmp_path / "run", Net(), VARIABLES, **DATA) as recorder:
        recorder.step(VARIABLES, loss=0.5, rate=1.0)
        with pytest.warns(UserWarning) as caught:
            recorder.step(VARIABLES, loss=0.5, rate=None)
            recorder.step(VARIABLES, loss=np.ones(3), rate=None)
            recorder.epoch(VARIABLES, matrix=np.eye(3), step=5, val_loss=0.25)
            recorder.epoch(VARIABLES, matrix=np.eye(3))
        recorder.step(VARIABLES, loss=0.5, rate=2.0)
    texts = [str(each.message) for each in caught if "left out" in str(each.message)]
    assert len(texts) == 4
    for name, text in zip(("rate", "train_loss", "matrix", "step"), texts, strict=True):
        assert f"'{name}'" in text
    assert {each.filename for each in caught if "left out" in str(each.message)} == {__file__}
    run = open_run(tmp_path / "run")
    assert [dict(row.reported) for row in run.metrics.steps] == [
        *({"train_loss": 0.5, "rate": 1.0}, {"train_loss": 0.5}, {}, {"train_loss": 0.5, "rate": 2.0})
    ]
    assert run.metrics.epochs[1].reported == {"val_loss": 0.25} and not run.problems


def test_numbers_keep_their_precision_and_their_kind():
    given = {
        "rate": 1e-3,
        "whole": 2**60,
        "flag": True,
        "count": np.int64(3),
        "small": jnp.int4(3),
        "part": Decimal("0.1"),
    }
    result = numbers(Metrics()(given))
    assert result == {"rate": 1e-3, "whole": 2**60, "flag": 1, "count": 3, "small": 3, "part": 0.1}
    assert [type(value) for value in result.values()] == [float, int, int, int, int, float]


@pytest.mark.parametrize("kind", [jnp.float32, np.float32, np.float16, jnp.bfloat16, jnp.float8_e4m3fn])
def test_a_number_is_the_shortest_decimal_of_its_type(kind):
    short = {jnp.float8_e4m3fn: 0.1}.get(kind, 1e-3)
    assert numbers({"rate": kind(short)}) == {"rate": short}
    for value in (0.0, -2.5, 1 / 3, 1234.5, float("inf")):
        given = np.asarray(kind(value))
        kept = numbers({"x": given})["x"]
        assert given == np.asarray(kept).astype(given.dtype) or np.isnan(given)
    assert np.isnan(numbers({"x": kind(float("nan"))})["x"])


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
    assert f"{100 * own:.1f}" in built.document.headline and "97" not in built.document.headline
    curves = next(section for section in built.document.sections if section.anchor == "curves")
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
    curves = next(s for s in build(tmp_path / "run", embedding="pca").document.sections if s.anchor == "curves")
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
    recorded = np.array([row["train_loss"] for row in run.steps], np.float32)
    np.testing.assert_array_equal(recorded, [*np.asarray(losses)] * 2)


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
        (np.float32(1e-3), 1e-3),
        (jnp.array([0.1, jnp.inf], jnp.bfloat16), [0.1, "inf"]),
        ({3, 1, "b", 2}, [1, 2, 3, "b"]),
        (frozenset(), []),
        (argparse.Namespace(rate=1e-3), {"rate": 1e-3}),
        (types.SimpleNamespace(a={1}), {"a": [1]}),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (datetime.datetime(2026, 1, 2), "2026-01-02 00:00:00"),
        (datetime.timedelta(seconds=1), "0:00:01"),
        (1 + 2j, "(1+2j)"),
        (np.complex64(1), "(1+0j)"),
        (np.array(["a", "b"]), ["a", "b"]),
        (partial(nn.relu), "relu(...)"),
        (Fraction(1, 2), 0.5),
        (2**70, 2**70),
    ],
)
def test_configuration_values_become_json(value, expected):
    assert plain(value, "config") == expected
    json.dumps(plain(value, "config"), allow_nan=False)


def nested():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), b"bytes", np.zeros(2000), 2**1000, jax.random.key(0), {1: 0, "1": 1}])
def test_what_can_not_be_json_is_refused_by_the_name_of_its_key(tmp_path, value):
    with pytest.raises(OptionError, match=r"config\['given'\]\['x'\] (is|has) "):
        Recorder(tmp_path / "run", Net(), VARIABLES, **DATA, config={"given": {"x": value}})
    assert not (tmp_path / "run").exists()
    with pytest.raises(OptionError, match=r"config must be a mapping .* try vars\(config\)"):
        configuration([("rate", 1)], "config")
    with pytest.raises(OptionError, match="config contains itself"):
        configuration({"list": nested()}, "config")


def test_every_file_of_json_that_is_written_is_json(tmp_path):
    config = {"nan": float("nan"), "text": "\udcff", "array": np.array([np.inf, 1], np.float32)}
    with Recorder(tmp_path / "run", Net(), VARIABLES, **DATA, config=config) as recorder:
        recorder.step(VARIABLES, loss=np.float32("nan"), score=-np.inf)
        recorder.epoch(VARIABLES, val_loss=jnp.inf)
    build(tmp_path / "run", embedding="pca").write_numbers(tmp_path / "numbers")

    def refuse(text):
        raise AssertionError(text)

    lines = [line for name in ("steps", "epochs") for line in (tmp_path / f"run/{name}.jsonl").read_text().splitlines()]
    texts = [file.read_text() for file in (tmp_path / "run/run.json", tmp_path / "numbers/report.json")]
    assert len([json.loads(text, parse_constant=refuse) for text in (*lines, *texts)]) == 5
    assert open_run(tmp_path / "run").config["array"] == ["inf", 1.0]


def test_the_cross_entropy_of_the_evaluation_is_recorded_where_it_is_asked_for(tmp_path):
    with Recorder(tmp_path / "run", Net(), VARIABLES, keep=Keep(loss=True), **DATA) as recorder:
        recorder.step(scaled(2), loss=0.5)
        recorder.epoch(scaled(2))
        assert recorder.loss is not None
        recorder.step(scaled(3), loss=0.5)
        recorder.epoch(scaled(3), val_loss=7.0)
    rows = [dict(row) for row in open_run(tmp_path / "run").epochs]
    for row, factor in zip(rows[:2], (1, 2), strict=True):
        logits = np.asarray(Net().apply(scaled(factor), X), np.float64)
        true = logits[np.arange(len(Y)), Y]
        assert row["val_loss"] == pytest.approx((np.log(np.exp(logits).sum(axis=1)) - true).mean(), rel=1e-6)
    assert rows[2]["val_loss"] == 7.0  # the loop's own stands
    with Recorder(tmp_path / "other", Net(), VARIABLES, **DATA) as recorder:
        recorder.epoch(scaled(2), steps=1)
    assert not any("val_loss" in row for row in open_run(tmp_path / "other").epochs)
