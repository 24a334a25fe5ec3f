"""Shares with their intervals: a row per class, a panel per measure.

chart("iou", share_rows(classes, {"IoU": (values, low, high)}), alt="...", caption="...")
"""

from collections.abc import Mapping, Sequence

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
    parts: list[Part] = [
        Words(left - 8, middle(24 + (row + 0.5) * ROW, SMALL), name, size=SMALL, anchor="end")
        for row, name in enumerate(shown)
    ]
    for place, (title, (values, low, high)) in enumerate(measures.items()):
        frame = Frame(left + place * whole + 4, 24, whole - 28, bottom - 24)
        scale = Scale(start, 1, frame.left, frame.right)
        y = frame.top + (np.arange(len(names)) + 0.5) * ROW
        grid = tuple(np.array([[x, frame.top], [x, bottom]]) for x in scale(np.array(ticks)))
        parts += [Words(frame.left, 12, title, size=SMALL, bold=True), Lines(grid, "line", HAIR)]
        parts += [Words(float(scale(at)), bottom + 14, f"{at:g}", "muted", SMALL, anchor="middle") for at in ticks]
        known = np.isfinite(values)
        sure = known & np.isfinite(low) & np.isfinite(high)
        spans = tuple(np.array([[a, at], [b, at]]) for a, b, at in zip(scale(low), scale(high), y, strict=True))
        parts.append(Lines(tuple(line for line, is_sure in zip(spans, sure, strict=True) if is_sure), "muted", 2))
        parts.append(Dots(np.stack([scale(values[known]), y[known]], axis=1), "accent", 6))
        parts += [Words(frame.left + 4, middle(float(at), SMALL), "no data", "muted", SMALL) for at in y[~known]]
    return Scene(left + whole * len(measures), bottom + 24, tuple(parts))
