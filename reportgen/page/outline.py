"""Numbers of a report's figures and tables, and a check that all ids are unique.

    numbers = outline(report)                      # {"embedding": "Figure 1", "layers": "Table 1", ...}

Figures in a row share a number and get letters, as in a paper: 4a, 4b.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from string import ascii_lowercase
from typing import get_args

from reportgen.core.report import (
    Animation,
    Aspect,
    Block,
    Document,
    Drawing,
    Figure,
    FigureRow,
    Fold,
    Section,
    Table,
    Text,
)
from reportgen.core.scripted import Examples, Explorer
from reportgen.errors import ReportgenError
from reportgen.page.drawing import check

# The page's own ids start with this; anchors and names must not.
RESERVED = "page-"

_ANCHOR = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,300}")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def needs_script(section: Section) -> bool:
    """Whether the section is of no use without a script: such a one is absent on paper and in Markdown."""
    return any(isinstance(block, Explorer) for block in section.blocks)


def walk(blocks: Iterable[Block]) -> Iterator[Text | Table | Figure | FigureRow | Explorer | Examples]:
    """Every block in reading order, including those in folds; a row is one block, not its figures."""
    for block in blocks:
        if isinstance(block, Fold):
            yield from walk(block.blocks)
        else:
            yield block


def figures(report: Document) -> Iterator[Figure]:
    """Every figure of the report in reading order, including those in rows and folds."""
    for section in report.sections:
        yield from figures_of(section)


def figures_of(section: Section) -> Iterator[Figure]:
    """Every figure of a section."""
    for block in walk(section.blocks):
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, FigureRow):
            yield from block.figures


def parts(sections: Iterable[Section]) -> list[tuple[Section, ...]]:
    """The sections as the contents list them: those of a part together, each that stands in none by itself.

    >>> from reportgen.core.report import Section
    >>> names = [("top", ""), ("gan", "gan"), ("curves", "gan"), ("end", "")]
    >>> [[section.anchor for section in part] for part in parts(Section(x, x, "", (), part=y) for x, y in names)]
    [['top'], ['gan', 'curves'], ['end']]
    """
    grouped = groupby(sections, lambda section: section.part or section.anchor)
    return [tuple(part) for _, part in grouped]


def targets(report: Document) -> dict[str, str]:
    """What a link in a drawing can name -> the id that it leads to: sections, figures, and what figures show of layers.

    "maps:conv1" is the first figure of the layer's maps, and "layer:conv1" the first that there is of it, maps first.
    """
    shown = list(figures(report))
    found = {name: name for name in (*(part.anchor for part in report.sections), *(figure.name for figure in shown))}
    for kind in get_args(Aspect):
        for figure in shown:
            if figure.of is not None and figure.of[0] == kind:
                found.setdefault(f"{kind}:{figure.of[1]}", figure.name)
                found.setdefault(f"layer:{figure.of[1]}", figure.name)
    return found


def letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ...: the letter of a figure in its row, counted from 0."""
    head, last = divmod(index, 26)
    return (letter(head - 1) if head else "") + ascii_lowercase[last]


def outline(report: Document) -> dict[str, str]:
    """Name of each figure and table -> "Figure 3", "Figure 4b" or "Table 1", in reading order.

    Raises ReportgenError where an anchor or name can't be an id, or two parts of the page (ids
    inside drawings included) have the same one.
    """
    numbers: dict[str, str] = {}
    owners: dict[str, str] = {}
    drawn = tables = 0

    def claim(identifier: str, owner: str, pattern: re.Pattern[str], rule: str) -> None:
        if not pattern.fullmatch(identifier) or identifier.startswith(RESERVED):
            raise ReportgenError(
                f"{owner} is named {identifier[:80]!r}: {rule}, and {RESERVED!r} is reserved for the page", code="P102"
            )
        if other := owners.get(identifier.casefold()):
            raise ReportgenError(
                f"{owner} and {other} are both named {identifier[:80]!r}: names are links and file names, "
                "so each must be unique, ignoring case; rename one",
                code="P102",
            )
        owners[identifier.casefold()] = owner

    def claim_figure(figure: Figure | Explorer, number: str) -> None:
        claim(figure.name, number, _SLUG, "a figure's name is ASCII letters, digits, '.', '_' and '-'")
        numbers[figure.name] = number
        picture = figure.picture if isinstance(figure, Figure) else None
        drawing = picture.still if isinstance(picture, Animation) else picture
        if isinstance(drawing, Drawing):
            for identifier in check(drawing.svg, f"figure {figure.name!r}"):
                claim(identifier, f"an element inside {number}", _ANCHOR, "an id has no spaces")

    for section in report.sections:
        claim(section.anchor, f"section {section.title[:80]!r}", _ANCHOR, "an anchor has no spaces")
        for block in walk(section.blocks):
            if isinstance(block, Table):
                tables += 1
                claim(block.name, f"Table {tables}", _ANCHOR, "a table's name has no spaces")
                numbers[block.name] = f"Table {tables}"
                for anchor in block.anchors:
                    claim(anchor, f"a row of Table {tables}", _ANCHOR, "an anchor has no spaces")
            elif isinstance(block, Examples):
                for name in (block.name, *(f"{block.name}-{index}" for index in range(len(block.groups)))):
                    claim(name, "a block of examples", _SLUG, "its name is ASCII letters, digits, '.', '_' and '-'")
            elif isinstance(block, Figure | Explorer):
                drawn += 1
                claim_figure(block, f"Figure {drawn}")
            elif isinstance(block, FigureRow):
                drawn += 1
                for index, figure in enumerate(block.figures):
                    suffix = letter(index) if len(block.figures) > 1 else ""
                    claim_figure(figure, f"Figure {drawn}{suffix}")
    return numbers
