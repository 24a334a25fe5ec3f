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
from reportgen.figures.marks import apart, rectangles, strokes
from reportgen.figures.palettes import class_color, short_number
from reportgen.figures.style import (
    ACCENT,
    INK,
    MUTED,
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
    title: str = "Loss",
) -> "Figure":
    """Loss and accuracy per epoch, each series labelled at its end; loss per step faint behind.

    `loss` and `accuracy` map a series' name to its value at each of `epochs` (accuracy from 0 to 1; NaN
    where there is none). `step_epochs` places each step on the axis of epochs (step / steps per epoch).
    With more than 240 steps each point is the median of `steps_per_bin` steps, in a band from their least
    to their largest. The loss axis is logarithmic where positive values span more than a factor 30; `title`
    names another metric that is drawn in place of the loss.
    """
    figure = new_figure(WIDTH, 264)
    panels = [(title, loss)] + ([("Accuracy, %", accuracy)] if accuracy else [])
    wide = (WIDTH - len(panels) * 142 + 12) / len(panels)
    for index, (name, series) in enumerate(panels):
        axes = place(figure, 46 + index * (wide + 142), 34, wide, 186)
        percent = index == 1
        values = {key: np.asarray(column, float) * (100 if percent else 1) for key, column in series.items()}
        behind = np.asarray(step_loss, float) if index == 0 else np.array([])
        logarithmic = not percent and _spans(np.concatenate([*values.values(), behind]), 30)
        axes.set_title(name + (", logarithmic" if logarithmic else ""))
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
            room = pitch_x - 14 - text_width(title, SMALL) - text_width(value, 9) - 4
            peak = _fitting(classes[largest[index]], room, 9) + value
            axes.text(left[index] + pitch_x - 14, base, peak, size=9, color=MUTED, ha="right")
    return figure


def _fitting(name: str, room: float, size: float) -> str:
    """The name cut to what fits into `room` pixels; two characters at least."""
    length = 40
    while length > 2 and text_width(shorten(name, length), size) > room:
        length -= 1
    return shorten(name, length)


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
