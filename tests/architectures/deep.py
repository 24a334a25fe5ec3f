"""Networks of real depth, narrow so that they are traced in seconds: the graph of layers is tested on them."""

import flax.linen as nn
import jax.numpy as jnp
from flax import nnx

from tests.architectures import nnx_models
from tests.architectures.convnets import Bottleneck
from tests.architectures.samples import Example, pictures, tokens


class ResNet50(nn.Module):
    """He et al. (2016): 3, 4, 6 and 3 blocks, of which the first of each stage has a convolution beside it."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (7, 7), (2, 2), use_bias=False, name="conv1")(x)
        x = nn.max_pool(nn.relu(nn.BatchNorm(use_running_average=not train, name="bn1")(x)), (3, 3), (2, 2), "SAME")
        for stage, count in enumerate((3, 4, 6, 3)):
            for block in range(count):
                stride = 2 if stage and not block else 1
                x = Bottleneck(2 << stage, stride, name=f"layer{stage + 1}_{block}")(x, train)
        return nn.Dense(10, name="fc")(jnp.mean(x, axis=(1, 2)))


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        mask = nn.make_causal_mask(jnp.ones(x.shape[:2]))
        x = x + nn.MultiHeadDotProductAttention(2, name="attn")(nn.LayerNorm(name="ln_1")(x), mask=mask)
        y = nn.gelu(nn.Dense(16, name="c_fc")(nn.LayerNorm(name="ln_2")(x)))
        return x + nn.Dense(8, name="c_proj")(y)


class GPT2(nn.Module):
    """Radford et al. (2019): 12 blocks, the embeddings' table again at the end."""

    @nn.compact
    def __call__(self, x):
        table = nn.Embed(11, 8, name="wte")
        x = table(x) + nn.Embed(6, 8, name="wpe")(jnp.arange(x.shape[1]))
        for block in range(12):
            x = Block(name=f"h_{block}")(x)
        return table.attend(nn.LayerNorm(name="ln_f")(x))


class Chain(nn.Module):
    """So many layers after each other, all of one width or each of its own."""

    count: int
    equal: bool = True

    @nn.compact
    def __call__(self, x):
        for layer in range(self.count):
            x = nn.relu(nn.Dense(4 if self.equal else 2 + layer % 7, name=f"dense_{layer}")(x))
        return x


class Again(nn.Module):
    """A block applied five times with the same parameters."""

    @nn.compact
    def __call__(self, x):
        block = Chain(2, name="block")
        for _ in range(5):
            x = block(x)
        return nn.Dense(3, name="head")(x)


MODELS = {
    "resnet50": lambda: Example(ResNet50(), pictures(32), 10),
    "vit_b": lambda: Example(nnx_models.ViT(nnx.Rngs(0), side=16, patch=4, depth=12), pictures(16), 5),
    "gpt2": lambda: Example(GPT2(), tokens(11, 6)),
    "one_layer": lambda: Example(nn.Dense(3), pictures(4)[:, 0, 0]),
    "equal_300": lambda: Example(Chain(150), pictures(4)[:, 0, 0]),
    "unlike_300": lambda: Example(Chain(150, equal=False), pictures(4)[:, 0, 0]),
    "again": lambda: Example(Again(), pictures(4)[:, 0, :, 0]),
}
