"""Sections that other packages bring, found by the entry-point group `reportgen.sections`.

    [project.entry-points."reportgen.sections"]    # in the other package's pyproject.toml
    rank = "my_package.rank:build"                 # build(context) -> Section | None

They come after the report's own sections, in the order of their names.
"""

from importlib.metadata import EntryPoint, entry_points

from reportgen.core.report import Section
from reportgen.errors import ReportgenError
from reportgen.sections.context import PageContext
from reportgen.sections.spec import SectionBuilder, SectionSpec

GROUP = "reportgen.sections"


def installed() -> tuple[SectionSpec, ...]:
    """A section per entry point; nothing is imported until it is called.

    A builder raises ReportgenError, naming the entry point, where it can't be imported or is no function, fails, or
    gives something else than a Section or None.
    """
    return tuple(SectionSpec(_builder(entry)) for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name))


def _builder(entry: EntryPoint) -> SectionBuilder:
    def build(context: PageContext, /) -> Section | None:
        owner = f"the section {entry.name!r} ({entry.value}), which an installed package brings,"
        try:
            section = entry.load()(context)
        except ReportgenError:
            raise
        except Exception as error:
            raise ReportgenError(
                f"{owner} failed with {type(error).__name__}: {error}; mend or uninstall that package", code="P104"
            ) from error
        if section is not None and not isinstance(section, Section):
            raise ReportgenError(
                f"{owner} gave a {type(section).__name__} instead of a reportgen Section or None", code="P104"
            )
        return section

    return build
