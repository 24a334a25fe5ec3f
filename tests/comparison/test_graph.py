"""The network of a comparison, drawn: what was added, removed and changed, and how alike the rest is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from reportgen.core.network import INPUT, Layer, Role
from reportgen.core.run import Batch
from reportgen.sections.compare import graph
from tests.graph.test_folding import conv, network, relu


def built(base, new, similar=None):
    probe = Batch(2, np.zeros((2, 4, 4, 2), np.float32))
    runs = [SimpleNamespace(network=net, batch=lambda name: probe) for net in (base, new)]
    layers = {path: SimpleNamespace(cka=cka) for path, cka in (similar or {}).items()}
    return graph.build(SimpleNamespace(base=runs[0], new=runs[1], layers=layers))


def test_layers_added_removed_and_changed_are_marked():
    base = network(conv("a", INPUT), relu("a/relu", "a"), conv("b", "a/relu"), conv("gone", "b"))
    wider = replace(conv("b", "a/relu"), params={"b/kernel": (5, 5, 2, 2)})
    new = network(
        conv("a", INPUT), relu("a/relu", "a"), wider, Layer("extra", "Dense", Role.DENSE, (3,), inputs=("b",))
    )
    section = built(base, new)
    assert section.finding.endswith("Against base: 1 layer added (extra), 1 layer removed (gone), 1 layer changed (b).")
    svg = section.blocks[0].picture.svg
    assert svg.count("added<") == 1 and svg.count("changed<") == 1
    assert "bluer" not in section.blocks[0].caption


def test_equal_networks_are_said_to_be_and_tinted_by_what_differs_inside():
    net = network(conv("a", INPUT), relu("a/relu", "a"), conv("b", "a/relu"))
    section = built(net, net, {"a": 1.0, "b": 0.25, "a/relu": None})
    assert section.finding.endswith("Base has the same layers.")
    svg = section.blocks[0].picture.svg
    assert (
        "<title>similarity to base 0.25</title>" in svg and 'fill-opacity="0.338"' in svg and 'fill-opacity="0"' in svg
    )
    assert "debiased linear CKA" in section.blocks[0].caption
