"""The LeNet of `lenet.py` in Flax NNX: the same layers, names and initialisers.

    model = lenet_nnx(num_classes=10, image_shape=(28, 28, 1), seed=0)
    logits = model(images)                     # [batch, 28, 28, 1] -> [batch, 10]

An NNX module holds its parameters, so they are made here and the images' shape must be known.
"""

import jax
from flax import nnx

from reportgen.models.checks import check_images
from reportgen.models.pool import max_pool


class LeNetNNX(nnx.Module):
    """Modules conv1, conv2, hidden, output; gives logits [batch, num_classes] float32."""

    def __init__(self, num_classes: int, image_shape: tuple[int, int, int], rngs: nnx.Rngs) -> None:
        """`image_shape` is (height, width, channels). Raises ModelError for images below 16x16."""
        check_images("lenet_nnx", (1, *image_shape), 16)
        height, width, channels = image_shape
        # Each 5x5 convolution takes 4 rows off, each pooling halves.
        rows, columns = (((size - 4) // 2 - 4) // 2 for size in (height, width))
        self.conv1 = nnx.Conv(channels, 16, (5, 5), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(16, 30, (5, 5), padding="VALID", rngs=rngs)
        self.hidden = nnx.Linear(rows * columns * 30, 150, rngs=rngs)
        self.output = nnx.Linear(150, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`x` is [batch, *image_shape]; `train` has no effect."""
        x = nnx.relu(max_pool(self.conv1(x)))
        x = nnx.relu(max_pool(self.conv2(x)))
        x = x.reshape((x.shape[0], -1))
        scores: jax.Array = self.output(nnx.relu(self.hidden(x)))
        return scores


def lenet_nnx(num_classes: int = 10, image_shape: tuple[int, int, int] = (28, 28, 1), seed: int = 0) -> LeNetNNX:
    """The model for that many classes and images [height, width, channel], initialised from `seed`."""
    return LeNetNNX(num_classes, image_shape, nnx.Rngs(seed))
