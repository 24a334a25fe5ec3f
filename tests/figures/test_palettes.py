import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.errors import DataError
from reportgen.figures.palettes import (
    CLASS_COLORS,
    DIVERGING,
    GAP,
    GREY,
    NOT_FINITE,
    class_mark,
    class_role,
    colorbar,
    outside,
    rgb,
    symmetric,
    to_indices,
)

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE TVCG 15 (2009), table 1, severity 1.0; for linear RGB.
SEEN_BY = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
WHITE = np.array([0.95047, 1.0, 1.08883])
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colors, seen_by):
    """CIELAB (D65) of sRGB colours [n, 3], 0 to 255, as that reader sees them."""
    share = np.asarray(colors, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ SEEN_BY[seen_by].T, 0, 1)
    ratio = seen @ TO_XYZ.T / WHITE
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def closest(colors, seen_by):
    points = lab(colors, seen_by)
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2))


def test_the_simulation_itself_confuses_what_colour_blind_readers_confuse():
    red_and_green = [(214, 39, 40), (100, 120, 20)]
    assert closest(red_and_green, "normal") > 60
    assert min(closest(red_and_green, kind) for kind in ("protan", "deutan")) < 15


@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_class_colours_stay_apart(seen_by):
    # 2.3 is just noticeable; matplotlib's default cycle falls to 4 for deuteranopes.
    assert closest([rgb(color) for color in CLASS_COLORS], seen_by) > 15


@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_decrease_and_increase_stay_apart(seen_by):
    for level, least in ((0, 30), (40, 45), (80, 30)):
        assert closest(DIVERGING.rgb[[level, 253 - level]], seen_by) > least


@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_values_that_are_not_finite_look_like_no_value(seen_by):
    for shown in (GREY, DIVERGING):
        levels = lab(shown.rgb[:254], seen_by)
        marker = lab(shown.rgb[NOT_FINITE][None], seen_by)
        # The usual magenta comes within 3.4 of the palette's blue for deuteranopes.
        assert np.linalg.norm(levels - marker, axis=1).min() > 30


def test_diverging_is_red_white_blue_and_grows_darker_outwards():
    assert DIVERGING.rgb[126].tolist() == DIVERGING.rgb[127].tolist() == [255, 255, 255]
    red, blue = DIVERGING.rgb[30].astype(int), DIVERGING.rgb[223].astype(int)
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50
    lightness = lab(DIVERGING.rgb[:254], "normal")[:, 0]
    assert (np.diff(lightness[:127]) >= 0).all() and (np.diff(lightness[127:]) <= 0).all()


def test_grey_runs_from_black_to_white():
    assert GREY.rgb[0].tolist() == [0, 0, 0] and GREY.rgb[253].tolist() == [255, 255, 255]


def test_thirty_classes_differ_in_colour_or_mark():
    looks = {(class_role(index), class_mark(index)) for index in range(30)}
    assert len(looks) == 30
    assert class_role(10) == class_role(0) and class_mark(10) != class_mark(0)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=20),
    st.floats(-1e308, 1e308),
    st.floats(-1e308, 1e308),
)
def test_indices_follow_their_definition(values, one, other):
    low, high = min(one, other), max(one, other)
    indices = to_indices(np.array(values), low, high)
    for value, index in zip(values, indices, strict=True):
        if not np.isfinite(value):
            assert index == NOT_FINITE
        elif value <= low:
            assert index == 0
        elif value >= high:
            assert index == 253
        else:
            exact = (value / 2 - low / 2) / (high / 2 - low / 2) * 253
            assert abs(int(index) - exact) <= 0.5001


def test_indices_of_small_types_masks_and_flat_ranges():
    small = np.array([-60000, 0, 60000], np.float16)
    assert to_indices(small, -60000, 60000).tolist() == [0, 126, 253]
    assert to_indices(np.array([0, 1, 2]), 0, 2).tolist() == [0, 126, 253]
    masked = np.ma.array([0.0, 1.0, np.nan], mask=[False, True, False])
    assert to_indices(masked, 0, 1).tolist() == [0, GAP, NOT_FINITE]
    zeros = np.zeros(2)
    assert to_indices(zeros, 0, 0, GREY).tolist() == [0, 0]
    middle = to_indices(zeros, 0, 0, DIVERGING)
    assert DIVERGING.rgb[middle].tolist() == [[255, 255, 255]] * 2
    assert to_indices(np.array([-1.0, 0.0, 1.0]), 0, 0, DIVERGING).tolist() == [0, 126, 253]


def test_zero_is_white_in_every_symmetric_range():
    for limit in (1e-300, 1e-3, 0.7, 3e38, 1e308):
        assert DIVERGING.rgb[to_indices(np.zeros(1), -limit, limit, DIVERGING)].tolist() == [[255] * 3]


@pytest.mark.parametrize("low, high", [(1, 0), (np.nan, 1), (0, np.inf)])
def test_a_range_must_be_a_range(low, high):
    with pytest.raises(DataError, match="two finite numbers"):
        to_indices(np.zeros(1), low, high)


def test_outside_counts_what_is_clipped():
    values = np.array([-2, -1, 0, 1, 1.5, 3, np.nan, np.inf, -np.inf])
    counted = outside(values, -1, 1)
    assert (counted.below, counted.above, counted.not_finite, counted.total) == (1, 2, 3, 9)
    assert counted.clipped == 3


def test_symmetric_ignores_what_is_not_finite():
    assert symmetric(np.array([1.0, -3.0]), np.array([np.nan, np.inf, 2.0])) == (-3, 3)
    assert symmetric(np.array([np.nan])) == (0, 0)
    assert symmetric(np.array([-128], np.int8)) == (-128, 128)
    assert symmetric(np.ma.array([1.0, 9.0], mask=[False, True])) == (-1, 1)


def test_colorbar_runs_from_low_to_high():
    bar = colorbar(DIVERGING, -0.25, 0.25)
    assert (bar.low, bar.middle, bar.high) == ("−0.25", "0", "0.25")
    assert bar.colors[0] == "#67001f" and bar.colors[8] == "#ffffff" and bar.colors[-1] == "#053061"
    assert colorbar(GREY, 0, 3.41).middle is None
