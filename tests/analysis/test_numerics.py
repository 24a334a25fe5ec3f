"""Sums of values of any size against exact ones."""

import math

import numpy as np
import pytest

from reportgen.analysis.numerics import mean, norm

VALUES = np.random.default_rng(0).normal(size=1000)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-100, 1.0, 1e150, 1e155, 5e307])
def test_sums_hold_for_values_of_any_size(scale):
    values = np.clip(VALUES, -3, 3) * scale
    exact = math.sqrt(math.fsum((value / scale) ** 2 for value in values)) * scale
    assert norm(values) == pytest.approx(exact, rel=1e-9 if scale > 1e-300 else 1e-3)
    assert mean(np.abs(values)) == pytest.approx(math.fsum(np.abs(values) / scale) / 1000 * scale, rel=1e-9)


def test_sums_of_what_has_no_size():
    assert norm(np.zeros(0)) == norm(np.zeros(3)) == 0.0 and mean(np.zeros(0)) is None and mean(np.zeros(3)) == 0.0
    assert norm(np.full(4, np.finfo(float).max)) == np.inf
