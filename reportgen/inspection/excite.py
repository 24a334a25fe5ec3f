"""The labelled images to which each channel responds most, and how it responds to each label.

labelled = excitations(capture, variables, dataset, pictures, way.apply)
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import Capture
from reportgen.core.inspection import Labelled
from reportgen.core.network import Layer
from reportgen.core.run import LazyArray
from reportgen.data import Dataset
from reportgen.evaluate import Evaluator, LabelSums, Top, scores_classes

BATCH_BYTES = 128 << 20
"""All chosen layers of one batch take about this much, within one and a hundred images."""


def excitations(
    capture: Capture,
    variables: Any,
    dataset: Dataset,
    pictures: np.ndarray,
    preprocess: Callable[[np.ndarray], np.ndarray],
    progress: Callable[[int, int], Any] | None = None,
) -> Labelled:
    """The dataset's test images through the network: see `core.inspection.Labelled`.

    `pictures` [image, h, w, channel] are they, from 0 to 1, with the channels that the network takes.
    """
    labels, names = dataset.test_labels, dataset.classes
    shape = preprocess(pictures[:1] * np.float32(255)).shape[1:]
    inputs = LazyArray((len(pictures), *shape), lambda chosen: preprocess(pictures[chosen] * np.float32(255)))
    scored = scores_classes(capture, variables, jax.eval_shape(lambda: jnp.zeros((2, *shape))), len(names))
    layers = [layer for layer in capture.layers if layer.path in capture.selected]
    evaluate = Evaluator(capture, [Top(), LabelSums(len(names), correct=scored)])
    size = _batch_size(layers)
    top, (sums, counts, input_sums) = evaluate(variables, inputs, labels, size=size, progress=progress)
    right = int(counts.sum()) if scored else None
    return Labelled(dataset.name, names, pictures, labels, top, sums, counts, input_sums, right)


def _batch_size(layers: Sequence[Layer]) -> int:
    per_image = sum(int(np.prod(layer.shape)) * 4 for layer in layers)
    return min(100, BATCH_BYTES // max(per_image, 1))
