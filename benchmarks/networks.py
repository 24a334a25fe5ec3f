"""Networks of the size that people train: ResNet-50, ViT-B/16 and GPT-2, from random weights."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut (He, Zhang, Ren, Sun 2016)."""

    filters: int
    stride: int

    @nn.compact
    def __call__(self, x):
        norm = partial(nn.BatchNorm, use_running_average=True)
        conv = partial(nn.Conv, use_bias=False)
        y = nn.relu(norm()(conv(self.filters, (1, 1))(x)))
        y = nn.relu(norm()(conv(self.filters, (3, 3), strides=self.stride)(y)))
        y = norm(scale_init=nn.initializers.zeros)(conv(4 * self.filters, (1, 1))(y))
        if x.shape != y.shape:
            x = norm()(conv(4 * self.filters, (1, 1), strides=self.stride)(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Four stages of bottlenecks; 3, 4, 6 and 3 of them are ResNet-50."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    filters: int = 64
    classes: int = 1000

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.filters, (7, 7), strides=2, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=True)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for stage, count in enumerate(self.blocks):
            for index in range(count):
                x = Bottleneck(self.filters * 2**stage, 2 if stage and not index else 1)(x)
        return nn.Dense(self.classes)(x.mean(axis=(1, 2)))


class Block(nn.Module):
    """Attention and a perceptron, each behind a normalisation and beside a shortcut."""

    heads: int
    causal: bool

    @nn.compact
    def __call__(self, x):
        mask = nn.make_causal_mask(x[..., 0]) if self.causal else None
        x = x + nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x), mask=mask)
        y = nn.Dense(4 * x.shape[-1])(nn.LayerNorm()(x))
        return x + nn.Dense(x.shape[-1])(nn.gelu(y))


class ViT(nn.Module):
    """An image as patches (Dosovitskiy et al. 2021)."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    patch: int = 16
    classes: int = 1000

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.width, (self.patch, self.patch), strides=self.patch)(x)
        x = x.reshape(x.shape[0], -1, self.width)
        first = self.param("class_token", nn.initializers.zeros, (1, 1, self.width))
        x = jnp.concatenate([jnp.tile(first, (len(x), 1, 1)), x], axis=1)
        x = x + self.param("positions", nn.initializers.normal(0.02), (1, x.shape[1], self.width))
        for _ in range(self.depth):
            x = Block(self.heads, causal=False)(x)
        return nn.Dense(self.classes)(nn.LayerNorm()(x)[:, 0])


class GPT(nn.Module):
    """A decoder whose output layer is its embedding (Radford et al. 2019)."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    vocabulary: int = 50257
    length: int = 1024

    @nn.compact
    def __call__(self, tokens):
        embed = nn.Embed(self.vocabulary, self.width)
        positions = self.param("positions", nn.initializers.normal(0.02), (self.length, self.width))
        x = embed(tokens) + positions[None, : tokens.shape[1]]
        for _ in range(self.depth):
            x = Block(self.heads, causal=True)(x)
        return embed.attend(nn.LayerNorm()(x))


@dataclass(frozen=True)
class Network:
    """A network with examples of its kind, and their targets."""

    model: Any
    inputs: np.ndarray
    targets: np.ndarray


def network(name: str, tiny: bool = False) -> Network:
    """One of ResNet-50, ViT-B/16 and GPT-2; `tiny` is of the same kind and of no size."""
    rng = np.random.default_rng(0)
    count = 4 if tiny else 16
    if name == "GPT-2":
        shape = {"width": 16, "depth": 2, "heads": 2, "vocabulary": 50, "length": 16} if tiny else {}
        model = GPT(**shape)
        tokens = rng.integers(0, model.vocabulary, (count, 9 if tiny else 65)).astype(np.int32)
        return Network(model, tokens[:, :-1], tokens[:, 1:])
    images = rng.random((count, *((32, 32) if tiny else (224, 224)), 3)).astype(np.float32)
    labels = np.arange(count) % (10 if tiny else 1000)
    if name == "ResNet-50":
        return Network(ResNet(**({"blocks": (1, 1), "filters": 8, "classes": 10} if tiny else {})), images, labels)
    small = {"width": 16, "depth": 2, "heads": 2, "classes": 10}
    return Network(ViT(**(small if tiny else {})), images, labels)


def moved(params: Any, seed: int) -> Any:
    """The parameters a small random step further, which stands for an update; nothing is compiled for it."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: np.asarray(leaf) + 1e-3 * rng.standard_normal(leaf.shape, np.float32), params)
