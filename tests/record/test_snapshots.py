"""What one of several processes does with what the others say at the end of an epoch; `test_processes` starts them."""

from types import SimpleNamespace

import numpy as np
import pytest

from reportgen.errors import RunError
from reportgen.record.background import Background
from reportgen.record.pace import Pace
from reportgen.record.processes import Processes
from reportgen.record.snapshots import Snapshots
from reportgen.store import Packed
from reportgen.store.log import read_log

STEPS = 9


def variables(step: int) -> dict[str, dict[str, np.ndarray]]:
    return {"params": {"kernel": np.full((2, 3), step, np.float32)}}


@pytest.fixture
def second(tmp_path):
    """The snapshots of the second of two processes after some updates, and what the first one will have said."""
    said = {"step": STEPS, "there": True, "differs": False, "problem": None, "stride": 1, "stage": 0}
    processes = SimpleNamespace(index=1, count=2, check=Processes.check, exchange=lambda own: [said, own])
    background, pace = Background(4), Pace(1, None)
    copier = SimpleNamespace(recorded=lambda trees: trees)
    snapshots = Snapshots(tmp_path, copier, pace, background, None, processes, -1)
    snapshots.open()
    for step in range(1, STEPS + 1):
        packed = Packed.of({"params/kernel": variables(step)["params"]["kernel"]})
        snapshots.submit(lambda step=step, packed=packed: snapshots.write(step, 1, packed))
        snapshots.note(step, {"params"})
    yield SimpleNamespace(it=snapshots, said=said, pace=pace, background=background, folder=tmp_path / "snapshots")
    background.close(lambda failed: snapshots.close("finished", 0.0))


def own_steps(second) -> list[int]:
    second.background.flush()
    log, problems = read_log(second.folder / "process-1")
    assert not problems
    return list(log)


def test_it_keeps_what_the_first_process_keeps(second):
    second.said |= {"stride": 4, "stage": 1}
    assert not second.it.end(variables(STEPS), STEPS, 1)
    assert own_steps(second) == [2, 4, 6, 8, STEPS] and second.pace.stride == 4
    assert second.pace.keeps(12) and not second.pace.keeps(13)


def test_a_step_that_another_process_has_given_up_is_written_anew(second):
    second.said |= {"there": False, "stage": 1}
    second.it.note(STEPS, {"params", "more"})
    assert not second.it.end(variables(STEPS + 1), STEPS, 1)
    log = own_steps(second)
    assert log == [2, 4, 6, 8, STEPS]
    assert read_log(second.folder / "process-1")[0][STEPS]["params/kernel"][0, 0] == STEPS + 1


def test_parameters_that_differ_in_another_process_alone_are_kept_beside_in_both(second):
    second.said["differs"] = True
    assert second.it.end(variables(STEPS), STEPS, 1)
    assert own_steps(second)[-1] == STEPS
    assert set(read_log(second.folder / "process-1")[0][STEPS]) == {"params/kernel", "step_params/kernel"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"problem": "no space"}, "process 0 can't record: no space"),
        ({"step": 7}, "an epoch ends after 9 updates in process 1, and after 7 in another"),
    ],
)
def test_what_the_others_say_ends_the_recording_in_all(second, said, message):
    second.said |= said
    with pytest.raises(RunError, match=message):
        second.it.end(variables(STEPS), STEPS, 1)


def test_what_the_writer_thread_failed_with_is_said_at_the_end_of_the_epoch(second):
    def fails():
        raise RunError("the disk is gone")

    second.it.submit(fails)
    second.it.submit(lambda: None)
    with pytest.raises(RunError, match="process 1 can't record: the disk is gone"):
        second.it.end(variables(STEPS), STEPS, 1)
    with pytest.raises(RunError, match="the disk is gone"):
        second.background.flush()
    second.background._failure = None
