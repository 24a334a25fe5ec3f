"""Charts of a training and of what its channels answer to: arrays in, a matplotlib figure out.

    chart("curves", lambda: curves(epochs, {"train": a, "validation": b}, {...}), alt="...", caption="...")

`paper.chart` draws the figure for the page and keeps the function for a paper. All sizes are CSS pixels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from reportgen.errors import DataError
from reportgen.figures.fonts import shorten
from reportgen.figures.marks import apart, rectangles, shaded, strokes
from reportgen.figures.palettes import Palette, class_color, short_number, to_indices
from reportgen.figures.style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    SIZE,
    SMALL,
    WIDTH,
    canvas,
    new_figure,
    place,
    styled,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEP_BINS = 240
_SERIES = (MUTED, ACCENT, INK)


def steps_per_bin(steps: int) -> int:
    """How many steps share one point of the loss per step in `curves`, for the caption."""
    return max(1, -(-steps // STEP_BINS))


@styled
def curves(
    epochs: Sequence[float],
    loss: Mapping[str, Sequence[float]],
    accuracy: Mapping[str, Sequence[float]],
    step_epochs: Sequence[float] = (),
    step_loss: Sequence[float] = (),
) -> "Figure":
    """Loss and accuracy per epoch, each series labelled at its end; loss per step faint behind.

    `loss` and `accuracy` map a series' name to its value at each of `epochs` (accuracy from 0 to 1; NaN
    where there is none). `step_epochs` places each step on the axis of epochs (step / steps per epoch).
    With more than 240 steps each point is the median of `steps_per_bin` steps, in a band from their least
    to their largest. The loss axis is logarithmic where positive values span more than a factor 30.
    """
    figure = new_figure(WIDTH, 264)
    panels = [("Loss", loss)] + ([("Accuracy, %", accuracy)] if accuracy else [])
    wide = (WIDTH - len(panels) * 142 + 12) / len(panels)
    for index, (title, series) in enumerate(panels):
        axes = place(figure, 46 + index * (wide + 142), 34, wide, 186)
        percent = index == 1
        values = {name: np.asarray(column, float) * (100 if percent else 1) for name, column in series.items()}
        behind = np.asarray(step_loss, float) if index == 0 else np.array([])
        logarithmic = not percent and _spans(np.concatenate([*values.values(), behind]), 30)
        axes.set_title(title + (", logarithmic" if logarithmic else ""))
        axes.set_xlabel("epoch")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        if logarithmic:
            axes.set_yscale("log")
        if len(behind):
            _steps(axes, np.asarray(step_epochs, float), behind)
        for number, column in enumerate(values.values()):
            color = _SERIES[number] if number < len(_SERIES) else class_color(number)
            style = "-" if number < 2 else (0, (4, 2))
            few = len(column) <= 12
            axes.plot(epochs, column, color=color, ls=style, marker="o" if few else None, ms=3.5, clip_on=False)
        _number_ticks(axes, epochs, logarithmic)
        if not any(np.isfinite(column).any() for column in [*values.values(), behind]):
            no_data(axes)
        _end_labels(axes, epochs, values)
    return figure


def _spans(values: np.ndarray, factor: float) -> bool:
    values = values[np.isfinite(values)]
    return bool(len(values)) and bool(values.min() > 0) and bool(values.max() > factor * values.min())


def _steps(axes: "Axes", at: np.ndarray, values: np.ndarray) -> None:
    group = steps_per_bin(len(values))
    padded = np.pad(values, (0, -len(values) % group), constant_values=np.nan).reshape(-1, group)
    finite = np.isfinite(padded)
    kept = finite.any(axis=1)
    padded, at = np.where(finite, padded, np.nan)[kept], at[::group][: len(kept)][kept]
    if not len(at):
        return
    middle = np.nanmedian(padded, axis=1)
    if group > 1:
        low, high = np.nanmin(padded, axis=1), np.nanmax(padded, axis=1)
        axes.fill_between(at, low, high, color=MUTED, alpha=0.18, linewidth=0)
    axes.plot(at, middle, color=MUTED, alpha=0.45, lw=0.8)


def _number_ticks(axes: "Axes", epochs: Sequence[float], logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value, 6)))
    if len(epochs):
        low, high = min(epochs), max(epochs)
        axes.set_xlim((low, high) if high > low else (low - 0.5, low + 0.5))
        if low == high:
            axes.set_xticks([low])
    if logarithmic:
        low, high = axes.get_ylim()
        decades = math.log10(high / low)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 3 else (1.0, 3.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value, 6)))


def _end_labels(axes: "Axes", epochs: Sequence[float], series: Mapping[str, np.ndarray]) -> None:
    """The name of each series right of its last value, moved apart where two would overlap."""
    ends = []
    for number, (name, column) in enumerate(series.items()):
        finite = np.flatnonzero(np.isfinite(column))
        if len(finite):
            color = _SERIES[number] if number < len(_SERIES) else class_color(number)
            ends.append((shorten(name, 14), color, float(epochs[finite[-1]]), float(column[finite[-1]])))
    if not ends:
        return
    right = axes.get_xlim()[1]
    pixels = axes.transData.transform([(right, value) for _, _, _, value in ends])
    placed = apart(pixels, np.tile([[1e4, SMALL + 2]], (len(ends), 1)))
    heights = axes.transAxes.inverted().transform(placed)[:, 1]
    gap = 8 / (axes.bbox.width or 1)
    for (name, color, _, _), height in zip(ends, heights, strict=True):
        color = INK if color not in _SERIES else color
        axes.text(1 + gap, height, name, transform=axes.transAxes, color=color, size=SMALL, va="center")


def no_data(axes: "Axes") -> None:
    """Say so in the middle of the axes, and take their numbers away."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, "no data", transform=axes.transAxes, color=MUTED, ha="center", va="center")


@styled
def confusion(matrix: np.ndarray, classes: Sequence[str]) -> "Figure":
    """Confusion matrix [true, predicted] of counts, made for its mistakes.

    Cells off the diagonal are shaded by their share of the row (of the images of the true class), the
    largest share strongest, as the line under the matrix says; the diagonal is grey. Up to 40 classes
    have their counts written in and the share of correct answers at the end of each row.
    Raises DataError where the matrix is not square with a name per row.
    """
    matrix = np.asarray(matrix)
    count = len(classes)
    if matrix.shape != (count, count) or count == 0:
        raise DataError(f"a confusion matrix of {count} classes must be [{count}, {count}]; got {matrix.shape}")
    totals = matrix.sum(axis=1)
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
    across = float(math.ceil(max(across, digits + 2)) if written else max(math.floor(across), 2))
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
    # No stronger than 0.6: the text's own colour is read on it in both themes.
    shaded(axes, edges, edges, mistakes / largest if largest else mistakes, ACCENT, strongest=0.6)
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
        note = "No mistakes." if matrix.sum() else "No images."
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
    axes.set_xticks(at + 0.5, [names[i] for i in at], rotation=90 if upright else 0, size=size)
    axes.set_yticks(at + 0.5, [names[i] for i in at], size=size)
    axes.xaxis.tick_top()
    axes.tick_params(labelcolor=INK)


@styled
def label_bars(
    values: np.ndarray,
    classes: Sequence[str],
    order: Sequence[int] | None = None,
    titles: Sequence[str] | None = None,
    *,
    own_scale: bool = False,
    baseline: float | None = None,
) -> "Figure":
    """One small bar chart per channel: `values` [channel, label], a bar per label from 0.

    Panels follow `order` (channel numbers, all by default), titled with the channel's number or
    `titles[channel]` and, at the right, the label of its largest value. All panels share one scale,
    printed at the first, unless `own_scale`. A NaN is "no data", drawn as a small cross. `baseline`
    draws a hairline at that value (1 for a ratio). Up to ten classes have their own colours; above that
    only the largest bar is coloured.
    Raises DataError for other shapes, or for more than 20,000 bars (`heatmap` shows those).
    """
    values = np.asarray(values, float)
    labels = len(classes)
    if values.ndim != 2 or values.shape[1] != labels or 0 in values.shape:
        raise DataError(f"bars by label need values [channel, {labels}]; got {values.shape}")
    chosen = list(range(len(values))) if order is None else [int(channel) for channel in order]
    if len(chosen) * labels > 20_000:
        raise DataError(f"{len(chosen)} channels x {labels} labels are too many bars; show a heatmap")
    columns = min(len(chosen), 4 if len(chosen) <= 4 else 8 if len(chosen) <= 64 else 12)
    rows = -(-len(chosen) // columns)
    legend = labels <= 10
    top, pitch_x = (48 if legend else 30), WIDTH / max(columns, 4)
    tall = 44 if columns > 4 else 90
    pitch_y, wide = tall + 30, min(pitch_x - 14, labels * 32)
    figure = new_figure(WIDTH, top + rows * pitch_y)
    axes = canvas(figure)
    shown = values[chosen]
    finite = np.isfinite(shown)
    safe = np.where(finite, shown, 0)
    low, high = np.minimum(safe.min(axis=1), 0), np.maximum(safe.max(axis=1), 0)
    if own_scale:
        scale = "each panel to its own largest bar"
    else:
        low[:], high[:] = low.min(), high.max()
        scale = f"all panels from {short_number(low[0])} to {short_number(high[0])}"
    span = np.where(high > low, high - low, 1.0)
    panel = np.arange(len(chosen))
    left = 2 + (panel % columns) * pitch_x
    zero = top + 18 + (panel // columns) * pitch_y + tall * np.where(high > low, high / span, 1.0)
    slot = wide / labels
    starts = left[:, None] + np.arange(labels) * slot
    ends = starts + max(slot * 0.82, slot - 2)
    tops = zero[:, None] - safe / span[:, None] * tall
    boxes = np.stack([starts, ends, np.repeat(zero[:, None], labels, 1), tops], axis=2)
    largest = np.where(finite, shown, -np.inf).argmax(axis=1)
    drawn = finite & (safe != 0)
    if legend:
        for label in range(labels):
            rectangles(axes, boxes[drawn[:, label], label], class_color(label))
        _legend(axes, classes)
    else:
        strongest = np.arange(labels) == largest[:, None]
        rectangles(axes, boxes[drawn & ~strongest], MUTED, alpha=0.5)
        rectangles(axes, boxes[drawn & strongest], ACCENT)
    axes.text(2, top - 17.5, scale, size=SMALL, color=MUTED)
    hair = [(x, x + wide, y - 0.4, y + 0.4) for x, y in zip(left, zero, strict=True)]
    rectangles(axes, hair, MUTED)
    if baseline is not None:
        at = zero - baseline / span * tall
        shown_at = (at > zero - tall * 1.02) if baseline >= 0 else (at < zero + tall * 1.02)
        x, y = left[shown_at], at[shown_at]
        strokes(axes, np.stack([x, y, x + wide, y], axis=1), MUTED, width=0.8, dashes=(3, 3))
    x, y = ((starts + ends) / 2)[~finite], (np.repeat(zero[:, None], labels, 1) - 4.5)[~finite]
    crosses = [np.stack([x - 2, y - rise, x + 2, y + rise], axis=1) for rise in (2, -2)]
    strokes(axes, np.concatenate(crosses), MUTED)
    for index, channel in enumerate(chosen):
        title = str(channel) if titles is None else shorten(titles[channel], 12)
        base = top + 12 + (index // columns) * pitch_y
        axes.text(left[index], base, title, size=SMALL, weight="bold")
        if finite[index].any():
            value = f": {short_number(shown[index, largest[index]], 2)}" if own_scale else ""
            room = (pitch_x - 14 - text_width(title, SMALL) - text_width(value, 9) - 4) / (9 * 0.62)
            peak = shorten(classes[largest[index]], max(2, int(room))) + value
            axes.text(left[index] + pitch_x - 14, base, peak, size=9, color=MUTED, ha="right")
    return figure


def _legend(axes: "Axes", classes: Sequence[str]) -> None:
    """A row of class colours and names; names are cut so that the row fits."""
    length = 18
    while length > 3 and sum(22 + text_width(shorten(name, length), SMALL) for name in classes) > WIDTH:
        length -= 1
    x = 2.0
    for index, name in enumerate(classes):
        rectangles(axes, [(x, x + 9, 4, 13)], class_color(index))
        text = shorten(name, length)
        axes.text(x + 13, 12.5, text, size=SMALL)
        x += 22 + text_width(text, SMALL)


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
    axes count from 0. NaN is magenta (palettes). Raises DataError for an empty matrix.
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
    axes.set_yticks(down + 0.5, [names[row] for row in down])
    axes.set_xticks(across + 0.5, [below[column] for column in across], rotation=90 if turned else 0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure


def _round_step(least: float) -> int:
    """The first of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    return next(10**power * step for power in range(12) for step in (1, 2, 5) if 10**power * step >= least)
