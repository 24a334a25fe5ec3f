"""Normalisations against numbers computed by hand, and what they say of themselves."""

import numpy as np
import pytest

from reportgen.errors import OptionError
from reportgen.figures.palettes import DIVERGING, GREY
from reportgen.sections.scale import Normalize, normalization, scaled

POSITIVE = np.arange(2 * 2 * 2 * 3, dtype=np.float32).reshape(2, 2, 2, 3)
SIGNED = POSITIVE - 5


def test_the_whole_layer_of_one_image():
    shown = scaled(POSITIVE, 1, Normalize("layer"))
    assert (shown.low, shown.high, shown.palette) == (0, 23, GREY), "black is 0"
    assert np.array_equal(shown.tiles, np.moveaxis(POSITIVE[1], -1, 0))
    assert shown.words == "0 to 23, one range for the whole layer for this image."
    shown = scaled(SIGNED, 0, Normalize("layer"))
    assert (shown.low, shown.high, shown.palette) == (-6, 6, DIVERGING)


def test_one_range_over_all_images():
    shown = scaled(POSITIVE, 0, Normalize("images"), [1])
    assert (shown.low, shown.high) == (0, 23)
    assert shown.tiles.shape == (1, 2, 2)
    assert "over all 2 images" in shown.words


def test_a_range_for_every_channel():
    shown = scaled(POSITIVE, 0, Normalize("channel"))
    assert (shown.low, shown.high) == (0, 1)
    assert np.allclose(shown.tiles.max(axis=(1, 2)), 1)
    assert np.allclose(shown.tiles[2], POSITIVE[0, ..., 2] / 11), "black is 0"
    shown = scaled(SIGNED, 0, Normalize("channel"))
    assert np.allclose(shown.tiles[0], SIGNED[0, ..., 0] / 5)
    assert shown.palette is DIVERGING
    assert "can't be compared" in shown.words


def test_a_constant_channel_divides_by_nothing():
    shown = scaled(np.zeros((1, 2, 2, 2), np.float32), 0, Normalize("channel"))
    assert np.array_equal(shown.tiles, np.zeros((2, 2, 2)))


def test_a_fixed_range_is_black_to_white_and_counts_what_it_clips():
    shown = scaled(SIGNED, 0, Normalize("range", -1, 1))
    below, above = int((SIGNED[0] < -1).sum()), int((SIGNED[0] > 1).sum())
    assert (shown.low, shown.high, shown.palette) == (-1, 1, GREY)
    assert shown.clipped == below + above
    assert f"{below} values below and {above} above it are clipped, of 12" in shown.words


def test_values_that_are_not_finite_are_counted_and_left_out_of_the_range():
    maps = POSITIVE.copy()
    maps[0, 0, 0, 0], maps[0, 1, 1, 2] = np.nan, np.inf
    for kind in ("layer", "channel", "images"):
        shown = scaled(maps, 0, Normalize(kind))
        assert shown.not_finite == 2
        assert "2 values of 12 not finite (violet)" in shown.words
        assert np.isfinite([shown.low, shown.high]).all()
    assert scaled(maps, 0, Normalize("layer")).high == 10
    nothing = scaled(np.full((1, 2, 2, 1), np.nan), 0, Normalize("layer"))
    assert (nothing.low, nothing.high) == (0, 0)


def test_what_a_user_may_ask_for():
    assert normalization(None, None) == Normalize("layer")
    assert normalization("images", None) == Normalize("images")
    assert normalization(None, (0, 2)) == normalization("range", (0, 2)) == Normalize("range", 0, 2)
    for kind, fixed, message in (
        ("chanel", None, "did you mean channel"),
        ("range", None, "--range A,B"),
        ("layer", (0, 1), "exclude each other"),
        (None, (1, 0), "smaller to a larger"),
        (None, (0, float("nan")), "finite"),
    ):
        with pytest.raises(OptionError, match=message):
            normalization(kind, fixed)
