"""Precision, recall and F1 of each class: one figure, one table and one file, whatever was to be predicted."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reportgen.analysis.scores import Measure, class_measures
from reportgen.core.arrays import ClassCounts
from reportgen.core.report import Figure, Numbers
from reportgen.figures.chart import chart
from reportgen.figures.shares import share_rows
from reportgen.sections.context import PageContext
from reportgen.sections.words import NBSP, noun, percent, span

INTERVALS = (
    "Intervals of precision and recall are Wilson's; that of F1 is Wilson's interval of both / (have or predicted), "
    "of which F1 is a function (Lam, Gopal and Qian 2023, arXiv:2309.14621)."
)


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Counts of examples per class: that have it and are predicted to, that are predicted to, and that have it."""

    names: tuple[str, ...]
    both: ClassCounts
    guessed: ClassCounts
    have: ClassCounts

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """Precision, recall and F1 with their intervals."""
        return class_measures(self.both, self.guessed, self.have)

    def figure(self, context: PageContext, name: str, order: np.ndarray, alt: str, more: str) -> Figure:
        """The measures of the classes of `order`; `more` ends the caption."""
        rows = {title: (value[order], low[order], high[order]) for title, (value, low, high) in self.measures.items()}
        one = noun(context.run)
        return chart(
            name,
            share_rows([self.names[label] for label in order], rows),
            alt=alt,
            caption=f"Precision: of the evaluation {one}s for which a class is predicted, those that have it. Recall: "
            f"of those that have it, those for which it is predicted. F1: their harmonic mean. Lines: 95{NBSP}% "
            f"intervals.{more}",
            wide=True,
        )

    def cells(self, label: int) -> Iterator[str | None]:
        """Each measure of a class as a table shows it, with its interval."""
        for value, low, high in self.measures.values():
            yield f"{percent(value[label])} ({span(low[label], high[label])})" if np.isfinite(value[label]) else None

    def numbers(self, filename: str) -> Numbers:
        """A row per class, with the ends of each interval."""
        ends = (f"{name.lower()}{end}" for name in self.measures for end in ("", "_low", "_high"))
        return Numbers(filename, ("class", "true", "predicted", "both", *ends), self._rows)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for label, name in enumerate(self.names):
            counts = (int(of[label]) for of in (self.have, self.guessed, self.both))
            values = (float(part[label]) for measure in self.measures.values() for part in measure)
            yield name, *counts, *(value if np.isfinite(value) else None for value in values)
