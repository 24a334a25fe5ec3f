"""A verification that can fail: planted faults are found and named."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import check, prepare, verify
from reportgen.capture.verify import TOLERANCE, difference
from tests.architectures.variables import variables_for
from tests.capture.test_linen import Net, images, ready


@pytest.fixture(scope="module")
def case():
    x = images(3)
    variables, capture = ready(Net(), x)
    output, values = jax.jit(capture)(variables, x)
    return capture, variables, x, output, {path: np.asarray(value) for path, value in values.items()}


def test_true_values_pass(case):
    capture, variables, x, output, values = case
    found = check(capture, variables, x, (output, values))
    assert found and found.failed == {} and str(found) == "14 of 14 operations verified"


@pytest.mark.parametrize(
    ("path", "change", "named"),
    [
        ("Block_0/Conv_0", lambda v: v + 1e-3 * np.abs(v).max(), {"Block_0/Conv_0", "Block_0/BatchNorm_0"}),
        ("Block_0/max_pool", lambda v: v[:, ::-1], {"Block_0/max_pool", "Block_0/flatten"}),
        ("Dense_0/silu", lambda v: v[::-1], {"Dense_0/silu", "Dense_0/gelu", "concatenate"}),
        ("output/softmax", lambda v: np.where(v == v.max(), np.nan, v), {"output/softmax"}),
    ],
)
def test_a_changed_value_is_found_where_it_is_made_and_where_it_is_read(case, path, change, named):
    capture, variables, x, output, values = case
    found = check(capture, variables, x, (output, {**values, path: change(values[path])}))
    assert not found
    assert set(found.failed) == named
    assert str(found) == f"{14 - len(named)} of 14 operations verified"


def test_values_before_and_after_relu_that_were_mixed_up_are_found(case):
    capture, variables, x, output, values = case
    before, after = "Block_0/BatchNorm_0", "Block_0/BatchNorm_0/relu"
    found = check(capture, variables, x, (output, {**values, before: values[after], after: values[before]}))
    assert {before, after} <= set(found.failed)


def test_a_capture_of_another_model_does_not_pass(case):
    capture, variables, x, output, values = case
    other = jax.tree.map(lambda a: a * 1.01, variables)
    assert {"Block_0/Conv_0", "Dense_0", "output"} <= set(check(capture, other, x, (output, values)).failed)


def test_an_output_that_is_not_the_models_is_found(case, monkeypatch):
    capture, variables, x, _, _ = case
    plain = type(capture.forward).plain
    capture = prepare(Net(), variables, x)
    monkeypatch.setattr(type(capture.forward), "plain", lambda self, v, x: plain(self, v, x) * 1.001)
    monkeypatch.setattr(type(capture.forward), "__call__", _marked(type(capture.forward), plain))
    found = check(capture, variables, x)
    assert not found and set(found.failed) == {"output"} and not found.exact
    assert str(found).startswith("14 of 14 operations verified; output: ")


def _marked(cls, plain):

    def call(self, variables, images):
        with nn.intercept_methods(self._mark):
            return plain(self, variables, images), {}

    return call


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_models_are_verified_with_their_own_tolerance(dtype):

    class Narrow(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(4, (3, 3), dtype=dtype, param_dtype=dtype)(x))
            x = nn.LayerNorm(dtype=dtype, param_dtype=dtype)(x)
            return nn.softmax(nn.Dense(3, dtype=dtype, param_dtype=dtype)(x.reshape(len(x), -1)))

    x = images(3)
    variables = variables_for(Narrow(), x)
    capture = prepare(Narrow(), variables, x)
    assert {layer.dtype for layer in capture.network.layers.values()} == {dtype}
    output, values = jax.jit(capture)(variables, x)
    assert check(capture, variables, x, (output, values))
    path = "Conv_0/relu"
    step = 4 * TOLERANCE[dtype] * jnp.abs(values[path]).max()
    assert path in check(capture, variables, x, (output, {**values, path: values[path] + step})).failed


def test_differences_say_how_many_and_where():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert difference(a, a.copy()) == ""
    assert difference(a, a + np.float32(1e-5)) == ""
    b = a.copy()
    b[1, 1] = 9
    assert difference(a, b) == "1 of 6 values differ, most at [1, 1]: 4.0 against 9.0"
    assert difference(a, a.T) == "is float32[2, 3], computed again float32[3, 2]"
    infinite = np.array([np.inf, np.nan, -np.inf], np.float32)
    assert difference(infinite, infinite.copy()) == ""
    assert "1 of 3 values differ" in difference(infinite, np.array([np.inf, np.nan, np.inf], np.float32))
    assert "1 of 2 values differ" in difference(np.array([1, 2]), np.array([1, 3]))


@pytest.mark.parametrize("part", [1, 1j])
def test_complex_values_may_round_as_real_ones(part):
    again = np.array([1 + 2j, -3j], np.complex64)
    assert difference((again + 1e-5 * part).astype(np.complex64), again) == ""
    assert difference((again + 3e-3 * part).astype(np.complex64), again).startswith("2 of 2 values differ")


def test_verify_takes_the_arguments_of_prepare():
    x = images(2)
    variables, _ = ready(Net(), x)
    found = verify(Net(), variables, x, apply=lambda model, v, x: model.apply(v, 2 * x))
    assert found and found.operations == 14


class Amplifying(nn.Module):
    """Layers that make much of how another program rounds."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(16, name="dense")(x.reshape(len(x), -1))
        waves = jnp.sin(300 * x)
        rest = (x + 1000) - 1000
        turned = jnp.fft.fft(waves + rest) * jnp.exp(100j * x)
        return nn.Dense(2, name="out")(jnp.concatenate([waves, rest, turned.real, turned.imag], axis=-1))


@pytest.mark.parametrize("seed", range(3))
def test_rounding_may_be_amplified_and_an_error_of_a_thousandth_may_not_hide_there(seed):
    x = images(3)
    variables = variables_for(Amplifying(), x)
    capture = prepare(Amplifying(), variables, x)
    output, values = jax.jit(capture)(variables, x)
    values = {path: np.asarray(value) for path, value in values.items()}
    random = np.random.default_rng(seed)
    dense = values["dense"]
    rounded = (dense * (1 + random.integers(-8, 9, dense.shape) * np.finfo(np.float32).eps)).astype(np.float32)
    assert check(capture, variables, x, (output, {**values, "dense": rounded})).failed == {}
    for path in values:
        planted = values[path].copy()
        place = tuple(random.integers(0, size) for size in planted.shape)
        planted[place] += np.float32(1e-3) * np.abs(planted).max()
        assert path in check(capture, variables, x, (output, {**values, path: planted})).failed
