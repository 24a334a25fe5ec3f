"""The golden structure of a real page: what stands in it and in which order, without pictures and numbers.

It changes on purpose only: `REPORTGEN_GOLDEN=write python -m pytest tests/page/test_structure.py` writes the file anew,
and the review shows what changed.
"""

import os
import re
from pathlib import Path

import pytest

from reportgen import build
from reportgen.page.html import html
from tests.page.parsing import Element, parse

GOLDEN = Path(__file__).with_name("structure.txt")


def words(element: Element) -> str:
    """An element's text on one line, every number as N: those differ in the last digits between machines."""
    text = " ".join(element.whole().split())
    return re.sub(r"(?<!\w)\d[\d.,]*", "N", text)


def first(element: Element, tag: str) -> Element | None:
    return next(iter(element.find(tag)), None)


def lines(element: Element, depth: int = 0):
    """A line per section, heading, fold, figure and table below the element."""
    indent = "  " * depth
    kinds = element.attributes.get("class", "").split()
    if element.tag in ("section", "header") or (element.tag == "details" and "fold" in kinds):
        title = first(element, "summary" if element.tag == "details" else "h1" if element.tag == "header" else "h2")
        name = element.attributes.get("id", "")
        yield f"{indent}{element.tag} {name + ' ' if name else ''}{words(title) if title else ''}".rstrip()
        depth += 1
    elif element.tag == "h3":
        yield f"{indent}row {words(element)}"
    elif element.tag == "figure":
        shown = next((e.tag for e in element.walk() if e.tag in ("svg", "img")), "none")
        scale = ", colour bar" if any("colorbar" in e.attributes.get("class", "") for e in element.walk()) else ""
        name = element.attributes["id"]
        yield f"{indent}figure {name} ({' '.join(kinds[1:])}: {shown}{scale})"
        return
    elif element.tag == "table":
        heads = " | ".join(words(head) for head in element.find("thead")[0].find("th"))
        name = element.parent.parent.attributes.get("id", "(the page's own)")
        yield f"{indent}table {name} [{heads}]"
        return
    elif element.tag == "p" and "finding" in kinds:
        yield f"{'  ' * depth}finding"
    for child in element.children:
        yield from lines(child, depth)


def structure(page: str) -> str:
    return "\n".join(lines(parse(page).find("main")[0])) + "\n"


@pytest.fixture(scope="module")
def seen(recorded) -> str:
    return structure(html(build(recorded, embedding="pca", title="Tiny").document))


def test_the_page_has_the_structure_that_was_agreed_on(seen: str) -> None:
    if os.environ.get("REPORTGEN_GOLDEN") == "write":
        GOLDEN.write_text(seen, encoding="utf-8")
    assert seen == GOLDEN.read_text(encoding="utf-8"), "REPORTGEN_GOLDEN=write accepts the new structure"


def test_the_structure_would_show_a_part_that_is_missing(recorded, seen: str) -> None:
    page = html(build(recorded, embedding="pca", title="Tiny", layers="conv1*").document)
    assert structure(page) != seen
