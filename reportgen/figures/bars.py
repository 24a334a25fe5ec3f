"""Counts as horizontal bars, each named by what was confused."""

from collections.abc import Sequence

import numpy as np

from reportgen.errors import DataError
from reportgen.figures.fonts import distinct, text_width
from reportgen.figures.scene import SMALL, WIDTH, Boxes, Part, Scene, Words, middle

_ROW = 20.0  # px: a bar and the gap below it


def pair_bars(pairs: Sequence[tuple[str, str, int]]) -> Scene:
    """A bar per (true class, predicted class, count), longest first as given; both names stand beside it."""
    if not pairs:
        raise DataError("a chart of confused classes needs a pair of them", code="A101")
    names = distinct(tuple(dict.fromkeys(name for true, predicted, _ in pairs for name in (true, predicted))), 28)
    short = dict(zip(dict.fromkeys(name for t, p, _ in pairs for name in (t, p)), names, strict=True))
    labels = [f"{short[true]} → {short[predicted]}" for true, predicted, _ in pairs]
    left = min(max(text_width(label, SMALL) for label in labels), WIDTH - 160) + 10
    most = max(count for _, _, count in pairs)
    parts: list[Part] = []
    for row, (label, (_, _, count)) in enumerate(zip(labels, pairs, strict=True)):
        top = 4 + row * _ROW
        end = left + count / most * (WIDTH - left - 48)
        baseline = middle(top + _ROW / 2 - 1, SMALL)
        parts += [
            Words(left - 8, baseline, label, size=SMALL, anchor="end"),
            Boxes(np.array([[left, top, end, top + _ROW - 5]]), "accent"),
            Words(end + 6, baseline, f"{count:,}", "muted", SMALL),
        ]
    return Scene(WIDTH, 8 + len(pairs) * _ROW, tuple(parts))
