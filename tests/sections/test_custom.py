"""A user's own sections: in Python, and from an installed package."""

import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen import Report, Section, Table, build
from reportgen.core.report import Figure, Raster, Text
from reportgen.errors import OptionError, ReportgenError
from reportgen.page.html import html
from reportgen.sections.custom import custom
from reportgen.sections.installed import GROUP, installed
from tests.page.sample import sample

EXAMPLE = Path(__file__).parents[2] / "examples" / "section_package"


@pytest.fixture(scope="module")
def built(recorded):
    return build(recorded, embedding="pca")


def drawn():
    from matplotlib.figure import Figure as MatplotlibFigure

    figure = MatplotlibFigure((4, 3))
    axes = figure.add_subplot()
    axes.semilogy([1, 10, 100], [1, 10, 1000])
    axes.set_title("Loss <b>by</b> rate")
    return figure


def test_text_figure_and_rows_become_a_section(built) -> None:
    report = built.with_section(
        "Ablation",
        "Two\n\nparagraphs.",
        drawn(),
        [("rate", "accuracy"), (0.5, np.float32(0.25)), (1, None)],
        finding="It helps.",
    )
    assert len(built.document.sections) + 1 == len(report.document.sections), (
        "the report it was added to stays as it was"
    )
    section = report.document.sections[-1]
    assert (section.anchor, section.title, section.finding) == ("ablation", "Ablation", "It helps.")
    text, figure, table = section.blocks
    assert text == Text("Two\n\nparagraphs.")
    assert isinstance(figure, Figure) and figure.caption == "Loss <b>by</b> rate"
    assert isinstance(figure.picture, Raster) and figure.picture.mime == "image/svg+xml"
    texts = ["".join(e.itertext()) for e in ET.fromstring(figure.picture.data).iter() if e.tag.endswith("}text")]
    assert "Loss <b>by</b> rate" in texts and not any("$" in text for text in texts), (
        "text is text, and numbers are set"
    )
    assert (figure.picture.width, figure.picture.height) == (288, 216)
    assert table.columns == ("rate", "accuracy") and table.rows == ((0.5, 0.25), (1, None))
    page = html(report.document)
    assert "Loss &lt;b&gt;by&lt;/b&gt; rate" in page and 'id="ablation-3"' in page
    again = built.with_section("Ablation", drawn()).document.sections[-1].blocks[0]
    assert again.picture.data == figure.picture.data, "the same figure gives the same bytes"


def test_a_users_figure_goes_into_a_paper_in_its_own_size(tmp_path) -> None:
    report = Report(sample()).with_section("Mine", drawn())
    for form in ("svg", "pdf", "png"):
        report.write_figures(tmp_path / form, form)
    assert (tmp_path / "pdf" / "mine-1.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "png" / "mine-1.png") as picture:
        assert picture.size == (1200, 900)
    assert b">Loss &lt;b&gt;by&lt;/b&gt; rate<" in (tmp_path / "svg" / "mine-1.svg").read_bytes()
    assert (tmp_path / "svg" / "mine-1.txt").read_text().endswith(". Loss <b>by</b> rate\n")


def test_titles_may_repeat_and_blocks_pass_through(built) -> None:
    table = Table("mine", "Mine.", ("a",), ((1,),))
    report = (
        built.with_section("Overview", table)
        .with_section("Overview", "b")
        .with_section("概要", "c")
        .with_section("!", "d")
    )
    anchors = [section.anchor for section in report.document.sections]
    assert anchors[-4:] == ["overview-2", "overview-3", "x", "x-2"]
    assert report.document.sections[-4].blocks == (table,)
    html(report.document)


def test_a_data_frame_is_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"rate": [0.0, 0.5], "name": ["a", "b"], 3: [1, 2]}, index=["x", "y"])
    (table,) = custom("Mine", [frame]).blocks
    assert table.columns == ("rate", "name", "3")
    assert table.rows == ((0.0, "a", 1), (0.5, "b", 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "can't show a int"),
        ([1, 2], "can't show a list"),
        ([], "can't show a list"),
        ([("a", "b"), (1,)], r"\[1, 2\] cells"),
    ],
)
def test_what_is_no_content_is_refused(content, message) -> None:
    with pytest.raises(OptionError, match=message):
        custom("Mine", [content])


def entry(monkeypatch, value: str) -> None:
    found = (EntryPoint("extra", value, GROUP),)
    monkeypatch.setattr(
        sys.modules[installed.__module__], "entry_points", lambda group: found if group == GROUP else ()
    )


def good(context) -> Section:
    return Section("extra", "Extra", f"{len(context.run.network.layers.values())} layers.", ())


def failing(context) -> Section:
    raise KeyError("no such layer")


def wrong(context) -> str:
    return "text"


def test_an_entry_point_brings_a_section(monkeypatch, recorded) -> None:
    entry(monkeypatch, f"{__name__}:good")
    assert build(recorded, embedding="pca").document.sections[-1].title == "Extra"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("failing", "extra.*KeyError.*no such layer"),
        ("wrong", "extra.*gave a str"),
        ("absent", "extra.*AttributeError"),
    ],
)
def test_a_section_that_fails_is_named(monkeypatch, name, message) -> None:
    entry(monkeypatch, f"{__name__}:{name}")
    (make,) = installed()
    with pytest.raises(ReportgenError, match=message):
        make.build(None)


def test_the_example_package_adds_its_section_once_installed(recorded, tmp_path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(target), str(EXAMPLE)], check=True)
    code = """
import json, sys
sys.path.insert(0, sys.argv[2])
import reportgen
section = reportgen.build(sys.argv[1], embedding="pca").document.sections[-1]
print(json.dumps([section.anchor, section.finding, section.blocks[0].rows]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(recorded), str(target)], check=True, capture_output=True, text=True
    )
    anchor, finding, rows = json.loads(done.stdout)
    assert anchor == "rank" and finding.endswith("of 3 kernels lost effective rank.")
    assert [row[0] for row in rows] == ["conv1/kernel", "hidden/kernel", "output/kernel"]
    for _, before, after, outputs in rows:
        assert 1 < before <= outputs and 1 < after <= outputs


def test_effective_rank_of_known_matrices(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from reportgen_rank import effective_rank

    assert effective_rank(np.eye(5)) == pytest.approx(5)
    assert effective_rank(np.outer([1, 2, 3], [1, 1])) == pytest.approx(1)
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


def test_a_users_picture_is_readable(built) -> None:
    """Its SVG is drawn on white: legible on a dark page too."""
    figure = built.with_section("Mine", drawn()).document.sections[-1].blocks[0]
    assert b"fill: #ffffff" in figure.picture.data
    assert Image.open(io.BytesIO(figure.export("png"))).convert("RGB").getpixel((0, 0)) == (255, 255, 255)
