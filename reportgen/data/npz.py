"""A user's own arrays in one NumPy file.

    numpy.savez("flowers.npz", images=images, labels=labels, classes=["rose", "tulip"])
    data = npz.load(Path("flowers.npz"))

Keys: `images` uint8 (divided by 255) or floating point 0..1, [image, height, width(, channel)];
`labels` integers [image], counting from 0; optional `test_images` and `test_labels`, of the same form;
optional `classes`, a string per label. Other keys are ignored.
"""

from pathlib import Path

import numpy as np

from reportgen.data.dataset import Dataset, make_dataset, split_dataset
from reportgen.errors import DataError
from reportgen.npz import read_npz

KEYS = ("images", "labels", "test_images", "test_labels", "classes")


def load(path: Path) -> Dataset:
    """The dataset of an .npz file, named after it; without test arrays, in a fixed stratified 80/20 split.

    Without `classes` the label numbers are the names, and every number from 0 to the largest must occur.

    Raises DataError that names the file and the array for missing keys, object arrays (never unpickled),
    wrong ranks, lengths, dtypes or ranges, NaN, labels that are negative or have gaps, and archives that are
    damaged or expand too far.
    """
    arrays = read_npz(path, DataError, KEYS)
    absent = [key for key in ("images", "labels") if key not in arrays]
    if absent:
        present = f"found only {', '.join(arrays)}" if arrays else "found none of these"
        raise DataError(
            f"{path}: no array {' and no array '.join(absent)}; expected images, labels and, optionally, "
            f"test_images, test_labels, classes; {present}",
            code="D110",
        )
    if ("test_images" in arrays) != ("test_labels" in arrays):
        raise DataError(f"{path}: test_images and test_labels belong together, but one of them is missing", code="D110")
    labels = arrays["labels"]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or labels.size == 0:
        raise DataError(
            f"{path}: labels are {labels.dtype} {list(labels.shape)}; expected integers [image]", code="D103"
        )
    classes = _classes(path, arrays)
    if "test_images" in arrays:
        tests = arrays["test_images"], arrays["test_labels"]
        return make_dataset(path.stem, arrays["images"], labels, *tests, classes)
    if arrays["images"].ndim == 0:
        raise DataError(f"{path}: images is a single number; expected [image, height, width(, channel)]", code="D102")
    return split_dataset(path.stem, arrays["images"], labels, classes)


def _classes(path: Path, arrays: dict[str, np.ndarray]) -> list[str]:
    if "classes" in arrays:
        classes = arrays["classes"]
        if classes.ndim != 1 or classes.dtype.kind not in "USiu":
            raise DataError(
                f"{path}: classes are {classes.dtype} {list(classes.shape)}; expected strings [label]", code="D104"
            )
        if classes.dtype.kind == "S":
            try:
                return [name.decode() for name in classes.tolist()]
            except UnicodeDecodeError as problem:
                raise DataError(f"{path}: classes are bytes that are not UTF-8 ({problem})", code="D104") from problem
        return [str(name) for name in classes.tolist()]
    present = np.unique(arrays["labels"])
    if present[0] < 0:
        raise DataError(f"{path}: label {present[0]} is negative; labels count from 0", code="D103")
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if gaps.size:
        raise DataError(
            f"{path}: labels have a gap: {present[gaps[0]]} occurs, {gaps[0]} does not; "
            "renumber them from 0, or name all classes in the array classes",
            code="D103",
        )
    return [str(label) for label in present]
