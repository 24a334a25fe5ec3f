"""Confusion against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from reportgen.analysis.confusion import confusion, hardest, similar_order, wilson
from reportgen.errors import DataError


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_against_scikit_learn(pairs):
    truth, guess = np.array(pairs).T
    result = confusion(truth, guess, "abcde")
    np.testing.assert_array_equal(result.matrix, confusion_matrix(truth, guess, labels=range(5)))
    assert result.accuracy == pytest.approx(accuracy_score(truth, guess))
    recall = recall_score(truth, guess, labels=range(5), average=None, zero_division=0)
    for label in range(5):
        if label in truth:
            assert result.class_accuracy[label] == pytest.approx(recall[label])
        else:
            assert result.class_accuracy[label] is None
    assert result.images == len(pairs) == result.matrix.sum()
    assert result.misclassified.tolist() == [i for i, (t, g) in enumerate(pairs) if t != g]
    assert sum(m.count for m in result.mistakes) == len(result.misclassified)
    assert all(m.count == sum(p == (m.true, m.predicted) for p in pairs) for m in result.mistakes)
    assert [m.count for m in result.mistakes] == sorted((m.count for m in result.mistakes), reverse=True)


def test_most_confident_mistakes_come_first():
    truth, guess = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 0, 1, 0])
    gaps = np.array([0, 2, np.nan, 5, 2, 7], np.float32)
    assert confusion(truth, guess, "ab", gaps).misclassified.tolist() == [5, 3, 1, 4, 2]


def test_frequent_mistakes_first_then_by_class():
    result = confusion(np.array([2, 1, 1, 0, 0]), np.array([0, 0, 0, 2, 1]), "abc")
    assert [(m.true, m.predicted, m.count) for m in result.mistakes] == [(1, 0, 2), (0, 1, 1), (0, 2, 1), (2, 0, 1)]


def test_one_class_and_no_image():
    assert confusion(np.zeros(3, int), np.zeros(3, int), ["only"]).accuracy == 1.0
    empty = confusion(np.zeros(0), np.zeros(0), ["a", "b"], np.zeros(0))
    assert empty.accuracy is None and empty.class_accuracy == (None, None) and empty.matrix.sum() == 0


@pytest.mark.parametrize(
    ("labels", "predictions", "words"),
    [
        ([0, 1], [0], "2 labels for 1 predictions"),
        ([0, 2], [0, 1], "labels contain 2"),
        ([0, 1], [0, -2], "predictions contain -2"),
        ([0.0, 1.0], [0, 1], "labels must be"),
        ([[0, 1]], [0, 1], "labels must be"),
    ],
)
def test_bad_indices_are_named(labels, predictions, words):
    with pytest.raises(DataError, match=words):
        confusion(np.array(labels), np.array(predictions), "ab")


def test_gaps_must_match():
    with pytest.raises(DataError, match="3 logit gaps for 2 predictions"):
        confusion(np.zeros(2, int), np.zeros(2, int), "ab", np.zeros(3))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), min_size=1, max_size=40))
def test_an_image_without_a_prediction_is_in_no_column_and_never_right(pairs):
    result = confusion(*np.array(pairs).T, "abc")
    assert result.images == len(pairs) == result.matrix.sum() + sum(result.unpredicted)
    assert result.accuracy == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))
    for label in range(3):
        of = [p for t, p in pairs if t == label]
        assert result.unpredicted[label] == of.count(-1)
        assert result.matrix[label].tolist() == [of.count(p) for p in range(3)]
        assert result.class_accuracy[label] == (pytest.approx(of.count(label) / len(of)) if of else None)
    assert result.misclassified.tolist() == [i for i, (t, p) in enumerate(pairs) if t != p]
    assert -1 not in {m.predicted for m in result.mistakes}


def test_labels_are_never_minus_1():
    with pytest.raises(DataError, match="labels contain -1"):
        confusion(np.array([-1]), np.array([0]), "ab")


def test_wilson_stays_within_0_and_1():
    assert wilson(0, 10) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert wilson(10, 10) == (pytest.approx(0.7225, abs=1e-4), 1.0)
    assert wilson(50, 100) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))


def right_of(right: list[int], images: int):
    """Each class with so many of `images` correct, the rest taken for the next class."""
    count = len(right)
    labels = np.repeat(np.arange(count), images)
    guesses = np.concatenate([[i] * n + [(i + 1) % count] * (images - n) for i, n in enumerate(right)])
    return confusion(labels, guesses, [str(i) for i in range(count)])


def test_a_class_is_the_hardest_only_where_its_interval_is_apart():
    assert hardest(right_of([95, 60, 97], 100)) == 1
    assert hardest(right_of([95, 88, 97], 100)) is None
    assert hardest(right_of([9, 6, 10], 10)) is None
    assert hardest(right_of([5], 10)) is None


def test_confused_classes_stand_together():
    matrix = np.eye(6, dtype=int) * 10
    for a, b in ((0, 3), (1, 4), (2, 5)):
        matrix[a, b] = matrix[b, a] = 5
    order = similar_order(matrix).tolist()
    assert sorted(order) == list(range(6))
    assert all(abs(order.index(a) - order.index(a + 3)) == 1 for a in range(3))
    assert sorted(similar_order(np.zeros((4, 4), int))) == [0, 1, 2, 3]
