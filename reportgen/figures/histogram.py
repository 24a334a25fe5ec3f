"""How often values occur: a histogram of one number per example.

chart("errors", histogram(errors, "squared error", "images"), alt="...", caption="...")
"""

import numpy as np

from reportgen.figures.axes import HAIR, Frame, Scale, bottom_axis, fitting, left_axis, no_data, numbered, round_ticks
from reportgen.figures.scene import SMALL, WIDTH, Boxes, Lines, Part, Scene, Words

BINS = 40


def histogram(values: np.ndarray, x_label: str, counted: str, zero: bool = False) -> Scene:
    """Counts of the finite values in up to 40 equal bins; `counted` names what is counted, `zero` marks the value 0."""
    values = np.asarray(values, float).reshape(-1)
    values = values[np.isfinite(values)]
    frame = Frame(56, 26, WIDTH - 72, 168)
    parts: list[Part] = [Words(frame.left, 14, counted, "muted", SMALL)]
    if not len(values):
        return Scene(WIDTH, 240, (*parts, no_data(frame)))
    low, high = float(values.min()), float(values.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, min(BINS, max(8, int(np.sqrt(len(values)) * 2))), (low, high))
    x, y = Scale(low, high, frame.left, frame.right), Scale(0, float(counts.max()), frame.bottom, frame.top)
    across, tops = x(edges), y(counts)
    some = counts > 0
    boxes = np.stack([across[:-1] + 0.5, tops, across[1:] - 0.5, np.full(len(tops), frame.bottom)], axis=1)
    parts.append(Boxes(boxes[some], "accent"))
    if zero and low < 0 < high:
        at = float(x(0.0))
        parts.append(Lines((np.array([[at, frame.top], [at, frame.bottom]]),), "ink", HAIR, dashes=(3, 3)))
    parts += [
        *bottom_axis(frame, x, fitting(x), x_label),
        *left_axis(frame, y, numbered(round_ticks(0, y.high, 4, whole=True))),
    ]
    return Scene(WIDTH, 240, tuple(parts))
