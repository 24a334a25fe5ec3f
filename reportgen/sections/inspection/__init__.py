"""The sections of an inspection, in reading order; each is one view of what the layers answered.

from reportgen.sections.inspection import INSPECTION_SECTIONS, View, normalization
view = View(found, normalization("images", None))
sections = [section for build in INSPECTION_SECTIONS if (section := build(view)) is not None]
"""

from collections.abc import Callable

from reportgen.core.report import Section
from reportgen.sections.inspection import changes, chosen, excite, filters, maps, network, pictures, strongest
from reportgen.sections.inspection.head import headline, key_figures
from reportgen.sections.inspection.scale import Normalize, normalization
from reportgen.sections.inspection.view import View

INSPECTION_SECTIONS: tuple[Callable[[View], Section | None], ...] = (
    pictures.build,
    changes.build,
    chosen.build,
    strongest.build,
    maps.build,
    excite.build,
    filters.build,
    network.build,
)

__all__ = ["INSPECTION_SECTIONS", "Normalize", "View", "headline", "key_figures", "normalization"]
