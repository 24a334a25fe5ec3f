"""What a reader takes from the page: pictures, numbers, links, citations; and how things are found by name."""

import csv
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from PIL import Image

from reportgen.page import carried
from reportgen.page.save import save
from tests.browser.waiting import until

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
SVG = "{http://www.w3.org/2000/svg}"


def taken(page, figure: str, what: str) -> bytes:
    """What the button of that name saves."""
    place = page.locator(f"#{figure}")
    place.scroll_into_view_if_needed()
    if not place.locator(".take").is_visible():
        place.locator(".takes").click()
    with page.expect_download() as download:
        place.locator(".take button", has_text=what).first.click()
    expect(place.locator(".take [role=status]")).to_have_text(f"Saved as {download.value.suggested_filename}.")
    return Path(download.value.path()).read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "figure", ["curves-chart", "mistakes-confusion", "maps-conv1-0", "embedding-epochs", "explorer-kernels"]
)
def test_a_picture_is_saved_as_it_stands_on_the_page(visit, real: Path, figure: str, scheme: str) -> None:
    page = visit(real, color_scheme=scheme)
    svg = taken(page, figure, "SVG").decode()
    root = ET.fromstring(svg)
    hrefs = [value for element in root.iter() for name, value in element.attrib.items() if name.endswith("href")]
    assert all(value.startswith(("data:image/png", "#")) for value in hrefs), "complete in itself, for any program"
    assert "class=" not in svg and "style=" not in svg and "var(" not in svg
    png = Image.open(io.BytesIO(taken(page, figure, "PNG"))).convert("RGB")
    width, height = (float(root.get(side, "")) for side in ("width", "height"))
    assert png.size == (2 * width, 2 * height)
    assert png.getpixel((2, 2)) == ((255, 255, 255) if scheme == "light" else (17, 20, 24)), "on the page's ground"
    shown = page.locator(f"#{figure} :is(.picture:visible, .plot, .explorer-views)").first
    seen = np.asarray(Image.open(io.BytesIO(shown.screenshot())).convert("L").resize((64, 64)), float)
    saved = np.asarray(png.convert("L").resize((64, 64)), float)
    assert abs(seen.mean() - saved.mean()) < 25 and saved.std() > 0.3 * seen.std()


def test_the_colour_bar_goes_with_its_picture(visit, real: Path) -> None:
    page = visit(real)
    root = ET.fromstring(taken(page, "maps-conv1-0", "SVG"))
    bar = page.locator("#maps-conv1-0 .colorbar .end")
    assert {bar.first.inner_text(), bar.last.inner_text()} <= {text.text for text in root.iter(f"{SVG}text")}
    ramp = next(root.iter(f"{SVG}linearGradient")).get("id")
    assert any(rect.get("fill") in (f"url(#{ramp})", f'url("#{ramp}")') for rect in root.iter(f"{SVG}rect"))


def same(taken: str, written: str, *, placed: bool) -> None:
    """Whether texts and whole numbers are the same, other numbers to four digits, what is `placed` to 1/4,095."""
    (head, *rows), (columns, *given) = (list(csv.reader(io.StringIO(text))) for text in (taken, written))
    assert head == columns and len(rows) == len(given)
    finest = 1.04 * np.ptp(np.array([row[-2:] for row in given], float), axis=0).max() / 4095 if placed else 0
    for name, ours, theirs in zip(head, zip(*rows, strict=True), zip(*given, strict=True), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            if a != b:
                close = {"rel": 0, "abs": finest} if placed and name in "xy" else {"rel": 5.1e-4, "abs": 0}
                assert float(a) == pytest.approx(float(b), **close), name


def test_numbers_are_the_files_that_are_written(visit, built, real: Path, tmp_path: Path) -> None:
    """All of them, from the first figure of their section."""
    built.write_numbers(tmp_path)
    page = visit(real)
    sections = page.evaluate("JSON.parse(document.getElementById('page-numbers').dataset.sections)")
    files = page.evaluate("JSON.parse(document.getElementById('page-numbers').dataset.files)")
    tables, seen = {name: table for name, _, _, table in files}, set()
    for anchor, names in sections.items():
        figure = page.locator(f"section#{anchor} .figure:has(.takes:visible)").first
        if not figure.count():
            continue
        for name in set(names) - seen:
            seen.add(name)
            got, wanted = taken(page, figure.get_attribute("id"), name), (tmp_path / name).read_bytes()
            if tables[name] is None:
                assert got == wanted, name
            else:
                same(got.decode(), wanted.decode(), placed=name == "embedding.csv")
    assert {"metrics.csv", "score.csv", "channels.csv", "activity.csv"} <= seen
    assert {name for name in seen if tables[name]}, "some are columns"


def test_columns_become_the_same_numbers(visit, built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file as columns, and what the living embedding has as its places."""
    monkeypatch.setattr(carried, "WHOLE", 300)
    monkeypatch.setattr(carried, "_known", WeakKeyDictionary())
    page = visit(save(replace(built.document), tmp_path / "report.html"))
    built.write_numbers(tmp_path)
    for figure, name in (
        ("embedding-epochs", "embedding.csv"),
        ("curves-chart", "metrics.csv"),
        ("mistakes-confusion", "predictions.csv"),
        ("health-score", "score.csv"),
        ("activity-conv1-relu", "activity.csv"),
        ("maps-conv1-0", "channels.csv"),
    ):
        got = taken(page, figure, name).decode()
        same(got, (tmp_path / name).read_text(), placed=name == "embedding.csv")
    note = page.locator("#maps-conv1-0 .take").inner_text()
    assert "channels.csv, channel_ranges.csv: rounded, in full with --numbers." in note


def test_what_is_copied_is_a_picture_and_a_citation(visit, real: Path) -> None:
    page = visit(real, permissions=["clipboard-read", "clipboard-write"])
    place = page.locator("#curves-chart")
    place.locator(".takes").press("Enter")
    assert place.locator(".takes").get_attribute("aria-expanded") == "true"
    status = place.locator(".take [role=status]")
    for what, kind in (
        ("copy PNG", "image/png"),
        ("copy SVG", "text/plain"),
        ("copy link", "text/plain"),
        ("copy citation", "text/plain"),
    ):
        place.locator(".take button", has_text=what).click()
        expect(status).to_have_text("Copied.")
        assert page.evaluate("async () => (await navigator.clipboard.read())[0].types") == [kind]
        if what == "copy SVG":
            ET.fromstring(page.evaluate("navigator.clipboard.readText()"))
    cited = page.evaluate("navigator.clipboard.readText()")
    assert cited.startswith(page.locator("h1").inner_text()) and cited.endswith(f"{real.as_uri()}#curves-chart")
    number = place.locator("figcaption .number").inner_text().rstrip(".")
    assert re.search(rf"\. {number}\. .*reportgen", cited)
    place.locator(".takes").press("Enter")
    assert not place.locator(".take").is_visible()


def test_without_a_script_and_on_paper_there_is_nothing_to_press(visit, real: Path) -> None:
    page = visit(real, java_script_enabled=False)
    assert page.locator(".takes, .take, .search").count() == 0
    page = visit(real)
    page.locator("#curves-chart .takes").click()
    page.emulate_media(media="print")
    assert (
        not page.locator("#curves-chart .take").is_visible() and not page.locator("#curves-chart .takes").is_visible()
    )


@pytest.mark.parametrize("width", [320, 1400])
def test_things_are_found_by_name_with_the_keyboard(visit, real: Path, width: int) -> None:
    page = visit(real, viewport={"width": width, "height": 800})
    page.keyboard.press("/")
    page.keyboard.type("HEALTH of")
    box = page.locator(".search input:focus")
    found = page.locator(".search:has(input:focus) li a")
    assert found.first.inner_text() == "Health of the training"
    box.press("Enter")
    assert page.evaluate("location.hash") == "#health"
    until(page, "Math.abs(document.getElementById('health').getBoundingClientRect().top) < 200")
    page.keyboard.press("/")
    page.keyboard.press("Control+A")
    page.keyboard.type("conv1/relu")
    assert page.locator(".search:has(input:focus) [role=status]").inner_text().startswith("The first 12 of ")
    assert "conv1/relu · All channels" in found.all_inner_texts()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent").startswith("conv1/relu")
    page.keyboard.press("ArrowUp")
    page.keyboard.type("nothing like it")
    assert page.locator(".search:has(input:focus) [role=status]").inner_text() == "Nothing has that name."
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.value") == ""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_slash_in_a_box_is_a_slash(visit, real: Path) -> None:
    page = visit(real)
    box = page.locator(".search input:visible")
    box.fill("conv1")
    box.press("/")
    assert box.input_value() == "conv1/"
