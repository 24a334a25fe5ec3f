"""The page as a folder: no inline style, script or data: URI, and every file that it names is there."""

from dataclasses import replace
from pathlib import Path

import pytest

from reportgen.core.report import Drawing, Figure, Section
from reportgen.page.directory import directory
from reportgen.page.html import EARLY_SCRIPTS, SCRIPTS, scripts, styles
from tests.page.parsing import parse
from tests.page.sample import HOSTILE, hostile, sample


def test_everything_is_a_file_beside_the_page(tmp_path: Path) -> None:
    index = directory(sample(), tmp_path)
    text = index.read_text("utf-8")
    page = parse(text)
    assert "data:" not in text and not page.find("style")
    assert [script.text for script in page.find("script")] == ["", ""]
    urls = [e.attributes[name] for e in page.walk() for name in ("src", "href") if name in e.attributes]
    files = {url for url in urls if not url.startswith("#")}
    assert {"report.css", "early.js", "report.js", "figures/embedding.gif", "figures/conv1-maps.png"} <= files
    on_disk = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert on_disk == files | {"index.html", ".reportgen.json", "figures/known-1.png"}
    report = sample()
    assert (tmp_path / "figures/embedding.gif").read_bytes() == report.sections[0].blocks[0].picture.gif
    assert (tmp_path / "report.css").read_text("utf-8") == styles(sample())
    assert (tmp_path / "early.js").read_text("utf-8") == scripts(EARLY_SCRIPTS)
    assert (tmp_path / "report.js").read_text("utf-8") == scripts(SCRIPTS)


def test_the_policy_forbids_whatever_is_inline(tmp_path: Path) -> None:
    page = parse(directory(sample(), tmp_path).read_text("utf-8"))
    policy = page.find("meta")[1].attributes["content"]
    assert "unsafe" not in policy and "data:" not in policy and "sha256" not in policy
    assert "img-src 'self'" in policy and "default-src 'none'" in policy


def test_a_chart_with_a_picture_in_it_is_allowed_that_picture(tmp_path: Path) -> None:
    image = '<image href="data:image/png;base64,iVBORw0KGgo=" width="9" height="9"/>'
    drawing = Drawing(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{image}</svg>', 9, 9)
    section = Section("s", "S", "", (Figure("f", drawing, "a", "c"),))
    page = parse(directory(replace(sample(), sections=(section,)), tmp_path).read_text("utf-8"))
    assert "img-src 'self' data:;" in page.find("meta")[1].attributes["content"]


def test_the_same_report_gives_the_same_files(tmp_path: Path) -> None:
    one, two = directory(sample(), tmp_path / "one").parent, directory(sample(), tmp_path / "two").parent
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_file_names(text: str, tmp_path: Path) -> None:
    directory(hostile(text), tmp_path)
    names = sorted(p.name for p in (tmp_path / "figures").iterdir())
    assert names == ["maps.png", "moving.gif", "photo.png"]
