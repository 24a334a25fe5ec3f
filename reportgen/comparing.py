"""Run against run: what `reportgen compare` does, as a plain function.

report = compare("runs/base", "runs/new")
report.save("compare.html")
report.crossed(["val_accuracy < base - 0.01"])     # () where nothing crossed a threshold
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from reportgen.analysis.thresholds import parse
from reportgen.core.arguments import texts
from reportgen.core.progress import Bar
from reportgen.core.run import CLOCK, Run
from reportgen.errors import OptionError, expect
from reportgen.reported import Report
from reportgen.sections.compare import ORDER, Comparison, assemble
from reportgen.sections.options import chosen
from reportgen.store import open_run, with_all_whole

Runs = str | Path | Run | Sequence[str | Path | Run]


@dataclass(frozen=True)
class ComparisonReport(Report):
    """The report of a comparison, which is saved as any other.

    `measures` has what can be compared by number, name -> (values in the runs of base, values in those of new): the
    metrics at the end of each training, dead_channels, parameters, steps, epochs, seconds.
    """

    measures: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict, repr=False)

    def crossed(self, conditions: Sequence[str]) -> tuple[str, ...]:
        """Those of the conditions that hold, such as "val_accuracy < base - 0.01" or "dead_channels > base".

        Of several runs on a side, the mean counts. Raises OptionError for what is no condition (`analysis.thresholds`),
        and for a number that is not there or not finite.
        """
        conditions = texts("conditions", conditions, 'texts such as "val_accuracy < base - 0.01"')
        sides = [
            {name: sum(values[side]) / len(values[side]) for name, values in self.measures.items() if values[side]}
            for side in range(2)
        ]
        return tuple(text for text in conditions if parse(text).holds(sides[1], sides[0]))


def compare(
    base: Runs,
    new: Runs,
    *,
    embedding: Literal["umap", "pca"] | None = None,
    title: str | None = None,
    progress: bool = False,
) -> ComparisonReport:
    """Compare a run with another, or several runs (seeds) of one configuration with several of another.

    `base` and `new` are run directories or opened runs, or lists of them; each is compared as it is after its last
    update. Needs neither jax nor the models' code. `embedding` None is "umap", or "pca" where numba is not installed.
    Raises RunError for what is no run, OptionError for no run on a side, MissingError for "umap" without numba.
    """
    expect("title", title, str | None, "a text")
    method = chosen((), (), None, embedding).embedding
    sides = [_listed("base", base), _listed("new", new)]
    if not all(sides):
        raise OptionError("a comparison needs at least one run as base and one as new", code="O103")
    runs = [run if isinstance(run, Run) else open_run(run) for side in sides for run in side]

    def made(whole: Sequence[Run]) -> ComparisonReport:
        if os.environ.get("SOURCE_DATE_EPOCH"):
            # Durations and days are left out, as in a report of one run.
            facts = [{name: value for name, value in run.provenance.items() if name not in CLOCK} for run in whole]
            whole = [replace(run, provenance=known) for run, known in zip(whole, facts, strict=True)]
        count = len(sides[0])
        comparison = Comparison(tuple(whole[:count]), tuple(whole[count:]), method)
        with Bar("compare", len(ORDER), "section", shown=progress) as bar:
            document = assemble(comparison, title, bar)
        return ComparisonReport(document, run=comparison.new, measures=comparison.measures)

    return with_all_whole(runs, made)


def _listed(name: str, side: Runs) -> list[str | Path | Run]:
    """The runs of a side. Raises OptionError for what is none."""
    if isinstance(side, str | os.PathLike | Run):
        return [side]
    expect(name, side, Iterable, "a run directory, an opened run, or a list of these")
    return list(side)
