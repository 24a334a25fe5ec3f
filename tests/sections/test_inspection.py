"""The page of an inspection: what it shares with a training's, from memory and from disk."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import jax
import numpy as np
import pytest

import reportgen
from reportgen.core.report import Document, Figure, FigureRow, Mosaic, Table
from reportgen.data import Dataset, make_dataset
from reportgen.errors import ReportgenError
from reportgen.page.html import html
from reportgen.page.outline import figures, walk
from reportgen.sections import Moment, Options, PageContext, strongest
from reportgen.sections.installed import GROUP, installed
from reportgen.sections.limits import Limits, left_out
from tests.inspection import nets

ANCHORS = ("images", "graph", "changes", "chosen", "strongest", "maps", "activity", "mistakes", "parameters")


def labelled() -> Dataset:
    images = nets.pixels(20, seed=3)
    labels = np.arange(20) % 3
    return make_dataset("made", images[:3], np.array([0, 1, 2]), images, labels, ["a", "b", "c"])


def inspect(pixels=None, **options) -> reportgen.Report:
    model = nets.small()
    pictures = list(nets.pixels() if pixels is None else pixels)
    variables = options.pop("variables", None) or nets.variables(model)
    return reportgen.inspect(model, pictures, variables=variables, **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An inspection with all that it can have, and the run that it was saved as."""
    path = tmp_path_factory.mktemp("saved") / "run"
    return inspect(dataset=labelled(), channels=[1], verify=True, save_to=path), path


def section(document: Document, anchor: str):
    return next(section for section in document.sections if section.anchor == anchor)


def tables(document: Document, anchor: str) -> list[Table]:
    return [block for block in walk(section(document, anchor).blocks) if isinstance(block, Table)]


def column(table: Table, name: str) -> dict[str, object]:
    """The cells of a column by the rows' headers."""
    return {row[0]: row[table.columns.index(name)] for row in table.rows}


def test_the_sections_stand_in_the_order_of_an_inspection(saved):
    anchors = [section.anchor for section in saved[0].document.sections]
    assert anchors == [*ANCHORS[:8], "trust", "examples", *ANCHORS[8:], "health", "network", "overview", "samples"]


def test_a_saved_inspection_is_built_again_without_jax_into_the_same_page(saved, tmp_path):
    report, path = saved
    code = """
import sys
for name in ("jax", "jaxlib", "flax", "optax", "orbax"):
    sys.modules[name] = None
import reportgen
reportgen.build(sys.argv[1], channels=[1]).save(sys.argv[2])
"""
    again = tmp_path / "again.html"
    subprocess.run([sys.executable, "-c", code, str(path), str(again)], check=True)
    assert report.run.kind == "inspection" == reportgen.open_run(path).kind
    assert again.read_text(encoding="utf-8") == html(report.document)


def test_every_layer_has_its_operations_and_the_verification_is_stated(saved):
    (table,) = (t for t in tables(saved[0].document, "network") if t.name == "layers")
    assert {"Operations", "Receptive field", "Step"} <= set(table.columns)
    operations = column(table, "Operations")
    # A multiplication and an addition per weight, at 3x4 positions.
    assert operations["conv2"] >= 2 * 3 * 4 * 3 * 3 * 6 * 4
    assert "operations verified" in section(saved[0].document, "network").finding


def test_health_is_that_of_a_network_where_nothing_was_trained(saved):
    for report in (saved[0], inspect()):
        health = section(report.document, "health")
        assert health.title == "Health of the network"
        words = " ".join(
            [health.finding, *(t.caption + " ".join(t.columns) for t in tables(report.document, "health"))]
        )
        words += " ".join(getattr(block, "text", "") for block in health.blocks)
        for absent in ("training", "epoch", "step", "snapshot"):
            assert absent not in words
        assert health.finding.startswith("All parameters are finite; so are all activations on ")
    assert "20 evaluation images" in section(saved[0].document, "health").finding


def test_channels_that_are_0_on_a_few_images_are_no_warning():
    variables = jax.tree.map(np.array, nets.variables(nets.small()))
    variables["params"]["conv1"]["bias"][:] = -100
    few = inspect(variables=variables).document
    assert not [warning for warning in few.warnings if "dead" in warning]
    assert "6 of 6 channels of conv1/relu are always 0" in section(few, "health").finding
    many = inspect(variables=variables, dataset=labelled()).document
    assert "6 of 6 channels of conv1/relu are dead: always 0 on 20 evaluation images." in many.warnings


def test_parameters_that_are_not_finite_are_a_warning_without_a_step():
    variables = jax.tree.map(np.array, nets.variables(nets.small()))
    variables["params"]["conv1"]["bias"][2] = np.nan
    warnings = inspect(variables=variables).document.warnings
    assert "NaN or infinite parameters, in conv1/bias: 1 of 6 values there." in warnings
    assert len([warning for warning in warnings if "activations" in warning]) == 1


def test_an_inspection_page_comes_down_to_a_size(saved):
    whole = len(html(inspect(max_size=None).document).encode())
    small = inspect(max_size=int(0.85 * whole))
    assert len(html(small.document).encode()) <= 0.85 * whole
    assert "feature maps of 1 of 2 probe images" in small.omitted
    assert len(html(small.whole).encode()) == whole


def test_what_is_enlarged_gives_way_to_the_size():
    whole = inspect(max_size=None)
    sizes = {}
    for limits in (Limits(), Limits(channels=64), Limits(channels=64, levels=9)):
        context = PageContext(Moment(whole.run, 0), None, Options(limits=limits))
        drawn = html(replace(whole.document, sections=(strongest.build(context),)))
        sizes[limits.channels, limits.levels] = len(drawn)
    most, fewer, least = sizes.values()
    assert most > 1.5 * fewer > 1.5 * least
    assert left_out(Limits(channels=64), 1, 6) == [
        "channels enlarged and laid over the image, but for the strongest one of each layer"
    ]


def test_an_inspection_has_the_forms_of_a_training_page(saved, tmp_path):
    report = saved[0].with_section("Mine", "A paragraph.")
    page = report.save(tmp_path / "face.md")
    text = page.read_text(encoding="utf-8")
    assert "# Mine" in text and "Health of the network" in text
    assert report.save(tmp_path / "folder", "dir").is_file()


def given_moments(context: reportgen.PageContext) -> reportgen.Section:
    before = None if context.before is None else context.before.step
    return reportgen.Section("extra", "Extra", f"{context.run.kind}: {before} to {context.now.step}.", ())


def failing(context: reportgen.PageContext) -> reportgen.Section:
    raise KeyError("no such layer")


def entry(monkeypatch, name: str) -> None:
    found = (EntryPoint("extra", f"{__name__}:{name}", GROUP),)
    monkeypatch.setattr(
        sys.modules[installed.__module__], "entry_points", lambda group: found if group == GROUP else ()
    )


def test_a_plug_in_section_stands_on_both_pages_and_is_given_the_moments(monkeypatch, recorded):
    entry(monkeypatch, "given_moments")
    assert section(inspect().document, "extra").finding == "inspection: None to 0."
    assert section(reportgen.build(recorded, embedding="pca").document, "extra").finding == "training: 0 to 12."


def test_a_section_that_fails_is_left_out_of_both_pages_with_a_sentence(monkeypatch, recorded):
    entry(monkeypatch, "failing")
    for report in (inspect(), reportgen.build(recorded, embedding="pca")):
        assert "extra" not in [section.anchor for section in report.document.sections]
        (said,) = (warning for warning in report.document.warnings if "left out" in warning)
        assert "the section 'extra'" in said and "failed with KeyError: 'no such layer'" in said


def test_one_of_reportgens_own_sections_that_fails_is_left_out_with_a_sentence(monkeypatch):
    from reportgen.sections import maps

    def broken(context):
        raise ReportgenError("conv1 can't be drawn")

    monkeypatch.setattr(maps, "_rows_of", lambda context, layer: broken(context))
    document = inspect().document
    assert "A section (maps) is left out: conv1 can't be drawn." in document.warnings
    assert [s.anchor for s in document.sections][:4] == ["images", "graph", "changes", "strongest"]


@pytest.mark.parametrize("value", [2.5, -1.0])
def test_a_constant_probe_beyond_0_to_1_is_drawn(value):
    """Its least and its largest value are one: nothing is divided by their difference."""
    document = inspect(preprocess=lambda pixels: np.full(pixels.shape, value, np.float32)).document
    assert document.warnings == () or all("finite" not in warning for warning in document.warnings)
    assert "strongest" in [section.anchor for section in document.sections]


def mosaics(document: Document, anchor: str) -> list[Figure]:
    rows = [block for block in walk(section(document, anchor).blocks) if isinstance(block, FigureRow)]
    return [figure for row in rows for figure in row.figures if isinstance(figure.picture, Mosaic)]


def test_black_is_0_on_both_pages_where_no_value_is_negative(recorded):
    for document in (inspect().document, reportgen.build(recorded, embedding="pca").document):
        positive = [figure for figure in mosaics(document, "maps") if "relu" in figure.name]
        assert positive
        assert {figure.colorbar.low for figure in positive} == {"0"}


def test_a_training_page_has_what_an_inspection_has(recorded):
    document = reportgen.build(recorded, embedding="pca", channels=[1], normalize="images").document
    (table,) = (t for t in tables(document, "network") if t.name == "layers")
    fields = column(table, "Receptive field")
    assert fields["conv1"] == "3×3" and fields["conv1/max_pool"] == "4×4"
    names = {figure.name for figure in figures(document)}
    assert "strongest-conv1-relu-0-over" in names, "the strongest channel is laid over the image"
    assert {"chosen-conv1-relu-1-0-before", "chosen-conv1-relu-1-0", "chosen-conv1-relu-1-0-over"} <= names
    assert all("over all 10 images" in figure.caption for figure in mosaics(document, "maps"))
    fixed = reportgen.build(recorded, embedding="pca", normalize=(-1.0, 1.0)).document
    assert all("Fixed range −1 (black) to 1 (white)" in figure.caption for figure in mosaics(fixed, "maps"))


def test_ranks_count_from_1_on_both_pages(saved, recorded):
    for report in (saved[0], reportgen.build(recorded, embedding="pca")):
        for numbers in (n for section in report.document.sections for n in section.numbers):
            if "rank" in numbers.columns:
                assert min(row[numbers.columns.index("rank")] for row in numbers.rows()) == 1, numbers.filename
        ranks = [t for t in tables(report.document, "strongest") if t.name.endswith("-ranks")]
        assert ranks and all(table.rows[0][0] == 1 for table in ranks)


def test_nan_scores_are_never_right():
    """The largest of NaN scores is said to be that of class 0, and some of these images are of class 0."""
    broken = jax.tree.map(lambda x: np.asarray(x) * np.nan, nets.variables(nets.small()))
    for variables, right in ((None, True), (broken, False)):
        (observation,) = inspect(variables=variables, dataset=labelled()).run.observations.values()
        assert (observation.outcome.label_counts.sum() > 0) == right
        assert (observation.outcome.predictions >= 0).all() == right
