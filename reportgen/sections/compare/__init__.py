"""The page of a comparison: run against run, or several seeds against several.

document = assemble(Comparison((base,), (new,), "umap"), None, bar)
"""

from collections.abc import Callable
from typing import Any

from reportgen.core.progress import Bar
from reportgen.core.report import Document, Section, Text
from reportgen.core.run import Run
from reportgen.errors import DamagedError, ReportgenError
from reportgen.sections.compare import answers, curves, embedding, graph, inside, parameters, scores, verdict, way_in
from reportgen.sections.compare.comparison import SIDES, Comparison
from reportgen.sections.words import called, plural

ORDER: tuple[Callable[[Comparison], Section | None], ...] = (
    *(way_in.build, curves.build, answers.build_sides, answers.build_classes, scores.build),
    *(graph.build, inside.build, parameters.build, embedding.build),
)
"""The sections of a comparison, most important first."""

__all__ = ["ORDER", "Comparison", "assemble"]


def assemble(comparison: Comparison, title: str | None, progress: Bar) -> Document:
    """The whole page: the verdict, the sections that the runs allow, and what could not be compared."""
    sections = []
    for build in ORDER:
        try:
            sections.append(build(comparison))
        except DamagedError:
            raise  # everything is made anew, without the damaged file
        except ReportgenError as error:
            comparison.lacks(f"{build.__module__.rpartition('.')[2].replace('_', ' ').capitalize()}: {error}")
        progress.advance()
        progress.part(build.__module__.rpartition(".")[2].replace("_", " "))
    sections.append(_left_out(comparison))
    return Document(
        title=title or page_title(comparison),
        headline=verdict.headline(comparison),
        key_figures=verdict.key_figures(comparison),
        sections=tuple(section for section in sections if section is not None),
        provenance={side: _provenance(runs) for side, runs in zip(SIDES, comparison.sides, strict=True)},
        warnings=tuple(_warnings(comparison)),
    )


def page_title(comparison: Comparison) -> str:
    """Which networks on which data."""
    names = [called(str(run.config.get("model", run.network.name))) for run in (comparison.base, comparison.new)]
    data = [called(str(run.config["dataset"])) for run in (comparison.base, comparison.new) if "dataset" in run.config]
    of = f" on {data[0]}" if len(set(data)) == 1 else ""
    return f"{names[0]}{of}: new against base" if names[0] == names[1] else f"{names[1]} against {names[0]}{of}"


def _left_out(comparison: Comparison) -> Section | None:
    if not comparison.reasons:
        return None
    count = len(comparison.reasons)
    finding = f"{plural(count, 'thing')} could not be compared, or only in part."
    return Section("left-out", "What could not be compared", finding, tuple(map(Text, comparison.reasons)))


def _warnings(comparison: Comparison) -> list[str]:
    found = []
    for side, runs in zip(SIDES, comparison.sides, strict=True):
        for run in runs:
            if run.problems:
                more = f", and {len(run.problems) - 1:,} more problems" if len(run.problems) > 1 else ""
                found.append(f"Part of a run of {side} could not be read: {run.problems[0]}{more}.")
            if run.status != "finished":
                found.append(f"A run of {side} did not finish (status: {run.status}): what it recorded is compared.")
    return found


def _provenance(runs: tuple[Run, ...]) -> dict[str, Any]:
    """Configuration and circumstances of each run, by name."""
    every = [{"config": _sorted(run.config), **_sorted(run.provenance), "status": run.status} for run in runs]
    return every[0] if len(every) == 1 else {f"run {number}": facts for number, facts in enumerate(every)}


def _sorted(facts: Any) -> dict[str, Any]:
    return {name: facts[name] for name in sorted(facts)}
