"""The page in Chromium: clean, locked, the same at every width, with and without its scripts."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reportgen.page.save import save
from tests.page.sample import HOSTILE, hostile, sample

WIDTHS = (320, 360, 768, 1100, 1400, 1920)


def overflow(page) -> int:
    """By how much the page is wider than its window, once it is laid out."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_the_watch_sees_what_it_should(visit, tmp_path: Path) -> None:
    """The other tests rest on `visit` complaining: so it must, about a page that does everything wrong."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<meta http-equiv='Content-Security-Policy' content=\"img-src data:; style-src 'none'\">"
        "<p style='color:red'>a</p><img src='http://example.invalid/a.png'><script>console.log('hm')</script>"
        "<script src='http://example.invalid/a.js'></script>"
    )
    page = visit(bad)
    page.wait_for_timeout(200)
    seen = " ".join(page.complaints)
    page.complaints.clear()
    assert "policy: style-src" in seen and "policy: img-src" in seen
    assert "console: hm" in seen and "request: http://example.invalid/a.js" in seen


def test_it_opens_clean(visit, report_file: Path) -> None:
    page = visit(report_file)
    assert page.title() == sample().title
    assert page.locator(".enlarge").count() == 8, "the scripts ran"
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0 || image.loading === 'lazy')")


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_hostile_text_does_nothing(visit, tmp_path: Path, index: int) -> None:
    page = visit(save(hostile(HOSTILE[index]), tmp_path / "r.html"))
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    shown = page.evaluate("document.querySelector('h1').textContent")
    assert shown[:3] == HOSTILE[index][:3]
    for width in (320, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) <= 0, width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways(visit, report_file: Path, width: int) -> None:
    page = visit(report_file, viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert overflow(page) <= 0
    assert page.locator("nav.side").is_visible() == (width >= 1100)
    assert page.locator(".top-bar").is_visible() == (width < 1100)


def test_without_scripts_the_whole_report_reads(visit, report_file: Path) -> None:
    page = visit(report_file, java_script_enabled=False)
    for section in sample().sections:
        assert page.get_by_role("heading", name=section.title).is_visible()
        assert page.get_by_text(section.finding).is_visible()
    assert page.locator("svg.tiles").first.is_visible()
    assert not page.locator(".theme-switch").first.is_visible(), "a switch that can't work is not shown"
    gif, still = page.locator(".moving img"), page.locator(".still")
    assert still.is_visible() and not gif.is_visible()
    page.get_by_text("Play the animation").click()
    assert gif.is_visible() and not still.is_visible()
    page.get_by_text("Stop the animation").click()
    assert still.is_visible() and not gif.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_reader_until_the_switch_is_used(visit, served: str, scheme: str) -> None:
    # From a server: the shell without windows now and then forgets what a file from the disk stored.
    page = visit(served, color_scheme=scheme)
    grounds = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 20, 24)"}
    ground = "getComputedStyle(document.body).backgroundColor"
    other = {"light": "dark", "dark": "light"}[scheme]
    assert page.evaluate(ground) == grounds[scheme]
    page.get_by_role("button", name=f"{other} theme").click()
    assert page.evaluate(ground) == grounds[other]
    ink = page.evaluate("getComputedStyle(document.querySelector('.ink-fill')).fill")
    assert ink == {"light": "rgb(28, 30, 33)", "dark": "rgb(230, 232, 234)"}[other], "charts change with the page"
    page.reload()
    assert page.evaluate(ground) == grounds[other], "the choice is kept"
    page.get_by_role("button", name=f"{scheme} theme").click()
    assert page.evaluate(ground) == grounds[scheme]


def test_paper_is_light_with_folds_as_they_are_and_controls_gone(visit, report_file: Path) -> None:
    page = visit(report_file, color_scheme="dark")
    page.get_by_role("button", name="Light theme").click()
    page.get_by_role("button", name="Dark theme").click()
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for gone in ("nav.side", ".top-bar", ".theme-switch", ".player", ".enlarge", ".filter", ".moving"):
        assert not page.locator(gone).locator("visible=true").count(), gone
    assert not page.locator("details.fold:visible").count(), "closed folds stay closed"
    page.evaluate("document.querySelectorAll('details.fold').forEach((fold) => { fold.open = true; })")
    for fold in page.locator("details.fold").all():
        assert fold.locator(".fold-body").is_visible()
    assert page.locator("#dense-maps svg.tiles").is_visible()
    for paper in ("A4", "Letter"):
        assert page.pdf(format=paper).startswith(b"%PDF")


def test_the_contents_follow_the_reader(visit, report_file: Path) -> None:
    from playwright.sync_api import expect

    page = visit(report_file)
    current = page.locator("nav.side a[aria-current]")
    for section in sample().sections[:3]:
        page.locator(f"nav.side a[href='#{section.anchor}']").click()
        expect(current).to_have_text(section.title)
        assert current.count() == 1
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(current).to_have_text("About this page")


def test_a_link_into_a_fold_opens_it(visit, report_file: Path) -> None:
    page = visit(f"{report_file.as_uri()}#dense-maps")
    assert page.locator("#dense-maps svg.tiles").is_visible()


class _Strict(http.server.SimpleHTTPRequestHandler):
    """A server whose policy forbids everything inline, and data: URIs."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", "default-src 'self'; object-src 'none'")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output to the test's."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    save(sample(), tmp_path, format="dir")
    handler = functools.partial(_Strict, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
        server.shutdown()
        thread.join()


def works(page) -> None:
    assert page.evaluate("getComputedStyle(document.querySelector('.key-figures')).display") == "grid"
    assert page.locator(".enlarge").count() == 8
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0 || image.loading === 'lazy')")
    slider = page.get_by_role("slider", name="Frame")
    slider.press("Home")
    assert slider.is_visible() and not page.locator(".moving img").is_visible()
    assert page.get_by_role("link", name="Save as GIF").get_attribute("href") == "figures/embedding.gif"


def test_the_folder_works_under_a_servers_strict_policy(visit, served: str) -> None:
    works(visit(served))


def test_the_folder_works_from_the_disk(visit, tmp_path: Path) -> None:
    works(visit(save(sample(), tmp_path, format="dir")))
