"""Shares with their intervals: a row per class, a panel per measure.

chart("iou", share_rows(classes, {"IoU": (values, low, high)}), alt="...", caption="...")
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from reportgen.figures.axes import HAIR, Frame, Scale
from reportgen.figures.fonts import distinct, text_width
from reportgen.figures.scene import SMALL, WIDTH, Dots, Lines, Part, Scene, Words, middle

ROW = 18.0
STARTS = (0.9, 0.8, 0.5)
"""Where the axis may start, if nothing lies below; else at 0."""

Intervals = tuple[np.ndarray, np.ndarray, np.ndarray]


def share_rows(names: Sequence[str], measures: Mapping[str, Intervals]) -> Scene:
    """For each measure (value, low, high) [name] from 0 to 1: a dot at the value, on the line of its interval.

    All measures have one axis, which ends at 1. NaN in the value is "no data"; NaN in the interval leaves the line out.
    """
    ends = np.concatenate([np.concatenate(columns) for columns in measures.values()])
    least = float(np.nanmin(ends, initial=1.0))
    start = next((at for at in STARTS if least >= at), 0.0)
    ticks = (start, (start + 1) / 2, 1.0)
    shown = distinct(tuple(names), 20)
    left = max((text_width(name, SMALL) for name in shown), default=0.0) + 12
    whole = min((WIDTH - left) / len(measures), 260.0)
    bottom = 24 + ROW * len(names)
    named = [
        Words(left - 8, middle(24 + (row + 0.5) * ROW, SMALL), name, size=SMALL, anchor="end")
        for row, name in enumerate(shown)
    ]

    def drawn(at: float, title: str) -> Iterator[Part]:
        return _panel(Frame(at, 24, whole - 28, bottom - 24), title, measures[title], ticks)

    parts = [part for place, title in enumerate(measures) for part in drawn(left + place * whole + 4, title)]
    cells = tuple(Scene(left + whole, bottom + 24, (*named, *drawn(left + 4, title))) for title in measures)
    return Scene(left + whole * len(measures), bottom + 24, (*named, *parts), cells if len(measures) > 1 else ())


def _panel(frame: Frame, title: str, measure: Intervals, ticks: Sequence[float]) -> Iterator[Part]:
    values, low, high = measure
    scale = Scale(ticks[0], ticks[-1], frame.left, frame.right)
    y = frame.top + (np.arange(len(values)) + 0.5) * ROW
    grid = tuple(np.array([[x, frame.top], [x, frame.bottom]]) for x in scale(np.array(ticks)))
    yield Words(frame.left, 12, title, size=SMALL, bold=True)
    yield Lines(grid, "line", HAIR)
    for at in ticks:
        yield Words(float(scale(at)), frame.bottom + 14, f"{at:g}", "muted", SMALL, anchor="middle")
    known = np.isfinite(values)
    sure = known & np.isfinite(low) & np.isfinite(high)
    spans = tuple(np.array([[a, at], [b, at]]) for a, b, at in zip(scale(low), scale(high), y, strict=True))
    yield Lines(tuple(line for line, is_sure in zip(spans, sure, strict=True) if is_sure), "muted", 2)
    yield Dots(np.stack([scale(values[known]), y[known]], axis=1), "accent", 6)
    for at in y[~known]:
        yield Words(frame.left + 4, middle(float(at), SMALL), "no data", "muted", SMALL)
