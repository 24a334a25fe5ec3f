"""Values with their intervals, a row each: differences per class, similarities per layer.

chart("classes", intervals(names, values, lows, highs, label="points of accuracy", zero=0.0), alt="...", caption="...")
"""

from collections.abc import Sequence

import numpy as np

from reportgen.errors import DataError
from reportgen.figures.axes import HAIR, Frame, Scale, bottom_axis, fitting, padded
from reportgen.figures.fonts import distinct, text_width
from reportgen.figures.scene import SMALL, WIDTH, Boxes, Dots, Lines, Part, Scene, Words, middle

ROW = 20.0
LONGEST = 34


def intervals(
    names: Sequence[str],
    values: np.ndarray,
    lows: np.ndarray,
    highs: np.ndarray,
    *,
    label: str,
    zero: float | None = None,
    chance: np.ndarray | None = None,
    within: tuple[float, float] | None = None,
) -> Scene:
    """A dot and a line for each of `names`, on one axis named `label`; `values`, `lows`, `highs` [row], NaN for none.

    A hairline marks `zero`; a short grey bar ends at what `chance` [row] gives. `within` fixes the axis. Raises
    DataError for no rows.
    """
    if not len(names) or not len(names) == len(values) == len(lows) == len(highs):
        raise DataError(
            f"intervals need a value and two ends per name; got {len(names)} names, {len(values)} values", code="A101"
        )
    shown = distinct(tuple(names), LONGEST)
    left = max(text_width(name, SMALL) for name in shown) + 14
    frame = Frame(left, 8, WIDTH - left - 16, ROW * len(names))
    marks = [values, lows, highs, *([] if zero is None else [np.array([zero])]), *([] if chance is None else [chance])]
    low, high = within or padded(np.concatenate([np.asarray(m, float) for m in marks]))
    x = Scale(low, high, frame.left, frame.right)
    rows = frame.top + (np.arange(len(names)) + 0.5) * ROW
    parts: list[Part] = [Lines(tuple(_level(frame.left, frame.right, y) for y in rows), "line", HAIR)]
    if zero is not None:
        at = float(x(zero))
        parts.append(Lines((np.array([[at, frame.top], [at, frame.bottom]]),), "muted", HAIR, dashes=(3, 3)))
    if chance is not None:
        ends, start = x(chance), float(x(max(low, 0.0)))
        boxes = [
            (min(start, end), y - 5, max(start, end), y + 5)
            for y, end in zip(rows, ends, strict=True)
            if np.isfinite(end)
        ]
        if boxes:
            parts.append(Boxes(np.array(boxes), "muted", 0.25))
    known = np.isfinite(x(lows)) & np.isfinite(x(highs))
    lines = tuple(_level(a, b, y) for a, b, y in zip(x(lows)[known], x(highs)[known], rows[known], strict=True))
    parts.append(Lines(lines, "accent", 2.0))
    points = np.stack([x(values), rows], axis=1)
    parts.append(Dots(points[np.isfinite(points).all(axis=1)], "accent", 7.0))
    for y, name, value in zip(rows, shown, values, strict=True):
        parts.append(Words(frame.left - 8, middle(float(y), SMALL), name, size=SMALL, anchor="end"))
        if not np.isfinite(value):
            parts.append(Words(frame.left + 6, middle(float(y), SMALL), "no data", "muted", SMALL, halo=True))
    parts += bottom_axis(frame, x, fitting(x), label)
    return Scene(WIDTH, frame.bottom + 44, tuple(parts))


def _level(left: float, right: float, y: float) -> np.ndarray:
    return np.array([[left, y], [right, y]])
