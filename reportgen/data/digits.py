"""The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn: small and quick.

    data = digits.load()

Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository,
doi:10.24432/C50P49 (its test part), through `sklearn.datasets.load_digits`.
"""

from pathlib import Path

import numpy as np

from reportgen.data.dataset import Dataset, split_dataset
from reportgen.errors import DataError


def load(data_dir: Path | None = None) -> Dataset:
    """The dataset, pixel values 0..16 divided by 16, in a fixed stratified 80/20 split.

    Raises DataError when a `data_dir` is given: there is nothing to read from it.
    """
    if data_dir is not None:
        raise DataError("digits comes with scikit-learn and reads no data folder; omit it", code="D112")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images / 16).astype(np.float32)
    return split_dataset("digits", images, bunch.target, [str(digit) for digit in range(10)])
