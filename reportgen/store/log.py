"""Snapshots in a log, read when they are asked for, see `segments`.

log, problems = read_log(run / "snapshots")
log[40]["params/conv1/kernel"]                # reads and checks this array alone
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from reportgen.errors import DamagedError, RunError
from reportgen.store.files import Lazy, damage_named
from reportgen.store.segments import (
    BLOCK,
    DTYPES,
    RECORD,
    Head,
    Layout,
    Segment,
    read_head,
    read_payload,
    read_segment,
    segment_files,
)


class Record(Lazy[str, np.ndarray]):
    """The arrays of one record, each read and checked when asked for: what `Tensors` is of a file."""

    def __init__(self, path: Path, offset: int, step: int, epoch: int, layout: Layout):
        super().__init__(layout.places, self._tensor)
        self.path = path
        self._offset = offset
        self._step = step
        self._places = layout.places
        self.metadata = {"step": str(step), "epoch": str(epoch), "names": "collection/name"}
        self.described = layout.described

    def _tensor(self, name: str) -> np.ndarray:
        place = self._places[name]
        with damage_named(self.path), self.path.open("rb", buffering=0) as file:
            head = self._head(file)
            if place.offset + place.nbytes > head.length:
                raise DamagedError(
                    f"{self.path} is damaged: {name} of step {self._step} lies outside of its record", code="R103"
                )
            raw = read_payload(file, self._offset, head, place.offset, place.nbytes, self.path)
        return np.frombuffer(bytearray(raw), DTYPES[place.dtype]).reshape(place.shape)

    def _head(self, file: BinaryIO) -> Head:
        head = read_head(file, self._offset, os.fstat(file.fileno()).st_size)
        if head is None or head.magic != RECORD or head.step != self._step:
            raise DamagedError(
                f"{self.path} is damaged: it does not have step {self._step} where that was written", code="R103"
            )
        return head

    def verify(self) -> None:
        """Read all of it, a block at a time. Raises DamagedError where it does not match its checksums."""
        with damage_named(self.path), self.path.open("rb", buffering=0) as file:
            head = self._head(file)
            if any(place.offset + place.nbytes > head.length for place in self._places.values()):
                raise DamagedError(
                    f"{self.path} is damaged: the arrays of step {self._step} lie outside of its record", code="R103"
                )
            for start in range(0, head.length, BLOCK):
                read_payload(file, self._offset, head, start, min(BLOCK, head.length - start), self.path)


class Log(Lazy[int, Record]):
    """The records of all segments by step, ascending; of several of one step the last."""

    def __init__(self, segments: Sequence[Segment]):
        counts = [len(segment.steps) for segment in segments]
        steps, self._numbers = (
            np.concatenate([np.zeros(0, np.int64), *(np.array(column, np.int64) for column in columns)])
            for columns in ([s.steps for s in segments], [s.numbers for s in segments])
        )
        # The last of each step: the first in reverse order.
        self._steps, last = np.unique(steps[::-1], return_index=True)
        self._places = len(steps) - 1 - last
        self._chosen = dict(zip(self._steps.tolist(), self._places.tolist(), strict=True))
        self._segments = segments
        self._begins = np.concatenate([[0], np.cumsum(counts)])
        super().__init__(self._chosen, self._record)

    def _record(self, step: int) -> Record:
        segment, at = self._place(step)
        layout = segment.layouts[segment.numbers[at]]
        return Record(segment.path, segment.offsets[at], step, segment.epochs[at], layout)

    def _place(self, step: int) -> tuple[Segment, int]:
        chosen = self._chosen[step]
        number = int(np.searchsorted(self._begins, chosen, side="right")) - 1
        return self._segments[number], chosen - int(self._begins[number])

    def by_layout(self) -> list[list[int]]:
        """The steps of each layout, ascending."""
        numbers = self._numbers[self._places]
        return [self._steps[numbers == number].tolist() for number in np.unique(numbers)]


def read_log(folder: Path) -> tuple[Log, list[str]]:
    """The log in a folder, and what had to be left out of it."""
    segments, problems = [], []
    for path in segment_files(folder):
        try:
            segment = read_segment(path)
        except RunError as error:
            problems.append(f"{folder.name} left out: {error}".replace(f"{folder}/", ""))
            continue
        segments.append(segment)
        problems += [f"{folder.name}: {size:,} bytes of {path.name} are damaged" for _, size in segment.gaps]
    return Log(segments), problems
