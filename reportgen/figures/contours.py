"""The loss around the path of a training: contours on a plane, with the path over them.

chart("plane", contours(x, y, loss, path, names=("step 0", "step 400")), alt="...", caption="...")
"""

from collections.abc import Iterator, Sequence

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.errors import DataError
from reportgen.figures.axes import HAIR, Frame, Scale, bottom_axis, fitting, left_axis, left_room, round_ticks
from reportgen.figures.fonts import text_width
from reportgen.figures.scene import SIZE, SMALL, WIDTH, Dots, Lines, Part, Scene, Words, middle, rectangle

TALLEST, LOWEST = 460, 200
"""Pixels of the plot's height; in between, a unit is as long in both directions."""

MOST_LEVELS = 12

Side = tuple[tuple[int, int], ...]
"""A side of a cell: the (row, column) of its two ends."""


def contours(x: np.ndarray, y: np.ndarray, values: np.ndarray, path: np.ndarray, names: tuple[str, str]) -> Scene:
    """Lines of equal `values` [row, column] at `levels`, each with its number, and a path [n, 2] with its ends named.

    `x` [column] and `y` [row] are where the values are; one that is not finite leaves a gap. Raises DataError where the
    sizes do not belong together.
    """
    if values.shape != (len(y), len(x)) or path.shape[1:] != (2,) or not len(path):
        raise DataError(
            f"values must be [row, column] at {len(y)} rows and {len(x)} columns, the path [n, 2]; got "
            f"{list(values.shape)} and {list(path.shape)}",
            code="A101",
        )
    room = left_room({0.0: "-00.0"})
    width = WIDTH - room - 16
    height = float(np.clip(width * np.ptp(y) / np.ptp(x), LOWEST, TALLEST))
    frame = Frame(room, 26, width, height)
    across, up = Scale(x[0], x[-1], frame.left, frame.right), Scale(y[0], y[-1], frame.bottom, frame.top)
    way = np.stack([across(path[:, 0]), up(path[:, 1])], axis=1)
    found = {level: lines_at(across(x), up(y), values, level) for level in levels(values)}
    parts: list[Part] = [
        Lines((rectangle(frame.left, frame.top, frame.right, frame.bottom),), "line", HAIR),
        Lines(tuple(line for lines in found.values() for line in lines), "muted", 1.0, 0.75),
        *_numbers(found, frame, way),
        Lines((way,), "accent", 1.5),
        Dots(way, "accent", 5.0),
        *_ends(way, names, frame),
        Words(frame.left, 16, "along the second direction", "muted", SIZE),
        *bottom_axis(frame, across, fitting(across), "along the first direction"),
        *left_axis(frame, up, fitting(Scale(y[0], y[-1], 0, height))),
    ]
    return Scene(WIDTH, frame.bottom + 40, tuple(parts))


def levels(values: np.ndarray) -> list[float]:
    """Round numbers between the least and the largest of the values: 1, 2, 5, 10, ... where they span a factor of 10.

    >>> levels(np.array([[0.04, 1.5]]))
    [0.05, 0.1, 0.2, 0.5, 1.0]
    """
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if low == high:
        return []
    if low > 0 and high / low > 10:
        powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        steps = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
        inside = [step for step in steps if low < step < high]
        return inside[:: -(-len(inside) // MOST_LEVELS)]
    return [level for level in round_ticks(low, high, 8) if low < level < high]


def lines_at(x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float) -> list[np.ndarray]:
    """Polylines [n, 2] along which values [row, column], linear along the sides of each cell, are at the level.

    Marching squares (Lorensen and Cline 1987, in two dimensions); a saddle is resolved by the mean of its corners.
    """
    above = values > level
    joined: dict[Side, list[Side]] = {}
    for row in range(len(y) - 1):
        for column in range(len(x) - 1):
            corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
            if not all(np.isfinite(values[corner]) for corner in corners):
                continue
            sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
            crossed = [tuple(sorted(side)) for side in sides if above[side[0]] != above[side[1]]]
            if len(crossed) == 4 and (np.mean([values[corner] for corner in corners]) > level) != above[corners[0]]:
                crossed = crossed[1:] + crossed[:1]
            for one, other in zip(crossed[::2], crossed[1::2], strict=True):
                joined.setdefault(one, []).append(other)
                joined.setdefault(other, []).append(one)

    def point(side: Side) -> tuple[float, float]:
        (row, column), (below, right) = side
        share = (level - values[row, column]) / (values[below, right] - values[row, column])
        return x[column] + share * (x[right] - x[column]), y[row] + share * (y[below] - y[row])

    # Open lines from their ends first; what is left are rings.
    starts = sorted(joined, key=lambda side: (len(joined[side]), side))
    lines: list[np.ndarray] = []
    seen: set[Side] = set()
    for start in starts:
        if start in seen:
            continue
        line, here = [start], start
        seen.add(start)
        while ahead := [side for side in joined[here] if side not in seen]:
            here = ahead[0]
            seen.add(here)
            line.append(here)
        if len(line) > 2 and start in joined[here]:
            line.append(start)
        lines.append(np.array([point(side) for side in line]))
    return lines


def _numbers(found: dict[float, list[np.ndarray]], frame: Frame, way: np.ndarray) -> Iterator[Words]:
    """The number of each level on its longest line, away from the path and the other numbers."""
    taken = [*way]
    for level, lines in found.items():
        text = short_number(level, 3)
        half = text_width(text, SMALL) / 2 + 2
        for line in sorted(lines, key=len, reverse=True):
            inside = line[
                (line[:, 0] > frame.left + half)
                & (line[:, 0] < frame.right - half)
                & (line[:, 1] > frame.top + 8)
                & (line[:, 1] < frame.bottom - 8)
            ]
            apart = [min(np.hypot(*(place - other)) for other in taken) for place in inside]
            if apart and max(apart) > 2 * half:
                place = inside[int(np.argmax(apart))]
                taken.append(place)
                yield Words(place[0], middle(place[1], SMALL), text, "muted", SMALL, anchor="middle", halo=True)
                break


def _ends(way: np.ndarray, names: Sequence[str], frame: Frame) -> Iterator[Words]:
    for place, name in ((way[0], names[0]), (way[-1], names[1])):
        left = place[0] + text_width(name, SMALL) + 12 > frame.right
        x = place[0] - 8 if left else place[0] + 8
        yield Words(x, middle(place[1], SMALL) - 9, name, "ink", SMALL, anchor="end" if left else "start", halo=True)
