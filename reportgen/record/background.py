"""A thread that does the writing, so that the training loop does not wait for the disk or the device.

background = Background(capacity=8)
background.submit(lambda: writer.snapshot(...))   # returns at once while fewer than 8 wait
background.flush()                                # waits for all until now, raises what failed
background.close()                                # waits for all, ends the thread, raises what failed
background.end(lambda failed: writer.close())     # waits for nothing: the thread does this last and ends

A signal handler may call any of it, also in the midst of another call of the same thread. Python's bounded queues,
conditions and Thread.join hold locks of their own, for which that would wait forever; so there are only plain locks
here, each waited for once, and a queue that may be entered again.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from reportgen.core.files import is_full
from reportgen.errors import warn

LOOKED = 1.0
"""Seconds between two looks at whether the thread is still there, for who waits for it."""

PAUSE = 0.001
"""Seconds that the thread rests when it has done all: a loop of faster steps wakes it once for several of them, and a
wake takes such a loop as long as the writing."""


class Turn:
    """A lock for one call at a time, which a thread may take again: `depth` says how often it holds it.

    More than once is a call from inside another one, as a signal handler makes it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.depth = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        self._lock.release()


class Background:
    """Runs submitted functions one after the other in a thread of its own.

    When `capacity` functions wait, `submit` waits too: memory stays bounded on a slow disk. After a
    failure nothing more is run, and every later `submit`, `wait` and `close` raises it; a full disk is warned about
    once instead: it ends what is done here, not the training. Whenever nothing waits, `idle` is run.
    """

    def __init__(self, capacity: int, idle: Callable[[], None] | None = None):
        self._capacity = capacity
        self._idle = idle
        # Each function with a lock that is held until it is done.
        self._work: SimpleQueue[tuple[Callable[[], None], threading.Lock]] = SimpleQueue()
        self._recent: deque[threading.Lock] = deque()
        self._failure: BaseException | None = None
        self._unfinished: BaseException | None = None
        self._warned = False
        self._last: Callable[[bool], None] | None = None
        self._ended, self._over, self._process = _held(), False, os.getpid()
        threading.Thread(target=self._run, name="reportgen-writer", daemon=True).start()

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work` run after what was submitted before. Raises the failure of earlier work."""
        if self._failed():
            return
        self._recent.append(self._put(work))
        if len(self._recent) > self._capacity + 1:  # one is at work
            self._wait_for(self._recent.popleft())

    def flush(self) -> None:
        """Wait until all that was submitted is done. Raises the failure of earlier work."""
        self._wait_for(self._put(_nothing))
        if self._failure is not None:
            raise self._failure

    def wait(self) -> None:
        """Wait as `flush` does. Raises as `submit` does."""
        self._wait_for(self._put(_nothing))
        self._failed()

    def close(self, last: Callable[[bool], None] = lambda failed: None) -> None:
        """Wait until all is done and the thread has ended, as `end` has it do. Raises as `submit` and `last` do."""
        self.end(last)
        self._wait_for(self._ended)
        if self._unfinished is not None:
            raise self._unfinished
        self._failed()

    @property
    def closed(self) -> bool:
        """Whether the thread has ended; a forked process has none."""
        return self._over or os.getpid() != self._process

    def end(self, last: Callable[[bool], None]) -> None:
        """Have the thread end when all is done, with `last`, which is told whether anything failed.

        May be called from any thread, also from this one. The first `last` counts.
        """
        self._last = self._last or last
        self._put(_nothing)

    def _put(self, work: Callable[[], None]) -> threading.Lock:
        done = _held()
        self._work.put((work, done))
        return done

    def _wait_for(self, done: threading.Lock) -> None:
        # What is submitted while the thread ends is never done.
        while not self.closed and not done.acquire(timeout=LOOKED):
            pass

    def _failed(self) -> bool:
        """Whether nothing more is run, because of a full disk. Raises another failure."""
        if self._failure is None:
            return False
        if not is_full(self._failure):
            raise self._failure
        if not self._warned:
            self._warned = True
            warn(f"{self._failure}; the recording ends here, the training goes on", code="F105")
        return True

    def _run(self) -> None:
        while True:
            work, done = self._work.get()
            if self._failure is None:
                try:
                    work()
                    if self._idle is not None and self._work.empty():
                        self._idle()
                except BaseException as error:  # handed to the thread that can act on it
                    self._failure = error
            done.release()
            if self._work.empty():
                if self._last is not None:
                    break
                time.sleep(PAUSE)
        failed = self._failure is not None
        try:
            self._last(failed)
        except BaseException as error:
            if not failed or not is_full(error):  # a full disk fails once more here
                self._unfinished = error
        self._over = True
        self._ended.release()


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _nothing() -> None:
    pass
