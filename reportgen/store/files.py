"""Files that are there whole or not at all, and tensors whose damage is noticed.

    write_tensors(path, {"conv1/kernel": array}, {"step": "40"})
    tensors = Tensors(path)          # reads the header
    tensors["conv1/kernel"]          # reads and checks this tensor alone

A file is written beside its place under a name that no reader lists, then renamed: after a kill there
is the old file, the new one, or neither, never a part. The checksums in the header cover each tensor's
name, type, shape and bytes.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy, which safetensors then returns)
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from reportgen.errors import RunError


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, replacing what is there in one step. Raises RunError naming the file."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise RunError(f"{path} could not be written: {error.strerror or error}") from error


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays as one safetensors file with a checksum each. Raises RunError naming the file."""
    whole = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in tensors.items()}
    checksums = json.dumps({name: _checksum(name, array) for name, array in whole.items()})
    write_bytes(path, save(whole, {**metadata, "crc32": checksums}))


class Tensors(Mapping[str, np.ndarray]):
    """The arrays of one file, each read and checked when asked for.

    Raises RunError on opening when the file is missing, truncated or no safetensors file, and on
    reading when a tensor does not match its checksum.
    """

    def __init__(self, path: Path):
        self._path = path
        with _damage_named(path), safe_open(path, "np") as file:
            self.metadata: dict[str, str] = file.metadata() or {}
            self._names = list(file.keys())
            self._checksums = json.loads(self.metadata.get("crc32", "{}"))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        with _damage_named(self._path), safe_open(self._path, "np") as file:
            array = file.get_tensor(name)
        if self._checksums.get(name) != _checksum(name, array):
            raise RunError(f"{self._path} is damaged: {name} does not match its checksum")
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _damage_named:
    """Turns what safetensors and the file system raise into a RunError that names the file."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, FileNotFoundError):
            raise RunError(f"{self._path} is missing") from error
        if isinstance(error, (SafetensorError, OSError, ValueError, TypeError, AttributeError)):
            raise RunError(f"{self._path} is damaged or no safetensors file: {error}") from error


def _checksum(name: str, array: np.ndarray) -> int:
    head = zlib.crc32(f"{name}|{array.dtype}|{array.shape}".encode())
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, head)
