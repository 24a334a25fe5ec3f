"""How recordings end: their status, and what is written of those that nobody closes, when dropped or at the exit.

leave_open(recorder, background, snapshots.close, started, arrive)
status_after(KeyboardInterrupt())         # "interrupted"
wait_for_dropped()                  # before their directories are opened again
"""

import atexit
import os
import time
import weakref
from collections.abc import Callable
from typing import Any

from reportgen.errors import ReportgenError, warn
from reportgen.record.background import Background

STATUS = "not closed"
"""Of a run whose recorder was never closed."""

_open: "weakref.WeakSet[Any]" = weakref.WeakSet()
_ending: list[tuple[Background, Callable[[], None]]] = []


FORKED = (
    "{call}() was called in a process that was forked from the one that records into {path}; "
    "record there, or open a recorder on a directory of its own here"
)


INSIDE = (
    "{call}() was called while another call of this recorder was at work, as a signal handler does; "
    "have the handler set a flag, and call it between two steps (close() may be called at any time)"
)


def status_after(error: BaseException | None) -> str:
    """The status of a run whose recording ended with this; None for its own end."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished"
    # What is no Exception stops a program from outside: Ctrl-C, a task that is cancelled, a generator that is dropped.
    return "failed" if isinstance(error, Exception | SystemExit) else "interrupted"


def leave_open(
    recorder: Any,
    background: Background,
    close: Callable[[str, float], None],
    started: float,
    arrive: Callable[[], None],
) -> None:
    """See to it that the recorder's run is complete, and released, if its `close` is never called.

    `arrive` waits until all of a closed run is where it belongs.
    A forked child ends or drops copies of its parent's recorders: these are left alone.
    """
    process = os.getpid()

    def dropped() -> None:
        # Called wherever the last reference goes, in the writer thread too: nothing is waited for here.
        if os.getpid() == process and not background.closed:
            _ending.append((background, arrive))
            background.end(lambda failed: close("failed" if failed else STATUS, time.monotonic() - started))

    _open.add(recorder)
    weakref.finalize(recorder, dropped).atexit = False


def wait_for_dropped() -> None:
    """Wait until the runs of recorders that were dropped are complete and released. Warns of those that can't be."""
    while _ending:
        background, arrive = _ending.pop()
        try:
            try:
                background.close()
            finally:
                arrive()
        except ReportgenError as error:
            warn(f"{error}; nobody closed its recorder", code=error.code)


@atexit.register
def _at_exit() -> None:
    for recorder in list(_open):
        recorder.close(STATUS)
    wait_for_dropped()
