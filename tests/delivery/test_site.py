"""The documentation site: built without a warning, complete, and whole without a network.

Needs the generator, which `make docs` installs into .venv-docs.
"""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import reportgen
from tests.delivery.blocks import ROOT

GENERATOR = ROOT / ".venv-docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    settings = GENERATOR / "pyvenv.cfg"
    python = f"{sys.version_info.major}.{sys.version_info.minor}."
    if not settings.is_file() or not re.search(rf"^version = {re.escape(python)}", settings.read_text(), re.MULTILINE):
        pytest.skip(f"no generator for Python {python} in .venv-docs; `make docs` installs it")
    target = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [ROOT / "scripts" / "docs", target],
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return target


class Page(HTMLParser):
    """Ids, links, and what is loaded without a click."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("next", "prev", "index", "search", "genindex", "canonical"):
            self.loaded.append(given["href"])
        self.loaded += [given[name] for name in ("src", "srcset", "data") if name in given]


def test_every_link_inside_resolves(site):
    read = {path: Page(path) for path in site.rglob("*.html") if "gallery" not in path.relative_to(site).parts}
    assert len(read) > 25
    for path, page in read.items():
        for link in [*page.links, *page.loaded]:
            target, _, anchor = unquote(link).partition("#")
            target = target.partition("?")[0]
            if re.match(r"\w+:", target):
                continue
            file = (path.parent / target).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            assert file.is_file(), f"{path.name}: {link}"
            assert not anchor or file not in read or anchor in read[file].ids, f"{path.name}: {link}"


def test_nothing_is_fetched(site):
    for path in site.rglob("*.html"):
        for loaded in Page(path).loaded:
            assert not re.match(r"(?!data:)(\w+:)?//|https?:", loaded), f"{path.name}: {loaded}"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""url\(\s*['"]?(https?:)?//|@import""", text), path.name


def test_every_public_name_is_described(site):
    page = Page(site / "docs" / "reference.html")
    assert {f"reportgen.{name}" for name in reportgen.__all__ if not name.startswith("_")} <= page.ids
