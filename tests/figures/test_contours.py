"""Lines of equal value: where they must lie, at gaps and saddles, and which levels are drawn."""

import numpy as np
import pytest

from reportgen.errors import DataError
from reportgen.figures.contours import contours, levels, lines_at
from reportgen.figures.scene import Lines, Words
from reportgen.figures.svg import svg

X, Y = np.linspace(-2, 2, 41), np.linspace(-1, 1, 21)


def test_a_circle_is_one_closed_line_at_its_radius():
    (ring,) = lines_at(X, Y, np.hypot(X, Y[:, None]), 0.7)
    assert (ring[0] == ring[-1]).all()
    np.testing.assert_allclose(np.hypot(*ring.T), 0.7, atol=5e-3)


def test_values_that_are_linear_have_exact_lines():
    (line,) = lines_at(X, Y, 2 * X + Y[:, None], 0.33)
    np.testing.assert_allclose(2 * line[:, 0] + line[:, 1], 0.33, atol=1e-12)
    assert {*line[[0, -1], 1].round(6)} == {-1.0, 1.0}


def test_what_is_not_finite_is_a_gap():
    values = np.broadcast_to(X, (21, 41)).copy()
    values[10, 20] = np.nan
    lines = lines_at(X, Y, values, 0.01)
    assert len(lines) == 2
    assert all((np.abs(line[:, 1]) >= Y[11] - 1e-12).all() for line in lines)


@pytest.mark.parametrize(("level", "around"), [(0.4, 1), (0.6, 0)])
def test_a_saddle_joins_the_side_of_its_mean(level, around):
    lines = lines_at(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([[1.0, 0.0], [0.0, 1.0]]), level)
    # The mean, 0.5, is above the lower level: the two high corners are joined, and each line cuts a low corner off.
    corners = {tuple(line.mean(axis=0).round()) for line in lines}
    assert corners == ({(1.0, 0.0), (0.0, 1.0)} if around else {(0.0, 0.0), (1.0, 1.0)})


def test_levels_are_round_and_inside():
    assert levels(np.array([[0.015, 2.3]])) == [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    assert levels(np.array([[1.0, 2.0, np.nan]])) == pytest.approx([1.2, 1.4, 1.6, 1.8])
    assert levels(np.array([[1.0, 1.0]])) == levels(np.array([[np.nan]])) == []
    assert len(levels(np.array([[1e-12, 1e12]]))) <= 12


def test_the_chart_has_a_number_on_each_level_and_both_ends_named():
    values = np.hypot(X, Y[:, None]) + 0.05
    scene = contours(X, Y, values, np.array([[-1.5, -0.5], [0.3, 0.2]]), ("step 0", "step 9"))
    words = [part.text for part in scene.parts if isinstance(part, Words)]
    assert {"step 0", "step 9", "0.1", "0.2", "0.5", "1", "2"} <= set(words)
    assert sum(len(part.lines) for part in scene.parts if isinstance(part, Lines)) > 4
    assert "<svg" in svg(scene, themed=True)
    with pytest.raises(DataError, match="values must be"):
        contours(X, Y, values.T, np.zeros((2, 2)), ("a", "b"))
