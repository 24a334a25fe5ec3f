"""From a matplotlib figure to an SVG element that can stand inside a page.

    picture = drawing(curves(...), "curves", alt="Loss falls from 2.3 to 0.1")

A page with a hash-based Content-Security-Policy drops every `style` attribute and `<style>` element, and
an inlined matplotlib SVG turns black. Here styles become presentation attributes, the colours of
`style.THEME` classes (so that the chart follows the page's light and dark theme), ids get the figure's
name in front, and what a reader does not need (metadata, groups, decimals) is left out.
"""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from reportgen.core.report import Drawing
from reportgen.figures.fonts import clean, set_texts
from reportgen.figures.style import CRISP, DOTS, HALO, THEME, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_XLINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+e-?\d+")
_TOKEN = re.compile(r"[MLHVCQZz]|-?[\d.]+(?:e-?\d+)?")
_FONT = re.compile(r"(?:(italic|oblique) )?(?:(bold|\d{3}) )?([\d.]+)px (.+)")
_DROPPED = {"metadata", "style", "title"}


def drawing(figure: "Figure", name: str, alt: str = "") -> Drawing:
    """The figure as inline SVG; `name` is put before every id, `alt` is its accessible name."""
    width, height = figure.get_size_inches() * 72
    svg = svg_element(figure, name, themed=True, label=alt)
    return Drawing(svg, float(width), float(height))


@styled
def svg_element(figure: "Figure", name: str, *, themed: bool, label: str = "") -> str:
    """The figure as an `<svg>` element: with the page's classes, or (for a paper) with plain colours."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    set_texts(figure, replace=False)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Only widths are measured here; the reader's machine chooses the font and has the glyph or not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue().decode())
    ids = _ids(root, name)
    _lower(root, ids, themed)
    width, height = map(float, root.get("viewBox", "").split()[2:])
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        **({} if themed else {"xmlns:xlink": "http://www.w3.org/1999/xlink"}),
        "viewBox": root.get("viewBox", ""),
        "width": _short(root.get("viewBox", "").split()[2]),
        "class": "chart",
        "role": "img",
        **({"aria-label": clean(label)} if label else {}),
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    if not themed:
        # Of 720 px a paper makes 7 inches.
        attributes.update(width=f"{_short(str(width * 7 / 720), 4)}in", height=f"{_short(str(height * 7 / 720), 4)}in")
        del attributes["class"]
    root.attrib.clear()
    root.attrib.update(attributes)
    return ET.tostring(root, encoding="unicode")


def _ids(root: ET.Element, name: str) -> dict[str, str]:
    """The ids that something refers to -> their new names, numbered in reading order.

    A figure's name has no colon, so they never meet another figure's anchor.
    """
    wanted: dict[str, str] = {}
    for element in root.iter():
        for value in element.attrib.values():
            for reference in re.findall(r"^#(.+)$|url\(#([^)]+)\)", value):
                wanted.setdefault(reference[0] or reference[1], f"{name}:{len(wanted)}")
    return wanted


def _lower(element: ET.Element, ids: dict[str, str], themed: bool) -> None:
    """Rewrite the element and everything in it."""
    element.tag = element.tag.rpartition("}")[2]
    mark = element.get("id", "") if element.tag == "g" else ""
    _lower_attributes(element, ids, themed)
    if element.tag != "text":
        element.text = None
    children: list[ET.Element] = []
    for child in list(element):
        if child.tag.rpartition("}")[2] in _DROPPED:
            continue
        child.tail = None
        if mark.startswith(DOTS) and child.get("d"):
            _set_dots(child, int(mark.partition(":")[2]))
        _lower(child, ids, themed)
        if mark == HALO and child.tag == "text":
            _add_halo(child, themed)
        if mark == CRISP:
            child.set("shape-rendering", "crispEdges")
        empty = child.tag in ("g", "defs") and len(child) == 0
        invisible = child.tag in ("path", "use") and child.get("fill") == "none" and not _stroke(child)
        if empty or (invisible and "id" not in child.attrib):
            continue
        # A group that says nothing is only bytes.
        children.extend(list(child) if child.tag == "g" and not child.attrib else [child])
    for child in list(element):
        element.remove(child)
    element.extend(children)


def _stroke(element: ET.Element) -> bool:
    return element.get("stroke", "none") != "none" or "-stroke" in element.get("class", "")


def _lower_attributes(element: ET.Element, ids: dict[str, str], themed: bool) -> None:
    attributes: dict[str, str] = {}
    classes: list[str] = []
    for key, value in element.attrib.items():
        if key == "id":
            if value in ids:
                attributes["id"] = ids[value]
        elif key == "style":
            for part in value.split(";"):
                name, _, setting = (text.strip() for text in part.partition(":"))
                _set_style(name, setting, attributes, classes, themed)
        elif key == _XLINK:
            link = "#" + ids[value[1:]] if value.startswith("#") else value.replace("\n", "")
            attributes["href" if themed else "xlink:href"] = link
        elif key == "clip-path":
            attributes[key] = f"url(#{ids[value[5:-1]]})"
        elif key == "transform":
            transform = re.sub(r"rotate\(-?0 [^)]*\)", "", value).strip()
            if transform:
                attributes[key] = _NUMBER.sub(lambda match: _short(match[0], 5), transform)
        elif key == "d":
            attributes[key] = value if value.startswith("m") else _compact(value)
        else:
            attributes[key] = _NUMBER.sub(lambda match: _short(match[0]), value)
    if classes:
        attributes["class"] = " ".join(classes)
    element.attrib.clear()
    element.attrib.update(attributes)


def _set_style(name: str, value: str, attributes: dict[str, str], classes: list[str], themed: bool) -> None:
    if name == "font":
        # matplotlib before 3.10 writes the shorthand, which has no presentation attribute.
        match = _FONT.fullmatch(value)
        if match is None:
            raise AssertionError(f"an SVG font that is not understood: {value!r}")
        if match[1]:
            attributes["font-style"] = match[1]
        if match[2] and match[2] != "400":
            attributes["font-weight"] = match[2]
        attributes["font-size"] = _short(match[3])
        name, value = "font-family", match[4]
    if name == "font-family":
        if not themed:
            attributes[name] = f"{value}, sans-serif"
    elif name == "font-size":
        attributes[name] = _short(value.removesuffix("px"))
    elif name in ("fill", "stroke"):
        if themed and value in THEME:
            classes.append(f"{THEME[value]}-{name}")
        else:
            attributes[name] = value
    elif name == "image-rendering":
        attributes[name] = "pixelated"
    elif name == "stroke-miterlimit":
        pass
    elif name:
        attributes[name] = _NUMBER.sub(lambda match: _short(match[0]), value)


def _add_halo(text: ET.Element, themed: bool) -> None:
    text.attrib.update({"paint-order": "stroke", "stroke-width": "3", "stroke-linejoin": "round"})
    if themed:
        text.set("class", (text.get("class", "") + " ground-stroke").strip())
    else:
        text.set("stroke", "#ffffff")


@lru_cache(maxsize=4096)
def _short(number: str, decimals: int = 2) -> str:
    """The number without needless digits.

    >>> _short("12.3400"), _short("0.004"), _short("-0.5")
    ('12.34', '0', '-0.5')
    """
    text = f"{float(number):.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _compact(path: str) -> str:
    """The path with two decimals, and lines along an axis as H and V."""
    parts: list[str] = []
    numbers: list[str] = []
    command, at = "", ("", "")
    for token in _TOKEN.findall(path):
        if token.isalpha():
            command = token
            if token in "Zz":
                parts.append("z")
            continue
        numbers.append(_short(token))
        if len(numbers) < {"M": 2, "L": 2, "Q": 4, "C": 6}[command]:
            continue
        end = (numbers[-2], numbers[-1])
        if command == "L" and end[1] == at[1]:
            parts.append(f"H{end[0]}")
        elif command == "L" and end[0] == at[0]:
            parts.append(f"V{end[1]}")
        else:
            parts.append(command + " ".join(numbers))
        numbers, at = [], end
    return "".join(parts)


def _set_dots(element: ET.Element, per_pixel: int) -> None:
    """Turn a path of short strokes into dots: lines of no length, each placed relative to the last.

    Positions are whole numbers of 1 / `per_pixel` of a pixel; dots at the same place are one; they go
    row by row, which keeps the steps, and so the path, short.
    """
    numbers = np.array(element.get("d", "").replace("M", " ").replace("L", " ").split(), float)
    starts = np.unique(np.rint(numbers.reshape(-1, 4)[:, 1::-1] * per_pixel).astype(int), axis=0)
    steps = np.diff(starts, axis=0, prepend=0)
    path = "".join(f"m{across} {down}h0" for down, across in steps.tolist())
    element.set("d", path.replace(" -", "-"))
    element.set("transform", f"scale({1 / per_pixel:g})")
    style = element.get("style", "")
    width = re.search(r"stroke-width: ([\d.]+)", style)
    wider = f"stroke-width: {float(width[1]) * per_pixel:g}" if width else f"stroke-width: {per_pixel}"
    element.set("style", style.replace(width[0], wider) if width else f"{style}; {wider}")
