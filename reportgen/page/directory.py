"""The report as a folder: the page, with its pictures, styles and scripts as files beside it.

    directory(report, Path("report"))              # report/index.html, report.css, *.js, figures/

For servers whose policy forbids inline content and data: URIs; charts remain SVG elements of the page.
"""

from pathlib import Path
from urllib.parse import quote

from reportgen.core.files import Built
from reportgen.core.report import Document, Drawing
from reportgen.page.blocks import Emit, suffix
from reportgen.page.html import EARLY_SCRIPTS, SCRIPTS, render, scripts, styles
from reportgen.page.outline import figures

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'{data}; base-uri 'none'; form-action 'none'"
)


def beside(built: Built, pictures: str = "figures") -> Emit:
    """Emit pictures as files of that folder beside the page; returns their URLs relative to the page."""

    def emit(name: str, data: bytes, mime: str) -> str:
        relative = f"{pictures}/{name}{suffix(mime, name)}"
        built.write(relative, data)
        return quote(relative, errors="surrogateescape")

    return emit


def directory(report: Document, folder: Path) -> Path:
    """Write the page into the folder, made if missing; returns its index.html.

    Each file is replaced only by a complete one, index.html last; then files of an earlier page are deleted. Raises
    ReportgenError as `html` does, and where the folder can't be written.
    """
    links = {"style": "report.css", "early": "early.js", "late": "report.js"}
    # A chart may embed a heatmap as a picture; only then is data: allowed.
    embedded = any(isinstance(f.picture, Drawing) and "data:" in f.picture.svg for f in figures(report))
    policy = POLICY.format(data=" data:" if embedded else "")
    with Built(folder, "index.html") as built:
        page = render(report, beside(built), policy, **links, linked=True)
        built.write("report.css", styles(report))
        built.write("early.js", scripts(EARLY_SCRIPTS))
        built.write("report.js", scripts(SCRIPTS))
        return built.write(built.main, page)
