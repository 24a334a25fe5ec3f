"""Numbers behind the tokens of a text, or over the patches of a picture: the bluer the larger, the redder the less.

chart("surprise", token_text(["sequence 3: 1.9 nats a token"], [pieces], [losses], 8.0), alt="...", caption="...")
chart("read", patches(pixels, weights, 0.2), alt="...", caption="...")
"""

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from reportgen.core.scripted import SHADES
from reportgen.figures.fonts import clean, text_width
from reportgen.figures.scene import SIZE, SMALL, WIDTH, Boxes, Hook, Part, Picture, Scene, Words

LINE = 22.0
STRONGEST = 0.6
"""Opacity of the strongest shade: the ink is read on it in both themes."""
PICTURE = 280.0
"""Longest side of a picture under patches."""
NEWLINE = "⏎"
LONGEST = 40
"""Characters of one token, at most: of a longer one the beginning is shown."""


def token_text(
    titles: Sequence[str],
    passages: Sequence[Sequence[str]],
    values: Sequence[np.ndarray],
    largest: float,
    hook: bool = False,
) -> Scene:
    """A passage of tokens under each title, shaded by its values up to `largest` in size; NaN is not shaded.

    A token that ends in a newline ends its line. A passage of right-to-left letters begins at the right. With a `hook`
    the page's script finds the tokens of all passages.
    """
    words: list[Part] = []
    boxes: list[tuple[float, float, float, float]] = []
    y = 0.0
    for title, pieces in zip(titles, passages, strict=True):
        words.append(Words(0, y + 14, title, size=SMALL, bold=True))
        y += 22
        row, backwards = 0, right_to_left("".join(pieces))
        for text, left, width, row in _laid_out(pieces):
            x, top = WIDTH - left - width if backwards else left, y + row * LINE
            boxes.append((x, top, x + width, top + LINE - 3))
            if text.strip():
                words.append(Words(x + width / 2, top + 14, text.strip(), anchor="middle"))
        y += (row + 1) * LINE + 10
    return Scene(WIDTH, y, (*_grounds(np.array(boxes), np.concatenate(values), largest, hook), *words))


def patches(pixels: np.ndarray, values: np.ndarray, largest: float) -> Scene:
    """A picture, uint8 [height, width, 3], with `values` [row, column] over its patches, and a hook for them.

    Patches count row by row for the page's script.
    """
    tall, wide = (PICTURE * side / max(pixels.shape[:2]) for side in pixels.shape[:2])
    rows, columns = values.shape
    top, left = (each.ravel() for each in np.indices(values.shape, float))
    boxes = np.stack(
        [left * wide / columns, top * tall / rows, (left + 1) * wide / columns, (top + 1) * tall / rows], 1
    )
    return Scene(wide, tall, (Picture(0, 0, wide, tall, pixels), *_grounds(boxes, values.ravel(), largest, True)))


def shades(values: np.ndarray, largest: float) -> np.ndarray:
    """int16 of the same shape: how strongly each value is shaded, from -SHADES to SHADES; 0 for NaN."""
    share = np.clip(np.nan_to_num(np.asarray(values, float)) / (largest or 1.0), -1, 1)
    steps: np.ndarray = np.rint(share * SHADES).astype(np.int16)
    return steps


def _grounds(boxes: np.ndarray, values: np.ndarray, largest: float, hook: bool) -> Iterator[Part]:
    steps = shades(values, largest)
    for step in np.unique(steps[steps != 0]).tolist():
        yield Boxes(boxes[steps == step], "accent" if step > 0 else "c2", STRONGEST * abs(step) / SHADES)
    if hook:
        yield Hook("tokens", tuple(np.round(boxes, 1).ravel().tolist()))


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
