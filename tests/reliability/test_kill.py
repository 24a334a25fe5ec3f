"""kill -9 at random moments of training and of building: what was acknowledged is whole, the rest can go on.

Acknowledged is a snapshot or an activations file from which the writer has returned: it has its name. A run that is
resumed goes back to its last checkpoint, so what lay after that is given up by then, and recorded again.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import reportgen
from reportgen.store import open_run
from reportgen.store.log import read_log
from tests.reliability import count
from tests.reliability.runs import write_run
from tests.reliability.worker import EPOCHS, PER_EPOCH

TRAIN_KILLS = count(3, 100)
BUILD_KILLS = count(4, 100)


class Worker:
    """The process of `worker`, one job at a time."""

    def __init__(self, folder: Path):
        self.log = folder / "log"
        self.early: list[list[str]] = []
        environment = {
            **os.environ,
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def start(self, **order) -> int:
        """Begin a job; returns the child's process id."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({**order, "log": str(self.log)}) + "\n")
        self.process.stdin.flush()
        words = self.line()
        while words[0] != "pid":  # the child may speak before its parent does
            self.early.append(words)
            words = self.line()
        return int(words[1])

    def line(self) -> list[str]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the worker is gone"
        return line.split()

    def lines(self) -> Iterator[list[str]]:
        """What the child says, up to and with its end."""
        while self.early:
            yield self.early.pop(0)
        while True:
            words = self.line()
            yield words
            if words[0] == "end":
                return

    def whole(self, **order) -> list[list[str]]:
        """A job that nobody kills: all that it said."""
        self.start(**order)
        said = list(self.lines())
        assert said[-1] == ["end", "0"], self.log.read_text()
        return said

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    worker = Worker(tmp_path_factory.mktemp("worker"))
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def never_stopped(worker, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "run"
    said = worker.whole(do="train", path=str(path), options={})
    assert len([words for words in said if words[0] == "ack"]) == EPOCHS * PER_EPOCH + 1 + EPOCHS + 1
    return path


def recorded(run: Path) -> dict[str, bytes]:
    """All that a recording is, but for how long it took."""
    files = [*run.glob("*.jsonl"), run / "data.safetensors", *run.glob("snapshots/*"), *run.glob("activations/*")]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


def checkpointed(run: Path) -> int | None:
    """The step that resuming would go on from."""
    whole = [int(folder.name) for folder in run.glob("checkpoints/*") if folder.name.isdigit()]
    return max(whole) * PER_EPOCH if whole else None


def test_killed_trainings_keep_what_they_acknowledged_and_resume_bit_for_bit(worker, never_stopped, tmp_path):
    expected = recorded(never_stopped)
    rng = random.Random(7)
    kills = finished = 0
    path, acknowledged = tmp_path / "run", set()
    while kills < TRAIN_KILLS or not finished:
        at = checkpointed(path)
        options = {"overwrite": True} if at is None else {"resume": True}
        acknowledged = {(part, step) for part, step in acknowledged if at is not None and step <= at}
        done = 0 if at is None else at
        # Also before the first acknowledgement, and now and then not at all.
        left = EPOCHS * PER_EPOCH - done + 1
        stop = rng.randrange(left + (left + 1) // 2) if kills < TRAIN_KILLS else None
        child = worker.start(do="train", path=str(path), options=options)
        if stop == 0:
            time.sleep(rng.uniform(0, 1.5))
            _kill(child)
        heard = 0
        for words in worker.lines():
            if words[0] == "ack":
                heard += 1
                acknowledged.add((words[1], int(words[2])))
                if heard == stop:
                    time.sleep(rng.uniform(0, 0.03))
                    _kill(child)
        if words == ["end", "0"]:
            finished += 1
            assert recorded(path) == expected
            assert open_run(path, verify=True).status == "finished"
            path, acknowledged = tmp_path / f"run{finished}", set()
            continue
        assert words == ["end", str(-signal.SIGKILL)], worker.log.read_text()
        kills += 1
        whole, _ = read_log(never_stopped / "snapshots")
        log, problems = read_log(path / "snapshots")
        for part, step in acknowledged:
            if part == "record":
                assert not problems and log[step].metadata == whole[step].metadata
                assert all(np.array_equal(log[step][name], array) for name, array in whole[step].items())
            else:
                name = f"activations/{step:08d}.safetensors"
                assert (path / name).read_bytes() == expected[name]
        if ("record", 0) in acknowledged:
            run = open_run(path, verify=True)
            assert run.problems == ()
            assert {("record", step) for step in run.snapshots} >= {a for a in acknowledged if a[0] == "record"}
            assert [row["step"] for row in run.steps] == list(range(1, len(run.steps) + 1))


def test_a_killed_build_leaves_the_old_report_or_the_new_one(worker, tmp_path):
    run = write_run(tmp_path / "run")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    targets = {title: tmp_path / title for title in ("old", "new")}
    for title, target in targets.items():
        started = time.monotonic()
        worker.whole(do="build", path=str(run), target=str(target), title=title)
        took = time.monotonic() - started
    old, new = (targets[title].read_bytes() for title in ("old", "new"))
    assert old != new
    target, rng = tmp_path / "report.html", random.Random(7)
    outcomes = []
    for number in range(BUILD_KILLS):
        target.write_bytes(old)
        child = worker.start(do="build", path=str(run), target=str(target), title="new")
        if number % 2:
            time.sleep(rng.uniform(0, took))
            _kill(child)
        for words in worker.lines():
            if words == ["saving"]:
                time.sleep(rng.choice([0, rng.uniform(0, 0.005), rng.uniform(0, 0.03)]))
                _kill(child)
        assert target.read_bytes() in (old, new)
        outcomes.append(words)
    assert ["end", str(-signal.SIGKILL)] in outcomes
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    # What a killed build leaves behind has another name, and is in nobody's way.
    reportgen.build(run, embedding="pca", title="new").save(target)
    assert target.read_bytes() == new


def _kill(child: int) -> None:
    # It may have ended by itself just before.
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
