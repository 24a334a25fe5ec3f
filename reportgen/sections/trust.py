"""How far the confidence of a classifier can be trusted: reliability, calibration error, top-k accuracy."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.calibration import BINS, Calibration, calibration, top_right
from reportgen.analysis.confusion import wilson
from reportgen.core.report import Block, Figure, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.reliability import Bins, reliability
from reportgen.sections.context import PageContext
from reportgen.sections.words import NBSP, interval, noun, percent, plural, span

FEW = 20
"""Examples below which nothing is said of calibration."""

RANKED = 10
"""Classes up to which only the first guess is counted."""


def build(context: PageContext) -> Section | None:
    """Confidence against accuracy; None where no probabilities or no labels of the evaluation were recorded."""
    labels, observation = context.run.batch("evaluation").labels, context.observation
    ranked = None if observation is None else observation.top_classes.get("evaluation")
    if context.classification is None or ranked is None or len(labels) != len(ranked.classes) or not len(labels):
        return None
    known = np.isfinite(ranked.probabilities[:, 0])
    if not known.any():
        return None
    sure, right = ranked.probabilities[known, 0], ranked.classes[known, 0] == labels[known]
    found = calibration(sure, right)
    finding = _finding(context, found, right, len(labels))
    hits, of = top_right(ranked.classes, labels.astype(np.int64)).tolist(), len(labels)
    blocks: list[Block] = [_figure(context, found, sure, right, finding)]
    numbers = [Numbers("calibration.csv", _COLUMNS, lambda: _rows(found))]
    if len(context.run.classes) > RANKED:
        blocks.append(_top(context, hits, of))
        numbers.append(
            Numbers("top_k.csv", ("k", "correct", "of", "accuracy", "low", "high"), lambda: _ranks(hits, of))
        )
    blocks.append(Text(_METHOD, "method"))
    return Section("trust", "How far its confidence can be trusted", finding, tuple(blocks), tuple(numbers))


_METHOD = (
    f"Confidence: the probability of the predicted class, the softmax of the scores or the network's own. ECE: the "
    f"mean over {BINS} bins of equal width of the distance between accuracy and mean confidence, each weighted by its "
    "examples (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017, arXiv:1706.04599). It is never 0 on finitely many "
    "examples: it is therefore compared with what a perfectly calibrated network with the same confidences would have, "
    "whose answers are drawn from them (Bröcker and Smith 2007). Intervals are Wilson's."
)


def _finding(context: PageContext, found: Calibration, right: np.ndarray, recorded: int) -> str:
    one, hits = noun(context.run), int(right.sum())
    of = plural(len(right), f"evaluation {one}")
    of += "" if len(right) == recorded else f" (of {recorded:,}; the others have no finite scores)"
    if len(right) < FEW:
        return f"{of[0].upper()}{of[1:]} are too few to say how far the confidence can be trusted."
    low, high = wilson(hits, len(right))
    # As many digits as show which is larger.
    digits = 3 if f"{found.error:.3f}" != f"{found.chance[1]:.3f}" else 5
    numbers = (
        f"{percent(found.mean)} confident on average, it is right in {percent(hits / len(right))} of {of} "
        f"({interval(low, high)}); ECE {found.error:.{digits}f}"
    )
    limit = f"{found.chance[1]:.{digits}f}"
    if found.error <= found.chance[1]:
        return f"{numbers}, no more than perfect calibration can show on as many (up to {limit})."
    beyond = f"{numbers}, beyond what perfect calibration can show (up to {limit})"
    if low <= found.mean <= high:
        return f"{beyond}: right on average, off in places."
    return f"{beyond}: it is {'over' if found.mean > high else 'under'}confident."


def _figure(context: PageContext, found: Calibration, sure: np.ndarray, right: np.ndarray, alt: str) -> Figure:
    low, high = _intervals(found)
    one = noun(context.run)
    bins = Bins(found.images, found.confidence, found.accuracy, low, high)
    return chart(
        "trust-reliability",
        reliability(bins, sure, right, f"{one}s"),
        alt=alt,
        caption=f"Left: of the evaluation {one}s in each of {BINS} bins of equal width, the share classified correctly "
        f"over their mean confidence, with 95{NBSP}% intervals; n: their number. "
        "On the dashed line accuracy is confidence, under it the network is overconfident. Right: confidence where the "
        "answer is correct and where it is wrong, each to its own scale.",
        wide=True,
    )


def _intervals(found: Calibration) -> tuple[np.ndarray, np.ndarray]:
    pairs = [
        wilson(hits, of) if of else (np.nan, np.nan)
        for hits, of in zip(found.right.tolist(), found.images.tolist(), strict=True)
    ]
    low, high = np.array(pairs, np.float64).T
    return low, high


_COLUMNS = ("bin_low", "bin_high", "examples", "correct", "confidence", "accuracy", "low", "high")


def _rows(found: Calibration) -> Iterator[tuple[Any, ...]]:
    low, high = _intervals(found)
    for place in range(BINS):
        values = (found.confidence[place], found.accuracy[place], low[place], high[place])
        counts = (int(found.images[place]), int(found.right[place]))
        yield place / BINS, (place + 1) / BINS, *counts, *(float(v) if np.isfinite(v) else None for v in values)


def _ranks(hits: list[int], of: int) -> Iterator[tuple[Any, ...]]:
    for place, right in enumerate(hits, 1):
        yield place, right, of, right / of, *wilson(right, of)


def _top(context: PageContext, hits: list[int], of: int) -> Table:
    rows = tuple((k, right, percent(right / of), span(*wilson(right, of))) for k, right in enumerate(hits, 1))
    one = noun(context.run)
    return Table(
        "trust-top",
        f"The true class among the k most probable ones, of {plural(of, f'evaluation {one}')}.",
        ("k", "Correct", "Top-k accuracy", f"95{NBSP}% interval, %"),
        rows,
        "rrrr",
    )
