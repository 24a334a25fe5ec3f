"""A folder of this machine that one thread takes elsewhere while it is written.

    spool = Spool(place, folder, ("snapshots", "steps.jsonl", "run.json"), {}, sign="steps.jsonl", last=...)
    spool.start()
    ...                                  # files appear in the folder, grow and go
    spool.finish()                       # what is there now is the last
    spool.wait()                         # until all of it is there

The thread goes in rounds. Files go up in a stated order, and are taken up in the opposite one: so nothing arrives
without that which it refers to, whenever the connection or this machine is lost. What is gone here is deleted there
before the last of the order goes up. What fails is tried again for as long as it takes.

Like the recorder's writer (`record.background`) it may be waited for by a signal handler in the midst of another wait.
"""

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar

from filelock import FileLock, Timeout

from reportgen.core.progress import Bar
from reportgen.errors import RunError, reason_of, warn
from reportgen.remote.place import Place

PAUSE = 10.0
"""Seconds between two rounds, at least: as many as the last one took, so that half of the time nothing is sent."""

LONGEST_PAUSE = 60.0
"""Seconds between two attempts, which begin a second apart and are twice as far apart each time."""

PATIENCE = 300.0
"""Seconds in which nothing arrives after which `wait` gives up."""

GRACE = 1.0
"""Seconds in which the thread of a spool that was given up ends, unless it is in the midst of sending."""

LATE = 2.0
"""Seconds after which `wait` says what it waits for."""

T = TypeVar("T")

Mark = tuple[int, int]
"""Size and time of a file."""

_UNFINISHED = re.compile(r"\.partial$|(^|/)\.lock$|orbax-checkpoint-tmp")


class _Taken(NamedTuple):
    """A file to be sent: its name, where it is read from, and what told that it has changed."""

    name: str
    file: Path
    mark: Mark


class Spool:
    """Takes the files of `folder` to a place: those in `order`, which are names of files and of folders in it.

    `there` says of the files that are there what they were made of, None where that is not known; `last` is done when
    all has arrived, in the thread and as persistently as the rest. Until the file `sign` has something in it, or the
    spool is to finish, the last of `order` waits. `shown` is whether `wait` says on standard error how far it is.
    Raises RunError where another spool has the folder.
    """

    def __init__(
        self,
        place: Place,
        folder: Path,
        order: Sequence[str],
        there: Mapping[str, Mark | None],
        last: Callable[[], None],
        *,
        sign: str,
        shown: bool = True,
    ):
        self.place, self.folder = place, folder
        self._order, self._there, self._last, self._sign, self._shown = order, dict(there), last, sign, shown
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._finishing = self._over = self._left = False
        self._moved, self._problem = time.monotonic(), ""
        self._done, self._of = 0, 0
        self._process = os.getpid()
        self._lock = FileLock(folder.with_name("lock"), thread_local=False)  # the thread releases it
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=GRACE)
        except Timeout as error:
            raise RunError(
                f"{place.url} is still being recorded into or uploaded on this machine; wait for it to end", code="R109"
            ) from error
        except OSError as error:
            raise RunError(f"{folder} can't be written into: {error.strerror or error}", code="F105") from error

    def start(self) -> None:
        """Begin to take files there."""
        threading.Thread(target=self._run, name="reportgen-upload", daemon=True).start()

    def release(self) -> None:
        """Leave the folder to others, of a spool that was not started."""
        self._lock.release()

    def finish(self) -> None:
        """Have the thread take up what is there now, and end. Waits for nothing."""
        self._moved = time.monotonic()
        self._finishing = True
        self._asked.put(None)

    def wait(self) -> None:
        """Wait until all has arrived after `finish`. Warns where it does not, and says where all of it is.

        That is when nothing has arrived for `PATIENCE` seconds, or when the wait is interrupted.
        """
        began, bar = time.monotonic(), None
        try:
            while not (self._over or self._left or os.getpid() != self._process):
                time.sleep(0.02)
                now = time.monotonic()
                if bar is None and now - began > LATE:
                    bar = Bar("upload", None, "file", shown=self._shown)
                    bar.part(f"waiting for {self._of - self._done} files to reach {self.place.url}")
                elif bar is not None:
                    bar.reach(self._problem, self._done, self._of)
                if now - self._moved > PATIENCE:
                    self._leave(f"nothing has arrived there for {PATIENCE:.0f} s")
        except BaseException:
            self._leave("the wait for it was interrupted")
            raise
        finally:
            if bar is not None:
                bar.__exit__()

    def _leave(self, why: str) -> None:
        """Give up, unless that was done already, and say where everything is."""
        if self._left or self._over:
            return
        self._left = True
        self._asked.put(None)
        last = f" ({self._problem})" if self._problem else ""
        warn(
            f"not all of the run has reached {self.place.url}: {why}{last}; nothing is lost, all of it lies in "
            f"{self.folder}: go on with it (resume), or upload it as it is with "
            f"reportgen.upload({self.place.url!r}) on this machine",
            code="F107",
        )

    def _run(self) -> None:
        took = 0.0
        while not (self._over or self._left):
            if not self._finishing:
                self._sleep(max(PAUSE, took))
            finishing, began = self._finishing, time.monotonic()
            all_there = self._persistently(partial(self._round, finishing))
            took = time.monotonic() - began
            if finishing and all_there:
                self._persistently(self._last)
                self._over = not self._left
            elif finishing:
                self._sleep(1.0)  # a file went while it was sent
        self._lock.release()

    def _sleep(self, seconds: float) -> None:
        """Wait so long, or until it is asked to finish or to give up."""
        with suppress(Empty):
            self._asked.get(timeout=seconds)

    def _round(self, finishing: bool) -> bool:
        """Take up what has changed since the last round, and delete what has gone; whether all is there then."""
        with tempfile.TemporaryDirectory(prefix="staged-", dir=self.folder.parent) as staged:
            return self._sent(Path(staged), finishing)

    def _sent(self, staged: Path, finishing: bool) -> bool:
        present = list(self._taken(staged))
        gone = sorted(self._there.keys() - {each.name for each in present})
        changed = [each for each in reversed(present) if self._there.get(each.name) != each.mark]
        if not finishing and not any(each.name == self._sign and each.mark[0] for each in present):
            changed = [each for each in changed if each.name != self._order[-1]]
        self._done, self._of = 0, len(changed)
        for each in changed:
            if each.name == self._order[-1]:
                self._persistently(partial(self._forget, gone))
            self._persistently(partial(self._send, each, staged / "sent"))
            self._done += 1
        self._persistently(partial(self._forget, gone))
        return all(self._there.get(each.name) == each.mark for each in present)

    def _taken(self, staged: Path) -> Iterator[_Taken]:
        """The files in the opposite of the order.

        Of those that are replaced, or that others refer to, a copy is taken now; what lies in folders only grows.
        """
        for group in reversed(self._order):
            top = self.folder / group
            for path in sorted(top.rglob("*"), reverse=True) if top.is_dir() else [top]:
                name = path.relative_to(self.folder).as_posix()
                with suppress(FileNotFoundError):  # it has gone meanwhile
                    if path.is_file() and not _UNFINISHED.search(name):
                        mark = mark_of(path)
                        is_new = path == top and self._there.get(name) != mark
                        yield _Taken(name, Path(shutil.copyfile(path, staged / group)) if is_new else path, mark)

    def _send(self, taken: _Taken, copy: Path) -> None:
        try:
            mark = mark_of(taken.file) if taken.file.is_relative_to(self.folder) else taken.mark
            shutil.copyfile(taken.file, copy)  # it may grow while it is sent
        except FileNotFoundError:
            return  # it has gone, which the next round finds
        self.place.put(copy, taken.name, self._note)
        self._there[taken.name] = mark
        self._note()

    def _forget(self, gone: Sequence[str]) -> None:
        self.place.delete(gone)
        for name in gone:
            self._there.pop(name, None)

    def _note(self) -> None:
        self._moved = time.monotonic()

    def _persistently(self, work: Callable[[], T]) -> T | None:
        """What `work` returns, which is done again and again if need be, until it is given up."""
        pause = 1.0
        while not self._left:
            try:
                found = work()
            except Exception as error:  # each store has errors of its own, and a connection that fails may come back
                self._problem = reason_of(error)
            else:
                self._problem = ""
                return found
            self._sleep(min(pause, 5.0) if self._finishing else pause)  # of these somebody waits for the first
            pause = min(2 * pause, LONGEST_PAUSE)
        return None


def mark_of(file: Path) -> Mark:
    """What tells that a file has changed."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns
