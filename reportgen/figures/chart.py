"""A chart as a figure of the report: for the page as SVG, for a paper when it asks.

figure = chart("curves", curves(...), alt="Loss falls from 2.3 to 0.1", caption="...")
"""

from functools import partial

from reportgen.core.report import Aspect, Figure
from reportgen.figures.export import export
from reportgen.figures.scene import Scene
from reportgen.figures.svg import drawing


def chart(
    name: str, scene: Scene, *, alt: str, caption: str, wide: bool = False, of: tuple[Aspect, str] | None = None
) -> Figure:
    """The scene under that name; `alt` states the finding, `caption` tells how to read it."""
    return Figure(name, drawing(scene), alt, caption, export=partial(export, scene), wide=wide, of=of)
