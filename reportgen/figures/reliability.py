"""How far confidence can be trusted: accuracy over confidence, and the confidence of right and of wrong answers.

chart("reliability", reliability(bins, confidence, right, "images"), alt="...", caption="...")
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reportgen.core.arrays import BinCounts, Correct, PerBin, Shares
from reportgen.figures.axes import HAIR, Frame, Scale, bottom_axis, left_axis, no_data, numbered, round_ticks
from reportgen.figures.fonts import text_width
from reportgen.figures.scene import SMALL, WIDTH, Boxes, Dots, Lines, Part, Scene, Words, beside, middle

HEIGHT = 318.0
_SQUARE = 238.0
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_COUNT = 9.0  # px: the numbers of examples below the bins
_STEPS = 24
LEAST = 1e-6
"""1 − confidence at the end of a logarithmic axis: below it, float32 has few values left."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Examples by their confidence, in bins of equal width from 0 to 1: how many, their mean confidence, the share of
    them that is classified correctly, and the ends of its interval; NaN for an empty bin."""

    images: BinCounts
    confidence: PerBin
    accuracy: PerBin
    low: PerBin
    high: PerBin


def surest(confidence: Shares) -> bool:
    """Whether confidences are so near 1 that an axis of 1 − confidence is logarithmic: half of them above 0.95."""
    return bool(len(confidence)) and float(np.median(confidence)) > 0.95


def reliability(bins: Bins, confidence: Shares, right: Correct, noun: str) -> Scene:
    """Two panels: each bin's accuracy over its confidence, its interval, and its number of examples below; and
    histograms of `confidence` [example] where the answer is `right` and where it is wrong, over one axis.

    `noun` is what the examples are called, in the plural.
    """
    panels = (
        lambda left: _reliability(left, bins, noun),
        lambda left: _histograms(left, np.asarray(confidence, float), right, noun),
    )
    return beside(2, HEIGHT, lambda index, left: panels[index](left))


def _reliability(left: float, bins: Bins, noun: str) -> Iterator[Part]:
    frame = Frame(left + 46, 26, _SQUARE, _SQUARE - 30)
    x, y = Scale(0, 1, frame.left, frame.right), Scale(0, 1, frame.bottom, frame.top)
    yield Words(frame.left, 14, f"Accuracy in {len(bins.images)} bins of confidence", bold=True, size=SMALL)
    sides = np.array([frame.left, frame.right])
    yield Lines(tuple(np.stack([sides, [at, at]], axis=1) for at in y(_TICKS)), "line", HAIR)
    yield Lines((np.stack([x([0, 1]), y([0, 1])], axis=1),), "muted", dashes=(4, 3))
    some = np.flatnonzero(bins.images)
    across, accuracy = x(bins.confidence[some]), bins.accuracy[some]
    ends = y(np.stack([bins.low, bins.high], axis=1)[some])
    yield Lines(tuple(np.stack([[at, at], end], axis=1) for at, end in zip(across, ends, strict=True)), "accent", 1.6)
    yield Dots(np.stack([across, y(accuracy)], axis=1), "accent", 6)
    yield from left_axis(frame, y, numbered(_TICKS))
    # The numbers of examples stand between the ticks and the axis' name, upright where a bin is too narrow for them.
    yield from bottom_axis(frame, x, numbered(_TICKS), "")
    counts = [f"{count:,}" for count in bins.images[some].tolist()]
    turned = max((text_width(text, _COUNT) for text in counts), default=0.0) > frame.width / len(bins.images) - 1
    yield Words(frame.left - 6, frame.bottom + 32, "n", "muted", SMALL, anchor="end")
    for place, text in zip(some.tolist(), counts, strict=True):
        at = float(x((place + 0.5) / len(bins.images)))
        if turned:
            below = frame.bottom + 22 + text_width(text, _COUNT)
            yield Words(middle(at, _COUNT), below, text, "muted", _COUNT, turned=True)
        else:
            yield Words(at, frame.bottom + 32, text, "muted", _COUNT, anchor="middle")
    yield Words(frame.left + frame.width / 2, HEIGHT - 8, f"confidence, and number of {noun}", "muted", anchor="middle")


def _histograms(left: float, confidence: np.ndarray, right: Correct, noun: str) -> Iterator[Part]:
    width, logarithmic = WIDTH / 2 - 70, surest(confidence)
    # Of what is left to 1, so that the axis can be logarithmic; the surest answers stand at the right either way.
    x = Scale(1.0, LEAST if logarithmic else 0.0, left + 50, left + 50 + width, logarithmic)
    edges = np.geomspace(1, LEAST, _STEPS + 1) if logarithmic else np.linspace(1, 0, _STEPS + 1)
    names = (
        {1 - at: f"{at:g}" for at in (0, 0.9, 0.99, 0.999, 0.9999)} | {1e-5: "1−10⁻⁵", LEAST: "1"}
        if logarithmic
        else {1 - at: f"{at:g}" for at in _TICKS}
    )
    tall = (HEIGHT - 26 - 44 - 50) / 2
    for row, (chosen, word, color) in enumerate(((right, "correct", "accent"), (~right, "wrong", "c2"))):
        frame = Frame(left + 50, 26 + row * (tall + 44), width, tall)
        counts, _ = np.histogram(np.maximum(1 - confidence[chosen], LEAST * logarithmic), edges[::-1])
        yield Words(
            frame.left, frame.top - 12, f"Confidence of {int(chosen.sum()):,} {word} answers", bold=True, size=SMALL
        )
        if not counts.any():
            yield from bottom_axis(frame, x, names, "")
            yield no_data(frame)
            continue
        y = Scale(0, float(counts.max()), frame.bottom, frame.top)
        starts, stops, tops = x(edges[1:])[::-1], x(edges[:-1])[::-1], y(counts)
        low, high = np.minimum(starts, stops), np.maximum(starts, stops)
        boxes = np.stack([low + 0.5, tops, high - 0.5, np.full(len(tops), frame.bottom)], axis=1)
        yield Boxes(boxes[counts > 0], color)
        yield from left_axis(frame, y, numbered(round_ticks(0, y.high, 3, whole=True)))
        yield from bottom_axis(frame, x, names, "")
    note = "confidence, 1 − p on a logarithmic axis" if logarithmic else "confidence"
    yield Words(left + 50 + width / 2, HEIGHT - 8, note, "muted", anchor="middle")
