"""Parameter differences against plain loops, and on values that tempt to plausible nonsense."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.analysis.diffs import difference, differences
from reportgen.core.run import Snapshot
from reportgen.errors import DataError, OptionError

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
ANYTHING = st.floats(allow_nan=True, allow_infinity=True, width=64)


def by_hand(before: list[float], after: list[float]) -> dict:
    pairs = [(a, b - a) for a, b in zip(before, after, strict=True) if math.isfinite(b - a)]
    changes = [d for _, d in pairs]
    n = len(pairs)
    result = {
        "non_finite": len(before) - n,
        "increased": sum(d > 0 for d in changes),
        "decreased": sum(d < 0 for d in changes),
        "away": sum((a > 0 and d > 0) or (a < 0 and d < 0) for a, d in pairs),
        "toward": sum((a > 0 and d < 0) or (a < 0 and d > 0) for a, d in pairs),
        "mean": math.fsum(changes) / n if n else None,
        "mean_abs": math.fsum(map(abs, changes)) / n if n else None,
        "max_abs": max(map(abs, changes)) if n else None,
        "correlation": None,
    }
    if len({a for a, _ in pairs}) > 1 and len(set(changes)) > 1:
        mean_a, mean_d = math.fsum(a for a, _ in pairs) / n, result["mean"]
        cross = math.fsum((a - mean_a) * (d - mean_d) for a, d in pairs)
        spread = math.fsum((a - mean_a) ** 2 for a, _ in pairs) * math.fsum((d - mean_d) ** 2 for d in changes)
        result["correlation"] = cross / math.sqrt(spread)
    return result


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40))
def test_numbers_are_those_of_a_loop(pairs):
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    diff = difference(np.array(before, dtype=np.float64), np.array(after, dtype=np.float64))
    for name, expected in by_hand(before, after).items():
        found = getattr(diff, name)
        if expected is None:
            assert found is None, name
        else:
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-6), name


@given(hnp.arrays(np.float64, st.integers(0, 12), elements=ANYTHING), st.data())
def test_any_values_give_finite_numbers_or_none(before, data):
    after = data.draw(hnp.arrays(np.float64, before.shape, elements=ANYTHING))
    diff = difference(before, after)
    for value in (diff.mean, diff.mean_abs, diff.max_abs, diff.correlation):
        assert value is None or math.isfinite(value)
    assert diff.increased + diff.decreased + diff.non_finite <= diff.size
    assert diff.correlation is None or -1 <= diff.correlation <= 1
    if diff.non_finite < diff.size:
        assert abs(diff.mean) <= diff.mean_abs * (1 + 1e-12) and diff.mean_abs <= diff.max_abs * (1 + 1e-12)


def test_nan_and_infinity_are_counted_and_left_out():
    diff = difference(np.array([1.0, np.nan, 2.0, np.inf, 3.0]), np.array([2.0, 1.0, np.inf, np.inf, 1.0]))
    assert diff.non_finite == 3
    assert (diff.mean, diff.mean_abs, diff.max_abs) == (-0.5, 1.5, 2.0)
    assert (diff.increased, diff.decreased, diff.away, diff.toward) == (1, 1, 1, 1)
    lost = difference(np.full(4, np.nan), np.zeros(4))
    assert (lost.mean, lost.mean_abs, lost.max_abs, lost.correlation) == (None, None, None, None)


def test_half_precision_does_not_overflow_or_lose_the_mean():
    before = np.full(70_000, -60_000.0, dtype=np.float16)
    after = np.full(70_000, 60_000.0, dtype=np.float16)
    assert difference(before, after).mean == 2 * float(np.float16(60_000.0))


def test_values_near_the_largest_number():
    diff = difference(np.array([0.0, 0.0, 0.0]), np.array([1e308, 1.5e308, 1.7e308]))
    assert diff.mean == pytest.approx(1.4e308)
    assert difference(np.array([-1.7e308]), np.array([1.7e308])).non_finite == 1


def test_bfloat16_and_integers_are_widened():
    diff = difference(np.array([1, 2], dtype=ml_dtypes.bfloat16), np.array([3, 2], dtype=ml_dtypes.bfloat16))
    assert (diff.mean, diff.increased) == (1.0, 1)
    assert difference(np.array([0], np.uint8), np.array([255], np.uint8)).mean == 255
    assert difference(np.array([255], np.uint8), np.array([0], np.uint8)).mean == -255


@pytest.mark.parametrize("before", [[0.1] * 7, [3.0], []])
def test_no_correlation_where_it_is_undefined(before):
    rising = np.arange(len(before), dtype=np.float64)
    assert difference(np.array(before), np.array(before) + rising).correlation is None
    assert difference(rising, rising + 0.25).correlation is None


def test_correlation_survives_a_large_offset():
    small = np.linspace(-1, 1, 50)
    assert difference(1e9 + small, 1e9 - small).correlation == pytest.approx(-1, abs=1e-6)


def test_weights_that_started_at_zero_are_neither_away_nor_toward():
    diff = difference(np.zeros(3), np.array([1.0, -1.0, 0.0]))
    assert (diff.away, diff.toward, diff.increased, diff.decreased) == (0, 0, 1, 1)


def test_arrays_keep_their_shape():
    diff = difference(np.ones((3, 3, 1, 8), np.float32), np.zeros((3, 3, 1, 8), np.float32), "conv/kernel")
    assert diff.delta.shape == diff.before.shape == (3, 3, 1, 8)
    assert diff.delta.dtype == np.float64 and (diff.delta == -1).all() and diff.size == 72


def test_differences_follow_the_snapshot_or_the_names_asked_for():
    first = Snapshot(0, 0, {"params": {"b": np.zeros(2), "a": np.zeros(3)}})
    last = Snapshot(4, 1, {"params": {"a": np.ones(3), "b": np.ones(2)}})
    assert [d.name for d in differences(first, last)] == ["b", "a"]
    assert [d.name for d in differences(first, last, ["a"])] == ["a"]
    with pytest.raises(OptionError, match=r"step 0 has no parameter 'c'.*existing: b, a"):
        differences(first, last, ["c"])


def test_what_does_not_match_is_said():
    with pytest.raises(DataError, match=r"k has shape \(2,\).*\(3,\)"):
        difference(np.zeros(2), np.zeros(3), "k")
    with pytest.raises(DataError, match="complex64"):
        difference(np.zeros(2, np.complex64), np.zeros(2, np.complex64))
    with pytest.raises(DataError, match=r"steps 0 and 4.*b in only one of them"):
        differences(
            Snapshot(0, 0, {"params": {"a": np.zeros(1)}}),
            Snapshot(4, 1, {"params": {"a": np.zeros(1), "b": np.zeros(1)}}),
        )


def test_a_value_that_was_nan_before_and_is_finite_after_is_what_it_is_after():
    diff = difference(np.array([[np.nan, 1.0, np.inf]]), np.array([[0.5, 2.0, 3.0]], np.float32))
    assert diff.after.tolist() == [[0.5, 2.0, 3.0]]
    np.testing.assert_array_equal(diff.delta, [[np.nan, 1.0, -np.inf]])
    assert diff.non_finite == 2 and diff.mean == 1.0


def test_a_large_parameter_is_worked_on_in_parts(monkeypatch):
    """With the same numbers as in one, also where a part holds nothing finite."""
    rng = np.random.default_rng(0)
    before = rng.normal(size=(40, 50)).astype(np.float32)
    after = before + 0.1 * rng.normal(size=before.shape).astype(np.float32) + 0.05 * before
    before[3] = np.nan
    whole = difference(before, after)
    monkeypatch.setattr("reportgen.analysis.numerics.PART", 50)
    monkeypatch.setattr("reportgen.analysis.numerics.CACHED", 50)
    monkeypatch.setattr("reportgen.analysis.diffs.PART", 50)
    parts = difference(before, after)
    assert parts.delta.dtype == np.float32 and not np.shares_memory(parts.delta, after)
    np.testing.assert_array_equal(parts.delta, (after.astype(float) - before).astype(np.float32))
    for name in ("size", "non_finite", "max_abs", "increased", "decreased", "away", "toward"):
        assert getattr(parts, name) == getattr(whole, name), name
    for name in ("mean", "mean_abs", "correlation", "relative"):
        assert math.isclose(getattr(parts, name), getattr(whole, name), rel_tol=1e-6), name
    far = difference(before.astype(float) * 1e300, after.astype(float) * 1e300).correlation
    assert math.isclose(far, whole.correlation, rel_tol=1e-6)
    still = np.ones((3, 50))
    assert difference(still, still).correlation is None is difference(still, still + 1).correlation
    assert math.isclose(difference(np.full((3, 50), 1e307), np.full((3, 50), 1.1e308)).mean, 1e308)
