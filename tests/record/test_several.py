"""Several networks trained together: a run each, side by side in one folder, and one page of them."""

import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import reportgen
from reportgen.core.report import Document, Drawing, Figure, Section
from reportgen.errors import NoRunError, OptionError, RunError
from reportgen.page.html import html
from reportgen.page.outline import figures, outline
from reportgen.record import Recorder, Start
from reportgen.sections.several import several
from reportgen.store import networks, open_run
from tests.page.parsing import parse

X = np.random.default_rng(0).random((30, 3), np.float32)
Y = (X.sum(1) > 1.5).astype(int)


def generator(params, noise):
    with jax.named_scope("hidden"):
        hidden = jax.nn.relu(noise @ params["w"])
    return hidden @ params["out"]


def discriminator(params, inputs):
    return jax.nn.relu(inputs @ params["w"]) @ params["out"]


def params(value, outputs):
    return {"w": jnp.full((3, 4), value), "out": jnp.linspace(-1, 1, 4 * outputs).reshape(4, outputs)}


def opened(folder, **options):
    return (
        Recorder(folder / "generator", generator, params(0.0, 5), probe=X[:4], evaluation=X, **options),
        Recorder(
            folder / "discriminator", discriminator, params(0.0, 2), probe=(X[:4], Y[:4]), evaluation=(X, Y), **options
        ),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both are open at once; the discriminator takes two steps where the generator takes one, and begins."""
    folder = tmp_path_factory.mktemp("several") / "gan"
    one, other = opened(folder)
    with one, other:
        for step in range(1, 5):
            other.step(params(step / 10, 2), loss=1 / step)
            if step % 2 == 0:
                one.step(params(step / 20, 5), loss=2 / step)
                one.epoch(params(step / 20, 5))
                other.epoch(params(step / 10, 2))
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return reportgen.build(folder, embedding="pca")


def test_each_network_is_a_run_of_its_own_with_its_own_steps(folder):
    assert [path.name for path in networks(folder)] == ["discriminator", "generator"]
    one, other = open_run(folder / "generator"), open_run(folder / "discriminator")
    assert list(one.snapshots) == [0, 1, 2]
    assert list(other.snapshots) == [0, 1, 2, 3, 4]
    assert [row["train_loss"] for row in one.steps] == [1.0, 0.5]
    assert [row["train_loss"] for row in other.steps] == pytest.approx([1.0, 1 / 2, 1 / 3, 1 / 4])
    assert one.status == other.status == "finished"
    assert float(one.snapshots[2].params["w"][0, 0]) == pytest.approx(0.2)
    assert float(other.snapshots[3].params["w"][0, 0]) == pytest.approx(0.3)


def test_the_page_has_a_part_for_each_that_says_what_its_own_page_says(folder, report):
    document = report.document
    assert document.title == "gan: discriminator and generator"
    for name in ("discriminator", "generator"):
        alone = reportgen.build(folder / name, embedding="pca").document
        part = [section for section in document.sections if section.part == name]
        assert (part[0].anchor, part[0].title, part[0].finding) == (name, name, "")  # the page's headline has it
        assert part[0].opens
        assert [(section.anchor, section.title, section.finding) for section in part[1:]] == [
            (f"{name}-{section.anchor}", section.title, section.finding) for section in alone.sections
        ]
        assert alone.headline in document.headline
        assert document.provenance[name] == alone.provenance
    assert {section.part for section in document.sections} == {"discriminator", "generator"}


def test_the_contents_list_the_networks_with_their_sections_beneath(report):
    page = parse(html(report.document))
    contents = next(nav for nav in page.find("nav") if "side" in nav.attributes["class"])
    outer = next(iter(contents.find("ol")))
    tops = [item for item in outer.children if item.tag == "li"]
    assert [item.find("a")[0].whole() for item in tops] == ["discriminator", "generator", "About this page"]
    beneath = [[link.attributes["href"] for link in item.find("ol")[0].find("a")] for item in tops[:2]]
    for name, links in zip(("discriminator", "generator"), beneath, strict=True):
        assert links == [
            f"#{section.anchor}" for section in report.document.sections if section.part == name and not section.opens
        ]


def test_every_other_form_says_which_network_it_is_of(report, tmp_path):
    text = report.save(tmp_path / "gan.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["discriminator", "generator"]
    assert "### Loss" in text
    assert list(tmp_path.rglob("generator-curves-chart.svg"))
    assert report.save(tmp_path / "page", format="dir").is_file()
    files = {path.name for path in report.write_numbers(tmp_path / "numbers")}
    assert {"discriminator-health_layers.csv", "generator-health_layers.csv"} <= files, files
    facts = json.loads((tmp_path / "numbers" / "report.json").read_text(encoding="utf-8"))
    assert facts.keys() == {"discriminator", "generator"}
    report.write_figures(tmp_path / "figures-of", "svg")
    assert (tmp_path / "figures-of" / "generator-curves-chart.txt").read_text().split(". ")[1] == "gan, generator"
    assert outline(report.document).keys() >= {figure.name for figure in figures(report.document)}


def test_the_networks_share_the_size(folder, report):
    size = len(html(report.document).encode())
    smaller = reportgen.build(folder, embedding="pca", max_size=size)
    assert len(html(smaller.document).encode()) <= size
    assert "discriminator: To stay below" in smaller.omitted


def test_ids_inside_charts_stay_apart():
    chart = '<svg viewBox="0 0 9 9"><clipPath id="a"/><g clip-path="url(#a)"/><use href="#a"/></svg>'
    figure = Figure("chart", Drawing(chart, 9, 9), "alt", "caption")
    one = Document("T", "H", (), (Section("s", "S", "", (figure,)),), {})
    both = several({"a b": one, "a-b": one}, "two", None)
    assert outline(both)
    svgs = [figure.picture.svg for figure in figures(both)]
    assert svgs[0].count("a-b-a") == 3
    assert svgs[1].count("a-b-2-a") == 3


def test_a_network_is_resumed_or_replaced_by_itself(tmp_path):
    one, other = opened(tmp_path)
    with one, other:
        for recorder, outputs in ((one, 5), (other, 2)):
            recorder.step(params(0.1, outputs), loss=1.0)
            recorder.epoch(params(0.1, outputs))
    kept = open_run(tmp_path / "discriminator").steps
    resumed = {"probe": X[:4], "evaluation": X, "start": Start(resume_at=1)}
    with Recorder(tmp_path / "generator", generator, params(0.1, 5), **resumed) as again:
        again.step(params(0.2, 5), loss=0.5)
        again.epoch(params(0.2, 5))
    assert [row["step"] for row in open_run(tmp_path / "generator").steps] == [1, 2]
    with pytest.raises(RunError, match="generator already holds a run"):
        opened(tmp_path)
    Recorder(tmp_path / "generator", generator, params(0.0, 5), probe=X[:4], overwrite=True).close()
    assert list(open_run(tmp_path / "generator").snapshots) == [0]
    assert open_run(tmp_path / "discriminator").steps == kept


@pytest.mark.parametrize(
    "call",
    [
        reportgen.open_run,
        lambda path: reportgen.compare(path, path),
        lambda path: reportgen.inspect(run=path, model=generator),
    ],
    ids=["open_run", "compare", "inspect"],
)
def test_who_takes_one_run_says_how_to_name_it(folder, call):
    with pytest.raises(
        NoRunError, match=r"holds the runs discriminator and generator: name one of them, such as .*discriminator"
    ):
        call(folder)


def test_no_run_is_recorded_over_others_or_into_one(folder, tmp_path):
    with pytest.raises(RunError, match=r"name one of them, such as .*discriminator, or a folder of its own"):
        Recorder(folder, generator, params(0.0, 5), probe=X, overwrite=True)
    Recorder(tmp_path / "run", generator, params(0.0, 5), probe=X).close()
    with pytest.raises(RunError, match="is a run itself, and no other is recorded beneath it"):
        Recorder(tmp_path / "run" / "generator", generator, params(0.0, 5), probe=X)
    assert not (tmp_path / "run" / "generator").exists()
    first = Recorder(tmp_path / "open", generator, params(0.0, 5), probe=X)
    with first, pytest.raises(RunError, match="give each of several networks a folder of its own"):
        Recorder(tmp_path / "open", discriminator, params(0.0, 2), probe=(X, Y))


def test_an_option_that_fits_one_network_only_names_the_other(folder):
    with pytest.raises(OptionError, match=r"^discriminator: no layer matches 'hidden"):
        reportgen.build(folder, layers=["hidden*"], embedding="pca")


def test_a_folder_of_many_runs_is_not_made_a_page(folder, tmp_path):
    for number in range(13):
        (tmp_path / f"run{number:02}").mkdir()
        (tmp_path / f"run{number:02}" / "run.json").write_bytes((folder / "generator" / "run.json").read_bytes())
    with pytest.raises(RunError, match=r"holds the runs run00, run01, run02 and 10 more: .*12 networks at most"):
        reportgen.build(tmp_path)


def test_a_network_that_can_not_be_read_is_named_and_the_others_are_shown(folder, tmp_path):
    for name in ("generator", "discriminator"):
        shutil.copytree(folder / name, tmp_path / "gan" / name)
    shutil.rmtree(tmp_path / "gan" / "generator" / "snapshots")
    page = reportgen.build(tmp_path / "gan", embedding="pca").document
    assert {section.part for section in page.sections} == {"discriminator"}
    assert page.warnings[0].startswith("A network is left out: generator holds no readable snapshot")
    shutil.rmtree(tmp_path / "gan" / "discriminator" / "snapshots")
    with pytest.raises(RunError, match="discriminator holds no readable snapshot"):
        reportgen.build(tmp_path / "gan")
