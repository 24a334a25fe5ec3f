"""Animation, small multiples and overlay show the same points the same way up: y upwards."""

import io

import numpy as np
import pytest
from PIL import Image

from reportgen.figures.animation import animation
from reportgen.figures.export import export
from reportgen.figures.palettes import CLASS_COLORS, rgb
from reportgen.figures.scatter import embedding_multiples, embedding_overlay

RANDOM = np.random.default_rng(0)
# Class 0 in the upper left corner, class 1 in the lower right one.
POINTS = RANDOM.normal(np.repeat([[0, 3], [5, 0]], 40, axis=0), 0.1)
LABELS = np.repeat([0, 1], 40)
DRAWN = {
    "animation": lambda: animation([POINTS], LABELS, [], ["epoch 1"]).gif,
    "multiples": lambda: export(embedding_multiples([POINTS], ["epoch 1"], LABELS, []), "png"),
    "overlay": lambda: export(embedding_overlay(POINTS[:0], LABELS[:0], POINTS, LABELS, []), "png"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_up_is_up_and_left_is_left(name: str) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(DRAWN[name]())).convert("RGB")).astype(int)
    middle = [np.argwhere(np.abs(pixels - rgb(CLASS_COLORS[label])).max(axis=2) < 40).mean(axis=0) for label in (0, 1)]
    (top, left), (bottom, right) = middle
    assert top < bottom and left < right, name
    # The cloud's own proportions: 5 across and 3 down.
    assert (right - left) / (bottom - top) == pytest.approx(5 / 3, rel=0.05)
