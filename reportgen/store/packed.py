"""What a record of a log holds: arrays, or pieces of arrays, one after the other, where a layout says.

    packed = Packed.of({"params/conv1/kernel": array})
    packed.layout.places, packed.payload

Of arrays that are spread over several processes each one writes a record of its own, with the pieces that it owns.
"""

import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from reportgen.store.files import raw_bytes, stored

MOST_TENSORS = 1 << 20

DTYPES: Mapping[str, np.dtype] = {
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    "BOOL": np.dtype(bool),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "C64": np.dtype("<c8"),
}
"""safetensors' name of a type -> the type."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


Described = Mapping[str, tuple[str, tuple[int, ...]]]
"""Name -> (safetensors' name of the type, shape) of whole arrays."""


class Piece(NamedTuple):
    """An array of a record, or the piece of one that begins at the index `start` and has this type and shape."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    start: tuple[int, ...]
    whole: tuple[int, ...]

    @classmethod
    def all_of(cls, name: str, dtype: np.dtype, shape: Sequence[int]) -> "Piece":
        """All of an array."""
        sizes = tuple(map(int, shape))
        return cls(name, dtype, sizes, (0,) * len(sizes), sizes)

    def whole_of(self) -> "Piece":
        """All of the array that it is a piece of."""
        return self.all_of(self.name, self.dtype, self.whole)

    def of(self, kind: str) -> "Piece":
        """The piece of an array of that name in another collection."""
        return self._replace(name=f"{kind}/{self.name.partition('/')[2]}")

    def within(self) -> "Piece":
        """The piece of one entry of the first axis."""
        return self._replace(shape=self.shape[1:], start=self.start[1:], whole=self.whole[1:])


class Place(NamedTuple):
    """Where a piece of an array stands in a payload: the name of its type, its shape, the offset of its first byte;
    and where in the array it has its place: the index it begins at, the array's shape."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    start: tuple[int, ...]
    whole: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


@dataclass(frozen=True)
class Layout:
    """The arrays of a record: the name and the place of each, in the order of their bytes.

    Of a record that several processes write, each one's part has a layout: the places are those of the pieces that
    are in this part, `parts` how many there are, `kind` the same number in all parts of one record, and `beside` how
    many bytes the other parts have.
    """

    places: Sequence[tuple[str, Place]]
    parts: int = 1
    kind: int = 0
    beside: int = 0

    @classmethod
    def of(cls, pieces: Iterable[Piece], parts: int = 1, everything: Iterable[Piece] = ()) -> "Layout":
        """The layout of such pieces, one after the other in this order; where there are several `parts`, which have
        the whole arrays of `everything` together, of one of them."""
        places: list[tuple[str, Place]] = []
        offset = 0
        for name, dtype, shape, start, whole in pieces:
            places.append((name, Place(_NAMES[np.dtype(dtype)], shape, offset, start, whole)))
            offset += places[-1][1].nbytes
        if parts == 1:
            return cls(places)
        described = {each.name: (_NAMES[np.dtype(each.dtype)], each.whole) for each in everything}
        total = sum(math.prod(shape) * DTYPES[dtype].itemsize for dtype, shape in described.values())
        return cls(places, parts, kind_of(parts, described), total - offset)

    @cached_property
    def content(self) -> bytes:
        """As it stands in a segment."""
        content: Any = [[name, *place[: 3 if self.parts == 1 else None]] for name, place in self.places]
        if self.parts > 1:
            content = {"parts": self.parts, "kind": self.kind, "beside": self.beside, "pieces": content}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    @cached_property
    def number(self) -> int:
        """What records refer to it by."""
        return zlib.crc32(self.content)

    @classmethod
    def parsed(cls, content: bytes) -> "Layout":
        """The layout that JSON describes. Raises ValueError for what is none."""
        rows = json.loads(content)
        numbers: list[Any] = [1, 0, 0]
        if isinstance(rows, dict):
            numbers = [rows.get(name) for name in ("parts", "kind", "beside")]
            rows = rows.get("pieces")
            if not all(_is_size(number) for number in numbers) or numbers[0] < 2:
                raise ValueError("a layout must say how many parts there are")
        if not isinstance(rows, list) or len(rows) > MOST_TENSORS:
            raise ValueError("a layout must be a list")
        places = []
        for name, dtype, shape, offset, *place in rows:
            start, whole = place if numbers[0] > 1 else ([0] * len(shape), shape)
            if (
                not isinstance(name, str)
                or dtype not in DTYPES
                or not _is_size(offset)
                or not _fits(start, shape, whole)
            ):
                raise ValueError(f"{name!r} has no valid place")
            places.append((name, Place(dtype, tuple(shape), offset, tuple(start), tuple(whole))))
        if numbers[0] == 1 and len(dict(places)) < len(places):
            raise ValueError("an array stands twice in the layout")
        return cls(places, *numbers)


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**53


def _fits(start: Any, shape: Any, whole: Any) -> bool:
    """Whether a piece of this shape that begins there lies within the whole array."""
    if not len(start) == len(shape) == len(whole) or not all(map(_is_size, (*start, *shape, *whole))):
        return False
    return all(begin + size <= of for begin, size, of in zip(start, shape, whole, strict=True))


def kind_of(parts: int, everything: Described) -> int:
    """What the parts of one record have in common: a checksum of their number and of what they are the parts of."""
    return zlib.crc32(json.dumps([parts, sorted(everything.items())]).encode("utf-8", "replace"))


@dataclass(frozen=True)
class Packed:
    """What a record holds: a layout, and the bytes that it describes."""

    layout: Layout
    payload: memoryview

    @classmethod
    def of(cls, tensors: Mapping[str, np.ndarray]) -> "Packed":
        """Arrays by name as a record has them, the widest types first."""
        arrays = {name: stored(np.asarray(array)) for name, array in tensors.items()}
        ordered = sorted(arrays, key=lambda name: order(name, np.asarray(tensors[name]).dtype))
        layout = Layout.of(Piece.all_of(name, arrays[name].dtype, arrays[name].shape) for name in ordered)
        return cls(layout, memoryview(b"".join(raw_bytes(arrays[name]) for name in ordered)))


def order(name: str, dtype: np.dtype) -> tuple[int, str, str]:
    """What the arrays of a record are sorted by: the widest types first, so that each begins at a multiple of its
    width."""
    return -stored(np.zeros(0, dtype)).dtype.itemsize, str(dtype), name
