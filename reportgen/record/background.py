"""A thread that does the writing, so that the training loop does not wait for the disk or the device.

background = Background(capacity=8)
background.submit(lambda: writer.snapshot(...))   # returns at once while fewer than 8 wait
background.flush()                                # waits for all until now, raises what failed
background.close()                                # waits for all, raises what failed
"""

import queue
import threading
from collections.abc import Callable


class Background:
    """Runs submitted functions one after the other in a thread of its own.

    When `capacity` functions wait, `submit` waits too: memory stays bounded on a slow disk. After a
    failure nothing more is run, and every later `submit` and `close` raises it.
    """

    def __init__(self, capacity: int):
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=capacity)
        self._failure: BaseException | None = None
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

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if self._failure is None:
                try:
                    work()
                except BaseException as error:  # handed to the thread that can act on it
                    self._failure = error
            self._work.task_done()
