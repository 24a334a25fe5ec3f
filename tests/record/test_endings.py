"""How recordings end: closed or not, dropped, left, forked, from several threads."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reportgen.store import open_run

ROOT = Path(__file__).parents[2]
BEGIN = """
import gc, os, sys, threading
import jax.numpy as jnp
import numpy as np
from reportgen.errors import RunError
from reportgen.record import Recorder

X = np.ones((4, 3), np.float32)
params = {"w": jnp.ones((3, 2))}
def new(**options):
    return Recorder(sys.argv[1], lambda p, x: x @ p["w"], params, probe=X[:2], **options)
"""
ENDINGS = {
    "recorder = new()\nfor _ in range(9): recorder.step(params, loss=1.0)": ("not closed", 9, 0),
    "with new() as recorder:\n  recorder.step(params)\n  sys.exit(0)": ("finished", 1, 0),
    "with new() as recorder:\n  recorder.step(params)\n  sys.exit(3)": ("failed", 1, 3),
    "recorder = new()\nrecorder.step(params)\ndel recorder\ngc.collect()\nnew(overwrite=True).close()": (
        "finished",
        0,
        0,
    ),
    "recorder = new()\nrecorder.step(params)\ndel recorder\ngc.collect()": ("not closed", 1, 0),
    """
with new() as recorder:
    threads = [threading.Thread(target=lambda: [recorder.step(params) for _ in range(9)]) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
""": ("finished", 36, 0),
    """
recorder = new()
recorder.step(params)
child = os.fork()
if not child:
    try:
        recorder.step(params)
    except RunError as error:
        recorder.close("failed")
        os._exit(7 if "forked" in str(error) else 8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
recorder.step(params)
recorder.close()
""": ("finished", 2, 0),
    """
recorder = new()
if not (child := os.fork()):
    try:
        new(overwrite=True)
    except RunError as error:
        os._exit(7 if "by another process" in str(error) else 8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
recorder.close()
""": ("finished", 0, 0),
    """
def batches():
    with new() as recorder:
        while True:
            yield recorder.step(params)
loop = batches()
next(loop), next(loop)
del loop
""": ("interrupted", 2, 0),
    """
import asyncio
async def train():
    with new() as recorder:
        recorder.step(params)
        raise asyncio.CancelledError
try:
    asyncio.run(train())
except asyncio.CancelledError:
    pass
""": ("interrupted", 1, 0),
    """
with new() as recorder:
    recorder.step(params)
    raise ValueError
""": ("failed", 1, 1),
    """
import signal
training = False
def evaluation():
    if training:  # in the middle of an epoch's
        signal.raise_signal(signal.SIGINT)
    return [(X, None)]
try:
    with new(evaluation=evaluation) as recorder:
        recorder.step(params)
        training = True
        recorder.epoch(params)
except KeyboardInterrupt:
    pass
""": ("interrupted", 1, 0),
    """
recorder = new()
def later():
    recorder.step(params)
import atexit
atexit.register(later)
recorder.step(params)
""": ("not closed", 2, 0),
}
WORKERS = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def squared(number):
    return number * number

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    with new() as recorder, ProcessPoolExecutor(2, mp_context=context) as workers:
        for _ in range(3):
            assert list(workers.map(squared, range(5))) == [0, 1, 4, 9, 16]
            recorder.step(params)
    worker = context.Process(target=sys.exit, args=(3,))
    worker.start()
    worker.join()
    assert worker.exitcode == 3
"""


@pytest.mark.parametrize("code", ENDINGS)
def test_nothing_is_lost_and_the_run_says_how_it_ended(tmp_path, code):
    status, steps, exit_code = ENDINGS[code]
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, tmp_path / "run"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == exit_code, done.stderr
    run = open_run(tmp_path / "run", verify=True)
    assert (run.status, list(run.snapshots), run.problems) == (status, list(range(steps + 1)), ())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_beside_a_recording_end_and_take_nothing_from_it(tmp_path, method):
    (tmp_path / "main.py").write_text(BEGIN + WORKERS)
    command = [sys.executable, tmp_path / "main.py", tmp_path / "run", method]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    run = open_run(tmp_path / "run", verify=True)
    assert (run.status, list(run.snapshots), run.problems) == ("finished", [0, 1, 2, 3], ())


HANDLERS = {
    """
counted = {"handler": 0, "loop": 1, "refused": 0}
def handler(*_):
    try:
        recorder.step(params)
        counted["handler"] += 1
    except RunError as error:
        counted["refused"] += "as a signal handler does" in str(error)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while not counted["refused"]:
    recorder.step(params, loss=1.0)
    counted["loop"] += 1
signal.setitimer(signal.ITIMER_REAL, 0)
recorder.close()
assert len(open_run(sys.argv[1]).snapshots) == 1 + counted["handler"] + counted["loop"]
""": "records nothing while a call is at work",
    """
def handler(*_):
    recorder.close("preempted")
    sys.exit(0)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    while True:
        recorder.step(params, loss=1.0)
except RunError as error:  # where the handler ran in a callback from C, its exit went no further
    assert "is closed" in str(error)
""": "may close it",
}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no signals of a timer")
@pytest.mark.parametrize("body", HANDLERS, ids=HANDLERS.get)
def test_a_signal_handler(tmp_path, body):
    begin = "import signal\nfrom reportgen import open_run\n"
    code = f"{begin}{BEGIN}\nrecorder = new()\nrecorder.step(params)\nrecorder.flush()\n{body}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = open_run(tmp_path / "run", verify=True)
    assert run.problems == () and run.status in ("finished", "preempted")
    assert [row["step"] for row in run.steps] == sorted({row["step"] for row in run.steps})


# Closes a recorder before one line after the other of what `step` and `close` run of these modules, as a signal that
# arrives just then; the handler ends the program, or returns into the call that it interrupted.
EVERY_LINE = """
import reportgen.record.background, reportgen.record.recorder, reportgen.record.snapshots, queue
from reportgen import open_run
modules = queue, threading, reportgen.record.background, reportgen.record.recorder, reportgen.record.snapshots
files = {module.__file__ for module in modules}

def interrupted(number, leaves):
    recorder, lines = new(overwrite=True), 0
    def trace(frame, event, _):
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                sys.settrace(None)
                recorder.close("preempted")
                if leaves:
                    sys.exit(0)
        return trace
    recorder.step(params)
    sys.settrace(trace)
    try:
        recorder.step(params, loss=1.0)
        recorder.close()
    except (SystemExit, RunError):
        pass
    finally:
        sys.settrace(None)
    recorder.close()
    run = open_run(sys.argv[1], verify=True)
    assert run.problems == () and run.status in ("finished", "preempted"), (number, run.status, run.problems)
    assert len(run.snapshots) in (2, 3), number
    return lines >= number

for leaves in (True, False):
    number = 1
    while interrupted(number, leaves):
        number += 1
    assert number > 50, number
"""


def test_a_signal_may_close_it_at_any_moment(tmp_path):
    command = [sys.executable, "-c", BEGIN + EVERY_LINE, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
