"""From a phone to a wide screen: nothing is cut without a sign, panels wrap, room is used; themes; the folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reportgen import build
from reportgen.core.report import FigureRow, Fold, Section
from reportgen.figures.chart import chart
from reportgen.figures.curves import curves, panels
from reportgen.figures.matrices import confusion
from reportgen.figures.scatter import embedding_multiples
from reportgen.page.save import save
from tests.page.sample import sample


@pytest.fixture(scope="module")
def page_file(recorded, tmp_path_factory) -> Path:
    """A real page, which has charts of several panels, wide tables and mosaics."""
    return build(recorded, embedding="pca").save(tmp_path_factory.mktemp("widths") / "r.html")


@pytest.mark.parametrize("width", [320, 380, 768, 1400, 1920])
def test_what_is_wider_than_its_place_says_so(visit, page_file: Path, width: int) -> None:
    page = visit(page_file, viewport={"width": width, "height": 900})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    boxes = "[...document.querySelectorAll('.scroll')].filter((b) => b.clientWidth && b.checkVisibility())"
    cut = f"{boxes}.filter((b) => b.scrollWidth > b.clientWidth + 1)"
    assert page.evaluate(f"{cut}.every((b) => b.matches('.over'))")
    assert page.evaluate(f"{boxes}.every((b) => b.scrollWidth > b.clientWidth + 1 || !b.matches('.over'))")
    if width >= 1400:
        assert page.evaluate(f"{cut}.length") <= 2
    sign = "getComputedStyle(document.querySelector('.scroll.over'), '::before').content"
    if width <= 380:
        assert "scrolls sideways" in page.evaluate(sign)


def test_a_window_that_was_narrow_is_as_wide_again(visit, page_file: Path) -> None:
    def widths(page) -> list[str]:
        page.wait_for_timeout(300)
        return page.evaluate("[...document.querySelectorAll('svg.tiles')].map((svg) => svg.getAttribute('width'))")

    fresh = widths(visit(page_file, viewport={"width": 1400, "height": 900}))
    page = visit(page_file, viewport={"width": 200, "height": 900})
    assert widths(page) != fresh
    page.set_viewport_size({"width": 1400, "height": 900})
    assert widths(page) == fresh


def test_a_phone_shows_the_whole_confusion_matrix_of_ten_classes(visit, page_file: Path) -> None:
    page = visit(page_file, viewport={"width": 380, "height": 900})
    box = page.locator("#mistakes-confusion .scroll")
    assert box.evaluate("(e) => e.scrollWidth <= e.clientWidth && !e.matches('.over')")
    sizes = box.evaluate("(e) => [...e.querySelectorAll('text')].map((t) => t.getBoundingClientRect().height)")
    assert min(sizes) >= 9


def test_panels_stand_side_by_side_or_below_one_another(visit, tmp_path: Path) -> None:
    at = np.arange(4)
    figures = (
        chart("two", curves(at, {"a": at}, {"a": at / 4}), alt="Two panels.", caption="."),
        chart("three", panels(at, {"x": at, "y": at, "z": at}, {"z": 1.0}), alt="Three panels.", caption="."),
    )
    file = save(replace(sample(), sections=(Section("s", "S", "", figures),)), tmp_path / "r.html")
    for width, rows in ((1400, [1, 1]), (380, [2, 3])):
        page = visit(file, viewport={"width": width, "height": 900})
        assert page.get_by_role("img", name="Three panels.").is_visible()
        tops = "(id) => [...document.querySelectorAll(`#${id} svg`)].map((s) => s.getBoundingClientRect().top)"
        assert [len(set(page.evaluate(tops, name))) for name in ("two", "three")] == rows


@pytest.mark.parametrize("width", [320, 380])
def test_the_words_in_small_frames_can_be_read_on_a_phone(visit, tmp_path: Path, width: int) -> None:
    frames, labels = np.random.default_rng(0).normal(size=(6, 60, 2)), np.arange(60) % 3
    scene = embedding_multiples(list(frames), [f"epoch {i}" for i in range(6)], labels, ["cat", "dog", "cow"])
    figures = (chart("frames", scene, alt="Six frames.", caption=".", wide=True),)
    file = save(replace(sample(), sections=(Section("s", "S", "", figures),)), tmp_path / "r.html")
    page = visit(file, viewport={"width": width, "height": 900})
    sizes = page.evaluate("[...document.querySelectorAll('#frames text')].map((t) => t.getBoundingClientRect().height)")
    assert len(sizes) == 9 and min(sizes) >= 11


def test_a_wide_screen_has_the_curves_beside_the_embedding(visit, page_file: Path) -> None:
    page = visit(page_file, viewport={"width": 1920, "height": 1000})
    left, right = (page.locator(f"#{anchor}").bounding_box() for anchor in ("embedding", "curves"))
    assert left["y"] == right["y"] and left["x"] + left["width"] < right["x"]


def test_forced_colours_mark_one_entry_of_the_contents(visit, page_file: Path) -> None:
    page = visit(page_file, forced_colors="active")
    page.mouse.wheel(0, 900)
    page.wait_for_timeout(300)
    colors = page.evaluate(
        "[...document.querySelectorAll('.side li a')].map((a) => getComputedStyle(a).borderLeftColor)"
    )
    assert sum(color != max(colors, key=colors.count) for color in colors) == 1


def test_a_drawing_in_a_row_within_a_fold_is_as_wide_as_elsewhere(visit, tmp_path: Path) -> None:
    scene = confusion(np.eye(10, dtype=np.int64), [str(digit) for digit in range(10)])
    figure = chart("plain", scene, alt="A matrix.", caption=".")
    blocks = (FigureRow((figure,)), Fold("A fold", (FigureRow((replace(figure, name="within"),)),)))
    file = save(replace(sample(), sections=(Section("s", "S", "", blocks),)), tmp_path / "r.html")
    page = visit(file, viewport={"width": 1400, "height": 900})
    page.locator("details:has(#within)").evaluate("(fold) => (fold.open = true)")
    outside, within = (page.locator(f"#{name} .picture").bounding_box()["width"] for name in ("plain", "within"))
    assert outside == within > 300
