"""Datasets: training and test images with labels, validated on creation.

data = make_dataset("faces", train_images, train_labels, test_images, test_labels, ("cat", "dog"))
data.train_images          # float32 [image, height, width, channel], 0..1
data.fingerprint           # sha256 of the arrays; recorded in the run's provenance

train, test = stratified_split(labels, 0.2, seed=0)     # indices
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.core.classes import names_in_order
from reportgen.errors import DataError

TEST_FRACTION = 0.2
SPLIT_SEED = 0


# Without eq: == between arrays has no truth value; compare fingerprints instead.
@dataclass(frozen=True, eq=False)
class Dataset:
    """The network's input images, and their labels.

    `train_images`, `test_images`: float32 [image, height, width, channel] from 0 to 1.
    `train_labels`, `test_labels`: int64 [image], indices into `classes`.
    `fingerprint`: sha256 in hex, see `make_dataset`.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels


def make_dataset(
    name: str,
    train_images: np.ndarray,
    train_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    classes: Sequence[str] | Mapping[int, str],
) -> Dataset:
    """A `Dataset` of checked arrays.

    Images are [image, height, width] or [image, height, width, channel]: either uint8, which is
    divided by 255, or floating point from 0 to 1. Labels are integers [image], from 0 to
    len(classes) - 1. The fingerprint is the sha256 over the class names and, for each of the four
    arrays as passed in, its dtype, shape and bytes in C order.

    Raises DataError that names the array for a wrong rank, length, dtype or range, for NaN and
    infinities, no images, fewer than two classes, and class names that repeat or are empty.
    """
    try:
        names = names_in_order(classes)
    except DataError as problem:
        raise DataError(f"{name}: {problem}", code=problem.code) from problem
    if len(names) < 2:
        raise DataError(f"{name}: {len(names)} class ({', '.join(names)}); at least 2 are needed", code="D105")

    digest = hashlib.sha256(repr(names).encode())
    parts = {}
    for part, images, labels in (("train", train_images, train_labels), ("test", test_images, test_labels)):
        images, labels = np.asarray(images), np.asarray(labels)
        parts[part] = _checked(f"{name}: {part}", images, labels, len(names))
        for array in (images, labels):
            # Little-endian, so that equal arrays have equal fingerprints on every machine.
            plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            digest.update(f"{plain.dtype.str}{plain.shape}".encode())
            digest.update(plain.data if plain.size else b"")
    (images, labels), (images_, labels_) = parts["train"], parts["test"]
    if images.shape[1:] != images_.shape[1:]:
        raise DataError(
            f"{name}: training images are {list(images.shape[1:])}, test images {list(images_.shape[1:])} "
            "(height, width, channels); both must have the same size",
            code="D106",
        )
    return Dataset(name, images, labels, images_, labels_, names, digest.hexdigest())


def _checked(what: str, images: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"{what} labels are {labels.dtype} {list(labels.shape)}; expected integers [image], one per image",
            code="D103",
        )
    if images.ndim not in (3, 4):
        raise DataError(
            f"{what} images have shape {list(images.shape)}; expected [image, height, width] "
            "or [image, height, width, channel]",
            code="D102",
        )
    if len(images) != len(labels):
        raise DataError(f"{what}: {len(images)} images, but {len(labels)} labels", code="D103")
    if 0 in images.shape:
        raise DataError(f"{what} images have shape {list(images.shape)}: they are empty", code="D105")
    if images.ndim == 4 and images.shape[1] in (1, 3, 4) and images.shape[3] > 4:
        raise DataError(
            f"{what} images have shape {list(images.shape)}, which looks like channels first; "
            "transpose to [image, height, width, channel]: images.transpose(0, 2, 3, 1)",
            code="D102",
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise DataError(
            f"{what} labels range from {low} to {high}; {classes} classes have labels 0 to {classes - 1}", code="D103"
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype == np.uint8:
        return images / np.float32(255), labels.astype(np.int64)
    if images.dtype.kind != "f":
        raise DataError(
            f"{what} images are {images.dtype}; expected uint8 (0 to 255) or floating point (0 to 1)", code="D102"
        )
    smallest, largest = images.min(), images.max()
    if not (smallest >= 0 and largest <= 1):  # also true for NaN, which min and max propagate
        raise DataError(
            f"{what} images range from {smallest:g} to {largest:g}; expected 0 to 1 (or uint8), without NaN",
            code="D102",
        )
    return images.astype(np.float32), labels.astype(np.int64)


def stratified_split(
    labels: np.ndarray, test_fraction: float = TEST_FRACTION, seed: int = SPLIT_SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (train, test) that split every class in the same proportion; both shuffled.

    `labels` is an integer array [image]. Each class contributes round(test_fraction * images) test images,
    at least 1 and never all. The split depends only on `labels`, `test_fraction` and `seed`.
    Raises DataError for a class with a single image.
    """
    rng = np.random.default_rng(seed)
    train, test = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise DataError(
                f"label {label} has a single image, which can't be used for both training and testing; "
                "add images or remove the class",
                code="D105",
            )
        count = min(max(1, round(test_fraction * len(members))), len(members) - 1)
        test.append(members[:count])
        train.append(members[count:])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def split_dataset(name: str, images: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Dataset:
    """The `Dataset` of a collection without test images of its own: 80 % train, 20 % test.

    Arguments as in `make_dataset`; split by `stratified_split` with its defaults. Raises DataError.
    """
    if len(images) != len(labels) or np.ndim(labels) != 1:
        raise DataError(f"{name}: {len(images)} images, but labels of shape {list(np.shape(labels))}", code="D102")
    if len(labels) == 0:
        raise DataError(f"{name}: there are no images", code="D105")
    train, test = stratified_split(labels)
    return make_dataset(name, images[train], labels[train], images[test], labels[test], classes)
