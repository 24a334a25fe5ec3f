"""Snapshots as a log: a record for each, appended to segments of about 64 MB and found again by its step.

    segment = read_segment(run / "snapshots" / "02-000000.segment")
    segment.steps, segment.offsets

A record is a head (`HEAD`), CRC-32 checksums of the payload's blocks of 64 KiB, and the payload: the arrays one after
the other, where a layout says. Layouts are records too, JSON, which stand in each segment before the first record that
uses them. A record exists once all of it does: what a kill left of one at a segment's end is never read, and cut off
when the recording goes on. A segment that is complete has an index beside it; another one is read from head to head.
Of arrays that are spread over several processes, each appends the pieces that it owns to a log of its own.
"""

import struct
import zlib
from array import array
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reportgen.errors import DamagedError, RunError
from reportgen.remote.sparse import Read
from reportgen.store.files import Tensors, damage_named
from reportgen.store.packed import Layout
from reportgen.store.source import Source

HEAD = struct.Struct("<4sIQqqI")
"""Magic, CRC-32 of all that follows up to the payload, bytes of the payload, step, epoch, and the layout: the CRC-32 of
its JSON."""

RECORD, LAYOUT = b"RGR1", b"RGL1"
BLOCK = 1 << 16
SEGMENT, INDEX = ".segment", ".index"
COLUMNS = ("step", "epoch", "layout", "offset")
"""The arrays of an index, with a value for each record."""


def record_head(magic: bytes, step: int, epoch: int, layout: int, payload: memoryview) -> bytes:
    """All of a record but its payload."""
    blocks = [zlib.crc32(payload[start : start + BLOCK]) for start in range(0, len(payload), BLOCK)]
    rest = HEAD.pack(magic, 0, len(payload), step, epoch, layout)[8:] + np.array(blocks, "<u4").tobytes()
    return magic + zlib.crc32(rest).to_bytes(4, "little") + rest


class Head(NamedTuple):
    """A record's head: what it is, the bytes of its payload, its step, epoch and layout, its blocks' checksums."""

    magic: bytes
    length: int
    step: int
    epoch: int
    layout: int
    blocks: np.ndarray

    @property
    def size(self) -> int:
        """Bytes before the payload."""
        return HEAD.size + self.blocks.nbytes


def read_head(read: Read, offset: int, end: int) -> Head | None:
    """The head at `offset`; None where there is no sound one, or its record does not end before `end`."""
    raw = read(HEAD.size, offset)
    if len(raw) < HEAD.size:
        return None
    magic, checksum, length, step, epoch, layout = HEAD.unpack(raw)
    count = -(-length // BLOCK)
    if magic not in (RECORD, LAYOUT) or offset + HEAD.size + 4 * count + length > end:
        return None
    blocks = read(4 * count, offset + HEAD.size)
    if zlib.crc32(blocks, zlib.crc32(raw[8:])) != checksum or not (0 <= step < 2**53 and 0 <= epoch < 2**53):
        return None
    return Head(magic, length, step, epoch, layout, np.frombuffer(blocks, "<u4"))


def read_payload(read: Read, offset: int, head: Head, start: int, count: int, path: Path) -> np.ndarray:
    """`count` bytes of the payload of the record at `offset`, from `start`, checked. Raises DamagedError."""
    found = np.empty(count, np.uint8)
    end = offset + head.size + min(head.length, -(-(start + count) // BLOCK) * BLOCK)
    # Block by block: of a large array there is never a second copy.
    for number in range(start // BLOCK, -(-(start + count) // BLOCK)):
        begin = number * BLOCK
        raw = read(min(BLOCK, head.length - begin), offset + head.size + begin, end)
        if zlib.crc32(raw) != head.blocks[number]:
            raise DamagedError(f"{path} is damaged: step {head.step} does not match its checksum", code="R103")
        first, last = max(start, begin), min(start + count, begin + BLOCK)
        found[first - start : last - start] = np.frombuffer(raw, np.uint8)[first - begin : last - begin]
    return found


@dataclass
class Segment:
    """The records of one segment: their steps, epochs, layouts and the offsets of their heads, in their order.

    `size` is where the last whole record ends; `gaps` are (offset, bytes) of what is damaged before it.
    """

    path: Path
    layouts: dict[int, Layout] = field(default_factory=dict)
    steps: "array[int]" = field(default_factory=lambda: array("q"))
    epochs: "array[int]" = field(default_factory=lambda: array("q"))
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    size: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def add(self, step: int, epoch: int, number: int, offset: int) -> None:
        """Note a record whose layout has that number."""
        self.steps.append(step)
        self.epochs.append(epoch)
        self.numbers.append(number)
        self.offsets.append(offset)

    @property
    def taken(self) -> int:
        """Bytes that the segment takes, and of records that several processes write also what the others' parts do."""
        beside = {number: layout.beside for number, layout in self.layouts.items()}
        return self.size + (sum(beside[number] for number in self.numbers) if any(beside.values()) else 0)

    @cached_property
    def source(self) -> Source:
        """What reads it."""
        return Source(self.path)

    @property
    def index(self) -> Path:
        """The index beside the segment."""
        return self.path.with_suffix(INDEX)

    def index_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """The arrays and metadata of its index."""
        columns = dict(zip(COLUMNS, (self.steps, self.epochs, self.numbers, self.offsets), strict=True))
        layouts = np.frombuffer(b"\n".join(each.content for each in self.layouts.values()), np.uint8)
        tensors = {name: np.array(column, np.int64) for name, column in columns.items()}
        return {**tensors, "layouts": layouts}, {"size": str(self.size)}


def read_segment(path: Path) -> Segment:
    """What a segment holds, by its index where that is of this very file.

    Raises DamagedError where it can't be read.
    """
    with damage_named(path):
        size = path.stat().st_size
    segment = Segment(path)
    try:
        tensors = Tensors(segment.index)
        if tensors.metadata["size"] == str(size):
            layouts = [Layout.parsed(content) for content in tensors["layouts"].tobytes().split(b"\n") if content]
            columns = [array("q", tensors[name].astype("<i8").tobytes()) for name in COLUMNS]
            if len({len(column) for column in columns}) == 1 and set(columns[2]) <= {each.number for each in layouts}:
                segment.layouts = {each.number: each for each in layouts}
                segment.steps, segment.epochs, segment.numbers, segment.offsets = columns
                segment.size = size
                return segment
    except (RunError, KeyError, ValueError, TypeError, RecursionError):
        pass  # it is made of the segment, which has all that it has
    with segment.source.opened() as read:
        return _walked(segment, read, size)


def _walked(segment: Segment, read: Read, size: int) -> Segment:
    """The records of a segment from head to head."""
    offset, unknown = 0, False
    while offset + HEAD.size <= size:
        head = read_head(read, offset, size)
        known = head is not None and (head.magic == LAYOUT or head.layout in segment.layouts)
        if head is None or not known:
            # What is torn at the end is no damage; before a further record it is.
            unknown |= head is not None
            offset = _next_head(read, offset + 1, size)
            continue
        if head.magic == LAYOUT:
            try:
                layout = Layout.parsed(read_payload(read, offset, head, 0, head.length, segment.path).tobytes())
                segment.layouts[layout.number] = layout
            except (ValueError, TypeError, RecursionError, RunError):
                offset = _next_head(read, offset + 1, size)
                continue
        else:
            segment.add(head.step, head.epoch, head.layout, offset)
        if offset > segment.size:
            segment.gaps.append((segment.size, offset - segment.size))
        offset = segment.size = offset + head.size + head.length
    if unknown and segment.size < size:  # records whose layout is damaged
        segment.gaps.append((segment.size, size - segment.size))
    return segment


def _next_head(read: Read, offset: int, size: int) -> int:
    """The offset of the next sound head; `size` where there is none."""
    piece = 1 << 20
    while offset < size:
        raw = read(piece + 3, offset)
        found = [at for magic in (RECORD, LAYOUT) if (at := raw.find(magic)) >= 0]
        if not found:
            offset += piece
        elif read_head(read, offset := offset + min(found), size) is not None:
            return offset
        else:
            offset += 1
    return size


def segment_files(folder: Path) -> list[Path]:
    """The segments in a folder, in the order in which they were begun. Raises RunError where it can't be listed."""
    try:
        return sorted(folder.glob(f"*{SEGMENT}")) if folder.is_dir() else []
    except OSError as error:
        raise RunError(f"{folder} can't be listed: {error.strerror or error}", code="F105") from error
