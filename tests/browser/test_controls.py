"""What the scripts add: tiles, tables, enlarged figures, all by keyboard too."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

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
