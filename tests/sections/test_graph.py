"""The section that draws the network: what it claims, and that its links lead to what the page has."""

import re
from dataclasses import replace

import numpy as np
import pytest

from reportgen import build, open_run
from reportgen.analysis.similarity import linear_cka
from reportgen.core.network import INPUT
from reportgen.core.report import Document, Figure, Section
from reportgen.core.scripted import SHADES
from reportgen.figures.mosaic import image
from reportgen.graph.rows import Look
from reportgen.page.html import html
from reportgen.page.markdown import markdown
from reportgen.page.outline import walk
from reportgen.sections import Moment, Options, PageContext, graph
from tests.graph.test_folding import add, conv, network
from tests.graph.test_scene import captured
from tests.page.parsing import parse
from tests.sections.test_inspection import inspect
from tests.sections.test_reading import unpacked


def section_of(report):
    return next(part for part in report.document.sections if part.anchor == "graph")


@pytest.fixture(scope="module")
def page(recorded):
    return html(build(recorded, embedding="pca").document)


def drawn(page):
    """The graph's own drawing, as an element."""
    (figure,) = [x for x in parse(page).find("figure") if x.attributes.get("id") == "graph-whole"]
    return next(iter(figure.find("svg")))


def test_every_link_leads_to_a_figure_of_that_layer(page):
    ids = set(re.findall(r' id="([^"]+)"', page))
    links = list(drawn(page).find("a"))
    assert links
    assert all(link.attributes["href"][1:] in ids for link in links)
    assert {link.attributes["href"].split("-")[0] for link in links} == {"#maps"}
    assert drawn(page).attributes["role"] == "group"


def test_the_text_form_has_every_layer_and_what_it_reads(recorded, page):
    (figure,) = [
        block
        for block in section_of(build(recorded, embedding="pca")).blocks
        if getattr(block, "name", "") == "graph-whole"
    ]
    text = "\n".join("  " * entry.depth + entry.text for entry in figure.picture.outline)
    net = open_run(recorded).network
    assert {entry.layer for entry in figure.picture.outline} - {"@input"} == {x.path for x in net.distinct}
    assert text.startswith("input: ") and "reads the input" in text
    for word in ("maps", "kernels", "channels"):
        assert f">{word}</a>" in page


def test_a_changed_kernel_is_tinted_and_says_so(recorded, page):
    notes = [title.whole() for title in drawn(page).find("title")]
    assert notes and all(re.fullmatch(r"changed by \d+\.\d\N{NO-BREAK SPACE}%", note) for note in notes)


def test_rows_can_be_tinted_by_a_measure_of_an_epoch(recorded):
    context = PageContext(
        Moment(run := open_run(recorded), max(run.snapshots)), Moment(run, 0), Options(embedding="pca")
    )
    whole = graph.build(context).blocks[0]
    (title, names, by_token), *_ = whole.shades.groups
    assert title.startswith("Last update of the kernel") and not by_token
    updates = context.checkup.updates
    assert list(names) == [f"epoch {update.epoch}" for update in next(iter(updates.values()))]
    hooked = re.search(r'data-tokens="([^"]+)"', whole.picture.svg)[1]
    assert len(hooked.split()) == 4 * whole.shades.count
    found = unpacked(whole.shades)[0]
    most = max(update.ratio for each in updates.values() for update in each)
    for place in range(len(names)):
        expected = sorted(round(SHADES * each[place].ratio / most) for each in updates.values())
        assert sorted(found[place].tolist())[-len(expected) :] == expected
    # The embedded layer alone, and at the last epoch, where it is itself, not at all.
    place = [title.startswith("Unlikeness") for title, *_ in whole.shades.groups].index(True)
    found = unpacked(whole.shades)[place]
    vectors = [run.observations[step].vectors["embedding"].astype(float) for step in run.observations]
    assert found[0].max() == round(SHADES * (1 - linear_cka(vectors[0], vectors[-1])))
    assert (found > 0).sum(axis=1).max() == 1 and not found[-1].any()


def test_parameters_are_shown_by_bars_as_wide_as_they_are_many(recorded):
    net = open_run(recorded).network
    whole = graph.section(net, (8, 8, 1), Look(), "").blocks[0]
    counts = [layer.parameters for layer in net.layers.values() if layer.parameters]
    assert whole.shades.groups == ((f"Parameters: widest {max(counts):,}", ("of each row",), False),)
    (levels,) = unpacked(whole.shades)
    hooked = re.search(r'data-tokens="([^"]+)"', whole.picture.svg)[1]
    left, top, right, bottom = np.array(hooked.split(), float).reshape(-1, 4).T
    bars = levels[0] == SHADES
    assert len(left) == whole.shades.count and not levels[0][~bars].any()
    widths = (right - left)[bars]
    assert widths == pytest.approx(max(widths) * np.array(counts) / max(counts), abs=0.55)
    for x, y, end, foot in zip(left[bars], top[bars], right[bars], bottom[bars], strict=True):
        assert ((left == x) & (top == y) & (right >= end) & (bottom == foot) & ~bars).any()


def test_markdown_has_the_picture_and_the_text(recorded, tmp_path):
    text = markdown(build(recorded, embedding="pca").document, tmp_path).read_text()
    assert "report-figures/graph-whole.svg" in text
    assert "<pre>input: " in text
    alone = (tmp_path / "report-figures" / "graph-whole.svg").read_text()
    assert "<a" not in alone and 'href="#' not in alone


def test_one_state_is_drawn_without_a_change():
    section = section_of(inspect())
    figure = section.blocks[0]
    assert "bluer" not in figure.caption and "<title>" not in figure.picture.svg
    assert "<image" in figure.picture.svg and "Pictures: " in figure.caption


def test_what_no_figure_shows_is_no_link(recorded):
    report = build(recorded, embedding="pca")
    sections = tuple(part for part in report.document.sections if part.anchor == "graph")
    alone = html(replace(report.document, sections=sections))
    assert not list(drawn(alone).find("a")) and drawn(alone).attributes["role"] == "img"


@pytest.mark.parametrize(("name", "most"), [("resnet50", 30_000), ("gpt2", 25_000), ("vit_b", 25_000)])
def test_networks_of_real_depth_take_few_bytes_with_all_their_links(name, most):
    net = captured(name)
    shown = graph.section(net, (32, 32, 3), Look(tints=dict.fromkeys(net.layers, 0.5), scale=("0", "1")), "")
    picture = image(np.zeros((1, 1, 1)), 0, 1)
    figures = tuple(
        Figure(f"{aspect}-{layer.path.replace('/', '-').replace('#', '-')}", picture, "", "", of=(aspect, layer.path))
        for layer in net.distinct
        for aspect in ("maps", "channels", "kernels")
        if aspect == "maps" or layer.params
    )
    page = html(Document("", "", (), (shown, Section("all", "All", "", figures)), {}))
    section = page[page.index('<section id="graph"') :].partition("</section>")[0]
    assert 'href="#maps-' in section and 'href="#kernels-' in section
    assert len(section.encode()) <= most


def test_small_pictures_keep_the_middle_of_every_so_many_values():
    values = np.arange(60.0 * 60).reshape(60, 60)
    small = graph._thinned(values)
    assert max(small.shape) <= graph.SMALLEST and small[0, 0] == values[1, 1]
    assert graph._thinned(values[:3, :3]).shape == (3, 3)


def test_tables_and_figures_of_the_section_have_names_of_their_own(recorded):
    section = section_of(build(recorded, embedding="pca"))
    names = [block.name for block in walk(section.blocks) if hasattr(block, "name")]
    assert len(names) == len(set(names)) and all(name.startswith("graph-") for name in names)


def test_only_a_chain_is_said_to_be_one():
    chain = network(conv("a", INPUT), conv("b", "a"))
    assert graph.section(chain, (4,), Look(), "").finding.startswith("Net has 2 layers, one after the other.")
    skip = network(conv("a", INPUT), add("add", INPUT, "a"))
    said = "Net has 2 layers; the longest way from input to output passes all of them."
    assert graph.section(skip, (4,), Look(), "").finding == said


def test_a_modules_own_results_are_called_by_their_last_names():
    cell = [conv("rnn/cell/gate", INPUT), add("rnn/cell[0]", INPUT, "rnn/cell/gate"), conv("rnn/out", "rnn/cell[0]")]
    texts = [entry.text for entry in graph.section(network(*cell), (4,), Look(), "").blocks[0].picture.outline]
    assert any(text.startswith("cell[0]: ") for text in texts)
