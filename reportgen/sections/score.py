"""The training as a score: a staff per layer on one axis of steps; the part of the section on health that shows it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.analysis.score import (
    AFTER,
    BEFORE,
    EXAMPLES,
    LOSS_JUMPS,
    QUANTILES,
    STAVES,
    STEPS,
    VALUES,
    Break,
    Lane,
    Score,
    score,
)
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Fold, Numbers, Text
from reportgen.figures.chart import chart
from reportgen.figures.score import Strip, shades, staves
from reportgen.sections.context import PageContext
from reportgen.sections.words import listed, noun, percent, plural

LEAST_UPDATE = -4.0
"""Power of ten of the update that is black in the overview of all layers; 1 is white."""

MOST_ROWS = 400


def blocks(context: PageContext) -> tuple[list[Block], str, tuple[Numbers, ...]]:
    """What shows it, its method and its numbers; nothing for a run of one state."""
    steps = list(context.run.snapshots)
    if len(steps) < 2:
        return [], "", ()
    found = score(context.run, context.checkup, context.similarity)
    parts = [(staff.name, [_strip(lane) for lane in staff.lanes]) for staff in found.staves if staff.lanes]
    marks = [(one.step, f"step {one.step:,}: {_words(one)}") for one in found.breaks]
    said = _said(found)
    shown: list[Block] = [
        Text(said),
        chart(
            "health-score",
            staves(parts, (min(steps), max(steps)), marks),
            alt=f"{plural(len(parts), 'staff')} over steps {min(steps)} to {max(steps)}. {said}",
            caption=_caption(context, found),
            wide=True,
        ),
        *_rest(context, found),
    ]
    numbers = (
        Numbers("score.csv", _COLUMNS, lambda: _rows(found)),
        Numbers("score_breaks.csv", ("step", "what", "where"), lambda: _break_rows(found)),
    )
    return shown, _method(found), numbers


def _strip(lane: Lane) -> Strip:
    share = lane.quantity in ("dead", "similarity")
    strip = Strip(lane.quantity, lane.steps, lane.values, _end(lane, share), share)
    return replace(strip, said=f"{strip.said}, log.") if strip.logarithmic else strip


def _end(lane: Lane, share: bool) -> str:
    known, last = lane.values[np.isfinite(lane.values)], float(lane.values[-1, 0])
    if not len(known):
        return ""
    if lane.quantity == "similarity":
        return f"{short_number(float(lane.values[0, 0]), 2)} at first"
    if share:
        return f"{percent(last)} at the end" if np.isfinite(last) else "not finite"
    low, high = short_number(float(known.min()), 2), short_number(float(known.max()), 2)
    return low if low == high else f"{low} to {high}"


def _words(one: Break) -> str:
    return f"{one.what}{f' ({one.where})' if one.where else ''}"


def _said(found: Score) -> str:
    if [one.what for one in found.breaks] == [LOSS_JUMPS]:
        # Of an adversary, say, which is no harm: nothing else broke.
        step = f"{found.breaks[0].step:,}"
        return f"The loss jumps at step {step}; every value examined is finite, and no layer has only dead channels."
    if found.breaks:
        return f"The training broke: {listed([f'{_words(one)} from step {one.step:,} on' for one in found.breaks])}."
    return (
        "Nothing broke during the training: every value examined is finite, the loss does not jump, and no layer has "
        "only dead channels."
    )


def _caption(context: PageContext, found: Score) -> str:
    few = f" Shown are {STAVES} of {STAVES + len(found.others)} kernels." if found.others else ""
    lanes = {lane.quantity for staff in found.staves for lane in staff.lanes}
    images = f"the {plural(len(context.names), f'probe {noun(context.run)}')}"
    said = {
        "weights": "Weights of the kernel: median, and bands that hold half and nine tenths of them",
        "activations": f"activations after the layer, likewise, over {images}",
        "dead": "dead: share of its channels that are always 0",
        "update": "update: its size divided by the kernel's",
        "gradient": "gradient: as the training loop reported it",
        "similarity": "similarity: of the representation to the one at the last step (1 is the same)",
    }
    parts = "; ".join(text for name, text in said.items() if name in lanes)
    broke = " Dashed: what the sentence above names." if found.breaks else ""
    return f"{parts}. The numbers at the right are least and largest value of the strip.{broke}{few}"


def _rest(context: PageContext, found: Score) -> Iterator[Block]:
    """All kernels in one picture, where not all have a staff."""
    if not found.others:
        return
    updates = {name: each for name, each in context.checkup.updates.items() if each}
    names = list(updates)[:MOST_ROWS]
    count = max(len(updates[name]) for name in names)
    sizes = np.full((len(names), count), np.nan)
    for row, name in enumerate(names):
        sizes[row, : len(updates[name])] = [one.ratio for one in updates[name]]
    with np.errstate(divide="ignore"):
        power = np.log10(sizes)
    shown = np.where(np.isnan(sizes), np.nan, np.clip(1 - power / LEAST_UPDATE, 0, 1))
    health = {path: each for path, each in context.checkup.channels.items() if each[0].channels > 1}
    paths = list(health)[:MOST_ROWS]
    dead = np.array([[len(one.dead) / one.channels for one in health[path]] for path in paths])
    steps = [one.step for one in updates[names[0]]]
    figures = [
        chart(
            "health-score-updates",
            shades(names, [(f"Updates, steps {steps[0]} to {steps[-1]}", shown)]),
            alt=f"Sizes of the updates of {plural(len(names), 'kernel')}.",
            caption="Size of an update divided by the kernel's, a row per kernel: black is 0.01\N{NO-BREAK SPACE}% or "
            "less, white 100\N{NO-BREAK SPACE}% or more, in equal factors; violet is not defined.",
            wide=True,
        )
    ]
    if len(paths):
        figures.append(
            chart(
                "health-score-dead",
                shades(
                    paths, [(f"Dead channels, steps {context.checkup.steps[0]} to {context.checkup.steps[-1]}", dead)]
                ),
                alt=f"Shares of dead channels in {plural(len(paths), 'layer')}.",
                caption="Share of a layer's channels that are always 0, a row per layer: black is none, white all.",
                wide=True,
            )
        )
    yield Fold(f"All {len(updates):,} kernels", tuple(figures))


def _method(found: Score) -> str:
    chosen = (
        f" Of more than {STAVES} kernels those shown are the first and the last, those where something broke, those of "
        "layers with the largest shares of dead channels, then those with the largest last updates."
        if found.others
        else ""
    )
    return (
        f"Quantiles are of up to {VALUES:,} values at up to {STEPS} recorded steps, evenly spaced. A loss jumps "
        f"where the median of {AFTER} updates' losses exceeds that of the {BEFORE} before by six standard deviations "
        "(1.4826 times the median absolute deviation), by a tenth of it, and by a tenth of the range that such medians "
        f"have had. Similarity is debiased linear CKA over up to {EXAMPLES} embedded examples.{chosen}"
    )


_COLUMNS = ("part", "quantity", "step", "value", *(f"q{round(100 * share):02d}" for share in QUANTILES[1:]))


def _rows(found: Score) -> Iterator[tuple[Any, ...]]:
    """`value` is the median where there are quantiles; what is not finite is empty."""
    for staff in found.staves:
        for lane in staff.lanes:
            for step, values in zip(lane.steps, lane.values.tolist(), strict=True):
                known = [value if np.isfinite(value) else None for value in values]
                yield staff.name, lane.quantity, step, *known, *([None] * (len(QUANTILES) - len(known)))


def _break_rows(found: Score) -> Iterator[tuple[Any, ...]]:
    for one in found.breaks:
        yield one.step, one.what, one.where
