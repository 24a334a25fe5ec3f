"""A training as a score: below each other a staff per layer, all on one axis of steps, and lines where it broke.

chart("health-score", staves([("conv1", [lane, ...])], (0, 400), [(137, "loss jumps")]), alt="...", caption="...")
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.figures.axes import HAIR, Frame, Scale, bottom_axis, fitting, padded
from reportgen.figures.fonts import shorten, text_width
from reportgen.figures.marks import runs
from reportgen.figures.palettes import GREY, to_indices
from reportgen.figures.scene import SMALL, WIDTH, Area, Dots, Lines, Part, Picture, Scene, Words, middle

LEFT, RIGHT = 84.0, 116.0
"""Room in pixels for the names of lanes, and for the values at their ends."""
BAND, LINE, GAP = 30.0, 17.0, 5.0
ROW = 11.0
SPAN = 30


@dataclass(frozen=True, eq=False)
class Strip:
    """One lane: a line [step, 1], or quantiles [step, 5] (median, 5, 25, 75 and 95 %) as bands around their median.

    `said` stands at its end. A `share` runs from 0 to 1 and is filled from below; others have a range of their own.
    """

    name: str
    steps: Sequence[int]
    values: np.ndarray
    said: str
    share: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether its axis is: where a line's values are positive and span more than a factor of `SPAN`."""
        known = self.values[np.isfinite(self.values)]
        line = len(known) and self.values.shape[1] == 1 and not self.share
        return bool(line and known.min() > 0 and known.max() / SPAN > known.min())

    @property
    def height(self) -> float:
        return LINE if self.values.shape[1] == 1 else BAND


def staves(
    parts: Sequence[tuple[str, Sequence[Strip]]], steps: tuple[int, int], marks: Sequence[tuple[int, str]]
) -> Scene:
    """The strips of each named part on an axis from the first to the last of `steps`; `marks` are steps with words."""
    top = 6.0 + 14 * len(marks)
    frame = Frame(LEFT, top, WIDTH - LEFT - RIGHT, 0)
    first, last = steps
    x = Scale(first, last if last > first else first + 1, frame.left, frame.right)
    drawn: list[Part] = []
    y = top
    for name, strips in parts:
        drawn += [
            Words(0, y + 12, shorten(name, 90), bold=True, size=SMALL),
            Lines((np.array([[0, y], [WIDTH, y]]),), "line", HAIR),
        ]
        y += 20
        for strip in strips:
            drawn += _strip(strip, x, y)
            y += strip.height + GAP
        y += GAP
    frame = Frame(frame.left, top, frame.width, y - top)
    at = [float(x(step)) for step in sorted({step for step, _ in marks})]
    crossing = Lines(tuple(np.array([[each, top - 4], [each, y]]) for each in at), "ink", 1.2, dashes=(5, 3))
    return Scene(
        WIDTH,
        y + 38,
        (*drawn, crossing, *_marks(marks, x, top), *bottom_axis(frame, x, fitting(x, whole=True), "step")),
    )


def _marks(marks: Sequence[tuple[int, str]], x: Scale, top: float) -> Iterator[Words]:
    """The words of the marks, a line each, to the side of theirs where there is room."""
    for row, (step, words) in enumerate(marks):
        at = float(x(step))
        right = at + 5 + text_width(words, SMALL, bold=True) <= WIDTH
        place = at + 5 if right else at - 5
        y = top - 6 - 14 * (len(marks) - 1 - row)
        yield Words(place, y, words, size=SMALL, bold=True, anchor="start" if right else "end", halo=True)


def _strip(strip: Strip, x: Scale, top: float) -> Iterator[Part]:
    bottom, values = top + strip.height, strip.values
    yield Words(LEFT - 8, middle((top + bottom) / 2, SMALL), strip.name, "muted", SMALL, anchor="end")
    yield Lines((np.array([[x.start, bottom], [x.end, bottom]]),), "line", HAIR)
    known = values[np.isfinite(values)]
    if not len(known):
        yield Words(x.start + 4, middle((top + bottom) / 2, SMALL), "not finite", "muted", SMALL)
        return
    low, high = (min(0.0, float(known.min())), 1.0) if strip.share else padded(known, logarithmic=strip.logarithmic)
    y = Scale(low, high, bottom, top, strip.logarithmic)
    at = np.round(x(np.array(strip.steps, float)))
    rows = np.round(y(values), 1)
    there = runs(np.isfinite(values).all(axis=1))
    if low < 0 < high:
        zero = float(y(0.0))
        yield Lines((np.array([[x.start, zero], [x.end, zero]]),), "line", HAIR)
    if values.shape[1] > 1:
        for (lower, upper), alpha in (((1, 4), 0.16), ((2, 3), 0.28)):
            for start, stop in there:
                go = np.stack([at, rows[:, upper]], axis=1)[start:stop]
                back = np.stack([at, rows[:, lower]], axis=1)[start:stop][::-1]
                yield Area(np.concatenate([go, back]), "accent", alpha)
    line = np.stack([at, rows[:, 0]], axis=1)
    if strip.share:
        for start, stop in there:
            ends = np.array([[at[stop - 1], bottom], [at[start], bottom]])
            yield Area(np.concatenate([line[start:stop], ends]), "muted", 0.35)
    yield Lines(tuple(line[start:stop] for start, stop in there if stop - start > 1), "accent", 1.3)
    if single := [line[start] for start, stop in there if stop - start == 1]:
        yield Dots(np.array(single), "accent", 3.5)
    yield Words(x.end + 8, middle((top + bottom) / 2, SMALL), strip.said, "muted", SMALL)


def shades(names: Sequence[str], panels: Sequence[tuple[str, np.ndarray]]) -> Scene:
    """A row per name in each titled panel [name, step] of values from 0, black, to 1, white; violet is not finite."""
    left = min(max(text_width(shorten(name, 40), 9.0) for name in names) + 8, 240.0)
    width = (WIDTH - left) / len(panels) - 12
    height = ROW * len(names)
    parts: list[Part] = [
        Words(left - 6, middle(18 + (row + 0.5) * ROW, 9.0), shorten(name, 40), "muted", 9.0, anchor="end")
        for row, name in enumerate(names)
    ]
    for place, (title, values) in enumerate(panels):
        start = left + place * (width + 12)
        pixels = GREY.rgb[to_indices(values, 0, 1, GREY)]
        parts += [Words(start, 12, title, size=SMALL, bold=True), Picture(start, 18, width, height, pixels)]
    return Scene(WIDTH, height + 22, tuple(parts))
