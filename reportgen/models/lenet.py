"""LeNet as in the sample of Sony's Neural Network Console: two convolutions, two dense layers.

    model = LeNet(num_classes=10)
    variables = model.init(key, images)        # images [batch, height, width, channel], 16x16 or larger
    logits = model.apply(variables, images)    # [batch, 10]

For 28x28 images: conv1 16 maps of 24x24, pooled to 12x12, relu; conv2 30 maps of 8x8, pooled to 4x4,
relu; hidden 150, relu; output. Source: Neural Network Console, sample project LeNet; after LeCun,
Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition.
"""

import jax
from flax import linen as nn

from reportgen.models.checks import check_images
from reportgen.models.pool import max_pool


class LeNet(nn.Module):
    """Modules conv1, conv2, hidden, output; gives logits [batch, num_classes] float32."""

    num_classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`x` is [batch, height, width, channel]; `train` has no effect. Raises ModelError for images below 16x16."""
        check_images("lenet", x.shape, 16)
        x = nn.Conv(16, (5, 5), padding="VALID", name="conv1")(x)
        x = nn.relu(max_pool(x))
        x = nn.Conv(30, (5, 5), padding="VALID", name="conv2")(x)
        x = nn.relu(max_pool(x))
        x = x.reshape((x.shape[0], -1))
        x = nn.relu(nn.Dense(150, name="hidden")(x))
        scores: jax.Array = nn.Dense(self.num_classes, name="output")(x)
        return scores
