"""What stands behind a text is chosen: by keyboard and by a click, in every theme; without a script it is printed."""

import numpy as np
import pytest

from reportgen.page.html import html
from tests.browser.waiting import until
from tests.sections.made import document
from tests.sections.test_attention import layer as attending
from tests.sections.test_reading import DRAWN, attention_of, run_of, states, unpacked

LENGTH = 40


@pytest.fixture(scope="module")
def context():
    layers = [attending("block", 3, LENGTH, LENGTH), states("state", LENGTH, 5)]
    values = DRAWN.normal(size=(1, LENGTH, 5)).astype(np.float32)
    maps = {"block/attention_weights": attention_of(1, 3, LENGTH), "state": values}
    return run_of(DRAWN.integers(0, 60, (1, LENGTH)), maps, layers)


@pytest.fixture(scope="module")
def page_file(context, tmp_path_factory):
    path = tmp_path_factory.mktemp("shades") / "report.html"
    path.write_text(html(document(context)), encoding="utf-8")
    return path


SHADED = """() => [...document.querySelectorAll('#reading-0 svg > path:not(.hook)')].map(
  (path) => [path.getAttribute('class'), Math.round(12 * path.getAttribute('fill-opacity') / 0.6),
             (path.getAttribute('d').match(/M/g) ?? []).length])"""


def expected(row):
    found = {(("accent-fill" if s > 0 else "c2-fill"), abs(int(s))): int((row == s).sum()) for s in np.unique(row) if s}
    return sorted([*key, count] for key, count in found.items())


def shown(page):
    return sorted(page.evaluate(SHADED))


@pytest.fixture(scope="module")
def shades(context):
    return next(
        figure.shades
        for section in document(context).sections
        if section.anchor == "reading"
        for figure in section.blocks
        if getattr(figure, "name", "") == "reading-0"
    )


def test_head_token_and_channel_are_chosen(visit, page_file, shades):
    page = visit(page_file)
    figure = page.locator("#reading-0")
    printed = shown(page)
    attention, values = unpacked(shades)
    number = figure.get_by_role("spinbutton")
    assert number.is_hidden()
    figure.get_by_role("combobox").select_option("0 1")
    number.fill("7")
    until(page, "document.querySelector('#reading-0 .hook').getAttribute('d')")
    until(page, f"({SHADED})().length === {len(expected(attention[LENGTH + 7]))}")
    assert shown(page) == expected(attention[LENGTH + 7])
    assert "block, " in figure.locator("figcaption").inner_text() and "read at 7" in figure.inner_text()
    figure.get_by_role("combobox").select_option("1 2")
    until(page, "!document.querySelector('#reading-0 .hook').getAttribute('d')")
    assert shown(page) == expected(values[2]) and number.is_hidden()
    figure.get_by_role("combobox").select_option("as printed")
    until(page, "document.querySelector('#reading-0 figcaption').textContent.includes('the bluer a token')")
    assert shown(page) == printed


def test_a_click_on_a_token_shows_what_it_reads(visit, page_file, shades):
    page = visit(page_file)
    words = page.locator("#reading-0 svg text:not([font-weight])")
    words.nth(12).click()
    until(page, "document.querySelector('#reading-0 .hook').getAttribute('d')")
    assert page.locator("#reading-0").get_by_role("spinbutton").input_value() == "12"
    assert shown(page) == expected(unpacked(shades)[0][12])


def test_it_is_reached_by_keyboard_and_has_names(visit, page_file):
    page = visit(page_file)
    select = page.locator("#reading-0").get_by_role("combobox")
    select.focus()
    page.keyboard.press("ArrowDown")
    until(page, "document.querySelector('#reading-0 .hook').getAttribute('d')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "number"
    assert "what is read at" in page.locator("#reading-0 svg").get_attribute("aria-label")


@pytest.mark.parametrize(
    "options", [{"java_script_enabled": False}, {"color_scheme": "dark"}, {"color_scheme": "light"}]
)
def test_the_strongest_is_printed_and_its_words_are_read(visit, page_file, options):
    page = visit(page_file, **options)
    assert page.locator("#reading-0 svg > path.accent-fill").count()
    if not options.get("java_script_enabled", True):
        assert page.locator("#reading-0 select").count() == 0
        return
    page.emulate_media(media="print")
    assert page.locator("#reading-0 select").is_hidden()
    assert page.locator("#reading-0 svg text").first.is_visible()
