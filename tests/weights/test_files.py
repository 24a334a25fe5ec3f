"""The single-file readers: what the libraries write comes back, and no bytes end in anything but WeightsError."""

import json
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import ml_dtypes
import msgpack
import numpy as np
import optax
import pytest
from flax import serialization
from flax.training.train_state import TrainState
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from reportgen import weights
from reportgen.errors import WeightsError
from reportgen.weights.tree import flatten

RNG = np.random.default_rng(0)
TREE = {
    "conv1": {"kernel": RNG.normal(size=(3, 3, 1, 4)).astype(np.float32), "bias": np.zeros(4, np.float32)},
    "norm": {"scale": np.arange(4.0).astype(ml_dtypes.bfloat16), "count": np.array(7, np.int64)},
}
FLAT = {"/".join(path): leaf for path, leaf in flatten(TREE).items()}


def write(path: Path, tree: dict = TREE) -> Path:
    flat = {"/".join(path): leaf for path, leaf in flatten(tree).items()}
    if path.suffix == ".safetensors":
        save_file(flat, path)
    elif path.suffix == ".npz":
        np.savez(path, **flat)
    else:
        path.write_bytes(serialization.msgpack_serialize(tree))
    return path


def assert_same(found: dict, wanted: dict) -> None:
    found_flat, wanted_flat = flatten(found), flatten(wanted)
    assert sorted(found_flat) == sorted(wanted_flat)
    for path, array in wanted_flat.items():
        assert isinstance(found_flat[path], np.ndarray)
        assert found_flat[path].dtype == array.dtype, path
        np.testing.assert_array_equal(found_flat[path], array)


@pytest.mark.parametrize("name", ["a.safetensors", "a.msgpack", "A.SAFETENSORS"])
def test_reads_what_was_saved(tmp_path: Path, name: str) -> None:
    written = write(tmp_path / name.lower())
    written.rename(tmp_path / name)
    assert_same(weights.read(tmp_path / name), TREE)


def test_reads_npz(tmp_path: Path) -> None:
    tree = {"conv1": TREE["conv1"], "half": {"kernel": np.ones((2, 2), np.float16)}}
    assert_same(weights.read(write(tmp_path / "a.npz", tree)), tree)


def test_names_without_slashes_are_split_at_dots(tmp_path: Path) -> None:
    save_file({"features.0.weight": FLAT["conv1/kernel"], "a.b/c": FLAT["conv1/bias"]}, tmp_path / "a.safetensors")
    found = weights.read(tmp_path / "a.safetensors")
    assert_same(found, {"features": {"0": {"weight": FLAT["conv1/kernel"]}}, "a.b": {"c": FLAT["conv1/bias"]}})


def test_reads_a_train_state(tmp_path: Path) -> None:
    params = {"conv1": TREE["conv1"]}
    state = TrainState.create(apply_fn=None, params=params, tx=optax.adam(1e-3))
    (tmp_path / "a.msgpack").write_bytes(serialization.to_bytes(state))
    found = weights.read(tmp_path / "a.msgpack")
    assert_same(found["params"], params)
    assert found["step"].shape == ()
    assert_same(found["opt_state"]["0"]["mu"], {"conv1": {name: 0 * leaf for name, leaf in params["conv1"].items()}})


def test_msgpack_of_lists_numbers_text_and_large_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 64)
    array = np.arange(100, dtype=np.float32).reshape(4, 25)
    content = serialization.msgpack_serialize({"a": [array, {"b": 2.5}], "note": "text", "none": None, "empty": {}})
    (tmp_path / "a.msgpack").write_bytes(content)
    assert_same(weights.read(tmp_path / "a.msgpack"), {"a": {"0": array, "1": {"b": np.array(2.5)}}})


def test_reading_needs_no_device(tmp_path: Path) -> None:
    paths = [str(write(tmp_path / f"a.{kind}")) for kind in ("msgpack", "safetensors")]
    code = f"from reportgen import weights; print([sorted(weights.read(p)) for p in {paths}])"
    environment = {"JAX_PLATFORMS": "absent", "PATH": ""}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout == "[['conv1', 'norm'], ['conv1', 'norm']]\n", result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.pt", "PyTorch's format can run code .* safetensors.torch.save_file"),
        ("a.PTH", "PyTorch's format"),
        ("a.bin", "PyTorch's format"),
        ("a.h5", "Keras' format is not read; convert it with Keras: numpy.savez"),
        ("a.keras", "Keras' format"),
        ("a.pkl", "pickles can run code and are never read"),
        ("a.onnx", r"no reader for '.onnx'; .*existing: .safetensors, .npz, .msgpack, folder \(Orbax\)"),
        ("weights", r"no reader for ''; existing"),
    ],
)
def test_other_formats(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(WeightsError, match=message):
        weights.read(tmp_path / name)


def test_nothing_there_and_a_step_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file or folder"):
        weights.read(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="a file holds one checkpoint; leave step 3 out"):
        weights.read(write(tmp_path / "a.msgpack"), step=3)


def safetensors_bytes(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def array_ext(shape: list[int], dtype: str, data: bytes) -> msgpack.ExtType:
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, data), use_bin_type=True))


def entry(shape: list[int], end: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


DAMAGED = {
    "empty": (".safetensors", b""),
    "header of 2**60 bytes": (".safetensors", struct.pack("<Q", 1 << 60) + b"{}"),
    "2**40 elements, no data": (".safetensors", safetensors_bytes({"a": entry([1 << 40], 1 << 42)})),
    "2**40 elements, 16 bytes": (".safetensors", safetensors_bytes({"a": entry([1 << 40], 16)}, bytes(16))),
    "overflowing shape": (".safetensors", safetensors_bytes({"a": entry([1 << 62, 1 << 62, 0], 0)})),
    "unknown dtype": (".safetensors", safetensors_bytes({"a": entry([4], 16, "Q4")}, bytes(16))),
    "negative offsets": (
        ".safetensors",
        safetensors_bytes({"a": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}}),
    ),
    "empty name": (".safetensors", safetensors_bytes({"a//b": entry([4], 16)}, bytes(16))),
    "name of 100 parts": (".safetensors", safetensors_bytes({"a/" * 100 + "b": entry([4], 16)}, bytes(16))),
    "msgpack of a number": (".msgpack", b"\x05"),
    "msgpack of 2**31 items": (".msgpack", b"\xdd\x80\x00\x00\x00" + bytes(9)),
    "msgpack, 2**40 elements": (
        ".msgpack",
        msgpack.packb({"a": array_ext([1 << 40], "float32", bytes(16))}),
    ),
    "msgpack of objects": (".msgpack", msgpack.packb({"a": array_ext([2], "object", bytes(16))})),
    "msgpack of text arrays": (".msgpack", msgpack.packb({"a": array_ext([2], "U2", bytes(16))})),
    "msgpack of records": (".msgpack", msgpack.packb({"a": array_ext([2], "f4,f4", bytes(16))})),
    "msgpack of bytes": (".msgpack", msgpack.packb({"a": b"bytes"})),
    "msgpack of unknown extension": (".msgpack", msgpack.packb({"a": msgpack.ExtType(9, b"x")})),
    "msgpack chunked without chunks": (
        ".msgpack",
        msgpack.packb({"a": {"__msgpack_chunked_array__": True, "shape": {"0": 1 << 40}, "chunks": {}}}),
    ),
    "msgpack 200 deep": (".msgpack", b"\x81\xa1a" * 200 + b"\x01"),
    "msgpack 5000 deep": (".msgpack", b"\x91" * 5000 + b"\x01"),
    "msgpack, a key twice": (".msgpack", msgpack.packb({"1": 1, 1: 2})),
    "npz": (".npz", b"PK\x03\x04"),
}


@pytest.mark.parametrize(("suffix", "content"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_or_hostile_files(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"a\.[a-z]+: ."):
            weights.read(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_name_that_is_array_and_folder(tmp_path: Path) -> None:
    one = np.ones(1, np.float32)
    for number, names in enumerate((["a", "a/b"], ["a/b", "a"], ["a/b", "a.b"])):
        save_file(dict.fromkeys(names, one), tmp_path / f"{number}.safetensors")
        with pytest.raises(WeightsError, match=r"is there twice|which is an array itself"):
            weights.read(tmp_path / f"{number}.safetensors")


def test_objects_in_npz_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", w=np.array([{}], dtype=object))
    with pytest.raises(WeightsError, match="never unpickled"):
        weights.read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", w=np.array(["text"]))
    with pytest.raises(WeightsError, match=r"b.npz: w is an array of <U4, not of numbers"):
        weights.read(tmp_path / "b.npz")


quick = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@quick
@given(suffix=st.sampled_from([".safetensors", ".npz", ".msgpack"]), content=st.binary(max_size=200))
def test_arbitrary_bytes(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    try:
        found = weights.read(path)
    except WeightsError:
        return
    # A few short byte strings are valid: an empty msgpack map, or one of numbers.
    assert all(isinstance(leaf, np.ndarray) for leaf in flatten(found).values())


@quick
@given(st.data())
def test_mutated_files(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / f"a{data.draw(st.sampled_from(['.safetensors', '.npz', '.msgpack']))}"
    content = bytearray(write(path, {"conv1": TREE["conv1"]}).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        found = weights.read(path)
    except WeightsError:
        return
    assert all(isinstance(leaf, np.ndarray) for leaf in flatten(found).values())
    assert sum(leaf.nbytes for leaf in flatten(found).values()) <= len(content)
