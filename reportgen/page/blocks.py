"""Sections and blocks become markup: one small template each, under templates/blocks/.

    pen = Pen(environment(), embed, outline(report))
    section(pen, report.sections[0])               # Markup of <section>...</section>

Pictures are emitted through `pen.emit(name, data, mime)`, which returns the URL to put into the page:
a data: URI for the single file, a path for the folder.
"""

import base64
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from reportgen.core.numbers import short_number
from reportgen.core.report import (
    Animation,
    Aspect,
    Block,
    Cell,
    ColorBar,
    Drawing,
    Entry,
    Figure,
    FigureRow,
    Fold,
    Mosaic,
    Raster,
    Section,
    Table,
    Text,
)
from reportgen.core.scripted import Examples, Explorer
from reportgen.errors import ReportgenError
from reportgen.page.drawing import check, is_broad, labelled, panel
from reportgen.page.encoded import lossless
from reportgen.page.loader import clean
from reportgen.page.mosaic import form_and_words, layout, scale
from reportgen.page.outline import needs_script

Emit = Callable[[str, bytes, str], str]
Stops = tuple[tuple[str, str], ...]

SUFFIXES = {
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/jpeg": ".jpg",
    "image/svg+xml": ".svg",
}
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]{400,})")  # a smaller one has some fifty bytes to lose
_STOPS = 17  # enough that a diverging palette between stops is within two levels of itself


@dataclass(frozen=True)
class Pen:
    """What rendering needs: the templates, the sink for pictures, and the numbers of figures and tables."""

    env: Environment
    emit: Emit
    numbers: dict[str, str]
    targets: dict[str, str] = field(default_factory=dict)
    """What a link in a drawing can name -> the id of what the page has of it."""
    ramps: dict[Stops, str] = field(default_factory=dict)
    """Gradients of the colour bars drawn so far and their ids: the page holds each once."""

    def draw(self, template: str, **values: Any) -> Markup:
        return Markup(self.env.get_template(f"blocks/{template}.html.jinja").render(**values))


def suffix(mime: str, owner: str) -> str:
    """File suffix of a picture's type; ReportgenError for a type that a page can't show."""
    if mime not in SUFFIXES:
        raise ReportgenError(
            f"the picture of {owner!r} is {mime[:60]!r}; the page shows {', '.join(sorted(SUFFIXES))}", code="P101"
        )
    return SUFFIXES[mime]


def embed(name: str, data: bytes, mime: str) -> str:
    """Emits a picture into the page itself: its data: URI; a PNG with the same pixels as WebP where that is shorter."""
    suffix(mime, name)
    if mime == "image/png" and len(shorter := lossless(data)) < len(data):
        data, mime = shorter, "image/webp"
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def short_pictures(svg: str) -> str:
    """The drawing with the pictures in it in their shorter form."""
    return _PNG.sub(lambda found: embed("", base64.b64decode(found[1]), "image/png"), svg)


def number(value: float) -> str:
    """A float in a table: four significant digits, in the notation of the captions.

    >>> number(0.97314), number(-1234567.0), number(2.5e-07), number(float("nan"))
    ('0.9731', '−1.235×10⁶', '2.5×10⁻⁷', 'NaN')
    """
    return "NaN" if math.isnan(value) else short_number(value, 4)


def cell(value: Any) -> tuple[str, str | None]:
    """A table cell as its text, and the value to sort by where the text does not preserve it."""
    if value is None:
        return "no data", ""
    if isinstance(value, bool):
        return ("yes" if value else "no"), None
    if isinstance(value, int):
        text = f"{value:,}"
        return text, (str(value) if text != str(value) else None)
    if isinstance(value, float):
        return number(value), (repr(value) if math.isfinite(value) else None)
    if isinstance(value, Cell):
        return value.text, (None if value.value is None else repr(value.value))
    return str(value), None


def section(pen: Pen, part: Section) -> Markup:
    """One section of the report, its blocks in order."""
    return pen.draw("section", section=part, body=blocks(pen, part.blocks), scripted=needs_script(part))


def blocks(pen: Pen, parts: tuple[Block, ...], folded: bool = False) -> Markup:
    """The blocks in order. Outside a fold, consecutive method notes share one of their own."""
    drawn: list[Markup] = []
    notes: list[Markup] = []

    def put_notes() -> None:
        if notes:
            drawn.append(pen.draw("fold", summary="Method", body=Markup().join(notes)))
            notes.clear()

    for part in parts:
        if isinstance(part, Text) and part.role == "method" and not folded:
            notes.append(_text(pen, part))
            continue
        put_notes()
        drawn.append(_block(pen, part))
    put_notes()
    return Markup().join(drawn)


def _block(pen: Pen, part: Block) -> Markup:
    match part:
        case Text():
            return _text(pen, part)
        case Table():
            return table(pen, part)
        case Figure():
            return figure(pen, part)
        case FigureRow():
            body = Markup().join(figure(pen, each) for each in part.figures)
            return pen.draw("row", title=part.title, body=body)
        case Fold():
            return pen.draw("fold", summary=part.summary, body=blocks(pen, part.blocks, folded=True))
        case Explorer():
            return explorer(pen, part)
        case Examples():
            return examples(pen, part)
    known = "Text, Table, Figure, FigureRow, Fold, Explorer, Examples"
    raise ReportgenError(f"a section holds a {type(part).__name__}; blocks are {known}", code="P101")


def explorer(pen: Pen, part: Explorer) -> Markup:
    """The frame of a snapshot explorer with its script's data."""
    wrong = [color for color in (*part.colors, part.not_finite_color) if not _HEX.fullmatch(color)]
    if wrong or not part.colors:
        raise ReportgenError(f"the explorer {part.name!r} needs colours like #2b6cb0, not {wrong[:3]!r}", code="P101")
    if not part.kernels or not set(part.chosen) <= set(part.steps):
        raise ReportgenError(
            f"the explorer {part.name!r} needs kernels, and two of its steps to show first", code="P101"
        )
    data = {
        "steps": part.steps,
        "chosen": part.chosen,
        "kernels": [
            {"name": clean(k.name), "shape": k.shape, "scale": k.scale, "known": dict(k.known)} for k in part.kernels
        ],
        "colors": part.colors,
        "notFinite": part.not_finite_color,
    }
    packed = base64.b64encode(part.data).decode("ascii")
    return pen.draw("explorer", explorer=part, number=pen.numbers[part.name], data=data, packed=packed)


def examples(pen: Pen, part: Examples) -> Markup:
    """The place of a panel of examples with its script's data; pictures are those that the page has."""
    groups = []
    for index, group in enumerate(part.groups):
        numbers: Any = list(group.numbers)
        # Usually they are counted from 0, and then their number says it all.
        numbers = len(numbers) if numbers == list(range(len(numbers))) else numbers
        stated = {"name": clean(group.name), "anchor": group.anchor, "numbers": numbers}
        if group.pictures is not None:
            url = pen.emit(f"{part.name}-{index}", group.pictures.data, group.pictures.mime)
            stated |= {"url": url, "columns": group.columns, "cell": group.cell, "tile": group.tile}
        groups.append(stated | {"texts": [clean(text) for text in group.texts]})
    data = {
        "groups": groups,
        "classes": [clean(name) for name in part.classes],
        "frames": [clean(name) for name in part.frames],
        "epochs": part.epochs,
        "columns": part.columns,
        "values": part.values,
        "measure": part.measure,
        "layer": clean(part.layer),
        "maps": part.maps,
    }
    return pen.draw("examples", examples=part, data=data, packed=base64.b64encode(part.data).decode("ascii"))


def _text(pen: Pen, part: Text) -> Markup:
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", part.text) if paragraph.strip()]
    return pen.draw("text", role=part.role, paragraphs=paragraphs)


def alignment(part: Table) -> str:
    """ "l" or "r" per column, by default "r" for numbers."""
    numeric = [all(isinstance(row[i], int | float | None) for row in part.rows) for i in range(len(part.columns))]
    return part.align or "".join("r" if right else "l" for right in numeric)


def table(pen: Pen, part: Table) -> Markup:
    """A table with its caption and a header per column and row."""
    return pen.draw(
        "table",
        table=part,
        number=pen.numbers.get(part.name, "Table"),
        align=alignment(part),
        rows=[[(*cell(value), _shown_in(value, part.name)) for value in row] for row in part.rows],
    )


_BESIDE = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def _shown_in(value: Any, name: str) -> Markup | None:
    """What stands in a cell in its text's stead; None for the text."""
    if not isinstance(value, Cell):
        return None
    if value.drawing is not None:
        check(value.drawing.svg, f"a cell of the table {name!r}")
        return Markup(labelled(value.drawing.svg, value.text, {}))
    if not value.link:
        return None
    if not _BESIDE.fullmatch(value.link):
        raise ReportgenError(
            f"a cell of the table {name!r} leads to {value.link[:60]!r}, not to a file beside the page",
            code="P101",
        )
    return Markup('<a href="{}">{}</a>').format(value.link, clean(value.text))


def figure(pen: Pen, part: Figure) -> Markup:
    """A figure: its picture, colour bar, number and caption."""
    kind = type(part.picture).__name__.lower()
    bar = _colorbar(pen, part.name, part.colorbar) if part.colorbar else ""
    drawn = {"picture": _picture(pen, part), "colorbar": bar, "outline": _outline(pen, part), "shades": _shades(part)}
    return pen.draw("figure", figure=part, kind=kind, number=pen.numbers[part.name], **drawn)


def _shades(part: Figure) -> dict[str, Any] | None:
    """What the script needs to show them, with the packed numbers."""
    if (shades := part.shades) is None:
        return None
    groups = [(clean(title), [clean(name) for name in names], reads) for title, names, reads in shades.groups]
    stated = {name: getattr(shades, name) for name in ("count", "chosen", "strongest", "words")} | {"groups": groups}
    return {"stated": stated, "packed": base64.b64encode(shades.data).decode("ascii")}


def _picture(pen: Pen, part: Figure) -> Markup:
    match part.picture:
        case Raster() as raster:
            url = pen.emit(part.name, raster.data, raster.mime)
            return pen.draw("raster", figure=part, raster=raster, url=url, scale=scale(raster))
        case Drawing() as drawing:
            inner = short_pictures("".join(map(panel, drawing.cells)) or labelled(drawing.svg, part.alt, pen.targets))
            number = pen.numbers[part.name]
            look = {"drawing": drawing, "svg": Markup(inner), "alt": part.alt, "broad": is_broad(drawing)}
            return pen.draw("drawing", number=number, **look)
        case Mosaic() as mosaic:
            url = pen.emit(part.name, mosaic.raster.data, mosaic.raster.mime)
            # Labels usually count from 0, and then the script generates them.
            counted = all(label == str(i) for i, label in enumerate(mosaic.labels))
            return pen.draw(
                "mosaic",
                figure=part,
                number=pen.numbers[part.name],
                mosaic=mosaic,
                url=url,
                place=layout(mosaic, scale(mosaic)),
                scale=scale(mosaic),
                counted=counted,
                values=form_and_words(mosaic.values),
            )
        case Animation() as animation:
            gif = pen.emit(part.name, animation.gif, "image/gif")
            still = Markup(labelled(animation.still.svg, part.alt, pen.targets))
            return pen.draw("animation", figure=part, animation=animation, gif=gif, still=still)


def _outline(pen: Pen, part: Figure) -> list[tuple[Entry, list[tuple[str, str]]]]:
    """What a drawing shows as lines, each with what the page has of its layer."""
    entries = part.picture.outline if isinstance(part.picture, Drawing) else ()
    return [(entry, _shown(pen, entry)) for entry in entries]


def _shown(pen: Pen, entry: Entry) -> list[tuple[str, str]]:
    """What the page has of an entry's layer: (word, id)."""
    found = [(aspect, pen.targets.get(f"{aspect}:{entry.layer}")) for aspect in get_args(Aspect)]
    return [(aspect, target) for aspect, target in found if target is not None]


def _is_even(colors: Sequence[str]) -> bool:
    """Whether the colours are a linear ramp between the first and the last, within a level, as black to white is."""
    levels = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors])
    return bool(np.abs(np.linspace(levels[0], levels[-1], len(colors)) - levels).max() <= 1)


def _colorbar(pen: Pen, name: str, bar: ColorBar) -> Markup:
    wrong = [color for color in bar.colors if not _HEX.fullmatch(color)]
    if wrong or not bar.colors:
        raise ReportgenError(f"the colour bar of {name!r} needs colours like #2b6cb0, not {wrong[:3]!r}", code="P101")
    count = min(len(bar.colors), 2 if _is_even(bar.colors) else _STOPS)
    steps = [i / max(1, count - 1) for i in range(count)]
    stops = tuple((f"{100 * step:.4g}%", bar.colors[round(step * (len(bar.colors) - 1))]) for step in steps)
    ramp = pen.ramps.setdefault(stops, f"page-ramp-{len(pen.ramps)}")
    return pen.draw("colorbar", bar=bar, ramp=ramp)
