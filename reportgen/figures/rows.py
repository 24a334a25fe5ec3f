"""Pictures in rows under shared headings: an input, what was wanted, what the network gave.

chart("dense-probe", picture_rows(["input", "true", "predicted"], rows, names, legend), alt="...", caption="...")
"""

from collections.abc import Sequence

import numpy as np

from reportgen.figures.fonts import shorten, text_width
from reportgen.figures.palettes import CLASS_COLORS, rgb
from reportgen.figures.scene import COLORS, SMALL, WIDTH, Boxes, Part, Picture, Scene, Words, middle

GAP = 8.0
LARGEST = 104.0
"""Side of a picture in CSS pixels, at most."""

IGNORED = rgb(COLORS["line"])


def picture_rows(
    headings: Sequence[str],
    rows: Sequence[Sequence[np.ndarray]],
    names: Sequence[str],
    legend: Sequence[tuple[str, str]] = (),
) -> Scene:
    """A row per name, each with a picture [height, width, 3] uint8 under each of the headings.

    A small picture is enlarged by a whole factor. `legend` has pairs of a colour's name and a text.
    """
    left = min(max((text_width(shorten(name, 22), SMALL) for name in names), default=0.0) + GAP, 150.0)
    height, width = rows[0][0].shape[:2]
    room = min((WIDTH - left) / len(headings) - GAP, LARGEST)
    factor = room / max(height, width)
    factor = float(int(factor)) if factor >= 1 else factor
    across, down = width * factor, height * factor
    parts: list[Part] = []
    x, y = left, 12.0
    for color, text in legend:
        length = 13 + text_width(text, SMALL) + 14
        if x + length > WIDTH and x > left:
            x, y = left, y + SMALL + 6
        parts += [Boxes(np.array([[x, y - 9, x + 9, y]]), color), Words(x + 13, y, text, size=SMALL)]
        x += length
    top = y + 20 if legend else y
    columns = [left + place * (max(across, 60.0) + GAP) for place in range(len(headings))]
    parts += [Words(at, top, heading, "muted", SMALL) for at, heading in zip(columns, headings, strict=True)]
    for index, (name, pictures) in enumerate(zip(names, rows, strict=True)):
        at = top + GAP + index * (down + GAP)
        parts.append(Words(0, middle(at + down / 2, SMALL), shorten(name, 22), size=SMALL))
        parts += [Picture(x, at, across, down, pixels) for x, pixels in zip(columns, pictures, strict=True)]
    return Scene(columns[-1] + max(across, 60.0), top + GAP + len(rows) * (down + GAP), tuple(parts))


def class_picture(labels: np.ndarray) -> np.ndarray:
    """[height, width, 3] uint8: the colour of each pixel's class; a hairline grey where there is none (below 0)."""
    table = np.array([*(rgb(color) for color in CLASS_COLORS), IGNORED], np.uint8)
    chosen: np.ndarray = table[np.where(labels < 0, len(CLASS_COLORS), labels % len(CLASS_COLORS))]
    return chosen
