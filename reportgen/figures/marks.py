"""Parts that several charts share: points in the colours of their classes, shaded cells, labels without overlap.

    parts = [*class_dots(pixels, labels), *place_labels(centres(pixels, labels), classes)]

One path per colour, not one element per point, keeps the SVG small; unlike an embedded picture it follows the page's
theme.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from reportgen.figures.fonts import distinct, text_width
from reportgen.figures.palettes import CLASS_COLORS, class_mark, class_role
from reportgen.figures.scene import SMALL, Boxes, Dots, Words, middle

SHADES = 12
ROUNDS = 3
PALE = (1, 3, 7, 9)
"""Class colours that do not stand out from white by 3:1 without a rim."""

PALEST = 0.25
"""Opacity of the lowest of ordered classes."""

CROWD = 60
"""Names up to which they are moved apart: of more, each that does not fit is left out."""


def class_dots(
    points: np.ndarray,
    labels: np.ndarray,
    *,
    size: float = 5.0,
    alpha: float = 1.0,
    rim: bool = False,
    ordered: bool = False,
    per_pixel: int = 10,
) -> Iterator[Dots]:
    """Points [n, 2] in the colours and marks of their classes, `labels` [n] of class numbers; grey below 0, for none.

    Of classes that are `ordered`, all have one colour, the stronger the higher their number.
    Drawn in rounds of a part of every class, so that the class with the highest number does not cover all others.
    `rim` puts a thin rim of the ground's colour under each dot; those of pale classes always have a grey one.
    Non-finite points are omitted.
    """
    order = np.where(np.isfinite(points).all(axis=1), np.arange(len(points)) % ROUNDS, -1)
    for part in range(ROUNDS):
        for label in np.unique(labels).tolist():
            chosen = points[(labels == label) & (order == part)]
            if label < 0:
                yield Dots(chosen, "muted", size, alpha, per_pixel=per_pixel)
                continue
            if ordered:
                strength = PALEST + (1 - PALEST) * label / max(int(labels.max()), 1)
                yield Dots(chosen, "accent", size, strength * alpha, per_pixel=per_pixel)
                continue
            mark = class_mark(label)
            pale = label % len(CLASS_COLORS) in PALE
            if rim:
                yield Dots(chosen, "ground", size + 2, per_pixel=per_pixel)
            if pale:
                yield Dots(chosen, "muted", size + 1, alpha, mark == "square", per_pixel)
            across = size * 0.88 if mark == "square" else size
            yield Dots(chosen, class_role(label), across, alpha, mark == "square", per_pixel)
            if mark == "ring":
                yield Dots(chosen, "ground", size * 0.45, alpha, per_pixel=per_pixel)


def shaded(
    x_edges: np.ndarray, y_edges: np.ndarray, shares: np.ndarray, color: str, *, strongest: float = 0.95
) -> Iterator[Boxes]:
    """Cells [row, column] in the colour at an opacity that grows with their share, 0 to 1.

    Cell [i, j] lies between y_edges[i], y_edges[i + 1] and x_edges[j], x_edges[j + 1]; a share of 0 or
    NaN is not drawn, a share of 1 is drawn at the opacity `strongest`. There are 12 steps, one part
    each, in which runs of equal cells are merged.
    """
    steps = np.ceil(np.nan_to_num(np.clip(shares, 0, 1)) * SHADES).astype(int)
    for step in range(1, SHADES + 1):
        boxes = [
            (x_edges[start], y_edges[row], x_edges[stop], y_edges[row + 1])
            for row in range(len(steps))
            for start, stop in runs(steps[row] == step)
        ]
        if boxes:
            yield Boxes(np.array(boxes), color, strongest * (0.1 + 0.9 * step / SHADES))


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of every stretch of True."""
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in changes.reshape(-1, 2)]


def centres(points: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """Class number -> the median of its points, [2]; numbers below 0 and classes without a finite point are omitted."""
    finite = np.isfinite(points).all(axis=1) & (labels >= 0)
    points, labels = points[finite], labels[finite]
    return {label: np.median(points[labels == label], axis=0) for label in np.unique(labels).tolist()}


def apart(positions: np.ndarray, sizes: np.ndarray, rounds: int = 100) -> np.ndarray:
    """Move boxes with centres [n, 2] and sizes [n, 2] apart, each as little as possible.

    Iteratively pushes each overlapping pair apart along the axis of the smaller overlap; without room for all,
    some overlap remains.
    """
    at = positions.astype(np.float64)
    reach = (sizes[:, None] + sizes[None]) / 2
    number = np.arange(len(at))
    order = np.where(number[:, None] < number, 1.0, -1.0)[..., None]
    for _ in range(rounds):
        between = at[None] - at[:, None]
        overlap = reach - np.abs(between)
        hit = (overlap > 0.01).all(axis=2) & (number[:, None] != number)
        if not hit.any():
            break
        narrow = np.arange(2) == overlap.argmin(axis=2)[..., None]
        side = np.where(between == 0, order, np.sign(between))
        at = at - (0.4 * overlap * side * narrow * hit[..., None]).sum(axis=1)
    return at


def place_labels(
    at: dict[int, np.ndarray],
    classes: Sequence[str],
    *,
    size: float = SMALL,
    length: int = 18,
    within: tuple[float, float, float, float] | None = None,
) -> list[Words]:
    """Class names at their places in pixels, haloed, moved apart, and kept `within` (left, top, right, bottom).

    A name that would touch another one, or would stand further than its own width from its place, is left out.
    """
    if not at:
        return []
    short = distinct(tuple(classes), length)
    names, places = [short[label] for label in at], np.array(list(at.values()))
    sizes = np.array([(text_width(name, size, bold=True) + 4, size + 4) for name in names])
    placed = apart(places, sizes) if len(names) <= CROWD else places
    if within is not None:
        low, high = np.array(within[:2]) + sizes / 2, np.array(within[2:]) - sizes / 2
        placed = np.clip(placed, low, np.maximum(low, high))
    kept: list[int] = []
    for index, (here, own) in enumerate(zip(placed, sizes, strict=True)):
        near = float(np.abs(here - places[index]).max()) <= max(2 * size, float(own[0]))
        if near and (np.abs(placed[kept] - here) >= (sizes[kept] + own) / 2 - 1).any(axis=1).all():
            kept.append(index)
    return [
        Words(float(x), middle(float(y), size), names[index], size=size, bold=True, anchor="middle", halo=True)
        for index in kept
        for x, y in [placed[index]]
    ]
