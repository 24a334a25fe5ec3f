"""Every benchmark once, at tiny sizes and in this process: that it runs, not how long it takes."""

import importlib
import math
import subprocess
import sys

import pytest

from benchmarks import BENCHMARKS
from benchmarks.measure import REPOSITORY, Contestant, Missing, Row, Settings, in_turns, ratio
from benchmarks.results import table


def runs(name, folder):
    try:
        rows = importlib.import_module(f"benchmarks.{name}").measure(Settings(1, None, folder, tiny=True))
    except Missing as missing:
        pytest.skip(str(missing))
    assert rows and all(isinstance(row, Row) and math.isfinite(row.median) for row in rows)
    assert all(row.figure in table({name: rows}) for row in rows)
    return [row.figure for row in rows]


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name != "embedding"])
def test_a_benchmark_runs(name, tmp_path):
    runs(name, tmp_path)


@pytest.mark.filterwarnings("ignore")  # umap-learn warns of so few points
def test_the_embedding_runs(umap_, tmp_path):
    assert runs("embedding", tmp_path) == [
        "a chained frame / independent `umap.UMAP`",
        "trustworthiness lost by it",
        "placing 10,000 points / `UMAP.transform`",
        "2-D neighbour accuracy lost by it",
    ]


def test_one_runs_from_the_command_line(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "pictures", "--tiny", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    figures = [line.split(" | ")[0].strip("| ") for line in done.stderr.splitlines() if line.startswith("| ")][1:]
    assert figures == runs("pictures", tmp_path)


def test_turns_in_processes_of_their_own():
    shape = {"channels": 2, "side": 4}
    with Contestant("benchmarks.pictures:ours", shape) as one, Contestant("benchmarks.pictures:ours", shape) as other:
        taken = in_turns({"one": one, "other": other}, rounds=2)
    row = ratio("same", taken["one"], taken["other"], target=1e9)
    assert len(row.values) == 2 and row.holds and row.median > 0
    with pytest.raises(Missing, match="no_such_module"):
        Contestant("benchmarks.no_such_module:ours", {})


def test_what_does_not_hold_is_said():
    rows = [Row("quick", (1.0, 3.0, 2.0), 2.0), Row("slow", (5.0,), 1.0, "s", "why")]
    quick, slow = table({"x": rows, "y": "needs torch"}).splitlines()[2:4]
    assert quick == "| quick | **2.00** | 1.00 to 3.00 | <= 2 | holds |  |"
    assert slow == "| slow | **5.00 s** |  | <= 1 s | **does not hold** | why |"
    assert "| **does not hold**, [what limits](#whole-job) | why |" in table({"whole_job": rows[1:]})


def test_names_are_listed():
    command = [sys.executable, "-m", "benchmarks", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 2 and "whole_job" in done.stderr
