"""Writes snapshots as a log, see `segments`.

    log = LogWriter(run / "snapshots", until=400)     # goes on after step 400
    log.append(440, 11, Packed.of({"params/conv1/kernel": array}))
    log.thin(ends={200, 400})                         # gives up every other step but these
    log.close()

A segment has the steps that one power of two divides, and no higher one: `02-000000.segment` those that 4 divides and 8
does not. So a log is thinned by deleting files. Steps that stay whatever is thinned are in the segments called `ends`.
"""

import os
from collections.abc import Sequence, Set
from pathlib import Path

from reportgen.core.files import write_bytes
from reportgen.errors import RunError
from reportgen.store.files import write_tensors
from reportgen.store.packed import Packed
from reportgen.store.segments import (
    LAYOUT,
    RECORD,
    SEGMENT,
    Segment,
    read_head,
    read_payload,
    read_segment,
    record_head,
    segment_files,
)

SEGMENT_BYTES = 64 << 20
"""Bytes after which a segment is complete, and the next one begins."""

ENDS = "ends"


class LogWriter:
    """Appends records to the segments of a folder. Those that are there are kept up to the step `until`.

    Raises RunError where a file can't be read or written; a record that could not be written whole is taken back.
    """

    def __init__(self, folder: Path, until: int, stage: int = 0):
        self._folder = folder
        self._open: dict[str, _Appended] = {}
        self.size = 0
        """Bytes of all segments, and of what other processes have of their records."""
        self._ends: set[int] = set()
        for path in segment_files(folder):
            segment = _cut(read_segment(path), until)
            if path.stem.startswith(ENDS):
                self._ends.update(segment.steps)
            if segment.size:
                self.size += segment.taken
                level, _, number = path.stem.partition("-")
                self._end(level)
                self._open[level] = _Appended(segment, int(number))
        self.stage = stage
        """How often it was thinned: other steps than multiples of 2 to its power are not appended, unless as ends."""

    def append(self, step: int, epoch: int, packed: Packed, *, end: bool = False) -> bool:
        """Append the record of a step; whether it was, and not given up beforehand. An `end` is never given up."""
        level = min((step & -step).bit_length() - 1, 99)
        if end or not step:
            self._append(ENDS, step, epoch, packed)
        elif level < self.stage:
            return False
        else:
            self._append(f"{level:02d}", step, epoch, packed)
        return True

    def thin(self, ends: Set[int]) -> bool:
        """Give up the steps that the lowest power of two divides, but the `ends`; whether there were any to give up."""
        levels = [path.stem.partition("-")[0] for path in segment_files(self._folder)]
        lowest = next((level for level in levels if level != ENDS), None)
        if lowest is not None:
            self.thin_to(int(lowest) + 1, ends)
        return lowest is not None

    def thin_to(self, stage: int, ends: Set[int]) -> None:
        """Give up the steps that 2 to the power of `stage` does not divide, but the `ends`."""
        # One that was written as an end may have been written anew, and the last of a step counts.
        copied = ends - self._ends
        for path in segment_files(self._folder):
            level = path.stem.partition("-")[0]
            if level != ENDS and int(level) < stage:
                self._end(level)
                segment = read_segment(path)
                self._copy(segment, [at for at, step in enumerate(segment.steps) if step in copied], ENDS)
                self.size -= segment.taken
                _delete(segment)
        self.stage = max(self.stage, stage)

    def close(self) -> None:
        """Complete the segments."""
        for level in list(self._open):
            self._end(level)

    def _end(self, level: str) -> None:
        if (appended := self._open.pop(level, None)) is not None:
            appended.close()

    def _append(self, level: str, step: int, epoch: int, packed: Packed) -> None:
        appended = self._open.get(level)
        if appended is None or appended.segment.size >= SEGMENT_BYTES:
            number = 0 if appended is None else appended.number + 1
            self._end(level)
            path = self._folder / f"{level}-{number:06d}{SEGMENT}"
            appended = self._open[level] = _Appended(Segment(path), number)
        if level == ENDS:
            self._ends.add(step)
        before = appended.segment.size
        appended.append(step, epoch, packed)
        self.size += appended.segment.size - before + packed.layout.beside

    def _copy(self, segment: Segment, chosen: Sequence[int], level: str) -> None:
        if not chosen:
            return
        with segment.source.opened() as read:
            for at in chosen:
                if (head := read_head(read, segment.offsets[at], segment.size)) is not None:
                    payload = read_payload(read, segment.offsets[at], head, 0, head.length, segment.path)
                    packed = Packed(segment.layouts[head.layout], payload.data)
                    self._append(level, head.step, head.epoch, packed)


class _Appended:
    """A segment that records are appended to."""

    def __init__(self, segment: Segment, number: int):
        self.segment = segment
        self.number = number
        try:
            segment.index.unlink(missing_ok=True)  # it no longer tells all
            self._file = segment.path.open("ab", buffering=0)
        except OSError as error:
            raise RunError(f"{segment.path} can't be written: {error.strerror or error}", code="F105") from error

    def append(self, step: int, epoch: int, packed: Packed) -> None:
        segment, layout, payload = self.segment, packed.layout, packed.payload
        parts: list[bytes | memoryview] = []
        known = layout.number in segment.layouts
        if not known:
            content = memoryview(layout.content)
            parts += [record_head(LAYOUT, 0, 0, layout.number, content), content]
        begin = segment.size + sum(map(len, parts))
        parts += [record_head(RECORD, step, epoch, layout.number, payload), payload]
        self._write(parts)
        segment.layouts.setdefault(layout.number, layout)
        segment.add(step, epoch, layout.number, begin)
        segment.size += sum(map(len, parts))

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        left = [memoryview(part) for part in parts]
        try:
            while left:
                written = os.writev(self._file.fileno(), left)
                while left and written >= len(left[0]):
                    written -= len(left.pop(0))
                if left:
                    left[0] = left[0][written:]
        except OSError as error:
            os.ftruncate(self._file.fileno(), self.segment.size)
            raise RunError(
                f"{self.segment.path} could not be written: {error.strerror or error}", code="F105"
            ) from error

    def close(self) -> None:
        self._file.close()
        write_tensors(self.segment.index, *self.segment.index_tensors())


def _cut(segment: Segment, until: int) -> Segment:
    """The segment without what was torn or is damaged at its end, and the records after the step `until`.

    One of which nothing is left is deleted.
    """
    chosen = [at for at, step in enumerate(segment.steps) if step <= until]
    if not chosen:
        _delete(segment)
        return Segment(segment.path)
    if len(chosen) == len(segment.steps):
        os.truncate(segment.path, segment.size)
        return segment
    segment.index.unlink(missing_ok=True)
    if chosen[-1] + 1 == len(chosen):
        os.truncate(segment.path, segment.offsets[len(chosen)])
        return read_segment(segment.path)
    # Ends that were copied do not stand in order.
    parts: list[bytes | memoryview] = []
    for layout in segment.layouts.values():
        content = memoryview(layout.content)
        parts += [record_head(LAYOUT, 0, 0, layout.number, content), content]
    with segment.source.opened() as read:
        for at in chosen:
            if (head := read_head(read, segment.offsets[at], segment.size)) is not None:
                parts.append(read(head.size + head.length, segment.offsets[at]))
    write_bytes(segment.path, *parts)
    return read_segment(segment.path)


def _delete(segment: Segment) -> None:
    segment.index.unlink(missing_ok=True)
    segment.path.unlink(missing_ok=True)
