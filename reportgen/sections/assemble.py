"""From a context to the whole document: every section that the run allows, in order, within a size.

document, drawn = assemble(context, (*PAGES["training"], *installed()), title=None)
smaller = fitted(document, context, drawn, 10_000_000, size_of)      # what fits into so many bytes
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reportgen.core.progress import Bar
from reportgen.core.report import Document, Mosaic, Raster, Section
from reportgen.errors import DamagedError, ReportgenError
from reportgen.page.outline import figures
from reportgen.sections.context import PageContext
from reportgen.sections.limits import LADDER, Limits, left_out
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
    """The document itself where `size_of` it is at most `max_size` bytes, else as the first rung that fits has it.

    Each rung is smaller than the one before, so that the first that fits is found by halving. A section is built once
    for the limits that it heeds.
    """
    whole = None if _in_pictures(document) > FAR * max_size else size_of(document)
    if whole is not None and whole <= max_size:
        return document
    all_of_it = "none" if whole is None else megabytes(whole * 1.05).replace(NBSP, "")
    built = {(spec, _heeded(spec, LADDER[0])): section for spec, section in drawn.items()}

    def at(limits: Limits) -> tuple[Document, int]:
        within = context.limited(limits)
        for spec in drawn:
            if (spec, _heeded(spec, limits)) not in built:
                built[spec, _heeded(spec, limits)] = _section(spec, within, [])
        sections = {spec: built[spec, _heeded(spec, limits)] for spec in drawn}
        of = len(context.names), _widest(context), context.crowd is not None, len(context.layers)
        said = "; ".join(left_out(limits, *of))
        note = f"To stay below {megabytes(max_size)}, this page leaves out: {said}. All of it: --max-size {all_of_it}."
        made = replace(document, sections=_present(sections), omitted=note if said else "", numbers=limits.numbers)
        far = _in_pictures(made)
        return made, far if far > FAR * max_size else size_of(made)

    best: Document | None = None
    low, high = 1, len(LADDER) - 1
    while low <= high:
        middle = (low + high) // 2
        made, size = at(LADDER[middle])
        if size <= max_size:
            best, high = made, middle - 1
        else:
            low = middle + 1
    if best is not None:
        return best
    rest = f" It still has {megabytes(size)}: nothing more can be left out."
    return replace(made, omitted=made.omitted + rest)


FAR = 3
"""Pictures of so many times the size that a page may have are not encoded for it to see that they are too large."""


def _in_pictures(document: Document) -> int:
    """Bytes of a page's pictures as they are before they are encoded for it, which makes none larger."""
    pictures = [each.raster if isinstance(each, Mosaic) else each for each in (f.picture for f in figures(document))]
    return sum(len(picture.data) * 4 // 3 for picture in pictures if isinstance(picture, Raster))


def _heeded(spec: SectionSpec, limits: Limits) -> tuple[Any, ...]:
    """What a section heeds of the limits."""
    return tuple(getattr(limits, name) for name in spec.shrinks)


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
