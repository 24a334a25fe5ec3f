"""Inputs beside what the network makes of them, the difference, and the error of each example."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.scores import mean_interval
from reportgen.core.examples import leaves
from reportgen.core.numbers import short_number
from reportgen.core.outcome import Reconstruction
from reportgen.core.pictures import are_pictures, image_range, to_pixels
from reportgen.core.report import Block, Numbers, Section, Text
from reportgen.core.run import Batch
from reportgen.figures.chart import chart
from reportgen.figures.histogram import histogram
from reportgen.figures.matrices import heatmap
from reportgen.figures.palettes import DIVERGING, symmetric, to_indices
from reportgen.figures.rows import picture_rows
from reportgen.sections.context import PageContext
from reportgen.sections.pixels import colors
from reportgen.sections.words import NBSP, noun, percent, plural, scored_output
from reportgen.sections.worst import worst

EXAMPLES = 8
VALUES = 720
"""Values of an example that is no picture, up to which they are drawn."""


def build(context: PageContext) -> Section | None:
    """The probe's outputs and the errors over the evaluation; None for another task."""
    outcome = context.outcome
    if not isinstance(outcome, Reconstruction):
        return None
    one = noun(context.run)
    blocks: list[Block] = [
        *_probe(context, outcome),
        chart(
            "reconstruction-errors",
            histogram(outcome.errors, "mean squared error per value", f"{one}s"),
            alt=_finding(context, outcome),
            caption=f"The error of each of {plural(len(outcome.errors), f'evaluation {one}')}: the squared difference, "
            "averaged over its values.",
            wide=True,
        ),
    ]
    order = [int(i) for i in np.argsort(-np.nan_to_num(outcome.errors, nan=np.inf), kind="stable")]
    texts = [short_number(float(outcome.errors[i])) for i in order]
    blocks += worst(
        context, "reconstruction", order, texts, "Error", "Inputs with the largest error first, each with its error"
    )
    blocks.append(Text(f"{_METHOD}{scored_output(context.run)}", "method"))
    numbers = Numbers("reconstruction.csv", ("index", "error"), lambda: _rows(outcome))
    return Section("reconstruction", "What it reconstructs", _finding(context, outcome), tuple(blocks), (numbers,))


_METHOD = (
    "The error is the squared difference between an output's value and its target (the input where no targets were "
    "given), averaged over all values of an example; the interval is 1.96 standard errors over examples to each side. "
    "It is compared with the error of always giving the mean of the targets, value by value, where the run keeps them "
    "all. A mean squared error says little of what a picture looks like: a blurred one can have a small error."
)


def _finding(context: PageContext, outcome: Reconstruction) -> str:
    of, errors = plural(len(outcome.errors), f"evaluation {noun(context.run)}"), outcome.errors.astype(float)
    if not np.isfinite(errors).all():
        return f"Of {of}, {int((~np.isfinite(errors)).sum()):,} have an output that is not finite."
    text = f"The mean squared error per value is {short_number(float(errors.mean()))}"
    if within := mean_interval(errors, np.ones(len(errors))):
        text += f" (95{NBSP}% interval {short_number(max(within[0], 0.0))} to {short_number(within[1])})"
    text += f" over {of}"
    baseline = _baseline(context, outcome)
    if baseline is None:
        return f"{text}."
    gain = mean_interval(baseline - errors, np.ones(len(errors)))
    constant = short_number(float(baseline.mean()))
    if gain is None or gain[0] <= 0:
        return f"{text}: no smaller than that of always giving their mean, {constant}."
    share = percent(1 - errors.mean() / baseline.mean())
    return f"{text}; always giving their mean has one of {constant}, so {share} of the variance is reproduced."


def _baseline(context: PageContext, outcome: Reconstruction) -> np.ndarray | None:
    """[example] error of giving the mean of all targets; None where the run does not keep all of them."""
    targets = _targets(context.run.batch("evaluation"), outcome.outputs.shape[1:])
    if targets is None or len(targets) != len(outcome.errors):
        return None
    values = targets.reshape(len(targets), -1).astype(float)
    error: np.ndarray = np.square(values - values.mean(axis=0)).mean(axis=1)
    return error


def _targets(batch: Batch, shape: tuple[int, ...]) -> np.ndarray | None:
    """What the outputs are compared with: the targets of that shape, else the input of real numbers that has it."""
    if batch.targets is not None and batch.targets.shape[1:] == shape:
        return np.asarray(batch.targets)
    found = [array for array in leaves(batch.inputs).values() if array.shape[1:] == shape]
    return np.asarray(found[0]) if len(found) == 1 else None


def _probe(context: PageContext, outcome: Reconstruction) -> list[Block]:
    shape = outcome.outputs.shape
    targets = _targets(context.probe, shape[1:])
    if targets is None:
        return []
    count = min(EXAMPLES, len(targets), shape[0], context.limits.images or EXAMPLES)
    outputs, targets = outcome.outputs[:count].astype(float), targets[:count].astype(float)
    own = context.probe.targets is None or context.probe.targets.shape[1:] != shape[1:]
    wanted, off = "input" if own else "target", outputs - targets
    one = noun(context.run)
    reach = symmetric(off)[1] or 1.0
    caption = f"{plural(count, f'probe {one}').capitalize()}: {wanted}, output, and output minus {wanted}, from "
    caption += f"−{short_number(reach)} (red) over 0 (white) to {short_number(reach)} (blue)."
    alt = f"{plural(count, f'probe {one}').capitalize()} with their outputs and differences."
    if are_pictures(shape, context.network):
        shades = image_range(targets)
        columns = {} if own or context.pixels is None else {"input": [colors(p) for p in context.pixels[:count]]}
        columns[wanted] = [colors(picture) for picture in to_pixels(targets, shades)]
        columns["output"] = [colors(picture) for picture in to_pixels(outputs, shades)]
        columns["difference"] = [_difference(picture, reach) for picture in off]
        rows = list(zip(*columns.values(), strict=True))
        scene = picture_rows(list(columns), rows, context.names)
        beyond = ", as is what lies beyond" if outputs.min() < shades[0] or outputs.max() > shades[1] else ""
        caption += f" {wanted.capitalize()} and output: black is {shades[0]:g}, white is {shades[1]:g}{beyond}."
    elif np.prod(shape[1:]) <= VALUES:
        values = np.stack([targets, outputs, off], axis=1).reshape(3 * count, -1)
        names = [f"{name}, {part}" for name in context.names[:count] for part in (wanted, "output", "difference")]
        low, high = symmetric(values)
        scene = heatmap(values, low, high or 1.0, DIVERGING, x_label="value", y_label=one, y_names=names)
        caption = (
            f"{plural(count, f'probe {one}').capitalize()}: {wanted}, output, and output minus {wanted}, a column "
        )
        caption += f"per value, from {short_number(low)} (red) over 0 (white) to {short_number(high)} (blue)."
    else:
        return []
    return [chart("reconstruction-probe", scene, alt=alt, caption=caption, wide=True)]


def _difference(values: np.ndarray, reach: float) -> np.ndarray:
    """[height, width, 3] uint8: a difference in red, white and blue; of colours, their mean."""
    flat = values if values.ndim == 2 else values.mean(axis=-1)
    shown: np.ndarray = DIVERGING.rgb[to_indices(flat, -reach, reach, DIVERGING)]
    return shown


def _rows(outcome: Reconstruction) -> Iterator[tuple[Any, ...]]:
    for index, error in enumerate(outcome.errors.tolist()):
        yield index, error if np.isfinite(error) else None
