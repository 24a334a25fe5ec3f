"""A scene as SVG: an element of the page in its classes, or a file for a paper in plain colours.

    svg(Scene(...), themed=True)                   # '<svg xmlns=... viewBox="0 0 720 264" class="chart" ...>'
    drawing(Scene(...))                            # core.report.Drawing

A hash-based Content-Security-Policy blocks `style` attributes and `<style>` elements, so colours are classes and
everything else is a presentation attribute. Nothing has an id.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from reportgen.core.report import Drawing
from reportgen.figures.fonts import BASE_FONT, clean
from reportgen.figures.mosaic import small_png
from reportgen.figures.scene import (
    COLORS,
    Area,
    Arrows,
    Boxes,
    Dots,
    Hook,
    Lines,
    Link,
    Part,
    Picture,
    Scene,
    Words,
    plain,
)

HALO = 3.0
"""Width of the stroke behind a text with a halo, half of which is visible."""
MANY = 50
"""Boxes of one height from which on they are drawn as strokes, which take half the text."""
PRINTED = 7 / 720
"""Printed inches per CSS pixel."""

Attributes = Mapping[str, str]
Paint = Callable[..., Attributes]


@dataclass(frozen=True)
class _Style:
    """How colours are written, whether for the page, and the size of text that the whole drawing has."""

    paint: Paint
    themed: bool
    size: float | None


def drawing(scene: Scene) -> Drawing:
    """The scene as a drawing for the page."""
    cells = tuple(svg(cell, themed=True) for cell in scene.cells)
    return Drawing(svg(scene, themed=True), scene.width, scene.height, cells)


def svg(scene: Scene, *, themed: bool) -> str:
    """The scene as an `<svg>` element, with the page's classes or, for a paper, plain colours and fonts."""
    width, height = number(scene.width), number(scene.height)
    root = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "role": "img"}
    if themed:
        root |= {"width": width, "height": height, "class": "chart"}
    else:
        root |= {name: f"{size * PRINTED:.4f}in" for name, size in (("width", scene.width), ("height", scene.height))}
        root |= {"xmlns:xlink": "http://www.w3.org/1999/xlink", "font-family": f"{BASE_FONT}, sans-serif"}
    root |= {"stroke-linejoin": "round"}
    sizes = {part.size for part in plain(scene.parts) if isinstance(part, Words)}
    size = sizes.pop() if len(sizes) == 1 else None
    root |= {} if size is None else {"font-size": number(size)}
    style = _Style(_classes if themed else _colors, themed, size)
    body = "".join(_part(part, style) for part in scene.parts)
    return _element("svg", root, body)


def number(value: float) -> str:
    """The number with two decimals at most.

    >>> number(12.34), number(0.004), number(-0.5), number(720.0)
    ('12.34', '0', '-0.5', '720')
    """
    return f"{round(float(value), 2) + 0.0:g}"


def _classes(**colors: str) -> Attributes:
    return {"class": " ".join(f"{color}-{kind}" for kind, color in colors.items())}


def _colors(**colors: str) -> Attributes:
    return {kind: COLORS[color] for kind, color in colors.items()}


def _element(tag: str, attributes: Attributes, body: str | None = None) -> str:
    opening = f"<{tag}" + "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"{opening}/>" if body is None else f"{opening}>{body}</{tag}>"


def _part(part: Part, style: _Style) -> str:
    paint, themed = style.paint, style.themed
    match part:
        case Boxes(boxes, color, alpha):
            if not len(boxes):
                return ""
            # Of boxes that are there to be pointed at, nobody sees the edges.
            edges = {"shape-rendering": "crispEdges"} if alpha else {}
            look = {**paint(fill=color), **edges, **_opacity("fill-opacity", alpha)}
            if len(boxes) >= MANY and np.ptp(tall := boxes[:, 3] - boxes[:, 1]) < 0.005:
                look = {"fill": "none", **paint(stroke=color), "stroke-width": number(tall[0])}
                look |= {**edges, **_opacity("stroke-opacity", alpha)}
                return _element("path", {"d": _row_path(boxes), **look})
            return _element("path", {"d": _box_path(boxes), **look})
        case Lines(lines, color, width, alpha, dashes):
            look = {"fill": "none", **paint(stroke=color), "stroke-width": number(width)}
            look |= _opacity("stroke-opacity", alpha)
            look |= {"stroke-dasharray": f"{dashes[0]:g} {dashes[1]:g}"} if dashes else {}
            path = "".join(_line_path(line) for line in lines if len(line))
            return _element("path", {"d": path, **look}) if path else ""
        case Area(points, color, alpha):
            look = {**paint(fill=color), **_opacity("fill-opacity", alpha)}
            return _element("path", {"d": _line_path(points) + "z", **look}) if len(points) else ""
        case Dots():
            return _dots(part, paint)
        case Words():
            return _words(part, style)
        case Arrows():
            return _arrows(part, paint)
        case Link(target, parts, title):
            body = "".join(_part(each, style) for each in parts)
            said = _element("title", {}, escape(clean(title))) if title else ""
            return _element("a", {"href": link(target)}, said + body) if themed else body
        case Hook(name, numbers):
            stated = {"class": "hook", f"data-{name}": " ".join(map(number, numbers))}
            return _element("path", stated) if themed else ""
        case Picture(left, top, width, height, pixels):
            place = {"x": left, "y": top, "width": width, "height": height}
            look = {name: number(value) for name, value in place.items()}
            if width * len(pixels) != height * pixels.shape[1]:
                look["preserveAspectRatio"] = "none"
            look["image-rendering"] = "pixelated"
            data = base64.b64encode(small_png(pixels)).decode("ascii")
            return _element("image", {**look, "href" if themed else "xlink:href": f"data:image/png;base64,{data}"})


def _opacity(name: str, alpha: float) -> dict[str, str]:
    return {} if alpha == 1 else {name: f"{alpha:.3g}"}


def _steps(points: np.ndarray) -> np.ndarray:
    """The points [n, 2] as steps from one to the next, the first from the origin; exact to two decimals."""
    steps: np.ndarray = np.diff(np.rint(points * 100), axis=0, prepend=0) / 100
    return steps


def _box_path(boxes: np.ndarray) -> str:
    """Outlines, each placed relative to the corner of the last."""
    boxes = np.asarray(boxes, float)
    (steps, sizes) = _steps(boxes[:, :2]).tolist(), (np.round(boxes[:, 2:], 2) - np.round(boxes[:, :2], 2)).tolist()
    parts = (f"m{x:g} {y:g}h{w:g}v{h:g}h{-w:g}z" for (x, y), (w, h) in zip(steps, sizes, strict=True))
    return "".join(parts).replace(" -", "-")


def _row_path(boxes: np.ndarray) -> str:
    """Strokes along the middles of boxes of one height, each placed relative to the end of the last."""
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    ends = np.stack([boxes[:, [0, 2]], np.stack([middles] * 2, axis=1)], axis=-1).reshape(-1, 2)
    steps = _steps(ends).reshape(-1, 4).tolist()
    return "".join(f"m{x:g} {y:g}h{across:g}" for x, y, across, _ in steps).replace(" -", "-")


def _line_path(points: np.ndarray) -> str:
    """The line as path data; horizontal and vertical segments use H and V, which are shorter."""
    rounded: Iterable[list[float]] = (np.round(np.asarray(points, float), 2) + 0.0).tolist()
    parts: list[str] = []
    x = y = None
    for across, down in rounded:
        if x is None:
            parts.append(f"M{across:g} {down:g}")
        elif down == y:
            parts.append(f"H{across:g}")
        elif across == x:
            parts.append(f"V{down:g}")
        else:
            parts.append(f"L{across:g} {down:g}")
        x, y = across, down
    return "".join(parts)


def _dots(part: Dots, paint: Paint) -> str:
    """Lines of no length with caps, each placed relative to the last; closed ones Chromium does not draw on paper.

    Positions are multiples of 1 / `per_pixel` pixels; coinciding dots are merged; row order keeps the steps, and so
    the path, short.
    """
    if not len(part.points):
        return ""
    places = np.unique(np.rint(part.points[:, ::-1] * part.per_pixel).astype(int), axis=0)
    steps = np.diff(places, axis=0, prepend=0).tolist()
    path = "".join(f"m{across} {down}h0" for down, across in steps).replace(" -", "-")
    look = {"fill": "none", **paint(stroke=part.color), "stroke-width": number(part.size * part.per_pixel)}
    look |= {"stroke-linecap": "square" if part.square else "round", **_opacity("stroke-opacity", part.alpha)}
    return _element("path", {"d": path, "transform": f"scale({1 / part.per_pixel:g})", **look})


def _arrows(part: Arrows, paint: Paint) -> str:
    curves, heads = [], []
    for path, head in zip(part.paths, part.heads(), strict=True):
        (x, y), *corners = (np.round(np.asarray(path, float), 1) + 0.0).tolist()
        steps = [f"M{x:g} {y:g}"]
        for across, down in corners:
            middle = (y + down) / 2
            steps.append(
                f"V{down:g}" if across == x else f"C{x:g} {middle:g} {across:g} {middle:g} {across:g} {down:g}"
            )
            x, y = across, down
        curves.append("".join(steps))
        heads.append(_line_path(head) + "z" if part.head else "")
    look = {"fill": "none", **paint(stroke=part.color), "stroke-width": number(part.width)}
    drawn = _element("path", {"d": "".join(curves), **look})
    return drawn + (_element("path", {"d": "".join(heads), **paint(fill=part.color)}) if part.head else "")


def link(target: tuple[str, str]) -> str:
    """The target as the `href` of a drawing, which the page replaces by what it has.

    >>> link(("maps", "conv1")), link(("", "graph-2"))
    ('#maps:conv1', '#graph-2')
    """
    kind, name = target
    return clean(f"#{kind}:{name}" if kind else f"#{name}")


def _words(part: Words, style: _Style) -> str:
    x, y = number(part.x), number(part.y)
    look = {"x": x, "y": y} | ({} if part.size == style.size else {"font-size": number(part.size)})
    look |= style.paint(fill=part.color, **({"stroke": "ground"} if part.halo else {}))
    if part.halo:
        look |= {"paint-order": "stroke", "stroke-width": number(HALO)}
    if part.bold:
        look |= {"font-weight": "bold"}
    if part.anchor != "start":
        look |= {"text-anchor": part.anchor}
    if part.turned:
        look |= {"transform": f"rotate(-90 {x} {y})"}
    return _element("text", look, escape(clean(part.text)))
