"""The writer thread: order, back-pressure, failures."""

import threading

import pytest

from reportgen.record.background import Background


def test_work_is_done_in_order_and_closing_waits_for_it():
    done = []
    background = Background(capacity=2)
    for number in range(20):
        background.submit(lambda number=number: done.append(number))
    background.close()
    assert done == list(range(20))


def test_submit_waits_while_as_much_waits_as_may():
    go_on, entered = threading.Event(), threading.Event()
    background = Background(capacity=2)

    def slow():
        entered.set()
        go_on.wait()

    background.submit(slow)
    entered.wait()
    background.submit(lambda: None)
    background.submit(lambda: None)  # the queue is full now
    submitted = threading.Event()

    def one_more():
        background.submit(lambda: None)
        submitted.set()

    thread = threading.Thread(target=one_more)
    thread.start()
    assert not submitted.wait(0.2)
    go_on.set()
    assert submitted.wait(10)
    thread.join()
    background.close()


def test_a_failure_is_raised_at_the_next_call_and_nothing_more_is_done():
    done, failed = [], threading.Event()
    background = Background(capacity=8)

    def fail():
        failed.set()
        raise OSError("disk full")

    background.submit(fail)
    failed.wait()
    with pytest.raises(OSError, match="disk full"):
        for _ in range(100):
            background.submit(lambda: done.append(1))
            threading.Event().wait(0.01)
    with pytest.raises(OSError, match="disk full"):
        background.close()
    assert done == []
