"""A real object store on loopback, whose line is cut, slow or busy, and recordings that are killed in between."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec
import pytest

import reportgen
from reportgen import open_run, train
from reportgen.errors import NoRunError, RunError
from reportgen.remote import kept_folder, place
from tests.conftest import tiny_dataset, tiny_model
from tests.record import together
from tests.record.test_processes import begun, ended, same_runs
from tests.reliability import count
from tests.remote.nets import DATA, MODEL, VARIABLES, recorded, scaled

ROOT = Path(__file__).parents[2]
RUN = "s3://bucket/runs/a"
KILLS = count(3, 20)


def test_a_run_and_its_page_in_a_bucket(line):
    train(RUN, tiny_dataset(), tiny_model(), epochs=1)
    system = fsspec.filesystem("s3")
    assert ".lock" not in {path.rpartition("/")[2] for path in system.find("bucket/runs/a")}
    run = open_run(RUN)
    assert run.status == "finished" and list(run.snapshots) == [0, 1, 2, 3]
    path = reportgen.build(RUN, embedding="pca").save("s3://bucket/pages/a.html")
    assert system.cat_file("bucket/pages/a.html") == path.read_bytes()
    recorded("s3://bucket/runs/b", overwrite=True)
    recorded("s3://bucket/runs/b", steps=3, overwrite=True)
    assert list(open_run("s3://bucket/runs/b").snapshots) == [0, 1, 2, 3]


@pytest.mark.parametrize("fault", ["cut", "busy", "slow"])
def test_a_line_that_fails_on_and_off_loses_nothing(line, fault, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    disturbing = threading.Event()

    def disturb() -> None:
        choose = random.Random(7)
        while not disturbing.wait(0.05):
            line.fault = fault if fault == "slow" or choose.random() < 0.5 else None

    thread = threading.Thread(target=disturb, daemon=True)
    with reportgen.Recorder(RUN, MODEL, VARIABLES, **DATA) as recorder:
        thread.start()
        for epoch in range(3):
            for step in range(5 * epoch + 1, 5 * epoch + 6):
                params = scaled(step)
                recorder.step(params, loss=0.5)
            recorder.epoch({"params": params})
            time.sleep(0.3)  # for rounds between
    disturbing.set()
    thread.join(30)
    line.fault = None
    assert line.faults
    with reportgen.Recorder(tmp_path / "run", MODEL, VARIABLES, **DATA) as recorder:
        for epoch in range(3):
            for step in range(5 * epoch + 1, 5 * epoch + 6):
                params = scaled(step)
                recorder.step(params, loss=0.5)
            recorder.epoch({"params": params})
    here, there = (
        {path.relative_to(at).as_posix(): path.read_bytes() for path in at.rglob("*.*") if path.is_file()}
        for at in (tmp_path / "run", open_run(RUN).path)
    )
    here.pop(".lock", None)
    assert here == there


def test_a_line_that_is_down_is_said(line, monkeypatch):
    recorded(RUN)
    report = reportgen.build(RUN, embedding="pca")
    line.fault = "cut"
    monkeypatch.setattr(place, "PAUSES", ())
    with pytest.raises(RunError, match=r"s3://bucket/runs/a can't be read"):
        open_run(RUN)
    with pytest.raises(RunError, match=r"s3://bucket/pages can't be (read|written)"):
        report.save("s3://bucket/pages/a.html")
    line.fault = None
    assert open_run(RUN).status == "finished"


def test_a_bucket_that_is_not_there_is_said(line):
    with pytest.raises(RunError, match=r"s3://elsewhere/a can't be written"):
        recorded("s3://elsewhere/a")
    with pytest.raises(NoRunError, match=r"s3://elsewhere/a does not hold a run"):
        open_run("s3://elsewhere/a")


def test_several_processes_record_to_one_spool(line, tmp_path):
    with begun(2, "s3://bucket/several", "linen") as processes:
        with pytest.warns(UserWarning, match="other parameters"):
            together.train(tmp_path / "one" / "linen", "linen")
        ended(processes)
    same_runs(tmp_path / "one" / "linen", open_run("s3://bucket/several/linen").path, 2, "linen")
    assert not list((tmp_path / "remote" / "spool").rglob("*.segment"))


@pytest.mark.parametrize("how", ["upload", "resume", "elsewhere"])
def test_what_a_kill_leaves_opens_and_goes_on(line, how, tmp_path):
    choose = random.Random(f"kill-{how}")
    for number in range(-(-KILLS // 3)):
        url = f"s3://bucket/runs/{number}"
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.remote.child", url, "60"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            began = arrived(url, child)
            time.sleep(choose.random())
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait(timeout=60)
        there = open_run(url)
        assert not there.problems and {row.step for row in there.metrics.epochs} <= set(there.snapshots)
        left = kept_folder("spool", url)
        recorded_steps = list(open_run(left).snapshots)
        assert set(there.snapshots) <= set(recorded_steps) and max(there.snapshots) >= began
        if how == "upload":
            reportgen.upload(url)
            assert list(open_run(url).snapshots) == recorded_steps
            continue
        if how == "elsewhere":
            shutil.rmtree(left.parent)
        epochs = 2 + max(recorded_steps if how == "resume" else there.snapshots) // 6
        train(url, tiny_dataset(), tiny_model(), epochs=epochs, batch_size=50, resume=True)
        run = open_run(url)
        assert run.status == "finished" and not run.problems
        assert list(run.snapshots) == list(range(6 * epochs + 1))
        assert not left.exists()


def arrived(url: str, child: subprocess.Popen) -> int:
    """The last step there, once there are checkpoints to go on from."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        assert child.poll() is None
        fsspec.filesystem("s3").invalidate_cache()
        if fsspec.filesystem("s3").glob(f"{url.removeprefix('s3://')}/checkpoints/1/commit_success.txt"):
            try:
                return max(open_run(url).snapshots)
            except NoRunError:
                pass
        time.sleep(0.05)
    raise AssertionError("nothing arrived in time")
