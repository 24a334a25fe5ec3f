"""Which layer is embedded where none is named."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from reportgen import Recorder, open_run

X = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
TOKENS = np.arange(40).reshape(8, 5) % 7


class RootParameters(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x + self.param("position", nn.initializers.normal(0.02), (1, 6))
        return nn.Dense(3, name="head")(nn.Dense(4, name="hidden")(x))


class LowRank(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(5, name="hidden")(x))
        branch = nn.Dense(3, name="up")(nn.Dense(2, name="down")(x))
        return nn.Dense(3, name="head")(x) + branch


class Autoencoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(6)(nn.relu(nn.Dense(5)(nn.Dense(2, name="code")(nn.relu(nn.Dense(5)(x))))))


class Language(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        h = nn.Embed(7, 4)(tokens)
        h = nn.Dense(4, name="mixed")(h + jax.numpy.cumsum(h, axis=1))
        return nn.Dense(7, name="head")(h)


@pytest.mark.parametrize(
    ("model", "inputs", "targets", "expected"),
    [
        (RootParameters(), X, np.arange(8) % 3, "hidden"),
        (LowRank(), X, np.arange(8) % 3, "hidden/tanh"),
        (Autoencoder(), X, None, "code"),
        (Language(), TOKENS, None, "mixed"),
    ],
)
def test_what_feeds_the_output_is_embedded(tmp_path, model, inputs, targets, expected):
    variables = model.init(jax.random.key(0), inputs)
    Recorder(tmp_path / "run", model, variables, probe=inputs[:2], evaluation=(inputs, targets)).close()
    run = open_run(tmp_path / "run")
    assert run.embed_layer == expected
    vectors = run.observations[0].vectors["embedding"]
    assert vectors.shape == (8, run.network.layers[expected].channels)
    if expected == "mixed":  # the mean over the places of each sequence
        maps = run.observations[0].maps["mixed"]
        np.testing.assert_allclose(vectors[:2], maps.mean(axis=1), rtol=1e-5)
