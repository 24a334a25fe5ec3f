"""Fingerprints of examples: equal for equal inputs alone, whatever holds them."""

from collections import namedtuple

import numpy as np

from reportgen.core.examples import BLOCK, common, fingerprints, fingerprints_of, leaves
from reportgen.core.run import Batch, LazyArray

IMAGES = np.random.default_rng(0).random((BLOCK + 7, 3, 2)).astype(np.float32)


def test_each_example_has_its_own_and_equal_ones_share_it():
    twice = np.concatenate([IMAGES, IMAGES[:5]])
    found = fingerprints(twice)
    assert found.dtype == np.uint64 and len(np.unique(found)) == len(IMAGES)
    np.testing.assert_array_equal(found[-5:], found[:5])


def test_they_are_of_the_example_alone_not_of_its_place_or_of_what_holds_it():
    order = np.random.default_rng(1).permutation(len(IMAGES))
    np.testing.assert_array_equal(fingerprints(IMAGES[order]), fingerprints(IMAGES)[order])
    lazy = LazyArray(IMAGES.shape, lambda chosen: IMAGES[chosen])
    np.testing.assert_array_equal(fingerprints(lazy), fingerprints(IMAGES))
    pair = {"a": IMAGES[:9], "b": IMAGES[9:18]}
    np.testing.assert_array_equal(fingerprints(pair), fingerprints(dict(reversed(pair.items()))))
    # A tuple comes back from a run as a dict.
    np.testing.assert_array_equal(
        fingerprints((IMAGES[:9], IMAGES[9:18])), fingerprints({"0": IMAGES[:9], "1": IMAGES[9:18]})
    )


def test_another_value_type_shape_or_name_is_another_example():
    one = IMAGES[:1]
    changed = one.copy()
    changed[0, 2, 1] = np.nextafter(changed[0, 2, 1], np.float32(2))
    others = [changed, one.astype(np.float64), one.reshape(1, 2, 3), {"a": one}, {"b": one}]
    values = [int(fingerprints(inputs)[0]) for inputs in [one, *others]]
    assert len(set(values)) == len(values)


def test_those_of_a_batch_are_the_recorded_ones_or_computed_where_all_inputs_are_there():
    recorded = np.array([5, 6], np.uint64)
    assert fingerprints_of(Batch(2, None, fingerprints=recorded)) is recorded
    np.testing.assert_array_equal(fingerprints_of(Batch(9, IMAGES[:9])), fingerprints(IMAGES[:9]))
    assert fingerprints_of(Batch(9, IMAGES[:8])) is None
    assert fingerprints_of(Batch(9)) is None


def test_common_examples_are_paired_once_copies_in_order():
    here, there = common(np.array([7, 8, 7, 9], np.uint64), np.array([9, 7, 1, 7, 7], np.uint64))
    assert here.tolist() == [0, 2, 3] and there.tolist() == [1, 3, 0]
    here, there = common(np.array([1], np.uint64), np.zeros(0, np.uint64))
    assert here.shape == there.shape == (0,)


def test_parts_of_a_named_tuple_have_their_names():
    pair = namedtuple("pair", "tokens mask")(np.zeros((2, 3)), (np.ones(2), np.ones(2)))
    assert list(leaves(pair)) == ["tokens", "mask/0", "mask/1"]
    assert list(leaves((1, (2, 3)))) == ["0", "1/0", "1/1"]
