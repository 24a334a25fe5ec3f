"""The whole way, record and build, for models of every rank and dtype: Linen and NNX."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from reportgen import build
from reportgen.record import Recorder
from reportgen.store import open_run
from tests.architectures import linen_models, nnx_models

RANDOM = np.random.default_rng(3)


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """Each program here runs a few times: XLA's optimisations would cost more than they save."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


class Narrow(nn.Module):
    """A convolution, a dense layer and scores in half precision, parameters and all."""

    dtype: str

    @nn.compact
    def __call__(self, x):
        kinds = {"dtype": self.dtype, "param_dtype": self.dtype}
        x = nn.relu(nn.Conv(3, (3, 3), name="conv", **kinds)(x)).reshape(len(x), -1)
        return nn.Dense(4, name="output", **kinds)(nn.relu(nn.Dense(5, name="hidden", **kinds)(x)))


class NarrowNnx(nnx.Module):
    def __init__(self, dtype, rngs):
        kinds = {"dtype": dtype, "param_dtype": dtype, "rngs": rngs}
        self.conv = nnx.Conv(1, 3, (3, 3), **kinds)
        self.hidden = nnx.Linear(48, 5, **kinds)
        self.output = nnx.Linear(5, 4, **kinds)

    def __call__(self, x):
        return self.output(nnx.relu(self.hidden(nnx.relu(self.conv(x)).reshape(len(x), -1))))


def many(shape, whole=None):
    if whole:
        return RANDOM.integers(0, whole, (24, *shape))
    return RANDOM.normal(size=(24, *shape)).astype(np.float32)


CASES = {
    "vectors": lambda: (nnx_models.MODELS["experts"]()[0], many((6,))),
    "signals": lambda: (nnx_models.MODELS["temporal"]()[0], many((9, 2))),
    "volumes": lambda: (linen_models.MODELS["volume"]()[0], many((4, 4, 4, 1))),
    "tokens": lambda: (linen_models.MODELS["gpt"]()[0], many((6,), 11)),
    "sequences": lambda: (nnx_models.MODELS["lstm"]()[0], many((7, 3))),
    "residual": lambda: (linen_models.MODELS["resnet"]()[0], many((6, 6, 3))),
    "maps": lambda: (linen_models.MODELS["unet"]()[0], many((8, 8, 1))),
    **{f"linen_{dtype}": lambda dtype=dtype: (Narrow(dtype), many((4, 4, 1))) for dtype in ("float16", "bfloat16")},
    "nnx_bfloat16": lambda: (NarrowNnx("bfloat16", nnx.Rngs(0)), many((4, 4, 1))),
}


@pytest.mark.parametrize("name", CASES)
def test_record_and_build(name, tmp_path):
    model, images = CASES[name]()
    labels = np.arange(len(images)) % 4
    linen = isinstance(model, nn.Module)
    variables = jax.jit(model.init)(jax.random.key(0), images[:1]) if linen else None
    with Recorder(
        tmp_path / "run", model, variables, probe=(images[:2], labels[:2]), evaluation=(images, labels)
    ) as recorder:
        if linen:
            changed = {**variables, "params": jax.tree.map(lambda p: p * 1.1, variables["params"])}
        else:
            nnx.update(model, jax.tree.map(lambda p: p * 1.1, nnx.state(model, nnx.Param)))
            changed = model
        recorder.step(changed, loss=jnp.float32(1))
        recorder.epoch(changed)

    run = open_run(tmp_path / "run")
    assert list(run.snapshots) == [0, 1] and run.uncaptured == {}
    for step in (0, 1):
        found = run.activations[step]
        for layer in run.layers:
            if layer.same_as is None:
                maps = found.maps[layer.path]
                assert maps.shape == (2, *layer.shape) and str(maps.dtype) == layer.dtype
                if layer.path in found.label_sums:
                    assert found.label_sums[layer.path].shape == (len(run.classes), layer.channels)
    if "float16" in name:
        assert {layer.dtype for layer in run.layers} == {name.split("_")[1]}
        assert run.snapshots[0].params["hidden/kernel"].dtype.name == name.split("_")[1]
    assert len(build(tmp_path / "run", embedding="pca").report.sections) >= 4
