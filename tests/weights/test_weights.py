"""The table of formats: every reader gives back a saved tree, and refuses what is none of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import serialization
from safetensors.numpy import save_file

from reportgen import weights
from reportgen.errors import WeightsError

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


def save_orbax(path: Path) -> None:
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, {"hidden": {"kernel": KERNEL}})


SAVE: dict[str, Callable[[Path], object]] = {
    ".safetensors": lambda path: save_file({"hidden/kernel": KERNEL}, path),
    ".npz": lambda path: np.savez(path, **{"hidden/kernel": KERNEL}),
    ".msgpack": lambda path: path.write_bytes(serialization.to_bytes({"hidden": {"kernel": KERNEL}})),
    "folder": save_orbax,
}


@pytest.mark.parametrize("name", list(weights.WEIGHTS))
def test_every_reader_gives_back_what_was_saved(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{name if name.startswith('.') else ''}"
    SAVE[name](path)
    for tree in (weights.read(path), weights.WEIGHTS[name](path)):
        assert list(tree) == ["hidden"]
        np.testing.assert_array_equal(tree["hidden"]["kernel"], KERNEL)


@pytest.mark.parametrize("name", list(weights.WEIGHTS))
def test_every_reader_refuses_nonsense(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{name if name.startswith('.') else ''}"
    if name == "folder":
        path.mkdir()
        (path / "_METADATA").write_bytes(b"nonsense")
    else:
        path.write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match=r"model.*not a readable"):
        weights.read(path)
