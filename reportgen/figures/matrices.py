"""Matrices: the confusion of classes, and values in a palette with named rows and columns.

chart("confusion", lambda: confusion(counts, run.classes), alt="...", caption="...")
chart("units", lambda: heatmap(values, low, high, DIVERGING, x_label="unit", y_label="image"), ...)
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reportgen.errors import DataError
from reportgen.figures.fonts import shorten
from reportgen.figures.marks import rectangles, shaded
from reportgen.figures.palettes import Palette, short_number, to_indices
from reportgen.figures.style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    SIZE,
    SMALL,
    WIDTH,
    name_ticks,
    new_figure,
    place,
    styled,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def confusion(matrix: np.ndarray, classes: Sequence[str], unpredicted: Sequence[int] = ()) -> "Figure":
    """Confusion matrix [true, predicted] of counts, made for its mistakes.

    Cells off the diagonal are shaded by their share of the row (of the images of the true class), the
    largest share strongest, as the line under the matrix says; the diagonal is grey. Up to 40 classes
    have their counts written in and the share of correct answers at the end of each row. `unpredicted`
    is, per class, the number of images without a prediction: in no column, but in the row's shares.
    Raises DataError where the matrix is not square with a name per row.
    """
    matrix = np.asarray(matrix)
    count = len(classes)
    if matrix.shape != (count, count) or count == 0:
        raise DataError(f"a confusion matrix of {count} classes must be [{count}, {count}]; got {matrix.shape}")
    totals = matrix.sum(axis=1) + np.asarray(unpredicted or 0)
    shares = matrix / np.maximum(totals, 1)[:, None]
    diagonal = np.eye(count, dtype=bool)
    mistakes = np.where(diagonal, 0, shares)
    largest = float(mistakes.max())
    written = count <= 40
    text_size = SMALL if count <= 12 else 9 if count <= 20 else 8
    names = [shorten(name, 18) for name in classes]
    name_size = SMALL if count <= 20 else 8
    longest = max(text_width(name, name_size) for name in names)
    digits = text_width(str(int(matrix.max())), text_size)
    left = math.ceil(longest) + 34
    right = 74 if written else 12
    across = min(46.0, max((WIDTH - left - right) / count, 2.0))
    # Whole pixels: edges that fall between two leave seams.
    across = float(max(math.floor(across), math.ceil(digits + 2) if written else 2))
    down = min(across, 32.0)
    upright = longest > across - 4
    top = math.ceil(longest if upright else name_size) + 34
    figure = new_figure(left + count * across + right, top + count * down + 32)
    axes = place(figure, left, top, count * across, count * down)
    axes.set_xlim(0, count)
    axes.set_ylim(count, 0)
    for side in axes.spines.values():
        side.set_visible(False)
    edges = np.arange(count + 1.0)
    # Under text no stronger than 0.6: the ink is read on it in both themes.
    strongest = 0.6 if written else 0.95
    shaded(axes, edges, edges, mistakes / (largest or 1.0), ACCENT, strongest=strongest)
    rectangles(axes, [(i, i + 1, i, i + 1) for i in range(count)], LINE, alpha=0.6)
    if written:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = MUTED if row == column else INK
            text = str(int(matrix[row, column]))
            axes.text(column + 0.5, row + 0.5, text, size=text_size, color=color, ha="center", va="center")
        for row in range(count):
            correct = _percent(shares[row, row]) if totals[row] else "no data"
            where = {"ha": "right", "va": "center", "size": max(text_size, 9)}
            axes.text(count + 64 / across, row + 0.5, correct, fontdict=where)
        axes.text(count + 64 / across, -6 / down, "correct", size=SMALL, color=MUTED, ha="right")
    _class_ticks(axes, names, name_size, upright)
    axes.set_ylabel("true")
    axes.set_xlabel("predicted")
    axes.xaxis.set_label_position("top")
    if largest:
        note = f"Strongest blue: {short_number(100 * largest, 2)} % of the row."
    else:
        note = "No images." if not totals.sum() else "No mistakes." if matrix.sum() else "No predictions."
    axes.text(0, count + 18 / down, note, size=SMALL, color=MUTED)
    return figure


def _percent(share: float) -> str:
    """One decimal, and never 100.0 % for less than all."""
    text = f"{100 * share:.1f} %"
    return "> 99.9 %" if text == "100.0 %" and share < 1 else text


def _class_ticks(axes: "Axes", names: list[str], size: float, upright: bool) -> None:
    # Every name while a line of text is at most as high as a row; else every so many.
    per_row = axes.bbox.height / len(names)
    every = max(1, math.ceil((size + 1) / per_row))
    at = np.arange(0, len(names), every)
    for axis in (axes.xaxis, axes.yaxis):
        name_ticks(axis, at + 0.5, [names[i] for i in at])
    axes.xaxis.tick_top()
    axes.tick_params(labelcolor=INK, labelsize=size)
    axes.tick_params(axis="x", labelrotation=90 if upright else 0)


@styled
def heatmap(
    matrix: np.ndarray,
    low: float,
    high: float,
    palette: Palette,
    *,
    x_label: str,
    y_label: str,
    x_names: Sequence[str] = (),
    y_names: Sequence[str] = (),
) -> "Figure":
    """A matrix [row, column] in a palette from `low` to `high`, row 0 on top, with named axes.

    Names stand at every row or column where there is room, else at every so many; without names the
    axes count from 0. NaN is violet (palettes). Raises DataError for an empty matrix.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.size == 0:
        raise DataError(f"a heatmap needs a matrix with elements; got the shape {matrix.shape}")
    rows, columns = matrix.shape
    names = [shorten(name, 18) for name in y_names] or [str(row) for row in range(rows)]
    below = [shorten(name, 18) for name in x_names] or [str(column) for column in range(columns)]
    left = max(text_width(name, SMALL) for name in names) + 34
    wide = WIDTH - left - 8
    cell = min(wide / columns, 28.0)
    tall = min(max(rows * cell, 80.0), 460.0) if rows > 4 else rows * 24.0
    wide = cell * columns if cell * columns > 200 else min(wide, 200.0)
    turned = bool(x_names) and max(text_width(name, SMALL) for name in below) > wide / columns - 4
    bottom = 44 + (max(text_width(name, SMALL) for name in below) if turned else 0)
    figure = new_figure(left + wide + 8, 8 + tall + bottom)
    axes = place(figure, left, 8, wide, tall)
    colors = palette.rgb[to_indices(matrix, low, high, palette)]
    axes.imshow(colors, interpolation="none", aspect="auto", extent=(0, columns, rows, 0))
    for side in axes.spines.values():
        side.set(visible=True, edgecolor=LINE)
    every_row = _round_step(rows * (SIZE + 2) / tall)
    widest = (SMALL + 3) if turned else max(text_width(name, SMALL) for name in below) + 6
    every_column = _round_step(columns * widest / wide)
    down, across = np.arange(0, rows, every_row), np.arange(0, columns, every_column)
    name_ticks(axes.yaxis, down + 0.5, [names[row] for row in down])
    name_ticks(axes.xaxis, across + 0.5, [below[column] for column in across])
    axes.tick_params(axis="x", labelrotation=90 if turned else 0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure


def _round_step(least: float) -> int:
    """The first of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    return next(10**power * step for power in range(12) for step in (1, 2, 5) if 10**power * step >= least)
