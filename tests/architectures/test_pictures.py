"""Networks over pictures, after their papers: everything is captured and verified."""

import numpy as np
import pytest
from flax import nnx

from reportgen.capture import check, prepare
from tests.architectures import linen_models, nnx_models
from tests.architectures.proof import names, prove
from tests.architectures.registry import PICTURES
from tests.architectures.variables import variables_for
from tests.reliability import SOAK


@names(*PICTURES)
def test_everything_is_captured_and_verified(name):
    prove(name)


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
