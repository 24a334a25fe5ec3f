"""The IDX reader: both ways of naming, gzipped or not, and every way in which a file can be wrong."""

import gzip
import hashlib
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reportgen.data import mnist
from reportgen.errors import DataError

RNG = np.random.default_rng(3)
TRAIN = RNG.integers(0, 256, (6, 5, 4), np.uint8)
TEST = RNG.integers(0, 256, (3, 5, 4), np.uint8)
TRAIN_LABELS, TEST_LABELS = np.array([5, 0, 9, 1, 1, 3], np.uint8), np.array([9, 0, 2], np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, dot: bool = False, zipped: bool = False) -> Path:
    arrays = {
        "train-images-idx3": TRAIN,
        "train-labels-idx1": TRAIN_LABELS,
        "t10k-images-idx3": TEST,
        "t10k-labels-idx1": TEST_LABELS,
    }
    for name, array in arrays.items():
        file = name.replace("-idx", ".idx" if dot else "-idx") + "-ubyte" + (".gz" if zipped else "")
        (folder / file).write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return folder


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_reads_both_names_gzipped_or_not(tmp_path: Path, dot: bool, zipped: bool) -> None:
    loaded = mnist.load(write(tmp_path, dot, zipped))
    np.testing.assert_array_equal(loaded.train_images[..., 0], TRAIN / np.float32(255))
    np.testing.assert_array_equal(loaded.test_images[..., 0], TEST / np.float32(255))
    np.testing.assert_array_equal(loaded.train_labels, TRAIN_LABELS)
    np.testing.assert_array_equal(loaded.test_labels, TEST_LABELS)
    assert loaded.classes == tuple("0123456789")


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    write(tmp_path)
    for file in list(tmp_path.iterdir()):  # as browsers do that unzip and keep the name
        file.rename(f"{file}.gz")
    assert len(mnist.load(tmp_path).train_labels) == 6


def test_says_what_is_expected_and_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs a data folder \(--data-dir\) with the IDX files train-images-idx3"):
        mnist.load()
    with pytest.raises(DataError, match=r"no such folder; expected one with train-images-idx3-ubyte\(\.gz\)"):
        mnist.load(tmp_path / "absent")
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"no t10k-labels-idx1-ubyte; expected train-images"):
        mnist.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing, but an IDX file of uint8 with 3 axes starts with 00 00 08 03"),
        (idx(TRAIN_LABELS), "starts with 00 00 08 01"),
        (b"<html>Not found</html>", "starts with 3c 68 74 6d"),
        (idx(TRAIN)[:9], "truncated within its header"),
        (idx(TRAIN)[:-1], r"truncated: declares \[6, 5, 4\], holds 119 of 120 bytes"),
        (idx(TRAIN) + b"\0", r"declares \[6, 5, 4\], 120 bytes, but contains more"),
        (
            struct.pack(">4B3I", 0, 0, 8, 3, 1 << 20, 1 << 10, 1 << 10),
            "declares .* at most 268,435,456 are read",
        ),
        (
            struct.pack(">4B3I", 0, 0, 8, 3, 100, 1 << 10, 1 << 10),
            r"truncated: declares .* holds 0 of 104,857,600",
        ),
        (b"\x1f\x8b\x08", "can't be read"),
        (gzip.compress(idx(TRAIN))[:-9], "can't be read|cut short"),
        (gzip.compress(idx(TRAIN))[:-8] + bytes(8), "can't be read"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0" + bytes(30), "can't be read"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=rf"train-images-idx3-ubyte: ({message})"):
        mnist.load(tmp_path)


def test_images_and_labels_must_agree(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(TRAIN_LABELS[:5]))
    with pytest.raises(DataError, match="train: 6 images, but 5 labels"):
        mnist.load(tmp_path)


def test_a_gzip_bomb_is_unfolded_no_further_than_declared(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(idx(TRAIN))
        for _ in range(200):
            stream.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="but contains more"):
            mnist.read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_mutated_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    whole = idx(TRAIN)
    if data.draw(st.booleans()):
        whole = gzip.compress(whole, mtime=0)
    content = bytearray(data.draw(st.one_of(st.just(whole), st.binary(max_size=64))))
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        found = mnist.read_idx(path, 3)
    except DataError as problem:
        assert str(path) in str(problem)
    else:
        assert found.dtype == np.uint8
        assert found.ndim == 3


@pytest.mark.skipif("REPORTGEN_DATA" not in os.environ, reason="REPORTGEN_DATA does not point at the real MNIST")
def test_the_real_mnist() -> None:
    loaded = mnist.load(Path(os.environ["REPORTGEN_DATA"], "mnist"))
    assert loaded.train_images.shape == (60000, 28, 28, 1)
    assert loaded.test_images.shape == (10000, 28, 28, 1)
    # The canonical MD5 of the uncompressed files, header included.
    for images, md5 in (
        (loaded.train_images, "6bbc9ace898e44ae57da46a324031adb"),
        (loaded.test_images, "2646ac647ad5339dbf082846283269ea"),
    ):
        pixels = np.rint(images[..., 0] * 255).astype(np.uint8)
        assert hashlib.md5(idx(pixels), usedforsecurity=False).hexdigest() == md5
    assert np.bincount(loaded.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
