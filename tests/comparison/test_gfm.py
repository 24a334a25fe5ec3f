"""The Markdown of a comparison as GitHub's own renderer, cmark-gfm, shows it."""

import re

import pytest

import reportgen
from reportgen.core.report import Figure, Mosaic
from tests.comparison.test_page import made
from tests.page.parsing import parse

cmarkgfm = pytest.importorskip("cmarkgfm")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """(the Markdown, what is shown of it) of two runs."""
    folder = tmp_path_factory.mktemp("gfm")
    report = reportgen.compare(made(folder / "a", 0, range(30)), made(folder / "b", 1, range(9)), embedding="pca")
    path = report.save(folder / "pr", "md")
    text = path.read_text(encoding="utf-8")
    html = cmarkgfm.github_flavored_markdown_to_html(text, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    return report, path, parse(f"<div>{html.replace(' />', '>')}</div>")


def test_headings_verdict_and_tables_are_shown_as_such(rendered):
    report, _, page = rendered
    assert [h.whole() for h in page.find("h1")] == [report.document.title]
    assert [h.whole() for h in page.find("h2")] == [section.title for section in report.document.sections]
    assert " ".join(report.document.headline.split()) in [strong.whole() for strong in page.find("strong")]
    tables = page.find("table")
    assert len(tables) >= 4
    for table in tables:
        rows = [len([*row.find("td"), *row.find("th")]) for row in table.find("tr")]
        assert len(set(rows)) == 1 and rows[0] > 1


def test_pictures_are_those_beside_it_and_nothing_else_is_markup(rendered):
    _, path, page = rendered
    sources = {image.attributes["src"] for image in page.find("img")}
    assert sources and all((path.parent / source).is_file() for source in sources)
    allowed = {"h1", "h2", "h3", "p", "strong", "em", "table", "thead", "tbody", "tr", "th", "td", "img", "div", "br"}
    allowed |= {"details", "summary", "pre"}  # the network as text
    assert {element.tag for element in page.walk()} - allowed == {"#root"}
    assert not re.search(r"\\[*_|]|\*\*|(?<!\w)_\w+_(?!\w)", page.whole())


def test_the_labels_of_pictures_stand_below_them(rendered):
    report, _, page = rendered
    figures = [block for part in report.document.sections for block in part.blocks if isinstance(block, Figure)]
    mosaics = [figure.picture for figure in figures if isinstance(figure.picture, Mosaic)]
    assert mosaics and all(" → " in label for mosaic in mosaics for label in mosaic.labels)
    captions = [em.whole() for em in page.find("em")]
    for mosaic in mosaics:
        assert any(f"Row by row: {'; '.join(mosaic.labels)}." in caption for caption in captions)
