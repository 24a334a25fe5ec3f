"""The loss around the way of the training, where `reportgen landscape` computed it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.trajectory import random_walk_shares
from reportgen.core.landscape import Landscape
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Numbers, Section, Text
from reportgen.figures.chart import chart
from reportgen.figures.contours import contours
from reportgen.figures.curves import beside
from reportgen.sections.context import PageContext
from reportgen.sections.words import noun, percent, plural

FEW = 20
"""Examples below which nothing is said of their mean."""

RISE = 0.01
"""Rises of less than this share of the loss's range on the line are none."""


def build(context: PageContext) -> Section | None:
    """Contours of the loss with the path over them, and the loss on a straight line; None where none was computed."""
    found = context.run.landscape
    if found is None:
        return None
    finding, spread = _finding(context, found), _spread(found)
    blocks: list[Block] = [_plane(context, found, spread), Text(spread), _line(context, found, finding)]
    blocks.append(Text(_method(found), "method"))
    numbers = (
        Numbers("landscape_plane.csv", ("x", "y", "loss"), lambda: _grid(found)),
        Numbers("landscape_path.csv", ("step", "x", "y", "distance", "loss"), lambda: _path(found)),
        Numbers("landscape_line.csv", ("along", "loss"), lambda: _points(found)),
        Numbers("landscape_shares.csv", ("component", "share", "random_walk"), lambda: _shares(found)),
    )
    return Section("landscape", "The loss along the way", finding, tuple(blocks), numbers)


def _of(context: PageContext, found: Landscape) -> str:
    kind = {"training": "training ", "evaluation": "evaluation ", "given": ""}[found.part]
    return plural(found.examples, f"{kind}{noun(context.run)}")


def _finding(context: PageContext, found: Landscape) -> str:
    first, last = found.between
    where = f"On the straight line from step {first:,} to step {last:,} the {found.measure} of {_of(context, found)}"
    inside = (found.along >= 0) & (found.along <= 1)
    line = found.line_loss[inside]
    if found.examples < FEW:
        return f"The loss is the mean of {_of(context, found)} alone: too few to say anything of its course."
    if not np.isfinite(line).all():
        return f"{where} is not finite everywhere."
    ends = f"from {short_number(line[0], 3)} to {short_number(line[-1], 3)}"
    small = RISE * np.ptp(line)
    if line.max() > max(line[0], line[-1]) + small:
        return f"{where} goes {ends} and up to {short_number(line.max(), 3)} in between: a barrier lies there."
    rises = np.diff(line) > small
    if line[-1] < line[0] and not rises.any():
        return f"{where} falls {ends} without a rise."
    falls = np.diff(line) < -small
    if line[-1] > line[0] and not falls.any():
        return f"{where} rises {ends} without a fall."
    return f"{where} goes {ends}, with falls and rises on the way."


def _spread(found: Landscape) -> str:
    states = len(found.steps)
    inside, walk = found.shares[:2].sum(), random_walk_shares(states)[:2].sum()
    hidden = found.hidden()
    worst = int(found.distances.argmax())
    compared = "more than" if inside > walk else "no more than"
    return (
        f"The plane holds {percent(float(inside))} of the variance of {states} snapshots, {compared} the "
        f"{percent(float(walk))} that it would hold of a random walk of as many. The snapshot farthest from it, step "
        f"{found.steps[worst]:,}, lies {short_number(found.distances[worst], 3)} away, {percent(float(hidden[worst]))} "
        f"of its distance from the last one."
    )


def _plane(context: PageContext, found: Landscape, alt: str) -> Any:
    names = (f"step {found.steps[0]:,}", f"step {found.steps[-1]:,}")
    return chart(
        "landscape-plane",
        contours(found.x, found.y, found.loss, found.path, names),
        alt=alt,
        caption=f"Lines of equal loss ({found.measure}, mean of {_of(context, found)}) on the plane through the last "
        f"snapshot along the two largest principal directions of {len(found.steps)} snapshots. Dots: the point of the "
        "plane nearest to each, in the order of steps; both axes in the units of the parameters. Only the last lies on "
        "the plane: at the others' dots the loss is not theirs.",
        wide=True,
    )


def _line(context: PageContext, found: Landscape, alt: str) -> Any:
    first, last = found.between
    return chart(
        "landscape-line",
        beside(found.along, {"": found.line_loss}, found.measure[0].upper() + found.measure[1:], {}, "along the line"),
        alt=alt,
        caption=f"The loss (mean of {_of(context, found)}) on the straight line through the parameters of step "
        f"{first:,}, at 0, and step {last:,}, at 1, and a quarter of their distance beyond. The training did not go "
        "this way.",
        wide=True,
    )


def _method(found: Landscape) -> str:
    statistics = (
        " Batch statistics were estimated anew at each point from these examples, as the mean over batches of each "
        "batch's own."
        if found.reestimated
        else ""
    )
    computed = f"at {found.loss.size:,} points of the plane and {len(found.along)} of the line"
    return (
        "Shown: how the loss changes between and around the networks that the training passed. Computed: the principal "
        "directions are those of all parameters of the snapshots, evenly chosen, around their mean; the loss was "
        f"computed {computed}; lines of equal loss are linear in between.{statistics} What it can't show: the other "
        "directions, which are as many as there are parameters. Even a random walk has most of its variance in two "
        "directions, and looks like a curve on them. How steep a wall looks depends on the scale of the parameters, "
        "which networks with the same outputs need not share. A line without a barrier does not say that the training "
        "was easy. Sources: Goodfellow, Vinyals and Saxe 2015 (arXiv:1412.6544); Li et al. 2018 (arXiv:1712.09913); "
        "Antognini and Sohl-Dickstein 2018 (arXiv:1806.08805)."
    )


def _known(values: np.ndarray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _grid(found: Landscape) -> Iterator[tuple[Any, ...]]:
    for y, row in zip(found.y.tolist(), found.loss, strict=True):
        for x, value in zip(found.x.tolist(), _known(row), strict=True):
            yield x, y, value


def _points(found: Landscape) -> Iterator[tuple[Any, ...]]:
    yield from zip(found.along.tolist(), _known(found.line_loss), strict=True)


def _path(found: Landscape) -> Iterator[tuple[Any, ...]]:
    rows = zip(
        found.steps.tolist(), found.path.tolist(), found.distances.tolist(), _known(found.state_loss), strict=True
    )
    for step, (x, y), distance, loss in rows:
        yield step, x, y, distance, loss


def _shares(found: Landscape) -> Iterator[tuple[Any, ...]]:
    walk = random_walk_shares(len(found.steps))
    yield from zip(range(1, len(walk) + 1), found.shares.tolist(), walk.tolist(), strict=True)
