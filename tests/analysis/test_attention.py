"""Measures of attention heads against loops over every weight."""

import math

import numpy as np
import pytest

from reportgen.analysis.attention import head_measures, repeated, rollout

DRAWN = np.random.default_rng(0)


def causal(examples, heads, length):
    raw = np.exp(2 * DRAWN.normal(size=(examples, heads, length, length))) * np.tri(length)
    return raw / raw.sum(axis=3, keepdims=True)


def test_measures_are_those_of_a_loop_over_the_counted_queries():
    weights, counted = causal(3, 2, 6), np.ones((3, 6), bool)
    counted[1, 4:] = False  # padding
    found = head_measures(weights, counted)
    assert found.queries == 16
    for head in range(2):
        bits, far, before, start = [], [], [], []
        for example, query in np.argwhere(counted):
            row = weights[example, head, query]
            bits.append(-sum(w * math.log2(w) for w in row if w > 0))
            far.append(sum(w * abs(query - key) for key, w in enumerate(row)))
            if query:
                before.append(row[query - 1])
                start.append(row[0])
        measured = [found.entropy[head], found.distance[head], found.previous[head], found.first[head]]
        assert measured == pytest.approx([np.mean(x) for x in (bits, far, before, start)])


def test_distance_in_a_picture_leaves_the_class_token_out():
    weights = np.full((1, 1, 5, 5), 0.2)
    places = np.array([[np.nan, np.nan], [0, 0], [0, 1], [1, 0], [1, 1]])
    found = head_measures(weights, np.ones((1, 5), bool), places)
    assert found.distance[0] == pytest.approx((0 + 1 + 1 + math.sqrt(2)) / 4)


def test_queries_that_read_nothing_do_not_count_and_cross_attention_has_no_distance():
    weights = causal(2, 1, 4)
    weights[0, :, 1] = np.nan
    assert head_measures(weights, np.ones((2, 4), bool)).queries == 7
    cross = np.full((2, 1, 3, 4), 0.25)
    found = head_measures(cross, np.ones((2, 3), bool))
    assert found.entropy[0] == 2
    assert np.isnan([found.distance[0], found.previous[0], found.first[0]]).all()
    assert head_measures(cross, np.zeros((2, 3), bool)).queries == 0


def test_prefix_matching_is_that_of_a_loop():
    tokens, counted = DRAWN.integers(0, 4, (5, 9)), np.ones((5, 9), bool)
    counted[2, 6:] = False
    weights = causal(5, 3, 9)
    found = repeated(weights, tokens, counted)
    scores, chances = [], []
    for example, query in np.argwhere(counted):
        after = [
            key
            for key in range(1, query)
            if tokens[example, key - 1] == tokens[example, query] and counted[example, key - 1]
        ]
        if after:
            scores.append(weights[example, :, query, after].sum(axis=0))
            chances.append(len(after) / (query + 1))
    assert found.queries == len(scores) > 10
    np.testing.assert_allclose(found.score, np.mean(scores, axis=0))
    assert found.chance == pytest.approx(np.mean(chances))


def test_an_induction_head_scores_one():
    tokens = np.tile(np.arange(6), 2)[None]
    weights = np.zeros((1, 1, 12, 12))
    for query in range(12):
        weights[0, 0, query, query - 5 if query > 5 else 0] = 1
    found = repeated(weights, tokens, np.ones((1, 12), bool))
    assert found.score[0] == 1
    assert found.chance < 0.2


def test_tokens_that_never_return_give_no_score():
    assert repeated(causal(1, 1, 5), np.arange(5)[None], np.ones((1, 5), bool)).queries == 0


def test_rollout_multiplies_the_layers_with_the_residual_stream():
    first, second = causal(2, 3, 4), causal(2, 3, 4)
    a, b = ((each.mean(axis=1) + np.eye(4)) / 2 for each in (first, second))
    np.testing.assert_allclose(rollout([first, second]), b @ a)
    np.testing.assert_allclose(rollout([first, second]).sum(axis=2), 1)
