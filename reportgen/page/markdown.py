"""The report for a pull request: report.md and a folder of pictures, in GitHub-flavoured Markdown.

    markdown(report, Path("pr"))                   # pr/report.md, pr/report-figures/*.png, *.gif, *.svg

A comment field takes 65,536 characters and no HTML file; data: URIs and scripts are stripped. So this
form has the headline, the key figures, each section's finding, short tables, and as files the figures
outside folds. The end names what does not fit.
"""

import html
import io
import re
from itertools import accumulate
from pathlib import Path

from reportgen.core.files import Built
from reportgen.core.report import (
    Animation,
    Document,
    Drawing,
    Figure,
    FigureRow,
    Fold,
    Mosaic,
    Raster,
    Section,
    Table,
    Text,
)
from reportgen.page.blocks import Emit, alignment, cell
from reportgen.page.directory import beside
from reportgen.page.drawing import standalone
from reportgen.page.loader import clean
from reportgen.page.mosaic import scale
from reportgen.page.outline import needs_script, outline

LIMIT = 60_000
_ROWS = 15
_PER_SECTION = 3  # figures, rows and tables of a section that are shown
_LONGEST, _WARNINGS = 1_000, 12_000  # characters of a text above the sections, and of all warnings
_WIDEST = 880  # CSS px of GitHub's column


def markdown(report: Document, folder: Path, name: str = "report.md") -> Path:
    """Write the file `name` and its pictures into the folder, made if missing; returns the file.

    The pictures lie in a folder of that name, so that several reports and a page can stand beside each other; those of
    an earlier report of the name are deleted. The text stays below 60,000 characters. Raises
    ReportgenError where ids are not unique, a drawing holds more than shapes and text, or the folder can't be written.
    """
    numbers = outline(report)
    with Built(folder, name) as built:
        return built.write(name, _text(report, numbers, beside(built, f"{Path(name).stem}-figures")))


def _text(report: Document, numbers: dict[str, str], emit: Emit) -> str:
    head = [f"# {_short(report.title)}", f"**{_short(report.headline)}**" if report.headline else ""]
    head += [_short(report.origin), *_warnings(report.warnings)]
    if report.key_figures:
        names, values = zip(*report.key_figures, strict=True)
        head.append(_grid([names, values], "l" * len(names)))
    head.append(plain(report.omitted))
    parts = [part for part in head if part]
    left_out: list[str] = []
    room = LIMIT - 2_000 - sum(len(part) + 2 for part in parts)
    for section in report.sections:
        if needs_script(section):
            continue
        text = _section(section, numbers, emit)
        if len(text) + 2 > room:
            left_out.append(plain(section.title_in_full)[:200])
            continue
        room -= len(text) + 2
        parts.append(text)
    if left_out:
        parts.append(f"Left out for length: {'; '.join(left_out)}."[:1_500])
    parts.append("Only the HTML form has folded figures, long tables, method notes and what needs a script.")
    return "\n\n".join(parts) + "\n"


def _short(text: str) -> str:
    return plain(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _warnings(warnings: tuple[str, ...]) -> list[str]:
    """The first warnings that leave room for the rest, and how many more there are."""
    shown = [f"> **Warning.** {_short(warning)}" for warning in warnings]
    count = sum(total <= _WARNINGS for total in accumulate(map(len, shown)))
    more = [f"> **Warning.** {len(shown) - count:,} more in the HTML form."] if count < len(shown) else []
    return shown[:count] + more


def plain(text: str) -> str:
    """Text on one line that GitHub shows literally: without markup, mentions or issue links.

    >>> plain("a*b | <img> @me #7")
    'a\\\\*b \\\\| &lt;img&gt; @&#8203;me #&#8203;7'
    """
    text = html.escape(" ".join(clean(text).split()), quote=False)
    text = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text)
    text = re.sub(r"([@#])(?=\w)", r"\1&#8203;", text)
    # At the start of a line these would start a heading, a list or a rule.
    text = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text)
    return re.sub(r"^([#+=-])", r"\\\1", text)


def _grid(rows: list[tuple[str, ...]], align: str) -> str:
    lines = ["| " + " | ".join(plain(text) for text in row) + " |" for row in rows]
    rule = "|" + "|".join("---:" if side == "r" else "---" for side in align) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _section(section: Section, numbers: dict[str, str], emit: Emit) -> str:
    heading = "###" if section.part and not section.opens else "##"
    parts = [f"{heading} {plain(section.title)}", plain(section.finding)]
    shown = 0
    for block in section.blocks:
        if isinstance(block, Text) and block.role != "method":
            parts.append(("**Warning.** " if block.role == "warning" else "") + plain(block.text))
        elif isinstance(block, Text | Fold) or shown == _PER_SECTION:
            continue
        elif isinstance(block, Table) and len(block.rows) <= _ROWS:
            parts += [_table(block), f"*{numbers[block.name]}. {plain(block.caption)}*"]
            shown += 1
        elif isinstance(block, Figure):
            parts += _figure(block, numbers, emit)
            shown += 1
        elif isinstance(block, FigureRow):
            if block.title:
                parts.append(f"### {plain(block.title)}")
            parts += [text for figure in block.figures[:4] for text in _figure(figure, numbers, emit)]
            shown += 1
    return "\n\n".join(part for part in parts if part)


def _table(table: Table) -> str:
    return _grid([table.columns, *(tuple(cell(value)[0] for value in row) for row in table.rows)], alignment(table))


def _figure(figure: Figure, numbers: dict[str, str], emit: Emit) -> list[str]:
    url, width = _emit(figure, emit)
    alt = html.escape(" ".join(clean(figure.alt).split()))
    bar = figure.colorbar
    colors = f" Colours from {plain(bar.low)} to {plain(bar.high)}." if bar else ""
    caption = f"*{numbers[figure.name]}. {plain(figure.caption)}{colors}{_tiles(figure)}*"
    outline = _outline(figure.picture) if isinstance(figure.picture, Drawing) else []
    return [f'<img src="{url}" alt="{alt}" width="{min(width, _WIDEST)}">', caption, *outline]


def _outline(drawing: Drawing) -> list[str]:
    """What the drawing shows, as indented lines in a fold of GitHub's."""
    if not drawing.outline:
        return []
    lines = [f"{'  ' * entry.depth}{' '.join(clean(entry.text).split())}" for entry in drawing.outline]
    text = html.escape("\n".join(lines), quote=False)
    return [f"<details><summary>As text</summary>\n<pre>{text}</pre>\n</details>"]


def _tiles(figure: Figure) -> str:
    """The labels of a mosaic's tiles, which the page has above them; "" where they only count."""
    if not isinstance(figure.picture, Mosaic) or all(label.isdecimal() for label in figure.picture.labels):
        return ""
    return f" Row by row: {_short('; '.join(figure.picture.labels))}."


def _emit(figure: Figure, emit: Emit) -> tuple[str, int]:
    match figure.picture:
        case Drawing() as drawing:
            return emit(figure.name, standalone(drawing), "image/svg+xml"), round(drawing.width)
        case Animation() as animation:
            return emit(figure.name, animation.gif, "image/gif"), animation.width
        case Mosaic() as mosaic:
            return _enlarged(figure.name, mosaic.raster, scale(mosaic), emit)
        case Raster() as raster:
            return _enlarged(figure.name, raster, scale(raster), emit)


def _enlarged(name: str, raster: Raster, factor: int, emit: Emit) -> tuple[str, int]:
    """Emit the picture enlarged `factor` times with hard pixel edges, which GitHub would smooth."""
    if factor == 1:
        return emit(name, raster.data, raster.mime), raster.width
    from PIL import Image

    with Image.open(io.BytesIO(raster.data)) as picture:
        large = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
        buffer = io.BytesIO()
        transparent = {"transparency": picture.info["transparency"]} if "transparency" in picture.info else {}
        large.save(buffer, "PNG", **transparent)
    return emit(name, buffer.getvalue(), "image/png"), raster.width * factor
