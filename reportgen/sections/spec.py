"""A section as the page's order lists it: what builds it, what it needs, what it can leave out."""

from dataclasses import dataclass
from typing import Protocol

from reportgen.core.report import Section
from reportgen.sections.context import PageContext
from reportgen.sections.options import Need


class SectionBuilder(Protocol):
    """Builds a section from what the context holds; None leaves the section out."""

    __module__: str

    def __call__(self, context: PageContext, /) -> Section | None: ...


@dataclass(frozen=True)
class SectionSpec:
    """One section of a page.

    `needs` are what the run must offer for it; `shrinks` names the limits (`sections.limits`) that make it smaller;
    `late` has it built after the others, since it waits for the embedding.
    """

    build: SectionBuilder
    needs: frozenset[Need] = frozenset()
    shrinks: tuple[str, ...] = ()
    late: bool = False
