"""The sections of a report, in reading order; each is one analysis, drawn and explained.

    from reportgen.sections import SECTIONS, Context, Options
    sections = [section for build in SECTIONS if (section := build(context)) is not None]

A new section is a file with `build(context) -> Section | None`, and one line in SECTIONS; outside the package, an
entry point in the group `reportgen.sections`.
"""

from collections.abc import Callable

from reportgen.core.report import Section
from reportgen.sections import (
    activity,
    curves,
    embedding,
    explorer,
    health,
    maps,
    mistakes,
    overview,
    parameters,
    samples,
)
from reportgen.sections.context import Context, Options
from reportgen.sections.installed import installed
from reportgen.sections.limits import LADDER, Limits, left_out

SECTIONS: tuple[Callable[[Context], Section | None], ...] = (
    embedding.build,
    curves.build,
    embedding.build_overlay,
    mistakes.build,
    parameters.build,
    explorer.build,
    parameters.build_scatter,
    activity.build,
    maps.build,
    health.build,
    overview.build,
    samples.build,
)

# Those that the ladder of limits makes smaller, and the limits that they heed.
LIMITED: dict[Callable[[Context], Section | None], tuple[str, ...]] = {
    parameters.build: ("channels", "levels"),
    explorer.build: ("packed",),
    activity.build: ("channels",),
    maps.build: ("images", "channels", "levels"),
}

# Those that wait for the embedding: drawn last, so that it is computed beside the others.
EMBEDDED: tuple[Callable[[Context], Section | None], ...] = (embedding.build, embedding.build_overlay)

__all__ = ["EMBEDDED", "LADDER", "LIMITED", "SECTIONS", "Context", "Limits", "Options", "installed", "left_out"]
