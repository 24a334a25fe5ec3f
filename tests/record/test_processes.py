"""Recordings of several processes: the same as of one, whole where one is killed, refused where one is not there."""

import csv
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

import reportgen
from reportgen.store import open_run
from reportgen.store.schema import observation_tensors
from tests.record import together
from tests.reliability import count

ROOT = Path(__file__).parents[2]
KILLS = count(3, 30)


@contextmanager
def begun(number: int, folder: Path | str, do: str) -> Iterator[list[subprocess.Popen]]:
    """The processes, of which none is left behind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.record.together", *map(str, (rank, number, port, folder, do))],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(number)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def ended(processes: list[subprocess.Popen]) -> list[str]:
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


def close(one, other, to: float, name: str = "") -> None:
    one, other = np.asarray(one, float), np.asarray(other, float)
    largest = max(1.0, np.abs(other).max(initial=0, where=np.isfinite(other)))
    np.testing.assert_allclose(one, other, rtol=to, atol=0.3 * to * largest, err_msg=name)


def numbers(run: Path, folder: Path) -> dict[str, list[list[str]]]:
    """The tables of a page."""
    reportgen.build(run, embedding="pca").write_numbers(folder)
    return {file.name: list(csv.reader(file.read_text().splitlines())) for file in sorted(folder.rglob("*.csv"))}


def same_table(one: list[list[str]], other: list[list[str]], to: float, name: str) -> None:
    assert [len(row) for row in one] == [len(row) for row in other], name
    for a, b in ((a, b) for rows in zip(one, other, strict=True) for a, b in zip(*rows, strict=True)):
        if a != b:
            np.testing.assert_allclose(float(a), float(b), rtol=to, atol=0.01 * to, err_msg=name)


@pytest.mark.parametrize(("number", "kinds"), [(2, "nnx+replicated"), (4, "linen")])
def test_several_processes_record_what_one_does(tmp_path, number, kinds):
    with begun(number, tmp_path / "several", kinds) as processes:
        for kind in kinds.split("+"):
            with pytest.warns(UserWarning, match="other parameters") if kind != "nnx" else nullcontext():
                together.train(tmp_path / "one" / kind, kind)
        said = ended(processes)
    accuracies = [[line for line in output.splitlines() if line.startswith("accuracy")] for output in said]
    assert accuracies == [accuracies[0]] * number
    assert sorted(path.name for path in (tmp_path / "several").iterdir()) == sorted(kinds.split("+"))
    for kind in kinds.split("+"):
        same_runs(tmp_path / "one" / kind, tmp_path / "several" / kind, number, kind)


def test_in_double_precision_four_processes_record_what_one_does_to_seven_digits(tmp_path):
    """Where the order of sums costs nothing, all that is recorded and shown is the same."""
    for number, name in ((1, "one"), (4, "several")):
        with begun(number, tmp_path / name, "double") as processes:
            ended(processes)
    same_runs(tmp_path / "one" / "double", tmp_path / "several" / "double", 4, "double", to=1e-7, shown_to=1e-7)
    kernel = open_run(tmp_path / "several" / "double").snapshots[6].params["hidden/kernel"]
    assert kernel.dtype == np.float64


def same_runs(alone: Path, together: Path, number: int, kind: str, to: float = 1e-6, shown_to: float = 1e-4) -> None:
    """Parameters, metrics and observations to a relative `to`, the tables of the page to `shown_to`."""
    one, several = (open_run(path, verify=True) for path in (alone, together))
    # What every process has whole the first one writes, as if it were alone.
    parts = sorted(path.name for path in (together / "snapshots").glob("process-*"))
    assert parts == [f"process-{process}" for process in range(1, number if kind != "replicated" else 1)]
    assert json.loads((together / "run.json").read_text())["format"] == (4 if parts else 3)
    assert not several.problems and several.status == "finished" and several.network == one.network
    assert len(several.steps) == 6 and [row["epoch"] for row in several.epochs] == [0, 1, 2]
    for a, b in zip((*one.steps, *one.epochs), (*several.steps, *several.epochs), strict=True):
        assert b == pytest.approx(a, rel=to)
    assert list(several.snapshots) == list(one.snapshots) == list(range(7))
    for step, snapshot in one.snapshots.items():
        for collection, tree in snapshot.variables.items():
            assert set(several.snapshots[step].variables[collection]) == set(tree)
            for name, array in tree.items():
                close(several.snapshots[step].variables[collection][name], array, to, f"{step} {collection} {name}")
    assert ("step_params" in several.snapshots[6].variables) == (kind != "nnx")
    for step, observation in one.observations.items():
        expected, found = observation_tensors(observation), observation_tensors(several.observations[step])
        assert set(found) == set(expected)
        for name, array in expected.items():
            close(found[name], array, to, f"{step} {name}")
    if kind in ("linen", "double"):
        expected, found = (numbers(path, path.with_name("numbers")) for path in (alone, together))
        assert set(found) == set(expected)
        for name, table in expected.items():
            same_table(table, found[name], shown_to, name)


def steps_in(lines) -> set[int]:
    return {int(line.split()[1]) for line in lines if line.startswith("ack ") and line.endswith("\n")}


def test_a_process_that_is_killed_costs_nothing_that_all_had_written(tmp_path):
    rng = random.Random(7)
    for kill in range(KILLS):
        folder = tmp_path / str(kill)
        acknowledged: list[set[int]] = [set(), set()]
        with begun(2, folder, "kill") as processes:
            victim, other = processes[kill % 2], processes[1 - kill % 2]
            # After it has written some, between two records or during one.
            for _ in range(rng.randrange(1, 120)):
                acknowledged[0] |= steps_in([victim.stdout.readline()])
            time.sleep(rng.uniform(0, 0.02))
            victim.kill()
            time.sleep(rng.uniform(0, 0.5))  # the other one goes on meanwhile
            other.kill()
            for written, process in zip(acknowledged, (victim, other), strict=True):
                written |= steps_in(process.stdout)
        both = acknowledged[0] & acknowledged[1]
        assert both
        run = open_run(folder / "kill", verify=True)
        assert not run.problems and set(run.snapshots) >= both
        assert list(run.snapshots) == list(range(len(run.snapshots)))
        scaled = dict(run.snapshots[0].params)
        for step, snapshot in run.snapshots.items():
            for name, array in scaled.items():
                assert snapshot.params[name].tobytes() == array.tobytes(), (step, name)
                scaled[name] = array * together.FACTOR


def test_a_process_that_records_alone_is_refused_and_what_one_fails_with_all_are_told(tmp_path):
    with begun(2, tmp_path, "refused") as processes:
        refusals = [[line for line in said.splitlines() if " refused: " in line] for said in ended(processes)]
    assert [[line.split()[0] for line in lines] for lines in refusals] == [
        ["alone", "apart", "broken"],
        ["apart", "broken"],
    ]
    for line in (*refusals[0][:2], refusals[1][0]):
        assert "did not within 2 s: open it in every process" in line
    assert all("process-1" in lines[-1] for lines in refusals)
    assert not list(tmp_path.rglob(".*.processes")) and not list(tmp_path.rglob("a*/run.json"))
