"""Loss and accuracy over a training.

chart("curves", curves(epochs, {"training": a, "test": b}, {...}), alt="...", caption="...")
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np

from reportgen.figures.axes import (
    HAIR,
    Frame,
    Scale,
    bottom_axis,
    decade_ticks,
    fitting,
    left_axis,
    left_room,
    no_data,
    numbered,
    padded,
    round_ticks,
)
from reportgen.figures.fonts import shorten
from reportgen.figures.marks import apart, runs
from reportgen.figures.palettes import class_role
from reportgen.figures.scene import SMALL, WIDTH, Area, Boxes, Dots, Hook, Lines, Part, Scene, Words, middle
from reportgen.figures.scene import beside as side_by_side

HEIGHT = 264
STEP_BINS = 240
_NO_STEPS = np.zeros((0, 4))
_NAMES = 100  # px at the right of a panel for the names of its series


def steps_per_bin(steps: int) -> int:
    """Number of steps per point of the loss per step in `curves`, for the caption."""
    return max(1, -(-steps // STEP_BINS))


def curves(
    epochs: Sequence[float],
    loss: Mapping[str, Sequence[float]],
    accuracy: Mapping[str, Sequence[float]],
    step_epochs: Sequence[float] = (),
    step_loss: Sequence[float] = (),
    title: str = "Loss",
    across: str = "epoch",
) -> Scene:
    """Loss and accuracy per epoch, each series named at its end; loss per step faint behind.

    `loss` and `accuracy` map a series' name to its value at each of `epochs` (accuracy from 0 to 1; NaN
    where there is none). `step_epochs` places each step on the axis of epochs (step / steps per epoch).
    With more than 240 steps each point is the median of `steps_per_bin` steps, in a band from their least
    to their largest. The loss axis is logarithmic where positive values span more than a factor 30; `title`
    names another metric that is drawn in place of the loss, `across` what the values are drawn over instead of epochs.
    An accuracy that is `close_to_one` is drawn as the error, on a logarithmic axis that has 0 at its lower end.
    """
    at = np.asarray(epochs, float)
    series = {name: np.asarray(column, float) for name, column in loss.items()}
    behind = binned(np.asarray(step_epochs, float), np.asarray(step_loss, float))
    drawn = [partial(_panel, title=title, series=series, steps=behind)] if series or len(behind) or not accuracy else []
    percent = {name: np.asarray(column, float) * 100 for name, column in accuracy.items()}
    if close_to_one(accuracy):
        error = {name: 100 - column for name, column in percent.items()}
        known = np.concatenate([column[column > 0] for column in error.values()])
        # Half of the least error stands for none: a logarithm has no place for it.
        zero = float(known.min()) / 2 if len(known) else 0.05
        error = {name: np.where(column == 0, zero, column) for name, column in error.items()}
        drawn.append(partial(_panel, title="Error, %", series=error, logarithmic=True, zero=zero))
    elif percent:
        drawn.append(partial(_panel, title="Accuracy, %", series=percent, logarithmic=False))
    whole = WIDTH / len(drawn)
    return side_by_side(
        len(drawn), HEIGHT, lambda index, left: drawn[index](left=left, width=whole, epochs=at, across=across)
    )


CLOSE = 0.9


def close_to_one(accuracy: Mapping[str, Sequence[float]]) -> bool:
    """Whether a series of accuracies reaches `CLOSE`, so that what is left to 1 tells more; none is above 1."""
    largest = [np.nanmax(np.asarray(column, float), initial=0.0) for column in accuracy.values()]
    return CLOSE <= max(largest, default=0.0) <= 1


def panels(
    epochs: Sequence[float],
    measures: Mapping[str, Sequence[float]],
    noise: Mapping[str, float] = MappingProxyType({}),
    across: str = "epoch",
) -> Scene:
    """A small panel per measure, side by side, its value at each of `epochs`; NaN where there is none.

    `noise` maps a measure to the value below which it means nothing: a grey band from 0. `across` names what the
    values are drawn over instead of epochs.
    """
    at, whole = np.asarray(epochs, float), WIDTH / max(len(measures), 1)
    series = [(title, {"": np.asarray(values, float)}) for title, values in measures.items()]

    def draw(index: int, left: float) -> Iterator[Part]:
        title, values = series[index]
        yield from _panel(
            left, whole, title, at, values, logarithmic=False, names_room=16, band=noise.get(title), across=across
        )

    return side_by_side(len(series), HEIGHT, draw)


def beside(
    at: np.ndarray, series: Mapping[str, np.ndarray], title: str, around: Mapping[str, np.ndarray], across: str
) -> Scene:
    """One metric of several trainings, each named at its end, `at` places of `across`; NaN where there is none.

    `around` has the least and the largest of several runs [2, place] for those that are their mean. The axis is
    logarithmic where positive values span more than a factor 30.
    """
    panel = _panel(0, WIDTH, title, at, series, around=around, across=across)
    return Scene(WIDTH, HEIGHT, tuple(panel))


def spark(values: Sequence[float], least: float, largest: float) -> Scene:
    """A curve as small as a word, between the `least` value at the bottom and the `largest`; NaN leaves a gap."""
    width, height, edge = 120.0, 26.0, 3.0
    column: np.ndarray = np.array(values, float, ndmin=1)
    across = np.linspace(edge, width - edge, max(len(column), 2))[: len(column)]
    # Halved, since the distance between two values near the largest float overflows.
    share = (column / 2 - least / 2) / ((largest / 2 - least / 2) or 1.0)
    points = np.stack([across, height - edge - share * (height - 2 * edge)], axis=1)
    parts = [points[start:stop] for start, stop in runs(np.asarray(np.isfinite(points).all(axis=1)))]
    ends = [parts[-1][-1:]] if parts else []
    lines = Lines(tuple(part for part in parts if len(part) > 1), "accent", 1.5)
    return Scene(width, height, (lines, *(Dots(end, "accent", 4.5) for end in ends)))


def binned(at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[point, (place, median, least, largest)] of every `steps_per_bin` steps with a finite value."""
    group = steps_per_bin(len(values))
    filled = np.pad(values, (0, -len(values) % group), constant_values=np.nan).reshape(-1, group)
    filled = np.where(np.isfinite(filled), filled, np.nan)
    some = ~np.isnan(filled).all(axis=1)
    filled, places = filled[some], at[::group][some]
    if not len(filled):
        return np.zeros((0, 4))
    return np.stack([places, np.nanmedian(filled, 1), np.nanmin(filled, 1), np.nanmax(filled, 1)], axis=1)


def _panel(
    left: float,
    width: float,
    title: str,
    epochs: np.ndarray,
    series: Mapping[str, np.ndarray],
    steps: np.ndarray = _NO_STEPS,
    logarithmic: bool | None = None,
    zero: float | None = None,
    names_room: float = _NAMES,
    band: float | None = None,
    around: Mapping[str, np.ndarray] = MappingProxyType({}),
    across: str = "epoch",
) -> Iterator[Part]:
    """One panel; `logarithmic` None where that helps. `zero` is the value that stands for 0 on such an axis."""
    reach = np.array([] if band is None else [0.0, band])
    ends = [end.reshape(-1) for end in around.values()]
    known = np.concatenate([*series.values(), *ends, steps[:, 1:].reshape(-1), reach])
    known = known[np.isfinite(known)]
    logarithmic = _spans(known, 30) if logarithmic is None else logarithmic and len(known) > 0
    low, high = padded(known, logarithmic=logarithmic)
    names = numbered(decade_ticks(low, high) if logarithmic else round_ticks(low, high, 6)) if len(known) else {}
    if zero is not None and (known == zero).any():
        names = {at: name for at, name in names.items() if at > 1.5 * zero} | {zero: "0"}
    room = max(left_room(names), 28)
    frame = Frame(left + room, 34, width - room - names_room, 186)
    y = Scale(low, high, frame.bottom, frame.top, logarithmic)
    first, last = (float(epochs.min()), float(epochs.max())) if len(epochs) else (0.0, 0.0)
    x = Scale(*((first, last) if last > first else (first - 0.5, first + 0.5)), frame.left, frame.right)
    yield Words(frame.left, 22, title + (", logarithmic" if logarithmic else ""), bold=True)
    if not len(known):
        yield from bottom_axis(frame, x, {}, across)
        yield no_data(frame)
        return
    sides = np.array([frame.left, frame.right])
    yield Lines(tuple(np.stack([sides, [at, at]], axis=1) for at in y(list(names))), "line", HAIR)
    if band is not None:
        yield Boxes(np.array([[frame.left, float(y(band)), frame.right, float(y(0.0))]]), "muted", 0.25)
        yield Words(frame.left + 4, float(y(band)) - 4, "noise", "muted", SMALL)
    yield from _behind(x, y, steps)
    for number, name in enumerate(series):
        if name in around:
            yield from _between(x(epochs), y(around[name]), _color(number))
    for number, column in enumerate(series.values()):
        yield from _line(np.stack([x(epochs), y(column)], axis=1), number)
    if across in ("epoch", "step"):
        yield Hook("across", (x.low, x.start, x.high, x.end, frame.top, frame.bottom))
    yield from bottom_axis(frame, x, fitting(x, whole=True) if last > first else numbered([first]), across)
    yield from left_axis(frame, y, names)
    yield from _end_names(frame.right + 8, y, series)


def _spans(values: np.ndarray, factor: float) -> bool:
    return bool(len(values)) and bool(values.min() > 0) and bool(values.max() / factor > values.min())


def _behind(x: Scale, y: Scale, steps: np.ndarray) -> Iterator[Part]:
    """The loss per step: its median as a faint line, in a band where a point stands for several steps."""
    if len(steps):
        at, (median, least, largest) = x(steps[:, 0]), y(steps[:, 1:]).T
        if (least != largest).any():
            there, back = np.stack([at, least], axis=1), np.stack([at, largest], axis=1)[::-1]
            yield Area(np.concatenate([there, back]), "muted", 0.18)
        yield Lines((np.stack([at, median], axis=1),), "muted", HAIR, 0.45)


def _between(at: np.ndarray, ends: np.ndarray, color: str) -> Iterator[Part]:
    """The area between two curves [2, point], in parts where either has gaps."""
    for start, stop in runs(np.isfinite(ends).all(axis=0)):
        there, back = (np.stack([at, end], axis=1)[start:stop] for end in ends)
        yield Area(np.concatenate([there, back[::-1]]), color, 0.18)


def _color(number: int) -> str:
    return ("muted", "accent", "ink")[number] if number < 3 else class_role(number)


def _line(points: np.ndarray, number: int) -> Iterator[Part]:
    """One series, with gaps where it has no value; few or isolated points are marked."""
    parts = [points[start:stop] for start, stop in runs(np.isfinite(points).all(axis=1))]
    lines = tuple(part for part in parts if len(part) > 1)
    yield Lines(lines, _color(number), 1.8, dashes=None if number < 2 else (7, 4))
    marked = [part for part in parts if len(points) <= 12 or len(part) == 1]
    if marked:
        yield Dots(np.concatenate(marked), _color(number), 4.5)


def _end_names(left: float, y: Scale, series: Mapping[str, np.ndarray]) -> list[Words]:
    """The name of each series right of its last value, moved apart where two would overlap."""
    ends = [
        (shorten(name, 14), _color(number) if number < 3 else "ink", float(y(column[np.isfinite(column)][-1])))
        for number, (name, column) in enumerate(series.items())
        if name and np.isfinite(column).any()
    ]
    heights = np.array([[0.0, height] for _, _, height in ends]).reshape(-1, 2)
    placed = apart(heights, np.tile([[1e4, SMALL + 2]], (len(ends), 1)))
    return [
        Words(left, middle(float(at), SMALL), name, color, SMALL)
        for (name, color, _), at in zip(ends, placed[:, 1], strict=True)
    ]
