"""How far something that takes its time has come, told to whoever shows it, and shown on standard error.

with Bar("report", 17, "section", shown=True) as bar:
    bar.note("embedding", 100, 500)        # beside the bar
    bar.advance()
    bar.part("1/17 Confusion matrix")      # a line of its own where standard error is a log

with Bar("report", 17, "section", shown=told) as bar:      # told("1/17 Confusion matrix", 1, 17), and nothing is shown
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from tqdm import tqdm

from reportgen.errors import expect


class Progress(Protocol):
    """Is told what is being done, and how much of how much is done: progress("evaluation", 300, 10_000)."""

    def __call__(self, what: str, done: int, of: int, /) -> object: ...


class Bar:
    """A bar on a terminal. In a log, where carriage returns would make one endless line, a line for each part.

    Nothing at all unless `shown`; a `Progress` in its place is told instead. Bars in a `row` of their own below the
    first one are of parts of it: they go when they end, and a log has the first one's lines alone. A standard error
    that is closed or full stops nothing.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        shown: bool | Progress = True,
        row: int | None = None,
    ):
        expect("progress", shown, bool | Callable, "True, False, or a function of what, done and of")
        self._what = what
        self._told = None if isinstance(shown, bool) else shown
        is_shown, self._done, self._total = shown is True, done, total or 0
        self._log = is_shown and row is None and not _is_terminal()
        hidden = not (is_shown and _is_terminal())
        self._bar = tqdm(
            total=total, initial=done, desc=what, unit=unit, disable=hidden, position=row, leave=row is None
        )

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self) -> None:
        """One unit more is done."""
        self._done += 1
        self._bar.update()

    def note(self, what: str, done: int, of: int) -> None:
        """Say beside the bar what is being done at the moment; a `Progress`."""
        self._say(f"{what} {done}/{of}")

    def reach(self, text: str, done: int, of: int) -> None:
        """Say that so many units of so many are done, and at what it is; a `Progress`."""
        self._bar.total, self._bar.n = of, done
        self._say(text)

    def part(self, text: str) -> None:
        """Say that a part that a reader of a log knows by its name is done: an epoch, a section."""
        self._say(text)
        if self._log and sys.stderr is not None:
            with suppress(OSError, ValueError):
                print(f"{self._what}: {text}", file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        if self._told is not None:
            self._told(text, self._done, self._total)
        self._bar.set_postfix_str(text)


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it was closed
        return False
