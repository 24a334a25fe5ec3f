"""Runs elsewhere of which only what is read is fetched: how much comes, that it is right, and never of two runs."""

import random
import threading
from pathlib import Path

import flax.linen as nn
import fsspec
import jax
import numpy as np
import pytest

import reportgen
from reportgen import Recorder, open_run
from reportgen.errors import DamagedError, ReportgenError
from reportgen.remote import cache, kept_folder, place, sparse
from reportgen.store import layout
from reportgen.store.log import read_log
from tests.remote.nets import DATA, IMAGES

RUN = "s3://bucket/runs/a"
MODEL = nn.Sequential([nn.Dense(256), nn.relu, nn.Dense(256), nn.relu, nn.Dense(3)])
VARIABLES = MODEL.init(jax.random.key(0), IMAGES[:1])
STEPS = 24
LARGE, SMALL = "layers_2/kernel", "layers_4/kernel"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sparse, "BLOCK", 1 << 14)
    monkeypatch.setattr(cache, "SMALL", 1 << 15)


def scaled(step: int, by: float = 1.0):
    return jax.tree.map(lambda array: array * by * (1 + step / 10), VARIABLES["params"])


def record(path, by: float = 1.0, **how) -> None:
    with Recorder(path, MODEL, VARIABLES, **DATA, **how) as recorder:
        for step in range(1, STEPS + 1):
            recorder.step(scaled(step, by), loss=0.5)
        recorder.epoch({"params": scaled(STEPS, by)})


def kernel(run, step: int, name: str = SMALL) -> np.ndarray:
    return np.asarray(run.snapshots[step].variables["params"][name])


def lies_in(url: str) -> Path:
    return kept_folder("cache", url)


def lists() -> list[Path]:
    return list(lies_in(RUN).rglob(".*.blocks"))


@pytest.fixture
def counted(line):
    """The line to the store, with a run there; of what went through it, only what comes from now on is counted."""
    record(RUN)
    line.requests = line.received = 0
    return line


def taken(line) -> tuple[int, int]:
    """Requests and bytes since the last time."""
    found = line.requests, line.received
    line.requests = line.received = 0
    return found


def all_bytes() -> int:
    return sum(path.stat().st_size for path in lies_in(RUN).rglob("*.segment"))


def test_opening_fetches_no_snapshot(counted):
    run = open_run(RUN)
    assert list(run.snapshots) == list(range(STEPS + 1)) and not run.problems
    _, received = taken(counted)
    assert received < all_bytes() / 8
    open_run(RUN)
    requests, received = taken(counted)
    assert requests == 1 and received < 30_000, "of an unchanged run a listing"


def test_one_small_kernel_over_all_steps_is_fetched_in_few_pieces(counted):
    run = open_run(RUN)
    taken(counted)
    for step in run.snapshots:
        np.testing.assert_array_equal(kernel(run, step), want(step))
    requests, received = taken(counted)
    assert received < all_bytes() / 3
    assert requests <= 4 * (STEPS + 1), "its head and itself, each with a listing"
    again = open_run(RUN)
    taken(counted)
    assert all(kernel(again, step).any() for step in again.snapshots)
    assert taken(counted) == (0, 0), "all of it lies here"


def test_a_large_array_comes_at_once(counted):
    run = open_run(RUN)
    taken(counted)
    array = kernel(run, 7, LARGE)
    np.testing.assert_array_equal(array, scaled(7)["layers_2"]["kernel"])
    requests, received = taken(counted)
    parts = -(-array.nbytes // (sparse.PART * sparse.BLOCK)) + 1
    assert requests <= parts + 3, "several requests for it, that of its head, and a listing after each"
    assert array.nbytes < received < array.nbytes + 8 * sparse.BLOCK


def test_a_page_is_the_same_and_takes_no_more_than_all_of_it(counted, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    here = open_run(RUN)
    for step in here.snapshots:
        read_log(here.path / layout.SNAPSHOTS)[0][step].verify()
    whole = tmp_path / "whole"
    for path in (path for path in here.path.rglob("*") if path.is_file() and not path.name.startswith(".")):
        (whole / path.relative_to(here.path)).parent.mkdir(parents=True, exist_ok=True)
        (whole / path.relative_to(here.path)).write_bytes(path.read_bytes())
    monkeypatch.setenv("REPORTGEN_REMOTE", str(tmp_path / "another"))
    taken(counted)
    page = reportgen.build(RUN, embedding="pca").save(tmp_path / "a.html")
    requests, received = taken(counted)
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    assert received < 1.1 * size
    assert requests < size / sparse.BLOCK, "several blocks at a time"
    assert page.read_bytes() == reportgen.build(whole, embedding="pca").save(tmp_path / "b.html").read_bytes()


def test_what_was_replaced_there_is_noticed_and_never_mixed(line):
    record(RUN)
    before = open_run(RUN)
    first = kernel(before, 3)
    record(RUN, by=-1.0, overwrite=True)
    for name in (SMALL, LARGE):
        with pytest.raises(
            ReportgenError, match=r"snapshots/0.-000000.segment is not the file any more.*open it again"
        ):
            kernel(before, 21, name)
    np.testing.assert_array_equal(kernel(before, 3), first)
    after = open_run(RUN)
    np.testing.assert_array_equal(kernel(after, 3), -first)
    with pytest.raises(ReportgenError, match="is not the file any more"):
        kernel(before, 3)
    np.testing.assert_array_equal(kernel(after, 21), scaled(21, -1.0)["layers_4"]["kernel"])


def test_a_page_of_a_run_that_is_replaced_meanwhile_is_none(line, tmp_path):
    record(RUN)
    run = open_run(RUN)
    record(RUN, by=-1.0, overwrite=True)
    with pytest.raises(ReportgenError, match="open it again"):
        reportgen.build(run, embedding="pca")


@pytest.mark.parametrize("fault", ["cut", "busy"])
def test_a_line_that_fails_on_and_off_gives_the_right_bytes(line, fault, monkeypatch):
    monkeypatch.setattr(place, "PAUSES", (0.05,) * 40)
    record(RUN)
    run, over = open_run(RUN), threading.Event()

    def disturb() -> None:
        choose = random.Random(3)
        while not over.wait(0.02):
            line.fault = fault if choose.random() < 0.3 else None

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    try:
        wrong = [step for step in range(1, STEPS + 1) if not np.array_equal(kernel(run, step), want(step))]
    finally:
        over.set()
        thread.join(30)
    assert not wrong


def want(step: int) -> np.ndarray:
    return np.asarray(scaled(step)["layers_4"]["kernel"])


def test_a_run_that_is_being_recorded_is_copied_whole(line):
    record(RUN)
    open_run(RUN)
    assert lists()
    system = fsspec.filesystem("s3")
    system.pipe_file(f"bucket/runs/a/{layout.LOCK_FILE}", b"another machine's")
    run = open_run(RUN)
    assert not lists()
    system.rm("bucket/runs/a", recursive=True)
    assert all(np.array_equal(kernel(run, step), want(step)) for step in range(1, STEPS + 1))


def test_damage_there_is_found_when_it_is_read(line):
    record(RUN)
    system, name = fsspec.filesystem("s3"), "bucket/runs/a/snapshots/00-000000.segment"
    content = bytearray(system.cat_file(name))
    content[-1] ^= 1
    system.pipe_file(name, bytes(content))
    run = open_run(RUN)
    with pytest.raises(DamagedError, match="does not match its checksum"):
        for array in run.snapshots[23].variables["params"].values():
            np.asarray(array)
    assert 23 not in open_run(RUN, verify=True).snapshots


def test_a_copy_of_which_blocks_are_lacking_is_never_taken_for_a_whole_one(line):
    record(RUN)
    kernel(open_run(RUN), 5)
    for path in lists():  # as a process leaves it that is killed while it replaces a file
        path.unlink()
    run = open_run(RUN)
    assert all(np.array_equal(kernel(run, step), want(step)) for step in range(1, STEPS + 1))


def test_fetching_leaves_a_page_current(line, tmp_path):
    record(RUN)
    assert len(reportgen.build_site([RUN], tmp_path / "site").built) == 1
    run = open_run(RUN)
    for step in run.snapshots:
        kernel(run, step, LARGE)
    assert len(reportgen.build_site([RUN], tmp_path / "site").current) == 1
