"""The living embedding: points where the coordinates say, in the page's colours; by pointer, touch and keyboard."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from reportgen import build
from reportgen.page.save import save
from tests.browser.test_story import told_of
from tests.page.sample import clouds, examples, sample

COLORS = ["3f90da", "ffa90e", "bd1f01", "94a4a2", "832db6", "a96b59", "e76300", "b9ac70", "717581", "92dadd"]


@pytest.fixture
def cloud(visit, report_file):
    def opened(**options):
        page = visit(report_file, **options)
        page.locator(".cloud canvas").wait_for()
        return page

    return opened


def frame(page, number: int) -> None:
    slider = page.get_by_role("slider", name="Frame")
    slider.press("Home")
    for _ in range(number):
        slider.press("ArrowRight")


def side(page) -> float:
    return page.locator(".cloud canvas[role]").bounding_box()["width"]


def place_of(page, index: int, number: int) -> tuple[float, float]:
    """CSS pixels on the canvas."""
    x, y = clouds()[0][number, index]
    room = side(page) - 16
    return 8 + x * room, 8 + y * room


def pixels(page) -> np.ndarray:
    shot = page.locator(".cloud canvas[role]").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


@pytest.mark.parametrize("scale", [1, 2])
def test_points_stand_at_their_places_in_their_colours_at_any_zoom(cloud, scale) -> None:
    page = cloud(device_scale_factor=scale)
    for number in (5, 3):
        frame(page, number)
        page.mouse.move(0, 0)
        seen = pixels(page)
        assert seen.shape[0] == pytest.approx(side(page) * scale, abs=2), "drawn in the screen's own pixels"
        found = 0
        for index in range(0, 580, 20):
            x, y = (round(at * scale) for at in place_of(page, index, number))
            around = seen[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].reshape(-1, 3)
            color = list(bytes.fromhex(COLORS[clouds()[1][index]]))
            found += bool((np.abs(around - color).max(axis=1) < 40).any())
        # Names and later points cover some.
        assert found >= 22


def test_the_pointer_and_the_finger_show_the_example(cloud) -> None:
    page = cloud()
    frame(page, 4)
    card = page.locator(".card")
    assert "Point at an example" in card.inner_text()
    canvas = page.locator(".cloud canvas[role]")
    # A point that stands alone: the one furthest from its nearest neighbour.
    places = clouds()[0][4, :580]
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(580) * 9
    index = int(gaps.min(axis=1).argmax())
    x, y = place_of(page, index, 4)
    canvas.hover(position={"x": x, "y": y})
    label = int(clouds()[1][index])
    sure, guess = (55, (label + 1) % 10) if index % 40 == 4 else (90, label)
    lines = [line for line in card.inner_text().split("\n") if line.strip()]
    assert lines[:2] == [f"text {index}", f"Training image {index}"]
    assert lines[2:] == ["true", str(label), "predicted", f"{guess} ({sure}\N{NO-BREAK SPACE}%)", "Its story"]
    page.mouse.move(0, 0)
    assert "Point at an example" in card.inner_text()
    canvas.click(position={"x": x, "y": y})
    page.mouse.move(0, 0)
    assert f"Training image {index}" in card.inner_text(), "a chosen one stays"
    page.get_by_role("slider", name="Frame").press("Home")
    assert f"Training image {index}" in card.inner_text()
    card.get_by_role("link", name="Its story").click()
    assert page.url.endswith(f"#example-t{index}")
    told_of(page, f"Training image {index}")


def test_a_touch_near_a_point_chooses_it(cloud) -> None:
    page = cloud(has_touch=True, viewport={"width": 380, "height": 800})
    x, y = place_of(page, 30, 5)
    page.locator(".cloud canvas[role]").tap(position={"x": x, "y": y})
    assert re.search(r"Training image \d+", page.locator(".card").inner_text())


def test_the_keyboard_reaches_every_point_and_says_it(cloud) -> None:
    page = cloud()
    canvas, said = page.locator(".cloud canvas[role]"), page.locator(".cloud [role=status]")
    canvas.focus()
    page.keyboard.press("Home")
    seen = [said.text_content()]
    assert seen[0] == "training image 0, true 0, predicted 0 (90\N{NO-BREAK SPACE}%)"
    page.evaluate(
        """() => {
          window.heard = [];
          const status = document.querySelector(".cloud [role=status]");
          new MutationObserver(() => window.heard.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    page.get_by_label("evaluation images").check()
    canvas.focus()
    for _ in range(610):
        page.keyboard.press("PageDown")
    heard = page.evaluate("window.heard")
    named = [text.split(",")[0] for text in dict.fromkeys(heard)]
    # All but the one that has no place.
    assert named == [f"training image {i}" for i in range(1, 580)] + [f"evaluation image {i}" for i in range(100, 119)]
    page.keyboard.press("Escape")
    assert "Point at an example" in page.locator(".card").inner_text()
    page.keyboard.press("ArrowLeft")
    for key, axis, sign in (("ArrowRight", 0, 1), ("ArrowDown", 1, 1), ("ArrowLeft", 0, -1), ("ArrowUp", 1, -1)):
        before = chosen(page)
        page.keyboard.press(key)
        after = chosen(page)
        places = clouds()[0][5]
        step = (places[after] - places[before]) * sign
        assert step[axis] > 0 and step[axis] >= abs(step[1 - axis]) - 1e-3, key
    page.keyboard.press("Enter")
    assert page.url.endswith("#example-" + ("" if chosen(page) >= 580 else "t") + name_of(page))


def name_of(page) -> str:
    return re.search(r"(\d+)$", page.locator(".card-title").inner_text())[1]


def chosen(page) -> int:
    title = page.locator(".card-title").inner_text()
    return int(name_of(page)) + (480 if title.startswith("Evaluation") else 0)


def test_what_is_shown_can_be_chosen(cloud) -> None:
    page = cloud()
    everything = pixels(page)
    drawn = lambda: int((pixels(page) != everything[0, 0]).any(axis=2).sum())  # noqa: E731
    all_of_it = drawn()
    page.get_by_label("errors only").check()
    few = drawn()
    assert 0 < few < all_of_it / 8
    page.get_by_label("training images").uncheck()
    assert drawn() == 0
    page.get_by_label("training images").check()
    page.get_by_label("errors only").uncheck()
    assert np.array_equal(pixels(page), everything)
    page.get_by_label("Class to highlight").select_option("3")
    grey = list(bytes.fromhex(COLORS[3]))
    seen = pixels(page)
    assert (np.abs(seen - grey).max(axis=2) < 12).any() and not (seen == list(bytes.fromhex(COLORS[2]))).all(
        axis=2
    ).any()


def test_a_chosen_point_has_its_trail(cloud) -> None:
    page = cloud()
    page.get_by_label("training images").uncheck()
    page.get_by_label("evaluation images").check()
    frame(page, 5)
    canvas = page.locator(".cloud canvas[role]")
    without = pixels(page)
    canvas.focus()
    page.keyboard.press("Home")
    page.mouse.move(0, 0)
    changed = np.argwhere((pixels(page) != without).any(axis=2))
    start, end = (np.array(place_of(page, 580, number))[::-1] for number in (0, 5))
    for place in (start, (start + end) / 2, end):
        assert np.linalg.norm(changed - place, axis=1).min() < 8


def test_play_moves_and_stops_and_the_curves_follow(cloud) -> None:
    from playwright.sync_api import expect

    page = cloud()
    name = page.locator(".player output")
    assert name.text_content() == "epoch 5"
    page.get_by_role("button", name="Play").press("Enter")
    expect(name).to_have_text("epoch 2")
    page.get_by_role("button", name="Pause").press("Space")
    stopped = name.text_content()
    page.wait_for_timeout(800)
    assert name.text_content() == stopped
    page.get_by_role("button", name="Play").click()
    expect(name).to_have_text("epoch 5", timeout=10_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible(timeout=10_000)
    link = page.get_by_role("link", name="Save as GIF")
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "embedding.gif"


def test_its_epoch_stands_on_the_curves(visit, recorded, tmp_path) -> None:
    page = visit(build(recorded, embedding="pca").save(tmp_path / "r.html"))
    page.locator(".cloud canvas").wait_for()
    hooks = page.locator("#curves-chart [data-across]")
    assert hooks.count() == 2
    for number in (2, 0, 1):
        frame(page, number)
        for hook in hooks.all():
            low, left, high, right, top, bottom = map(float, hook.get_attribute("data-across").split())
            assert (low, high) == (0, 2)
            x = left + (right - left) * number / 2
            assert hook.get_attribute("d") == f"M{x:.1f} {top:g}V{bottom:g}"


def test_less_motion_jumps_from_frame_to_frame(cloud) -> None:
    from playwright.sync_api import expect

    page = cloud(reduced_motion="reduce")
    expected = []
    for number in range(6):
        frame(page, number)
        expected.append(pixels(page).tobytes())
    page.get_by_role("button", name="Play").click()
    for _ in range(12):
        assert pixels(page).tobytes() in expected
    expect(page.locator(".player output")).to_have_text("epoch 5", timeout=10_000)


def test_it_is_drawn_in_the_theme_and_in_forced_colours(cloud) -> None:
    page = cloud(color_scheme="dark")
    assert pixels(page)[0, 0].tolist() == [0x11, 0x14, 0x18]
    page.get_by_role("button", name="Light theme").first.click()
    assert pixels(page)[0, 0].tolist() == [255, 255, 255]
    forced = pixels(cloud(forced_colors="active"))
    # Of the classes no colour is left: their names tell them apart.
    assert np.abs(forced - forced.mean(axis=2, keepdims=True)).max() < 60


def test_without_it_the_still_and_the_film_stand_there(visit, report_file) -> None:
    page = visit(report_file, java_script_enabled=False)
    assert page.locator(".still svg").is_visible() and not page.locator(".cloud").count()
    page = visit(report_file)
    page.locator(".cloud canvas").wait_for()
    assert not page.locator(".still").is_visible() and not page.locator(".moving").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".still svg").is_visible() and not page.locator(".cloud").is_visible()


def test_the_film_is_dark_on_a_dark_page(visit, report_file) -> None:
    page = visit(report_file, java_script_enabled=False, color_scheme="dark")
    page.get_by_text("Play the animation").click()
    film = page.locator(".film")
    film.wait_for()
    seen = np.asarray(Image.open(io.BytesIO(film.screenshot())).convert("RGB")).astype(int)
    values, counts = np.unique(seen.reshape(-1, 3), axis=0, return_counts=True)
    assert np.abs(values[counts.argmax()] - [0x11, 0x14, 0x18]).max() <= 2


def test_many_classes_have_no_colours_but_the_one_that_is_highlighted(visit, tmp_path) -> None:
    from dataclasses import replace

    report = sample()
    section = report.sections[1]
    blocks = tuple(
        examples(classes=[f"class {i}" for i in range(40)]) if hasattr(b, "data") else b for b in section.blocks
    )
    report = replace(report, sections=(report.sections[0], replace(section, blocks=blocks), *report.sections[2:]))
    page = visit(save(report, tmp_path / "r.html"))
    page.locator(".cloud canvas").wait_for()
    assert np.abs(np.diff(pixels(page), axis=2)).max() < 30, "grey"
    page.get_by_label("Class to highlight").select_option("4")
    assert np.abs(np.diff(pixels(page), axis=2)).max() > 50
