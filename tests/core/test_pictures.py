"""Which inputs are pictures: by their shape, and by what the network makes of their axes."""

from pathlib import Path

import numpy as np
import pytest

from reportgen.core.network import Layer, Network, Role
from reportgen.core.pictures import are_pictures, pictures_of
from reportgen.core.run import Batch, Metrics, Run


def network(*axes):
    layer = Layer("conv", "Conv", Role.CONV, tuple(range(3, 3 + len(axes))), axes)
    return Network("Net", {"conv": layer})


IN_SPACE, IN_TIME, FLAT = network("y", "x", "channel"), network("t", "channel"), network("channel")


@pytest.mark.parametrize(
    ("shape", "of", "expected"),
    [
        ((9, 28, 28), IN_SPACE, True),
        ((9, 28, 28), FLAT, True),  # rows and columns behind one another, as a perceptron takes them
        ((9, 40, 1), IN_TIME, False),
        ((9, 64, 32), IN_TIME, False),
        ((9, 64, 3), FLAT, False),  # a window of three sensors
        ((9, 28, 28, 3), IN_SPACE, True),
        ((9, 28, 28, 2), IN_SPACE, False),
        ((9, 10), FLAT, False),
        ((9, 4, 6, 6, 1), IN_SPACE, False),
    ],
)
def test_rows_and_columns_are_a_picture_unless_one_of_them_is_time(shape, of, expected):
    assert are_pictures(shape, of) is expected
    inputs = np.zeros(shape, np.float32)
    run = Run(Path("run"), (), of, {}, {}, Metrics(), {}, {}, {})
    assert len(pictures_of(run, Batch(9, inputs))) == (9 if expected else 0)
    before = np.zeros((9, 5, 5, 3), np.float32)
    assert pictures_of(run, Batch(9, inputs, pictures=before)) is before
