"""Verdicts on two networks, recomputed by code of the tests' own."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from reportgen.analysis.paired import differ, holm, mcnemar, paired, paired_scores, seeds
from reportgen.errors import DataError


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_two_sided_binomial_test(fixed, broken):
    n = fixed + broken
    tail = sum(comb(n, k) for k in range(min(fixed, broken) + 1)) / 2**n
    assert mcnemar(fixed, broken) == pytest.approx(min(1.0, 2 * tail))


def table(both: int, broken: int, fixed: int, neither: int):
    before = np.repeat([True, True, False, False], [both, broken, fixed, neither])
    after = np.repeat([True, False, True, False], [both, broken, fixed, neither])
    return before, after


def test_the_interval_of_a_difference_is_newcombes():
    # Newcombe (1998), Statistics in Medicine 17, 2635-2650, table III: 12, 9, 2, 21 of 44 (method 10).
    result = paired(*table(12, 2, 9, 21))
    assert result.difference == pytest.approx(7 / 44)
    low, high = result.interval
    assert low < result.difference < high and low >= -1 and high <= 1
    count = 44
    (l1, u1), (l2, u2) = (scipy.stats.binomtest(k, count).proportion_ci(0.95, "wilson") for k in (14, 21))
    p1, p2 = 14 / count, 21 / count
    between = 12 * 21 - 9 * 2
    phi = max(between - count / 2, 0) / np.sqrt(14 * 30 * 21 * 23)
    assert low == pytest.approx(p2 - p1 - np.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2))
    assert high == pytest.approx(p2 - p1 + np.sqrt((u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p1 - l1) + (p1 - l1) ** 2))


def test_it_covers_the_true_difference_of_networks_that_err_together():
    rng = np.random.default_rng(0)

    def draw(count: int):
        hard = rng.random(count)
        return hard < 0.85, hard + rng.normal(0, 0.05, count) < 0.88

    before, after = draw(400_000)
    true = after.mean() - before.mean()
    intervals = [paired(*draw(200)).interval for _ in range(400)]
    assert sum(low <= true <= high for low, high in intervals) >= 370


def test_exchanging_the_networks_turns_the_signs_alone():
    before, after = table(50, 9, 3, 7)
    one, other = paired(before, after), paired(after, before)
    assert other.difference == -one.difference and other.p == one.p
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))
    np.testing.assert_array_equal(one.fixed, other.broken)
    np.testing.assert_array_equal(one.broken, np.flatnonzero(before & ~after))


def test_equal_answers_are_no_difference():
    right = np.array([True, False, True])
    result = paired(right, right)
    assert (result.difference, result.p, len(result.fixed), len(result.broken)) == (0, 1, 0, 0)


def test_no_examples_or_unequal_numbers_are_refused():
    for pair in ((np.zeros(0, bool), np.zeros(0, bool)), (np.zeros(2, bool), np.zeros(3, bool))):
        with pytest.raises(DataError, match="the same examples"):
            paired(*pair)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_as_its_steps_say(ps):
    level, adjusted = 0.05, holm(ps)
    rejected, order = set(), sorted(range(len(ps)), key=lambda i: ps[i])
    for rank, i in enumerate(order):
        if ps[i] * (len(ps) - rank) > level:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(adjusted) if p <= level} == rejected


VALUES = ([0.971, 0.968, 0.9731, 0.966], [0.9751, 0.977, 0.9722])


def test_over_seeds_the_interval_is_welchs_and_the_test_that_of_all_orders():
    result = seeds(*VALUES)
    a, b = (np.array(values) for values in VALUES)
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(va + vb)
    assert result.difference == pytest.approx(b.mean() - a.mean())
    assert result.interval == pytest.approx((result.difference - half, result.difference + half))
    assert result.detectable == pytest.approx(half)
    ranks = scipy.stats.rankdata(np.concatenate([a, b]))
    sums = np.array([sum(chosen) for chosen in combinations(ranks, len(a))])
    ours, middle = ranks[: len(a)].sum(), sums.mean()
    assert result.p == pytest.approx(np.mean(np.abs(sums - middle) >= abs(ours - middle) - 1e-9))
    assert result.least_p == pytest.approx(2 / len(sums))


def test_three_seeds_against_three_cant_reach_a_twentieth():
    assert seeds([1, 2, 3], [14, 15, 16]).p == pytest.approx(0.1) == seeds([1, 2, 3], [4, 9, 1]).least_p


def test_without_spread_there_is_no_interval_and_no_claim():
    for before, after in (([1.0], [2.0, 3.0]), ([1.0, 1.0], [2.0, 2.0])):
        result = seeds(before, after)
        assert result.interval is None and result.detectable is None and not result.differ


def test_a_clear_difference_is_one_and_turned_around_it_has_the_other_sign():
    one, other = seeds([1, 1.1, 0.9], [2, 2.1, 1.9]), seeds([2, 2.1, 1.9], [1, 1.1, 0.9])
    assert one.differ and other.differ and other.difference == -one.difference
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="finite"):
        seeds([1.0], [float("nan")])


def scored(count, shift=0.0, counts=None, seed=0):
    """(sums, counts) of two networks whose examples have something in common."""
    rng = np.random.default_rng(seed)
    counts = np.ones(count) if counts is None else counts
    hard = rng.gamma(2, 1, count)
    return tuple((hard + rng.gamma(1, 0.3, count) + more) * counts for more in (0, shift)), counts


def test_one_score_per_example_gives_the_paired_t_interval_and_wilcoxons_test():
    (before, after), counts = scored(50, 0.2)
    result = paired_scores((before, counts), (after, counts))
    test = scipy.stats.ttest_rel(after, before)
    assert result.difference == pytest.approx(after.mean() - before.mean())
    assert result.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    changes = after - before
    ranks = scipy.stats.rankdata(np.abs(changes))
    sums = ranks[changes > 0].sum(), ranks[changes < 0].sum()
    assert result.p == pytest.approx(scipy.stats.wilcoxon(changes, method="exact").pvalue)
    assert min(sums) == scipy.stats.wilcoxon(changes).statistic
    turned = paired_scores((after, counts), (before, counts))
    assert turned.difference == -result.difference and turned.p == result.p
    assert turned.interval == pytest.approx((-result.interval[1], -result.interval[0]))


def test_wilcoxons_p_is_that_of_all_signs():
    before, after = np.zeros(8), np.array([0.3, -0.1, 0.25, 0.4, 0.05, 0.6, -0.2, 0.7])
    ranks = scipy.stats.rankdata(np.abs(after))
    ours = ranks[after > 0].sum()
    sums = np.array([sum(ranks[[bool(signs >> i & 1) for i in range(8)]]) for signs in range(2**8)])
    expected = np.mean(np.abs(sums - ranks.sum() / 2) >= abs(ours - ranks.sum() / 2))
    assert paired_scores((before, np.ones(8)), (after, np.ones(8))).p == pytest.approx(expected)


def test_over_many_things_per_example_the_interval_is_that_of_resampled_examples():
    counts = np.random.default_rng(3).integers(1, 40, 300).astype(float)
    (before, after), _ = scored(300, 0.1, counts)
    result = paired_scores((before, counts), (after, counts))
    assert result.before == pytest.approx(before.sum() / counts.sum())

    def difference(a, b, c):
        return (b.sum(-1) - a.sum(-1)) / c.sum(-1)

    drawn = scipy.stats.bootstrap(
        (before, after, counts),
        difference,
        paired=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low, high = drawn.confidence_interval
    width = high - low
    assert result.interval == pytest.approx((low, high), abs=0.08 * width)


def test_scores_cover_the_true_difference():
    hits = 0
    for seed in range(300):
        (before, after), counts = scored(40, 0.15, seed=seed)
        low, high = paired_scores((before, counts), (after, counts)).interval
        hits += low <= 0.15 <= high
    assert hits >= 275


def test_what_has_no_finite_score_in_both_is_not_used():
    sums, counts = np.array([1.0, np.nan, 2.0, 0.0, np.inf]), np.array([1.0, 1.0, 2.0, 0.0, 1.0])
    result = paired_scores((sums, counts), (np.array([3.0, 1.0, 2.0, 0.0, 1.0]), counts))
    np.testing.assert_array_equal(result.used, [0, 2])
    np.testing.assert_array_equal(result.changes, [2, 0])
    assert (result.before, result.after) == (1.0, pytest.approx(5 / 3))
    nothing = np.zeros(3)
    assert paired_scores((nothing, nothing), (nothing, nothing)) is None
    one = paired_scores((np.ones(1), np.ones(1)), (np.ones(1), np.ones(1)))
    assert one.interval is None and one.p == 1 and differ(one) is False
    with pytest.raises(DataError, match="the same examples"):
        paired_scores((np.ones(2), np.ones(2)), (np.ones(3), np.ones(3)))


def test_networks_differ_where_interval_and_test_say_so():
    def of(fixed, broken):
        places = np.arange(60)
        return differ(paired((places >= fixed) & (places < 40), (places >= broken) & (places < 40 + fixed)))

    said = [of(0, broken) for broken in (3, 5, 8)]
    assert said == [False, None, True], "the interval excludes 0 from five on, McNemar's test from six"
