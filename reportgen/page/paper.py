"""The figures of a report as files for a paper: each with its caption beside it, and LaTeX that includes them.

    paper(report, Path("figures"), "pdf")          # figures/*.pdf, *.txt, the animation's .gif, figures.tex

Files have their printed size, at most one column (3.5 inches) or two (7 inches), so that all have the same text size;
none is meant to be scaled.
"""

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from reportgen.core.files import Built
from reportgen.core.report import Animation, Document, Figure, FigureFormat
from reportgen.errors import OptionError, ReportgenError
from reportgen.page.loader import clean
from reportgen.page.outline import figures_of, outline

ONE_COLUMN = 3.5  # inches

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "$&#_%"},
    "\N{NO-BREAK SPACE}": "~",
    "−": "$-$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "≤": r"$\leq$",
}
_RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def paper(report: Document, folder: Path, form: FigureFormat) -> list[Path]:
    """Write every figure that has an export, the GIFs, captions and figures.tex; returns the paths.

    Files of an earlier build are deleted, those of another format too: figures.tex names one.
    Raises ReportgenError where names are not unique or the folder can't be written, OptionError for an unknown format.
    """
    numbers = outline(report)
    package = "svg, which needs Inkscape" if form == "svg" else "graphicx"
    head = f"% Figures of: {' '.join(clean(report.title).split())}\n% Needs the package {package}.\n"
    snippets = []
    with Built(folder, "figures.tex") as built:
        for section in report.sections:
            for figure in figures_of(section):
                said = caption(report, figure, section.part)
                if isinstance(figure.picture, Animation):
                    built.write(f"{figure.name}.gif", figure.picture.gif)
                elif figure.export is None:
                    continue
                if figure.export is not None:
                    data = exported(figure, form)
                    built.write(f"{figure.name}.{form}", data)
                    snippets.append(_snippet(said, figure, form, width(data, form)))
                built.write(f"{figure.name}.txt", f"{numbers[figure.name]}. {said}\n")
        built.write(built.main, "\n".join([head, *snippets]))
    return built.paths


def exported(figure: Figure, form: FigureFormat) -> bytes:
    """The figure's file. Raises OptionError for an unknown format, ReportgenError where a user's own export fails."""
    try:
        data = figure.export(form) if figure.export is not None else None
    except (ReportgenError, Warning):
        raise
    except Exception as error:  # whatever a user's function raises
        raise ReportgenError(
            f"the figure {figure.name!r} can't be exported as {form}: {type(error).__name__}: {error}", code="P101"
        ) from error
    if not isinstance(data, bytes):
        raise OptionError(
            f"the export of the figure {figure.name!r} must give the bytes of a file, not {data!r:.80}", code="O101"
        )
    return data


def caption(report: Document, figure: Figure, part: str = "") -> str:
    """The figure's caption on one line, with the network and data that it is of, and its colour range."""
    bar = figure.colorbar
    subject = (report.subject or report.title) + (f", {part}" if part else "")
    scale = f" Colours from {bar.low} to {bar.high}." if bar else ""
    return " ".join(clean(f"{subject}. {figure.caption}{scale}").split())


def latex(text: str) -> str:
    """Text that LaTeX prints literally.

    >>> print(latex("50 % of conv_1: 2×10⁻³"))
    50 \\% of conv\\_1: 2$\\times$10$^{-3}$
    """
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return _RAISED.sub(lambda run: f"$^{{{run[0].translate(_LOWERED)}}}$", escaped)


def width(data: bytes, form: FigureFormat) -> float:
    """Printed width in inches, read from the figure's file."""
    if form == "png":
        from PIL import Image

        with Image.open(io.BytesIO(data)) as picture:
            return picture.width / float(picture.info["dpi"][0])
    if form == "svg":
        size = ET.fromstring(data).get("width", "")
        return float(size[:-2]) / {"in": 1, "pt": 72}[size[-2:]]
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", data)
    if box is None:
        raise AssertionError("a PDF without a page size")
    return float(box[1]) / 72


def _snippet(said: str, figure: Figure, form: FigureFormat, inches: float) -> str:
    environment = "figure" if inches <= ONE_COLUMN + 0.05 else "figure*"
    include = rf"\includesvg{{{figure.name}}}" if form == "svg" else rf"\includegraphics{{{figure.name}.{form}}}"
    lines = [
        rf"\begin{{{environment}}}",
        r"  \centering",
        f"  {include}",
        rf"  \caption{{{latex(said)}}}",
        rf"  \label{{fig:{figure.name}}}",
        rf"\end{{{environment}}}",
        "",
    ]
    return "\n".join(lines)
