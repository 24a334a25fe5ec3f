"""What makes a dataset valid, what its fingerprint covers, and the stratified draw."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.data.dataset import make_dataset, split_dataset, stratified_split
from reportgen.errors import DataError

IMAGES = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
LABELS = np.array([0, 1])


def make(images=IMAGES, labels=LABELS, test_images=IMAGES, test_labels=LABELS, classes=("a", "b")):
    return make_dataset("set", images, labels, test_images, test_labels, classes)


def test_bytes_become_float32_from_0_to_1_with_a_channel_axis() -> None:
    data = make(np.array([[[0, 51], [102, 255]]] * 2, np.uint8), test_images=np.zeros((2, 2, 2, 1), np.uint8))
    assert data.train_images.dtype == np.float32
    assert data.train_images.shape == (2, 2, 2, 1)
    np.testing.assert_array_equal(data.train_images[0, :, :, 0], np.float32([[0, 0.2], [0.4, 1]]))
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert data.image_shape == (2, 2, 1)
    assert data.classes == ("a", "b")


def test_floats_are_taken_as_they_are() -> None:
    images = np.linspace(0, 1, 24, dtype=np.float64).reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(make(images, test_images=images).train_images, images.astype(np.float32))


def test_fingerprint_is_the_sha256_of_classes_dtypes_shapes_and_bytes() -> None:
    labels = LABELS.astype(np.int64)
    digest = hashlib.sha256(b"('a', 'b')")
    for _ in range(2):
        digest.update(b"|u1(2, 3, 3)" + bytes(range(18)))
        digest.update(b"<i8(2,)" + labels.tobytes())
    assert make(labels=labels, test_labels=labels).fingerprint == digest.hexdigest()


def test_fingerprint_changes_with_every_part_and_not_with_memory_layout() -> None:
    changed = IMAGES.copy()
    changed[1, 2, 2] += 1
    swapped = LABELS[::-1]
    reshaped = IMAGES.reshape(2, 1, 9)
    variants = [
        make(),
        make(images=changed),
        make(labels=swapped),
        make(test_images=changed),
        make(test_labels=swapped),
        make(classes=("a", "c")),
        make(images=reshaped, test_images=reshaped),
    ]
    assert len({data.fingerprint for data in variants}) == len(variants)
    assert make(images=np.asfortranarray(IMAGES)).fingerprint == make().fingerprint
    assert make(labels=LABELS.astype(">i8")).fingerprint == make().fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": IMAGES[0]}, r"set: train images have shape \[3, 3\]"),
        ({"images": IMAGES[:1]}, "set: train: 1 images, but 2 labels"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "they are empty"),
        ({"test_images": IMAGES[:, :0]}, "test images .* they are empty"),
        ({"images": IMAGES.astype(np.int32)}, "train images are int32; expected uint8"),
        ({"images": IMAGES.astype(np.float32)}, "range from 0 to 17; expected 0 to 1"),
        ({"images": np.full((2, 3, 3), np.nan)}, "range from nan to nan"),
        ({"images": np.where(IMAGES == 4, np.nan, 0.5)}, "without NaN"),
        ({"images": np.where(IMAGES == 4, -np.inf, 0.5)}, "range from -inf to 0.5"),
        ({"images": np.zeros((2, 3, 32, 32), np.uint8)}, "looks like channels first"),
        ({"test_images": IMAGES[:, :2]}, r"training images are \[3, 3, 1\], test images \[2, 3, 1\]"),
        ({"labels": np.array([0.0, 1.0])}, "train labels are float64"),
        ({"labels": np.array([[0, 1]])}, r"train labels are int64 \[1, 2\]"),
        ({"labels": np.array([0, 2])}, "train labels range from 0 to 2; 2 classes have labels 0 to 1"),
        ({"test_labels": np.array([-1, 1])}, "test labels range from -1 to 1"),
        ({"classes": ("a",)}, r"1 class \("),
        ({"classes": ("a", "a")}, r"repeat or are empty: \['a'\]"),
        ({"classes": ("a", " ")}, r"repeat or are empty: \[' '\]"),
    ],
)
def test_refuses(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**change)


@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 5),
)
def test_split_parts_every_class_in_proportion(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.random.default_rng(9).permutation(np.repeat(np.arange(len(counts)) * 3, counts))
    train, test = stratified_split(labels, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for index, count in enumerate(counts):
        tested = int((labels[test] == index * 3).sum())
        assert 1 <= tested <= count - 1
        assert abs(tested - fraction * count) <= 1
    again = stratified_split(labels.copy(), fraction, seed)
    np.testing.assert_array_equal(train, again[0])
    np.testing.assert_array_equal(test, again[1])


def test_split_is_shuffled_and_follows_its_seed() -> None:
    labels = np.repeat(np.arange(10), 100)
    train, test = stratified_split(labels)
    assert len(set(labels[train][:50])) > 5
    assert len(set(labels[test][:50])) > 5
    assert set(test) != set(stratified_split(labels, seed=1)[1])


def test_split_needs_two_images_of_a_class() -> None:
    with pytest.raises(DataError, match="label 7 has a single image"):
        stratified_split(np.array([1, 1, 7]))


def test_split_dataset_keeps_images_with_their_labels() -> None:
    labels = np.repeat(np.arange(4), 10)
    images = np.broadcast_to(labels.astype(np.uint8)[:, None, None], (40, 2, 2))
    data = split_dataset("set", images, labels, "abcd")
    assert (len(data.train_labels), len(data.test_labels)) == (32, 8)
    for part, truth in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        np.testing.assert_array_equal(np.rint(part[:, 0, 0, 0] * 255), truth)
    with pytest.raises(DataError, match="3 images, but labels of shape"):
        split_dataset("set", images[:3], labels, "abcd")
    with pytest.raises(DataError, match="there are no images"):
        split_dataset("set", images[:0], labels[:0], "abcd")
