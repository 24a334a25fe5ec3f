"""What the two networks answer: examples that changed sides, the confusion of classes, accuracy per class."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.analysis.confusion import confusion
from reportgen.analysis.paired import LEVEL, Paired, holm, paired
from reportgen.core.pictures import image_range, pictures_of
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.intervals import intervals
from reportgen.figures.matrices import confusion_change
from reportgen.sections.compare.comparison import Comparison
from reportgen.sections.compare.verdict import p_text, points
from reportgen.sections.pixels import image_mosaic
from reportgen.sections.words import listed, others, percent, plural

IMAGES = 30
ROWS = 15
LISTED = 40
"""Examples of each kind that a table lists."""

MATRIX = 100
"""Classes up to which the confusion is drawn."""


def build_sides(comparison: Comparison) -> Section | None:
    """The examples that only one of the networks classifies correctly, with both predictions."""
    result, predictions = comparison.paired, comparison.predictions
    if result is None or predictions is None:
        return None
    blocks: list[Block] = []
    (_, first, second), (here, _) = predictions, comparison.compared_examples
    for name, chosen, which in (("fixed", result.fixed, "new"), ("broken", result.broken, "base")):
        picture = example_pictures(
            comparison,
            f"sides-{name}",
            [int(here[i]) for i in chosen],
            [" → ".join(_class(comparison, int(answers[i])) for answers in (first, second)) for i in chosen],
            f"that only {which} classifies correctly",
            "prediction of base → prediction of new",
        )
        if picture is not None:
            blocks.append(picture)
    rows = list(_changed(comparison, result))
    if rows:
        few = [row for change in ("fixed", "broken") for row in [r for r in rows if r[-1] == change][:LISTED]]
        some = "" if len(few) == len(rows) else f" {len(few)} of {len(rows):,}; predictions.csv has all."
        table = Table(
            "sides-table",
            f"Examples that changed sides; numbers are places in the evaluation batch of base.{some}",
            ("Example", "Label", "Base", "New", "Change"),
            tuple(few),
            "rllll",
        )
        blocks.append(Fold(f"{'The' if some else 'All'} {plural(len(rows), 'example')} that changed sides", (table,)))
    numbers = Numbers(
        "predictions.csv", ("index_base", "index_new", "label", "base", "new"), lambda: _every(comparison)
    )
    both = result.right_before - len(result.broken)
    finding = (
        f"Of {plural(result.count, 'shared evaluation example')}, new classifies {len(result.fixed):,} correctly "
        f"that base does "
        f"not, and base {len(result.broken):,} that new does not; {both:,} are correct in both."
    )
    return Section("sides", "Examples that changed sides", finding, tuple(blocks), (numbers,))


def build_classes(comparison: Comparison) -> Section | None:
    """How the confusion of classes changed, and the accuracy of each class with its interval."""
    if comparison.paired is None or comparison.predictions is None:
        return None
    labels, first, second = comparison.predictions
    classes = comparison.base.classes
    per_class = [
        (label, paired(first[labels == label] == label, second[labels == label] == label))
        for label in np.unique(labels).tolist()
    ]
    adjusted = holm([result.p for _, result in per_class])
    order = sorted(range(len(per_class)), key=lambda i: (adjusted[i], -abs(per_class[i][1].difference), i))
    rows = [_class_row(classes[per_class[i][0]], per_class[i][1], adjusted[i]) for i in order]
    finding = _finding(comparison, per_class, adjusted)
    blocks: list[Block] = []
    shown = [per_class[i] for i in order[: 2 * ROWS]]
    blocks.append(
        chart(
            "classes-intervals",
            intervals(
                [classes[label] for label, _ in shown],
                *(
                    100 * np.array(column)
                    for column in zip(*((r.difference, *r.interval) for _, r in shown), strict=True)
                ),
                label="accuracy of new minus that of base, points",
                zero=0.0,
            ),
            alt=finding,
            caption="Difference of the accuracy per class, with its 95\N{NO-BREAK SPACE}% interval (Newcombe, paired)"
            + (f"; {len(shown)} of {len(rows)} classes, the clearest first." if len(shown) < len(rows) else "."),
            wide=True,
        )
    )
    if len(classes) <= MATRIX:
        change = confusion(labels, second, classes).matrix - confusion(labels, first, classes).matrix
        blocks.append(
            chart(
                "classes-confusion",
                confusion_change(change, classes),
                alt="Change of the confusion matrix from base to new.",
                caption="Predictions of new less those of base, per true label (rows) and predicted one (columns): "
                "blue for "
                "more, red for fewer. Blue on the diagonal and red off it is better.",
            )
        )
    columns = ("Class", "Examples", "Base", "New", "Difference", "from", "to", "p (Holm)")
    caption = (
        "Accuracy per class. From, to: 95\N{NO-BREAK SPACE}% interval. p: McNemar's exact test, corrected for the "
        "number of classes."
    )
    blocks.append(Table("classes-table", caption, columns, tuple(rows[:ROWS]), "lrrrrrrr"))
    if len(rows) > ROWS:
        blocks.append(
            Fold(f"All {len(rows)} classes", (Table("classes-all", caption, columns, tuple(rows), "lrrrrrrr"),))
        )
    numbers = Numbers(
        "classes.csv",
        ("class", "examples", "right_base", "right_new", "fixed", "broken", "low", "high", "p", "p_holm"),
        lambda: _class_numbers(classes, per_class, adjusted),
    )
    return Section("classes", "Classes", finding, tuple(blocks), (numbers,))


def _finding(comparison: Comparison, per_class: list[tuple[int, Paired]], adjusted: list[float]) -> str:
    classes = comparison.base.classes
    clear = [(result, classes[label]) for (label, result), p in zip(per_class, adjusted, strict=True) if p < LEVEL]
    if not clear:
        return f"None of {len(per_class)} classes is better or worse beyond chance, corrected for their number."
    if comparison.origins.one_configuration:
        what = f"{len(clear)} of {plural(len(per_class), 'class')} {'differs' if len(clear) == 1 else 'differ'}"
        return (
            "No class is better or worse beyond the chance of training, as both sides have one configuration; "
            f"{what} beyond the chance of examples alone."
        )
    better = [f"{name} ({points(r.difference)})" for r, name in clear if r.difference > 0]
    worse = [f"{name} ({points(r.difference)})" for r, name in clear if r.difference < 0]
    kinds = (("Better in new", better), ("Worse in new", worse))
    said = [f"{kind}: {listed(names, 3)}" for kind, names in kinds if names]
    left = len(per_class) - len(clear)
    rest = f" {others(left, 'class')} {'does' if left == 1 else 'do'} not differ beyond chance." if left else ""
    return f"{'. '.join(said)}.{rest}"


def _class_row(name: str, result: Paired, p: float) -> tuple[Any, ...]:
    low, high = (points(end) for end in result.interval)
    shares = (percent(right / result.count) for right in (result.right_before, result.right_after))
    return (
        name,
        result.count,
        *shares,
        points(result.difference),
        low,
        high,
        p_text(p).removeprefix("p = ").removeprefix("p "),
    )


def _class_numbers(
    classes: tuple[str, ...], per_class: list[tuple[int, Paired]], adjusted: list[float]
) -> Iterator[tuple[Any, ...]]:
    for (label, r), p in zip(per_class, adjusted, strict=True):
        counts = (r.count, r.right_before, r.right_after, len(r.fixed), len(r.broken))
        yield classes[label], *counts, *r.interval, r.p, p


def example_pictures(
    comparison: Comparison, name: str, places: Sequence[int], labels: Sequence[str], what: str, told: str
) -> Figure | None:
    """The first of the evaluation examples at `places` in base, each with its label; None where they are no pictures.

    `what` says which examples these are ("that ..."), `told` what the labels are.
    """
    batch = comparison.base.batch("evaluation")
    images = pictures_of(comparison.base, batch)
    if not len(images):
        return None
    shown = [(place, label) for place, label in zip(places, labels, strict=True) if place < len(images)][:IMAGES]
    picture = image_mosaic(
        images,
        [place for place, _ in shown],
        image_range(images) if batch.pictures is None else (0.0, 255.0),
        labels=[label for _, label in shown],
        values=[f"example {place}: {label}" for place, label in shown],
        columns=min(len(shown), 10),
        gap=2,
    )
    if picture is None:
        return None
    of = "" if len(shown) == len(places) else f"; {len(shown)} of {len(places):,}"
    return Figure(
        name,
        picture,
        f"{plural(len(shown), 'example')} {what}.",
        f"Examples {what}, {told}{of}.",
        export=picture_export(picture),
        wide=True,
    )


def _class(comparison: Comparison, label: int) -> str:
    return comparison.base.classes[label] if label >= 0 else "no prediction"


def _changed(comparison: Comparison, result: Paired) -> Iterator[tuple[Any, ...]]:
    if comparison.predictions is None:
        return
    (labels, first, second), (here, _) = comparison.predictions, comparison.compared_examples
    for change, chosen in (("fixed", result.fixed), ("broken", result.broken)):
        for i in chosen:
            yield int(here[i]), *(_class(comparison, int(values[i])) for values in (labels, first, second)), change


def _every(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    if comparison.predictions is None:
        return
    predicted, places = comparison.predictions, comparison.compared_examples
    for here, there, *values in zip(*places, *predicted, strict=True):
        yield int(here), int(there), *(_class(comparison, int(value)) if value >= 0 else None for value in values)
