"""A real browser for the page: the system's Chromium, without a network.

The tests are skipped, in one line, where there is none; REPORTGEN_CHROMIUM names another one.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reportgen import Report, build
from reportgen.page.save import save
from tests.page.sample import sample

#: The shell without windows first: it takes 0.4 of the processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def browser() -> Iterator:
    """Chromium, started once. Closed after these tests: until then playwright has an event loop running here."""
    found = os.environ.get("REPORTGEN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no Chromium: install one, or name it in REPORTGEN_CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--force-color-profile=srgb", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample report as one file."""
    return save(sample(), tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="session")
def built(recorded) -> Report:
    """The report of the tiny run."""
    return build(recorded, embedding="pca")


@pytest.fixture(scope="session")
def real(built, tmp_path_factory) -> Path:
    """The same as one file."""
    return built.save(tmp_path_factory.mktemp("real") / "report.html")


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """visit(path or url, **context options) -> page, loaded; what went wrong in it is in page.complaints.

    Complaints are console messages, script errors, violations of the page's policy, and every
    request but for the page's own files. They must be none when the test ends.
    """
    contexts, pages = [], []

    def go(target: Path | str, **options):
        options.setdefault("viewport", {"width": 1400, "height": 900})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        pages.append(page)
        page.complaints = []
        url = target.as_uri() if isinstance(target, Path) else target
        allowed = (url.rpartition("/")[0] + "/", "data:")

        def route(handler) -> None:
            if handler.request.url.startswith(allowed):
                handler.continue_()
            else:
                page.complaints.append(f"request: {handler.request.url[:200]}")
                handler.abort()

        context.route("**/*", route)
        page.on("console", lambda message: page.complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => "
            "console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));"
        )
        page.goto(url)
        if options.get("java_script_enabled", True):
            # What is off the screen is laid out after this moment (templates/js/loading.js).
            page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(() => setTimeout(done))))")
        return page

    yield go
    complaints = [complaint for page in pages for complaint in page.complaints]
    for context in contexts:
        context.close()
    assert complaints == []
