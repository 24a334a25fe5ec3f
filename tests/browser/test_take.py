"""What a reader takes from the page: pictures, numbers, links, citations; and how things are found by name."""

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def test_numbers_are_the_files_that_are_written(visit, built, real: Path, tmp_path: Path) -> None:
    built.write_numbers(tmp_path)
    page = visit(real)
    for figure, name in (
        ("curves-chart", "metrics.csv"),
        ("health-score", "score.csv"),
        ("mistakes-confusion", "predictions.csv"),
    ):
        assert taken(page, figure, name) == (tmp_path / name).read_bytes()


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
