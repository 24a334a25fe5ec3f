"""A scene as a matplotlib figure, for output other than SVG: PDF or PNG for a paper, frames of an animation.

    with settings():
        figure = plot(Scene(...), inches_per_pixel=7 / 720)

Every part is one artist in axes that cover the figure, in the scene's pixels.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.figures.fonts import drawable, families_for
from reportgen.figures.scene import COLORS, Area, Arrows, Boxes, Dots, Hook, Lines, Part, Picture, Scene, Words, plain
from reportgen.figures.svg import HALO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ALONE = threading.RLock()
"""Held while matplotlib draws: its settings are the whole process's, and two threads would change each other's."""


@contextmanager
def settings() -> Iterator[None]:
    """matplotlib's defaults, except that text stays text and is not parsed as math; restores the user's settings."""
    import matplotlib

    with ALONE, matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Names of classes and layers may contain a dollar sign.
        matplotlib.rcParams.update({"path.simplify": False, "pdf.fonttype": 42, "text.parse_math": False})
        yield


def plot(scene: Scene, inches_per_pixel: float) -> "Figure":
    """The scene in the light theme's colours on white; drawn and saved within `settings`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(scene.width * inches_per_pixel, scene.height * inches_per_pixel), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.axis("off")
    for level, part in enumerate(plain(scene.parts)):
        _draw(axes, part, level, inches_per_pixel * 72)
    return figure


def _draw(axes: "Axes", part: Part, level: int, scale: float) -> None:
    """`scale` is the size of a pixel in points, matplotlib's unit of text and line widths."""
    from matplotlib.path import Path

    match part:
        case Boxes(boxes):
            corners = np.asarray(boxes, float)[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].reshape(-1, 2)
            codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(boxes)
            _add(axes, corners, codes, level, facecolor=COLORS[part.color], alpha=part.alpha, linewidth=0)
        case Lines(lines):
            drawn = [line for line in lines if len(line)]
            codes = [code for line in drawn for code in (Path.MOVETO, *[Path.LINETO] * (len(line) - 1))]
            dashes = (0, [length * scale for length in part.dashes]) if part.dashes else "solid"
            look = {"linewidth": part.width * scale, "linestyle": dashes, "joinstyle": "round", "capstyle": "butt"}
            points = np.concatenate(drawn) if drawn else np.zeros((0, 2))
            _add(axes, points, codes, level, fill=False, edgecolor=COLORS[part.color], alpha=part.alpha, **look)
        case Area(points):
            codes = [Path.MOVETO, *[Path.LINETO] * (len(points) - 1)]
            _add(axes, points, codes, level, facecolor=COLORS[part.color], alpha=part.alpha, linewidth=0)
        case Dots(points):
            # A stroke of almost no length with a cap: Agg draws nothing for a stroke of zero length, which snapping
            # would produce.
            strokes = np.stack([points, points + np.array([0.001, 0])], axis=1).reshape(-1, 2)
            cap = "projecting" if part.square else "round"
            look = {"linewidth": part.size * scale, "capstyle": cap, "snap": False}
            codes = [Path.MOVETO, Path.LINETO] * len(points)
            _add(axes, strokes, codes, level, fill=False, edgecolor=COLORS[part.color], alpha=part.alpha, **look)
        case Words():
            _write(axes, part, level, scale)
        case Arrows(paths):
            curve: list[tuple[float, float]] = []
            codes = []
            for path in paths:
                curve.append(tuple(path[0]))
                codes.append(Path.MOVETO)
                for (x, y), (across, down) in pairwise(np.asarray(path, float).tolist()):
                    curve += [(x, (y + down) / 2), (across, (y + down) / 2), (across, down)]
                    codes += [Path.CURVE4] * 3
            look = {"linewidth": part.width * scale, "fill": False, "edgecolor": COLORS[part.color]}
            _add(axes, np.array(curve), codes, level, **look)
            heads = part.heads()[:, [0, 1, 2, 2]].reshape(-1, 2)
            codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(paths)
            _add(axes, heads, codes, level, facecolor=COLORS[part.color], linewidth=0)
        case Picture(left, top, width, height, pixels):
            box = (left, left + width, top + height, top)
            axes.imshow(pixels, interpolation="none", extent=box, aspect="auto", zorder=level)
        case Hook():
            pass


def _add(axes: "Axes", points: np.ndarray, codes: Sequence[Any], level: int, **look: Any) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if len(points):
        axes.add_artist(PathPatch(Path(points, codes), zorder=level, clip_on=False, **look))


def _write(axes: "Axes", part: Words, level: int, scale: float) -> None:
    from matplotlib.patheffects import Stroke

    text = drawable(part.text)
    look: dict[str, Any] = {
        "color": COLORS[part.color],
        "fontfamily": families_for(text),
        "fontsize": part.size * scale,
        "fontweight": "bold" if part.bold else "normal",
        "ha": {"start": "left", "middle": "center", "end": "right"}[part.anchor],
        "va": "baseline",
        "rotation": 90 if part.turned else 0,
        "rotation_mode": "anchor",
        "zorder": level,
    }
    if part.halo:
        # A separate text: a text with a stroke effect becomes outlines in a PDF, no longer text.
        effects = [Stroke(linewidth=HALO * scale, foreground=COLORS["ground"])]
        axes.text(part.x, part.y, text, path_effects=effects, **look)
    axes.text(part.x, part.y, text, **look)
