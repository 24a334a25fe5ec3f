"""The parts of snapshots that processes beside the first one write, each into a folder and under a lock of its own.

    part = PartWriter(run / "snapshots", process=1)
    part.record(40, 1, packed)
    part.follow(stage)           # gives up the steps that the first process has given up
    part.close()

No process waits for another: a step is there once all of its parts are, see `log`.
"""

import shutil
import time
from pathlib import Path

from filelock import FileLock, Timeout

from reportgen.errors import RunError
from reportgen.store.layout import LOCK_FILE
from reportgen.store.log import part_folder, part_folders
from reportgen.store.log_writer import LogWriter
from reportgen.store.packed import Packed

PATIENCE = 60.0
"""Seconds that the first process waits, when it closes a run, for the others to have written their parts."""


class PartWriter:
    """Writes what one process has of a run's snapshots; what is there is kept up to the step `recorded`.

    Raises RunError where a file can't be written, or another program's process writes there.
    """

    def __init__(self, folder: Path, process: int, recorded: int = -1):
        self._folder = part_folder(folder, process)
        self.recorded = recorded
        """The step that was written last."""
        self._ends: set[int] = set()
        self._lock = FileLock(self._folder / LOCK_FILE, thread_local=False)  # the writer thread may release it
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"{self._folder} is being recorded into by another process; wait for it to end", code="R109"
            ) from error
        except OSError as error:
            raise RunError(f"{self._folder} can't be written into: {error.strerror or error}", code="F105") from error
        self._log = LogWriter(self._folder, recorded)

    def record(self, step: int, epoch: int, packed: Packed, *, end: bool = False) -> None:
        """Write this process's part of the variables after `step` updates; at an `end` of an epoch they stay."""
        if end:
            self._ends.add(step)
        if self._log.append(step, epoch, packed, end=end):
            self.recorded = step

    def follow(self, stage: int, end: int) -> None:
        """Give up what the first process has, which has thinned its log so often; the `end` of an epoch stays."""
        self._ends.add(end)
        self._log.thin_to(stage, self._ends)

    def close(self) -> None:
        """Complete the segments."""
        try:
            self._log.close()
        finally:
            self._lock.release()


def cut_parts(folder: Path, until: int) -> None:
    """Delete what other processes have of the snapshots in a folder after the step `until`."""
    for part in part_folders(folder).values():
        LogWriter(part, until).close()
        if until < 0:
            shutil.rmtree(part)


def wait_for_parts(folder: Path, seconds: float) -> None:
    """Wait until no other process writes its part, for so many seconds at most: then raises RunError."""
    until = time.monotonic() + seconds
    for process, part in part_folders(folder).items():
        try:
            with FileLock(part / LOCK_FILE).acquire(timeout=max(0.0, until - time.monotonic())):
                pass
        except Timeout as error:
            raise RunError(
                f"process {process} is still writing its part of the run into {part}; wait for it to end", code="R109"
            ) from error
