"""Where the network fails: confusion matrix, accuracy per class, misclassified images."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.analysis.confusion import Confusion
from reportgen.core.pictures import are_pictures
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.matrices import confusion as confusion_chart
from reportgen.sections.context import PageContext
from reportgen.sections.pixels import image_mosaic
from reportgen.sections.words import listed, percent, plural

IMAGES = 60


def build(context: PageContext) -> Section | None:
    """Confusion matrix of the final network, and its most confident mistakes; None without predictions."""
    result = context.confusion
    if result is None or not result.images:
        return None
    blocks: list[Block] = [
        chart(
            "mistakes-confusion",
            confusion_chart(result.matrix, result.classes, result.unpredicted),
            alt=_finding(result),
            caption="Rows are true labels, columns predictions, numbers are images. Off the diagonal a cell is the "
            "bluer the larger its share of the row.",
        )
    ]
    pictures = _misclassified(context, result)
    if pictures is not None:
        blocks.append(pictures)
    blocks.append(Fold("Accuracy per class", (_per_class(result),)))
    return Section(
        "mistakes",
        "Where it fails",
        _finding(result),
        tuple(blocks),
        (
            Numbers("confusion.csv", ("true", *result.classes), lambda: _rows(result)),
            Numbers("predictions.csv", ("index", "label", "predicted", "margin"), lambda: _predictions(context)),
        ),
    )


def _finding(result: Confusion) -> str:
    wrong = len(result.misclassified)
    if not wrong:
        return f"All {plural(result.images, 'evaluation image')} are predicted right."
    of = plural(result.images, "evaluation image")
    text = f"{wrong:,} of {of} ({percent(wrong / result.images)}) are predicted wrong"
    if without := sum(result.unpredicted):
        text += f", {without:,} of them without a prediction, as their scores are not finite"
    if result.mistakes:
        most = result.mistakes[0]
        true, predicted = result.classes[most.true], result.classes[most.predicted]
        text += f"; most often {true} is taken for {predicted} ({most.count} times)"
    known = [
        (share, name) for share, name in zip(result.class_accuracy, result.classes, strict=True) if share is not None
    ]
    least = min(share for share, _ in known)
    hardest = [name for share, name in known if share == least]
    one = f"The hardest class is {hardest[0]}" if len(hardest) == 1 else f"The hardest classes are {listed(hardest)}"
    return f"{text}. {one}: {percent(least)} of {'its' if len(hardest) == 1 else 'their'} images are predicted right."


def _misclassified(context: PageContext, result: Confusion) -> Figure | None:
    (images, shades), labels = context.evaluation_pictures, context.run.batch("evaluation").labels
    # A run keeps the first images only where there are very many.
    chosen = [i for i in result.misclassified if i < len(images)][:IMAGES]
    if context.outcome is None or not chosen or not are_pictures(images.shape):
        return None
    predictions, gaps = context.outcome.predictions, context.outcome.logit_gap
    picture = image_mosaic(
        images,
        chosen,
        shades,
        labels=[f"{result.classes[labels[i]]} → {_predicted(result.classes, predictions[i])}" for i in chosen],
        values=[f"image {i}" + (f", margin {gaps[i]:.2f}" if np.isfinite(gaps[i]) else "") for i in chosen],
        columns=min(len(chosen), 10),
        gap=2,
    )
    assert picture is not None
    kept = sum(i < len(images) for i in result.misclassified)
    shown = "all" if len(chosen) == len(result.misclassified) else f"{len(chosen)}"
    among = f" among the {kept:,} whose pictures the run keeps" if kept < len(result.misclassified) else ""
    return Figure(
        "mistakes-images",
        picture,
        f"{plural(len(chosen), 'misclassified image')}, each with its true label and the predicted one.",
        f"Misclassified images, true label → predicted label; {shown} of {len(result.misclassified):,}, the most "
        f"confident mistakes{among} first (largest output of the predicted class minus that of the true one).",
        export=picture_export(picture),
        wide=True,
    )


def _predicted(classes: Sequence[str], guess: int) -> str:
    return classes[guess] if guess >= 0 else "no prediction"


def _per_class(result: Confusion) -> Table:
    totals = result.matrix.sum(axis=1) + result.unpredicted
    rows = []
    for label, (name, share) in enumerate(zip(result.classes, result.class_accuracy, strict=True)):
        others = [m for m in result.mistakes if m.true == label][:2]
        taken = ", ".join(f"{result.classes[m.predicted]} ({m.count})" for m in others)
        rows.append((name, int(totals[label]), None if share is None else percent(share), taken))
    columns = ("Class", "Images", "Predicted right", "Most often taken for")
    return Table("mistakes-classes", "Accuracy per class, over its evaluation images.", columns, tuple(rows), "lrrl")


def _predictions(context: PageContext) -> Iterator[tuple[Any, ...]]:
    outcome, classes = context.outcome, context.run.classes
    assert outcome is not None
    truth = context.run.batch("evaluation").labels
    for index, (label, guess, gap) in enumerate(zip(truth, outcome.predictions, outcome.logit_gap, strict=True)):
        named = classes[guess] if guess >= 0 else None
        yield index, classes[label], named, float(gap) if np.isfinite(gap) else None


def _rows(result: Confusion) -> Iterator[tuple[Any, ...]]:
    for name, row in zip(result.classes, np.asarray(result.matrix), strict=True):
        yield (name, *map(int, row))
