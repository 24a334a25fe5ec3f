"""The report in a notebook: a frame of its own, with its scripts at work and locked away from the page around it."""

from pathlib import Path

import pytest

from reportgen.reported import Report
from tests.page.parsing import parse
from tests.page.sample import HOSTILE, hostile, sample


def notebook(tmp_path: Path, report: Report) -> Path:
    """A page as a notebook makes it: the frame among other output, with a script and storage of its own."""
    path = tmp_path / "notebook.html"
    page = (
        f"<!DOCTYPE html><meta charset=utf-8><title>nb</title><p>above</p>{report._repr_html_()}<p id=below>below</p>"
    )
    path.write_text(page, encoding="utf-8")
    return path


def test_the_frame_shows_the_whole_report(visit, tmp_path: Path) -> None:
    page = visit(notebook(tmp_path, Report(sample())))
    page.locator("iframe").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe")
    frame.locator("h1").wait_for()
    assert frame.locator("h1").text_content() == sample().title
    assert frame.locator(".enlarge").count() == 8, "its scripts run"
    frame.get_by_role("slider", name="Frame").focus()
    page.keyboard.press("Home")
    assert frame.locator(".player output").text_content() == "before training"
    frame.get_by_role("button", name="Dark theme").locator("visible=true").click()
    assert frame.locator("html").get_attribute("data-theme") == "dark"
    frame.locator(f"nav.side a[href='#{sample().sections[2].anchor}']").click()
    assert page.url.endswith("notebook.html") and page.frames[1].url == "about:srcdoc"
    heading = frame.get_by_role("heading", name=sample().sections[2].title)
    assert 0 <= heading.evaluate("(heading) => heading.getBoundingClientRect().top") < 720, "it leads there"
    frame.locator("#dense-maps .number").evaluate("(link) => link.click()")
    assert frame.locator("#dense-maps svg.tiles").is_visible(), "and opens the fold"
    assert page.locator("#below").text_content() == "below"


def test_it_can_not_reach_what_is_around_it(visit, tmp_path: Path) -> None:
    page = visit(notebook(tmp_path, Report(sample())))
    page.locator("iframe").scroll_into_view_if_needed()
    page.frame_locator("iframe").locator("h1").wait_for()
    inside = page.frames[1]
    assert inside.evaluate("window.origin") == "null"
    for reach in ("parent.document.title", "localStorage.length", "document.cookie"):
        assert inside.evaluate(f"(() => {{ try {{ return {reach}; }} catch (error) {{ return error.name; }} }})()") == (
            "SecurityError"
        ), reach


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_hostile_text_stays_inside(visit, tmp_path: Path, index: int) -> None:
    report = Report(hostile(HOSTILE[index]))
    assert [element.tag for element in parse(report._repr_html_()).walk()] == ["#root", "iframe"]
    page = visit(notebook(tmp_path, report))
    page.locator("iframe").scroll_into_view_if_needed()
    assert page.frame_locator("iframe").locator("h1").text_content()[:3] == HOSTILE[index][:3]
