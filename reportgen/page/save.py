"""Saves a report in any of the page's formats.

save(report, "out/report.html")                # "html": one self-contained file
save(report, "out/report", format="dir")       # "dir": index.html with everything beside it
save(report, "out/pr", format="md")            # "md": report.md and its pictures; "out/pr.md" names the file
"""

from pathlib import Path

from reportgen.core.files import write
from reportgen.core.paths import local_path
from reportgen.core.report import Document
from reportgen.errors import OptionError, choices
from reportgen.page.directory import directory
from reportgen.page.html import html
from reportgen.page.markdown import markdown

FORMATS = ("html", "dir", "md")


def save(report: Document, target: str | Path, format: str = "html") -> Path:
    """Write the report to `target`; returns the file to open.

    `target` is the file for "html" and the folder for "dir" and "md"; missing folders are made, and a file
    is replaced only by a complete one. Raises OptionError for another format, and ReportgenError
    if the report can't be rendered or `target` can't be written.
    """
    target = local_path(target)
    if format == "html":
        return write(target, html(report))
    if format == "dir":
        return directory(report, target)
    if format == "md":
        return markdown(report, target.parent, target.name) if target.suffix == ".md" else markdown(report, target)
    raise OptionError(f"unknown format {format!r}; {choices(format, FORMATS)}", code="O102")
