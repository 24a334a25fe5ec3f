"""The one file: what stands in it, that it is locked, and that no text gets out of its place."""

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise
from urllib.parse import unquote

import pytest

from reportgen.core.report import Document, Drawing, Figure, FigureRow, Fold, Section, Table, Text
from reportgen.errors import ReportgenError
from reportgen.page import html as html_module
from reportgen.page.html import flat, html
from reportgen.page.loader import clean
from reportgen.page.save import save
from tests.page.parsing import Element, parse
from tests.page.sample import HOSTILE, curves, hostile, maps, mosaic, sample


@pytest.fixture(scope="module")
def text() -> str:
    return html(sample())


@pytest.fixture(scope="module")
def page(text: str) -> Element:
    return parse(text)


def report_of(*blocks, **changes) -> Document:
    return replace(sample(), sections=(Section("only", "Only", "Finding.", blocks),), **changes)


def by_id(page: Element, identifier: str) -> Element:
    return next(element for element in page.walk() if element.attributes.get("id") == identifier)


def test_a_page_that_is_measured_and_saved_is_rendered_once(tmp_path, monkeypatch) -> None:
    report, rendered = sample(), []
    drawn = html_module.render
    monkeypatch.setattr(html_module, "render", lambda *given, **assets: rendered.append(1) or drawn(*given, **assets))
    measured = html(report)
    assert save(report, tmp_path / "page.html").read_text() == measured and len(rendered) == 1
    assert html(replace(report, title="Another")) != measured and len(rendered) == 2


def test_every_part_of_the_report_is_there_in_order(page: Element) -> None:
    report = sample()
    assert page.find("title")[0].text == report.title
    assert page.find("h1")[0].text == report.title
    assert [(dt.text, dd.text) for dt, dd in zip(page.find("dt"), page.find("dd"), strict=True)] == list(
        report.key_figures
    )
    main = page.find("main")[0]
    sections = [element for element in main.children if element.tag == "section"]
    assert [element.attributes["id"] for element in sections] == [
        *(section.anchor for section in report.sections),
        "page-about",
    ]
    for element, section in zip(sections, report.sections, strict=False):
        assert element.find("h2")[0].whole() == section.title
        assert section.finding in element.whole()
    assert report.warnings[0] in main.children[0].whole()


def test_figures_have_numbers_captions_and_alternative_text(page: Element) -> None:
    numbers = [figure.find("figcaption")[0].find("a")[0].text for figure in page.find("figure")]
    assert numbers == [f"Figure {n}." for n in ("1", "2", "3", "4", "5a", "5b", "5c", "6", "7")]
    for figure in page.find("figure"):
        named = [e.attributes.get("alt") or e.attributes.get("aria-label") for e in figure.find("img")]
        named += [e.attributes.get("aria-label") for e in figure.walk() if e.attributes.get("role") == "img"]
        assert named and all(named)
    assert by_id(page, "conv1-maps").find("svg")[0].attributes["aria-label"].startswith("All 16 channels")


def test_tables_have_captions_headers_and_scopes(page: Element) -> None:
    for table in page.find("table"):
        assert table.find("caption")[0].whole().strip()
        assert all(head.attributes["scope"] in ("col", "row") for head in table.find("th"))
        width = len(table.find("thead")[0].find("th"))
        for row in table.find("tbody")[0].find("tr"):
            assert len(row.children) == width and row.children[0].tag == "th"
    layers = by_id(page, "layers")
    first, second = layers.find("tbody")[0].find("tr")[:2]
    assert [cell.text for cell in first.children][-3:] == ["0", "0.4131", "dead: 2 of 16"]
    assert second.children[3].text == "1,160" and second.children[3].attributes["data-sort"] == "1160"
    assert second.children[4].attributes["data-sort"] == repr(0.4131 / 2)
    assert second.children[5].text == "no data"


def test_cells_and_columns_must_agree() -> None:
    with pytest.raises(ReportgenError, match="must have 2 cells"):
        html(report_of(Table("t", "c", ("a", "b"), ((1,),))))
    with pytest.raises(ReportgenError, match="align must be l or r for each of 2 columns, not 'r'"):
        html(report_of(Table("t", "c", ("a", "b"), ((1, 2),), align="r")))


def test_the_mosaic_is_one_picture_with_a_number_by_each_tile(page: Element) -> None:
    figure = by_id(page, "conv1-maps")
    assert len(figure.find("image")) == 1
    assert figure.find("image")[0].attributes["href"].startswith("data:image/png;base64,")
    assert [label.text for label in figure.find("text")] == [str(i) for i in range(16)]
    outlines = [e for e in figure.find("rect") if e.attributes.get("class") == "outline"]
    assert [(e.attributes["x"], e.attributes["y"]) for e in outlines] == [(str(7 * 27 * 4), "14")]


def test_the_gif_is_in_the_page_once_and_does_not_start_by_itself(text: str, page: Element) -> None:
    assert text.count("data:image/gif;base64,") == 1
    moving = by_id(page, "embedding").find("details")[0]
    assert "open" not in moving.attributes and moving.find("img")[0].attributes["src"].startswith("data:image/gif")
    still = next(e for e in by_id(page, "embedding").find("div") if e.attributes.get("class") == "still")
    assert still.find("svg")[0].attributes["role"] == "img"


def test_method_notes_fold_away_and_warnings_do_not(page: Element) -> None:
    folds = [fold for fold in by_id(page, "hidden-layer").find("details") if fold.attributes["class"] == "fold"]
    assert [fold.find("summary")[0].whole() for fold in folds] == ["Method"]
    assert len(folds[0].find("p")) == 2
    warning = next(p for p in by_id(page, "layers-and-data").find("p") if p.attributes["class"] == "warning")
    assert warning.parent is not None and warning.parent.tag == "section"


def policy_of(page: Element) -> dict[str, list[str]]:
    meta = next(m for m in page.find("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy")
    rules = [rule.split() for rule in meta.attributes["content"].split(";")]
    return {rule[0]: rule[1:] for rule in rules}


def test_the_policy_allows_exactly_the_styles_and_scripts_that_are_there(page: Element) -> None:
    def hashes(tag: str) -> list[str]:
        digests = [hashlib.sha256(element.text.encode()).digest() for element in page.find(tag)]
        return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]

    policy = policy_of(page)
    assert policy["default-src"] == ["'none'"]
    assert policy["style-src"] == hashes("style") and len(page.find("style")) == 1
    assert policy["script-src"] == hashes("script") and len(page.find("script")) == 2
    assert policy["img-src"] == ["data:"]


def test_nothing_in_the_page_breaks_its_policy_or_leaves_it(page: Element) -> None:
    for element in page.walk():
        for name, value in element.attributes.items():
            assert name != "style" and not name.startswith("on"), (element.tag, name)
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value.startswith(("data:image/", "#")), (element.tag, name, value[:80])
            elif name != "xmlns":
                assert not re.search(r"url\((?!#)", value)
    outside = re.findall(r"https?://[^\s\"'<]+", "".join(e.text for e in page.find("style") + page.find("script")))
    assert set(outside) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(", page.find("style")[0].text)


@pytest.mark.parametrize("report", [sample(), hostile(HOSTILE[0])], ids=["sample", "hostile"])
def test_ids_are_unique_and_links_resolve(report: Document) -> None:
    page = parse(html(report))
    ids = [element.attributes["id"] for element in page.walk() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = [e.attributes["href"] for e in page.walk() if e.attributes.get("href", "").startswith("#")]
    links += [f"#{e.attributes['aria-labelledby']}" for e in page.walk() if "aria-labelledby" in e.attributes]
    links += re.findall(r"url\((#[^)]*)\)", html(report).split("</style>")[1])
    assert links and all(unquote(link[1:]) in ids for link in links)
    linked = {link[1:] for link in links}
    assert {section.anchor for section in report.sections} <= linked
    assert {figure.attributes["id"] for figure in page.find("figure")} <= linked


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_every_field(text: str) -> None:
    page = parse(html(hostile(text)))
    plain = parse(html(hostile("plain")))
    # The same elements in the same places as with a harmless word: nothing was made of the text. The
    # mosaic's labels are cut to their tiles, so that a text may take a label's place or not.
    shapes = [
        [(e.tag, tuple(sorted(e.attributes))) for e in one.walk() if e.tag not in ("text", "span", "td", "th")]
        for one in (page, plain)
    ]
    assert [tag for tag, _ in shapes[0]] == [tag for tag, _ in shapes[1]]
    shown = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe]", "\ufffd", text)
    assert page.find("h1")[0].text == shown
    assert page.find("h2")[0].whole() == shown
    assert page.find("dt")[0].text == page.find("dd")[0].text == shown
    for identifier in ("maps", "chart", "moving", "photo"):
        assert by_id(page, identifier).find("figcaption")[0].find("span")[0].text == shown
        labels = [e.attributes.get("alt") or e.attributes.get("aria-label") for e in by_id(page, identifier).walk()]
        assert shown in labels
    assert by_id(page, "numbers").find("td")[0].text == "1.5"
    assert {th.text for th in by_id(page, "numbers").find("th")} == {shown}
    assert "49" not in page.find("h1")[0].text
    html(hostile(text)).encode("utf-8")


def test_the_same_report_gives_the_same_bytes(text: str) -> None:
    assert html(sample()) == text


def test_a_text_without_data_leaves_nothing_behind() -> None:
    empty = Document("T", "", (), (Section("a", "A", "", ()),), {})
    page = parse(html(empty))
    assert not page.find("dl") and not [e for e in page.walk() if e.attributes.get("class") == "warnings"]
    assert [s.attributes["id"] for s in page.find("section")] == ["a", "page-about"]


def test_the_page_names_the_bytes_of_its_sections(text: str) -> None:
    anchors = [*(section.anchor for section in sample().sections), "page-about"]
    for anchor, after in pairwise(anchors):
        start = text.index(f'<section id="{anchor}"')
        end = text.index(f'<section id="{after}"')
        assert f"{len(text[start:end].encode().rstrip()):,}</td>" in text


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((Figure("only", curves("c"), "a", "c"),), "'only': names are links"),
        ((Figure("one", curves("one"), "a", "c"), Figure("One", curves("two"), "a", "c")), "ignoring case"),
        ((Figure("one", curves("x"), "a", "c"), Figure("two", curves("x"), "a", "c")), "element inside Figure 2"),
        ((Figure("a/b", curves("c"), "a", "c"),), "ASCII letters"),
        ((Figure("../up", curves("c"), "a", "c"),), "ASCII letters"),
        ((Fold("s", (Table("page-about", "c", ("a",), ()),)),), "reserved for the page"),
        ((Table("two words", "c", ("a",), ()),), "no spaces"),
        ((FigureRow((Figure("r", curves("r1"), "", ""), Figure("r", curves("r2"), "", ""))),), "Figure 1b"),
    ],
)
def test_names_that_can_not_be_links_are_refused(blocks, message: str) -> None:
    with pytest.raises(ReportgenError, match=re.escape(message)):
        html(report_of(*blocks))


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{}</svg>'


@pytest.mark.parametrize(
    ("svg", "message"),
    [
        (SVG.format("<script>alert(1)</script>"), "element <script>"),
        (SVG.format('<rect onclick="alert(1)"/>'), "onclick attribute"),
        (SVG.format('<g style="fill:red"/>'), "style attribute"),
        (SVG.format("<style>*{}</style>"), "element <style>"),
        (SVG.format("<foreignObject/>"), "element <foreignObject>"),
        (SVG.format('<use href="http://example.invalid/a#b"/>'), "points outside"),
        (SVG.format('<image href="http://example.invalid/a.png"/>'), "points outside"),
        (SVG.format('<rect fill="url(http://example.invalid/#a)"/>'), "points outside"),
        (SVG.format('<a href="page.html"/>'), "points outside itself"),
        (SVG.format("<g>"), "not well-formed"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG, "prolog"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "does not begin"),
        ("<p/>", "does not begin"),
    ],
)
def test_drawings_that_do_more_than_draw_are_refused(svg: str, message: str) -> None:
    with pytest.raises(ReportgenError, match=message):
        html(report_of(Figure("f", Drawing(svg, 9, 9), "a", "c")))


def test_a_drawing_may_hold_a_picture_of_its_own() -> None:
    for link in ("href", "xlink:href"):
        image = f'<image {link}="data:image/png;base64,iVBORw0KGgo=" width="9" height="9"/>'
        svg = SVG.format(image).replace("<svg", '<svg xmlns:xlink="http://www.w3.org/1999/xlink"')
        (shown,) = parse(html(report_of(Figure("f", Drawing(svg, 9, 9), "a", "c")))).find("image")
        assert shown.attributes["href"] == "data:image/png;base64,iVBORw0KGgo="


def test_a_mosaic_must_have_the_size_that_its_tiles_say() -> None:
    wrong = mosaic(maps(4, 5), 2)
    wrong = replace(wrong, grid=replace(wrong.grid, gap=2))
    with pytest.raises(ReportgenError, match="should be 16 x 16 pixels, but its picture is 13 x 13"):
        html(report_of(Figure("f", wrong, "a", "c")))


def test_foreign_blocks_and_pictures_are_refused() -> None:
    with pytest.raises(ReportgenError, match="blocks must be a sequence of Text, Table"):
        report_of("text")
    with pytest.raises(ReportgenError, match="holds a str"):
        html(report_of(Fold("more", ("text",))))  # type: ignore[arg-type]
    with pytest.raises(ReportgenError, match="picture must be a Raster"):
        Figure("f", b"", "a", "c")  # type: ignore[arg-type]


def test_provenance_is_flat_text() -> None:
    values = {"git": {"commit": "1f0c", "dirty": False}, "devices": ["cpu:0", "cpu:1"], "gpu": None}
    assert flat(values) == [
        ("git.commit", "1f0c"),
        ("git.dirty", "no"),
        ("devices", "cpu:0, cpu:1"),
        ("gpu", "no data"),
    ]


def test_paragraphs_are_split_at_empty_lines() -> None:
    page = parse(html(report_of(Text("One\nline.\n\n  Two.  "))))
    assert [p.text for p in by_id(page, "only").find("p") if p.attributes["class"] == "body"] == ["One\nline.", "Two."]


@pytest.mark.parametrize("title", HOSTILE)
def test_the_head_of_a_printed_page_is_a_text_and_nothing_else(title: str) -> None:
    style = html(replace(sample(), title=title, provenance={"date": title})).split("<style>")[1].split("</style>")[0]
    head = style[style.rindex("@page") :]
    told = r'"((?:[A-Za-z0-9 ,.-]|\\[0-9a-f]+ )*)"'
    found = re.fullmatch(rf"@page\{{@top-left\{{content:{told}\}}@top-right\{{content:{told}\}}\}}\n", head)
    assert found is not None
    shown = re.sub(r"\\([0-9a-f]+) ", lambda code: chr(int(code[1], 16)), found[1])
    assert shown == " ".join(clean(title[:100]).split())
