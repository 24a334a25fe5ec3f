"""Networks after their papers, Linen and NNX: everything is captured and verified."""

import jax
import numpy as np
import pytest
from flax import nnx

from reportgen.capture import check, flat_names, prepare, variables_of
from tests.architectures import linen_models, nnx_models

LINEN, NNX = linen_models.MODELS, nnx_models.MODELS


def of(model, images):
    return jax.jit(model.init)(jax.random.key(0), images) if hasattr(model, "init") else variables_of(model)


def test_there_are_twenty_of_them():
    assert len(LINEN) + len(NNX) >= 20


@pytest.mark.parametrize("name", [*LINEN, *NNX])
def test_everything_is_captured_and_verified(name):
    model, images = {**LINEN, **NNX}[name]()
    variables = of(model, images)
    capture = prepare(model, variables, images)
    assert capture.uncaptured == {}
    found = check(capture, variables, images)
    assert found.failed == {}
    assert found.operations == len(capture.selected) == sum(layer.same_as is None for layer in capture.layers)
    owned = [name for layer in capture.layers for name in layer.params]
    assert sorted(owned) == sorted(flat_names(variables["params"]))
    if isinstance(model, nnx.Module):
        assert {type(m).__name__ for _, m in nnx.iter_modules(model)} >= {
            layer.kind for layer in capture.layers if layer.is_module and layer.kind != "attend"
        }


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny"])
def test_networks_of_real_size(name):
    if name == "resnet18":
        model = linen_models.ResNet(widths=(64, 128, 256, 512), blocks=2, classes=1000)
        parameters, side = 11_678_312, 16
    else:
        model = nnx_models.ViT(nnx.Rngs(0), side=32, patch=16, width=192, depth=12, heads=3, classes=1000)
        parameters, side = 5_681_320, 32
    images = np.random.default_rng(0).normal(size=(2, side, side, 3)).astype(np.float32)
    variables = of(model, images)
    capture = prepare(model, variables, images)
    assert sum(layer.parameters for layer in capture.layers) == parameters
    assert capture.uncaptured == {}
    found = check(capture, variables, images)
    assert found.failed == {} and found.operations > 50
