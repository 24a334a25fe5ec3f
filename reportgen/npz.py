"""Reads a NumPy .npz archive that may come from anywhere: bounded memory, nothing unpickled.

    arrays = read_npz(Path("digits.npz"), DataError)             # {"images": array, "labels": array}
    arrays = read_npz(Path("digits.npz"), DataError, {"labels"}) # these names only

`numpy.load` allocates what a member's header claims before it looks at the data; here the claim is
compared with the size in the archive's directory, and that with the size of the file, first.
"""

import math
import zipfile
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from reportgen.errors import DataError, NoDataError, NoWeightsError, ReportgenError, WeightsError

# Deflate shrinks blank images about a thousandfold, real data hardly beyond a tenth.
FREE_BYTES = 256 << 20
MAX_RATIO = 100

_MISSING: dict[type[ReportgenError], type[ReportgenError]] = {DataError: NoDataError, WeightsError: NoWeightsError}


def size_limit(stored_bytes: int) -> int:
    """Bytes that a compressed file of `stored_bytes` may unfold to: 256 MiB, or 100 times its size."""
    return max(FREE_BYTES, MAX_RATIO * stored_bytes)


def read_npz(path: Path, error: type[ReportgenError], wanted: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, in the file's order; those named in `wanted`, or all.

    Arrays have any shape and any dtype without Python objects or fields, and may be read-only.
    Raises `error`, naming the file and the member, for anything else: a damaged or
    encrypted one, object arrays, a header that does not fit its data, sizes past `size_limit`.
    """
    with _members(path, error, wanted) as members:
        arrays = {}
        for name, (stream, size) in members:
            dtype, shape, fortran, held = _described(stream, size, f"{path}: array {name!r}", error)
            data = stream.read(held)
            if len(data) != held:
                raise error(f"{path}: array {name!r} is cut short: {len(data):,} of {held:,} bytes", code="F102")
            arrays[name] = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
        return arrays


def describe_npz(path: Path, error: type[ReportgenError]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Name -> (shape, dtype) of the arrays that `read_npz` would read, from their headers alone. Raises as it does."""
    with _members(path, error, None) as members:
        described = {}
        for name, (stream, size) in members:
            dtype, shape, _, _ = _described(stream, size, f"{path}: array {name!r}", error)
            described[name] = shape, dtype
        return described


@contextmanager
def _members(
    path: Path, error: type[ReportgenError], wanted: Collection[str] | None
) -> Iterator[Iterator[tuple[str, tuple[IO[bytes], int]]]]:
    """The members by name, opened one after the other, each with its size; whatever is raised within is an `error`."""
    if not path.is_file():
        raise _MISSING.get(error, error)(f"{path}: no such file", code="F101")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if wanted is not None:
                members = {name: info for name, info in members.items() if name in wanted}
            total, limit = sum(info.file_size for info in members.values()), size_limit(path.stat().st_size)
            if total > limit:
                raise error(
                    f"{path}: unfolds to {total:,} bytes, more than the {limit:,} a file of its size may; "
                    "save it uncompressed (numpy.savez) if that is right",
                    code="F103",
                )
            # An archive stays open as long as one of its members is: also when reading one has failed.
            with closing(_opened(archive, members)) as opened:
                yield opened
    except ReportgenError:
        raise
    except Exception as problem:  # zipfile, zlib and NumPy's header parser raise a dozen kinds for damaged bytes
        raise error(f"{path}: not a readable .npz archive ({problem})", code="F102") from problem


def _opened(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> Generator[tuple[str, tuple[IO[bytes], int]], None, None]:
    for name, info in members.items():
        with archive.open(info) as stream:
            yield name, (stream, info.file_size)


def _described(
    stream: IO[bytes], size: int, what: str, error: type[ReportgenError]
) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """(dtype, shape, whether in Fortran's order, bytes that follow) of a member, from its header."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:  # version 3 exists for field names that are not Latin-1 only
        raise error(f"{what} is of .npy version {version}, 1.0 and 2.0 can be read", code="F102")
    if dtype.hasobject:
        raise error(
            f"{what} holds Python objects, which are never unpickled; save plain numbers or strings", code="F104"
        )
    if dtype.names is not None or dtype.subdtype is not None or dtype.type is np.void:
        raise error(f"{what} is of dtype {dtype}, not of plain numbers or strings; save it as float32", code="F104")
    claimed, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if claimed != held or min(shape, default=0) < 0:
        raise error(f"{what} claims {dtype} {list(shape)}, {claimed:,} bytes, and holds {held:,}", code="F103")
    return dtype, shape, fortran, held
