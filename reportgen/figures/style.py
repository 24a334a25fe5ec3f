"""How charts look: sizes, colours and the matplotlib settings, all within a context.

    @styled
    def chart(...) -> Figure:
        figure = new_figure(720, 300)
        axes = figure.add_axes(...)

One unit is one CSS pixel on the page: a figure 720 wide is drawn at 72 dpi as 10 inches, its text at
12 px, and a paper sets it at 7 inches with text of 8.4 pt. A figure 360 wide is one column.

On the page a chart is inline SVG that takes the page's colours. Where a chart draws one of the colours
below as it stands, the SVG has a class instead; the style sheets in `templates/css` define these:

    class            colour of                                    light     dark (for instance)
    ink-fill/-stroke       text, data                             #1c1e21   #e6e8ea
    muted-fill/-stroke     axes, secondary text                   #5f6670   #9aa3ad
    line-fill/-stroke      hairlines, grid, empty cells           #d9dce0   #343b44
    ground-fill/-stroke    the page itself: halos, gaps           #ffffff   #111418
    accent-fill/-stroke    the one accent                         #2b6cb0   #7db3ea
    c0-fill/-stroke .. c9  classes, petroff10                     palettes.CLASS_COLORS

    :root { --ink: #1c1e21; --muted: #5f6670; --line: #d9dce0; --ground: #ffffff; --accent: #2b6cb0;
            --c0: #3f90da; --c1: #ffa90e; --c2: #bd1f01; --c3: #94a4a2; --c4: #832db6;
            --c5: #a96b59; --c6: #e76300; --c7: #b9ac70; --c8: #717581; --c9: #92dadd }
    .ink-fill { fill: var(--ink) }    .ink-stroke { stroke: var(--ink) }      and so on for each name
    svg.chart { max-width: 100%; height: auto; overflow: visible }
    svg.chart text { font-variant-numeric: tabular-nums }

On a dark ground c2 and c4 are #c12216 and #7e3dcf: far enough from the ground (3:1), and from the other classes.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from reportgen.figures.fonts import BASE_FONT
from reportgen.figures.palettes import CLASS_COLORS

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

INK = "#1c1e21"
MUTED = "#5f6670"
LINE = "#d9dce0"
GROUND = "#ffffff"
ACCENT = "#2b6cb0"

# Colour in the figure -> name of the class on the page.
THEME = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    GROUND: "ground",
    ACCENT: "accent",
    **{color: f"c{index}" for index, color in enumerate(CLASS_COLORS)},
}

SIZE = 12.0
SMALL = 11.0
WIDTH = 720

# Group ids that mark artists for the SVG: text with a halo of the ground, paths that are sets of dots,
# rectangles with hard edges.
HALO = "halo"
DOTS = "dots"
CRISP = "crisp"

RC: dict[str, Any] = {
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": MUTED,
    "axes.labelpad": 6.0,
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.titlesize": SIZE,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "font.family": [BASE_FONT],
    "font.size": SIZE,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "path.simplify": False,
    "pdf.fonttype": 42,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "reportgen",
    "svg.image_inline": True,
    "text.color": INK,
    # Class and layer names may hold a dollar sign; nothing here is set as mathematics.
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": MUTED,
    "xtick.labelsize": SMALL,
    "xtick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.color": MUTED,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
}

P = ParamSpec("P")
R = TypeVar("R")


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """The function run with matplotlib's defaults and the settings above; the user's come back after it."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(RC)
            return function(*args, **kwargs)

    return inside


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of that many CSS pixels, unknown to pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72)


def place(figure: "Figure", left: float, top: float, width: float, height: float, **options: Any) -> "Axes":
    """Axes at that place, in CSS pixels from the figure's upper left corner."""
    whole_width, whole_height = figure.get_size_inches() * 72
    box = (
        left / whole_width,
        1 - (top + height) / whole_height,
        width / whole_width,
        height / whole_height,
    )
    return figure.add_axes(box, **options)


def canvas(figure: "Figure") -> "Axes":
    """Axes without any axis over the whole figure, in CSS pixels from its upper left corner."""
    width, height = figure.get_size_inches() * 72
    axes = place(figure, 0, 0, width, height)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return axes


def name_ticks(axis: "Axis", at: "np.ndarray", names: Sequence[str]) -> None:
    """Ticks with names. `set_xticks` would hide the names in a function, where `fonts` can't mend them."""
    from matplotlib.ticker import FixedFormatter, FixedLocator

    axis.set_major_locator(FixedLocator(at.tolist()))
    axis.set_major_formatter(FixedFormatter(names))


def haloed(axes: "Axes", x: float, y: float, text: str, **options: Any) -> "Text":
    """Text with a rim in the ground's colour, readable over points and lines."""
    return axes.text(x, y, text, gid=HALO, **options)


def text_width(text: str, size: float = SIZE) -> float:
    """Width of the text in CSS pixels, estimated on the safe side: wide scripts take a full square."""
    return sum(size * (1.0 if ord(character) > 0x2E7F else 0.62) for character in text)
