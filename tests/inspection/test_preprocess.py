"""Preprocessing against numbers computed by hand."""

import numpy as np
import pytest

from reportgen.errors import DataError, OptionError
from reportgen.inspection.preprocess import PREPROCESS, preprocessing

PIXELS = np.array([[[[255, 0, 51], [10, 20, 30]]]], np.float32)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("caffe", (51 - 103.939, 0 - 116.779, 255 - 123.68)),
        ("imagenet", ((1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225)),
        ("unit", (1, 0, 0.2)),
        ("none", (255, 0, 51)),
    ],
)
def test_numbers_by_hand(name, first):
    made = preprocessing(name, 3).apply(PIXELS)
    assert made.dtype == np.float32
    assert made[0, 0, 0] == pytest.approx(first, rel=1e-5)


def test_every_way_states_itself():
    for name in PREPROCESS:
        stated = preprocessing(name, 3).stated
        assert stated.name == name
        assert len(stated.planes) == 3
        assert stated.words[:3] == "".join(stated.planes)
    assert preprocessing("caffe", 3).stated.planes == ("B", "G", "R")
    assert preprocessing("unit", 1).stated.words == "grey, 0 to 1"


def test_what_needs_colours_refuses_grey():
    for name in ("caffe", "imagenet"):
        with pytest.raises(OptionError, match="3 channels, the network takes 1"):
            preprocessing(name, 1)


def test_an_unknown_name_lists_what_exists():
    with pytest.raises(OptionError, match=r"cafe.*did you mean caffe"):
        preprocessing("cafe", 3)


def test_a_function_of_the_users():
    def halved(pixels):
        return pixels.astype(np.float64) / 2

    way = preprocessing(halved, 3)
    assert way.stated.words == "by the function halved"
    made = way.apply(PIXELS)
    assert made.dtype == np.float32
    assert np.array_equal(made, PIXELS / 2)


def test_a_function_that_fails_or_gives_something_else():
    with pytest.raises(DataError, match="failed: ZeroDivisionError"):
        preprocessing(lambda pixels: 1 / 0, 3).apply(PIXELS)
    with pytest.raises(DataError, match="one array for each image"):
        preprocessing(lambda pixels: pixels[0, 0], 3).apply(np.zeros((2, 4, 4, 3), np.float32))
