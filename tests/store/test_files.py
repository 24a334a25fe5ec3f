import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save

from reportgen.core.files import write_bytes
from reportgen.errors import DamagedError, RunError
from reportgen.store import files
from reportgen.store.files import Tensors, write_tensors

ARRAYS = {
    "conv1/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "half": np.array([1.5, np.nan], np.float16),
    "brain": np.array([1.5, -2], ml_dtypes.bfloat16),
    "count": np.array(7),
    "none": np.zeros((0, 3), np.float32),
}


def test_tensors_come_back_as_they_were(tmp_path):
    write_tensors(tmp_path / "a.safetensors", ARRAYS, {"step": "3"})
    read = Tensors(tmp_path / "a.safetensors")
    assert read.metadata["step"] == "3"
    assert set(read) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()


def test_a_file_is_the_librarys_with_a_sorted_header(tmp_path):
    kinds = ("bool", "uint8", "int16", "uint16", "int32", "uint32", "uint64", "int8", "complex64", "float64")
    arrays = {**ARRAYS, **{f"{i % 3} {kind}": np.arange(3).astype(kind) for i, kind in enumerate(kinds)}}
    write_tensors(tmp_path / "a.safetensors", arrays, {"step": "3", "ü": "é"})
    written = (tmp_path / "a.safetensors").read_bytes()
    expected = save(arrays, Tensors(tmp_path / "a.safetensors").metadata)
    ends = [8 + int.from_bytes(content[:8], "little") for content in (written, expected)]
    headers = [json.loads(content[8:end]) for content, end in zip((written, expected), ends, strict=True)]
    assert headers[0] == headers[1] and list(headers[0]) == sorted(headers[0])
    assert written[ends[0] :] == expected[ends[1] :] and ends[0] % 8 == 0


def test_bytes_in_the_other_order_are_turned(tmp_path):
    array = np.arange(6, dtype=">f4")
    write_tensors(tmp_path / "a.safetensors", {"x": array}, {})
    np.testing.assert_array_equal(Tensors(tmp_path / "a.safetensors")["x"], array)


def test_an_array_that_is_not_contiguous_is_written_in_its_own_order(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_tensors(tmp_path / "a.safetensors", {"x": array}, {})
    np.testing.assert_array_equal(Tensors(tmp_path / "a.safetensors")["x"], array)


@pytest.mark.parametrize("part", [1, 5, 10**6])
def test_what_is_whole_passes_in_parts_of_any_size(tmp_path, monkeypatch, part):
    monkeypatch.setattr(files, "PART", part)
    write_tensors(tmp_path / "a.safetensors", ARRAYS, {})
    Tensors(tmp_path / "a.safetensors").verify()


SLICES = [slice(1, 3), slice(None), slice(None, None, 2), slice(None, None, -1), slice(2, 9), slice(9, 12)]
MASK = np.array([True, False, False, True])


@pytest.mark.parametrize("chosen", [*SLICES, [2, 0, 2], np.array([1]), np.zeros(0, int), 0, -1, np.int64(3), MASK])
def test_chosen_rows_are_those_of_the_array(tmp_path, chosen):
    array = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    write_tensors(tmp_path / "a.safetensors", {"x": array}, {})
    rows = Tensors(tmp_path / "a.safetensors").rows("x", chosen)
    np.testing.assert_array_equal(rows, array[chosen])
    assert rows.dtype == array.dtype and rows.shape == array[chosen].shape


def test_rows_that_are_not_there_and_of_another_file(tmp_path):
    write_tensors(tmp_path / "a.safetensors", {"x": np.zeros((4, 2))}, {})
    tensors = Tensors(tmp_path / "a.safetensors")
    with pytest.raises(IndexError):
        tensors.rows("x", 4)
    write_tensors(tmp_path / "a.safetensors", {"x": np.ones((4, 2))}, {})
    with pytest.raises(DamagedError, match=r"a\.safetensors was replaced"):
        tensors.rows("x", 3)


@pytest.mark.parametrize("offset", range(0, 24 * 4, 7))
def test_a_flipped_bit_is_noticed_where_it_is_and_only_there(tmp_path, monkeypatch, offset):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": np.ones(24, np.float32), "b": np.zeros(2, np.float32)}, {})
    content = bytearray(path.read_bytes())
    # Values lie behind the header, in the order of names: 96 bytes of a, 8 of b.
    content[len(content) - 104 + offset] ^= 1
    path.write_bytes(content)
    tensors = Tensors(path)
    with pytest.raises(RunError, match=r"a\.safetensors is damaged: a does not match its checksum"):
        tensors["a"]
    monkeypatch.setattr(files, "PART", 10)  # three parts, the last one shorter
    with pytest.raises(RunError, match=r"a\.safetensors is damaged: a does not match its checksum"):
        tensors.check("a")
    tensors.check("b")
    np.testing.assert_array_equal(tensors["b"], [0, 0])


@pytest.mark.parametrize("place", ["tensor", "checksum"])
def test_a_flipped_bit_in_a_name_is_noticed_on_opening(tmp_path, place):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"alpha": np.ones(3, np.float32), "beta": np.zeros(2, np.float32)}, {})
    before = b'"alpha":{' if place == "tensor" else b'\\"alpha\\"'
    content = path.read_bytes()
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, before.replace(b"l", b"m")))
    with pytest.raises(RunError, match="either a tensor or its checksum, not both, of 'alpha'"):
        Tensors(path)


@pytest.mark.parametrize("kept", [0, 3, 8, 60, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path, kept):
    path = tmp_path / "a.safetensors"
    write_tensors(path, ARRAYS, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"a\.safetensors is damaged"):
        Tensors(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"gone\.safetensors is missing"):
        Tensors(tmp_path / "gone.safetensors")


def test_a_failed_write_leaves_the_old_file_and_says_why(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_bytes(path, b"old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(RunError, match=r"run.json could not be written: No space left on device"):
        write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_the_same_tensors_are_the_same_bytes_in_every_process(tmp_path):
    """The library's own order of metadata changes from process to process."""
    path, code = (
        tmp_path / "a.safetensors",
        (
            "import sys; from pathlib import Path; from tests.store.test_files import ARRAYS, write_tensors; "
            "write_tensors(Path(sys.argv[1]), ARRAYS, {str(i): 'x' for i in range(9)})"
        ),
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    write_tensors(tmp_path / "b.safetensors", ARRAYS, {str(i): "x" for i in range(9)})
    assert path.read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert load_file(path)["conv1/kernel"].tolist() == ARRAYS["conv1/kernel"].tolist()
