"""The parts that charts are drawn from: dots, shaded cells, bars and labels, each as one path.

    dots(axes, points, class_color(3), mark=class_mark(3))
    shaded(axes, x_edges, y_edges, shares, ACCENT)
    place_labels(axes, centres, names)

One path per colour, not one artist per point: it is faster to draw, small as SVG, and follows the
page's theme where an embedded picture could not.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reportgen.figures.fonts import shorten
from reportgen.figures.palettes import Mark, class_color, class_mark
from reportgen.figures.style import CRISP, DOTS, GROUND, SMALL, haloed, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

SHADES = 12


def dots(
    axes: "Axes",
    points: np.ndarray,
    color: str,
    *,
    mark: Mark = "dot",
    size: float = 5.0,
    alpha: float = 1.0,
    zorder: float = 2.0,
    per_pixel: int = 10,
) -> None:
    """Points [n, 2] in data coordinates as one path of dots, squares or rings, `size` px across.

    Points that are not finite are left out. Dots of one call that overlap are one surface, also where
    they are transparent. The SVG keeps positions to 1 / `per_pixel` of a pixel.
    """
    points = points[np.isfinite(points).all(axis=1)].astype(np.float64)
    if not len(points):
        return
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    # A stroke of almost no length with a cap: Agg draws nothing for a stroke of no length at all.
    ends = points.copy()
    ends[:, 0] += 1e-6 * max(float(np.ptp(points[:, 0])), float(np.abs(points[:, 0]).max()) * 1e-3, 1e-9)
    vertices = np.stack([points, ends], axis=1).reshape(-1, 2)
    path = Path(vertices, np.tile([Path.MOVETO, Path.LINETO], len(points)))

    def add(stroke: str, width: float, level: float) -> None:
        patch = PathPatch(
            path,
            fill=False,
            edgecolor=stroke,
            linewidth=width,
            capstyle="projecting" if mark == "square" else "round",
            alpha=None if alpha == 1 else alpha,
            zorder=level,
            clip_on=False,
            gid=f"{DOTS}:{per_pixel}",
            # Agg would move both ends of a short path's strokes onto one pixel, and draw nothing.
            snap=False,
        )
        axes.add_artist(patch)

    add(color, size * 0.88 if mark == "square" else size, zorder)
    if mark == "ring":
        add(GROUND, size * 0.45, zorder + 0.001)


def class_dots(
    axes: "Axes",
    points: np.ndarray,
    labels: np.ndarray,
    *,
    size: float = 5.0,
    alpha: float = 1.0,
    rim: bool = False,
    zorder: float = 2.0,
    per_pixel: int = 10,
) -> None:
    """Points in the colours and marks of their classes, `labels` [n] of class numbers.

    Drawn in rounds of a part of every class, so that no class lies on top of all others only because
    it has the highest number. `rim` puts a thin rim of the ground's colour under each dot.
    """
    rounds = 3
    order = np.arange(len(points))
    for part in range(rounds):
        for index, label in enumerate(np.unique(labels)):
            chosen = points[(labels == label) & (order % rounds == part)]
            level = zorder + part * 0.1 + index * 0.0003
            if rim:
                dots(axes, chosen, GROUND, size=size + 2, zorder=level - 0.0001, per_pixel=per_pixel)
            color, mark = class_color(int(label)), class_mark(int(label))
            dots(axes, chosen, color, mark=mark, size=size, alpha=alpha, zorder=level, per_pixel=per_pixel)


def shaded(
    axes: "Axes",
    x_edges: np.ndarray,
    y_edges: np.ndarray,
    shares: np.ndarray,
    color: str,
    *,
    strongest: float = 0.95,
    zorder: float = 1.0,
) -> None:
    """Cells [row, column] in the colour at an opacity that grows with their share, 0 to 1.

    Cell [i, j] lies between y_edges[i], y_edges[i + 1] and x_edges[j], x_edges[j + 1]; a share of 0 or
    NaN is not drawn, a share of 1 is drawn at the opacity `strongest`. There are 12 steps, one path
    each, in which runs of equal cells are merged.
    """
    steps = np.ceil(np.nan_to_num(np.clip(shares, 0, 1)) * SHADES).astype(int)
    for step in range(1, SHADES + 1):
        boxes = [
            (x_edges[start], x_edges[stop], y_edges[row], y_edges[row + 1])
            for row in range(len(steps))
            for start, stop in _runs(steps[row] == step)
        ]
        rectangles(axes, boxes, color, alpha=strongest * (0.1 + 0.9 * step / SHADES), zorder=zorder)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of every stretch of True."""
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in changes.reshape(-1, 2)]


def rectangles(
    axes: "Axes",
    boxes: Sequence[tuple[float, float, float, float]] | np.ndarray,
    color: str,
    *,
    alpha: float = 1.0,
    zorder: float = 1.0,
) -> None:
    """Boxes (left, right, bottom, top) in data coordinates, filled, as one path with crisp edges."""
    if not len(boxes):
        return
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    left, right, bottom, top = np.asarray(boxes, float).T
    corners = np.stack([left, bottom, right, bottom, right, top, left, top, left, bottom], axis=1)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    path = Path(corners.reshape(-1, 2), np.tile(codes, len(left)))
    patch = PathPatch(
        path,
        facecolor=color,
        edgecolor="none",
        linewidth=0,
        alpha=None if alpha == 1 else alpha,
        zorder=zorder,
        clip_on=False,
        antialiased=False,
        gid=CRISP,
    )
    axes.add_artist(patch)


def strokes(
    axes: "Axes", lines: np.ndarray, color: str, *, width: float = 1.0, dashes: tuple[float, float] | None = None
) -> None:
    """Straight lines [n, (x0, y0, x1, y1)] in data coordinates as one path."""
    if not len(lines):
        return
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    path = Path(lines.reshape(-1, 2), np.tile([Path.MOVETO, Path.LINETO], len(lines)))
    patch = PathPatch(path, fill=False, edgecolor=color, linewidth=width, clip_on=False)
    if dashes:
        patch.set_linestyle((0, dashes))
    axes.add_artist(patch)


def centres(points: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """Class number -> the median of its points, [2]; classes without a finite point are left out."""
    finite = np.isfinite(points).all(axis=1)
    points, labels = points[finite], labels[finite]
    shown, counts = np.unique(labels, return_counts=True)
    # All classes sorted in one go, for every frame of an animation asks: the middle one or two of each.
    first = np.cumsum(counts) - counts
    middle = np.stack([first + (counts - 1) // 2, first + counts // 2])
    columns = [column[np.lexsort((column, labels))][middle].mean(axis=0) for column in points.T]
    return dict(zip(shown.tolist(), np.stack(columns, axis=1), strict=True))


def apart(positions: np.ndarray, sizes: np.ndarray, rounds: int = 100) -> np.ndarray:
    """Move boxes of those centres [n, 2] and sizes [n, 2] off each other, each as little as need be.

    Every pair that overlaps is pushed apart along the side of the smaller overlap, in rounds; where there
    is no room for all, some overlap is left.
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
    axes: "Axes", at: dict[int, np.ndarray], classes: Sequence[str], *, size: float = SMALL, length: int = 18
) -> "list[Text]":
    """The name of each class at its place in data coordinates, haloed and moved apart."""
    names = {label: shorten(classes[label], length) for label in at}
    to_pixels, to_data = axes.transData, axes.transData.inverted()
    if not at:
        return []
    pixels = to_pixels.transform(np.array(list(at.values())))
    sizes = np.array([(text_width(name, size) + 4, size + 4) for name in names.values()])
    placed = to_data.transform(apart(pixels, sizes))
    return [
        haloed(axes, x, y, name, size=size, weight="bold", ha="center", va="center", zorder=5)
        for (x, y), name in zip(placed, names.values(), strict=True)
    ]
