"""A page of a network with complex parameters and layers shows their parts and magnitudes, and says so."""

import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen import build
from reportgen.record import Recorder
from reportgen.sections.complex_values import with_real_parts
from reportgen.store import open_run


class Wave(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4, dtype=jnp.complex64, param_dtype=jnp.complex64, name="wave")(x)
        return nn.Dense(3, name="head")(jnp.abs(x))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    variables = Wave().init(jax.random.key(0), x)
    path = tmp_path_factory.mktemp("complex") / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        with Recorder(
            path, Wave(), variables, probe=(x, np.arange(6) % 3), evaluation=(x, np.arange(6) % 3)
        ) as recorder:
            recorder.step(jax.tree.map(lambda leaf: 1.5 * leaf + 0.5, variables), loss=1.0)
            recorder.epoch(jax.tree.map(lambda leaf: 1.5 * leaf + 0.5, variables))
    return open_run(path)


def test_a_parameter_is_two_and_a_layer_its_magnitudes(run):
    recorded = run.snapshots[1].params["wave/kernel"]
    assert recorded.dtype == np.complex64 and recorded.imag.any()
    parted = with_real_parts(run)
    params = parted.snapshots[1].params
    assert set(params) == {f"wave/{x} ({part})" for x in ("kernel", "bias") for part in ("real", "imaginary")} | {
        "head/kernel",
        "head/bias",
    }
    assert np.array_equal(params["wave/kernel (real)"] + 1j * params["wave/kernel (imaginary)"], recorded)
    assert parted.network.layers["wave"].params["wave/kernel (imaginary)"] == (5, 4)
    maps = run.observations[1].maps["wave"]
    kernel, bias = recorded, run.snapshots[1].params["wave/bias"]
    np.testing.assert_allclose(maps, np.abs(run.batches["probe"].inputs @ kernel + bias), rtol=1e-5)


def test_the_page_says_so(run, tmp_path):
    page = build(run, embedding="pca").save(tmp_path / "page.html").read_text()
    assert "Complex parameters are shown as two, by real and imaginary part: wave/bias, wave/kernel." in page
    assert "Of layers with complex values, the magnitudes are shown: wave." in page
    assert "wave/kernel (imaginary)" in page and "is left out: " not in page


def test_a_run_of_real_numbers_is_as_it_was(recorded):
    whole = open_run(recorded)
    assert with_real_parts(whole) is whole


@pytest.mark.parametrize("later", [jnp.complex64, jnp.bfloat16, jnp.int32, jnp.float16])
def test_a_parameter_may_become_of_another_type(tmp_path, later):
    x = np.ones((4, 3), np.float32)
    params = {"w": jnp.ones((3, 2))}

    def net(params, x):
        return (x @ params["w"]).real

    with Recorder(tmp_path / "run", net, params, probe=x) as recorder:
        recorder.step({"w": params["w"].astype(later) * 2})
    run = open_run(tmp_path / "run", verify=True)
    assert [run.snapshots[step].params["w"].dtype for step in (0, 1)] == [np.float32, later]
    page = build(run, embedding="pca").save(tmp_path / "page.html").read_text()
    assert ("w (imaginary)" in page) == (later == jnp.complex64)
