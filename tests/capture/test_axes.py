"""What the axes of a layer are, for layers of every rank, and where nothing is claimed."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import prepare
from reportgen.core.network import Layer, Role
from tests.architectures import linen_models, nnx_models
from tests.architectures.variables import variables_for
from tests.layers import letters


def axes_of(model, images, variables=None):
    variables = variables_for(model, images) if variables is None else variables
    return {layer.path: letters(layer) for layer in prepare(model, variables, images).network.layers.values()}


@pytest.mark.parametrize(
    ("models", "name", "expected"),
    [
        (linen_models, "unet", {"bottom": "yxc", "up2": "yxc", "concatenate#2": "yxc", "merge1": "yxc", "mask": "yxc"}),
        (linen_models, "gpt", {"table": "tc", "blocks/Dense_1": "?tc", "norm": "tc", "table/attend": "tc"}),
        (linen_models, "volume", {"Conv_0": "zyxc", "Conv_0/max_pool": "zyxc", "Conv_0/flatten": "c", "Dense_0": "c"}),
        (linen_models, "mixer", {"stem": "yxc", "MixerBlock_0/LayerNorm_0": "tc", "MixerBlock_0/tokens1": "?c"}),
        (nnx_models, "vit", {"patches": "yxc", "blocks/0/norm1": "tc", "blocks/0/up/gelu": "tc", "head": "c"}),
        (nnx_models, "lstm", {"rnn/cell[1]": "tc", "rnn": "tc", "head": "c"}),
        (nnx_models, "temporal", {"convs/0": "tc", "convs/2/relu": "tc", "head": "c"}),
    ],
)
def test_axes_are_followed_through_networks(models, name, expected):
    found = axes_of(*models.MODELS[name]()[:2])
    assert {path: found[path] for path in expected} == expected
    assert all(letters.count("c") <= 1 for letters in found.values())


def test_channels_are_not_claimed_where_they_are_not():
    class Turned(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Conv(3, (3, 3), name="conv")(x)
            first = nn.relu(x.transpose(0, 3, 1, 2))  # [channel, y, x]
            heads = nn.relu(x.reshape(len(x), 6, 6, 3, 1))
            tiles = nn.relu(x.reshape(len(x), 3, 2, 6, 3))
            return first.sum((1, 2, 3)) + heads.sum((1, 2, 3, 4)) + tiles.sum((1, 2, 3, 4))

    found = axes_of(Turned(), np.zeros((2, 6, 6, 1), np.float32))
    assert found["conv"] == "yxc"
    assert found["conv/relu"] == "yxc"  # channels stand last, wherever the program has them
    assert found["conv/relu#2"] == "yx?c"
    assert found["conv/relu#3"] == "??xc"


@pytest.mark.parametrize("shape", [(8, 8, 1), (4, 4, 4)])
def test_units_that_become_a_picture_have_its_channels_last(shape):
    model = nn.Sequential([nn.Dense(64), lambda x: x.reshape(len(x), *shape)])
    x = np.ones((2, 3), np.float32)
    variables = model.init(jax.random.key(0), x)
    last = prepare(model, variables, x).network.distinct[-1]
    assert (last.shape, letters(last)) == (shape, "??c")


class Attention(nn.Module):
    turned: bool = False

    @nn.compact
    def __call__(self, x):
        q, k, v = (nn.DenseGeneral((2, 4), name=name)(x) for name in "qkv")
        if self.turned:
            weights = nn.softmax(jnp.einsum("bqhd,bkhd->bhkq", q, k), axis=-2)
            mixed = jnp.einsum("bhkq,bkhd->bqhd", weights, v)
        else:
            weights = nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k))
            mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, v)
        return nn.relu(nn.DenseGeneral(3, axis=(-2, -1), name="out")(mixed))


@pytest.mark.parametrize("turned", [False, True])
def test_attention_weights_have_heads_queries_and_keys(turned):
    x = np.zeros((2, 5, 3), np.float32)
    layers = prepare(Attention(turned), variables_for(Attention(turned), x), x).network.layers
    assert layers["softmax"].axes == ("head", "query", "key")
    assert layers["softmax"].shape == (2, 5, 5) and not layers["softmax"].has_maps
    # What DenseGeneral splits may be heads, or anything else.
    assert layers["q"].shape == (5, 2, 4) and letters(layers["q"]) == "t?c" and not layers["q"].has_maps
    assert letters(layers["out"]) == letters(layers["out/relu"]) == "tc"


@pytest.mark.parametrize(("models", "name", "path"), [(linen_models, "gpt", "blocks"), (nnx_models, "vit", "blocks/1")])
def test_the_parts_of_flaxs_attention_have_heads(models, name, path):
    model, images = models.MODELS[name]()[:2]
    layers = prepare(model, variables_for(model, images), images).network.layers
    for part in ("query", "key", "value"):
        assert layers[f"{path}/attention/{part}"].axes[-3:] == ("t", "head", "channel")
    assert layers[f"{path}/attention/out"].axes[-2:] == ("t", "channel")


def test_a_softmax_over_channels_has_no_keys():
    class Gate(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.softmax(nn.Dense(5)(x)) * x.sum(-1, keepdims=True)

    assert axes_of(Gate(), np.zeros((2, 5, 3), np.float32))["Dense_0/softmax"] == "tc"


def test_maps_are_told_by_axes():
    assert Layer("a", "Conv", Role.CONV, (4, 4, 2), ("y", "x", "channel")).has_maps
    assert not Layer("a", "Dense", Role.DENSE, (4, 4, 2), ("t", "?", "channel")).has_maps
    assert not Layer("a", "Dense", Role.DENSE, (4, 2)).has_maps


def test_flops_are_xlas_and_add_up_to_the_whole_models():
    model, images = linen_models.MODELS["resnet"]()[:2]
    variables = variables_for(model, images)
    layers = {layer.path: layer for layer in prepare(model, variables, images).network.layers.values()}
    whole = jax.jit(model.apply).lower(variables, images).cost_analysis()["flops"] / len(images)
    assert sum(layer.flops or 0 for layer in layers.values()) == pytest.approx(whole, rel=0.01)
    # A dense layer: a multiplication and an addition for each weight, and its bias.
    assert layers["head"].flops == 2 * 8 * 5 + 5
    assert layers["stage0_block0/relu"].flops >= 8 * 8 * 4


@pytest.mark.parametrize("axis", [2, 3])
def test_what_is_stacked_or_unstacked_keeps_its_other_axes(axis):
    """As `query, key, value = array` is since JAX 0.11."""

    class Parted(nn.Module):
        @nn.compact
        def __call__(self, x):
            shape = {2: (*x.shape[:2], 3, 2, 4), 3: (*x.shape[:2], 2, 3, 4)}[axis]
            query, key, value = jnp.unstack(nn.Dense(24, name="qkv")(x).reshape(shape), axis=axis)
            weights = nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key))
            made = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(*x.shape[:2], 8)
            both = jnp.stack([nn.relu(made), nn.gelu(made)], axis=1)
            return nn.Dense(2, name="out")(both[:, 0] + both[:, 1])

    found = axes_of(Parted(), np.zeros((2, 5, 8), np.float32))
    assert found["softmax"] == "hqk" and found["out"] == "tc"
    assert found["stack"] == "?tc"
    assert not any("unstack" in path for path in found)
