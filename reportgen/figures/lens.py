"""What is predicted after each block: a row per block, a column per position, the bluer the surer.

chart("lens", lens(rows, heads, cells, shares, right), alt="...", caption="...")
"""

from collections.abc import Sequence

import numpy as np

from reportgen.figures.fonts import clean, distinct, text_width
from reportgen.figures.marks import shaded
from reportgen.figures.scene import SMALL, WIDTH, Lines, Part, Scene, Words, middle

CELL, LEFT, TOP = 22.0, 170.0, 24.0
LONGEST = 24


def lens(
    rows: Sequence[str],
    read: Sequence[str],
    cells: Sequence[Sequence[str]],
    shares: np.ndarray,
    right: np.ndarray,
    following: Sequence[str] = (),
) -> Scene:
    """The tokens `cells` [row, column], each behind it its probability `shares`, bold where `right`.

    `read` are the tokens that are read, above, and `following` those that in fact follow, below; () for none.
    """
    across = LEFT + (WIDTH - LEFT) / len(read) * np.arange(len(read) + 1.0)
    down = TOP + CELL * np.arange(len(rows) + 1.0)
    room = float(across[1] - across[0]) - 4
    parts: list[Part] = [*shaded(across, down, shares, "accent", strongest=0.6)]
    parts.append(Lines((np.array([[0, TOP], [WIDTH, TOP]]), np.array([[0, down[-1]], [WIDTH, down[-1]]])), "line"))
    for y, name in ((TOP - 8, "read"), *((down[-1] + 16, "followed by") for _ in following[:1])):
        parts.append(Words(0, y, name, "muted", SMALL))
    for column in range(len(read)):
        x = float(across[column : column + 2].mean())
        parts.append(Words(x, TOP - 8, _fitted(read[column], room), "muted", SMALL, anchor="middle"))
        if following:
            parts.append(Words(x, down[-1] + 16, _fitted(following[column], room), "muted", SMALL, anchor="middle"))
    long = any(len(name) > LONGEST for name in rows)
    for row, name in enumerate(distinct(tuple(rows), LONGEST) if long else rows):
        y = middle(float(down[row : row + 2].mean()), SMALL)
        parts.append(Words(0, y, name, size=SMALL))
        for column in range(len(read)):
            x, bold = float(across[column : column + 2].mean()), bool(right[row, column])
            parts.append(Words(x, y, _fitted(cells[row][column], room), size=SMALL, bold=bold, anchor="middle"))
    return Scene(WIDTH, float(down[-1]) + (26 if following else 4), tuple(parts))


def _fitted(text: str, room: float) -> str:
    """The text, or as much of its beginning as fits."""
    text = clean(text)
    while len(text) > 1 and text_width(text, SMALL) * 1.1 > room:
        text = f"{text[:-2]}…"
    return text
