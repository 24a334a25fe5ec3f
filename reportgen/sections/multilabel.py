"""Any number of classes per example: precision, recall and F1 of each."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.scores import f1, share_interval
from reportgen.core.outcome import MultiLabel
from reportgen.core.report import Block, Numbers, Section, Table, Text
from reportgen.sections.classes import INTERVALS, ClassScores
from reportgen.sections.context import PageContext
from reportgen.sections.words import NBSP, listed, noun, plural, scored_output
from reportgen.sections.worst import worst

CLASSES = 60
"""Classes that are drawn: the most frequent ones."""


def build(context: PageContext) -> Section | None:
    """Each class's measures over the evaluation; None for another task, or without targets."""
    outcome, targets = context.outcome, context.run.batch("evaluation").targets
    if not isinstance(outcome, MultiLabel) or targets is None or targets.shape != outcome.scores.shape:
        return None
    true, predicted = np.asarray(targets) > 0, outcome.scores > 0
    counts = ((true & predicted).sum(axis=0), predicted.sum(axis=0), true.sum(axis=0))
    classes = context.run.classes
    scores = ClassScores(classes, *counts)
    order = np.argsort(-scores.have, kind="stable")[:CLASSES]
    finding = _finding(context, true, predicted)
    more = f" The {CLASSES} most frequent of {len(classes):,} classes." if len(classes) > CLASSES else ""
    blocks: list[Block] = [
        scores.figure(context, "multilabel-classes", order, finding, more),
        _table(context, scores),
    ]
    wrong = (true != predicted).sum(axis=1)
    chosen = [int(i) for i in np.argsort(-wrong, kind="stable") if wrong[i]]
    texts = [_mistakes(classes, true[i], predicted[i]) for i in chosen]
    blocks += worst(
        context, "multilabel", chosen, texts, "Mistakes", "Most wrong classes first (−: missed, +: predicted wrongly)"
    )
    blocks.append(Text(f"{_METHOD}{scored_output(context.run)}", "method"))
    numbers = (
        scores.numbers("multilabel.csv"),
        Numbers("multilabel_scores.csv", ("index", "class", "true", "score"), lambda: _scores(context, true, outcome)),
    )
    return Section("multilabel", "Class by class", finding, tuple(blocks), numbers)


_METHOD = (
    f"A class is predicted where its log odds are above 0. {INTERVALS} F1 over all pairs counts every pair of an "
    "example and a class, and its interval is that of a ratio estimate over examples (Cochran, Sampling Techniques, "
    "1977, section 2.11); always predicting every class would give the value that it is compared with."
)


def _finding(context: PageContext, true: np.ndarray, predicted: np.ndarray) -> str:
    of = f"{plural(len(true), f'evaluation {noun(context.run)}')} and {plural(true.shape[1], 'class')}"
    value = f1(predicted, true)
    if value is None:
        return f"Over {of}, no class is true and none is predicted: F1 is not defined."
    within = share_interval(2.0 * (true & predicted).sum(axis=1), true.sum(axis=1) + predicted.sum(axis=1, dtype=float))
    text = (
        f"F1 is {value:.3f}"
        + (f" (95{NBSP}% interval {within[0]:.3f} to {within[1]:.3f})" if within else "")
        + f" over {of}"
    )
    share = float(true.mean())
    always = 2 * share / (1 + share)
    if within is None or within[0] <= always:
        return f"{text}: no more than predicting every class would give ({always:.3f})."
    return f"{text}; predicting every class would give {always:.3f}. {_never(context, true, predicted)}".rstrip()


def _never(context: PageContext, true: np.ndarray, predicted: np.ndarray) -> str:
    """The classes that occur and are never predicted."""
    never = [context.run.classes[label] for label in np.flatnonzero(true.any(axis=0) & ~predicted.any(axis=0))]
    return f"Never predicted: {listed(never, most=3)}." if never else ""


def _mistakes(classes: tuple[str, ...], true: np.ndarray, predicted: np.ndarray) -> str:
    missed = [f"−{classes[label]}" for label in np.flatnonzero(true & ~predicted)]
    added = [f"+{classes[label]}" for label in np.flatnonzero(predicted & ~true)]
    return listed([*missed, *added], most=3)


def _table(context: PageContext, scores: ClassScores) -> Table:
    rows = tuple(
        (name, int(scores.have[label]), int(scores.guessed[label]), int(scores.both[label]), *scores.cells(label))
        for label, name in enumerate(scores.names)
    )
    one = noun(context.run)
    columns = ("Class", "True", "Predicted", "Both", *(f"{name} (95{NBSP}% interval)" for name in scores.measures))
    return Table("multilabel-table", f"Evaluation {one}s per class.", columns, rows, "lrrrrrr")


def _scores(context: PageContext, true: np.ndarray, outcome: MultiLabel) -> Iterator[tuple[Any, ...]]:
    for index, (row, scores) in enumerate(zip(true, outcome.scores, strict=True)):
        for label, name in enumerate(context.run.classes):
            score = float(scores[label])
            yield index, name, int(row[label]), score if np.isfinite(score) else None
