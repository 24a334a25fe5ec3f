"""A thread that does the writing, so that the training loop does not wait for the disk or the device.

background = Background(capacity=8)
background.submit(lambda: writer.snapshot(...))   # returns at once while fewer than 8 wait
background.flush()                                # waits for all until now, raises what failed
background.close()                                # waits for all, raises what failed
background.end(writer.close)                      # waits for nothing: the thread does this last and ends
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from reportgen.core.files import is_full
from reportgen.errors import RunError, warn


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
        self._idle = idle
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=capacity)
        self._failure: BaseException | None = None
        self._warned = False
        self._last: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="reportgen-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work` run after what was submitted before. Raises the failure of earlier work."""
        if not self._failed():
            self._work.put(work)

    def flush(self) -> None:
        """Wait until all that was submitted is done. Raises the failure of earlier work."""
        self._work.join()
        if self._failure is not None:
            raise self._failure

    def wait(self) -> None:
        """Wait as `flush` does. Raises as `submit` does."""
        self._work.join()
        self._failed()

    def close(self, last: Callable[[bool], None] = lambda failed: None) -> None:
        """Wait until all is done, and end the thread; then call `last` with whether anything failed."""
        self._work.put(None)
        self._thread.join()
        try:
            last(self._failure is not None)
        except RunError as error:
            if self._failure is None or not is_full(error):
                raise
        self._failed()

    @property
    def closed(self) -> bool:
        """Whether the thread has ended."""
        return not self._thread.is_alive()

    def end(self, last: Callable[[], None]) -> None:
        """Have the thread end when all is done, with `last`. May be called from any thread, also from this one."""
        self._last = last
        with suppress(queue.Full):  # then there is work after which the thread looks
            self._work.put_nowait(lambda: None)

    def join(self) -> None:
        """Wait for the thread, which was told to end."""
        self._thread.join()

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
        while (work := self._work.get()) is not None:
            if self._failure is None:
                try:
                    work()
                    if self._idle is not None and self._work.empty():
                        self._idle()
                except BaseException as error:  # handed to the thread that can act on it
                    self._failure = error
            self._work.task_done()
            if self._last is not None and self._work.empty():
                self._last()
                return
