"""How much is kept: a number of bytes, and a share of the loop's time."""

import resource

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import reportgen
from reportgen import Keep, Recorder, open_run
from reportgen.errors import OptionError
from reportgen.record import Start, pace
from reportgen.record.pace import Pace

X = np.random.default_rng(0).random((6, 3), np.float32)
DATA = {"probe": X[:2], "evaluation": X}
EACH = 4 * (3 * 500 + 500)


def apply(params, x):
    return x @ params["w"] + params["b"][None]


def at(step):
    return {"w": jnp.full((3, 500), float(step)), "b": jnp.zeros(500)}


def recorded(path, steps, epochs, **options):
    """A loop of `steps` updates in which the steps `epochs` end one."""
    with Recorder(path, apply, at(0), **DATA, **options) as recorder:
        for step in range(1, steps + 1):
            recorder.step(at(step), loss=step)
            if step in epochs:
                recorder.epoch(at(step))
    return open_run(path, verify=True)


def test_snapshots_are_thinned_by_powers_of_two_to_a_number_of_bytes(tmp_path):
    ends = {7, 21, 33, 50}
    run = recorded(tmp_path / "run", 50, ends, keep=Keep(every="batch", bytes=20 * EACH))
    assert run.problems == () and len(run.metrics.steps) == 50
    rest = set(run.snapshots) - ends - {0}
    assert rest == {step for step in range(4, 51) if step % 4 == 0}, "every fourth, from the first to the last"
    assert ends < set(run.snapshots)
    for step, snapshot in run.snapshots.items():
        np.testing.assert_array_equal(snapshot.params["w"], np.full((3, 500), step))
    log = sum(file.stat().st_size for file in (tmp_path / "run" / "snapshots").glob("*.segment"))
    assert log <= 20 * EACH
    stated = f"multiples of 4 and the ends of epochs, to take at most {20 * EACH:,} bytes"
    assert run.provenance["snapshots_kept"] == f"of these, {stated}"
    overview = next(s for s in reportgen.build(run, embedding="pca").document.sections if s.anchor == "overview")
    assert stated in overview.finding


def test_a_thinned_run_goes_on_thinned(tmp_path):
    keep = Keep(every="batch", bytes=20 * EACH)
    before = set(recorded(tmp_path / "run", 50, {50}, keep=keep).snapshots)
    with Recorder(tmp_path / "run", apply, at(50), **DATA, keep=keep, start=Start(resume_at=50)) as recorder:
        for step in range(51, 60):
            recorder.step(at(step))
    run = open_run(tmp_path / "run", verify=True)
    assert set(run.snapshots) == before | {52, 56} and not run.problems


def test_without_a_budget_all_is_kept(tmp_path):
    run = recorded(tmp_path / "run", 30, {30}, keep=Keep(every="batch", bytes=None))
    assert list(run.snapshots) == list(range(31)) and "snapshots_kept" not in run.provenance


def test_a_disk_with_little_room_is_left_half_of_it(tmp_path, monkeypatch):
    free = type("usage", (), {"free": 2 * 12 * EACH})
    monkeypatch.setattr("reportgen.store.writer.shutil.disk_usage", lambda path: free)
    run = recorded(tmp_path / "run", 30, {30})
    assert set(run.snapshots) == {0, 30, *range(4, 30, 4)}


@pytest.mark.parametrize(
    ("given", "most"), [("2GB", 2 * 10**9), ("1.5 mb", 1_500_000), (np.int64(7), 7), ("10B", 10), (None, None)]
)
def test_a_number_of_bytes(given, most):
    assert Keep(bytes=given).most == most


@pytest.mark.parametrize("given", ["much", "2 gigabytes", -1, 2.5, "", True])
def test_what_is_no_number_of_bytes(given):
    with pytest.raises(OptionError, match="bytes must be a number of bytes or a text such as"):
        Keep(bytes=given)


@pytest.mark.parametrize("given", [0, -0.1, 1.5, "3%"])
def test_what_is_no_share(given):
    with pytest.raises(OptionError, match="share_of_time must be a share"):
        Keep(share_of_time=given)


def test_fewer_are_kept_where_recording_takes_more_than_its_share(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    timed, kept = Pace(1, 0.1), []
    for step in range(1, 4001):
        now[0] += 0.01
        if timed.keeps(step):
            kept.append(step)
            timed.spent(step, 0.0035)
    assert kept[:250] == list(range(1, 251)), "a second is allowed before anybody counts"
    assert {b - a for a, b in zip(kept[-100:], kept[-99:], strict=False)} == {4}, (
        "less than 0.001 of 0.01 seconds an update"
    )
    assert timed.note.startswith("after update ") and timed.note.endswith(
        "only every 4th, to take at most 10 % of the time"
    )


def test_the_first_call_and_a_clock_that_nobody_may_read_do_not_count(monkeypatch):
    slow = Pace(1, 0.03)
    slow.spent(1, 1e9)
    assert slow.keeps(3) and not slow.note
    slow.spent(2, 1e9)
    assert not slow.keeps(3) and slow.keeps(4)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    unclocked = Pace(1, 0.03)
    for step in range(5):
        unclocked.spent(step, 1e9)
    assert unclocked.keeps(3)


def test_what_was_asked_for_by_number_is_kept_at_any_cost(tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "GRACE", 0.0)
    run = recorded(tmp_path / "all", 12, {12}, keep=Keep(every=1, share_of_time=1e-9))
    assert list(run.snapshots) == list(range(13))
    run = recorded(tmp_path / "fewer", 12, {12}, keep=Keep(share_of_time=1e-9))
    assert len(run.snapshots) < 8 and "of the time" in run.provenance["snapshots_kept"]
    assert len(run.metrics.steps) == 12 and 12 in run.snapshots and jax.default_backend()


def test_a_full_disk_ends_the_recording_and_not_the_training(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(tmp_path / "run", apply, at(0), **DATA, keep=Keep(every="batch"))
    recorder.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (10 * EACH, hard))
    try:
        with pytest.warns(
            UserWarning, match="could not be written: .*the recording ends here, the training goes on"
        ) as told:
            for step in range(1, 61):
                recorder.step(at(step), loss=step)
            recorder.epoch(at(60))
            recorder.close()
        assert len(told) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run = open_run(tmp_path / "run", verify=True)
    assert run.status == "failed" and not run.problems
    kept = list(run.snapshots)
    assert kept == list(range(len(kept))) and 15 < len(kept) < 60
