"""Attention weights: captured from the program as [head, query, key], or computed beside it and proven."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from reportgen.capture import check, prepare, variables_of
from reportgen.core.network import Role
from tests.architectures.variables import variables_for
from tests.capture.fused import CAUSAL, FUSED

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


def softmax(scores, seen=None):
    """Over the keys that are seen; left out, those that are no later than the query."""
    seen = np.where(np.tril(np.ones(scores.shape[-2:], bool)) if seen is None else seen, scores, -np.inf)
    weights = np.exp(seen - seen.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


class Fused(nn.Module):
    attention: object
    shared: int = 1

    @nn.compact
    def __call__(self, x):
        heads = (("query", 4), ("key", 4 // self.shared), ("value", 4 // self.shared))
        q, k, v = (nn.DenseGeneral((count, 4), name=name)(x) for name, count in heads)
        return nn.Dense(3)(self.attention(q, k, v).reshape(*x.shape[:2], -1))


LONGER = np.random.default_rng(1).normal(size=(3, 6, 8)).astype(np.float32)


@pytest.mark.parametrize("name", FUSED)
def test_weights_that_are_never_an_array_are_computed_and_proven(name):
    model = Fused(FUSED[name], shared=2 if name == "grouped" else 1)
    variables = variables_for(model, LONGER)
    capture = prepare(model, variables, LONGER)
    assert check(capture, variables, LONGER).failed == {} and capture.network.uncaptured == {}
    (layer,) = [x for x in capture.network.layers.values() if x.role is Role.ATTENTION]
    assert (layer.path, layer.axes, layer.shape) == ("attention_weights", ("head", "query", "key"), (4, 6, 6))
    _, values = jax.jit(capture)(variables, LONGER)
    keys = np.repeat(np.asarray(values["key"]), 4 // values["key"].shape[2], axis=2)
    scores = np.einsum("bqhd,bkhd->bhqk", values["query"], keys) / 2
    expected = softmax(scores) if name in CAUSAL else softmax(scores, np.ones((6, 6), bool))
    np.testing.assert_allclose(values[layer.path], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_a_fused_attention_inside_flaxs_layers_has_its_weights(library):
    def attention(query, key, value, **_):
        return FUSED["flash"](query, key, value)

    if library == "linen":
        model = nn.MultiHeadDotProductAttention(num_heads=2, attention_fn=attention)
        variables = variables_for(model, LONGER)
    else:
        model = nnx.MultiHeadAttention(2, 8, decode=False, rngs=nnx.Rngs(0), attention_fn=attention)
        variables = variables_of(model)
    capture = prepare(model, variables, LONGER)
    _, values = capture(variables, LONGER)
    scores = np.einsum("bqhd,bkhd->bhqk", values["query"], values["key"]) / 2
    np.testing.assert_allclose(values["attention_weights"], softmax(scores), rtol=1e-5, atol=1e-6)


def test_weights_that_can_not_be_proven_are_listed():
    def squashed(query, key, value):
        """No weights of these values give it: they are changed on the way."""
        return jnp.tanh(FUSED["late"](query, key, jnp.sin(value)) ** 2)

    def unnormalised(query, key, value):
        powers = jnp.exp(jnp.einsum("bqhd,bkhd->bhqk", query, key))
        return squashed(query, key, value) + jnp.einsum("bhqk,bkhd->bqhd", powers, value)

    model = Fused(unnormalised)
    with pytest.warns(UserWarning, match="attention_weights: this attention never holds them as an array"):
        capture = prepare(model, variables_for(model, LONGER), LONGER)
    assert "attention_weights" in capture.network.uncaptured


OPTIONS = {
    "nothing": {},
    "xla": {"implementation": "xla"},
    "scale": {"scale": 0.1},
    "bias": {"bias": np.random.default_rng(2).normal(size=(1, 4, 6, 6)).astype(np.float32)},
    "mask": {"mask": np.random.default_rng(3).random((1, 1, 6, 6)) + np.eye(6) > 0.4},
    "causal": {"is_causal": True},
    "window": {"local_window_size": (2, 1)},
    "causal window": {"is_causal": True, "local_window_size": (2, 0)},
    "lengths": {"query_seq_lengths": 5, "key_value_seq_lengths": 4},
}


@pytest.mark.parametrize("shared", [1, 2, 4])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_weights_of_jaxs_attention_reproduce_its_output(name, shared):
    def attention(query, key, value):
        given = {k: np.full(len(query), v) if k.endswith("lengths") else v for k, v in OPTIONS[name].items()}
        return jax.nn.dot_product_attention(query, key, value, **given)

    model = Fused(attention, shared)
    variables = variables_for(model, LONGER)
    capture = prepare(model, variables, LONGER)
    (layer,) = [x for x in capture.network.layers.values() if x.role is Role.ATTENTION]
    assert (layer.axes, layer.shape) == (("head", "query", "key"), (4, 6, 6))
    _, values = capture(variables, LONGER)
    made = np.einsum("bhqk,bkhd->bqhd", values[layer.path], np.repeat(values["value"], shared, axis=2))
    expected = np.array(attention(*(values[part] for part in ("query", "key", "value"))))
    if name == "lengths":  # of queries beyond theirs, JAX returns zeros whatever they attend to
        made, expected = made[:, :5], expected[:, :5]
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_a_softmax_written_by_hand_is_one_over_pairs():
    def attention(query, key, value):
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / 2
        powers = jnp.exp(scores - scores.max(-1, keepdims=True))
        return jnp.einsum("bhqk,bkhd->bqhd", powers / powers.sum(-1, keepdims=True), value)

    model = Fused(attention)
    layer = prepare(model, variables_for(model, LONGER), LONGER).network.layers["softmax"]
    assert (layer.role, layer.axes) == (Role.ATTENTION, ("head", "query", "key"))
