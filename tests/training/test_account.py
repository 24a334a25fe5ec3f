"""What is said of checkpoints that are not what they seem: planted in series of known content."""

import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest
from safetensors.numpy import save_file

import reportgen
from reportgen.errors import WeightsError
from reportgen.training.account import Facts, account, timeline, with_values
from tests.training import series


def facts(*values: float, **each: list) -> list[Facts]:
    """Checkpoints every 100 steps, along a straight line but for what is planted."""
    line = np.random.default_rng(0).normal(size=300).astype(np.float32)
    made = [Facts(100 * i, f"{100 * i}", **{k: v[i] for k, v in each.items()}) for i in range(len(values))]
    return [with_values(f, {"params": {"w": line * v}}) for f, v in zip(made, values, strict=True)]


def test_nothing_is_said_of_a_series_in_order():
    stats = [{"params": {"w": np.full(9, i, np.float32)}, "batch_stats": {"mean": np.full(2, i)}} for i in range(5)]
    made = [Facts(i, str(i), written=float(i), dtypes={"w": "float32"}) for i in range(5)]
    assert account([with_values(f, v) for f, v in zip(made, stats, strict=True)]) == ()
    # A path that wanders about one point is in no order, and none is claimed.
    rng = np.random.default_rng(3)
    noise = [with_values(Facts(i, ""), {"params": {"w": rng.normal(size=999)}}) for i in range(12)]
    assert account(noise) == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 1, 2, 1, 4), "The same weights stand at steps 100 and 300: one of them is a copy of the other."),
        ((0, 1, 2, 2, 2), "The weights stand still from step 200 to step 400: the 3 checkpoints there are the same."),
        ((1, 1, 1), "All 3 checkpoints hold the same weights: nothing was trained between them."),
        ((0, 1, 3, 2, 4, 5), "Steps 200 and 300 may be exchanged: the path through the weights is shorter when they"),
        ((0, 4, 2, 3, 1, 5), "Steps 100 and 400 may be exchanged"),
    ],
)
def test_planted_weights(values, said):
    (found,) = [text for text in account(facts(*values)) if text.startswith(said)]
    assert found


def test_times_steps_dtypes_and_statistics():
    (text,) = account(facts(0, 1, 2, 3, written=[1.0, 2.0, 9.0, 3.0]))
    assert (
        text == "Steps are not in the order of time: by the times of their files, step 300 before step 200 was written."
    )
    gap = [f for f in facts(*range(8)) if f.step not in (300, 600)]
    assert account(gap) == ("Of a series with a checkpoint every 100 steps, steps 300 and 600 are missing.",)
    assert account(gap, regular=False) == ()
    (text,) = account(facts(0, 1, 2, dtypes=[{"w": "float32"}, {"w": "float32"}, {"w": "bfloat16"}]))
    assert text == "The dtype of stored weights changes at step 200: float32 became bfloat16."
    still = [
        with_values(Facts(i, ""), {"params": {"w": np.full(9, i)}, "batch_stats": {"mean": np.zeros(2)}})
        for i in (0, 1, 2)
    ]
    (text,) = account(still)
    assert text.startswith("The batch statistics are the same at all 3 checkpoints, while the weights change")


@pytest.mark.parametrize(
    ("named", "saved", "steps", "epochs", "said"),
    [
        ([0, 1, 2], [0, 60, 120], (0, 60, 120), (0, 1, 2), ""),
        ([9, 10], [540, 600], (540, 600), (9, 10), ""),
        ([100, 200], [100, 200], (100, 200), None, ""),
        ([100, 200], [101, 201], (100, 200), None, ""),
        ([100, 200], [None, 200], (100, 200), None, ""),
        ([100, 200, 300], [7, 7, 7], (100, 200, 300), None, "All checkpoints say that they are of step 7"),
        ([100, 200, 300], [100, 300, 200], (100, 300, 200), None, "Checkpoints are exchanged: the one named 200"),
        ([100, 200, 300], [100, 300, 300], (100, 200, 300), None, ""),
        ([100, 200, 300], [100, 300, 250], (100, 200, 300), None, "Names and contents of checkpoints differ"),
    ],
)
def test_names_and_contents(named, saved, steps, epochs, said):
    line = timeline(named, saved)
    assert (line.steps, line.epochs) == (steps, epochs)
    assert "".join(line.said).startswith(said)


def manager(folder: Path, states, steps) -> Path:
    with ocp.CheckpointManager(folder) as kept:
        for step, state in zip(steps, states, strict=True):
            kept.save(step, args=ocp.args.StandardSave(series.saved(state)))
    return folder


def replay(checkpoints, path, **options):
    return reportgen.replay(checkpoints, series.Small(), path, dataset=series.data(), **options)


def test_planted_in_a_folder_of_orbax(tmp_path):
    states = series.states(6, every=1)
    folder = manager(tmp_path / "c", states, range(6))
    shutil.rmtree(folder / "4")
    shutil.copytree(folder / "5", folder / "4")  # a copy of the last one
    (folder / "1").rename(folder / "x")
    (folder / "2").rename(folder / "1")
    (folder / "x").rename(folder / "2")
    (folder / "6.orbax-checkpoint-tmp-3").mkdir()
    run = replay(folder, tmp_path / "run")
    said = " ".join(run.notes)
    assert "The same weights stand at steps 4 and 5" in said
    assert "the one named 1 says that it is of step 2, the one named 2 says that it is of step 1" in said
    assert "Steps are not in the order of time" in said and "step 2 before step 1" in said
    assert "Passed over: 6.orbax-checkpoint-tmp-3: it was not finished" in said
    page = reportgen.build(run, embedding="pca")
    assert page.document.warnings[: len(run.notes)] == run.notes


def test_partial_and_damaged_steps_are_refused_by_name_or_passed_over(tmp_path):
    states = series.states(4, every=1)
    folder = manager(tmp_path / "c", states, range(4))
    shutil.rmtree(folder / "1")
    tree = series.saved(states[1])
    part = tree | {
        "params": {k: v for k, v in tree["params"].items() if k != "hidden"} | {"extra": {"kernel": np.ones(3)}}
    }
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "1", part)
    with pytest.raises(WeightsError) as caught:
        replay(folder, tmp_path / "run")
    assert f"{folder / '1'} do not fit the model: 2 missing, 1 unexpected" in str(caught.value)
    assert "params/hidden/kernel float32 [256, 8]  missing" in str(caught.value)
    assert "--skip-bad" in str(caught.value) and not (tmp_path / "run").exists()
    for file in (folder / "2").rglob("d/*"):
        file.write_bytes(file.read_bytes()[:50])
    run = replay(folder, tmp_path / "run", skip_bad=True)
    assert list(run.snapshots) == [0, 3]
    assert [note[:14] for note in run.notes[-2:]] == ["Passed over: 1", "Passed over: 2"]


def test_files_in_another_order_of_time(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for step, state in enumerate(series.states(3, every=1)):
        flat = {f"params/{layer}/{n}": np.asarray(x) for layer, t in state.params.items() for n, x in t.items()}
        flat |= {f"batch_stats/norm/{n}": np.asarray(x) for n, x in state.batch_stats["norm"].items()}
        save_file(flat, folder / f"step_{step}.safetensors")
        os.utime(folder / f"step_{step}.safetensors", (100 - step, 100 - step))
    run = replay(folder, tmp_path / "run")
    assert "Steps are not in the order of time" in " ".join(run.notes)


def test_a_large_tree_is_sketched_in_little_memory():
    weights = np.random.default_rng(0).normal(size=(4096, 2048)).astype(np.float32)
    whole, parts = {"params": {"w": weights}}, {"params": {"w": weights[::-1].copy()}}
    tracemalloc.start()
    facts = with_values(Facts(1, "one"), whole)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < weights.nbytes
    other = with_values(Facts(2, "two"), parts)
    apart = np.linalg.norm(facts.sketch - other.sketch) / np.linalg.norm(weights - weights[::-1])
    assert apart == pytest.approx(1, abs=0.05) and facts.params != other.params
