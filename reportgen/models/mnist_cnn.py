"""A network of four 2x2 convolutions for small images, with dropout and a hidden layer of 512.

    model = MnistCNN(num_classes=10)
    variables = model.init(key, images)        # images [batch, height, width, channel], 4x4 or larger
    logits = model.apply(variables, images)    # [batch, 10]
    logits = model.apply(variables, images, train=True, rngs={"dropout": key})

Two blocks of [conv 32, conv 32, relu, max-pool 2, dropout 0.2], then hidden 512, relu, output.
"""

import jax
from flax import linen as nn

from reportgen.models.checks import check_images
from reportgen.models.pool import max_pool


class MnistCNN(nn.Module):
    """Modules conv1_1, conv1_2, dropout1, conv2_1, conv2_2, dropout2, hidden, output; gives logits."""

    num_classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`x` is [batch, height, width, channel]; `train=True` applies dropout and needs rngs={"dropout": key}.

        Raises ModelError for images smaller than 4x4.
        """
        check_images("mnist_cnn", x.shape, 4)
        for block in (1, 2):
            x = nn.Conv(32, (2, 2), padding="SAME", name=f"conv{block}_1")(x)
            x = nn.Conv(32, (2, 2), padding="SAME", name=f"conv{block}_2")(x)
            x = max_pool(nn.relu(x))
            x = nn.Dropout(0.2, deterministic=not train, name=f"dropout{block}")(x)
        x = x.reshape((x.shape[0], -1))
        x = nn.relu(nn.Dense(512, name="hidden")(x))
        scores: jax.Array = nn.Dense(self.num_classes, name="output")(x)
        return scores
