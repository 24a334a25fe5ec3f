"""A value that is computed in a thread of its own while others work.

with computed_beside(lambda given_up: layout(given_up)) as future:
    ...                                      # draw what does not need it
    future.result()                          # waits for it
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def computed_beside(compute: Callable[[Event], T], name: str = "reportgen-beside") -> Iterator["Future[T]"]:
    """Start `compute(given_up)` and hand out its future. Where the block fails, the event `given_up` is set."""
    future: Future[T] = Future()
    given_up = Event()

    def run() -> None:
        try:
            future.set_result(compute(given_up))
        except BaseException as error:  # raised where the result is asked for
            future.set_exception(error)

    # A thread pool's thread, or one that is no daemon, would keep the interpreter from exiting.
    Thread(target=run, name=name, daemon=True).start()
    try:
        yield future
    except BaseException:
        given_up.set()
        raise
