"""Any number of classes per example: precision, recall and F1 of each."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.confusion import wilson
from reportgen.analysis.scores import f1, share_interval
from reportgen.core.outcome import MultiLabel
from reportgen.core.report import Block, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.shares import Intervals, share_rows
from reportgen.sections.context import PageContext
from reportgen.sections.words import NBSP, interval, listed, noun, percent, plural, scored_output, span
from reportgen.sections.worst import worst

CLASSES = 60
"""Classes that are drawn: the most frequent ones."""


def build(context: PageContext) -> Section | None:
    """Each class's measures over the evaluation; None for another task, or without targets."""
    outcome, targets = context.outcome, context.run.batch("evaluation").targets
    if not isinstance(outcome, MultiLabel) or targets is None or targets.shape != outcome.scores.shape:
        return None
    true, predicted = np.asarray(targets) > 0, outcome.scores > 0
    measures = _measures(true, predicted)
    order = np.argsort(-true.sum(axis=0), kind="stable")[:CLASSES]
    classes, one = context.run.classes, noun(context.run)
    finding = _finding(context, true, predicted)
    more = f" The {CLASSES} most frequent of {len(classes):,} classes." if len(classes) > CLASSES else ""
    blocks: list[Block] = [
        chart(
            "multilabel-classes",
            share_rows(
                [classes[label] for label in order],
                {name: (values[order], low[order], high[order]) for name, (values, low, high) in measures.items()},
            ),
            alt=finding,
            caption=f"Precision: of the evaluation {one}s for which a class is predicted, those that have it. Recall: "
            f"of those that have it, those for which it is predicted. F1: their harmonic mean. Lines: 95{NBSP}% "
            f"intervals.{more}",
            wide=True,
        ),
        _table(context, true, predicted, measures),
    ]
    wrong = (true != predicted).sum(axis=1)
    chosen = [int(i) for i in np.argsort(-wrong, kind="stable") if wrong[i]]
    texts = [_mistakes(classes, true[i], predicted[i]) for i in chosen]
    blocks += worst(
        context, "multilabel", chosen, texts, "Mistakes", "Most wrong classes first (−: missed, +: predicted wrongly)"
    )
    blocks.append(Text(f"{_METHOD}{scored_output(context.run)}", "method"))
    numbers = (
        Numbers("multilabel.csv", _COLUMNS, lambda: _rows(context, true, predicted)),
        Numbers("multilabel_scores.csv", ("index", "class", "true", "score"), lambda: _scores(context, true, outcome)),
    )
    return Section("multilabel", "Class by class", finding, tuple(blocks), numbers)


_METHOD = (
    "A class is predicted where its log odds are above 0. Intervals of precision and recall are Wilson's, those of F1 "
    "of a ratio estimate over examples (Cochran, Sampling Techniques, 1977, section 2.11). F1 over all pairs counts "
    "every pair of an example and a class; always predicting every class would give the value that it is compared with."
)


def _counts(true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[class] int: examples that have it and are predicted to, that are predicted to, and that have it."""
    return (true & predicted).sum(axis=0), predicted.sum(axis=0), true.sum(axis=0)


def _measures(true: np.ndarray, predicted: np.ndarray) -> dict[str, Intervals]:
    both, guessed, have = _counts(true, predicted)
    classes = range(true.shape[1])
    return {
        "Precision": _columns([_wilson(int(both[c]), int(guessed[c])) for c in classes]),
        "Recall": _columns([_wilson(int(both[c]), int(have[c])) for c in classes]),
        "F1": _columns([_f1(true[:, c], predicted[:, c]) for c in classes]),
    }


def _columns(rows: list[tuple[float, float, float]]) -> Intervals:
    values, low, high = np.array(rows, float).reshape(-1, 3).T
    return values, low, high


def _wilson(count: int, of: int) -> tuple[float, float, float]:
    return (count / of, *wilson(count, of)) if of else (np.nan, np.nan, np.nan)


def _f1(true: np.ndarray, predicted: np.ndarray) -> tuple[float, float, float]:
    value = f1(predicted, true)
    if value is None:
        return np.nan, np.nan, np.nan
    within = share_interval(2.0 * (true & predicted), true.astype(float) + predicted)
    return (value, *(within or (np.nan, np.nan)))


def _finding(context: PageContext, true: np.ndarray, predicted: np.ndarray) -> str:
    of = f"{plural(len(true), f'evaluation {noun(context.run)}')} and {plural(true.shape[1], 'class')}"
    value = f1(predicted, true)
    if value is None:
        return f"Over {of}, no class is true and none is predicted: F1 is not defined."
    within = share_interval(2.0 * (true & predicted).sum(axis=1), true.sum(axis=1) + predicted.sum(axis=1, dtype=float))
    text = f"F1 is {value:.3f}" + (f" ({interval(*within)})" if within else "") + f" over {of}"
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


def _table(context: PageContext, true: np.ndarray, predicted: np.ndarray, measures: dict[str, Intervals]) -> Table:
    both, guessed, have = _counts(true, predicted)
    rows = tuple(
        (
            name,
            int(have[label]),
            int(guessed[label]),
            int(both[label]),
            *(
                f"{percent(values[label])} ({span(low[label], high[label])})"
                if np.isfinite([values[label], low[label]]).all()
                else None
                for values, low, high in measures.values()
            ),
        )
        for label, name in enumerate(context.run.classes)
    )
    one = noun(context.run)
    columns = ("Class", "True", "Predicted", "Both", *(f"{name} (95{NBSP}% interval)" for name in measures))
    return Table("multilabel-table", f"Evaluation {one}s per class.", columns, rows, "lrrrrrr")


_COLUMNS = ("class", "true", "predicted", "both", "precision", "recall", "f1")


def _rows(context: PageContext, true: np.ndarray, predicted: np.ndarray) -> Iterator[tuple[Any, ...]]:
    both, guessed, have = (counts.tolist() for counts in _counts(true, predicted))
    for label, name in enumerate(context.run.classes):
        shares = [both[label] / of if of else None for of in (guessed[label], have[label])]
        yield name, have[label], guessed[label], both[label], *shares, f1(predicted[:, label], true[:, label])


def _scores(context: PageContext, true: np.ndarray, outcome: MultiLabel) -> Iterator[tuple[Any, ...]]:
    for index, (row, scores) in enumerate(zip(true, outcome.scores, strict=True)):
        for label, name in enumerate(context.run.classes):
            score = float(scores[label])
            yield index, name, int(row[label]), score if np.isfinite(score) else None
