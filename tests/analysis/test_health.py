"""Health of parameters and layers on hand-made cases, and on anything hypothesis finds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.analysis.health import all_finite, layer_health, non_finite_parameters, update_ratio
from reportgen.core.run import Snapshot
from reportgen.errors import DataError


def snapshot(**params):
    return Snapshot(10, 1, {"params": params})


def test_parameters_with_nan_or_infinity():
    found = non_finite_parameters(
        snapshot(a=np.array([np.nan, np.nan, -np.inf]), b=np.array([np.inf, 1]), c=np.ones(1), d=np.full(2, np.nan))
    )
    assert [(f.step, f.epoch, f.name, f.nan, f.infinite, f.size) for f in found] == [
        (10, 1, "a", 2, 1, 3),
        (10, 1, "b", 0, 1, 2),
        (10, 1, "d", 2, 0, 2),
    ]
    assert non_finite_parameters(snapshot()) == () == non_finite_parameters(snapshot(a=np.zeros((0, 3))))


def test_update_ratio_is_norm_by_norm():
    rng = np.random.default_rng(0)
    before, after = (rng.normal(size=(3, 4)).astype(np.float32) for _ in range(2))
    a, b = before.astype(np.float64), after.astype(np.float64)
    assert update_ratio(before, after) == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-12)
    assert np.isnan(update_ratio(np.zeros(2), np.zeros(2)))


def test_update_ratio_of_broken_or_huge_parameters():
    broken, whole = np.array([np.nan, 1]), np.ones(2)
    assert np.isnan([update_ratio(whole, broken), update_ratio(broken, whole)]).all()
    assert update_ratio(np.full(4, 1e300), np.full(4, 1.5e300)) == pytest.approx(0.5)
    assert update_ratio(np.full(9, 6e4, np.float16), np.full(9, -6e4, np.float16)) == pytest.approx(2.0)
    with pytest.raises(DataError, match="k changes its shape"):
        update_ratio(np.ones(2), np.ones(3), "k")


def test_large_parameters_are_worked_on_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    before = rng.normal(size=(7, 11)).astype(np.float32)
    after = before + rng.normal(size=before.shape).astype(np.float32)
    broken = after.copy()
    broken[6, 10], broken[0, 0] = np.inf, np.nan
    whole = update_ratio(before, after)
    for name in ("PART", "CACHED"):
        monkeypatch.setattr(f"reportgen.analysis.numerics.{name}", 10)
    assert math.isclose(update_ratio(before, after), whole, rel_tol=1e-12)
    assert math.isnan(update_ratio(before, broken)) and all_finite(after) and not all_finite(broken)
    (found,) = non_finite_parameters(Snapshot(3, 1, {"params": {"k": broken, "b": np.zeros(3, np.int32)}}))
    assert (found.name, found.nan, found.infinite, found.size) == ("k", 1, 1, 77)


def test_channels_that_carry_nothing():
    maps = np.random.default_rng(0).random((4, 5, 5, 6)).astype(np.float32) + 0.1
    maps[..., 1] = 0
    maps[..., 2] = -3
    maps[2, 1, 1, 4] = np.nan
    maps[..., 5] = 0
    health = layer_health("conv/relu", maps, "relu")
    assert (health.dead, health.constant, health.non_finite) == ((1, 5), (2,), (4,))
    assert health.saturated is None
    assert (health.images, health.channels) == (4, 6)
    # Channel 5 was active on an evaluation image of label 1.
    sums = np.array([[1, 0, 1, 1, 1, 0], [1, 0, 1, 1, 1, 0.5]])
    assert layer_health("conv/relu", maps, "relu", sums).dead == (1,)


def test_saturated_channels():
    values = np.random.default_rng(0).normal(size=(200, 3))
    squashed = np.tanh(values * [0.5, 100, 1])
    assert layer_health("d/tanh", squashed, "tanh").saturated == (1,)
    assert layer_health("d/sigmoid", (1 + np.tanh(values * [1, 1, 400])) / 2, "sigmoid").saturated == (2,)
    six = np.where(np.arange(200)[:, None] < [2, 100, 198], values * 0 + 1, 6.0)
    assert layer_health("d/relu6", six, "relu6").saturated == (0,)
    assert layer_health("d/relu6", np.where(six == 6, 0, six), "relu6").saturated == ()


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4)), st.booleans())
def test_any_maps(maps, squashing):
    health = layer_health("x", maps, "tanh" if squashing else "")
    groups = [health.dead, health.constant, health.non_finite, health.saturated or ()]
    members = [channel for group in groups for channel in group]
    assert len(members) == len(set(members)) and set(members) <= set(range(health.channels))
    assert health.non_finite == tuple(
        channel for channel in range(health.channels) if not np.isfinite(maps[..., channel]).all()
    )
    for channel in health.dead:
        assert (maps[..., channel] == 0).all()


def test_one_number_for_each_image_is_one_channel():
    health = layer_health("energy/sigmoid", np.array([0.0, 1.0, 1.0]), "sigmoid")
    assert (health.images, health.channels, health.saturated) == (3, 1, (0,))
    assert layer_health("x", np.zeros(3)).dead == (0,)


def test_no_image_condemns_no_channel():
    health = layer_health("x", np.zeros((0, 4, 4, 3)), "tanh")
    assert (health.dead, health.constant, health.saturated, health.non_finite) == ((), (), (), ())
    with pytest.raises(DataError, match="3 channels"):
        layer_health("x", np.zeros((2, 3)), label_sums=np.zeros((2, 4)))
