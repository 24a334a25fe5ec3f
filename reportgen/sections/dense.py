"""A class per position: masks beside their inputs, tags in their text, intersection over union and what is confused."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.scores import iou, share_interval
from reportgen.core.outcome import Dense
from reportgen.core.report import Block, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.fonts import distinct, shorten
from reportgen.figures.matrices import confusion as confusion_chart
from reportgen.figures.palettes import CLASS_COLORS, class_role
from reportgen.figures.rows import class_picture, picture_rows
from reportgen.figures.shares import share_rows
from reportgen.sections.context import PageContext
from reportgen.sections.pixels import colors
from reportgen.sections.tokens import pieces_of, token_inputs, visible
from reportgen.sections.words import interval, noun, percent, plural, scored_output
from reportgen.sections.worst import worst

EXAMPLES = 6
CLASSES = 60
"""Classes up to which each has a row in the chart, and a row in the matrix."""

TAGS = 40
"""Positions of a sequence that its table shows."""


def build(context: PageContext) -> Section | None:
    """The probe's masks or tags, and the counts over the evaluation; None for another task."""
    outcome = context.outcome
    if not isinstance(outcome, Dense):
        return None
    one, shares = noun(context.run), iou(outcome.matrix)
    blocks: list[Block] = [*_probe(context, outcome)]
    names = distinct(context.run.classes, 18)
    if len(names) <= CLASSES:
        none = np.full(len(shares), np.nan)
        blocks.append(
            chart(
                "dense-iou",
                share_rows(names, {"Intersection over union": (shares, none, none)}),
                alt=_finding(context, outcome),
                caption="Intersection over union of each class over all positions of the evaluation: those where it is "
                "both true and predicted, of those where it is either.",
            )
        )
        blocks.append(
            chart(
                "dense-confusion",
                confusion_chart(outcome.matrix, names),
                alt=f"Which class is taken for which, over {int(outcome.matrix.sum()):,} positions.",
                caption=f"Rows are true classes, columns predictions, numbers are positions of the evaluation {one}s. "
                "Off the diagonal a cell is the bluer the larger its share of the row.",
            )
        )
    blocks.append(_per_class(context, outcome))
    blocks += _worst(context, outcome)
    blocks.append(Text(f"{_METHOD}{scored_output(context.run)}", "method"))
    numbers = (
        Numbers("dense_confusion.csv", ("true", *context.run.classes), lambda: _matrix_rows(context, outcome)),
        Numbers("dense_examples.csv", ("index", "correct", "positions"), lambda: _example_rows(outcome)),
    )
    return Section("dense", "Class by class, position by position", _finding(context, outcome), tuple(blocks), numbers)


_METHOD = (
    "Positions whose target is negative are not counted. The interval takes examples, not positions, for independent "
    "(ratio estimate; Cochran, Sampling Techniques, 1977, section 2.11). A class that neither occurs nor is predicted "
    "has no intersection over union; the mean is over the others. The share of the most frequent class is what a "
    "network reaches that always predicts it."
)


def _finding(context: PageContext, outcome: Dense) -> str:
    counted, one = int(outcome.counted.sum()), noun(context.run)
    if not counted:
        return f"No position of the evaluation {one}s has a class to compare with."
    share, shares = outcome.right.sum() / counted, iou(outcome.matrix)
    within = share_interval(outcome.right, outcome.counted)
    text = (
        f"{percent(share)} of {plural(counted, 'position')} in {plural(len(outcome.right), f'evaluation {one}')} are "
    )
    text += f"classified correctly{f' ({interval(*within)})' if within else ''}"
    known = shares[np.isfinite(shares)]
    text += f"; mean intersection over union {known.mean():.3f}" if len(known) else ""
    most = int(outcome.matrix.sum(axis=1).argmax())
    common = outcome.matrix[most].sum() / counted
    if within is None or within[0] <= common:
        return f"{text}: no more than always predicting {context.run.classes[most]} would ({percent(common)})."
    return f"{text}. The most frequent class, {context.run.classes[most]}, has {percent(common)} of them."


def _probe(context: PageContext, outcome: Dense) -> list[Block]:
    shape, targets = outcome.predicted.shape, context.probe.targets
    if len(shape) == 2 and (tokens := token_inputs(context.probe)) is not None:
        return _tagged(context, outcome, tokens)
    if len(shape) != 3:
        return []
    count = min(EXAMPLES, shape[0], context.limits.images or EXAMPLES)
    guess = outcome.predicted[:count]
    truth = None if targets is None else np.asarray(targets[:count]).reshape(guess.shape)
    columns: dict[str, list[np.ndarray]] = {}
    if context.pixels is not None and context.pixels.shape[1:3] == shape[1:]:
        columns["input"] = [colors(picture) for picture in context.pixels[:count]]
    if truth is not None:
        columns["true"] = [class_picture(labels) for labels in truth]
    columns["predicted"] = [class_picture(labels) for labels in guess]
    if truth is not None:
        columns["wrong"] = [_wrong(a, b) for a, b in zip(truth, guess, strict=True)]
    shown = sorted({int(label) for part in (guess, truth) if part is not None for label in np.unique(part)})
    legend = [(class_role(label), shorten(context.run.classes[label], 18)) for label in shown if label >= 0]
    repeated = " Colours repeat after ten classes." if len(context.run.classes) > len(CLASS_COLORS) else ""
    wrong = " Under “wrong”, positions whose class is wrong are dark." if truth is not None else ""
    none = " Left of that, positions without a class are grey." if shown[0] < 0 else ""
    return [
        chart(
            "dense-probe",
            picture_rows(list(columns), list(zip(*columns.values(), strict=True)), context.names, legend),
            alt=f"The classes of each position of {plural(count, f'probe {noun(context.run)}')}.",
            caption=f"{plural(count, f'probe {noun(context.run)}').capitalize()}, a colour per class.{wrong}"
            f"{none}{repeated}",
            wide=True,
        )
    ]


def _wrong(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """[height, width, 3] uint8: dark where the prediction is wrong, light where it is right or nothing is true."""
    shades = np.where((truth != guess) & (truth >= 0), 40, 235).astype(np.uint8)
    return np.repeat(shades[..., None], 3, axis=2)


def _tagged(context: PageContext, outcome: Dense, tokens: np.ndarray) -> list[Block]:
    """For each of a few sequences, its tokens with the true and the predicted class."""
    targets, classes = context.probe.targets, context.run.classes
    blocks: list[Block] = []
    for index in range(min(EXAMPLES, len(tokens), len(outcome.predicted))):
        guess = outcome.predicted[index]
        truth = np.full(guess.shape, -1) if targets is None else np.asarray(targets[index]).reshape(guess.shape)
        shown = np.flatnonzero(truth >= 0)[:TAGS] if targets is not None else np.arange(len(guess))[:TAGS]
        rows = tuple(
            (
                int(at),
                visible(pieces_of(context.run, tokens[index, at : at + 1])[0]),
                classes[truth[at]] if truth[at] >= 0 else None,
                classes[guess[at]] if guess[at] >= 0 else None,
                "" if targets is None or truth[at] == guess[at] else "wrong",
            )
            for at in shown
        )
        if rows:
            more = f", the first {TAGS} positions that count" if len(rows) == TAGS else ""
            caption = f"{context.names[index]}: its tokens with their classes{more}."
            columns = ("Position", "Token", "True", "Predicted", "")
            blocks.append(Table(f"dense-tags-{index}", caption, columns, rows, "rllll"))
    return blocks


def _per_class(context: PageContext, outcome: Dense) -> Table:
    matrix, shares = outcome.matrix, iou(outcome.matrix)
    rows = tuple(
        (
            name,
            int(matrix[label].sum()),
            int(matrix[:, label].sum()),
            f"{shares[label]:.3f}" if np.isfinite(shares[label]) else None,
            percent(matrix[label, label] / matrix[label].sum()) if matrix[label].sum() else None,
        )
        for label, name in enumerate(context.run.classes[: len(matrix)])
    )
    caption = f"Over the positions of the evaluation {noun(context.run)}s."
    columns = ("Class", "Positions", "Predicted", "Intersection over union", "Of its positions correct")
    return Table("dense-classes", caption, columns, rows, "lrrrr")


def _worst(context: PageContext, outcome: Dense) -> list[Block]:
    share = outcome.right / np.maximum(outcome.counted, 1)
    some = [int(i) for i in np.argsort(share, kind="stable") if outcome.counted[i]]
    texts = [percent(share[i]) for i in some]
    caption = "The smallest share of correct positions first, which stands on each"
    return worst(context, "dense", some, texts, "Correct positions", caption)


def _matrix_rows(context: PageContext, outcome: Dense) -> Iterator[tuple[Any, ...]]:
    for name, row in zip(context.run.classes, outcome.matrix, strict=False):
        yield (name, *map(int, row))


def _example_rows(outcome: Dense) -> Iterator[tuple[Any, ...]]:
    for index, (right, counted) in enumerate(zip(outcome.right, outcome.counted, strict=True)):
        yield index, int(right), int(counted)
