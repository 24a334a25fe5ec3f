"""Labelled images through a network whose scores are NaN."""

import flax.linen as nn
import jax
import numpy as np

from reportgen.capture import prepare
from reportgen.inspection.excite import excitations
from tests.conftest import tiny_dataset


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10, name="output")(x.reshape(len(x), -1))


def test_nan_scores_are_never_right():
    """The largest of NaN scores is said to be that of class 0, and some of these images are of class 0."""
    dataset = tiny_dataset()
    assert (dataset.test_labels == 0).any()
    images = dataset.test_images
    variables = Net().init(jax.random.key(0), images[:1])
    broken = jax.tree.map(lambda x: x * np.nan, variables)
    capture = prepare(Net(), variables, images[:2])
    whole = excitations(capture, variables, dataset, images, lambda pixels: pixels / 255)
    found = excitations(capture, broken, dataset, images, lambda pixels: pixels / 255)
    assert whole.predicted == whole.label_counts.sum() > 0
    assert found.predicted == found.label_counts.sum() == 0
