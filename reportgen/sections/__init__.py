"""The sections of a report, in reading order; each is one analysis, drawn and explained.

    from reportgen.sections import SECTIONS, Context, Options
    sections = [section for build in SECTIONS if (section := build(context)) is not None]

A new section is a file with `build(context) -> Section | None`, and one line in SECTIONS.
"""

from collections.abc import Callable

from reportgen.core.report import Section
from reportgen.sections import activity, curves, embedding, maps, mistakes, overview, parameters, samples
from reportgen.sections.context import Context, Options

SECTIONS: tuple[Callable[[Context], Section | None], ...] = (
    embedding.build,
    curves.build,
    embedding.build_overlay,
    mistakes.build,
    parameters.build,
    parameters.build_scatter,
    activity.build,
    maps.build,
    overview.build,
    samples.build,
)

__all__ = ["SECTIONS", "Context", "Options"]
