"""A user's .npz: what is taken, and one clear sentence for what is not."""

from pathlib import Path

import numpy as np
import pytest

from reportgen.data import npz
from reportgen.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)
LABELS = np.arange(20) % 2


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path / "flowers.npz", **arrays)
    return path / "flowers.npz"


def test_own_test_arrays_are_used_as_they_are(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        images=IMAGES,
        labels=LABELS,
        test_images=IMAGES[:3],
        test_labels=LABELS[:3],
        classes=["rose", "tulip"],
        ignored=np.ones(3),
    )
    data = npz.load(path)
    assert data.name == "flowers"
    assert data.classes == ("rose", "tulip")
    np.testing.assert_array_equal(data.train_images, IMAGES / np.float32(255))
    np.testing.assert_array_equal(data.test_images, IMAGES[:3] / np.float32(255))
    np.testing.assert_array_equal(data.train_labels, LABELS)
    np.testing.assert_array_equal(data.test_labels, LABELS[:3])


def test_without_test_arrays_a_fixed_fifth_is_set_aside(tmp_path: Path) -> None:
    path = save(tmp_path, images=IMAGES, labels=LABELS)
    data = npz.load(path)
    assert data.classes == ("0", "1")
    assert np.bincount(data.train_labels).tolist() == [8, 8]
    assert np.bincount(data.test_labels).tolist() == [2, 2]
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        for image, label in zip(images, labels, strict=True):
            source = np.flatnonzero((image == IMAGES / np.float32(255)).all((1, 2, 3)))
            assert LABELS[source].tolist() == [label]
    np.testing.assert_array_equal(npz.load(path).test_images, data.test_images)


def test_grey_floats_and_byte_names(tmp_path: Path) -> None:
    images = np.linspace(0, 1, 20 * 9).reshape(20, 3, 3)
    data = npz.load(save(tmp_path, images=images, labels=LABELS.astype(np.uint8), classes=[b"a", "ü".encode()]))
    assert data.image_shape == (3, 3, 1)
    assert data.classes == ("a", "ü")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, r"no array images; expected images, labels .* found only labels"),
        ({"images": None, "labels": None}, r"no array images and no array labels; .* none of these"),
        ({"images": np.array([{}] * 20)}, "never unpickled"),
        ({"classes": np.array(["a", None])}, "never unpickled"),
        ({"images": np.array(3.0)}, "single number"),
        ({"images": IMAGES[0]}, "4 images, but labels"),
        ({"images": IMAGES[:, 0, 0, 0]}, r"images have shape \[16\]"),
        ({"images": IMAGES[:7]}, "7 images, but labels of shape"),
        ({"images": np.full((20, 2, 2), np.nan)}, "without NaN"),
        ({"labels": np.eye(20)}, r"labels are float64 \[20, 20\]"),
        ({"labels": LABELS.astype(bool)}, "labels are bool"),
        ({"labels": LABELS[:0]}, "labels are int64"),
        ({"labels": LABELS - 1}, "label -1 is negative"),
        ({"labels": LABELS * 2}, "labels have a gap: 2 occurs, 1 does not"),
        ({"labels": LABELS * 10**12}, "labels have a gap: 1000000000000 occurs, 1 does not"),
        ({"labels": LABELS * 0}, r"1 class \("),
        ({"labels": np.minimum(np.arange(20), 1)}, "label 0 has a single image"),
        ({"classes": np.array(["a"])}, r"1 class \("),
        ({"classes": np.array([0.5, 1.5])}, "classes are float64"),
        ({"classes": np.array([b"\xff", b"a"])}, "not UTF-8"),
        ({"test_images": IMAGES}, "belong together"),
        ({"test_images": IMAGES, "test_labels": LABELS + 1}, "test labels range from 1 to 2"),
        ({"test_images": IMAGES, "test_labels": LABELS[:3]}, "test: 20 images, but 3 labels"),
        ({"test_images": IMAGES[:, :2], "test_labels": LABELS}, "training images are .* test images"),
    ],
)
def test_refuses(tmp_path: Path, change: dict, message: str) -> None:
    arrays = {"images": IMAGES, "labels": LABELS} | change
    path = save(tmp_path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=message):
        npz.load(path)


def test_a_named_class_may_have_no_image(tmp_path: Path) -> None:
    data = npz.load(save(tmp_path, images=IMAGES, labels=LABELS * 2, classes=["a", "b", "c"]))
    assert sorted(set(data.train_labels)) == [0, 2]
