"""Clouds of points: embeddings, and initial values against their change.

    chart("epochs", embedding_multiples(frames, titles, labels, classes), alt="...", caption="...")

The axes of an embedding have no meaning and are not drawn; distances in one figure share one scale.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from reportgen.core.numbers import CACHED, PART, decimals
from reportgen.errors import DataError
from reportgen.figures.axes import (
    HAIR,
    Frame,
    Scale,
    bottom_axis,
    fitting,
    left_axis,
    no_data,
    numbered,
    padded,
    round_ticks,
)
from reportgen.figures.fonts import shorten
from reportgen.figures.marks import centres, class_dots, place_labels, shaded
from reportgen.figures.scene import SMALL, WIDTH, Dots, Lines, Part, Scene, Words

DOTS_UP_TO = 2000
# Of 4 x 4 pixels: bins whose edges fall between pixels leave seams.
BINS = (64, 54)
Limits = tuple[float, float, float, float]


def limits(*clouds: np.ndarray) -> Limits:
    """(left, right, bottom, top) of a square around every finite point of the clouds, with a margin."""
    points = np.concatenate([cloud.reshape(-1, 2) for cloud in clouds] or [np.zeros((0, 2))])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return (-1.0, 1.0, -1.0, 1.0)
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    middle, half = (low + high) / 2, float((high - low).max()) / 2 * 1.04 or 1.0
    return (middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half)


def on_square(points: np.ndarray, box: Limits, left: float, top: float, side: float) -> np.ndarray:
    """Pixels [n, 2] of the points on a square of that side whose edges are the limits; y grows upwards."""
    corner, scale = np.array([box[0], box[3]]), np.array([side / (box[1] - box[0]), side / (box[2] - box[3])])
    pixels: np.ndarray = (points - corner) * scale + (left, top)
    return pixels


def checked_cloud(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [n, 2] and labels [n]; DataError otherwise. No labels at all mean one class, 0."""
    points, labels = np.asarray(points), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or (labels.size and labels.shape != points.shape[:1]):
        raise DataError(
            f"an embedding needs points [n, 2] and labels [n]; got {points.shape} and {labels.shape}", code="A101"
        )
    return points, labels if labels.size else np.zeros(len(points), int)


def dot_size(count: int, pixels: float) -> float:
    """Diameter in pixels for that many points on a square of that side: 2 to 6, smaller when crowded."""
    return float(np.clip(pixels * 0.35 / np.sqrt(max(count, 1)), 2.0, 6.0))


def embedding_multiples(
    frames: Sequence[np.ndarray],
    titles: Sequence[str],
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    ordered: bool = False,
) -> Scene:
    """The frames [n, 2] side by side, three or four in a row, all at the same limits.

    Class names are in the last frame; `ordered` is as for `class_dots`. Non-finite points are omitted; without labels
    all points have one colour.
    """
    if not frames or len(frames) != len(titles):
        raise DataError(f"small multiples need a title per frame; got {len(frames)} and {len(titles)}", code="A101")
    clouds = [checked_cloud(frame, labels) for frame in frames]
    columns = 3 if len(frames) in (5, 6) else min(4, len(frames))
    rows = -(-len(frames) // columns)
    gap, head = 16, HEAD
    side = min((WIDTH - gap * (columns - 1)) / columns, 300.0)
    box = limits(*(cloud for cloud, _ in clouds))
    parts: list[Part] = []
    cells: list[Scene] = []
    for index, ((points, marks), title) in enumerate(zip(clouds, titles, strict=True)):
        row, column = divmod(index, columns)
        named = classes if index == len(frames) - 1 else ()
        panel = partial(_frame, points, marks, title, named, ordered, box, side)
        parts += panel(column * (side + gap), row * (side + head + 8))
        cells.append(Scene(side + gap, side + head + 8, panel(0, 0)))
    shape = columns * (side + gap) - gap, rows * (side + head + 8)
    return Scene(*shape, tuple(parts), tuple(cells) if len(cells) > 1 else ())


HEAD = 22  # px above a frame, for its title


def _frame(
    points: np.ndarray,
    marks: np.ndarray,
    title: str,
    classes: Sequence[str],
    ordered: bool,
    box: Limits,
    side: float,
    x: float,
    y: float,
) -> tuple[Part, ...]:
    heading = Words(x, y + 14, shorten(title, 28), size=SMALL, bold=True)
    if not np.isfinite(points).all(axis=1).any():
        return heading, no_data(Frame(x, y + HEAD, side, side))
    pixels = on_square(points, box, x, y + HEAD, side)
    # Half a pixel is finer than the dots, and keeps a dozen frames of thousands of points small.
    dots = class_dots(pixels, marks, size=min(dot_size(len(points), side), 3), ordered=ordered, per_pixel=2)
    names = place_labels(centres(pixels, marks), classes, length=10) if classes else []
    return heading, *dots, *names


def embedding_overlay(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    classes: Sequence[str],
    *,
    side: float = 520,
) -> Scene:
    """Test points, full and rimmed, over pale training points; classes named at the training medians."""
    train, train_labels = checked_cloud(train, train_labels)
    test, test_labels = checked_cloud(test, test_labels)
    if not len(train) and not len(test):
        return Scene(side, side, (no_data(Frame(0, 0, side, side)),))
    box = limits(train, test)
    under, over = (on_square(cloud, box, 0, 0, side) for cloud in (train, test))
    size = min(dot_size(len(test), side), 4.5)
    parts: list[Part] = [
        *class_dots(under, train_labels, size=dot_size(len(train), side), alpha=0.22, per_pixel=2),
        *class_dots(over, test_labels, size=size, rim=True),
    ]
    if classes:
        at = centres(under, train_labels) or centres(over, test_labels)
        parts += place_labels(at, classes, within=(0, 0, side, side))
    return Scene(side, side, tuple(parts))


def scatter_change(initial: np.ndarray, change: np.ndarray, title: str, correlation: float | None = None) -> Scene:
    """Initial value against change for the weights of one kernel, any shape, 344 px wide.

    Up to 2,000 weights are dots; more are counted in 64 x 54 bins, shaded by the logarithm of the
    count. Lines mark zero on both axes; labels name the quadrants away from zero and towards it.
    `correlation` (NaN or None: "not defined") and the number of weights are printed at the top. Non-finite
    weights are omitted, and counted.
    """
    initial, change = (np.asarray(values).reshape(-1) for values in (initial, change))
    if initial.shape != change.shape:
        raise DataError(
            f"one change per weight is needed; got {initial.size} weights, {change.size} changes", code="A101"
        )
    finite, reach = 0, [0.0, 0.0]
    for part in _pairs(initial, change):
        finite += len(part[0])
        reach = [max(far, float(np.abs(values).max(initial=0.0))) for far, values in zip(reach, part, strict=True)]
    reach = [far * 1.06 or 1.0 for far in reach]
    left_out = initial.size - finite
    frame = Frame(64, 46, 256, 216)
    r = "not defined" if correlation is None or not np.isfinite(correlation) else decimals(correlation, 2)
    note = f"r = {r}, n = {finite:,}" + (f", {left_out:,} not finite" if left_out else "")
    parts: list[Part] = [
        Words(frame.left, 18, shorten(title, 34), bold=True),
        Words(frame.left, 35, note, "muted", SMALL),
    ]
    x, y = Scale(-reach[0], reach[0], frame.left, frame.right), Scale(-reach[1], reach[1], frame.bottom, frame.top)
    if finite:
        parts += [Lines(_cross(frame), "line"), *_weights(x, y, initial, change), *_directions(frame)]
    else:
        parts.append(no_data(frame))
    across = fitting(x, digits=2) if finite else {}
    down = numbered(round_ticks(y.low, y.high, 8), 2) if finite else {}
    parts.append(Lines((np.array([[frame.left, frame.top], [frame.left, frame.bottom]]),), "muted", HAIR))
    parts += [*bottom_axis(frame, x, across, "value before"), *left_axis(frame, y, down)]
    parts.append(Words(14, frame.top + frame.height / 2, "change", "muted", anchor="middle", turned=True))
    return Scene(344, 310, tuple(parts))


def _cross(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """The lines of zero initial value and zero change."""
    x, y = frame.left + frame.width / 2, frame.top + frame.height / 2
    return np.array([[frame.left, y], [frame.right, y]]), np.array([[x, frame.top], [x, frame.bottom]])


def _pairs(*sides: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Weights of which both values are finite, some at a time, float64."""
    for begin in range(0, len(sides[0]), step := PART if len(sides[0]) <= PART else CACHED):
        part = [values[begin : begin + step].astype(np.float64) for values in sides]
        finite = np.isfinite(part[0]) & np.isfinite(part[1])
        yield part if finite.all() else [values[finite] for values in part]


def _weights(x: Scale, y: Scale, initial: np.ndarray, change: np.ndarray) -> Iterator[Part]:
    """Dots, or shaded bins, of the pairs that are finite."""
    parts = _pairs(initial, change)
    if len(initial) <= DOTS_UP_TO:
        for first, second in parts:
            yield Dots(np.stack([x(first), y(second)], axis=1), "accent", 3, 0.7)
        return
    across, down = np.linspace(x.start, x.end, BINS[0] + 1), np.linspace(y.end, y.start, BINS[1] + 1)
    counts = np.zeros(BINS[0] * BINS[1], np.int64)
    for first, second in parts:
        column, row = _bin(x(first), across), _bin(y(second), down)
        counts += np.bincount(row * BINS[0] + column, minlength=len(counts))
    shares = np.log1p(counts.reshape(BINS[1], BINS[0])) / np.log1p(counts.max())
    yield from shaded(across, down, shares, "accent")


def _bin(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin of each place, of evenly spaced edges."""
    bins = ((places - edges[0]) * ((len(edges) - 1) / (edges[-1] - edges[0]))).astype(np.int64)
    clipped: np.ndarray = np.clip(bins, 0, len(edges) - 2, out=bins)
    return clipped


def _directions(frame: Frame) -> Iterator[Words]:
    """Labels of the quadrants: upper right and lower left are away from zero, the others towards it."""
    for right in (False, True):
        for up in (False, True):
            x = frame.right - 4 if right else frame.left + 4
            y = frame.top + 13 if up else frame.bottom - 6
            words = "away from 0" if right == up else "towards 0"
            yield Words(x, y, words, "muted", SMALL, anchor="end" if right else "start", halo=True)


def fit(true: np.ndarray, predicted: np.ndarray, title: str) -> Scene:
    """Predicted against true values [example] with the line of equality, and beside it the residuals, predicted - true.

    As `scatter_change`, dots up to 2,000, then bins. Examples with a value that is not finite are omitted, and counted.
    """
    finite = np.isfinite(true) & np.isfinite(predicted)
    left_out = int((~finite).sum())
    true, predicted = true[finite].astype(float), predicted[finite].astype(float)
    note = f"n = {len(true):,}" + (f", {left_out:,} not finite" if left_out else "")
    parts: list[Part] = [Words(64, 14, shorten(title, 60), bold=True), Words(64, 30, note, "muted", SMALL)]
    both, off = padded(np.concatenate([true, predicted])), predicted - true
    reach = float(np.abs(off).max(initial=0.0)) * 1.06 or 1.0
    panels = (
        (64.0, both, predicted, "predicted", np.array([both, both]).T),
        (436.0, (-reach, reach), off, "predicted − true", np.array([both, (0.0, 0.0)]).T),
    )
    for at, limits_of, values, name, line in panels:
        frame = Frame(at, 42, 276, 240)
        x, y = Scale(*both, frame.left, frame.right), Scale(*limits_of, frame.bottom, frame.top)
        down = numbered(round_ticks(y.low, y.high, 6))
        if len(true):
            parts += [Lines((np.stack([x(line[:, 0]), y(line[:, 1])], axis=1),), "muted", 1, dashes=(4, 3))]
            parts += [*_weights(x, y, true, values)]
        else:
            parts.append(no_data(frame))
        parts.append(Lines((np.array([[frame.left, frame.top], [frame.left, frame.bottom]]),), "muted", HAIR))
        parts += [*bottom_axis(frame, x, fitting(x) if len(true) else {}, "true"), *left_axis(frame, y, down)]
        parts.append(Words(at - 50, frame.top + 120, name, "muted", anchor="middle", turned=True))
    return Scene(WIDTH, 328, tuple(parts))
