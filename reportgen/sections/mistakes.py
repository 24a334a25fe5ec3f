"""Where the network fails: confusion matrix, accuracy per class, misclassified images."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.analysis.confusion import Confusion, hardest, similar_order, wilson
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table, Text
from reportgen.figures.bars import pair_bars
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.fonts import distinct
from reportgen.figures.matrices import WRITTEN
from reportgen.figures.matrices import confusion as confusion_chart
from reportgen.sections.classes import INTERVALS, ClassScores
from reportgen.sections.context import PageContext
from reportgen.sections.pixels import image_mosaic
from reportgen.sections.words import NBSP, interval, noun, percent, plural

IMAGES = 60
READABLE = 20
"""Classes up to which a matrix alone shows which are confused."""

PAIRS = 20


def build(context: PageContext) -> Section | None:
    """Confusion matrix of the final network, and its most confident mistakes; None without predictions."""
    result = context.confusion
    if result is None or not result.images:
        return None
    blocks: list[Block] = [*_pairs(context, result), _matrix(context, result)]
    pictures = _misclassified(context, result)
    if pictures is not None:
        blocks.append(pictures)
    have = result.matrix.sum(axis=1) + result.unpredicted
    scores = ClassScores(result.classes, result.matrix.diagonal(), result.matrix.sum(axis=0), have)
    blocks.append(_measures(context, scores))
    blocks.append(Fold("Each class in numbers", (_per_class(context, result, scores), Text(INTERVALS, "method"))))
    return Section(
        "mistakes",
        "Where it fails",
        _finding(context, result),
        tuple(blocks),
        (
            Numbers("confusion.csv", ("true", *result.classes), lambda: _rows(result)),
            Numbers("predictions.csv", _PREDICTIONS, lambda: _predictions(context)),
            scores.numbers("classes.csv"),
        ),
    )


def _pairs(context: PageContext, result: Confusion) -> list[Block]:
    """The most frequent confusions as bars, where a matrix has too many cells to be read."""
    if len(result.classes) <= READABLE or not result.mistakes:
        return []
    most = result.mistakes[:PAIRS]
    pairs = [(result.classes[pair.true], result.classes[pair.predicted], pair.count) for pair in most]
    more = len(result.mistakes) - len(most)
    rest = f"; {plural(more, 'further pair')} in confusion.csv" if more else ""
    caption = f"True → predicted class, number of evaluation {noun(context.run)}s: the most frequent confusions{rest}."
    return [chart("mistakes-pairs", pair_bars(pairs), alt=_finding(context, result), caption=caption, wide=True)]


def _matrix(context: PageContext, result: Confusion) -> Figure:
    order, sorted_by = np.arange(len(result.classes)), ""
    if len(order) > READABLE:
        order, sorted_by = similar_order(result.matrix), " Classes that are confused stand together."
    classes, unpredicted = [result.classes[i] for i in order], [result.unpredicted[i] for i in order]
    return chart(
        "mistakes-confusion",
        confusion_chart(result.matrix[np.ix_(order, order)], classes, unpredicted, order.tolist()),
        alt=_finding(context, result),
        caption=f"Rows are true labels, columns predictions{_numbers_of(context)}. Off the diagonal a cell is the "
        f"bluer the larger its share of the row.{sorted_by}",
    )


def _numbers_of(context: PageContext) -> str:
    """What the numbers in the matrix are, where it has some."""
    return f", numbers are {noun(context.run)}s" if len(context.run.classes) <= WRITTEN else ""


def _finding(context: PageContext, result: Confusion) -> str:
    wrong, of = len(result.misclassified), plural(result.images, f"evaluation {noun(context.run)}")
    if not wrong:
        return f"All {of} are classified correctly."
    low, high = wilson(wrong, result.images)
    text = f"{wrong:,} of {of} are misclassified ({percent(wrong / result.images)}, {interval(low, high)})"
    if without := sum(result.unpredicted):
        text += f", {without:,} of them without a prediction, as their scores are not finite"
    most = result.mistakes[:2]
    if most and (len(most) == 1 or most[0].count > most[1].count):
        true, predicted = result.classes[most[0].true], result.classes[most[0].predicted]
        text += f"; most often {true} is taken for {predicted} ({plural(most[0].count, 'time')})"
    label = hardest(result)
    if label is None:
        return f"{text}."
    share = percent(result.class_accuracy[label] or 0.0)
    return f"{text}. The hardest class is {result.classes[label]}: {share} of its {noun(context.run)}s are correct."


def _misclassified(context: PageContext, result: Confusion) -> Figure | None:
    (images, shades), labels = context.evaluation_pictures, context.run.batch("evaluation").labels
    # A run keeps the first images only where there are very many.
    chosen = [i for i in result.misclassified if i < len(images)]
    chosen = chosen[: IMAGES if context.limits.pictures is None else context.limits.pictures]
    if context.classification is None or not chosen:
        return None
    predictions, gaps = context.classification.predictions, context.classification.logit_gap
    names = distinct(result.classes, 10)  # a tile has room for that many characters
    picture = image_mosaic(
        images,
        chosen,
        shades,
        labels=[f"{names[labels[i]]} → {_predicted(names, predictions[i])}" for i in chosen],
        values=[f"image {i}" + (f", margin {gaps[i]:.2f}" if np.isfinite(gaps[i]) else "") for i in chosen],
        columns=min(len(chosen), 10),
        gap=2,
    )
    assert picture is not None
    picture = replace(picture, links=tuple(f"example-{i}" for i in chosen))
    kept = sum(i < len(images) for i in result.misclassified)
    shown = "all" if len(chosen) == len(result.misclassified) else f"{len(chosen)}"
    among = f" among the {kept:,} whose pictures the run keeps" if kept < len(result.misclassified) else ""
    return Figure(
        "mistakes-images",
        picture,
        f"{plural(len(chosen), 'misclassified image')}, each with its true label and the predicted one.",
        f"Misclassified images, true label → predicted label; {shown} of {len(result.misclassified):,}, the "
        f"worst{among} first (largest output of the predicted class minus that of the true one).",
        export=picture_export(picture),
        wide=True,
    )


def _predicted(classes: Sequence[str], guess: int) -> str:
    return classes[guess] if guess >= 0 else "no prediction"


def _measures(context: PageContext, scores: ClassScores) -> Figure:
    order, more = np.arange(len(scores.names)), ""
    if len(order) > READABLE:
        order = np.argsort(scores.measures["F1"][0], kind="stable")[:READABLE]
        more = f" The {READABLE} of {len(scores.names):,} classes with the lowest F1."
    values = scores.measures["F1"][0]
    known = values[np.isfinite(values)]
    alt = f"F1 of the classes from {known.min():.3f} to {known.max():.3f}."
    return scores.figure(context, "mistakes-measures", order, alt, more)


def _per_class(context: PageContext, result: Confusion, scores: ClassScores) -> Table:
    rows = []
    for label, name in enumerate(result.classes):
        others = [m for m in result.mistakes if m.true == label][:2]
        taken = ", ".join(f"{result.classes[m.predicted]} ({m.count})" for m in others)
        rows.append((name, int(scores.have[label]), *scores.cells(label), taken))
    one = noun(context.run)
    columns = ("Class", f"{one.capitalize()}s", *(f"{name} (95{NBSP}% interval)" for name in scores.measures))
    caption = f"Precision, recall (its accuracy) and F1 of each class, over its evaluation {one}s."
    return Table("mistakes-classes", caption, (*columns, "Most often taken for"), tuple(rows), "lrrrrl")


_PREDICTIONS = ("index", "label", "predicted", "margin", "confidence")


def _predictions(context: PageContext) -> Iterator[tuple[Any, ...]]:
    outcome, classes, observation = context.classification, context.run.classes, context.observation
    assert outcome is not None and observation is not None
    truth, ranked = context.run.batch("evaluation").labels, observation.top_classes.get("evaluation")
    sure = np.full(len(truth), np.nan) if ranked is None else ranked.probabilities[:, 0]
    columns = (truth, outcome.predictions, outcome.logit_gap, sure)
    for index, (label, guess, *values) in enumerate(zip(*columns, strict=True)):
        named = classes[guess] if guess >= 0 else None
        yield index, classes[label], named, *(float(value) if np.isfinite(value) else None for value in values)


def _rows(result: Confusion) -> Iterator[tuple[Any, ...]]:
    for name, row in zip(result.classes, np.asarray(result.matrix), strict=True):
        yield (name, *map(int, row))
