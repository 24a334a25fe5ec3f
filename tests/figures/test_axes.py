from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.figures.axes import Scale, decade_ticks, fitting, padded, round_step, round_ticks
from reportgen.figures.fonts import text_width


def test_a_scale_runs_from_its_start_to_its_end():
    scale = Scale(-1, 3, 200, 100)
    assert scale([-1, 0, 3]).tolist() == [200, 175, 100]
    logarithmic = Scale(0.01, 100, 0, 40, logarithmic=True)
    assert logarithmic([0.01, 1, 100]) == pytest.approx([0, 20, 40])
    assert np.isnan(logarithmic([0.0, -1.0, np.nan])).all()


@given(st.floats(-1e300, 1e300), st.floats(1e-6, 1e6), st.integers(2, 9))
def test_ticks_are_round_few_and_within(low, relative, most):
    high = low + max(abs(low), 1e-300) * relative
    ticks = round_ticks(low, high, most)
    assert len(ticks) <= most + 1
    slack = (high - low) * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    if len(ticks) > 2:
        assert np.ptp(np.diff(ticks)) <= abs(np.diff(ticks)).max() * 1e-3


@pytest.mark.parametrize(
    "low, high, most, ticks", [(0, 100, 6, [0, 20, 40, 60, 80, 100]), (-0.3, 0.3, 3, [-0.2, 0, 0.2])]
)
def test_ticks_of_known_ranges(low, high, most, ticks):
    assert round_ticks(low, high, most) == pytest.approx(ticks)


def test_whole_ticks_and_decades():
    assert round_ticks(0, 2, 6, whole=True) == [0, 1, 2]
    assert decade_ticks(0.008, 3) == pytest.approx([0.01, 0.03, 0.1, 0.3, 1, 3])
    assert decade_ticks(1e-9, 1e9) == pytest.approx([1e-9, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9])
    assert round_step(3) == 5


def test_a_range_has_a_margin():
    assert padded(np.array([0.0, 10.0, np.nan])) == (-0.5, 10.5)
    assert padded(np.array([2.0])) == (1.9, 2.1) and padded(np.zeros(0)) == (0, 1)
    assert padded(np.array([1.0, 100.0]), logarithmic=True) == pytest.approx((10**-0.1, 10**2.1))


@pytest.mark.parametrize("reach", [0.47, 3e-4, 1e-12, 123456.0])
def test_numbers_below_an_axis_do_not_touch(reach):
    scale = Scale(-reach, reach, 64, 320)
    names = fitting(scale, digits=2)
    ends = [
        (float(scale(at)) - text_width(name, 11) / 2, float(scale(at)) + text_width(name, 11) / 2)
        for at, name in names.items()
    ]
    assert len(names) >= 1 and all(right < left for (_, right), (left, _) in pairwise(ends))
