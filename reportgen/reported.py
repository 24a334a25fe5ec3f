"""A report, ready to be saved in any of its forms, and shown by a notebook."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from reportgen.core.files import Built
from reportgen.core.paths import suffix_of
from reportgen.core.report import Document, Figure, FigureFormat, Section
from reportgen.core.run import Run
from reportgen.errors import expect, warn
from reportgen.page.carried import csv_lines
from reportgen.page.frame import frame
from reportgen.page.outline import figures
from reportgen.page.paper import paper
from reportgen.page.save import save
from reportgen.remote import delivered
from reportgen.sections.custom import custom
from reportgen.sections.words import plural

NOTEBOOK_SIZE = 2_500_000
"""Bytes of the page that a notebook shows, and keeps when it is saved; what it leaves out stands on it."""


@dataclass(frozen=True)
class Report:
    """A report, ready to be saved in any of its forms. In a notebook it shows itself.

    `document` is what the page as one file shows, `run` what it was made of. `draw` gives the same with nothing left
    out for the page's size, None where nothing was; `fit` the page within so many bytes, None where it is what it is;
    `added` are the sections of `with_section`.
    """

    document: Document
    draw: Callable[[], Document] | None = field(default=None, repr=False)
    run: Run | None = field(default=None, repr=False)
    fit: Callable[[int], Document] | None = field(default=None, repr=False)
    added: tuple[Section, ...] = field(default=(), repr=False)

    @cached_property
    def whole(self) -> Document:
        """The document with nothing left out for the page's size, of which the forms but the one file are made."""
        return self.draw() if self.draw is not None else self.document

    @property
    def sections(self) -> Mapping[str, "Report"]:
        """Each section by its anchor, as a report of it alone: `report.sections["embedding"]` shows itself."""
        return {part.anchor: Report(self.document.only(part)) for part in self.document.sections}

    @property
    def figures(self) -> Mapping[str, Figure]:
        """Each figure by its name; as the value of a notebook's cell it shows its picture alone."""
        return {figure.name: figure for figure in figures(self.document)}

    @property
    def omitted(self) -> str:
        """A sentence on what the page as one file leaves out for its size, "" where it shows everything."""
        return self.document.omitted

    def save(self, path: str | Path, format: Literal["html", "dir", "md"] | None = None) -> Path:
        """Write the report and return the file to open: one HTML file, or a folder for "dir" and "md".

        Without a format, a path that ends in .md is the Markdown form, with its pictures beside it, and any other one
        HTML file. Folders are made; an existing file is replaced only by a complete one. To a URL the report is
        uploaded; the file that is returned then is the copy on this machine.
        """
        expect("format", format, str | None, "html, dir or md")
        form = format or ("md" if suffix_of(path) == ".md" else "html")
        return save(self.document if form == "html" else self.whole, path, form)

    def with_section(self, title: str, *content: Any, finding: str = "") -> Self:
        """The same report with one more section at its end.

        Each part of the content is a text (a paragraph), a matplotlib figure, a DataFrame, a list of rows (the first
        one names the columns), or a block of `reportgen`: Text, Table, Figure and the like. Raises OptionError for
        anything else.
        """
        taken = {section.anchor for section in self.document.sections}
        section = custom(title, content, finding, taken)

        def longer(form: Document) -> Document:
            return replace(form, sections=(*form.sections, section))

        draw = None if self.draw is None else lambda: longer(self.whole)
        return replace(self, document=longer(self.document), draw=draw, added=(*self.added, section))

    def write_numbers(self, folder: str | Path) -> list[Path]:
        """What the figures show as CSV files (UTF-8, full precision, no data empty), and report.json.

        Files of an earlier build in the folder are deleted.
        """
        with delivered(folder, is_folder=True) as path, Built(path, "report.json") as built:
            files = {each.filename: each for section in self.whole.sections for each in section.numbers}
            for name, numbers in files.items():
                built.write(name, "".join(csv_lines(numbers)))
            provenance = json.dumps(self.document.provenance, indent=1, sort_keys=True, ensure_ascii=False)
            built.write(built.main, provenance + "\n")
        return built.paths

    def write_figures(self, folder: str | Path, format: FigureFormat = "svg") -> list[Path]:
        """Every figure as a file for a paper, named as on the page, at its printed width (3.5 or 7 inches at most).

        Beside each stands its caption as .txt, beside them the animation's GIF, and `figures.tex` includes them all.
        Figures of an earlier build in the folder are deleted, those of another format too.
        """
        expect("format", format, str, "svg, pdf or png")
        with delivered(folder, is_folder=True) as path:
            return paper(self.whole, path, format)

    @property
    def report(self) -> Document:
        """The earlier name of `document`."""
        warn("Report.report is called Report.document now", DeprecationWarning, code="N101")
        return self.document

    def add_section(self, title: str, *content: Any, finding: str = "") -> Self:
        """The earlier name of `with_section`."""
        warn("Report.add_section is called with_section now", DeprecationWarning, code="N101")
        return self.with_section(title, *content, finding=finding)

    def __repr__(self) -> str:
        document = self.document
        count = sum(1 for _ in figures(document))
        return f"<Report {document.title!r}: {plural(len(document.sections), 'section')}, {plural(count, 'figure')}>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, within the size that a saved notebook may take for it."""
        if self.fit is None:
            return frame(self.document)
        light = self.fit(NOTEBOOK_SIZE)
        return frame(replace(light, sections=(*light.sections, *self.added)))
