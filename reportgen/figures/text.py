"""Text with a number behind each of its tokens: the ground of a token is the bluer the larger its number.

chart("surprise", token_text(["sequence 3: 1.9 nats a token"], [pieces], [losses], 8.0), alt="...", caption="...")
"""

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from reportgen.figures.fonts import clean, text_width
from reportgen.figures.scene import SIZE, SMALL, WIDTH, Boxes, Part, Scene, Words

LINE = 22.0
SHADES = 12
NEWLINE = "⏎"
LONGEST = 40
"""Characters of one token, at most: of a longer one the beginning is shown."""


def token_text(
    titles: Sequence[str], passages: Sequence[Sequence[str]], values: Sequence[np.ndarray], largest: float
) -> Scene:
    """A passage of tokens under each title, shaded from 0 to `largest`; NaN is not shaded.

    A token that ends in a newline ends its line. A passage of right-to-left letters begins at the right.
    """
    words: list[Part] = []
    shaded: dict[int, list[tuple[float, float, float, float]]] = {}
    y = 0.0
    for title, pieces, numbers in zip(titles, passages, values, strict=True):
        words.append(Words(0, y + 14, title, size=SMALL, bold=True))
        y += 22
        backwards = right_to_left("".join(pieces))
        for (text, left, width, row), number in zip(_laid_out(pieces), numbers, strict=True):
            x, top = WIDTH - left - width if backwards else left, y + row * LINE
            if np.isfinite(number) and number > 0:
                shade = int(np.ceil(min(float(number) / (largest or 1.0), 1.0) * SHADES))
                shaded.setdefault(shade, []).append((x, top, x + width, top + LINE - 3))
            if text.strip():
                words.append(Words(x + width / 2, top + 14, text.strip(), anchor="middle"))
        y += (row + 1) * LINE + 10
    # Under text no stronger than 0.6: the ink is read on it in both themes.
    grounds = [Boxes(np.array(boxes), "accent", 0.6 * shade / SHADES) for shade, boxes in sorted(shaded.items())]
    return Scene(WIDTH, y, (*grounds, *words))


def _laid_out(pieces: Sequence[str]) -> Iterator[tuple[str, float, float, int]]:
    """(text, distance from the line's beginning, width, line) of each token."""
    at, row = 0.0, 0
    for piece in pieces:
        text = clean(piece.replace("\r\n", "\n").replace("\n", NEWLINE))
        text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        width = max(text_width(text, SIZE), 4.0)
        if at and at + width > WIDTH:
            at, row = 0.0, row + 1
        yield text, at, width, row
        at, row = (0.0, row + 1) if piece.endswith("\n") else (at + width + 0.5, row)


def right_to_left(text: str) -> bool:
    """Whether most of the text's letters are written from right to left."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    return sum(kind in ("R", "AL") for kind in kinds) > sum(kind == "L" for kind in kinds)
