"""scikit-learn's digits: all of them, scaled, split by class."""

from collections import Counter

import numpy as np
from sklearn.datasets import load_digits

from reportgen.data import digits


def test_holds_every_digit_once_in_a_stratified_split() -> None:
    loaded = digits.load()
    bunch = load_digits()
    images = np.concatenate([loaded.train_images, loaded.test_images]).reshape(-1, 64) * 16
    labels = np.concatenate([loaded.train_labels, loaded.test_labels])
    found = Counter((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))
    truth = zip(bunch.data.astype(np.float32), bunch.target, strict=True)
    assert found == Counter((image.tobytes(), int(label)) for image, label in truth)
    per_class = np.bincount(bunch.target)
    np.testing.assert_array_equal(np.bincount(loaded.test_labels), np.rint(per_class * 0.2))
