"""Files of a copy of which only what is read is fetched: sparse ones, with a list beside of the blocks that are there.

    begin(file, place, "snapshots/00-000000.segment", entry)       # nothing of it is there yet
    sparse = sparse_at(file)                                       # None for a file that is there whole
    with sparse.opened() as read:
        read(32, offset)

The list is all that is known: processes that read the same copy find the same blocks. It is deleted before the file is
replaced, so that what an opened list says is true of a file that was opened before it.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from reportgen.core.files import write_bytes
from reportgen.errors import ReportgenError, RunError
from reportgen.remote.place import Entry, Place, place_of

BLOCK = 1 << 20
"""Bytes that are fetched at least."""

AHEAD = 16
"""Blocks that are fetched at once at most beyond those that are asked for, where a file is read from block to block."""

PART = 4
"""Blocks of one request; several are under way at a time."""


class Read(Protocol):
    """Bytes of a file: so many at an offset, fewer at its end. Up to `until` more will be asked for."""

    def __call__(self, count: int, offset: int, until: int = 0, /) -> bytes: ...


def list_of(file: Path) -> Path:
    """The list of a file's blocks: a name that no reader of runs looks at."""
    return file.with_name(f".{file.name}.blocks")


def begin(file: Path, place: Place, name: str, entry: Entry) -> None:
    """Begin a file that has the size of the one there, and nothing of it yet. Replaces what is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    forget(file)
    file.unlink(missing_ok=True)
    with file.open("wb") as made:
        made.truncate(entry.size)
    time = file.stat().st_mtime if entry.time is None else entry.time
    os.utime(file, (time, time))
    head = {"url": place.url, "name": name, "mark": entry.mark, "size": entry.size, "time": time}
    write_bytes(list_of(file), json.dumps(head).encode(), b"\n", bytes(-(-entry.size // BLOCK)))


def forget(file: Path) -> None:
    """Delete the list of a file, which is about to be replaced or deleted."""
    list_of(file).unlink(missing_ok=True)


def sparse_at(file: Path) -> "Sparse | None":
    """The file of a copy that is not there whole; None for any other."""
    try:
        head, newline, _ = list_of(file).read_bytes().partition(b"\n")
    except OSError:
        return None
    return Sparse(file, head + newline)


class Sparse:
    """A file of which blocks are fetched when they are first read; `head` is the first line of its list."""

    def __init__(self, file: Path, head: bytes):
        stated = json.loads(head)
        self._file, self._head = file, head
        self._url, self._name, self._time = str(stated["url"]), str(stated["name"]), float(stated["time"])
        self.mark, self.size = str(stated["mark"]), int(stated["size"])
        self._place: Place | None = None
        self._next, self._ahead = -1, 1

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """What reads it. Raises ReportgenError where what is lacking can't be fetched, or is of another file now.

        That is no RunError: nothing of the run is damaged, and nothing is to be left out.
        """
        with ExitStack() as stack:
            try:  # the file first, see above
                file, known = (
                    stack.enter_context(path.open("r+b", buffering=0)) for path in (self._file, list_of(self._file))
                )
            except FileNotFoundError as error:
                raise _changed(self._url, self._name) from error
            if os.pread(known.fileno(), len(self._head), 0) != self._head:
                raise _changed(self._url, self._name)
            yield partial(self._read, file.fileno(), known.fileno())

    def _read(self, file: int, known: int, count: int, offset: int, until: int = 0) -> bytes:
        end = min(max(offset + count, until), self.size)
        first, stop = offset // BLOCK, -(-end // BLOCK)
        there = os.pread(known, max(0, stop - first), len(self._head) + first)
        lacking = [number for number, is_there in enumerate(there, first) if not is_there]
        if lacking:
            self._fetch(file, known, lacking)
        return os.pread(file, count, offset)

    def _fetch(self, file: int, known: int, lacking: Sequence[int]) -> None:
        """Fetch blocks, and more behind them where the last ones were fetched just before them."""
        self._ahead = min(2 * self._ahead, AHEAD) if lacking[0] == self._next else 1
        first, count = lacking[0], -(-self.size // BLOCK)
        self._next = min(max(lacking[-1] + 1, first + self._ahead), count)
        there = os.pread(known, self._next - first, len(self._head) + first)
        parts: list[list[int]] = []
        for number in (number for number, is_there in enumerate(there, first) if not is_there):
            if parts and parts[-1][1] == number and number - parts[-1][0] < PART:
                parts[-1][1] = number + 1
            else:
                parts.append([number, number + 1])
        spans = [(start * BLOCK, min(stop * BLOCK, self.size)) for start, stop in parts]
        for (start, stop), (begins, _), piece in zip(parts, spans, self._pieces(spans), strict=True):
            _write(file, piece, begins)
            _write(known, b"\1" * (stop - start), len(self._head) + start)
        os.utime(file, (self._time, self._time))  # it is the file that it was

    def _pieces(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        self._place = self._place or place_of(self._url)
        assert self._place is not None
        try:
            return self._place.pieces(self._name, spans, self.mark)
        except FileNotFoundError as error:
            raise _changed(self._url, self._name) from error
        except RunError as error:
            raise ReportgenError(*error.args, code=error.code) from error


def _changed(url: str, name: str) -> ReportgenError:
    return ReportgenError(
        f"{url}/{name} is not the file any more that it was when it was opened; open it again", code="F106"
    )


def _write(file: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written
