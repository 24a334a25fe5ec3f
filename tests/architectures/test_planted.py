"""An error of a thousandth of a layer's scale is found in each layer of the architectures."""

import warnings

import jax
import numpy as np
import pytest

from reportgen.capture import check, prepare
from reportgen.capture.verify import computed_again, difference
from tests.architectures.registry import ARCHITECTURES
from tests.architectures.variables import variables_for
from tests.reliability import SOAK

FEW = ("lenet", "lstm", "deepfm", "siren", "complex_net", "neox", "vqvae")


@pytest.mark.parametrize("name", ARCHITECTURES if SOAK else FEW)
def test_an_error_planted_in_any_layer_is_found(name):
    example = ARCHITECTURES[name]()
    random = np.random.default_rng(0)
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reportgen does not capture", UserWarning)
        variables = variables_for(example.model, *example.arguments)
        capture = prepare(example.model, variables, example.inputs, apply=example.apply)
        output, values = jax.jit(capture)(variables, example.inputs)
        values = {path: np.asarray(value) for path, value in values.items()}
        planted = {path: _planted(value, random) for path, value in values.items() if np.any(value)}
        # One goes through the whole verification; of the others, what it compares is compared here.
        chosen = sorted(planted)[len(planted) // 2]
        found = check(capture, variables, example.inputs, (output, {**values, chosen: planted[chosen]}))
        again = computed_again(capture, variables, example.inputs, values)
    assert chosen in found.failed and len(planted) > 1
    for path, value in planted.items():
        # Nor may it hide behind rounding that is amplified, however much.
        assert difference(value, again[path], beside=np.asarray(again[path]) + 1), path


def _planted(value, random):
    """The value with an error of a thousandth of its scale at one place; of whole numbers, by 1."""
    wrong = value.copy()
    finite = np.isfinite(value)  # masked scores are not
    place = tuple(random.choice(np.argwhere(finite)))
    error = 1 if value.dtype.kind in "iu" else 1e-3 * np.abs(value[finite]).max()
    wrong[place] += np.asarray(error, value.dtype)
    return wrong
