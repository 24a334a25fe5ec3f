"""Convolutional classifiers in Linen after their papers, at a size that compiles in a moment."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tests.architectures.samples import Example, pictures


class AlexNet(nn.Module):
    """Krizhevsky et al. (2012): large strides, overlapping pools, two wide dense layers with dropout."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.max_pool(nn.relu(nn.Conv(6, (5, 5), (2, 2))(x)), (3, 3), (2, 2))
        x = nn.max_pool(nn.relu(nn.Conv(8, (3, 3), feature_group_count=2)(x)), (2, 2), (1, 1))
        x = x.reshape((x.shape[0], -1))
        for _ in range(2):
            x = nn.Dropout(0.5, deterministic=not train)(nn.relu(nn.Dense(10)(x)))
        return nn.Dense(5)(x)


class Bottleneck(nn.Module):
    width: int
    stride: int = 1
    groups: int = 1

    @nn.compact
    def __call__(self, x, train):
        norm = lambda: nn.BatchNorm(use_running_average=not train)  # noqa: E731
        y = nn.relu(norm()(nn.Conv(self.width, (1, 1), use_bias=False)(x)))
        strides = (self.stride, self.stride)
        y = nn.Conv(self.width, (3, 3), strides, use_bias=False, feature_group_count=self.groups)(y)
        y = norm()(nn.Conv(4 * self.width, (1, 1), use_bias=False)(nn.relu(norm()(y))))
        if x.shape != y.shape:
            x = norm()(nn.Conv(4 * self.width, (1, 1), strides, use_bias=False, name="shortcut")(x))
        return nn.relu(x + y)


class ResNetBottleneck(nn.Module):
    """He et al. (2016): 1x1, 3x3, 1x1; with `groups`, ResNeXt of Xie et al. (2017)."""

    groups: int = 1

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.max_pool(nn.relu(nn.Conv(4, (7, 7), (2, 2))(x)), (3, 3), (2, 2), "SAME")
        for stage, width in enumerate((2, 4)):
            x = Bottleneck(width, 1 + stage, self.groups)(x, train)
        return nn.Dense(5)(jnp.mean(x, axis=(1, 2)))


class PreActivation(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x, train):
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        if x.shape[-1] != self.width:
            x = nn.Conv(self.width, (1, 1), name="shortcut")(y)
        y = nn.Conv(self.width, (3, 3), name="conv1")(y)
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
        return x + nn.Conv(self.width, (3, 3), name="conv2")(y)


class ResNetV2(nn.Module):
    """He et al. (2016b): normalisation and relu come before the convolution, the sum stays as it is."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), name="stem")(x)
        for width in (4, 6):
            x = PreActivation(width)(x, train)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(5)(x.mean((1, 2)))


class SqueezeExcite(nn.Module):
    @nn.compact
    def __call__(self, x):
        s = jnp.mean(x, axis=(1, 2), keepdims=True)
        s = nn.relu(nn.Conv(2, (1, 1), name="reduce")(s))
        return x * nn.hard_sigmoid(nn.Conv(x.shape[-1], (1, 1), name="expand")(s))


class SENet(nn.Module):
    """Hu et al. (2018): channels are weighed by what the whole picture says."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        for _ in range(2):
            y = nn.BatchNorm(use_running_average=not train)(nn.Conv(4, (3, 3))(x))
            x = nn.relu(x + SqueezeExcite()(y))
        return nn.Dense(5)(x.mean((1, 2)))


class InvertedResidual(nn.Module):
    out: int
    stride: int = 1
    hard: bool = False
    excite: bool = False

    @nn.compact
    def __call__(self, x, train):
        act = nn.hard_swish if self.hard else nn.relu6
        norm = lambda: nn.BatchNorm(use_running_average=not train)  # noqa: E731
        wide = 3 * x.shape[-1]
        y = act(norm()(nn.Conv(wide, (1, 1), use_bias=False)(x)))
        strides = (self.stride, self.stride)
        y = act(norm()(nn.Conv(wide, (3, 3), strides, feature_group_count=wide, use_bias=False)(y)))
        if self.excite:
            y = SqueezeExcite()(y)
        y = norm()(nn.Conv(self.out, (1, 1), use_bias=False)(y))
        return x + y if x.shape == y.shape else y


class MobileNetV2(nn.Module):
    """Sandler et al. (2018): narrow, wide, narrow, and no activation at the end of a block."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu6(nn.Conv(4, (3, 3), (2, 2))(x))
        x = InvertedResidual(4)(x, train)
        x = InvertedResidual(6, stride=2)(x, train)
        return nn.Dense(5)(x.mean((1, 2)))


class MobileNetV3(nn.Module):
    """Howard et al. (2019): hard swish and squeeze-and-excitation."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.hard_swish(nn.Conv(4, (3, 3), (2, 2))(x))
        x = InvertedResidual(4, hard=True, excite=True)(x, train)
        x = nn.hard_swish(nn.Conv(8, (1, 1))(x)).mean((1, 2))
        return nn.Dense(5)(nn.hard_swish(nn.Dense(8)(x)))


class ShuffleNet(nn.Module):
    """Zhang et al. (2018): grouped 1x1 convolutions, between which channels change groups."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        for _ in range(2):
            y = nn.relu(nn.Conv(8, (1, 1), feature_group_count=2)(x))
            n, h, w, c = y.shape
            y = y.reshape(n, h, w, 2, c // 2).swapaxes(3, 4).reshape(n, h, w, c)
            y = nn.Conv(8, (3, 3), feature_group_count=8)(y)
            x = nn.relu(nn.Conv(4, (1, 1), feature_group_count=2)(y) + x)
        return nn.Dense(5)(x.mean((1, 2)))


class Xception(nn.Module):
    """Chollet (2017): depthwise separable convolutions with residuals."""

    @nn.compact
    def __call__(self, x, train=False):
        for width in (4, 6):
            skip = nn.Conv(width, (1, 1), (2, 2), name=f"skip{width}")(x)
            y = nn.Conv(x.shape[-1], (3, 3), feature_group_count=x.shape[-1], use_bias=False)(nn.relu(x))
            y = nn.BatchNorm(use_running_average=not train)(nn.Conv(width, (1, 1), use_bias=False)(y))
            x = nn.max_pool(y, (3, 3), (2, 2), "SAME") + skip
        return nn.Dense(5)(x.mean((1, 2)))


class StandardizedConv(nn.Conv):
    """Qiao et al. (2019): the kernel is standardised before it is used."""

    @nn.compact
    def __call__(self, x):
        shape = (*self.kernel_size, x.shape[-1] // self.feature_group_count, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        gain = self.param("gain", nn.initializers.ones, (self.features,))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        mean, var = kernel.mean((0, 1, 2), keepdims=True), kernel.var((0, 1, 2), keepdims=True)
        fan_in = shape[0] * shape[1] * shape[2]
        kernel = (kernel - mean) * jax.lax.rsqrt(jnp.maximum(var * fan_in, 1e-4)) * gain
        dimensions = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dimensions) + bias


class NFNet(nn.Module):
    """Brock et al. (2021): no normalisation; scaled activations and standardised kernels."""

    @nn.compact
    def __call__(self, x):
        x = StandardizedConv(4, (3, 3), name="stem")(x)
        expected = 1.0
        for number in range(2):
            y = nn.gelu(x) * 1.7015 / expected
            y = StandardizedConv(4, (1, 1), name=f"block{number}_conv1")(y)
            y = StandardizedConv(4, (3, 3), name=f"block{number}_conv2")(nn.gelu(y) * 1.7015)
            y = 2 * y * nn.sigmoid(nn.Dense(4, name=f"block{number}_gate")(y.mean((1, 2))))[:, None, None]
            gain = self.param(f"gain{number}", nn.initializers.constant(0.2), ())
            x = x + 0.2 * gain * y
            expected = (expected**2 + 0.04) ** 0.5
        return nn.Dense(5, name="head")(nn.gelu(x).mean((1, 2)))


class ConvNeXtV2Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        y = nn.Conv(width, (7, 7), feature_group_count=width, name="depthwise")(x)
        y = nn.gelu(nn.Dense(3 * width, name="wide")(nn.LayerNorm()(y)))
        norm = jnp.sqrt((y**2).sum((1, 2), keepdims=True))
        response = norm / (norm.mean(-1, keepdims=True) + 1e-6)
        gamma = self.param("gamma", nn.initializers.ones, (3 * width,))
        beta = self.param("beta", nn.initializers.zeros, (3 * width,))
        y = gamma * (y * response) + beta + y
        return x + nn.Dense(width, name="narrow")(y)


class ConvNeXtV2(nn.Module):
    """Woo et al. (2023): global response normalisation, written by hand."""

    @nn.compact
    def __call__(self, x):
        x = nn.LayerNorm()(nn.Conv(4, (2, 2), (2, 2), name="stem")(x))
        for _ in range(2):
            x = ConvNeXtV2Block()(x)
        return nn.Dense(5)(nn.LayerNorm()(x.mean((1, 2))))


class RegNet(nn.Module):
    """Radosavovic et al. (2020): stages of grouped bottlenecks, widths from a line."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(4, (3, 3), (2, 2))(x))
        for width in (4, 8):
            y = nn.relu(nn.GroupNorm(2)(nn.Conv(width, (1, 1))(x)))
            y = nn.relu(nn.GroupNorm(2)(nn.Conv(width, (3, 3), feature_group_count=width // 2)(y)))
            y = nn.GroupNorm(2)(nn.Conv(width, (1, 1))(y))
            x = nn.relu(y + (x if x.shape == y.shape else nn.Conv(width, (1, 1))(x)))
        return nn.Dense(5)(x.mean((1, 2)))


class NetworkInNetwork(nn.Module):
    """Lin et al. (2014): 1x1 convolutions, and a map per class that is averaged."""

    @nn.compact
    def __call__(self, x):
        for width in (4, 5):
            x = nn.relu(nn.Conv(width, (3, 3))(x))
            x = nn.relu(nn.Conv(width, (1, 1))(x))
        return nn.log_softmax(jnp.mean(x, (1, 2)))


class Maxout(nn.Module):
    """Goodfellow et al. (2013): the largest of several linear functions."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(12, (3, 3))(x)
        x = x.reshape(*x.shape[:-1], 6, 2).max(-1)
        x = nn.Dense(16)(x.mean((1, 2)))
        return nn.Dense(5)(x.reshape(-1, 8, 2).max(-1))


class AttentionModule(nn.Module):
    @nn.compact
    def __call__(self, x):
        shared = nn.Sequential([nn.Dense(2), nn.relu, nn.Dense(x.shape[-1])])
        channel = nn.sigmoid(shared(x.mean((1, 2))) + shared(x.max((1, 2))))
        x = x * channel[:, None, None]
        both = jnp.stack([x.mean(-1), x.max(-1)], axis=-1)
        return x * nn.sigmoid(nn.Conv(1, (3, 3), name="spatial")(both))


class CBAM(nn.Module):
    """Woo et al. (2018): attention to channels, then to places."""

    @nn.compact
    def __call__(self, x):
        x = AttentionModule()(nn.relu(nn.Conv(4, (3, 3))(x)))
        x = AttentionModule()(nn.relu(nn.Conv(6, (3, 3), (2, 2))(x)))
        return nn.Dense(5)(x.reshape(x.shape[0], -1))


class InceptionResNet(nn.Module):
    """Szegedy et al. (2017): branches whose sum is scaled down before it is added."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="stem")(x))
        for number in range(2):
            one = nn.relu(nn.Conv(2, (1, 1), name=f"one{number}")(x))
            two = nn.relu(nn.Conv(2, (1, 1), name=f"two{number}_1")(x))
            two = nn.relu(nn.Conv(3, (1, 3), name=f"two{number}_2")(two))
            two = nn.relu(nn.Conv(3, (3, 1), name=f"two{number}_3")(two))
            up = nn.Conv(4, (1, 1), name=f"up{number}")(jnp.concatenate([one, two], -1))
            x = nn.relu(x + 0.2 * up)
        return nn.Dense(5)(x.mean((1, 2)))


MODELS = {
    "alexnet": lambda: Example(AlexNet(), pictures(12), 5),
    "resnet_bottleneck": lambda: Example(ResNetBottleneck(), pictures(), 5),
    "resnext": lambda: Example(ResNetBottleneck(groups=2), pictures(), 5),
    "resnet_v2": lambda: Example(ResNetV2(), pictures(), 5),
    "senet": lambda: Example(SENet(), pictures(), 5),
    "mobilenet_v2": lambda: Example(MobileNetV2(), pictures(), 5),
    "mobilenet_v3": lambda: Example(MobileNetV3(), pictures(), 5),
    "shufflenet": lambda: Example(ShuffleNet(), pictures(), 5),
    "xception": lambda: Example(Xception(), pictures(), 5),
    "nfnet": lambda: Example(NFNet(), pictures(), 5),
    "convnext_v2": lambda: Example(ConvNeXtV2(), pictures(), 5),
    "regnet": lambda: Example(RegNet(), pictures(), 5),
    "network_in_network": lambda: Example(NetworkInNetwork(), pictures(), 5),
    "maxout": lambda: Example(Maxout(), pictures(), 5),
    "cbam": lambda: Example(CBAM(), pictures(), 5),
    "inception_resnet": lambda: Example(InceptionResNet(), pictures(), 5),
}
