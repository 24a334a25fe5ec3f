"""The processes of a training that runs in several: all record together, and agree on what they must do alike.

    processes = Processes()
    processes.meet(path)                         # refused where one of them does not open a recorder
    told = processes.exchange({"step": 40})      # what each of them says, in their order

They meet over files beside the run, where a wait can end: a computation that only some of the processes enter never
does. From then on all of them call the recorder in the same order, and what they exchange goes through JAX.
"""

import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reportgen.core.files import write_bytes
from reportgen.errors import RunError

PATIENCE = 30.0
"""Seconds within which all processes must open the recorder."""

POLLED = 0.02
"""Seconds between two looks at what the others have written."""

MESSAGE = 2048
"""Bytes of what a process says in an exchange, at most."""


class Processes:
    """The processes of this program; `index` is the number of this one, of `count`."""

    def __init__(self) -> None:
        self.index, self.count = jax.process_index(), jax.process_count()
        self._folder: Path | None = None

    def meet(self, path: Path) -> None:
        """Wait until all processes open a recorder of the run in `path`. Raises RunError after `PATIENCE`."""
        if self.count == 1:
            return
        self._folder = folder = path.with_name(f".{path.name}.processes")
        own, until = secrets.token_hex(8), time.monotonic() + PATIENCE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            missing = self._invite(folder, own, until) if self.index == 0 else self._follow(folder, own, until)
        except OSError as error:
            raise RunError(f"{folder} can't be written into: {error.strerror or error}", code="F105") from error
        if missing:
            self._leave()
            listed = ", ".join(map(str, missing))
            raise RunError(
                f"the training runs in {self.count} processes, of which this one, {self.index}, opened a recorder of "
                f"{path}, but {listed} did not within {PATIENCE:.0f} s: open it in every process, with the same "
                "arguments and a folder that all of them share",
                code="C110",
            )

    def _invite(self, folder: Path, own: str, until: float) -> list[int]:
        """The processes that have not answered to this one's word, of which no file of an earlier meeting knows."""
        others = range(1, self.count)
        write_bytes(folder / "0", own.encode())
        words: dict[int, str] = {}
        while len(words) < len(others) and time.monotonic() < until:
            said = {process: _read(folder / str(process)).split() for process in others}
            words = {process: said[process][1] for process in others if said[process][:1] == [own]}
            time.sleep(POLLED)
        if len(words) == len(others):
            write_bytes(folder / "all", " ".join([own, *(words[process] for process in others)]).encode())
        return [process for process in others if process not in words]

    def _follow(self, folder: Path, own: str, until: float) -> list[int]:
        """The first process, unless it has heard of this one and of all others."""
        answered = ""
        while time.monotonic() < until:
            first, everyone = _read(folder / "0"), _read(folder / "all").split()
            if first and everyone[:1] == [first] and everyone[self.index : self.index + 1] == [own]:
                return []
            if first != answered:
                folder.mkdir(parents=True, exist_ok=True)  # who gave up before may have deleted it
                write_bytes(folder / str(self.index), f"{first} {own}".encode())
                answered = first
            time.sleep(POLLED)
        return [0]

    def _leave(self) -> None:
        """Delete what is left of the meeting: all of it, once everybody has been there."""
        if self._folder is not None and self.index == 0:
            shutil.rmtree(self._folder, ignore_errors=True)
        elif self._folder is not None:
            with suppress(OSError):
                (self._folder / str(self.index)).unlink(missing_ok=True)
                self._folder.rmdir()
        self._folder = None

    def exchange(self, said: Any) -> list[Any]:
        """What every process says, JSON of at most `MESSAGE` bytes, in their order. All must call it alike."""
        if self.count == 1:
            return [said]
        from jax.experimental import multihost_utils

        content = np.frombuffer(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace"), np.uint8)
        rows = multihost_utils.process_allgather(np.pad(content, (0, MESSAGE - len(content))))
        self._leave()
        return [json.loads(np.asarray(row, np.uint8).tobytes().rstrip(b"\0")) for row in rows]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done within has failed in every process where it failed in one. Raises its own error, or RunError."""
        try:
            yield
        except Exception as error:
            self.exchange(str(error)[:300])
            raise
        self.check(self.exchange(None))

    @staticmethod
    def check(problems: list[str | None]) -> None:
        """Raise RunError where there is a problem, which is another process's."""
        for process, problem in enumerate(problems):
            if problem is not None:
                raise RunError(f"process {process} can't record: {problem}", code="C110")


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
