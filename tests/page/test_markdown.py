"""The pull-request form, read back with a CommonMark parser."""

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from reportgen.core.report import Section, Text
from reportgen.page.directory import directory
from reportgen.page.markdown import LIMIT, markdown, plain
from reportgen.page.mosaic import scale
from tests.page.parsing import parse
from tests.page.sample import HOSTILE, hostile, sample

MarkdownIt = pytest.importorskip("markdown_it").MarkdownIt


def rendered(path: Path):
    return parse("<div>" + MarkdownIt("gfm-like", {"linkify": False}).render(path.read_text("utf-8")) + "</div>")


def test_headline_key_figures_findings_and_pictures(tmp_path: Path) -> None:
    report = sample()
    page = rendered(markdown(report, tmp_path))
    assert [h.whole() for h in page.find("h1")] == [report.title]
    assert [h.whole() for h in page.find("h2")] == [section.title for section in report.sections]
    table = page.find("table")[0]
    assert [(h.text, d.text) for h, d in zip(table.find("th"), table.find("td"), strict=True)] == list(
        report.key_figures
    )
    for section in report.sections:
        assert section.finding in page.whole()
    sources = [image.attributes["src"] for image in page.find("img")]
    assert sources[:2] == ["report-figures/embedding.gif", "report-figures/curves.svg"]
    on_disk = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert on_disk == {*sources, "report.md", ".reportgen.json"}
    assert all(image.attributes["alt"] for image in page.find("img"))
    assert "report-figures/dense-maps.png" not in sources  # it stands in a fold


def test_small_pixels_are_enlarged_exactly(tmp_path: Path) -> None:
    markdown(sample(), tmp_path)
    mosaic = sample().sections[2].blocks[0].picture
    with (
        Image.open(io.BytesIO(mosaic.raster.data)) as native,
        Image.open(tmp_path / "report-figures/conv1-maps.png") as large,
    ):
        expected = np.kron(np.asarray(native)[..., 0], np.ones((scale(mosaic),) * 2))
        assert np.array_equal(np.asarray(large)[..., 0], expected)


def test_drawings_carry_their_colours_with_them(tmp_path: Path) -> None:
    markdown(sample(), tmp_path)
    text = (tmp_path / "report-figures/curves.svg").read_text("utf-8")
    root = ET.fromstring(text)
    assert (root.get("width"), root.get("height")) == ("720", "280")
    classes = {name for e in root.iter() for name in e.get("class", "").split()} - {"chart"}
    style = next(e for e in root.iter() if e.tag.endswith("style")).text or ""
    assert classes and all(re.search(rf"\.{name} {{ \w+: #[0-9a-f]{{6}}; }}", style) for name in classes)
    assert "var(" not in style and "light-dark" not in style
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str, tmp_path: Path) -> None:
    path = markdown(hostile(text), tmp_path)
    page = rendered(path)
    shown = " ".join(re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe]", "\ufffd", text).split())
    assert [h.whole().replace("\u200b", "") for h in page.find("h1")] == [shown]
    assert [h.whole().replace("\u200b", "") for h in page.find("h2")] == [shown]
    assert not {e.tag for e in page.walk()} & {"script", "svg", "a", "code", "del", "style", "b"}
    assert {name for e in page.walk() for name in e.attributes} <= {"src", "alt", "width", "style"}
    assert not re.search(r"[@#]\w", page.whole())  # a mention, or a link to an issue


@pytest.mark.parametrize("text", ["# a", "- a", "1. a", "1) a", "+ a", "> a", "--- ", "=== a", "    code", "a\n\n# b"])
def test_no_line_begins_something(text: str) -> None:
    page = parse("<div>" + MarkdownIt("gfm-like", {"linkify": False}).render(plain(text)) + "</div>")
    assert [child.tag for child in page.children[0].children] == ["p"]
    assert page.whole().strip() == " ".join(text.split())


def test_it_stays_below_the_limit_and_says_what_it_left_out(tmp_path: Path) -> None:
    many = tuple(Section(f"s{i}", f"Section {i}", "Finding.", (Text("word " * 1500),)) for i in range(20))
    text = markdown(replace(sample(), sections=many), tmp_path).read_text("utf-8")
    assert len(text) < LIMIT
    kept = re.findall(r"(?m)^## Section (\d+)$", text)
    left_out = re.search(r"Left out for length: (.*)\.", text)
    assert kept and left_out
    assert [*kept, *re.findall(r"Section (\d+)", left_out[1])] == [str(i) for i in range(20)]


def test_many_long_warnings_and_names_leave_it_below_the_limit(tmp_path: Path) -> None:
    long = "@a|" * 30_000
    report = replace(sample(), title=long, headline=long, warnings=tuple(f"{i} {long}" for i in range(500)))
    text = markdown(report, tmp_path).read_text("utf-8")
    assert len(text) < LIMIT
    shown, more = text.count("> **Warning.** ") - 1, re.search(r"Warning\.\*\* (\d+) more in the HTML form", text)
    assert shown >= 1 and more and shown + int(more[1]) == 500
    assert "## " in text


def test_reports_and_a_page_in_one_folder_have_pictures_of_their_own(tmp_path: Path) -> None:
    one, other = sample(), replace(sample(), sections=sample().sections[:1])
    directory(one, tmp_path)
    written = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for report, name in ((one, "report.md"), (other, 'é "1".md')):
        page = rendered(markdown(report, tmp_path, name))
        images = [tmp_path / unquote(image.attributes["src"]) for image in page.find("img")]
        assert images and {file.parent.name for file in images} == {f"{name[:-3]}-figures"}
        assert all(file.is_file() for file in images)
    assert all(file.read_bytes() == before for file, before in written.items() if file.name != ".reportgen.json")


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = markdown(sample(), tmp_path / "1"), markdown(sample(), tmp_path / "2")
    for file in one.parent.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (two.parent / file.relative_to(one.parent)).read_bytes()
