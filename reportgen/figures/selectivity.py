"""What channels respond to, as a matrix: channels by classes around each channel's mean, and the examples beside it.

    chart("activity", selectivity([Panel("after training", values, tiles)], ["3", "17"], classes), ...)

Blue is above a channel's mean over the classes, red below, the ground its mean: the same in both themes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.figures.axes import HAIR
from reportgen.figures.fonts import distinct, text_width
from reportgen.figures.palettes import NOT_FINITE_COLOR, rgb
from reportgen.figures.scene import SMALL, WIDTH, Hook, Lines, Part, Picture, Scene, Words, middle, rectangle

ABOVE, BELOW = (56, 128, 204), (208, 64, 42)
"""Both have 3:1 on a white and on a black ground."""

LEAST, MOST = 0.1, 2.0
"""Times its mean by which a response differs from it, from which on the colour grows no stronger: from, up to."""

NAMED = 20
"""Classes up to which each column is named."""

TALL = 480.0
_ROW = 15.0  # px: a row with its number
_COLUMN = 14.0
_SIDE = 24  # px: about how high a picture is drawn, so that two panels of ten classes stand side by side
_LEVELS = 15  # steps of a colour, and of grey in pictures, with which and the empty colour a pixel takes half a byte
_COLORS = 64  # of pictures that have some


@dataclass(frozen=True, eq=False)
class Panel:
    """One state of the network.

    title     names it
    values    [row, class] float: the difference from the row's mean, as a share of its mean magnitude; NaN is no data
    pictures  [row, rank, y, x] or [row, rank, y, x, 3] from 0 to 255, masked where there is none; None for none
    examples  [row, rank] int: the evaluation example of each picture, -1 for none
    """

    title: str
    values: np.ndarray
    pictures: np.ma.MaskedArray | None = None
    examples: np.ndarray | None = None


def strongest(panels: Sequence[Panel]) -> float:
    """The difference from which on the colour is strongest: 1.5 times the median of the rows' largest ones, so that a
    few channels with a mean near 0 do not leave the others pale."""
    largest = np.concatenate([np.nanmax(np.abs(panel.values), axis=1, initial=0.0) for panel in panels])
    return float(np.clip(1.5 * np.median(largest[largest > 0]), LEAST, MOST)) if largest.any() else MOST


def selectivity(panels: Sequence[Panel], rows: Sequence[str], classes: Sequence[str]) -> Scene:
    """A matrix per panel, each with its pictures beside it, row by row.

    `rows` names the rows; where they are too low for each name, runs of equal ones share it.
    """
    plan = _plan(panels, rows, classes)
    limit = strongest(panels)
    beside = len(panels) * plan.width <= WIDTH
    across, down = (plan.width, 0.0) if beside else (0.0, plan.height)
    parts: list[Part] = []
    for index, panel in enumerate(panels):
        parts += _panel(panel, plan, limit, index * across, index * down)
    size = (plan.width + across * (len(panels) - 1), plan.height + down * (len(panels) - 1))
    cells = tuple(Scene(plan.width, plan.height, tuple(_panel(panel, plan, limit, 0, 0))) for panel in panels)
    return Scene(*size, tuple(parts), cells if len(panels) > 1 else ())


@dataclass(frozen=True)
class _Plan:
    """Sizes in CSS pixels: a cell is `across` x `down`. The pictures begin at `pictures`; each of their pixels is
    `scale` high and wide, and `gap` such pixels lie between them."""

    rows: Sequence[str]
    names: Sequence[str]
    left: float
    top: float
    across: float
    down: float
    pictures: float
    scale: int
    gap: int
    width: float
    height: float
    upright: bool


def _plan(panels: Sequence[Panel], rows: Sequence[str], classes: Sequence[str]) -> _Plan:
    count = len(classes)
    shapes = [panel.pictures.shape for panel in panels if panel.pictures is not None]
    left = 8 + max((text_width(name, SMALL) for name in rows), default=0.0)
    down, scale, gap, room = max(1.0, min(_ROW, math.floor(TALL / max(len(rows), 1)))), 1, 0, 0.0
    if shapes:
        ranks, height, wide = max(shape[1] for shape in shapes), *shapes[0][2:4]
        scale = max(1, round(_SIDE / height))
        gap = max(1, round(2 / scale))
        down, room = float((height + gap) * scale), float((wide + gap) * scale * ranks)
    across = _COLUMN if count <= NAMED else max(1.0, math.floor(240 / count))
    names = distinct(tuple(classes), 18) if count <= NAMED else ()
    widest = max((text_width(name, SMALL) for name in names), default=0.0)
    upright = widest > across - 3
    top = 30 + (widest if upright else SMALL)
    pictures = left + count * across + 12
    return _Plan(
        rows=rows,
        names=names,
        left=left,
        top=top,
        across=across,
        down=down,
        pictures=pictures,
        scale=scale,
        gap=gap,
        width=max(pictures + room, left + 170) + 14,
        height=top + len(rows) * down + 30,
        upright=upright,
    )


def _panel(panel: Panel, plan: _Plan, limit: float, left: float, top: float) -> Iterator[Part]:
    count, tall = panel.values.shape[1], len(plan.rows) * plan.down
    x, y = left + plan.left, top + plan.top
    yield Words(left, top + 12, panel.title, size=SMALL, bold=True)
    if panel.values.size:
        yield Picture(x, y, count * plan.across, tall, colors(panel.values, limit))
        yield Lines((rectangle(x, y, x + count * plan.across, y + tall),), "line", HAIR)
    yield from _row_names(plan, left, y)
    for column, name in enumerate(plan.names):
        middle_x = x + (column + 0.5) * plan.across
        if plan.upright:
            yield Words(middle(middle_x, SMALL), y - 5, name, "muted", SMALL, turned=True)
        else:
            yield Words(middle_x, y - 5, name, "muted", SMALL, anchor="middle")
    if not plan.names:
        yield Words(x, y - 5, f"{count:,} classes", "muted", SMALL)
    yield Words(x, y + tall + 16, f"strongest: ±{short_number(limit, 2)} × mean or more", "muted", SMALL)
    if panel.pictures is not None:
        yield from _pictures(panel.pictures, plan, left + plan.pictures, y)
        if panel.examples is not None:
            pitch = float((panel.pictures.shape[3] + plan.gap) * plan.scale)
            numbers = (panel.examples.shape[1], *panel.examples.ravel().tolist())
            yield Hook("patches", (left + plan.pictures, y, pitch, plan.down, *numbers))


def _row_names(plan: _Plan, left: float, top: float) -> Iterator[Words]:
    """Each row's name; of runs of equal names one, where it fits."""
    starts = [row for row, name in enumerate(plan.rows) if row == 0 or plan.rows[row - 1] != name]
    last = -np.inf
    for start, stop in zip(starts, [*starts[1:], len(plan.rows)], strict=True):
        at = top + (start + stop) / 2 * plan.down
        if at - last >= SMALL:
            last = at
            yield Words(left + plan.left - 6, middle(at, SMALL), plan.rows[start], size=SMALL, anchor="end")


def _pictures(pictures: np.ma.MaskedArray, plan: _Plan, left: float, top: float) -> Iterator[Part]:
    rows, ranks, height, width = pictures.shape[:4]
    sheet = np.zeros((rows, height + plan.gap, ranks, width + plan.gap, 4), np.uint8)
    sheet[:, :height, :, :width] = _few_colors(pictures).transpose(0, 2, 1, 3, 4)
    pixels = sheet.reshape(rows * (height + plan.gap), -1, 4)
    yield Words(left, top - 5, f"{ranks} strongest", "muted", SMALL)
    yield Picture(left, top, float(pixels.shape[1] * plan.scale), float(pixels.shape[0] * plan.scale), pixels)


def colors(values: np.ndarray, limit: float) -> np.ndarray:
    """uint8 [row, class, 4]: blue above 0, red below, the more opaque the further from it; violet without a value."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    painted = np.empty((*values.shape, 4), np.uint8)
    painted[..., :3] = np.where((filled < 0)[..., None], BELOW, ABOVE)
    painted[..., 3] = np.rint(_LEVELS * np.minimum(np.abs(filled) / limit, 1.0)) * (255 // _LEVELS)
    painted[painted[..., 3] == 0] = 0
    painted[~known] = (*rgb(NOT_FINITE_COLOR), 160)
    return painted


def _few_colors(pictures: np.ma.MaskedArray) -> np.ndarray:
    """uint8 [..., y, x, 4] of few colours, so that a pixel takes half a byte of grey and one of colour."""
    from PIL import Image

    grey = pictures.ndim == 4
    filled = np.clip(pictures.filled(0.0), 0, 255)
    painted = np.zeros((*pictures.shape[:4], 4), np.uint8)
    if grey:
        painted[..., :3] = (np.rint(filled / 255 * (_LEVELS - 1)) * (255 / (_LEVELS - 1)))[..., None]
    else:
        sheet = Image.fromarray(np.rint(filled).astype(np.uint8).reshape(-1, pictures.shape[3], 3))
        painted[..., :3] = np.asarray(sheet.quantize(_COLORS).convert("RGB")).reshape(filled.shape)
    empty = np.ma.getmaskarray(pictures)
    painted[..., 3] = np.where(empty if grey else empty.any(axis=-1), 0, 255)
    painted[painted[..., 3] == 0] = 0
    return painted
