"""A channel in register with its image: every pixel shows the unit that has its middle nearest."""

import numpy as np
import pytest

from reportgen.core.network import ReceptiveField
from reportgen.figures.palettes import rgb
from reportgen.sections.overlay import LARGE, NEGATIVE, POSITIVE, Frame, laid_over, registered, thumbnail


@pytest.mark.parametrize(
    ("count", "field", "size"),
    [
        (24, ReceptiveField(5, 5, 1, 1, 0, 0), 28),
        (13, ReceptiveField(79, 79, 16, 16, -24, -24), 222),
        (7, ReceptiveField(3, 3, 2, 2, -1, -1), 14),
        (3, ReceptiveField(6, 6, 4, 4, 0, 0), 16),
    ],
)
def test_each_unit_stands_at_the_middle_of_what_it_sees(count, field, size):
    channel = np.arange(count * count, dtype=float).reshape(count, count)
    made = registered(channel, field, Frame.of(np.zeros((size, size, 1))))
    for row in range(0, size, 3):
        for column in range(0, size, 3):
            middles = [field.centre(unit, unit)[0] for unit in range(count)]
            near = [[u for u in range(count) if abs(at - middles[u]) <= field.step_y / 2] for at in (row, column)]
            if not near[0] or not near[1]:
                assert made.mask[row, column]
            else:
                assert not made.mask[row, column]
                assert made[row, column] in [channel[y, x] for y in near[0] for x in near[1]]


def test_without_a_field_the_map_is_stretched():
    made = registered(np.array([[1.0, 2.0]]), None, Frame.of(np.zeros((4, 6, 1))))
    assert np.array_equal(made, np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0))


def test_a_large_image_is_drawn_smaller():
    frame = Frame.of(np.zeros((444, 222, 3)))
    assert frame.drawn == (222, 111)
    assert thumbnail(np.full((444, 222, 3), 9.0), frame).shape == (222, 111, 3)
    field = ReceptiveField(1, 1, 1, 1, 0, 0)
    channel = np.arange(444.0)[:, None] * np.ones((1, 222))
    made = registered(channel, field, frame)
    assert made.shape == (222, 111)
    assert np.abs(made[:, 0] - (np.arange(222) * 2 + 0.5)).max() <= 0.5


def test_the_overlay_leaves_zero_as_it_was_and_shows_the_largest_most():
    pixels = np.full((1, 3, 1), 100.0)
    values = np.ma.array([[0.0, 4.0, 9.0]], mask=[[False, False, True]])
    made = laid_over(pixels, values, 0, 4)
    assert list(made[0, 0]) == [100, 100, 100]
    assert list(made[0, 1]) == [round(100 * 0.2 + 0.8 * part) for part in rgb(LARGE)]
    assert list(made[0, 2]) == [100, 100, 100]
    signed = laid_over(pixels, np.ma.array([[-2.0, 2.0, np.nan]]), -2, 2)
    assert list(signed[0, 0]) == [round(20 + 0.8 * part) for part in rgb(NEGATIVE)]
    assert list(signed[0, 1]) == [round(20 + 0.8 * part) for part in rgb(POSITIVE)]
    assert list(signed[0, 2]) == [100, 100, 100]


def test_colour_turns_grey_by_luma():
    pixels = np.array([[[255.0, 0, 0]]])
    assert list(laid_over(pixels, np.ma.array([[0.0]]), 0, 1)[0, 0]) == [76, 76, 76]
