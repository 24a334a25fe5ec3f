"""Drawings: validation, alternative text, and SVG files of their own.

    check(svg, "figure 'curves'")                  # the ids in it, or an error that names the problem
    labelled(svg, "Loss falls from 2.3 to 0.1")    # the same, with its alternative text
    standalone(drawing)                            # the bytes of an SVG file with its colours inside

A drawing is embedded in the page as it is, so that its text is text and its colours follow the page's. That
is safe only for drawing elements: no script, no external link, no style attribute (the page's
Content-Security-Policy drops those, which leaves the chart black).
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from reportgen.core.report import Drawing
from reportgen.errors import ReportgenError
from reportgen.page.loader import asset, clean

_SVG = "{http://www.w3.org/2000/svg}"
_XML = "{http://www.w3.org/XML/"
_STRUCTURE = ("svg", "g", "a", "defs", "symbol", "use", "title", "desc", "clipPath", "mask", "pattern", "marker")
_SHAPES = ("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "image")
_ELEMENTS = frozenset((*_STRUCTURE, *_SHAPES, "linearGradient", "radialGradient", "stop"))
BROAD, BROAD_PANEL = 560, 460  # CSS px
_WIDTH = re.compile(r'viewBox="0 0 ([\d.]+)')
_FONTS = "system-ui,sans-serif"
_DATA = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]*")


def check(svg: str, owner: str) -> list[str]:
    """The ids used inside the drawing, in order.

    Raises ReportgenError naming `owner` when the text is not well-formed XML with an <svg viewBox> at
    its root, or holds anything but drawing elements: scripts, handlers, style attributes, links.
    """

    def refuse(what: str) -> ReportgenError:
        return ReportgenError(
            f"the drawing of {owner} {what}; a drawing is one <svg viewBox=...> of plain shapes and text", code="P101"
        )

    if "<!" in svg or "<?" in svg:
        raise refuse("has a prolog, comment or declaration")
    try:
        root = ET.fromstring(svg)
    except ET.ParseError as error:
        raise refuse(f"is not well-formed XML ({error})") from error
    if root.tag.removeprefix(_SVG) != "svg" or "viewBox" not in root.attrib:
        raise refuse("does not begin with <svg viewBox=...>")
    ids = []
    for element in root.iter():
        tag = element.tag.removeprefix(_SVG)
        if tag not in _ELEMENTS:
            raise refuse(f"has an element <{tag}>")
        for key, value in element.attrib.items():
            name = key.rpartition("}")[2].lower()
            if name == "style" or name.startswith("on"):
                raise refuse(f"has a {name} attribute on <{tag}>")
            if name == "href":
                inside = bool(_DATA.fullmatch(value)) if tag == "image" else value.startswith("#")
            else:
                inside = "url(" not in value.lower().replace("url(#", "")
            if not inside:
                raise refuse(f"points outside itself with {name}={value[:60]!r}")
            if name == "id":
                ids.append(value)
    return ids


def labelled(svg: str, alt: str, targets: Mapping[str, str]) -> str:
    """The drawing with `alt` as its accessible name, replacing any other; a picture, or a group where links are in it.

    `targets` has the id for what a link names; a link that it does not have becomes plain shapes.
    """
    root = _plain(svg)
    for name in [name for name in root.attrib if name.startswith("aria-")]:
        del root.attrib[name]
    links = [element for element in root.iter("a") if _lead(element, targets)]
    root.attrib |= {"role": "group" if links else "img", "aria-label": clean(alt)}
    return ET.tostring(root, encoding="unicode")


def _lead(link: ET.Element, targets: Mapping[str, str]) -> bool:
    """Whether the link leads somewhere; it is set to where, or made a group of shapes."""
    target = targets.get(link.attrib.pop("href", "")[1:])
    if target is None:
        link.tag = "g"
    else:
        link.set("href", f"#{target}")
    return target is not None


def is_broad(drawing: Drawing) -> bool:
    """Whether it, or a panel of it, scrolls where the page is narrow, rather than shrink until nobody can read it."""
    widths = [float(width) for cell in drawing.cells for width in _WIDTH.findall(cell)[:1]]
    return max(widths) > BROAD_PANEL if widths else drawing.width > BROAD


def panel(svg: str) -> str:
    """A panel of a drawing, which has no name of its own: that of the whole stands around it."""
    root = _plain(svg)
    root.attrib.pop("role", None)
    root.attrib["aria-hidden"] = "true"
    return ET.tostring(root, encoding="unicode")


def _plain(svg: str) -> ET.Element:
    """The drawing without namespace prefixes, which nothing declares within a page."""
    root = ET.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        for name in [name for name in element.attrib if name.startswith("{") and not name.startswith(_XML)]:
            element.set(name.rpartition("}")[2], element.attrib.pop(name))
    root.attrib = {"xmlns": _SVG[1:-1], **root.attrib}
    return root


def _rules() -> str:
    """The chart rules with the light theme's colours substituted: not every SVG viewer knows CSS variables."""
    text = re.sub(r"/\*.*?\*/", "", asset("css/colors.css") + asset("css/charts.css"), flags=re.DOTALL)
    light = dict(re.findall(r"(--[\w-]+):\s*light-dark\(\s*(#\w+)\s*,", text))
    rules = "".join(re.findall(r"(?m)^\s*\.[\w-]+[^{}@]*\{[^{}]*\}", text))
    return re.sub(r"var\((--[\w-]+)\)", lambda match: light[match[1]], rules)


def standalone(drawing: Drawing) -> bytes:
    """The drawing as an SVG file in the light theme's colours, on white."""
    root = _plain(drawing.svg)
    for link in list(root.iter("a")):
        _lead(link, {})
    root.attrib = {"width": f"{drawing.width:g}", "height": f"{drawing.height:g}", **root.attrib}
    style = ET.Element("style")
    style.text = f"text{{font-family:{_FONTS}}}{_rules()}"
    # 100 % refers to the viewBox, which for charts starts at 0 0.
    ground = ET.Element("rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    root[:0] = [style, ground]
    return ET.tostring(root, encoding="unicode").encode() + b"\n"
