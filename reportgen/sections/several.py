"""The reports of several networks as one document: a part for each.

    document = several({"discriminator": one, "generator": other}, "gan", None)

Every anchor, name and file name begins with the network's, so that none of them meets another's.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from reportgen.core.report import (
    Block,
    Document,
    Drawing,
    Figure,
    FigureRow,
    Fold,
    Mosaic,
    Numbers,
    Section,
    Table,
    Text,
)
from reportgen.core.scripted import Examples, Explorer
from reportgen.sections.words import listed, plural, slug

STATED = 3
"""Networks up to which the page's headline has those of all; of more, each stands where its network begins."""

_ID = re.compile(r"""(\bid=["']|\bhref=["']#|url\(#)""")


def several(documents: Mapping[str, Document], of: str, title: str | None, warnings: tuple[str, ...] = ()) -> Document:
    """One document of those of the networks, by their names; `of` names them together, `warnings` are of the others."""
    names = list(documents)
    prefixes: dict[str, str] = {}
    for name in names:
        base = slug(name)
        prefixes[name] = base if base not in prefixes.values() else f"{base}-{len(prefixes) + 1}"
    origins = {document.origin for document in documents.values()}
    stated = len(names) <= STATED
    return Document(
        title=title or f"{of}: {listed(names)}",
        headline=" ".join(f"{name}: {document.headline}" for name, document in documents.items())
        if stated
        else f"{plural(len(names), 'network')}: {listed(names)}.",
        key_figures=(),
        sections=tuple(
            section
            for name, document in documents.items()
            for section in _part(name, prefixes[name], document, len(origins) > 1, stated)
        ),
        provenance={name: document.provenance for name, document in documents.items()},
        warnings=warnings
        + tuple(f"{name}: {text}" for name, document in documents.items() for text in document.warnings),
        omitted=" ".join(f"{name}: {document.omitted}" for name, document in documents.items() if document.omitted),
        origin=origins.pop() if len(origins) == 1 else "",
        subject=of,
    )


def _part(name: str, prefix: str, document: Document, with_origin: bool, stated: bool) -> tuple[Section, ...]:
    """The sections of a network, after one that has its key figures, and its headline unless the page's states it."""
    blocks: list[Block] = []
    if document.key_figures:
        figures, values = zip(*document.key_figures, strict=True)
        caption = f"Key figures of {name}."
        blocks.append(
            Table(f"{prefix}-key-figures", caption, ("Network", *figures), ((name, *values),), "l" + "r" * len(values))
        )
    if with_origin and document.origin:
        blocks.append(Text(document.origin))
    opening = Section(prefix, name, "" if stated else document.headline, tuple(blocks), part=name)
    return (opening, *(_prefixed(section, prefix, name) for section in document.sections))


def _prefixed(section: Section, prefix: str, part: str) -> Section:
    return replace(
        section,
        anchor=f"{prefix}-{section.anchor}",
        blocks=tuple(_block(block, prefix) for block in section.blocks),
        numbers=tuple(_numbers(numbers, prefix) for numbers in section.numbers),
        part=part,
    )


def _numbers(numbers: Numbers, prefix: str) -> Numbers:
    placed = tuple((column, f"{prefix}-{name}", axis, low, high) for column, name, axis, low, high in numbers.placed)
    return replace(numbers, filename=f"{prefix}-{numbers.filename}", placed=placed)


def _block(block: Block, prefix: str) -> Block:
    match block:
        case Figure():
            return _figure(block, prefix)
        case FigureRow():
            return replace(block, figures=tuple(_figure(figure, prefix) for figure in block.figures))
        case Fold():
            return replace(block, blocks=tuple(_block(each, prefix) for each in block.blocks))
        case Table():
            anchors = tuple(f"{prefix}-{anchor}" for anchor in block.anchors)
            return replace(block, name=f"{prefix}-{block.name}", anchors=anchors)
        case Explorer():
            return replace(block, name=f"{prefix}-{block.name}")
        case Examples():
            groups = tuple(replace(group, anchor=f"{prefix}-{group.anchor}") for group in block.groups)
            maps = {
                place: tuple((layer, f"{prefix}-{figure}") for layer, figure in shown)
                for place, shown in block.maps.items()
            }
            return replace(block, name=f"{prefix}-{block.name}", groups=groups, maps=maps)
        case Text():
            return block


def _figure(figure: Figure, prefix: str) -> Figure:
    picture = figure.picture
    if isinstance(picture, Drawing):

        def marked(svg: str) -> str:
            return _ID.sub(rf"\1{prefix}-", svg)

        picture = replace(picture, svg=marked(picture.svg), cells=tuple(map(marked, picture.cells)))
    if isinstance(picture, Mosaic):
        picture = replace(picture, links=tuple(f"{prefix}-{link}" for link in picture.links))
    live = f"{prefix}-{figure.live}" if figure.live else ""
    return replace(figure, name=f"{prefix}-{figure.name}", picture=picture, live=live)
