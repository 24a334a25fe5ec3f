"""Small networks for the tests, with parameters that are the same every time."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class Small(nn.Module):
    """conv1 (6 maps, 3x3 same), relu, max-pool, conv2 (4 maps), global mean, output (3)."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.relu(nn.Conv(6, (3, 3), name="conv1")(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.Conv(4, (3, 3), padding="VALID", name="conv2")(x)
        return nn.Dense(3, name="output")(x.mean((1, 2)))


def small() -> nn.Module:
    return Small()


def three_classes(num_classes: int) -> nn.Module:
    return Small()


class Classifier(nn.Module):
    """conv (4 maps), global mean, hidden (5), output (one per class)."""

    outputs: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x)).mean((1, 2))
        return nn.Dense(self.outputs, name="output")(nn.relu(nn.Dense(5, name="hidden")(x)))


def classifier(kinds: int) -> nn.Module:
    return Classifier(kinds)


class Normed(nn.Module):
    """A convolution and a batch normalisation in evaluation."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.BatchNorm(use_running_average=not train, name="norm")(nn.Conv(4, (3, 3), name="conv")(x))
        return nn.Dense(10, name="output")(nn.relu(x).mean((1, 2)))


def normed(num_classes: int = 10) -> nn.Module:
    return Normed()


class Nnx(nnx.Module):
    """One convolution, one dense layer."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(3, 5, (3, 3), rngs=rngs)
        self.head = nnx.Linear(5, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.conv(x)).mean((1, 2)))


@functools.cache
def variables(model: nn.Module, channels: int = 3):
    """Made once for each; not to be changed."""
    return model.init(jax.random.key(1), jnp.zeros((1, 10, 12, channels)))


def pixels(count: int = 2, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 10, 12, channels), dtype=np.uint8)
