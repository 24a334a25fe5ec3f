"""SqueezeNet 1.1: layout, and what the real ImageNet weights are known to answer."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from reportgen.errors import ModelError
from reportgen.models.squeezenet import SqueezeNet
from tests.models.params import random_variables

real = pytest.mark.skipif(
    "REPORTGEN_DATA" not in os.environ, reason="REPORTGEN_DATA does not point at the pretrained weights"
)


def folder() -> Path:
    return Path(os.environ["REPORTGEN_DATA"], "squeezenet")


def flat(tree: dict, prefix: str = "") -> dict[str, np.ndarray]:
    out = {}
    for name, value in tree.items():
        out.update(flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {prefix + name: value})
    return out


def test_shapes_with_and_without_the_classifier() -> None:
    images = jnp.zeros((2, 227, 227, 3))
    maps, variables = jax.eval_shape(SqueezeNet().init_with_output, jax.random.key(0), images)
    assert maps.shape == (2, 13, 13, 512)
    # 1,235,496 parameters for 1000 classes, of which conv10 has 513,000.
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 1_235_496 - 513_000
    logits, variables = jax.eval_shape(SqueezeNet(1000).init_with_output, jax.random.key(0), images)
    assert logits.shape == (2, 1000)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 1_235_496
    smallest = jnp.zeros((1, 31, 31, 3))
    assert jax.eval_shape(SqueezeNet().init_with_output, jax.random.key(0), smallest)[0].shape == (
        1,
        1,
        1,
        512,
    )
    with pytest.raises(ModelError, match="squeezenet needs images of at least 31x31 pixels, not 30x31"):
        SqueezeNet().init(jax.random.key(0), smallest[:, :30])


def test_a_fire_module_puts_the_1x1_channels_first() -> None:
    model = SqueezeNet()
    images = np.random.default_rng(0).random((1, 31, 31, 3), np.float32)
    variables = random_variables(model, images)
    _, state = jax.jit(lambda v: model.apply(v, images, capture_intermediates=True))(variables)
    fire = state["intermediates"]["fire5"]
    narrow, wide = (fire[name]["__call__"][0] for name in ("expand1x1", "expand3x3"))
    wanted = np.maximum(np.concatenate([narrow, wide], -1), 0)
    np.testing.assert_array_equal(fire["__call__"][0], wanted)


@real
def test_the_pretrained_weights_fit_name_by_name() -> None:
    weights = load_file(folder() / "squeezenet1_1_notop.safetensors")
    variables = jax.eval_shape(SqueezeNet().init, jax.random.key(0), jnp.zeros((1, 227, 227, 3)))
    wanted = {name: leaf.shape for name, leaf in flat(variables["params"]).items()}
    assert {name: array.shape for name, array in weights.items()} == wanted


@real
def test_channels_13_and_46_light_up_at_the_eyes() -> None:
    params: dict = {}
    for name, array in load_file(folder() / "squeezenet1_1_notop.safetensors").items():
        *parents, leaf = name.split("/")
        node = params
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = array
    faces = [np.asarray(Image.open(folder() / name), np.float32) for name in ("face.png", "face-one-eye.png")]
    images = np.stack(faces)[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    capture = jax.jit(lambda v: SqueezeNet().apply(v, images, capture_intermediates=True))
    _, state = capture({"params": params})
    squeezed = np.maximum(state["intermediates"]["fire6"]["squeeze1x1"]["__call__"][0], 0)
    eyes = [squeezed[:, 4:7, columns][..., [13, 46]].max((1, 2)) for columns in (slice(4, 7), slice(7, 9))]
    left, right = eyes
    np.testing.assert_allclose(left, [[1651.4, 855.1], [484.9, 465.8]], rtol=1e-3)
    np.testing.assert_allclose(right, [[1637.6, 840.8], [1643.1, 842.1]], rtol=1e-3)
    conv1 = np.asarray(state["intermediates"]["conv1"]["__call__"][0])[0]
    assert np.maximum(conv1, 0).max((0, 1)).argmax() == 0
