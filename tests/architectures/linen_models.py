"""Small Linen networks after their papers: the shape of each idea, at a size that compiles in a moment.

MODELS["resnet"]()   # (module, images)
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tests.architectures.samples import Example, numbers, pictures, tokens


class PlainCNN(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        for width in (4, 6):
            x = nn.Conv(width, (3, 3))(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.Dropout(0.3, deterministic=not train)(x)
        return nn.Dense(5)(x.reshape(len(x), -1))


class LeNet(nn.Module):
    """LeCun et al. (1998): average pooling, tanh."""

    @nn.compact
    def __call__(self, x):
        x = nn.avg_pool(nn.tanh(nn.Conv(6, (5, 5), padding="SAME")(x)), (2, 2), (2, 2))
        x = nn.avg_pool(nn.tanh(nn.Conv(16, (3, 3), padding="VALID")(x)), (2, 2), (2, 2))
        x = nn.tanh(nn.Dense(12)(x.reshape(len(x), -1)))
        return nn.Dense(5)(x)


class VGG(nn.Module):
    """Simonyan and Zisserman (2015): stacks of 3x3 convolutions."""

    @nn.compact
    def __call__(self, x, train=False):
        for width, depth in ((4, 2), (8, 2)):
            for _ in range(depth):
                x = nn.relu(nn.Conv(width, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu(nn.Dense(10)(x.reshape(len(x), -1)))
        return nn.Dense(5)(nn.Dropout(0.5, deterministic=not train)(x))


class Residual(nn.Module):
    width: int
    stride: int = 1

    @nn.compact
    def __call__(self, x, train):
        norm = lambda name: nn.BatchNorm(use_running_average=not train, name=name)  # noqa: E731
        y = nn.Conv(self.width, (3, 3), (self.stride,) * 2, use_bias=False, name="conv1")(x)
        y = nn.relu(norm("norm1")(y))
        y = norm("norm2")(nn.Conv(self.width, (3, 3), use_bias=False, name="conv2")(y))
        if x.shape != y.shape:
            x = nn.Conv(self.width, (1, 1), (self.stride,) * 2, use_bias=False, name="shortcut")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """He et al. (2016); with `widths` (64, 128, 256, 512) and two blocks each it has ResNet-18's size."""

    widths: tuple[int, ...] = (4, 8)
    blocks: int = 1
    classes: int = 5

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(self.widths[0], (3, 3), name="stem")(x)))
        for stage, width in enumerate(self.widths):
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                x = Residual(width, stride, name=f"stage{stage}_block{block}")(x, train)
        return nn.Dense(self.classes, name="head")(x.mean((1, 2)))


class DenseNet(nn.Module):
    """Huang et al. (2017): every layer reads all before it."""

    @nn.compact
    def __call__(self, x, train=False):
        for _ in range(2):
            for _ in range(2):
                y = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
                x = jnp.concatenate([x, nn.Conv(3, (3, 3))(y)], axis=-1)
            x = nn.avg_pool(nn.Conv(4, (1, 1))(x), (2, 2), (2, 2))
        return nn.Dense(5)(x.mean((1, 2)))


class Inception(nn.Module):
    """Szegedy et al. (2015): branches of several sizes side by side."""

    @nn.compact
    def __call__(self, x):
        for name in ("a", "b"):
            one = nn.relu(nn.Conv(3, (1, 1), name=f"{name}_1x1")(x))
            three = nn.relu(nn.Conv(3, (3, 3), name=f"{name}_3x3")(nn.relu(nn.Conv(2, (1, 1))(x))))
            five = nn.relu(nn.Conv(2, (5, 5), name=f"{name}_5x5")(nn.relu(nn.Conv(2, (1, 1))(x))))
            pool = nn.relu(nn.Conv(2, (1, 1))(nn.max_pool(x, (3, 3), padding="SAME")))
            x = jnp.concatenate([one, three, five, pool], axis=-1)
        return nn.Dense(5)(x.mean((1, 2)))


class UNet(nn.Module):
    """Ronneberger et al. (2015): down, up, and across; its output is a map."""

    @nn.compact
    def __call__(self, x):
        first = nn.relu(nn.Conv(4, (3, 3), name="down1")(x))
        second = nn.relu(nn.Conv(6, (3, 3), name="down2")(nn.max_pool(first, (2, 2), (2, 2))))
        bottom = nn.relu(nn.Conv(8, (3, 3), name="bottom")(nn.max_pool(second, (2, 2), (2, 2))))
        up = nn.ConvTranspose(6, (2, 2), (2, 2), name="up2")(bottom)
        up = nn.relu(nn.Conv(6, (3, 3), name="merge2")(jnp.concatenate([up, second], -1)))
        up = jax.image.resize(up, (*first.shape[:3], 6), "bilinear")
        up = nn.relu(nn.Conv(4, (3, 3), name="merge1")(jnp.concatenate([up, first], -1)))
        return nn.sigmoid(nn.Conv(1, (1, 1), name="mask")(up))


class SqueezeNet(nn.Module):
    """Iandola et al. (2016): fire modules."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), (2, 2))(x))
        for name in ("fire2", "fire3"):
            s = nn.relu(nn.Conv(2, (1, 1), name=f"{name}_squeeze")(x))
            wide = [nn.relu(nn.Conv(4, (k, k), name=f"{name}_expand{k}")(s)) for k in (1, 3)]
            x = jnp.concatenate(wide, -1)
        return nn.relu(nn.Conv(5, (1, 1))(x)).mean((1, 2))


class MixerBlock(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = jnp.swapaxes(nn.LayerNorm()(x), 1, 2)
        y = nn.Dense(x.shape[1], name="tokens2")(nn.gelu(nn.Dense(6, name="tokens1")(y)))
        x = x + jnp.swapaxes(y, 1, 2)
        y = nn.gelu(nn.Dense(8, name="channels1")(nn.LayerNorm()(x)))
        return x + nn.Dense(x.shape[2], name="channels2")(y)


class Mixer(nn.Module):
    """Tolstikhin et al. (2021): dense layers over positions, then over channels."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(7, (4, 4), (4, 4), name="stem")(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        for _ in range(2):
            x = MixerBlock()(x)
        return nn.Dense(5, name="head")(nn.LayerNorm(name="norm")(x).mean(1))


class Decoder(nn.Module):
    """Radford et al. (2018): masked self-attention, tied output layer; blocks in a scan with remat."""

    words: int = 11

    @nn.compact
    def __call__(self, tokens):
        table = nn.Embed(self.words, 8, name="table")
        places = self.param("places", nn.initializers.normal(0.1), (tokens.shape[1], 8))
        x = table(tokens) + places[None]
        blocks = nn.scan(nn.remat(DecoderBlock), variable_axes={"params": 0}, split_rngs={"params": True}, length=2)
        x, _ = blocks(name="blocks")(x, None)
        return table.attend(nn.LayerNorm(name="norm")(x))


class DecoderBlock(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        mask = nn.make_causal_mask(jnp.ones(x.shape[:2]))
        x = x + nn.MultiHeadDotProductAttention(2, name="attention")(nn.LayerNorm()(x), mask=mask)
        return x + nn.Dense(8)(nn.gelu(nn.Dense(12)(nn.LayerNorm()(x)))), None


class Autoencoder(nn.Module):
    """Hinton and Salakhutdinov (2006), with methods of its own for both halves."""

    def setup(self):
        self.down = [nn.Dense(12), nn.Dense(3)]
        self.up = [nn.Dense(12), nn.Dense(64)]

    def encode(self, x):
        return self.down[1](nn.relu(self.down[0](x.reshape(len(x), -1))))

    def decode(self, z):
        return nn.sigmoid(self.up[1](nn.relu(self.up[0](z)))).reshape(-1, 8, 8, 1)

    def __call__(self, x):
        return self.decode(self.encode(x))


class VolumeNet(nn.Module):
    """A 3-D convolution over volumes."""

    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(3, (3, 3, 3))(x)), (2, 2, 2), (2, 2, 2))
        return nn.Dense(4)(x.reshape(len(x), -1))


MODELS = {
    "plain_cnn": lambda: Example(PlainCNN(), pictures(), 5),
    "lenet": lambda: Example(LeNet(), pictures(10, 1), 5),
    "vgg": lambda: Example(VGG(), pictures(), 5),
    "resnet": lambda: Example(ResNet(), pictures(), 5),
    "densenet": lambda: Example(DenseNet(), pictures(), 5),
    "inception": lambda: Example(Inception(), pictures(6), 5),
    "unet": lambda: Example(UNet(), pictures(8, 1)),
    "squeezenet": lambda: Example(SqueezeNet(), pictures(), 5),
    "mixer": lambda: Example(Mixer(), pictures(), 5),
    "gpt": lambda: Example(Decoder(), tokens(11, 6)),
    "autoencoder": lambda: Example(Autoencoder(), pictures(8, 1)),
    "volume": lambda: Example(VolumeNet(), numbers(3, 4, 4, 4, 1), 4),
}
