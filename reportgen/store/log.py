"""Snapshots in a log, read when they are asked for, see `segments`.

log, problems = read_log(run / "snapshots")
log[40]["params/conv1/kernel"]                # reads and checks this array alone

Of a record that several processes wrote, each one's part lies in a log of its own; it is there once all parts are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

import numpy as np

from reportgen.errors import DamagedError, RunError
from reportgen.remote.sparse import Read
from reportgen.store.files import Lazy
from reportgen.store.packed import DTYPES, Described, Layout, Piece, Place, kind_of
from reportgen.store.segments import BLOCK, RECORD, Head, Segment, read_head, read_payload, read_segment, segment_files


@dataclass(frozen=True)
class Joined:
    """The arrays of a record: name -> its pieces, each as the number of the part that it is in and its place there;
    and name -> (safetensors' name of the type, shape)."""

    pieces: Mapping[str, Sequence[tuple[int, Place]]]
    described: Described


def joined(path: Path, layouts: Sequence[Layout]) -> Joined:
    """The arrays that the parts of a record make together. Raises DamagedError, naming the path, for no whole ones."""
    pieces: dict[str, list[tuple[int, Place]]] = {}
    for part, layout in enumerate(layouts):
        for name, place in layout.places:
            pieces.setdefault(name, []).append((part, place))
    described = {name: (places[0][1].dtype, places[0][1].whole) for name, places in pieces.items()}
    first = layouts[0]
    if first.parts > 1 and not (
        kind_of(first.parts, described) == first.kind
        and all(_is_tiled([place for _, place in pieces[name]], *what) for name, what in described.items())
    ):
        raise DamagedError(
            f"{path} is damaged: it and what other processes wrote do not make whole arrays", code="R103"
        )
    return Joined(pieces, described)


def _is_tiled(places: Sequence[Place], dtype: str, whole: tuple[int, ...]) -> bool:
    """Whether pieces make a whole array, without a gap or an overlap: as the cells of a grid."""
    cells = {tuple(zip(place.start, place.shape, strict=True)) for place in places}
    if len(cells) != len(places) or any((place.dtype, place.whole) != (dtype, whole) for place in places):
        return False
    expected = 1
    for axis, size in enumerate(whole):
        end = 0
        spans = sorted({cell[axis] for cell in cells})
        for start, length in spans:
            if start != end:
                return False
            end += length
        if end != size:
            return False
        expected *= len(spans)
    return len(cells) == expected


class Record(Lazy[str, np.ndarray]):
    """The arrays of one record, each read and checked when asked for: what `Tensors` is of a file.

    `sources` are the segment, and the offset in it, of each of its parts.
    """

    def __init__(self, sources: Sequence[tuple[Segment, int]], step: int, epoch: int, arrays: Joined):
        super().__init__(arrays.pieces, self._tensor)
        self.path = sources[0][0].path
        self._sources = sources
        self._step = step
        self._pieces = arrays.pieces
        self.metadata = {"step": str(step), "epoch": str(epoch), "names": "collection/name"}
        self.described = arrays.described

    def _tensor(self, name: str) -> np.ndarray:
        dtype, shape = self.described[name]
        found = [(place, self._piece(name, part, place)) for part, place in self._pieces[name]]
        if len(found) == 1:
            return found[0][1]
        array = np.empty(shape, DTYPES[dtype])
        for place, values in found:
            spans = zip(place.start, place.shape, strict=True)
            array[tuple(slice(start, start + size) for start, size in spans)] = values
        return array

    def _piece(self, name: str, part: int, place: Place) -> np.ndarray:
        segment, offset = self._sources[part]
        with segment.source.opened() as read:
            head = self._head(read, part)
            if place.offset + place.nbytes > head.length:
                raise DamagedError(
                    f"{segment.path} is damaged: {name} of step {self._step} lies outside of its record", code="R103"
                )
            raw = read_payload(read, offset, head, place.offset, place.nbytes, segment.path)
        return raw.view(DTYPES[place.dtype]).reshape(place.shape)

    def _head(self, read: Read, part: int) -> Head:
        segment, offset = self._sources[part]
        head = read_head(read, offset, segment.size)
        if head is None or head.magic != RECORD or head.step != self._step:
            raise DamagedError(
                f"{segment.path} is damaged: it does not have step {self._step} where that was written", code="R103"
            )
        return head

    def verify(self) -> None:
        """Read all of it, a block at a time. Raises DamagedError where it does not match its checksums."""
        places = [each for pieces in self._pieces.values() for each in pieces]
        for part, (segment, offset) in enumerate(self._sources):
            with segment.source.opened() as read:
                head = self._head(read, part)
                if any(place.offset + place.nbytes > head.length for number, place in places if number == part):
                    raise DamagedError(
                        f"{segment.path} is damaged: the arrays of step {self._step} lie outside of its record",
                        code="R103",
                    )
                for start in range(0, head.length, BLOCK):
                    read_payload(read, offset, head, start, min(BLOCK, head.length - start), segment.path)


class Log(Lazy[int, Record]):
    """The records of all segments by step, ascending; of several of one step the last.

    `others` are the segments of each further process. Of a record in several parts all must be there, of one kind:
    the first process may have written a step anew when another one stopped. With `kind` only these are looked at.
    """

    def __init__(self, segments: Sequence[Segment], others: Sequence[Sequence[Segment]] = (), kind: int | None = None):
        counts = [len(segment.steps) for segment in segments]
        steps, self._numbers = (
            np.concatenate([np.zeros(0, np.int64), *(np.array(column, np.int64) for column in columns)])
            for columns in ([s.steps for s in segments], [s.numbers for s in segments])
        )
        self._others: dict[int, Sequence[Log]] = {}
        self._joined: dict[tuple[int, ...], Joined] = {}
        whole = self._are_whole(steps, {n: x for s in segments for n, x in s.layouts.items()}, others, kind)
        places = np.flatnonzero(whole)
        # The last of each step: the first in reverse order.
        self._steps, last = np.unique(steps[places][::-1], return_index=True)
        self._places = places[::-1][last]
        self._chosen = dict(zip(self._steps.tolist(), self._places.tolist(), strict=True))
        self._segments = segments
        self._begins = np.concatenate([[0], np.cumsum(counts)])
        self.lacking = np.setdiff1d(steps[~whole & (steps < self._steps.max(initial=0))], self._steps).tolist()
        """Steps before the last one of which a part is missing."""
        super().__init__(self._chosen, self._record)

    def _are_whole(
        self,
        steps: np.ndarray,
        layouts: Mapping[int, Layout],
        others: Sequence[Sequence[Segment]],
        kind: int | None,
    ) -> np.ndarray:
        """Of each record, whether all of its parts are there."""
        if kind is not None:
            return np.isin(self._numbers, [number for number, layout in layouts.items() if layout.kind == kind])
        whole = np.ones(len(steps), bool)
        for number, layout in layouts.items():
            if layout.parts > 1:
                here = self._numbers == number
                if layout.kind not in self._others:
                    self._others[layout.kind] = [Log(part, kind=layout.kind) for part in others[: layout.parts - 1]]
                logs = self._others[layout.kind]
                whole &= ~here | (len(logs) == layout.parts - 1)
                for log in logs:
                    whole &= ~here | np.isin(steps, log._steps)
        return whole

    def _record(self, step: int) -> Record:
        segment, at = self._place(step)
        found = [(segment, at, segment.layouts[segment.numbers[at]])]
        if found[0][2].parts > 1:
            for other in self._others[found[0][2].kind]:
                part, place = other._place(step)
                found.append((part, place, part.layouts[part.numbers[place]]))
        layouts = [layout for _, _, layout in found]
        key = tuple(map(id, layouts))
        if key not in self._joined:
            self._joined[key] = joined(segment.path, layouts)
        sources = [(part, part.offsets[place]) for part, place, _ in found]
        return Record(sources, step, segment.epochs[at], self._joined[key])

    def _place(self, step: int) -> tuple[Segment, int]:
        chosen = self._chosen[step]
        number = int(np.searchsorted(self._begins, chosen, side="right")) - 1
        return self._segments[number], chosen - int(self._begins[number])

    def by_layout(self) -> list[list[int]]:
        """The steps of each layout, ascending."""
        numbers = self._numbers[self._places]
        return [self._steps[numbers == number].tolist() for number in np.unique(numbers)]


def part_folder(folder: Path, process: int) -> Path:
    """Where a process beside the first one has its part of the snapshots in a folder."""
    return folder / f"process-{process}"


def part_folders(folder: Path) -> dict[int, Path]:
    """Process -> its folder, of those that are there. Raises RunError where the snapshots can't be listed."""
    try:
        names = [path.name.removeprefix("process-") for path in folder.glob("process-*")]
    except OSError as error:
        raise RunError(f"{folder} can't be listed: {error.strerror or error}", code="F105") from error
    known = sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 6)
    return {process: part_folder(folder, process) for process in known}


def read_log(folder: Path) -> tuple[Log, list[str]]:
    """The log in a folder, and what had to be left out of it."""
    problems: list[str] = []
    parts = part_folders(folder)
    # Without a process's part nothing of those behind it can be put together.
    others = [parts[process] for process in takewhile(parts.__contains__, count(1))]
    segments, *further = (_segments(part, problems, folder) for part in (folder, *others))
    log = Log(segments, further)
    if log.lacking:
        shown = ", ".join(map(str, log.lacking[:3])) + f" and {len(log.lacking) - 3:,} more" * (len(log.lacking) > 3)
        problems.append(f"{folder.name} of step {shown} left out: a process did not write its part of them")
    return log, problems


def _segments(folder: Path, problems: list[str], shown: Path) -> list[Segment]:
    segments = []
    for path in segment_files(folder):
        try:
            segment = read_segment(path)
        except RunError as error:
            problems.append(f"{shown.name} left out: {error}".replace(f"{shown}/", ""))
            continue
        segments.append(segment)
        name = path.relative_to(shown)
        problems += [f"{shown.name}: {size:,} bytes of {name} are damaged" for _, size in segment.gaps]
    return segments


def recorded_pieces(folder: Path, step: int) -> dict[Piece, np.ndarray]:
    """The pieces of arrays that one process wrote of a step into a folder. Raises RunError where they can't be read."""
    for path in reversed(segment_files(folder)):
        segment = read_segment(path)
        for at in np.flatnonzero(np.array(segment.steps) == step)[::-1]:
            places = segment.layouts[segment.numbers[at]].places
            arrays = {str(number): [(0, place)] for number, (_, place) in enumerate(places)}
            described = {str(number): (place.dtype, place.shape) for number, (_, place) in enumerate(places)}
            record = Record([(segment, segment.offsets[at])], step, segment.epochs[at], Joined(arrays, described))
            return {
                Piece(name, DTYPES[place.dtype], place.shape, place.start, place.whole): record[str(number)]
                for number, (name, place) in enumerate(places)
            }
    return {}
