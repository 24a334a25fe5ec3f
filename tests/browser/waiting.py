"""Waiting for something on a page whose policy forbids evaluating text."""

import time
from typing import Any

LIMIT = 30.0


def until(page: Any, expression: str, arg: Any = None) -> None:
    """Return when JavaScript's `expression` is truthy; AssertionError after `LIMIT` seconds.

    Asked from here again and again: playwright's `wait_for_function` asks once so, and evaluates text within
    the page from then on, which the page's policy forbids.
    """
    end = time.monotonic() + LIMIT
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, f"not within {LIMIT:.0f} s: {expression}"
        page.wait_for_timeout(20)
