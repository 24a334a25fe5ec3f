"""Files that are complete or absent, and tensors whose damage is detected.

    write_tensors(path, {"conv1/kernel": array}, {"step": "40"})
    tensors = Tensors(path)          # reads the header
    tensors["conv1/kernel"]          # reads and checks this tensor alone

A file is written beside its place under a name that no reader lists, then renamed: after a kill there
is the old file, the new one, or neither, never a part. The checksums in the header cover each tensor's
name, type, shape and bytes.
"""

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy, which safetensors then returns)
import numpy as np
from safetensors import SafetensorError, safe_open

from reportgen.core.files import write_bytes
from reportgen.errors import DamagedError

PART = 1_000_000
"""Values of an array that are read at once to check it."""


_TYPES = (
    *(("bool", "BOOL"), ("uint8", "U8"), ("int8", "I8"), ("int16", "I16"), ("uint16", "U16"), ("float16", "F16")),
    *(("bfloat16", "BF16"), ("int32", "I32"), ("uint32", "U32"), ("float32", "F32"), ("complex64", "C64")),
    *(("float64", "F64"), ("int64", "I64"), ("uint64", "U64")),
)
"""NumPy's name and the format's, as the library orders them: the widest values come first in a file."""


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays as one safetensors file with a checksum each. Raises RunError naming the file.

    The library would hold two more copies of them, and writes metadata in an order that changes from process to
    process; the same run is the same bytes.
    """
    whole = {name: _little_endian(stored(array)).reshape(np.shape(array)) for name, array in tensors.items()}
    checksums = json.dumps({name: _checksum(name, array) for name, array in whole.items()})
    ranks = {kind: (-rank, name) for rank, (kind, name) in enumerate(_TYPES)}
    order = sorted(whole, key=lambda name: (ranks[whole[name].dtype.name], name))
    described: dict[str, Any] = {"__metadata__": {**metadata, "crc32": checksums}}
    end = 0
    for name in order:
        array, start = whole[name], end
        end += array.nbytes
        kind = ranks[array.dtype.name][1]
        described[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, end]}
    header = json.dumps(described, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    parts = (whole[name].reshape(-1).view(np.uint8).data for name in order if whole[name].size)
    write_bytes(path, len(header).to_bytes(8, "little"), header, *parts)


def _little_endian(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def stored(array: np.ndarray) -> np.ndarray:
    """The array in a type that the file format has.

    Numbers of 2 to 8 bits that it lacks become int8, uint8 or float32, which hold each of their values; complex128
    becomes complex64, which keeps about seven digits.
    """
    kind = array.dtype
    if kind.kind in "biu" or (kind.kind == "f" and kind.itemsize > 1) or kind.name == "bfloat16":
        return array
    if kind.kind == "c":
        return array.astype(np.complex64)
    if kind.name.startswith(("int", "uint")):
        return array.astype(np.uint8 if kind.name.startswith("uint") else np.int8)
    return array.astype(np.float32) if kind.itemsize == 1 else array


K = TypeVar("K")
T = TypeVar("T")


class Lazy(Mapping[K, T], Generic[K, T]):
    """Key -> `read(key)`, read when it is asked for, for all of `keys` in their order."""

    def __init__(self, keys: Mapping[K, Any], read: Callable[[K], T]):
        self._keys = keys
        self._read = read

    def __getitem__(self, key: K) -> T:
        if key not in self._keys:
            raise KeyError(key)
        return self._read(key)

    def __contains__(self, key: object) -> bool:  # Mapping's own would read it
        return key in self._keys

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class Unread(Lazy[str, np.ndarray]):
    """Arrays that are read when they are asked for; `forms` are arrays of their shapes and types, without values."""

    def __init__(self, keys: Mapping[str, Any], read: Callable[[str], np.ndarray], form: Callable[[str], np.ndarray]):
        super().__init__(keys, read)
        self.forms = Lazy(keys, form)


class Tensors(Lazy[str, np.ndarray]):
    """The arrays of one file, each read and checked when asked for.

    Raises DamagedError on opening when the file is missing, truncated, no safetensors file or one whose
    tensors are not those that it has checksums of, and on reading when a tensor does not match its
    checksum. What a header claims beyond the file's bytes is refused before anything is allocated.
    """

    def __init__(self, path: Path):
        self.path = path
        with damage_named(path), safe_open(path, "np") as file:
            self.metadata: dict[str, str] = file.metadata() or {}
            self._checksums = dict(json.loads(self.metadata.get("crc32", "{}")))
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (a handle, no mapping)
            self.described = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
            """Name -> (safetensors' name of the type, shape), from the header alone."""
        super().__init__(self.described, self._tensor)
        # A name with a flipped bit would otherwise be a tensor that was never recorded, and nobody would look for it.
        if odd := sorted(self._checksums.keys() ^ self.described.keys()):
            raise DamagedError(
                f"{path} is damaged: it has either a tensor or its checksum, not both, of {odd[0]!r}", code="R103"
            )

    def _tensor(self, name: str) -> np.ndarray:
        with damage_named(self.path), safe_open(self.path, "np") as file:
            array: np.ndarray = file.get_tensor(name)
        self._compare(name, _checksum(name, array))
        return array

    def rows(self, name: str, chosen: Any) -> np.ndarray:
        """`array[chosen]` of one array, reading only these rows of its first axis.

        `chosen` is what NumPy takes for one axis: a number, a slice, numbers, a mask. Raises IndexError as NumPy
        does, and DamagedError when the file is another one meanwhile; its values are not compared with the
        checksum, see `check`.
        """
        _, shape = self.described[name]
        wanted = np.asarray(np.arange(shape[0])[chosen])
        numbers = wanted.reshape(-1).tolist()
        with damage_named(self.path), safe_open(self.path, "np") as file:
            if (file.metadata() or {}) != self.metadata:  # the checksums are in it
                raise DamagedError(f"{self.path} was replaced while it was read", code="R103")
            array = file.get_slice(name)
            if numbers == list(range(numbers[0], numbers[-1] + 1) if numbers else ()):
                result: np.ndarray = array[numbers[0] : numbers[-1] + 1] if numbers else array[0:1][:0]
            else:
                result = np.stack([array[number] for number in numbers])
        return np.asarray(result).reshape(wanted.shape + shape[1:])

    def check(self, name: str) -> None:
        """Read one array part by part, so that it need not fit in memory; DamagedError as above."""
        _, shape = self.described[name]
        if math.prod(shape) <= PART:
            self[name]
            return
        checksum = _checksum_head(name, self.rows(name, slice(0)).dtype, shape)
        rows = max(1, PART // math.prod(shape[1:]))
        # Opened for each part: what was read through one opening stays in memory until it is closed.
        for start in range(0, shape[0], rows):
            checksum = zlib.crc32(raw_bytes(self.rows(name, slice(start, start + rows))), checksum)
        self._compare(name, checksum)

    def verify(self) -> None:
        """Read every tensor; DamagedError for the first that does not match its checksum."""
        for name in self:
            self.check(name)

    def _compare(self, name: str, checksum: int) -> None:
        if self._checksums.get(name) != checksum:
            raise DamagedError(f"{self.path} is damaged: {name} does not match its checksum", code="R103")


_DAMAGE = (SafetensorError, OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError, MemoryError)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what safetensors and the file system raise into a DamagedError that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing", code="R103") from error
    except _DAMAGE as error:
        raise DamagedError(f"{path} is damaged or not a safetensors file: {error}", code="R103") from error


def _checksum(name: str, array: np.ndarray) -> int:
    return zlib.crc32(raw_bytes(array), _checksum_head(name, array.dtype, array.shape))


def _checksum_head(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> int:
    return zlib.crc32(f"{name}|{dtype}|{shape}".encode())


def raw_bytes(array: np.ndarray) -> memoryview:
    """The bytes of an array, without a copy where they lie side by side."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
