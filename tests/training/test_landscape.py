"""The loss around a training's way: every number computed again, by NumPy; wrong input; what the page says of it."""

import csv
import shutil
import sys
from dataclasses import replace

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx

import reportgen
from reportgen.cli import main
from reportgen.data import make_dataset
from reportgen.errors import DataError, ModelError, OptionError, RunError
from reportgen.record import Recorder
from reportgen.sections import Moment, Options, PageContext
from reportgen.sections.landscape import build as section
from reportgen.store import layout, save_run
from reportgen.training import train
from tests.conftest import tiny_dataset, tiny_model

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((100, 6)).astype(np.float32), np.arange(100) % 3


class Dense(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="output")(nn.relu(nn.Dense(5, name="hidden")(x)))


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Dense(5, name="hidden")(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.7, name="norm")(x)
        return nn.Dense(3, name="output")(nn.relu(x))


class NormedNnx(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.norm = nnx.Linear(6, 5, rngs=rngs), nnx.BatchNorm(5, momentum=0.9, rngs=rngs)
        self.output = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.output(nnx.relu(self.norm(self.hidden(x))))


def recorded(path, model, variables):
    """A run of five states that wander."""
    rng = np.random.default_rng(1)
    nnx_model = isinstance(model, nnx.Module)
    with Recorder(
        path, model, *([] if nnx_model else [variables]), probe=(X[:4], Y[:4]), evaluation=(X, Y)
    ) as recorder:
        for _ in range(4):
            if nnx_model:
                state = nnx.state(model, nnx.Param)
                moved = jax.tree.map(lambda leaf: leaf + 0.4 * rng.standard_normal(leaf.shape).astype("float32"), state)
                nnx.update(model, moved)
                recorder.step(model)
                recorder.epoch(model)
            else:
                params = jax.tree.map(
                    lambda leaf: leaf + 0.4 * rng.standard_normal(leaf.shape).astype("float32"), variables["params"]
                )
                variables = {**variables, "params": params}
                recorder.step(variables)
                recorder.epoch(variables)
    return path


def loss(params, normed=False):
    """The mean cross-entropy by NumPy, in 64-bit floats; batch statistics those of all examples."""
    p = {name: np.asarray(value, np.float64) for name, value in params.items()}
    hidden = X.astype(np.float64) @ p["hidden/kernel"] + p["hidden/bias"]
    if normed:
        hidden = (hidden - hidden.mean(axis=0)) / np.sqrt(hidden.var(axis=0) + 1e-5)
        hidden = hidden * p["norm/scale"] + p["norm/bias"]
    scores = np.maximum(hidden, 0) @ p["output/kernel"] + p["output/bias"]
    return (np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(Y)), Y]).mean()


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    path = recorded(tmp_path_factory.mktemp("dense") / "run", Dense(), Dense().init(jax.random.key(0), X[:1]))
    reportgen.landscape(path, model=Dense(), points=4)
    return path


def test_every_loss_is_the_one_that_numpy_computes(dense):
    run = reportgen.open_run(dense)
    found, states = run.landscape, [run.snapshots[step] for step in run.snapshots]
    assert found.steps.tolist() == list(run.snapshots) and (found.measure, found.examples) == ("cross-entropy", 100)
    assert (found.part, found.reestimated) == ("evaluation", False)
    flat = np.stack([np.concatenate([value.ravel() for value in state.params.values()]) for state in states]).astype(
        float
    )
    _, _, axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    ways = axes[:2] * np.where(((flat[0] - flat[-1]) @ axes[:2].T) > 0, -1, 1)[:, None]
    np.testing.assert_allclose(found.path, (flat - flat[-1]) @ ways.T, atol=1e-5)
    shapes = {name: value.shape for name, value in states[0].params.items()}

    def tree(vector):
        parts = np.split(vector, np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1])
        return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    expected = [[loss(tree(flat[-1] + a * ways[0] + b * ways[1])) for a in found.x] for b in found.y]
    np.testing.assert_allclose(found.loss, expected, rtol=1e-4)
    np.testing.assert_allclose(found.state_loss, [loss(state.params) for state in states], rtol=1e-5)
    line = [loss(tree(flat[0] + t * (flat[-1] - flat[0]))) for t in found.along]
    np.testing.assert_allclose(found.line_loss, line, rtol=1e-4)
    assert found.x.min() < found.path[:, 0].min() and found.x.max() > found.path[:, 0].max()


@pytest.mark.parametrize("model", [Normed(), NormedNnx(nnx.Rngs(0))], ids=["Linen", "NNX"])
def test_batch_statistics_are_estimated_anew(model, tmp_path):
    variables = model.init(jax.random.key(0), X[:1]) if isinstance(model, Normed) else None
    run = reportgen.landscape(recorded(tmp_path / "run", model, variables), model=model, points=3)
    found = run.landscape
    assert found.reestimated
    own = [loss(run.snapshots[step].params, normed=True) for step in found.steps]
    np.testing.assert_allclose(found.state_loss, own, rtol=1e-4)
    half = {
        name: (value + run.snapshots[found.between[1]].params[name]) / 2
        for name, value in run.snapshots[found.between[0]].params.items()
    }
    assert found.line_loss[np.abs(found.along - 0.5).argmin()] == pytest.approx(loss(half, normed=True), rel=1e-4)


def test_the_run_keeps_it_until_it_is_recorded_anew(dense, tmp_path):
    run = reportgen.open_run(dense)
    again = reportgen.open_run(save_run(run, tmp_path / "copy"))
    assert (again.landscape.loss == run.landscape.loss).all() and again.landscape.between == run.landscape.between
    reportgen.landscape(tmp_path / "copy", model=Dense(), points=3, between=(2, 4))
    assert reportgen.open_run(tmp_path / "copy").landscape.between == (2, 4)
    file = tmp_path / "copy" / layout.LANDSCAPE_FILE
    whole = file.read_bytes()
    reportgen.landscape(tmp_path / "copy", model=Dense(), points=3, between=(2, 4))
    assert file.read_bytes() == whole
    file.write_bytes(whole[:-8])
    damaged = reportgen.open_run(tmp_path / "copy")
    assert damaged.landscape is None and any("the landscape left out" in problem for problem in damaged.problems)
    file.write_bytes(whole)
    shutil.rmtree(tmp_path / "copy" / layout.SNAPSHOTS)
    save_run(run, tmp_path / "copy", overwrite=True)
    with Recorder(
        tmp_path / "copy", Dense(), Dense().init(jax.random.key(0), X[:1]), probe=X[:4], overwrite=True
    ) as recorder:
        recorder.step(Dense().init(jax.random.key(1), X[:1]))
    assert not file.exists()


def test_the_page_says_what_was_found(dense, tmp_path):
    report = reportgen.build(dense, embedding="pca")
    assert "landscape" in report.sections
    shown = section(PageContext(Moment(reportgen.open_run(dense), 4), None, Options()))
    assert shown.finding.startswith("On the straight line from step 0 to step 4 the cross-entropy of 100 evaluation ")
    report.write_numbers(tmp_path / "numbers")
    found = reportgen.open_run(dense).landscape
    with (tmp_path / "numbers" / "landscape_plane.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert [float(row["loss"]) for row in rows] == pytest.approx(found.loss.reshape(-1).tolist(), rel=1e-5)
    with (tmp_path / "numbers" / "landscape_shares.csv").open(newline="") as file:
        shares = list(csv.DictReader(file))
    text = " ".join(block.text for block in shown.blocks if hasattr(block, "text"))
    both = 100 * sum(float(row["share"]) for row in shares[:2])
    walk = 100 * sum(float(row["random_walk"]) for row in shares[:2])
    assert f"{both:.1f}" in text and f"{walk:.1f}" in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([3.0, 2, 1], "falls from 3 to 1 without a rise"),
        ([1.0, 4, 1], "up to 4 in between: a barrier"),
        ([1.0, 2, 3], "rises from 1 to 3 without a fall"),
        ([3.0, 1, 2, 0.5], "with falls and rises on the way"),
        ([3.0, np.nan, 1], "not finite everywhere"),
    ],
)
def test_the_sentence_on_the_line_holds(line, words, dense):
    run = reportgen.open_run(dense)
    along = np.linspace(0, 1, len(line))
    run = replace(run, landscape=replace(run.landscape, along=along, line_loss=np.array(line)))
    context = PageContext(Moment(run, 4), None, Options())
    assert words in section(context).finding
    few = replace(run, landscape=replace(run.landscape, examples=19))
    assert "too few" in section(PageContext(Moment(few, 4), None, Options())).finding


def test_of_a_run_of_train_the_training_images_are_taken(tmp_path):
    train(tmp_path / "run", tiny_dataset(), tiny_model(), model_name="Tiny", epochs=2, batch_size=100)
    before = reportgen.build(tmp_path / "run", embedding="pca")
    assert "landscape" not in before.sections
    run = reportgen.landscape(tmp_path / "run", model=tiny_model(), dataset=tiny_dataset(), points=3)
    assert (run.landscape.part, run.landscape.examples) == ("training", 300)
    data = tiny_dataset()
    other = make_dataset(
        "tiny", data.train_images / 2, data.train_labels, data.test_images, data.test_labels, data.classes
    )
    with pytest.raises(DataError, match="is not the data that"):
        reportgen.landscape(tmp_path / "run", model=tiny_model(), dataset=other)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, RunError, "does not tell how to build its model"),
        ({"model": Dense(), "between": (0, 99)}, OptionError, "no snapshot of step 99"),
        ({"model": Dense(), "between": (1, 1)}, OptionError, "two different steps"),
        ({"model": Dense(), "points": 2}, OptionError, "points"),
        ({"model": Dense(), "dataset": tiny_dataset()}, OptionError, "holds its own examples"),
        ({"model": Dense(), "data": X}, DataError, "needs targets"),
        ({"model": Dense(), "data": (X, Y), "apply": lambda *given: 1 / 0}, ModelError, "can't take the examples"),
    ],
)
def test_wrong_input_is_one_sentence_and_the_run_untouched(options, error, message, dense):
    file = dense / layout.LANDSCAPE_FILE
    before = file.read_bytes()
    with pytest.raises(error, match=message):
        reportgen.landscape(dense, **options)
    assert file.read_bytes() == before


def test_too_few_states_have_no_plane(tmp_path):
    variables = Dense().init(jax.random.key(0), X[:1])
    with Recorder(tmp_path / "run", Dense(), variables, probe=(X[:4], Y[:4]), evaluation=(X, Y)) as recorder:
        recorder.step(Dense().init(jax.random.key(1), X[:1]))
    with pytest.raises(RunError, match="lie on a line or do not move"):
        reportgen.landscape(tmp_path / "run", model=Dense())


def test_the_command(dense, tmp_path, monkeypatch, capsys):
    shutil.copytree(dense, tmp_path / "run")
    (tmp_path / "run" / layout.LANDSCAPE_FILE).unlink()
    options = ["--model", "tests.training.test_landscape:made", "--points", "3", "--between", "1", "3"]
    monkeypatch.setattr(sys, "argv", ["reportgen", "landscape", str(tmp_path / "run"), *options])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "cross-entropy at 9 points of a plane and 31 of a line" in capsys.readouterr().out
    assert reportgen.open_run(tmp_path / "run").landscape.between == (1, 3)


def made(num_classes=3):
    return Dense()
