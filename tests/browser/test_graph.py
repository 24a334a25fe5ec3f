"""The network's drawing in Chromium: a map that mouse and keyboard read, with and without a script, in every theme."""

import pytest

from reportgen import build
from tests.browser.waiting import until


@pytest.fixture(scope="module")
def page_file(recorded, tmp_path_factory):
    return build(recorded, embedding="pca").save(tmp_path_factory.mktemp("graph") / "report.html")


IN_SIGHT = """id => {
  const target = document.getElementById(id), box = target.getBoundingClientRect();
  return !target.closest('details:not([open])') && box.top < window.innerHeight && box.bottom > 0;
}"""


@pytest.mark.parametrize("scripts", [True, False])
def test_a_click_and_enter_lead_to_the_layers_maps(visit, page_file, scripts):
    page = visit(page_file, viewport={"width": 1280, "height": 900}, java_script_enabled=scripts)
    links = page.locator("#graph-whole svg a")
    for link, follow in ((links.first, lambda link: link.press("Enter")), (links.last, lambda link: link.click())):
        target = link.get_attribute("href")[1:]
        assert target.startswith("maps-")
        follow(link)
        page.wait_for_url(f"**#{target}")
        if scripts:
            until(page, IN_SIGHT, arg=target)


def test_a_link_in_the_enlarged_drawing_leads_back_to_the_page(visit, page_file):
    page = visit(page_file, viewport={"width": 1280, "height": 900})
    page.locator("#graph-whole .enlarge").press("Enter")
    link = page.locator("dialog svg a").last
    target = link.get_attribute("href")[1:]
    link.click()
    until(page, IN_SIGHT, arg=target)
    assert not page.locator("dialog").is_visible() and page.locator("#graph-whole svg").count() == 1


def test_every_link_is_reached_by_keyboard_and_its_focus_shows(visit, page_file):
    page = visit(page_file, viewport={"width": 1280, "height": 900})
    links = page.locator("#graph-whole svg a")
    links.first.focus()
    reached = []
    for _ in range(links.count() - 1):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.closest('#graph-whole svg') && document.activeElement.getAttribute('href')"
            )
        )
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert len(reached) > 3 and all(reached)


def test_names_are_read_out_and_the_drawing_has_one(visit, page_file):
    page = visit(page_file, viewport={"width": 1280, "height": 900})
    drawing = page.locator("#graph-whole svg")
    assert drawing.get_attribute("role") == "group" and "layers" in drawing.get_attribute("aria-label")
    assert all(text.strip() for text in page.locator("#graph-whole svg a").all_text_contents())


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"forced_colors": "active"}, {"color_scheme": "light"}])
def test_text_stands_out_from_its_node_in_every_theme(visit, page_file, options):
    page = visit(page_file, viewport={"width": 320, "height": 700}, **options)
    ink = page.evaluate("getComputedStyle(document.querySelector('#graph-whole svg a text')).fill")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert luminance_apart(ink, ground) > 4.5
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def luminance_apart(one, other):
    """The contrast of two colours as CSS has them."""
    lights = []
    for color in (one, other):
        channels = [int(x) / 255 for x in color[color.index("(") + 1 : -1].split(",")[:3]]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(lights) / min(lights)


def test_paper_has_the_drawing_whole_and_no_list_of_links(visit, page_file):
    page = visit(page_file, viewport={"width": 794, "height": 1123})
    page.emulate_media(media="print")
    assert page.locator("#graph-whole svg").is_visible()
    assert not page.locator("#graph-whole .as-text").is_visible()


def test_an_epochs_measure_is_chosen_and_put_back(visit, page_file):
    page = visit(page_file, viewport={"width": 1280, "height": 900})
    figure = page.locator("#graph-whole")
    tints = "[...document.querySelectorAll('#graph-whole svg > path.accent-fill')].map((x) => x.getAttribute('d'))"
    printed, caption = page.evaluate(tints), figure.locator("figcaption > span").inner_text()
    figure.get_by_role("combobox").select_option("0 0")
    until(page, "document.querySelector('#graph-whole figcaption').textContent.includes('Last update')")
    chosen = page.evaluate(tints)
    assert chosen and chosen != printed
    assert figure.locator("svg > a").first.get_attribute("href").startswith("#maps-")
    figure.get_by_role("combobox").select_option("as printed")
    until(page, f"JSON.stringify({tints}) === JSON.stringify({printed!r})")
    assert figure.locator("figcaption > span").inner_text() == caption
