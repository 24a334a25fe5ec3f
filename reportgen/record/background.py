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


class Background:
    """Runs submitted functions one after the other in a thread of its own.

    When `capacity` functions wait, `submit` waits too: memory stays bounded on a slow disk. After a
    failure nothing more is run, and every later `submit` and `close` raises it. Whenever nothing waits, `idle` is run.
    """

    def __init__(self, capacity: int, idle: Callable[[], None] | None = None):
        self._idle = idle
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=capacity)
        self._failure: BaseException | None = None
        self._last: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="reportgen-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work` run after what was submitted before. Raises the failure of earlier work."""
        self._raise_failure()
        self._work.put(work)

    def flush(self) -> None:
        """Wait until all that was submitted is done. Raises the failure of earlier work."""
        self._work.join()
        self._raise_failure()

    def close(self) -> None:
        """Wait until all is done, and end the thread. Raises the failure of earlier work."""
        self._work.put(None)
        self._thread.join()
        self._raise_failure()

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

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

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
