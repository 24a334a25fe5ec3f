"""From a context to the whole document: every section that the run allows, in order, within a size.

document, drawn = assemble(context, (*PAGES["training"], *installed()), title=None)
smaller = fitted(document, context, drawn, 10_000_000, size_of)      # what fits into so many bytes
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from reportgen.core.progress import Bar
from reportgen.core.report import Document, Section
from reportgen.errors import DamagedError, ReportgenError
from reportgen.sections.context import PageContext
from reportgen.sections.limits import LADDER, left_out
from reportgen.sections.spec import SectionSpec
from reportgen.sections.summary import headline, key_figures, origin, page_title, subject, warnings
from reportgen.sections.words import NBSP, megabytes

Drawn = dict[SectionSpec, Section | None]


def assemble(
    context: PageContext, specs: Sequence[SectionSpec], title: str | None, bar: Bar | None = None
) -> tuple[Document, Drawn]:
    """The document with nothing left out, and its sections by their specs."""
    drawn: Drawn = {}
    failed: list[str] = []
    with context.embedding_begun():
        for spec in sorted(specs, key=lambda spec: spec.late):
            drawn[spec] = section = _section(spec, context, failed)
            if bar is not None:
                bar.advance()
                if section is not None:
                    bar.part(f"{len(drawn)}/{len(specs)} {section.title}")
    drawn = {spec: drawn[spec] for spec in specs}  # in reading order
    run = context.run
    document = Document(
        title=title or page_title(context),
        headline=headline(context),
        key_figures=key_figures(context),
        sections=_present(drawn),
        provenance=_in_order({"config": dict(run.config)} | dict(run.provenance) | {"status": run.status}),
        warnings=(*warnings(context), *failed),
        origin=origin(context),
        subject=subject(context),
    )
    return document, drawn


def fitted(
    document: Document, context: PageContext, drawn: Drawn, max_size: int, size_of: Callable[[Document], int]
) -> Document:
    """The document itself where `size_of` it is at most `max_size` bytes, else as the first rung that fits has it."""
    whole = size = size_of(document)
    for before, limits in pairwise(LADDER):
        if size <= max_size:
            break
        context = context.limited(limits)
        for spec in drawn:
            if any(getattr(limits, name) != getattr(before, name) for name in spec.shrinks):
                drawn[spec] = _section(spec, context, [])
        said = "; ".join(left_out(limits, len(context.names), _widest(context), context.crowd is not None))
        note = (
            f"To stay below {megabytes(max_size)}, this page leaves out: {said}. "
            f"All of it: --max-size {megabytes(whole * 1.05).replace(NBSP, '')}."
        )
        document = replace(document, sections=_present(drawn), omitted=note if said else "", numbers=limits.numbers)
        size = size_of(document)
    if size > max_size:
        rest = f" It still has {megabytes(size)}: nothing more can be left out."
        document = replace(document, omitted=document.omitted + rest)
    return document


def _in_order(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts by their names, so that a run has them alike in memory and on disk; what was asked for comes first."""
    names = sorted(facts, key=lambda name: (name != "config", name))
    return {name: _in_order(facts[name]) if isinstance(facts[name], Mapping) else facts[name] for name in names}


def _present(drawn: Drawn) -> tuple[Section, ...]:
    return tuple(section for section in drawn.values() if section is not None)


def _widest(context: PageContext) -> int:
    return max((layer.channels for layer in context.map_layers), default=0)


def _section(spec: SectionSpec, context: PageContext, failed: list[str]) -> Section | None:
    """The section; None, with a sentence in `failed`, where what the run holds does not allow it."""
    if not spec.needs <= context.offers:
        return None
    try:
        return spec.build(context)
    except DamagedError:
        raise  # everything is made anew, without the damaged file
    except ReportgenError as error:
        name = spec.build.__module__.rpartition(".")[2]
        failed.append(f"A section ({name}) is left out: {str(error).rstrip('.')}.")
        return None
