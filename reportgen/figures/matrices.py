"""Matrices: the confusion of classes, and values in a palette with named rows.

chart("confusion", confusion(counts, run.classes), alt="...", caption="...")
chart("units", heatmap(values, low, high, DIVERGING, x_label="unit", y_label="image", y_names=names), ...)
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.errors import DataError
from reportgen.figures.axes import HAIR, Frame, round_step
from reportgen.figures.fonts import distinct, text_width
from reportgen.figures.kernels import signed_extremes
from reportgen.figures.marks import shaded
from reportgen.figures.palettes import Palette, to_indices
from reportgen.figures.scene import (
    SIZE,
    SMALL,
    WIDTH,
    Boxes,
    Hook,
    Lines,
    Part,
    Picture,
    Scene,
    Words,
    middle,
    rectangle,
)

WRITTEN = 40
"""Classes up to which each cell has its number."""

PHONE = 376
"""Width in CSS pixels that a phone shows, shrunk a little, with text that can be read."""


def confusion(
    matrix: np.ndarray, classes: Sequence[str], unpredicted: Sequence[int] = (), numbers: Sequence[int] = ()
) -> Scene:
    """Confusion matrix [true, predicted] of counts, which emphasises the mistakes.

    Cells off the diagonal are shaded by their share of the row (of the images of the true class), the
    largest share strongest, as the line under the matrix says; the diagonal is grey. Up to 40 classes
    have their counts written in and the share of correct answers at the end of each row. `unpredicted`
    is, per class, the number of images without a prediction: in no column, but in the row's shares. `numbers` are those
    of the classes where the page's script is to list the examples of a cell.
    Raises DataError where the matrix is not square with a name per row.
    """
    matrix = np.asarray(matrix)
    count = len(classes)
    if matrix.shape != (count, count) or count == 0:
        raise DataError(
            f"a confusion matrix of {count} classes must be [{count}, {count}]; got {matrix.shape}", code="A101"
        )
    totals = matrix.sum(axis=1) + np.asarray(unpredicted or 0)
    shares = matrix / np.maximum(totals, 1)[:, None]
    mistakes = np.where(np.eye(count, dtype=bool), 0, shares)
    largest = float(mistakes.max())
    plan = _plan(distinct(tuple(classes), 18), int(matrix.max()))
    across, down = plan.edges
    # Under text no stronger than 0.6: the ink is read on it in both themes.
    strongest = 0.6 if plan.written else 0.95
    diagonal = np.stack([across[:-1], down[:-1], across[1:], down[1:]], axis=1)
    parts: list[Part] = [
        *shaded(across, down, mistakes / (largest or 1.0), "accent", strongest=strongest),
        Boxes(diagonal, "line", 0.6),
        *_class_names(plan),
    ]
    if plan.written:
        parts += [*_counts(plan, matrix), *_correct(plan, shares, totals)]
    if largest:
        note = f"Strongest blue: {short_number(100 * largest, 2)} % of the row."
    else:
        note = "No images." if not totals.sum() else "No mistakes." if matrix.sum() else "No predictions."
    parts.append(_note(plan, note))
    if len(numbers):
        parts.append(Hook("cells", (plan.left, plan.top, plan.across, plan.down, *numbers)))
    return Scene(plan.left + count * plan.across + plan.right, plan.bottom + 32 * plan.shrunk, tuple(parts))


def confusion_change(change: np.ndarray, classes: Sequence[str]) -> Scene:
    """Change of a confusion matrix [true, predicted]: blue for more examples, red for fewer, the largest strongest.

    Up to 40 classes have the changes written in. Raises DataError where the matrix is not square with a name per row.
    """
    change, count = np.asarray(change), len(classes)
    if change.shape != (count, count) or count == 0:
        raise DataError(
            f"a confusion matrix of {count} classes must be [{count}, {count}]; got {change.shape}", code="A101"
        )
    largest = int(np.abs(change).max())
    plan = _plan(distinct(tuple(classes), 18), 10 * largest)
    across, down = plan.edges
    strongest = 0.6 if plan.written else 0.95
    shares = change / (largest or 1)
    corners = rectangle(float(across[0]), float(down[0]), float(across[-1]), float(down[-1]))
    parts: list[Part] = [
        *shaded(across, down, np.maximum(shares, 0), "accent", strongest=strongest),
        *shaded(across, down, np.maximum(-shares, 0), "c2", strongest=strongest),
        Lines((corners,), "line", HAIR),
        *_class_names(plan),
    ]
    if plan.written:
        parts += _changes(plan, change)
    note = f"Strongest: {largest:,} examples." if largest else "No change."
    parts.append(_note(plan, note))
    return Scene(plan.left + count * plan.across + 12, plan.bottom + 32 * plan.shrunk, tuple(parts))


@dataclass(frozen=True)
class _Plan:
    """Sizes of a confusion matrix in CSS pixels: a cell is `across` x `down`; `upright` names run upwards; the page
    shows it `shrunk` so many times."""

    names: Sequence[str]
    written: bool
    shrunk: float
    text_size: float
    name_size: float
    left: float
    top: float
    right: float
    across: float
    down: float
    upright: bool

    @property
    def bottom(self) -> float:
        return self.top + len(self.names) * self.down

    @property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        steps = np.arange(len(self.names) + 1.0)
        return self.left + steps * self.across, self.top + steps * self.down


def _plan(names: Sequence[str], most: int) -> _Plan:
    count = len(names)
    written = count <= WRITTEN
    text_size = SMALL if count <= 12 else 9 if count <= 20 else 8
    # A matrix that is broader than the page is shrunk to it, and its names with it.
    shrunk = max(1.0, 2.0 * count / WIDTH) if not written else 1.0
    name_size = SMALL if count <= 20 else 8 * shrunk
    longest = max(text_width(name, name_size) for name in names)
    left, right = math.ceil(longest + 34 * shrunk), 60 if written else 12
    digits = text_width(f"{most:,}", text_size)
    least = math.ceil(digits + 2) if written else 2
    # Where it fits, as wide as a phone, which then shows the whole of it.
    room = PHONE if (PHONE - left - right) / count >= least else WIDTH
    # Whole pixels: edges that fall between two leave seams.
    across = float(max(math.floor(min(46.0, (room - left - right) / count)), least))
    upright = longest > across - 4
    top = math.ceil((longest if upright else name_size) + 34 * shrunk)
    down = min(across, 32.0)
    return _Plan(names, written, shrunk, text_size, name_size, left, top, right, across, down, upright)


def _class_names(plan: _Plan) -> Iterator[Words]:
    """Every name if rows are at least as high as a line of text, otherwise every nth."""
    count, size = len(plan.names), plan.name_size
    for index in range(0, count, max(1, math.ceil((size + 1) / plan.down))):
        name = plan.names[index]
        y = middle(plan.top + (index + 0.5) * plan.down, size)
        x = plan.left + (index + 0.5) * plan.across
        yield Words(plan.left - 6, y, name, size=size, anchor="end")
        if plan.upright:
            yield Words(middle(x, size), plan.top - 6, name, size=size, turned=True)
        else:
            yield Words(x, plan.top - 6, name, size=size, anchor="middle")
    across, down = plan.left + count * plan.across / 2, plan.top + count * plan.down / 2
    edge, large = 14 * plan.shrunk, SIZE * plan.shrunk
    yield Words(across, edge, "predicted", "muted", large, anchor="middle")
    yield Words(edge, down, "true", "muted", large, anchor="middle", turned=True)


def _note(plan: _Plan, text: str) -> Words:
    return Words(plan.left, plan.bottom + 20 * plan.shrunk, text, "muted", SMALL * plan.shrunk)


def _counts(plan: _Plan, matrix: np.ndarray) -> Iterator[Words]:
    for row, column in zip(*np.nonzero(matrix), strict=True):
        x, y = plan.left + (column + 0.5) * plan.across, plan.top + (row + 0.5) * plan.down
        color, text = "muted" if row == column else "ink", f"{int(matrix[row, column]):,}"
        yield Words(float(x), middle(float(y), plan.text_size), text, color, plan.text_size, anchor="middle")


def _changes(plan: _Plan, change: np.ndarray) -> Iterator[Words]:
    for row, column in zip(*np.nonzero(change), strict=True):
        x, y = plan.left + (column + 0.5) * plan.across, plan.top + (row + 0.5) * plan.down
        text = f"{int(change[row, column]):+d}".replace("-", "−")
        yield Words(float(x), middle(float(y), plan.text_size), text, "ink", plan.text_size, anchor="middle")


def _correct(plan: _Plan, shares: np.ndarray, totals: np.ndarray) -> Iterator[Words]:
    """The share of correct answers at the end of each row."""
    size, right = max(plan.text_size, 9.0), plan.left + len(plan.names) * plan.across + 54
    for row in range(len(plan.names)):
        text = _percent(float(shares[row, row])) if totals[row] else "no data"
        y = middle(plan.top + (row + 0.5) * plan.down, size)
        yield Words(right, y, text, size=size, anchor="end")
    yield Words(right, plan.top - 6, "correct", "muted", SMALL, anchor="end")


def _percent(share: float) -> str:
    """One decimal, and never 100.0 % for less than all."""
    text = f"{100 * share:.1f} %"
    return "> 99.9 %" if text == "100.0 %" and share < 1 else text


def heatmap(
    matrix: np.ndarray,
    low: float,
    high: float,
    palette: Palette,
    *,
    x_label: str,
    y_label: str,
    y_names: Sequence[str] = (),
    together: int = 1,
) -> Scene:
    """A matrix [row, column] in a palette from `low` to `high`, row 0 on top, with named axes.

    Of so many columns `together` the value furthest from zero is shown.

    Every row is labelled if there is room, otherwise every nth; columns, and rows without names, count from 0.
    NaN is violet (palettes). Raises DataError for an empty matrix.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.size == 0:
        raise DataError(f"a heatmap needs a matrix with elements; got the shape {matrix.shape}", code="A101")
    rows, columns = matrix.shape
    names = list(distinct(tuple(y_names), 18)) or [str(row) for row in range(rows)]
    left = max(text_width(name, SMALL) for name in names) + 34
    room = WIDTH - left - 8
    cell = min(room / columns, 28.0)
    tall = min(max(rows * cell, 80.0), 460.0) if rows > 4 else rows * 24.0
    frame = Frame(left, 8, cell * columns if cell * columns > 200 else min(room, 200.0), tall)
    every_row = int(round_step(max(rows * (SIZE + 2) / tall, 1)))
    every_column = int(round_step(max(columns * (text_width(str(columns - 1), SMALL) + 6) / frame.width, 1)))
    border = rectangle(frame.left, frame.top, frame.right, frame.bottom)
    shown = signed_extremes(matrix, (1, together)) if together > 1 else matrix
    parts: list[Part] = [
        Picture(frame.left, frame.top, frame.width, tall, palette.rgb[to_indices(shown, low, high, palette)]),
        Lines((border,), "line", HAIR),
    ]
    for row in range(0, rows, every_row):
        y = middle(frame.top + (row + 0.5) * tall / rows, SMALL)
        parts.append(Words(left - 6, y, names[row], "muted", SMALL, anchor="end"))
    for column in range(0, columns, every_column):
        x = left + (column + 0.5) * frame.width / columns
        parts.append(Words(x, frame.bottom + 14, str(column), "muted", SMALL, anchor="middle"))
    parts += [
        Words(left + frame.width / 2, frame.bottom + 32, x_label, "muted", anchor="middle"),
        Words(14, frame.top + tall / 2, y_label, "muted", anchor="middle", turned=True),
    ]
    return Scene(frame.right + 8, frame.bottom + 44, tuple(parts))
