"""Long columns of unlike parts: in stretches where each reads the one before alone, with every layer still there."""

from dataclasses import replace

from reportgen.core.network import INPUT
from reportgen.graph.folding import Module, fold, layers_of
from reportgen.graph.rows import Look
from reportgen.graph.scene import graph
from reportgen.graph.stretches import LONG, MOST, stretched
from reportgen.sections import graph as section
from tests.graph.drawn import check_scene, structures
from tests.graph.test_folding import conv, network


def column(count, skip=()):
    """So many convolutions of a width each of its own; each of `skip` is read by the one two later too."""
    layers = [replace(conv("b0", INPUT), shape=(4, 4, 1))]
    for number in range(1, count):
        reads = (f"b{number - 1}", *((f"b{number - 2}",) if number - 2 in skip else ()))
        layers.append(replace(conv(f"b{number}", *reads), shape=(4, 4, 1 + number)))
    return network(*layers)


def parts_of(net):
    return stretched(fold(net, (4, 4, 1)), net)


def test_a_long_column_is_a_few_stretches_that_hold_every_layer_once():
    net = column(150)
    parts = parts_of(net)
    assert [layer.path for part in parts for layer in layers_of(part)] == [INPUT, *net.layers]
    stretches = [part for part in parts if isinstance(part, Module)]
    assert all(part.stretch and len(part.parts) <= MOST for part in stretches)
    assert stretches[0].path == "b0 to b23" and len(parts) == 1 + -(-150 // MOST)
    scene = graph(parts, net, Look())
    check_scene(scene)
    assert scene.height < 600 < graph(fold(net, (4, 4, 1)), net, Look()).height
    check_scene(graph(parts, net, Look(opened=frozenset(structures(parts, net)))))


def test_a_column_that_is_not_long_stays_as_it_is():
    net = column(LONG - 1)
    assert parts_of(net) == fold(net, (4, 4, 1))


def test_what_is_read_past_the_next_one_is_in_no_stretch_with_it():
    net = column(80, skip={40})
    for part in parts_of(net):
        paths = [layer.path for layer in layers_of(part)]
        assert not {"b40", "b41"} <= {*paths} and not {"b41", "b42"} <= {*paths}


def test_the_page_says_what_a_stretch_is_and_leads_to_each_block():
    net = column(150)
    shown = section.section(net, (4, 4, 1), Look(), "")
    whole, *folds = shown.blocks
    assert whole.picture.height < 600
    lines = [entry.layer for entry in whole.picture.outline]
    assert {*net.layers} <= {*lines}
    names = [figure.name for fold in folds for figure in fold.blocks]
    assert "graph-blocks" in names and "graph-inside-0" in names
    blocks = next(figure for fold in folds for figure in fold.blocks if figure.name == "graph-blocks")
    assert all(f'"#layer:b{number}"' in blocks.picture.svg for number in range(150))
    assert "24 layers" in whole.picture.svg and "From one name to another" in whole.caption
