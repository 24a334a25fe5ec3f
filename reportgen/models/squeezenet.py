"""SqueezeNet v1.1, for its pretrained ImageNet weights.

    model = SqueezeNet()                       # conv1 to fire9, without the classifier
    maps = model.apply({"params": params}, images)   # [batch, 227, 227, 3] -> [batch, 13, 13, 512]
    model = SqueezeNet(num_classes=10)         # with it: logits [batch, 10]

A fire module squeezes to few channels by a 1x1 convolution and expands by a 1x1 and a 3x3, side by side.
Parameters are named as in Keras' conversion ("fire2/squeeze1x1/kernel"); its images are BGR, 0 to 255,
minus the means (103.939, 116.779, 123.68). Source: Iandola et al. (2016), arXiv:1602.07360; version 1.1:
github.com/forresti/SqueezeNet.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from reportgen.models.checks import check_images


class Fire(nn.Module):
    """Modules squeeze1x1, expand1x1, expand3x3, each followed by relu; outputs 2 * `expand` channels."""

    squeeze: int
    expand: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` is [batch, height, width, channel]; height and width are unchanged."""
        x = nn.relu(nn.Conv(self.squeeze, (1, 1), name="squeeze1x1")(x))
        narrow = nn.relu(nn.Conv(self.expand, (1, 1), name="expand1x1")(x))
        wide = nn.relu(nn.Conv(self.expand, (3, 3), padding="SAME", name="expand3x3")(x))
        return jnp.concatenate([narrow, wide], axis=-1)


class SqueezeNet(nn.Module):
    """Modules conv1, fire2 to fire9 and, with `num_classes`, dropout and conv10; without, no classifier."""

    num_classes: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`x` is [batch, height, width, channel], 31x31 or larger; raises ModelError otherwise.

        Gives the last feature maps, or logits (the mean of conv10 over positions). `train=True` with a
        classifier applies dropout and needs rngs={"dropout": key}.
        """
        check_images("squeezenet", x.shape, 31)
        x = nn.relu(nn.Conv(64, (3, 3), strides=(2, 2), padding="VALID", name="conv1")(x))
        x = nn.max_pool(x, (3, 3), strides=(2, 2))
        x = Fire(16, 64, name="fire2")(x)
        x = Fire(16, 64, name="fire3")(x)
        x = nn.max_pool(x, (3, 3), strides=(2, 2))
        x = Fire(32, 128, name="fire4")(x)
        x = Fire(32, 128, name="fire5")(x)
        x = nn.max_pool(x, (3, 3), strides=(2, 2))
        x = Fire(48, 192, name="fire6")(x)
        x = Fire(48, 192, name="fire7")(x)
        x = Fire(64, 256, name="fire8")(x)
        x = Fire(64, 256, name="fire9")(x)
        if self.num_classes is None:
            return x
        x = nn.Dropout(0.5, deterministic=not train, name="dropout")(x)
        x = nn.relu(nn.Conv(self.num_classes, (1, 1), name="conv10")(x))
        return x.mean((1, 2))
