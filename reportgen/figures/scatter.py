"""Clouds of points: embeddings, and initial values against their change.

    chart("embedding", lambda: embedding(points, labels, classes), alt="...", caption="...")

The axes of an embedding have no meaning and are not drawn; distances in one figure share one scale.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reportgen.errors import DataError
from reportgen.figures.charts import no_data
from reportgen.figures.fonts import shorten
from reportgen.figures.marks import centres, class_dots, dots, place_labels, shaded
from reportgen.figures.palettes import short_number
from reportgen.figures.style import (
    ACCENT,
    LINE,
    MUTED,
    SMALL,
    WIDTH,
    canvas,
    haloed,
    new_figure,
    place,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_UP_TO = 2000
# Of 4 x 4 pixels: bins whose edges fall between pixels leave seams.
BINS = (64, 54)


def limits(*clouds: np.ndarray) -> tuple[float, float, float, float]:
    """(left, right, bottom, top) of a square that holds every finite point of the clouds, with a margin."""
    points = np.concatenate([cloud.reshape(-1, 2) for cloud in clouds] or [np.zeros((0, 2))])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return (-1.0, 1.0, -1.0, 1.0)
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    middle, half = (low + high) / 2, float((high - low).max()) / 2 * 1.04 or 1.0
    return (middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half)


def checked_cloud(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [n, 2] and labels [n]; DataError otherwise. No labels at all mean one class, 0."""
    points, labels = np.asarray(points), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or (labels.size and labels.shape != points.shape[:1]):
        raise DataError(f"an embedding needs points [n, 2] and labels [n]; got {points.shape} and {labels.shape}")
    return points, labels if labels.size else np.zeros(len(points), int)


def _frame(axes: "Axes", box: tuple[float, float, float, float]) -> None:
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    axes.axis("off")


def dot_size(count: int, pixels: float) -> float:
    """Diameter in pixels for that many points on a square of that side: 2 to 6, smaller when crowded."""
    return float(np.clip(pixels * 0.35 / np.sqrt(max(count, 1)), 2.0, 6.0))


@styled
def embedding(points: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, side: float = 520) -> "Figure":
    """Points [n, 2] in the colours of their labels [n], each class named at its median.

    Points that are not finite are left out; without labels all points are one colour and unnamed.
    """
    points, labels = checked_cloud(points, labels)
    figure = new_figure(side, side)
    axes = place(figure, 0, 0, side, side)
    _frame(axes, limits(points))
    if not np.isfinite(points).all(axis=1).any():
        no_data(axes)
        return figure
    class_dots(axes, points, labels, size=dot_size(len(points), side), alpha=0.85)
    if classes:
        place_labels(axes, centres(points, labels), classes)
    return figure


@styled
def embedding_multiples(
    frames: Sequence[np.ndarray], titles: Sequence[str], labels: np.ndarray, classes: Sequence[str]
) -> "Figure":
    """The frames [n, 2] side by side, at most four in a row, all at the same limits.

    Class names stand in the last frame; the others keep its colours.
    """
    if not frames or len(frames) != len(titles):
        raise DataError(f"small multiples need a title per frame; got {len(frames)} and {len(titles)}")
    clouds = [checked_cloud(frame, labels) for frame in frames]
    columns = min(4, len(frames))
    rows = -(-len(frames) // columns)
    gap, head = 16, 22
    side = min((WIDTH - gap * (columns - 1)) / columns, 300.0)
    figure = new_figure(columns * (side + gap) - gap, rows * (side + head + 8))
    # One set of axes for all panels: a set of its own would cost each 15 ms.
    axes = canvas(figure)
    left, right, bottom, top = limits(*(cloud for cloud, _ in clouds))
    corner, scale = np.array([left, top]), np.array([side / (right - left), side / (bottom - top)])
    for index, ((points, marks), title) in enumerate(zip(clouds, titles, strict=True)):
        row, column = divmod(index, columns)
        x, y = column * (side + gap), row * (side + head + 8)
        axes.text(x, y + 14, shorten(title, 28), weight="bold", size=SMALL)
        if not np.isfinite(points).all(axis=1).any():
            axes.text(x + side / 2, y + head + side / 2, "no data", color=MUTED, ha="center")
            continue
        pixels = (points - corner) * scale + (x, y + head)
        # Half a pixel is finer than the dots, and keeps a dozen frames of thousands of points small.
        class_dots(axes, pixels, marks, size=min(dot_size(len(points), side), 3), per_pixel=2)
        if classes and index == len(frames) - 1:
            place_labels(axes, centres(pixels, marks), classes, size=9, length=10)
    return figure


@styled
def embedding_overlay(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    classes: Sequence[str],
    *,
    side: float = 520,
) -> "Figure":
    """Test points, full and rimmed, over pale training points; classes named at the training medians."""
    train, train_labels = checked_cloud(train, train_labels)
    test, test_labels = checked_cloud(test, test_labels)
    figure = new_figure(side, side)
    axes = place(figure, 0, 0, side, side)
    _frame(axes, limits(train, test))
    if not len(train) and not len(test):
        no_data(axes)
        return figure
    class_dots(axes, train, train_labels, size=dot_size(len(train), side), alpha=0.22, per_pixel=5)
    size = min(dot_size(len(test), side), 4.5)
    class_dots(axes, test, test_labels, size=size, rim=True, zorder=3)
    if classes:
        at = centres(train, train_labels) or centres(test, test_labels)
        place_labels(axes, at, classes)
    return figure


@styled
def scatter_change(initial: np.ndarray, change: np.ndarray, title: str, correlation: float | None = None) -> "Figure":
    """Initial value against change for the weights of one kernel, any shape, 344 px wide.

    Up to 2,000 weights are dots; more are counted in 64 x 54 bins, shaded by the logarithm of the
    count. Lines mark zero on both axes; words say where weights moved away from zero and where towards
    it. `correlation` (NaN or None: "no data") and the number of weights are printed at the top. Weights
    that are not finite are left out, and counted.
    """
    initial = np.asarray(initial).reshape(-1).astype(np.float64)
    change = np.asarray(change).reshape(-1).astype(np.float64)
    if initial.shape != change.shape:
        raise DataError(f"one change per weight is needed; got {initial.size} weights, {change.size} changes")
    finite = np.isfinite(initial) & np.isfinite(change)
    left_out = int((~finite).sum())
    initial, change = initial[finite], change[finite]
    figure = new_figure(344, 310)
    axes = place(figure, 64, 46, 256, 216)
    axes.text(0, 1 + 28 / 216, shorten(title, 34), transform=axes.transAxes, weight="bold")
    r = "no data" if correlation is None or not np.isfinite(correlation) else f"{correlation:.2f}"
    note = f"r = {r.replace('-', '−')}, n = {len(initial):,}"
    note += f", {left_out:,} not finite" if left_out else ""
    axes.text(0, 1 + 11 / 216, note, transform=axes.transAxes, size=SMALL, color=MUTED)
    axes.set_xlabel("value before")
    axes.set_ylabel("change")
    if not len(initial):
        no_data(axes)
        return figure
    reach = [float(np.abs(values).max()) * 1.06 or 1.0 for values in (initial, change)]
    axes.set_xlim(-reach[0], reach[0])
    axes.set_ylim(-reach[1], reach[1])
    axes.axhline(0, color=LINE, lw=1, zorder=0.5)
    axes.axvline(0, color=LINE, lw=1, zorder=0.5)
    _four_ticks(axes)
    if len(initial) <= DOTS_UP_TO:
        dots(axes, np.stack([initial, change], axis=1), ACCENT, size=3, alpha=0.7)
    else:
        edges = [np.linspace(-end, end, bins + 1) for end, bins in zip(reach, BINS, strict=True)]
        counts, _, _ = np.histogram2d(initial, change, bins=edges)
        shaded(axes, edges[0], edges[1], np.log1p(counts.T) / np.log1p(counts.max()), ACCENT)
    for x, y, text in (
        (1, 1, "away from 0"),
        (0, 0, "away from 0"),
        (0, 1, "towards 0"),
        (1, 0, "towards 0"),
    ):
        where = {"ha": "right" if x else "left", "va": "top" if y else "bottom", "size": SMALL}
        haloed(
            axes, 0.985 if x else 0.015, 0.98 if y else 0.02, text,
            transform=axes.transAxes, color=MUTED, fontdict=where,
        )  # fmt: skip
    return figure


def _four_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, symmetric=True))
        axis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value, 2)))
