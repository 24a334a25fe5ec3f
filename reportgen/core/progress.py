"""How far something that takes its time has come, told to whoever shows it."""

from typing import Protocol


class Progress(Protocol):
    """Is told what is being done, and how much of how much is done: progress("evaluation", 300, 10_000)."""

    def __call__(self, what: str, done: int, of: int, /) -> object: ...
