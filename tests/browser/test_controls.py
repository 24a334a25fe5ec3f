"""What the scripts add: tiles, tables, enlarged figures, all by keyboard too."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen.page.save import save
from tests.browser.test_story import told_of
from tests.page.sample import sample


def test_a_tile_tells_its_number_and_values(visit, report_file: Path) -> None:
    page = visit(report_file)
    figure = page.locator("#conv1-maps")
    values = sample().sections[2].blocks[0].picture.values
    readout = figure.get_by_role("status")
    assert readout.text_content() == ""
    # The middle of tile 10: row 1, column 2, of 26 x 26 values, four pixels each, gap 1.
    figure.locator("svg.tiles").hover(position={"x": 2 * 108 + 52, "y": 14 + 104 + 18 + 52})
    assert readout.text_content() == f"10: {values[10]}"
    page.mouse.move(0, 0)
    assert readout.text_content() == ""
    figure.get_by_role("group").first.focus()
    for key, tile in (
        ("ArrowRight", 0),
        ("ArrowRight", 1),
        ("ArrowDown", 9),
        ("ArrowLeft", 8),
        ("ArrowDown", 8),
        ("ArrowUp", 0),
    ):
        page.keyboard.press(key)
        assert readout.text_content() == f"{tile}: {values[tile]}", key


def test_mosaics_are_shown_pixel_by_pixel(visit, report_file: Path) -> None:
    """What is seen of tile 13 is the raster's tile, each value four pixels wide and high."""
    page = visit(report_file)
    picture = sample().sections[2].blocks[0].picture
    with Image.open(io.BytesIO(picture.raster.data)) as raster:
        native = np.asarray(raster)[..., 0]
    y, x = 1 + 1 * 27, 1 + 5 * 27
    expected = np.kron(native[y : y + 26, x : x + 26], np.ones((4, 4), np.uint8))
    svg = page.locator("#conv1-maps svg.tiles")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    assert box is not None and box["x"] % 1 == 0
    top = round(box["y"] + 14 + 122)
    page.mouse.move(0, 0)
    shot = page.screenshot(clip={"x": box["x"] + 5 * 108, "y": top, "width": 104, "height": 104})
    seen = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
    assert np.abs(seen.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("width", [320, 380, 768])
def test_mosaics_wrap_where_they_are_narrow(visit, report_file: Path, width: int) -> None:
    page = visit(report_file, viewport={"width": width, "height": 900})
    page.wait_for_timeout(300)
    box, svg = page.locator("#conv1-maps .picture"), page.locator("#conv1-maps svg.tiles")
    svg.scroll_into_view_if_needed()
    assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth + 1 && !box.matches('.over')")
    columns = int((svg.bounding_box()["width"] - 2 + 4) // 108)
    assert columns == {320: 2, 380: 3, 768: 6}[width]
    # Tile 13 shows what stands at its place in the raster, and is called so.
    picture = sample().sections[2].blocks[0].picture
    with Image.open(io.BytesIO(picture.raster.data)) as raster:
        native = np.asarray(raster)[..., 0]
    expected = np.kron(native[28 : 28 + 26, 1 + 5 * 27 : 1 + 5 * 27 + 26], np.ones((4, 4), np.uint8))
    left, top = 108 * (13 % columns), 14 + 122 * (13 // columns)
    svg.hover(position={"x": left + 50, "y": top + 50})
    assert page.locator("#conv1-maps [role=status]").text_content() == f"13: {picture.values[13]}"
    page.mouse.move(0, 0)
    at = svg.bounding_box()
    page.evaluate(f"scrollBy(0, {round(at['y']) + top - 100})")
    at = svg.bounding_box()
    shot = page.screenshot(clip={"x": at["x"] + left, "y": at["y"] + top, "width": 104, "height": 104})
    seen = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
    assert (np.abs(seen.astype(int) - expected) <= 1).mean() > 0.97
    names = svg.locator("text").all_text_contents()
    assert names == [str(i) for i in range(16)]
    page.set_viewport_size({"width": 1400, "height": 900})
    page.wait_for_timeout(200)
    assert svg.get_attribute("width") == str(8 * 108 - 4 + 2)


def test_a_tile_that_is_an_example_leads_to_its_story(visit, tmp_path: Path) -> None:
    report = sample()
    section = report.sections[1]
    blocks = tuple(
        replace(b, picture=replace(b.picture, links=tuple(f"example-{100 + i}" for i in range(20))))
        if getattr(b, "name", "") == "misclassified"
        else b
        for b in section.blocks
    )
    page = visit(
        save(replace(report, sections=(*report.sections[:1], replace(section, blocks=blocks))), tmp_path / "r.html")
    )
    page.locator(".story h3").wait_for()
    page.locator("#misclassified svg.tiles").click(position={"x": 30, "y": 40})
    told_of(page, "Evaluation image 100")
    assert not page.locator("dialog.enlarged").is_visible()
    page.locator("#misclassified .picture").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    told_of(page, "Evaluation image 102")


def test_a_figure_is_enlarged_and_put_back(visit, report_file: Path) -> None:
    page = visit(report_file)
    dialog = page.locator("dialog.enlarged")
    for name in ("curves", "conv1-maps", "input"):
        figure = page.locator(f"#{name}")
        picture = figure.locator(".picture > svg, .picture > img")
        before = picture.bounding_box()
        button = figure.locator(".enlarge")
        button.focus()
        page.keyboard.press("Enter")
        assert dialog.is_visible()
        after = dialog.locator(".picture > svg, .picture > img").bounding_box()
        assert after["width"] > before["width"] * 1.2 and after["height"] > before["height"] * 1.2, name
        if name != "curves":
            # Whole pixels only: of the mosaic, four for each as the page shows it, and of the image's 28.
            shown = before["width"] / 4 if name == "conv1-maps" else 28
            assert after["width"] % shown == 0
        page.keyboard.press("Escape")
        assert not dialog.is_visible()
        assert {**picture.bounding_box(), "y": 0} == {**before, "y": 0}
        assert figure.locator(".picture + figcaption, .picture + .colorbar").count() == 1, "back in its place"
        assert button.evaluate("(button) => button === document.activeElement")
    page.locator("#conv2-maps .picture").click()
    assert dialog.is_visible()
    dialog.get_by_role("button", name="Close").click()
    assert page.locator("#conv2-maps svg.tiles").is_visible()


def column(page, index: int) -> list[str]:
    return page.locator(f"#layers tbody tr:visible > :nth-child({index + 1})").all_text_contents()


def test_tables_sort_both_ways_and_back(visit, report_file: Path) -> None:
    page = visit(report_file)
    before = column(page, 0)
    head = page.locator("#layers").get_by_role("columnheader", name="parameters")
    button = head.get_by_role("button")
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 0) == before[::-1]
    button.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending" and column(page, 0) == before
    notes = page.locator("#layers").get_by_role("columnheader", name="note").get_by_role("button")
    notes.click()
    assert column(page, 5) == ["dead: 2 of 16"] * 6 + ["no data"] * 12
    notes.click()
    assert column(page, 5) == ["dead: 2 of 16"] * 6 + ["no data"] * 12, "no data stays last"
    notes.click()
    assert column(page, 0) == before and not page.locator("[aria-sort]").count()


def test_long_tables_are_narrowed_by_a_text(visit, report_file: Path) -> None:
    page = visit(report_file)
    page.get_by_label("Rows that contain").fill("BLOCK_1")
    assert column(page, 0) == ["Block_1/Conv_4", "Block_1/relu_5", "Block_1/max_pool_6", "Block_1/Dense_7"]
    assert page.locator(".filter [role=status]").text_content() == "4 of 18 rows"
    page.get_by_label("Rows that contain").fill("")
    assert len(column(page, 0)) == 18


def test_the_tab_key_reaches_every_control(visit, report_file: Path) -> None:
    page = visit(report_file)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    # What fits needs no stop; the page notices at its next frames.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    wanted = page.evaluate(
        """() => {
          const all = [...document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")];
          const shown = all.filter((e) => e.checkVisibility());
          shown.forEach((element, index) => { element.dataset.stop = index; });
          return shown.length;
        }"""
    )
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        stop = page.evaluate("document.activeElement.dataset.stop ?? null")
        outlined = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if stop is not None:
            reached.add(int(stop))
            assert outlined != "none"
    assert reached == set(range(wanted)) and wanted > 40
