"""Figures for a paper: files, captions, LaTeX."""

import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from reportgen import Report, build
from reportgen.core.files import LISTING
from reportgen.core.report import Fold
from reportgen.page.outline import figures, outline
from reportgen.page.paper import caption, latex, width


@pytest.fixture(scope="module")
def built(recorded):
    """Without the feature maps in folds: sixty figures made as the first ones are, half a second each."""
    report = build(recorded, embedding="pca", layers=["conv1*", "hidden"]).document

    def unfolded(section):
        return replace(section, blocks=tuple(block for block in section.blocks if not isinstance(block, Fold)))

    maps = (unfolded(section) if section.anchor == "maps" else section for section in report.sections)
    return Report(replace(report, sections=tuple(maps)))


@pytest.fixture(scope="module")
def write(built, tmp_path_factory):
    """Writes the figures in one format, each format once: (format, folder, paths)."""

    @cache
    def once(form):
        folder = tmp_path_factory.mktemp(form)
        return form, folder, built.write_figures(folder, form)

    return once


@pytest.fixture(params=["svg", "pdf", "png"])
def written(request, write):
    return write(request.param)


def test_every_figure_has_its_file_its_caption_and_its_place_in_the_latex(written, built) -> None:
    form, folder, paths = written
    assert {*paths, folder / LISTING} == set(folder.iterdir())
    numbers = outline(built.document)
    tex = (folder / "figures.tex").read_text(encoding="utf-8")
    for figure in figures(built.document):
        text = (folder / f"{figure.name}.txt").read_text(encoding="utf-8")
        assert text == f"{numbers[figure.name]}. {caption(built.document, figure)}\n"
        if figure.name == "embedding-epochs":
            assert (folder / f"{figure.name}.gif").read_bytes() == figure.picture.gif
            assert figure.name not in tex
        else:
            assert (folder / f"{figure.name}.{form}").stat().st_size > 200
            command = r"\includesvg{%s}" if form == "svg" else r"\includegraphics{%s." + form + "}"
            assert tex.count(command % figure.name) == tex.count(rf"\label{{fig:{figure.name}}}") == 1
    assert tex.count(r"\begin{figure") == tex.count(r"\end{figure") == tex.count(r"\caption{")


def test_captions_stand_alone(built) -> None:
    """Which network, which data, how many examples; and nothing that points to the place on the page."""
    for figure in figures(built.document):
        text = caption(built.document, figure)
        assert text.startswith("tiny on tiny (100 evaluation images). ")
        assert not re.search(r"\b(above|below|left of|see)\b", text), text


def test_widths_are_those_of_one_column_or_two(written) -> None:
    form, folder, paths = written
    tex = (folder / "figures.tex").read_text(encoding="utf-8")
    seen = set()
    for path in paths:
        if path.suffix == f".{form}":
            inches = width(path.read_bytes(), form)
            assert 0.5 < inches <= 7.01, path.name
            place = tex.index(rf"\label{{fig:{path.stem}}}")
            columns = 2 if tex[place : tex.index("\\end{figure", place) + 13].endswith("*}") else 1
            assert columns == (1 if inches <= 3.55 else 2), path.name
            seen.add(columns)
    assert seen == {1, 2}


def test_a_pdf_has_the_size_of_its_svg_and_png(built, tmp_path: Path) -> None:
    figure = next(figure for figure in figures(built.document) if figure.name == "curves-chart")
    widths = [width(figure.export(form), form) for form in ("svg", "pdf", "png")]
    assert widths == pytest.approx([7, 7, 7], abs=0.01)


def test_fonts_are_embedded_and_no_text_is_lost(write) -> None:
    if not shutil.which("pdffonts") or not shutil.which("pdftotext"):
        pytest.skip("pdffonts and pdftotext (poppler-utils) are not installed")
    _, folder, _ = write("pdf")
    files = sorted(folder.glob("*.pdf"))
    assert files
    for file in files:
        fonts = subprocess.run(["pdffonts", file], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
        for font in fonts:
            assert "TrueType" in font and re.search(r" yes (yes|no) +(yes|no) ", font), (file.name, font)
    text = subprocess.run(["pdftotext", folder / "curves-chart.pdf", "-"], capture_output=True, text=True, check=True)
    assert {"training", "test", "epoch"} <= set(text.stdout.split())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("conv_1 50\u00a0% & more", r"conv\_1 50~\% \& more"),
        ("2×10⁻¹² → −3", r"2$\times$10$^{-12}$ $\rightarrow$ $-$3"),
        ("\\{~^}$#", r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\}\$\#"),
        ("第一層", "第一層"),
    ],
)
def test_latex_prints_the_text_as_it_is(text: str, escaped: str) -> None:
    assert latex(text) == escaped
