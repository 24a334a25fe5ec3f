"""The bounded .npz reader: what numpy.savez writes comes back; lies and damage end in the error asked for."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reportgen.errors import DataError, WeightsError
from reportgen.npz import read_npz, size_limit

quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def npy_header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def write_member(path: Path, content: bytes, name: str = "images.npy") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_gives_what_numpy_saved(tmp_path: Path, save) -> None:
    wanted = {
        "a": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "scalar": np.array(3.5),
        "names": np.array(["rose", "tulip"]),
        "empty": np.zeros((0, 5), np.uint8),
        "big_endian": np.arange(4, dtype=">i4"),
    }
    save(tmp_path / "a.npz", **wanted)
    found = read_npz(tmp_path / "a.npz", DataError)
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert list(read_npz(tmp_path / "a.npz", DataError, {"a", "absent"})) == ["a"]


def test_never_unpickles(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(WeightsError, match=r"'images' holds Python objects, which are never unpickled"):
        read_npz(tmp_path / "a.npz", WeightsError)


def test_an_object_array_that_is_not_wanted_does_no_harm(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", junk=np.array([{}], dtype=object), a=np.ones(2))
    assert list(read_npz(tmp_path / "a.npz", DataError, {"a"})) == ["a"]


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 31, 4), (3,), (-1, 4), (1 << 62, 1 << 62)])
def test_a_header_that_does_not_fit_its_data(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write_member(tmp_path / "a.npz", npy_header(shape) + bytes(16))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"array 'images' claims float32 .*, and holds 16"):
            read_npz(path, DataError)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_is_refused_before_it_is_unfolded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    blank, count = bytes(1 << 20), 300
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w") as member,
    ):
        member.write(npy_header((count << 20,), "|u1"))
        for _ in range(count):
            member.write(blank)
    assert path.stat().st_size * 100 < count << 20
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"unfolds to 314,.* bytes, more than the 268,435,456"):
            read_npz(path, DataError)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_size_limit_grows_with_the_file() -> None:
    assert size_limit(10) == 256 << 20
    assert size_limit(10 << 20) == 1000 << 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable .npz archive"),
        (b"PK\x03\x04 no zip", "not a readable .npz archive"),
        (b"\x93NUMPY", "not a readable .npz archive"),
    ],
)
def test_no_archive(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_npz(path, DataError)


def test_names_what_else_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_npz(tmp_path / "absent.npz", DataError)
    fields = np.zeros(2, dtype=[("x", "f4"), ("y", "f4")])
    np.savez(tmp_path / "fields.npz", images=fields)
    with pytest.raises(DataError, match="not of plain numbers"):
        read_npz(tmp_path / "fields.npz", DataError)
    write_member(tmp_path / "version.npz", b"\x93NUMPY\x07\x00" + bytes(80))
    with pytest.raises(DataError, match=r"npy version \(7, 0\)"):
        read_npz(tmp_path / "version.npz", DataError)
    write_member(tmp_path / "text.npz", b"hello")
    with pytest.raises(DataError, match="not a readable"):
        read_npz(tmp_path / "text.npz", DataError)


@quick
@given(st.binary(max_size=300))
def test_arbitrary_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_npz(path, DataError)
    write_member(path, b"\x93NUMPY" + content)
    with pytest.raises(DataError):
        read_npz(path, DataError)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed on Linux alone")
def test_a_refused_archive_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_member(path, b"\x93NUMPY and no more")
    with pytest.raises(DataError) as refused:
        read_npz(path, DataError)
    held = [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink() and file.exists()]
    assert str(path) not in held, refused


@quick
@given(st.data())
def test_a_mutated_archive_is_read_whole_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=np.arange(60, dtype=np.float32).reshape(3, 20), labels=np.arange(3))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.npz"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        found = read_npz(path, DataError, {"images"})
    except DataError:
        return
    # Each member carries a CRC: what is read in spite of a mutation elsewhere is what was written.
    if "images" in found and found["images"].shape == (3, 20) and found["images"].dtype == np.float32:
        np.testing.assert_array_equal(np.sort(found["images"], axis=None), np.arange(60))
