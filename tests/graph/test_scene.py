"""The chart of a network's layers: what it says, what leads where, what stays when it leaves the page."""

import re
import warnings
import xml.etree.ElementTree as ET

import jax
import numpy as np
import pytest

from reportgen.capture import prepare
from reportgen.core.network import INPUT, Layer, Role
from reportgen.figures.export import export
from reportgen.figures.scene import Link, Words, plain
from reportgen.figures.svg import svg
from reportgen.graph.folding import Repeat, fold
from reportgen.graph.rows import Look, rows
from reportgen.graph.scene import blocks, graph
from reportgen.page.outline import check
from tests.architectures.deep import MODELS
from tests.architectures.variables import variables_for
from tests.graph.drawn import check_drawn, structures
from tests.graph.test_folding import add, conv, network, relu, residual

SKIPS = network(conv("stem", INPUT), *residual("b0", "stem"), *residual("b1", "b0/add"), conv("head", "b1/add"))


def words(scene):
    return [part.text for part in plain(scene.parts) if isinstance(part, Words)]


def drawn(net, **look):
    return graph(fold(net, (8, 8, 3)), net, Look(**look))


def test_a_node_says_name_operation_shape_and_parameters():
    net = network(conv("stem", INPUT), relu("stem/relu", "stem"), conv("Conv_0", "stem/relu"))
    assert words(drawn(net)) == ["input", "8×8×3", "stem", "Conv 4×4×2 · 36", "relu", "Conv_0", "4×4×2 · 36"]


def test_the_model_itself_is_called_output_unless_a_layer_is():
    itself = Layer("Net", "Net", Role.BLOCK, (4, 4, 2), inputs=("last",), alias_of="last")
    named = {
        name: words(drawn(network(conv("last", INPUT), itself, *more)))
        for name, more in (("output", ()), ("Net", (conv("output", "last"),)))
    }
    assert all(name in found for name, found in named.items()) and "Net" not in named["output"]
    assert named["Net"].count("output") == 1


def test_parameters_that_another_call_has_are_named():
    again = Layer("head#2", "Conv", Role.CONV, (4, 4, 2), inputs=("head",), tied_to="head")
    net = network(conv("head", INPUT), conv("last", "head"), again)
    assert "Conv 4×4×2 · uses head" not in words(drawn(network(conv("head", INPUT))))
    assert any("uses head" in each for each in words(drawn(net)))


def test_blocks_that_repeat_say_how_often_and_only_the_same_that_they_are():
    (repeat,) = [part for part in fold(SKIPS) if isinstance(part, Repeat)]
    assert [(row.name, row.said) for row in rows(repeat, SKIPS, Look())][-1] == ("2 of one shape", "to b1")
    tied = network(conv("stem", INPUT), *residual("b", "stem"), *residual("b", "b/add", "b", "#2"))
    (repeat,) = [part for part in fold(tied) if isinstance(part, Repeat)]
    assert rows(repeat, tied, Look())[-1].name == "× 2, the same parameters"


def test_tints_marks_and_notes_stand_on_their_layers():
    net = network(conv("stem", INPUT), relu("stem/relu", "stem"))
    look = {"tints": {"stem": 1.0}, "notes": {"stem": "changed by 3 %"}, "marks": {"stem/relu": "1 dead"}}
    text = svg(drawn(net, **look, scale=("none", "most")), themed=True)
    assert text.count("<title>changed by 3 %</title>") == 1
    assert 'fill-opacity="0.45"' in text and ">1 dead<" in text and ">most<" in text


@pytest.mark.parametrize("count", range(1, 8))
def test_no_edge_that_enters_a_box_runs_through_its_title(count):
    sources = [conv(f"source{i}", INPUT) for i in range(count)]
    inside = [conv(f"a_module_of_a_long_name/c{i}", f"source{i}") for i in range(count)]
    joined = add("a_module_of_a_long_name/add", *(layer.path for layer in inside))
    net = network(*sources, *inside, joined, conv("head", joined.path))
    check_drawn(net)
    opened = frozenset(structures(fold(net), net))
    assert "a_module_of_a_long_name" in words(graph(fold(net), net, Look(opened=opened)))


def test_links_are_the_pages_own_and_stay_behind_in_a_file():
    scene = drawn(SKIPS)
    text = svg(scene, themed=True)
    assert check(text, "the graph") == []
    assert {link.target for link in scene.parts if isinstance(link, Link)} >= {("layer", "stem"), ("layer", "head")}
    assert 'href="#layer:stem"' in text and "style" not in text
    alone = export(scene, "svg").decode()
    assert "href" not in alone and "stem" in alone
    assert export(scene, "pdf").startswith(b"%PDF") and export(scene, "png").startswith(b"\x89PNG")


def test_names_from_anywhere_are_text_and_cut_in_their_middle():
    hostile = conv('</a><script>"&', INPUT)
    scene = drawn(network(hostile, relu("x" * 99, hostile.path, alias_of=None), conv("y" * 99, "x" * 99)))
    text = svg(scene, themed=True)
    ET.fromstring(text)
    assert "<script" not in text
    assert {f"{letter * 12}…{letter * 13}" for letter in "xy"} <= set(words(scene))
    assert scene.width < 420


def test_every_block_of_a_repeat_is_there():
    (repeat,) = [part for part in fold(SKIPS) if isinstance(part, Repeat)]
    scene = blocks([("two", repeat.parts)], SKIPS, Look())
    assert words(scene) == ["two", "b0", "b1"]
    assert [link.target for link in scene.parts if isinstance(link, Link)] == [("layer", "b0/add"), ("layer", "b1/add")]


def test_pictures_stand_beside_their_layers_in_their_own_proportions():
    picture = np.zeros((10, 20, 3), np.uint8)
    text = svg(drawn(SKIPS, pictures={"stem": picture}), themed=True)
    (image,) = re.findall(r"<image [^>]*>", text)
    assert 'width="34"' in image and 'height="17"' in image


def captured(name):
    example = MODELS[name]()
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        variables = variables_for(example.model, *example.arguments)
        return prepare(example.model, variables, example.inputs, apply=example.apply).network


@pytest.mark.parametrize(("name", "folded"), [("again", [5, 2]), ("one_layer", []), ("gpt2", [12])])
def test_real_networks_are_drawn_rightly(name, folded):
    net = captured(name)
    check_drawn(net)
    parts = fold(net, (4,))
    found = [len(part.parts) for part in parts if isinstance(part, Repeat)]
    assert found == folded[:1]
    look = Look(opened=frozenset(structures(parts, net)))
    assert len(svg(graph(parts, net, look), themed=True)) < 25_000
