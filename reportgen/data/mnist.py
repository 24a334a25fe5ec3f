"""MNIST in its original IDX files, gzipped or not: 60,000 training and 10,000 test images.

    data = mnist.load(Path("mnist"))

The folder holds train-images, train-labels, t10k-images, t10k-labels, each named as in
`train-images-idx3-ubyte` or `train-images.idx3-ubyte`, with or without `.gz`. Files of the same format
(Fashion-MNIST) work as well. Format: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/
(magic number, a big-endian uint32 per axis, then the bytes, last axis fastest).
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from reportgen.data.dataset import Dataset, make_dataset
from reportgen.errors import DataError

# MNIST's largest file is 47 MB: room for similar datasets, but a .gz can't fill the memory.
MAX_BYTES = 256 << 20
FILES = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))


def load(data_dir: Path | None = None) -> Dataset:
    """The dataset of the four IDX files in `data_dir`, pixel values divided by 255, in the files' order.

    Raises DataError that names the file when one is missing, is not IDX or is shorter or longer than it
    declares, or when images and labels differ in number.
    """
    expected = ", ".join(f"{stem}-idx{rank}-ubyte(.gz)" for stem, rank in FILES)
    if data_dir is None:
        raise DataError(f"mnist needs a data folder (--data-dir) with the IDX files {expected}", code="D112")
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; expected one with {expected}", code="F101")
    paths = {(stem, rank): _find(data_dir, stem, rank) for stem, rank in FILES}
    missing = [f"{stem}-idx{rank}-ubyte" for (stem, rank), path in paths.items() if path is None]
    if missing:
        raise DataError(f"{data_dir}: no {', no '.join(missing)}; expected {expected}", code="F101")
    images, labels, test_images, test_labels = (
        read_idx(path, rank) for (_, rank), path in paths.items() if path is not None
    )
    classes = [str(digit) for digit in range(10)]
    if (largest := max(labels.max(initial=0), test_labels.max(initial=0))) > 9:
        raise DataError(
            f"{data_dir}: labels up to {largest}, and MNIST's digits are 0 to 9; give letters and the like as an .npz "
            "with images, labels (counted from 0) and classes, their names",
            code="D103",
        )
    return make_dataset("mnist", images, labels, test_images, test_labels, classes)


def _find(folder: Path, stem: str, rank: int) -> Path | None:
    names = [f"{stem}{mark}idx{rank}-ubyte{suffix}" for suffix in ("", ".gz") for mark in ("-", ".")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_idx(path: Path, rank: int) -> np.ndarray:
    """The uint8 array of `rank` axes in an IDX file, which may be gzipped (detected by content).

    Raises DataError that names the file: wrong magic number, length other than declared, damaged gzip,
    or more than 256 MiB.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                return _read_idx(raw, path, rank)
            with gzip.open(raw) as stream:
                return _read_idx(stream, path, rank)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path}: can't be read ({problem}); download the file again", code="F102") from problem


def _read_idx(stream: "IO[bytes] | gzip.GzipFile", path: Path, rank: int) -> np.ndarray:
    header = stream.read(4 + 4 * rank)
    magic = bytes([0, 0, 8, rank])
    if header[:4] != magic:
        raise DataError(
            f"{path}: starts with {header[:4].hex(' ') or 'nothing'}, "
            f"but an IDX file of uint8 with {rank} axes starts with {magic.hex(' ')}",
            code="F102",
        )
    if len(header) < 4 + 4 * rank:
        raise DataError(f"{path}: truncated within its header", code="F102")
    shape = tuple(int(size) for size in np.frombuffer(header[4:], ">u4"))
    declared = math.prod(shape)
    if declared > MAX_BYTES:
        raise DataError(
            f"{path}: declares {list(shape)}, {declared:,} bytes; at most {MAX_BYTES:,} are read", code="F103"
        )
    data = stream.read(declared + 1)
    if len(data) < declared:
        raise DataError(
            f"{path}: truncated: declares {list(shape)}, holds {len(data):,} of {declared:,} bytes", code="F102"
        )
    if len(data) > declared:
        raise DataError(f"{path}: declares {list(shape)}, {declared:,} bytes, but contains more", code="F102")
    return np.frombuffer(data, np.uint8).reshape(shape)
