"""Saves a report in any of the page's formats.

save(report, "out/report.html")                # "html": one self-contained file
save(report, "out/report", format="dir")       # "dir": index.html with everything beside it
save(report, "out/pr", format="md")            # "md": report.md and its pictures; "out/pr.md" names the file
"""

from pathlib import Path

from reportgen.core.files import write
from reportgen.core.paths import suffix_of
from reportgen.core.report import Document
from reportgen.errors import OptionError, choices
from reportgen.page.directory import directory
from reportgen.page.html import html
from reportgen.page.markdown import markdown
from reportgen.remote import delivered

FORMATS = ("html", "dir", "md")


def save(report: Document, target: str | Path, format: str = "html") -> Path:
    """Write the report to `target`; returns the file to open.

    `target` is the file for "html" and the folder for "dir" and "md"; missing folders are made, and a file
    is replaced only by a complete one. Of a URL, which it is uploaded to, the file of this machine is returned. Raises
    OptionError for another format, and ReportgenError if the report can't be rendered or `target` can't be written.
    """
    if format not in FORMATS:
        raise OptionError(f"unknown format {format!r}; {choices(format, FORMATS)}", code="O102")
    is_folder = format == "dir" or (format == "md" and suffix_of(target) != ".md")
    with delivered(target, is_folder=is_folder) as path:
        if format == "html":
            return write(path, html(report))
        if format == "dir":
            return directory(report, path)
        return markdown(report, path) if is_folder else markdown(report, path.parent, path.name)
