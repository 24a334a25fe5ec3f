"""Replaying checkpoints: every way in which they are written, and the run that comes of them."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx, serialization
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

import reportgen
from reportgen.cli import main
from reportgen.errors import OptionError, RunError, RunExistsError, WeightsError
from reportgen.page.html import html
from reportgen.training import replay_series, train
from reportgen.training.replay_series import Reader
from reportgen.weights import series as weights_series
from tests.conftest import tiny_dataset, tiny_model
from tests.training import series

STEPS = [0, 2, 4, 6, 8]


@pytest.fixture(scope="module")
def states():
    return series.states()


@pytest.fixture(scope="module")
def manager(states, tmp_path_factory) -> Path:
    """An Orbax CheckpointManager's folder of TrainStates with Adam's moments. Not to be changed."""
    folder = tmp_path_factory.mktemp("manager") / "checkpoints"
    with ocp.CheckpointManager(folder) as kept:
        for step, state in zip(STEPS, states, strict=True):
            kept.save(step, args=ocp.args.StandardSave(series.saved(state)))
    return folder


def replay(checkpoints, path, **options):
    return reportgen.replay(checkpoints, series.Small(), path, dataset=series.data(), **options)


def assert_replayed(run, states, steps=STEPS) -> None:
    assert list(run.snapshots) == list(run.observations) == [row["step"] for row in run.epochs] == steps
    for step, state, row in zip(steps, states, run.epochs, strict=True):
        snapshot = run.snapshots[step]
        for kind, tree in (("params", state.params), ("batch_stats", state.batch_stats)):
            wanted = flatten_dict(tree, sep="/")
            assert set(snapshot.variables[kind]) == set(wanted)
            for name, leaf in wanted.items():
                np.testing.assert_array_equal(snapshot.variables[kind][name], leaf)
        loss, accuracy = series.loss_and_accuracy({"params": state.params, "batch_stats": state.batch_stats})
        assert row["val_accuracy"] == pytest.approx(accuracy)
        assert row["val_loss"] == pytest.approx(loss, rel=1e-5)


def test_a_manager_of_train_states(manager, states, tmp_path):
    run = replay(manager, tmp_path / "run")
    assert_replayed(run, states)
    assert [row["epoch"] for row in run.epochs] == [0, 1, 2, 3, 4]
    assert run.config["preprocess"] == "grey, 0 to 1" and run.status == "finished"
    assert run.notes == (
        "Replayed from 5 checkpoints: what only a live recording has, the parameters and the loss of every batch, is "
        "left out. The column epoch of its tables of numbers counts checkpoints, step 0 the first.",
    )
    page = reportgen.build(run, embedding="pca")
    assert page.document.warnings[0] == run.notes[0]
    assert "at step 8" in page.document.headline and "epoch" not in page.document.headline
    assert ("checkpoints", "5") in page.document.key_figures
    shown = html(page.document)
    assert ">epoch</text>" not in shown and ">step</text>" in shown and "Step 0 is before training" in shown
    assert "after epoch" not in shown and "grey, 0 to 1" in shown
    assert "Loss, of test as the replay computed it" in shown


def test_the_next_small_checkpoint_is_read_while_one_is_evaluated(manager, states, tmp_path, monkeypatch):
    read = Reader._read
    names: list[tuple[str, bool]] = []

    def noted(reader, entry):
        names.append((entry.facts.name, threading.current_thread() is threading.main_thread()))
        return read(reader, entry)

    monkeypatch.setattr(Reader, "_read", noted)
    assert_replayed(replay(manager, tmp_path / "run"), states)
    assert names == [("0", True), ("2", False), ("4", False), ("6", False), ("8", False)]
    names.clear()
    monkeypatch.setattr(replay_series, "AHEAD_BYTES", 0)
    assert_replayed(replay(manager, tmp_path / "large"), states)
    assert names == [("0", True), ("2", True), ("4", True), ("6", True), ("8", True)]


def test_what_is_in_a_checkpoint_is_found_once(manager, states, tmp_path, monkeypatch):
    found, read = [], weights_series.read_orbax
    monkeypatch.setattr(weights_series, "read_orbax", lambda path: (found.append(path.name), read(path))[1])
    assert_replayed(replay(manager, tmp_path / "run"), states)
    assert len(found) == len(set(found)) > 1
    once = len(found)
    found.clear()
    monkeypatch.setattr(replay_series, "HELD", 0)  # of many checkpoints it is found anew
    assert_replayed(replay(manager, tmp_path / "many"), states)
    assert len(found) == 2 * once


def test_a_recorded_run_replayed_from_its_own_checkpoints_is_the_same(tmp_path):
    train(tmp_path / "run", tiny_dataset(), tiny_model(), model_name="Tiny", epochs=3, batch_size=50)
    again = reportgen.replay(tmp_path / "run" / "checkpoints", tiny_model(), tmp_path / "again", dataset=tiny_dataset())
    assert [row["epoch"] for row in again.epochs] == [0, 1, 2, 3]
    assert again.epochs[-1]["step"] == 18
    reports = {name: reportgen.build(tmp_path / name, embedding="pca") for name in ("run", "again")}
    for name, report in reports.items():
        report.write_numbers(tmp_path / f"{name}-numbers")
        report.write_figures(tmp_path / f"{name}-figures")
    # Every batch's loss and parameters are in the recording alone.
    batches = {
        "metrics.csv",
        "health_updates.csv",
        "score.csv",
        "health-score.svg",
        "report.json",
        "curves-chart.svg",
        "curves-chart.txt",
        "figures.tex",
    }
    for part in ("numbers", "figures"):
        folders = [tmp_path / f"{name}-{part}" for name in ("run", "again")]
        names = {file.name for file in folders[0].iterdir()}
        assert names == {file.name for file in folders[1].iterdir()}
        same = {name for name in names if (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()}
        assert names - same <= batches
        assert len(same) > 4


def test_only_the_last_are_there_and_the_first_is_not_before_training(states, tmp_path):
    options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=True)
    with ocp.CheckpointManager(tmp_path / "kept", options=options) as kept:
        for step, state in zip(STEPS, states, strict=True):
            kept.save(step, args=ocp.args.StandardSave(series.saved(state)))
        kept.wait_until_finished()
    run = replay(tmp_path / "kept", tmp_path / "run")
    assert_replayed(run, states[-2:], [6, 8])
    assert [row["epoch"] for row in run.epochs] == [1, 2]
    assert "before training" not in reportgen.build(run, embedding="pca").document.headline


def test_the_newest_api_of_orbax(states, tmp_path):
    from orbax.checkpoint import v1

    save = v1.save if hasattr(v1, "save") else v1.save_pytree
    for step, state in zip(STEPS, states, strict=True):
        save(tmp_path / "new" / str(step), series.saved(state))
    assert_replayed(replay(tmp_path / "new", tmp_path / "run"), states)


def test_an_nnx_model_with_its_optimizer_beside_it(tmp_path):
    model = series.SmallNnx(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    x, y = series.data().train_images[:50], series.data().train_labels[:50]

    def loss(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    kernels = []
    with ocp.CheckpointManager(tmp_path / "states") as states, ocp.CheckpointManager(tmp_path / "both") as both:
        for step in range(3):
            kernels.append(np.asarray(model.hidden.kernel[...]))
            states.save(step, args=ocp.args.StandardSave(nnx.to_pure_dict(nnx.state(model))))
            tree = {"model": nnx.state(model), "optimizer": nnx.state(optimizer)}
            both.save(step, args=ocp.args.StandardSave(tree))
            optimizer.update(model, nnx.grad(loss)(model))
    for name in ("states", "both"):
        fresh = series.SmallNnx(nnx.Rngs(7))
        run = reportgen.replay(tmp_path / name, fresh, tmp_path / f"run-{name}", dataset=series.data())
        for step, kernel in enumerate(kernels):
            np.testing.assert_array_equal(run.snapshots[step].params["hidden/kernel"], kernel)
        assert set(run.snapshots[0].variables) == {"params", "BatchStat"}
        np.testing.assert_array_equal(fresh.hidden.kernel[...], series.SmallNnx(nnx.Rngs(7)).hidden.kernel[...])


def test_saved_from_eight_devices_and_opened_on_one(tmp_path):
    code = """
import sys
import jax, numpy as np, orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from tests.training import series
assert jax.device_count() == 8
mesh = Mesh(np.array(jax.devices()), ("x",))
def placed(leaf):
    spec = P("x") if leaf.ndim and leaf.shape[0] % 8 == 0 else P()
    return jax.device_put(leaf, NamedSharding(mesh, spec))
with ocp.CheckpointManager(sys.argv[1]) as manager:
    for step, state in enumerate(series.states(2)):
        tree = {"params": jax.tree.map(placed, state.params), "batch_stats": state.batch_stats}
        manager.save(step, args=ocp.args.StandardSave(tree))
"""
    env = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu", "PATH": "/usr/bin:/bin"}
    root = Path(__file__).parent.parent.parent
    env |= {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "c"], env=env, capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    run = replay(tmp_path / "c", tmp_path / "run")
    for step, state in enumerate(series.states(2)):
        np.testing.assert_allclose(
            run.snapshots[step].params["hidden/kernel"], state.params["hidden"]["kernel"], atol=1e-6
        )


def flat(state) -> dict[str, np.ndarray]:
    tree = {"params": state.params, "batch_stats": state.batch_stats}
    return {name: np.asarray(leaf) for name, leaf in flatten_dict(tree, sep="/").items()}


WRITE = {
    "checkpoint_{}": lambda path, state: path.write_bytes(serialization.to_bytes(state)),
    "ckpt-{:06}.msgpack": lambda path, state: path.write_bytes(serialization.to_bytes(series.saved(state))),
    "step_{:06}.safetensors": lambda path, state: save_file(flat(state), path),
    "model-{:05}.npz": lambda path, state: np.savez(path, **flat(state)),
}


@pytest.mark.parametrize("name", WRITE)
def test_files_named_by_their_steps(name, states, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for step, state in zip(STEPS, states, strict=True):
        WRITE[name](folder / name.format(step), state)
    (folder / "notes.txt").write_text("not a checkpoint 7")
    assert_replayed(replay(folder, tmp_path / "run"), states)
    pattern = folder / f"*{Path(name).suffix or '_*'}"
    assert_replayed(replay(pattern, tmp_path / "again", steps="0:8:4"), states[::2], [0, 4, 8])


def test_checkpoints_of_the_users_own(states, tmp_path):
    run = replay(zip(STEPS, states, strict=True), tmp_path / "run")
    assert_replayed(run, states)
    images, labels = series.data().test_images, series.data().test_labels
    handed = ((step, {"params": s.params, "batch_stats": s.batch_stats}) for step, s in zip(STEPS, states, strict=True))
    run = reportgen.replay(
        handed,
        series.Small(),
        tmp_path / "arrays",
        probe=images[:4],
        evaluation=(images, labels),
        apply=lambda model, variables, x: model.apply(variables, x, train=False),
    )
    assert_replayed(run, states)
    assert run.config["preprocess"] == "as handed over"


def test_a_plain_function_and_its_parameters(tmp_path):
    kernels = [np.full((64, 3), number, np.float32) for number in range(3)]
    x = np.random.default_rng(0).random((20, 64), np.float32)
    handed = ((step, {"w": kernel}) for step, kernel in enumerate(kernels))
    run = reportgen.replay(handed, lambda params, x: x @ params["w"], tmp_path / "run", probe=x[:4], evaluation=x)
    assert [float(snapshot.params["w"][0, 0]) for snapshot in run.snapshots.values()] == [0, 1, 2]


def test_averages_of_parameters_are_named_and_never_guessed(states, tmp_path):
    with ocp.CheckpointManager(tmp_path / "ema") as kept:
        for step, state in zip(STEPS, states, strict=True):
            ema = jax.tree.map(lambda leaf: leaf * 0.5, state.params)
            kept.save(step, args=ocp.args.StandardSave(series.saved(state) | {"ema_params": ema}))
    with pytest.raises(WeightsError, match=r"several trees fit the model: .*ema_params.*params.*--key"):
        replay(tmp_path / "ema", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for key, factor in (("ema_params", 0.5), ("params", 1)):
        run = replay(reportgen.Checkpoint(tmp_path / "ema", key=key), tmp_path / key)
        np.testing.assert_array_equal(
            run.snapshots[8].params["conv/kernel"], states[4].params["conv"]["kernel"] * factor
        )


def test_it_goes_on_when_more_have_come_and_where_it_was_stopped(manager, states, tmp_path, monkeypatch):
    whole = replay(manager, tmp_path / "whole")
    copy = tmp_path / "checkpoints"
    copy.mkdir()
    for step in STEPS[:3]:
        shutil.copytree(manager / str(step), copy / str(step))
    assert list(replay(copy, tmp_path / "run").snapshots) == STEPS[:3]
    for step in STEPS[3:]:
        shutil.copytree(manager / str(step), copy / str(step))

    read, opened = Reader.variables, []

    def counted(self, entry, *ahead):
        opened.append(entry.facts.step)
        if len(opened) == 2:
            raise KeyboardInterrupt
        return read(self, entry, *ahead)

    monkeypatch.setattr(Reader, "variables", counted)
    with pytest.raises(KeyboardInterrupt):
        replay(copy, tmp_path / "run")
    assert reportgen.open_run(tmp_path / "run").status == "interrupted"
    run = replay(copy, tmp_path / "run")
    assert opened == [6, 8, 6, 8]  # of a replay that was stopped, the last is replayed again
    assert_replayed(run, states)
    assert run.status == "finished" and run.notes == whole.notes
    for folder in ("snapshots", "activations"):
        for file in (tmp_path / "whole" / folder).iterdir():
            assert (tmp_path / "run" / folder / file.name).read_bytes() == file.read_bytes()
    replay(copy, tmp_path / "run")
    assert opened == [6, 8, 6, 8]


def test_the_first_ones_may_be_gone_when_more_have_come(manager, states, tmp_path):
    copy = tmp_path / "checkpoints"
    copy.mkdir()
    for step in STEPS[:3]:
        shutil.copytree(manager / str(step), copy / str(step))
    replay(copy, tmp_path / "run")
    for step in STEPS[:3]:
        shutil.rmtree(copy / str(step))
    for step in STEPS[3:]:
        shutil.copytree(manager / str(step), copy / str(step))
    run = replay(copy, tmp_path / "run")
    assert_replayed(run, states)
    assert [row["epoch"] for row in run.epochs] == [0, 1, 2, 3, 4] and "5 checkpoints" in run.notes[0]


def test_another_run_is_never_gone_on_with(manager, recorded, tmp_path):
    shutil.copytree(recorded, tmp_path / "recorded")
    with pytest.raises(RunExistsError, match="already holds a run"):
        replay(manager, tmp_path / "recorded")
    replay(manager, tmp_path / "run", steps="0:4")
    with pytest.raises(RunError, match=r"replayed with other options: preprocess 'grey, 0 to 1', now 'grey, 0 to 255'"):
        replay(manager, tmp_path / "run", preprocess="none")
    replay(manager, tmp_path / "run", steps="0,8")  # what was replayed stays
    with pytest.raises(RunError, match="up to step 8 without step 6"):
        replay(manager, tmp_path / "run")
    assert list(replay(manager, tmp_path / "run", overwrite=True).snapshots) == STEPS


def test_metrics_beside_the_checkpoints(manager, states, tmp_path):
    rows = [{"step": step, "loss": 2.0 - step / 10, "lr": 0.01} for step in range(1, 9)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = replay(manager, tmp_path / "run", metrics=tmp_path / "m.jsonl")
    assert [row["train_loss"] for row in run.steps] == [row["loss"] for row in rows]
    assert [row["epoch"] for row in run.steps] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert_replayed(run, states)


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda f: f.mkdir(), {}, WeightsError, "no checkpoints; expected the folder of an Orbax CheckpointManager"),
        (lambda f: None, {}, WeightsError, "no such file or folder"),
        (lambda f: f.write_text("x"), {}, WeightsError, "no checkpoints|no reader"),
        (None, {"steps": "7"}, OptionError, r"no checkpoint of step 7; there are 0, 2, 4"),
        (None, {"steps": "a:b"}, OptionError, "steps are numbers and ranges"),
        (None, {"dataset": None}, OptionError, "there is no data to evaluate the checkpoints on"),
        (None, {"model": tiny_model()}, WeightsError, r"do not fit the model: 2 missing"),
        (None, {"metrics": "none.csv"}, FileNotFoundError, "none.csv: no such file"),
    ],
)
def test_wrong_input_is_one_sentence_and_the_run_untouched(make, options, error, message, manager, tmp_path):
    checkpoints = manager
    if make is not None:
        make(checkpoints := tmp_path / "wrong")
    arguments = {"model": series.Small(), "dataset": series.data(), **options}
    with pytest.raises(error, match=message):
        reportgen.replay(checkpoints, arguments.pop("model"), tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_checkpoints_in_the_run_itself_are_not_overwritten(manager, tmp_path):
    shutil.copytree(manager, tmp_path / "run" / "checkpoints")
    with pytest.raises(OptionError, match=r"lie in .* itself"):
        replay(tmp_path / "run" / "checkpoints", tmp_path / "run", overwrite=True)


def test_the_command(manager, tmp_path, monkeypatch, capsys):
    data = series.data()
    np.savez(
        tmp_path / "my.npz",
        images=(np.concatenate([data.train_images, data.test_images]) * 255).astype(np.uint8)[..., 0],
        labels=np.concatenate([data.train_labels, data.test_labels]),
    )
    options = ("--model", "tests.training.series:small", "--dataset", tmp_path / "my.npz", "--steps", "0:8:4")
    for command in (
        ("replay", manager, "-o", tmp_path / "run", *options, "--key", "params", "--metrics", tmp_path / "m.csv"),
        ("build", tmp_path / "run", "-o", tmp_path / "report.html", "--embedding", "pca"),
    ):
        (tmp_path / "m.csv").write_text("step,loss\n2,1.5\n4,1.25\n")
        monkeypatch.setattr(sys, "argv", ["reportgen", *map(str, command)])
        with pytest.raises(SystemExit, match="0"):
            main()
    out = capsys.readouterr().out
    assert "Replayed from 3 checkpoints" in out and "run: 3 checkpoints, steps 0 to 8" in out
    assert "Replayed from 3 checkpoints" in (tmp_path / "report.html").read_text()
