"""Reports in a notebook that is run as Jupyter runs it: what is shown, and how much of it the saved notebook keeps."""

import base64
from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient

import reportgen
from reportgen.reported import NOTEBOOK_SIZE

CELLS = (
    "import reportgen; report = reportgen.build('run', embedding='pca'); report",
    "report.sections['embedding']",
    "report.figures['mistakes-confusion']",
    "report.figures['embedding-epochs']",
    "report.with_section('Mine', 'A paragraph of mine.')",
    "report.sections",
    "report.document, report.document.sections",
)


@pytest.fixture(scope="module")
def notebook(recorded, tmp_path_factory) -> nbformat.NotebookNode:
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "run").symlink_to(recorded)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    nbformat.write(book, folder / "saved.ipynb")
    saved: nbformat.NotebookNode = nbformat.read(folder / "saved.ipynb", nbformat.NO_CONVERT)
    nbformat.validate(saved)
    return saved


def shown(notebook: nbformat.NotebookNode, cell: int) -> dict[str, str]:
    """MIME type -> data of a cell's only output."""
    (output,) = notebook.cells[cell].outputs
    assert output.output_type == "execute_result"
    return dict(output.data)


def test_a_report_is_one_line_and_a_frame(notebook):
    data = shown(notebook, 0)
    assert set(data) == {"text/plain", "text/html"}
    assert data["text/plain"].startswith("<Report ") and len(data["text/plain"]) < 200
    assert data["text/html"].startswith("<iframe srcdoc=")


def test_a_section_is_a_report_of_its_own(notebook):
    data = shown(notebook, 1)
    assert "1 sections" not in data["text/plain"] and "1 section" in data["text/plain"]
    assert "id=&quot;embedding&quot;" in data["text/html"] and "id=&quot;curves&quot;" not in data["text/html"]
    assert len(data["text/html"]) < len(shown(notebook, 0)["text/html"]) / 2


def test_a_figure_is_its_picture(notebook):
    chart, animation = shown(notebook, 2), shown(notebook, 3)
    assert set(chart) == {"text/plain", "image/svg+xml"}
    assert ElementTree.fromstring(chart["image/svg+xml"]).tag.endswith("svg")
    assert set(animation) == {"text/plain", "image/gif"}
    assert base64.b64decode(animation["image/gif"]).startswith(b"GIF89a")


def test_a_section_of_the_readers_own_is_on_the_page(notebook):
    assert "A paragraph of mine." in shown(notebook, 4)["text/html"]


def test_what_is_kept_is_light(notebook):
    assert not notebook.metadata.get("widgets")
    for cell in (0, 4):
        assert len(shown(notebook, cell)["text/html"]) < 1.3 * NOTEBOOK_SIZE
    for cell in (5, 6):
        assert len(shown(notebook, cell)["text/plain"]) < 10_000
        assert set(shown(notebook, cell)) == {"text/plain"}


def test_a_larger_page_leaves_out_what_it_says(recorded, monkeypatch):
    report = reportgen.build(recorded, embedding="pca").with_section("Mine", "A paragraph of mine.")
    whole = report._repr_html_()
    monkeypatch.setattr("reportgen.reported.NOTEBOOK_SIZE", len(whole) // 2)
    light = report._repr_html_()
    assert len(light) < len(whole) and "this page leaves out" in light and "A paragraph of mine." in light
    assert "this page leaves out" not in whole and report._repr_html_() == light
