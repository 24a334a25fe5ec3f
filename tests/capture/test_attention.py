"""Attention weights: captured from the program as [head, query, key], in Flax's layers and written by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from reportgen.capture import check, prepare, variables_of
from reportgen.core.network import Role
from tests.architectures.variables import variables_for

X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        mask = nn.make_causal_mask(jnp.ones(x.shape[:2]))
        return nn.Dense(3)(nn.MultiHeadDotProductAttention(num_heads=2, name="attention")(x, mask=mask))


class Nnx(nnx.Module):
    def __init__(self):
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.attention(x, mask=jnp.tril(jnp.ones((5, 5), bool))[None, None])


@pytest.mark.parametrize("model", [Linen(), Nnx()], ids=["linen", "nnx"])
def test_the_weights_inside_flaxs_layers(model):
    variables = variables_for(model, X) if isinstance(model, Linen) else variables_of(model)
    capture = prepare(model, variables, X)
    assert check(capture, variables, X).failed == {}
    layer = capture.network.layers["attention/attention_weights"]
    assert (layer.role, layer.axes, layer.shape) == (Role.ATTENTION, ("head", "query", "key"), (2, 5, 5))
    _, values = capture(variables, X)
    scores = np.einsum("bqhd,bkhd->bhqk", values["attention/query"], values["attention/key"]) / 2
    np.testing.assert_allclose(values[layer.path], softmax(scores), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_the_weights_of_heads_that_share_keys(groups):
    class Grouped(nn.Module):
        @nn.compact
        def __call__(self, x):
            heads = (("query", 6), ("key", groups), ("value", groups))
            q, k, v = (nn.DenseGeneral((count, 4), name=name)(x) for name, count in heads)
            y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            return nn.Dense(3)(y.reshape(*x.shape[:2], -1))

    variables = variables_for(Grouped(), X)
    capture = prepare(Grouped(), variables, X)
    assert check(capture, variables, X).failed == {}
    (layer,) = [x for x in capture.network.layers.values() if x.role is Role.ATTENTION]
    assert (layer.axes, layer.shape) == (("head", "query", "key"), (6, 5, 5))
    _, values = capture(variables, X)
    keys = np.repeat(np.asarray(values["key"]), 6 // groups, axis=2)
    scores = np.einsum("bqhd,bkhd->bhqk", values["query"], keys) / 2
    np.testing.assert_allclose(values[layer.path], softmax(scores), rtol=1e-5, atol=1e-6)


def softmax(scores):
    """Over the keys that are no later than the query."""
    seen = np.where(np.tril(np.ones((5, 5), bool)), scores, -np.inf)
    weights = np.exp(seen - seen.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
