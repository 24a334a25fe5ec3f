"""Networks after their papers, Linen and NNX: everything is captured and verified."""

import numpy as np
import pytest
from flax import nnx

from reportgen.capture import check, flat_names, prepare
from tests.architectures import linen_models, nnx_models
from tests.architectures.edges import module_edges, walked
from tests.architectures.variables import variables_for
from tests.layers import is_module
from tests.reliability import SOAK

LINEN, NNX = linen_models.MODELS, nnx_models.MODELS

EQUAL = "{n} of {n} module results equal Flax's own capture"
FLAX_CAN_NOT = {
    "gpt": "4 of 4 module results equal Flax's own capture, which gives none of 10 others",  # inside nn.scan
    "lstm": "nnx.capture can't be used on this model: TypeError: scan body function carry input and carry output "
    "must have the same pytree structure, but they differ:",
}

RECURRENT = ("lstm",)  # what it carries starts as zeros, which read nothing


def test_there_are_twenty_of_them():
    assert len(LINEN) + len(NNX) >= 20
    assert {*LONG} < {*NNX}


LONG = ("convnext", "efficientnet", "mobilenet", "swin", "vit")  # half a minute; `make soak` runs them
SHORT = [name for name in (*LINEN, *NNX) if SOAK or name not in LONG]


@pytest.mark.parametrize("name", SHORT)
def test_everything_is_captured_and_verified(name):
    model, images = {**LINEN, **NNX}[name]()
    variables = variables_for(model, images)
    capture = prepare(model, variables, images)
    network = capture.network
    assert network.uncaptured == {}
    found = check(capture, variables, images)
    assert found.failed == {}
    modules = [layer for layer in network.layers.values() if is_module(layer)]
    assert found.flax in (EQUAL.format(n=len(modules)), FLAX_CAN_NOT.get(name))
    assert found.operations == len(capture.selected) == len(network.distinct)
    if name not in RECURRENT:
        assert module_edges(network) == walked(capture.forward, network, variables, images)
    owned = [name for layer in network.layers.values() for name in layer.params]
    assert sorted(owned) == sorted(flat_names(variables["params"]))
    if isinstance(model, nnx.Module):
        assert {type(m).__name__ for _, m in nnx.iter_modules(model)} >= {x.op for x in modules} - {"attend"}


@pytest.mark.skipif(not SOAK, reason="half a minute; `make soak` runs it")
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny"])
def test_networks_of_real_size(name):
    if name == "resnet18":
        model = linen_models.ResNet(widths=(64, 128, 256, 512), blocks=2, classes=1000)
        # torchvision's 11,689,512, with a 3x3 stem with bias for its 7x7 one and no norm on the shortcuts.
        parameters, side = 11_689_512 - 9_408 + 1_792 - 1_792, 16
    else:
        model = nnx_models.ViT(nnx.Rngs(0), side=32, patch=16, width=192, depth=12, heads=3, classes=1000)
        blocks = 12 * (2 * 384 + 4 * (192 * 192 + 192) + 2 * 192 * 768 + 768 + 192)
        parameters, side = blocks + 147_648 + 192 + 5 * 192 + 384 + 193_000, 32
    images = np.random.default_rng(0).normal(size=(2, side, side, 3)).astype(np.float32)
    variables = variables_for(model, images)
    capture = prepare(model, variables, images)
    assert sum(layer.parameters for layer in capture.network.layers.values()) == parameters
    assert capture.network.uncaptured == {}
    found = check(capture, variables, images)
    assert found.failed == {} and found.operations > 50
