"""Names of labels in every form in which datasets and users have them."""

import numpy as np
import pytest

from reportgen.core.classes import names_in_order
from reportgen.data import make_dataset
from reportgen.data.mnist import load
from reportgen.errors import DataError


@pytest.mark.parametrize(
    "given",
    [
        ["cat", "dog"],
        np.array(["cat", "dog"]),
        np.array([b"cat", b"dog"]),
        {1: "dog", 0: "cat"},
        {np.int64(1): "dog", np.int64(0): "cat"},
        {"1": "dog", "0": "cat"},
        {"dog": 1, "cat": 0},
    ],
)
def test_names_in_order_and_by_number(given):
    assert names_in_order(given) == ("cat", "dog")
    assert names_in_order("ab") == ("a", "b")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"cat", "a list of names"),
        ({"cat", "dog"}, "a list of names"),
        (["a", "a"], "repeat or are empty: ['a']"),
        (["a", " "], "repeat or are empty: [' ']"),
        ({0: "a", 1: "a"}, "repeat or are empty"),
        ({0: "a", 2: "b"}, "labels [0, 2]"),
        ({1: "a", 2: "b"}, "labels [1, 2]"),
        ({"a": 0, "b": 0}, "labels [0]"),
        ({"a": "b"}, "map no whole numbers to names"),
        ({0.5: "b"}, "map no whole numbers to names"),
    ],
)
def test_names_that_tell_no_label_are_refused(given, message):
    with pytest.raises(DataError) as raised:
        names_in_order(given)
    assert message in str(raised.value)
    images, labels = np.zeros((2, 3, 3), np.uint8), np.array([0, 1])
    with pytest.raises(DataError, match=r"^mine: "):
        make_dataset("mine", images, labels, images, labels, given)


def test_letters_are_no_digits(tmp_path):
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3]) + bytes(18)
        )
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 1, 26]))
    with pytest.raises(DataError, match="labels up to 26, and MNIST's digits are 0 to 9"):
        load(tmp_path)
