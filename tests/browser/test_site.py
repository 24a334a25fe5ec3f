"""The index of many runs in a browser: it sorts, filters, leads to pages, and needs no script to be read."""

import pytest

from reportgen.core.files import write
from reportgen.page.html import html
from reportgen.sections.runs import Entry, index


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    entries = [
        Entry(f"run {i}", f"runs/{i}.html", "LeNet" if i % 2 else "CNN", "2026-01-01", metrics={"val_accuracy": i / 20},
              curve="val_accuracy", values=(0.0, i / 40, i / 20))
        for i in range(18)
    ]  # fmt: skip
    for entry in entries:
        write(folder / entry.page, f"<!DOCTYPE html><title>{entry.name}</title>")
    return write(folder / "index.html", html(index(entries, "site", None, {})))


def names(page):
    return page.locator("#runs tbody tr:not([hidden]) th").all_inner_texts()


def test_it_sorts_and_filters(visit, site):
    page = visit(site)
    page.get_by_role("button", name="Test accuracy").click()
    assert names(page)[:2] == ["run 17", "run 16"]
    page.get_by_role("button", name="curve").click()
    assert names(page)[0] == "run 0"
    page.get_by_label("Rows that contain").fill("LeNet")
    assert len(names(page)) == 9
    page.get_by_role("link", name="run 3").click()
    assert page.title() == "run 3"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_read_without_a_script_and_on_a_phone(visit, site, theme):
    page = visit(site, java_script_enabled=False, color_scheme=theme, viewport={"width": 390, "height": 844})
    assert len(names(page)) == 18
    curve = page.locator("td svg").nth(1)
    assert curve.get_attribute("aria-label") == "Test accuracy from 0 to 0.05"
    box = curve.bounding_box()
    assert box["width"] > 60 and box["height"] > 15
