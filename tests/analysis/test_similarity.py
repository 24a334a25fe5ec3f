"""Similarity of two networks' layers, against direct implementations."""

from itertools import permutations

import numpy as np
import pytest

from reportgen.analysis.similarity import LEAST, Matches, linear_cka, match, procrustes, similarity, turned
from reportgen.errors import DataError

RNG = np.random.default_rng(0)


def direct_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. (2012), equation 4, by the kernel matrices themselves."""

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        n, one = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        both = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return (both - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))

    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


@pytest.mark.parametrize("widths", [(3, 3), (5, 40), (100, 7)])
def test_cka_is_the_ratio_of_unbiased_estimates(widths):
    x = RNG.normal(2, 1, (50, widths[0]))
    y = np.tanh(x @ RNG.normal(size=widths)) + RNG.normal(size=(50, widths[1])) + 5
    assert linear_cka(x, y) == pytest.approx(direct_cka(x, y))
    assert similarity(x, y).cka == pytest.approx(direct_cka(x, y))


def test_identical_layers_have_exactly_1_and_rotated_and_scaled_ones_1():
    x = RNG.normal(size=(60, 8))
    result = similarity(x, x)
    assert (result.cka, result.interval, result.same) == (1.0, (1.0, 1.0), "values")
    rotation, _ = np.linalg.qr(RNG.normal(size=(8, 8)))
    result = similarity(x, 3 * x @ rotation + 1)
    assert result.cka == pytest.approx(1) and result.same == ""
    assert result.procrustes == pytest.approx(1, abs=1e-6)


def test_unrelated_layers_have_about_0_however_wide_and_are_within_chance():
    values = [similarity(RNG.normal(size=(60, 200)), RNG.normal(size=(60, 150))) for _ in range(20)]
    # The biased estimate would be near .75 here.
    assert abs(np.mean([v.cka for v in values])) < 0.05
    assert sum(v.beyond_chance for v in values) <= 3
    assert all(v.procrustes is None for v in values)


def test_the_interval_covers_the_value_of_many_examples():
    mix = RNG.normal(size=(6, 5))

    def draw(n: int):
        x = RNG.normal(size=(n, 6))
        return x, x @ mix + 2 * RNG.normal(size=(n, 5))

    true = linear_cka(*draw(20_000))
    results = [similarity(*draw(200)) for _ in range(40)]
    assert sum(r.interval[0] <= true <= r.interval[1] for r in results) >= 34


def test_everything_is_the_same_with_the_networks_exchanged():
    x = RNG.normal(size=(61, 7))
    y = np.maximum(x @ RNG.normal(size=(7, 4)), 0)
    one, other = similarity(x, y), similarity(y, x)
    for name in ("cka", "interval", "null", "procrustes"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))
    assert one.matches.null == pytest.approx(other.matches.null)
    pairs = set(zip(one.matches.before.tolist(), one.matches.after.tolist(), strict=True))
    assert pairs == set(zip(other.matches.after.tolist(), other.matches.before.tolist(), strict=True))


def test_channels_are_matched_as_by_trying_all_orders():
    x = RNG.normal(size=(40, 6))
    y = x[:, RNG.permutation(6)] + 2 * RNG.normal(size=(40, 6))
    r = np.corrcoef(x.T, y.T)[:6, 6:]
    best = max(permutations(range(6)), key=lambda order: sum(r[i, j] for i, j in enumerate(order)))
    found = match(x, y, np.arange(40))
    assert dict(zip(found.before.tolist(), found.after.tolist(), strict=True)) == dict(enumerate(best))
    assert found.correlation == pytest.approx([r[i, j] for i, j in zip(found.before, found.after, strict=True)])
    assert (np.diff(found.correlation) <= 0).all()


def test_permuted_channels_are_the_same_network_dead_ones_included():
    x = np.maximum(RNG.normal(size=(80, 9)), 0)
    x[:, 2] = x[:, 5] = 0
    order = RNG.permutation(9)
    result = similarity(x.astype(np.float16), x[:, order].astype(np.float16))
    assert result.same == "order" and result.matches.alike == 7
    changed = x.copy()
    changed[:, 1] *= 1.05
    assert similarity(x, changed[:, order]).same == ""
    changed = x.copy()
    changed[:, 2] = 1.0
    assert similarity(x, changed).same == ""


def test_a_wider_layer_leaves_channels_over():
    x = RNG.normal(size=(50, 4))
    result = similarity(x, np.hstack([RNG.normal(size=(50, 3)), x]))
    assert result.channels == (4, 7) and result.matches.alike == 4
    assert sorted(result.matches.after.tolist()) == [3, 4, 5, 6]


def test_shuffled_examples_match_no_channels():
    x = RNG.normal(size=(400, 5))
    assert isinstance(similarity(x, x).matches, Matches) and similarity(x, x).matches.null < 0.3


def test_a_constant_layer_has_no_similarity_and_breaks_nothing():
    constant, x = np.full((30, 3), 0.1), RNG.normal(size=(30, 3))
    result = similarity(constant, x)
    assert (result.cka, result.interval, result.null, result.procrustes) == (None, None, None, None)
    assert not result.beyond_chance and result.matches.correlation.tolist() == [0, 0, 0]


def test_examples_that_are_not_finite_are_left_out_and_too_few_refused():
    x = RNG.normal(size=(LEAST + 1, 3))
    y = x.copy()
    y[0, 0] = np.nan
    assert similarity(x, y).examples == LEAST
    y[1, 1] = np.inf
    with pytest.raises(DataError, match=f"at least {LEAST} examples"):
        similarity(x, y)
    with pytest.raises(DataError, match="got"):
        similarity(x, x[:-1])


def test_procrustes_explains_what_it_was_not_fitted_on():
    x = RNG.normal(size=(200, 5))
    rotation, _ = np.linalg.qr(RNG.normal(size=(5, 5)))
    assert procrustes(x, x @ rotation) == pytest.approx(1)
    noisy = procrustes(x, x @ rotation + RNG.normal(size=(200, 5)))
    assert 0.4 < noisy < 0.9
    assert procrustes(x, RNG.normal(size=(200, 5))) < 0.4
    assert procrustes(x, x[:, :3]) == pytest.approx(procrustes(x[:, :3], x))


def test_turned_values_keep_their_distances():
    x = RNG.normal(size=(30, 4))
    rotation, _ = np.linalg.qr(RNG.normal(size=(4, 4)))
    np.testing.assert_allclose(turned(x @ rotation, x), x, atol=1e-9)
