"""A channel's response to each label: one small bar chart per channel, a bar per label.

chart("activity", label_bars(values, run.classes, order, own_scale=True), alt="...", caption="...")
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.errors import DataError
from reportgen.figures.axes import HAIR
from reportgen.figures.fonts import distinct, text_width
from reportgen.figures.palettes import class_role
from reportgen.figures.scene import SMALL, WIDTH, Boxes, Lines, Part, Scene, Words, middle

COLORED = 10
"""The most labels with colours of their own and a legend."""
_MOST = 20_000
_ROW = 20.0  # px: a bar and the gap below it
_PEAK = 9.0  # px: the text that names a panel's largest bar


def label_bars(
    values: np.ndarray, classes: Sequence[str], order: Sequence[int] | None = None, *, own_scale: bool = False
) -> Scene:
    """One small bar chart per channel: `values` [channel, label], a bar per label from 0.

    Panels follow `order` (channel numbers, all by default), titled with the channel's number and, at the right, the
    label of its largest value. All panels share one scale, printed above, unless `own_scale`. A NaN is "no data", drawn
    as a small cross. Up to ten classes have their own colours; above that only the largest bar is coloured. Raises
    DataError for other shapes, or for more than 20,000 bars (use `heatmap`).
    """
    values = np.asarray(values, float)
    labels = len(classes)
    if values.ndim != 2 or values.shape[1] != labels or 0 in values.shape:
        raise DataError(f"bars by label need values [channel, {labels}]; got {values.shape}", code="A101")
    chosen = list(range(len(values))) if order is None else [int(channel) for channel in order]
    if len(chosen) * labels > _MOST:
        raise DataError(f"{len(chosen)} channels x {labels} labels are too many bars; show a heatmap", code="A101")
    shown = values[chosen]
    plan = _plan(shown, own_scale)
    parts = [*_bars(shown, plan), *_legend(classes), *_notes(shown, chosen, classes, plan, own_scale)]
    return Scene(WIDTH, plan.height, tuple(parts))


@dataclass(frozen=True)
class _Plan:
    """The panels' layout in CSS pixels: `left`, `head` (the titles' baseline) and `zero` have one value per panel.

    `starts`, `ends` and `tops` [panel, label] are the bars; a bar without a value has its top at zero.
    """

    height: float
    room: float
    left: np.ndarray
    head: np.ndarray
    zero: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    tops: np.ndarray
    scale: str
    scale_y: float


def _plan(shown: np.ndarray, own_scale: bool) -> _Plan:
    count, labels = shown.shape
    columns = min(count, 4 if count <= 4 else 8 if count <= 64 else 12)
    rows = -(-count // columns)
    top, pitch = (48.0 if labels <= COLORED else 30.0), WIDTH / max(columns, 4)
    tall = 44.0 if columns > 4 else 90.0
    safe = np.where(np.isfinite(shown), shown, 0)
    low, high = np.minimum(safe.min(axis=1), 0), np.maximum(safe.max(axis=1), 0)
    scale = "each panel to its own largest bar"
    if not own_scale:
        low[:], high[:] = low.min(), high.max()
        scale = f"all panels from {short_number(low[0])} to {short_number(high[0])}"
    span = np.where(high > low, high - low, 1.0)
    row, column = np.divmod(np.arange(count), columns)
    left, head = 2 + column * pitch, top + 12 + row * (tall + 30)
    zero = head + 6 + tall * np.where(high > low, high / span, 1.0)
    slot = min(pitch - 14, labels * 32) / labels
    starts = left[:, None] + np.arange(labels) * slot
    return _Plan(
        height=top + rows * (tall + 30),
        room=pitch - 14,
        left=left,
        head=head,
        zero=zero,
        starts=starts,
        ends=starts + max(slot * 0.82, slot - 2),
        tops=zero[:, None] - safe / span[:, None] * tall,
        scale=scale,
        scale_y=top - 17.5,
    )


def _bars(shown: np.ndarray, plan: _Plan) -> Iterator[Part]:
    labels = shown.shape[1]
    zeros = np.repeat(plan.zero[:, None], labels, axis=1)
    boxes = np.stack([plan.starts, zeros, plan.ends, plan.tops], axis=2)
    finite = np.isfinite(shown)
    drawn = finite & (shown != 0)
    if labels <= COLORED:
        for label in range(labels):
            yield Boxes(boxes[drawn[:, label], label], class_role(label))
    else:
        strongest = np.arange(labels) == _largest(shown)[:, None]
        yield Boxes(boxes[drawn & ~strongest], "muted", 0.5)
        yield Boxes(boxes[drawn & strongest], "accent")
    panels = zip(plan.left, plan.ends[:, -1], plan.zero, strict=True)
    yield Lines(tuple(np.array([[left, y], [right, y]]) for left, right, y in panels), "muted", HAIR)
    x, y = ((plan.starts + plan.ends) / 2)[~finite], zeros[~finite] - 4.5
    crosses = [np.array([[a - 2, b - rise], [a + 2, b + rise]]) for a, b in zip(x, y, strict=True) for rise in (2, -2)]
    yield Lines(tuple(crosses), "muted")


def _largest(shown: np.ndarray) -> np.ndarray:
    largest: np.ndarray = np.where(np.isfinite(shown), shown, -np.inf).argmax(axis=1)
    return largest


def _notes(
    shown: np.ndarray, chosen: Sequence[int], classes: Sequence[str], plan: _Plan, own_scale: bool
) -> Iterator[Words]:
    yield Words(2, plan.scale_y, plan.scale, "muted", SMALL)
    largest, colored = _largest(shown), len(classes) <= COLORED
    widest = max(text_width(str(channel), SMALL, bold=True) for channel in chosen)
    names = _fitting(classes, plan.room - widest - (text_width(": 0.000", _PEAK) if own_scale else 0) - 4, _PEAK)
    for index, channel in enumerate(chosen):
        left, base, label = float(plan.left[index]), float(plan.head[index]), int(largest[index])
        yield Words(left, base, str(channel), size=SMALL, bold=True)
        if np.isfinite(shown[index]).any():
            value = short_number(shown[index, label], 2) if own_scale else ""
            # Where there is not room for both, the colour or else the name says which label it is.
            both = f"{names[label]}: {value}" if own_scale else names[label]
            room = plan.room - text_width(str(channel), SMALL, bold=True) - 3
            fitting = (text for text in (both, value if colored else names[label]) if text_width(text, _PEAK) <= room)
            yield Words(left + plan.room, base, next(fitting, ""), "muted", _PEAK, anchor="end")


def _fitting(names: Sequence[str], room: float, size: float, least: int = 6) -> tuple[str, ...]:
    """The names cut alike, so that each fits `room` pixels and none becomes another; at least `least` characters."""
    length = 40
    while length > least and max(text_width(name, size) for name in distinct(tuple(names), length)) > room:
        length -= 1
    return distinct(tuple(names), length)


def _legend(classes: Sequence[str]) -> Iterator[Part]:
    """A row of class colours and names, if classes have colours; names are cut so that the row fits."""
    if len(classes) > COLORED:
        return
    x = 2.0
    for index, text in enumerate(_fitting(classes, WIDTH / len(classes) - 22, SMALL)):
        yield Boxes(np.array([[x, 4, x + 9, 13]]), class_role(index))
        yield Words(x + 13, 12.5, text, size=SMALL)
        x += 22 + text_width(text, SMALL)


def pair_bars(pairs: Sequence[tuple[str, str, int]]) -> Scene:
    """A bar per (true class, predicted class, count), longest first as given; both names stand beside it."""
    if not pairs:
        raise DataError("a chart of confused classes needs a pair of them", code="A101")
    names = distinct(tuple(dict.fromkeys(name for true, predicted, _ in pairs for name in (true, predicted))), 28)
    short = dict(zip(dict.fromkeys(name for t, p, _ in pairs for name in (t, p)), names, strict=True))
    labels = [f"{short[true]} → {short[predicted]}" for true, predicted, _ in pairs]
    left = min(max(text_width(label, SMALL) for label in labels), WIDTH - 160) + 10
    most = max(count for _, _, count in pairs)
    parts: list[Part] = []
    for row, (label, (_, _, count)) in enumerate(zip(labels, pairs, strict=True)):
        top = 4 + row * _ROW
        end = left + count / most * (WIDTH - left - 48)
        baseline = middle(top + _ROW / 2 - 1, SMALL)
        parts += [
            Words(left - 8, baseline, label, size=SMALL, anchor="end"),
            Boxes(np.array([[left, top, end, top + _ROW - 5]]), "accent"),
            Words(end + 6, baseline, f"{count:,}", "muted", SMALL),
        ]
    return Scene(WIDTH, 8 + len(pairs) * _ROW, tuple(parts))
