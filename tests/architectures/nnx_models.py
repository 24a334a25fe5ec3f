"""Small NNX networks after their papers, as `linen_models` has them for Linen.

MODELS["vit"]()   # (module, images)
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.architectures.samples import Example, numbers, pictures


class Separable(nnx.Module):
    def __init__(self, into, out, rngs):
        self.depthwise = nnx.Conv(into, into, (3, 3), feature_group_count=into, rngs=rngs)
        self.norm1 = nnx.BatchNorm(into, rngs=rngs)
        self.pointwise = nnx.Conv(into, out, (1, 1), rngs=rngs)
        self.norm2 = nnx.BatchNorm(out, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu6(self.norm1(self.depthwise(x)))
        return jax.nn.relu6(self.norm2(self.pointwise(x)))


class MobileNet(nnx.Module):
    """Howard et al. (2017): depthwise, then pointwise."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), strides=(2, 2), rngs=rngs)
        self.blocks = nnx.List([Separable(4, 6, rngs), Separable(6, 8, rngs)])
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu6(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class SqueezeExcite(nnx.Module):
    def __init__(self, width, rngs):
        self.reduce = nnx.Conv(width, 2, (1, 1), rngs=rngs)
        self.expand = nnx.Conv(2, width, (1, 1), rngs=rngs)

    def __call__(self, x):
        scale = nnx.silu(self.reduce(x.mean((1, 2), keepdims=True)))
        return x * nnx.sigmoid(self.expand(scale))


class EfficientNet(nnx.Module):
    """Tan and Le (2019): inverted bottlenecks with squeeze-and-excitation."""

    def __init__(self, rngs):
        self.expand = nnx.Conv(3, 8, (1, 1), rngs=rngs)
        self.depthwise = nnx.Conv(8, 8, (3, 3), feature_group_count=8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.excite = SqueezeExcite(8, rngs)
        self.project = nnx.Conv(8, 3, (1, 1), rngs=rngs)
        self.drop = nnx.Dropout(0.2, rngs=rngs)
        self.head = nnx.Linear(3, 5, rngs=rngs)

    def __call__(self, x):
        y = self.excite(nnx.silu(self.norm(self.depthwise(nnx.silu(self.expand(x))))))
        x = x + self.project(y)
        return self.head(self.drop(x.mean((1, 2))))


class ConvNeXtBlock(nnx.Module):
    def __init__(self, width, rngs):
        self.depthwise = nnx.Conv(width, width, (7, 7), feature_group_count=width, rngs=rngs)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.wide = nnx.Linear(width, 3 * width, rngs=rngs)
        self.narrow = nnx.Linear(3 * width, width, rngs=rngs)
        self.scale = nnx.Param(jnp.full((1, 1, 1, width), 0.1))

    def __call__(self, x):
        return x + self.scale * self.narrow(nnx.gelu(self.wide(self.norm(self.depthwise(x)))))


class ConvNeXt(nnx.Module):
    """Liu et al. (2022)."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (2, 2), strides=(2, 2), rngs=rngs)
        self.blocks = nnx.Sequential(ConvNeXtBlock(4, rngs), ConvNeXtBlock(4, rngs))
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x):
        return self.head(self.norm(self.blocks(self.stem(x)).mean((1, 2))))


class Encoder(nnx.Module):
    def __init__(self, width, heads, rngs):
        self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(nnx.gelu(self.up(self.norm2(x))))


class ViT(nnx.Module):
    """Dosovitskiy et al. (2021); `width` 192, 12 blocks and 3 heads make ViT-Tiny."""

    def __init__(self, rngs, side=8, patch=4, width=8, depth=2, heads=2, classes=5):
        self.patches = nnx.Conv(3, width, (patch, patch), strides=(patch, patch), rngs=rngs)
        self.first = nnx.Param(jnp.zeros((1, 1, width)))
        places = (1, (side // patch) ** 2 + 1, width)
        self.places = nnx.Param(0.02 * jax.random.normal(rngs.params(), places))
        self.blocks = nnx.List([Encoder(width, heads, rngs) for _ in range(depth)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x):
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        first = jnp.broadcast_to(self.first[...], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([first, x], axis=1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Swin(nnx.Module):
    """After Liu et al. (2021): attention inside windows, which share the batch axis; then shifted ones."""

    def __init__(self, rngs, width=8, window=2):
        self.window = window
        self.patches = nnx.Conv(3, width, (2, 2), strides=(2, 2), rngs=rngs)
        self.blocks = nnx.List([Encoder(width, 2, rngs) for _ in range(2)])
        self.head = nnx.Linear(width, 5, rngs=rngs)

    def __call__(self, x):
        x = self.patches(x)
        count, side, _, width = x.shape
        parts = side // self.window
        for number, block in enumerate(self.blocks):
            shift = number * (self.window // 2)
            x = jnp.roll(x, (-shift, -shift), (1, 2))
            x = x.reshape(count, parts, self.window, parts, self.window, width).transpose(0, 1, 3, 2, 4, 5)
            x = block(x.reshape(-1, self.window**2, width))
            x = x.reshape(count, parts, parts, self.window, self.window, width).transpose(0, 1, 3, 2, 4, 5)
            x = jnp.roll(x.reshape(count, side, side, width), (shift, shift), (1, 2))
        return self.head(x.mean((1, 2)))


class LSTM(nnx.Module):
    """Hochreiter and Schmidhuber (1997), over a sequence of numbers."""

    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.LSTMCell(3, 6, rngs=rngs))
        self.head = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        return self.head(self.rnn(x)[:, -1])


class Temporal(nnx.Module):
    """Bai et al. (2018): causal, dilated convolutions over time."""

    def __init__(self, rngs):
        self.convs = nnx.List(
            [nnx.Conv(i, 6, (3,), kernel_dilation=d, padding="CAUSAL", rngs=rngs) for i, d in ((2, 1), (6, 2), (6, 4))]
        )
        self.head = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        for number, conv in enumerate(self.convs):
            y = nnx.relu(conv(x))
            x = y + x if number else y
        return self.head(x.max(1))


class Experts(nnx.Module):
    """Shazeer et al. (2017): a softmax gate over experts, here all of them on every example."""

    def __init__(self, rngs):
        @nnx.split_rngs(splits=3)
        @nnx.vmap
        def several(rngs):
            return nnx.Linear(6, 8, rngs=rngs)

        self.gate = nnx.Linear(6, 3, rngs=rngs)
        self.experts = several(rngs)
        self.head = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        weights = nnx.softmax(self.gate(x))
        answers = nnx.vmap(lambda expert, x: nnx.relu(expert(x)), in_axes=(0, None))(self.experts, x)
        return self.head(jnp.einsum("be,ebf->bf", weights, answers))


class Graph(nnx.Module):
    """Kipf and Welling (2017): features of a node's neighbours, averaged; one ring of six nodes."""

    def __init__(self, rngs):
        ring = np.eye(6) + np.roll(np.eye(6), 1, 0) + np.roll(np.eye(6), -1, 0)
        self.neighbours = nnx.Variable(jnp.asarray(ring / 3, jnp.float32))
        self.layers = nnx.List([nnx.Linear(3, 5, rngs=rngs), nnx.Linear(5, 5, rngs=rngs)])
        self.head = nnx.Linear(5, 4, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = nnx.relu(jnp.einsum("nm,bmf->bnf", self.neighbours[...], layer(x)))
        return self.head(x.mean(1))


MODELS = {
    "mobilenet": lambda: Example(MobileNet(nnx.Rngs(0)), pictures(), 5),
    "efficientnet": lambda: Example(EfficientNet(nnx.Rngs(0)), pictures(6), 5),
    "convnext": lambda: Example(ConvNeXt(nnx.Rngs(0)), pictures(), 5),
    "vit": lambda: Example(ViT(nnx.Rngs(0)), pictures(), 5),
    "swin": lambda: Example(Swin(nnx.Rngs(0)), pictures(), 5),
    "lstm": lambda: Example(LSTM(nnx.Rngs(0)), numbers(3, 7, 3), 4),
    "temporal": lambda: Example(Temporal(nnx.Rngs(0)), numbers(3, 9, 2), 4),
    "experts": lambda: Example(Experts(nnx.Rngs(0)), numbers(3, 6), 4),
    "graph": lambda: Example(Graph(nnx.Rngs(0)), numbers(3, 6, 3), 4),
}
