"""Reads a NumPy .npz archive that may come from anywhere: bounded memory, nothing unpickled.

    arrays = read_npz(Path("digits.npz"), DataError)             # {"images": array, "labels": array}
    arrays = read_npz(Path("digits.npz"), DataError, {"labels"}) # these names only

`numpy.load` allocates what a member's header claims before it looks at the data; here the claim is
compared with the size in the archive's directory, and that with the size of the file, first.
"""

import math
import zipfile
from collections.abc import Collection
from pathlib import Path

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
    if not path.is_file():
        raise _MISSING.get(error, error)(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if wanted is not None:
                members = {name: info for name, info in members.items() if name in wanted}
            total, limit = sum(info.file_size for info in members.values()), size_limit(path.stat().st_size)
            if total > limit:
                raise error(
                    f"{path}: unfolds to {total:,} bytes, more than the {limit:,} a file of its size may; "
                    "save it uncompressed (numpy.savez) if that is right"
                )
            return {
                name: _read_member(archive, info, f"{path}: array {name!r}", error) for name, info in members.items()
            }
    except ReportgenError:
        raise
    except Exception as problem:  # zipfile, zlib and NumPy's header parser raise a dozen kinds for damaged bytes
        raise error(f"{path}: not a readable .npz archive ({problem})") from problem


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str, error: type[ReportgenError]) -> np.ndarray:
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:  # version 3 exists for field names that are not Latin-1 only
            raise error(f"{what} is of .npy version {version}, 1.0 and 2.0 can be read")
        if dtype.hasobject:
            raise error(f"{what} holds Python objects, which are never unpickled; save plain numbers or strings")
        if dtype.names is not None or dtype.subdtype is not None or dtype.type is np.void:
            raise error(f"{what} is of dtype {dtype}, not of plain numbers or strings; save it as float32")
        claimed, held = math.prod(shape) * dtype.itemsize, info.file_size - stream.tell()
        if claimed != held or min(shape, default=0) < 0:
            raise error(f"{what} claims {dtype} {list(shape)}, {claimed:,} bytes, and holds {held:,}")
        data = stream.read(held)
        if len(data) != held:
            raise error(f"{what} is cut short: {len(data):,} of {held:,} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
