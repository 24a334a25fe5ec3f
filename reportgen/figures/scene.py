"""Charts as data: primitives in CSS pixels from the upper left corner. Nothing here draws.

    Scene(360, 200, (Boxes(np.array([[10, 20, 40, 90]]), "accent"), Words(10, 14, "loss", bold=True)))

`figures.svg` writes a scene as an element of the page, `figures.plot` as a matplotlib figure for a PDF or PNG. Parts
are drawn in order. A colour is a name, not a value: on the page a class that follows the light and the dark theme
(templates/css/charts.css), in a file for a paper the colour below. 720 px are the width of the page's text, and 7
inches in print.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from reportgen.figures.palettes import CLASS_COLORS

WIDTH = 720
SIZE = 12.0
SMALL = 11.0

COLORS = {
    "ink": "#1c1e21",  # text, data
    "muted": "#5f6670",  # axes, secondary text
    "line": "#d9dce0",  # hairlines, grid, empty cells
    "ground": "#ffffff",  # the page itself: halos, gaps
    "accent": "#2b6cb0",  # the one accent
    **{f"c{index}": color for index, color in enumerate(CLASS_COLORS)},
}
"""Name of a colour -> its value in the light theme."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Filled boxes [n, (left, top, right, bottom)] with hard edges."""

    boxes: np.ndarray
    color: str
    alpha: float = 1.0


@dataclass(frozen=True, eq=False)
class Lines:
    """Polylines, [n, 2] each; `dashes` are the lengths of a dash and of the gap after it."""

    lines: tuple[np.ndarray, ...]
    color: str
    width: float = 1.0
    alpha: float = 1.0
    dashes: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Area:
    """A filled outline [n, 2]."""

    points: np.ndarray
    color: str
    alpha: float = 1.0


@dataclass(frozen=True, eq=False)
class Dots:
    """Round or square dots at points [n, 2] of diameter `size`; overlapping dots form one surface, also if transparent.

    The page keeps positions to 1 / `per_pixel` of a pixel.
    """

    points: np.ndarray
    color: str
    size: float
    alpha: float = 1.0
    square: bool = False
    per_pixel: int = 10


@dataclass(frozen=True)
class Words:
    """One line of text on a baseline that starts, is centred or ends at (x, y), by its `anchor`.

    `turned` text runs upwards; a `halo` in the ground's colour keeps it legible over points and lines.
    """

    x: float
    y: float
    text: str
    color: str = "ink"
    size: float = SIZE
    bold: bool = False
    anchor: str = "start"  # | "middle" | "end"
    turned: bool = False
    halo: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels [height, width, 3 or 4], uint8, stretched over a box with hard pixel edges."""

    left: float
    top: float
    width: float
    height: float
    pixels: np.ndarray


@dataclass(frozen=True, eq=False)
class Arrows:
    """Curves through the corners of paths [n, 2] that go down: where they move sideways, vertical at both ends.

    `head` is the size of the arrow head at the end of each, 0 for none.
    """

    paths: tuple[np.ndarray, ...]
    color: str
    width: float = 1.0
    head: float = 5.0

    def heads(self) -> np.ndarray:
        """The corners of each head, [n, 3, 2]; the last is its tip."""
        tips = np.array([path[-1] for path in self.paths], float).reshape(-1, 1, 2)
        return tips + self.head * np.array([[-0.5, -1], [0.5, -1], [0, 0]])


@dataclass(frozen=True)
class Link:
    """Parts that lead to what the page has of something: a kind of figure and the layer that it is of, or an id.

    `target` is as in `core.report.Figure.of`, or the id with "" before it. A file for a paper has the parts alone.
    """

    target: tuple[str, str]
    parts: "tuple[Part, ...]"
    title: str = ""


@dataclass(frozen=True)
class Hook:
    """Numbers by which the page's script finds its way in the chart; nothing is drawn.

    "across": value and x of the axis at its start, at its end, then its top and bottom, where a cursor stands;
    "cells": left, top, width and height of a cell, then the class of each row and column;
    "patches": the same of a picture, then how many stand in a row and the evaluation example of each.
    """

    name: str
    numbers: tuple[float, ...]


Part = Boxes | Lines | Area | Dots | Words | Picture | Arrows | Link | Hook


@dataclass(frozen=True)
class Scene:
    """A chart: its size in CSS pixels and its parts in drawing order.

    `cells` are its panels as charts of their own: a page sets them side by side or below one another, as it has room.
    """

    width: float
    height: float
    parts: tuple[Part, ...]
    cells: "tuple[Scene, ...]" = ()


def beside(count: int, height: float, draw: Callable[[int, float], Iterable[Part]]) -> Scene:
    """The panels that `draw(index, left)` gives, side by side over the page's width; each is a cell too."""
    whole = WIDTH / max(count, 1)
    parts = [part for index in range(count) for part in draw(index, index * whole)]
    cells = tuple(Scene(whole, height, tuple(draw(index, 0.0))) for index in range(count)) if count > 1 else ()
    return Scene(WIDTH, height, tuple(parts), cells)


def plain(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts in drawing order, those within links too."""
    for part in parts:
        if isinstance(part, Link):
            yield from plain(part.parts)
        else:
            yield part


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The outline of a box as a closed line, [5, 2]."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])


def middle(y: float, size: float) -> float:
    """The baseline of a text whose capitals and digits are vertically centred at y."""
    return y + 0.36 * size
