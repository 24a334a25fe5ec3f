"""That a graph of layers is drawn rightly, whatever the network, by measuring the chart itself."""

from itertools import combinations, pairwise

import numpy as np

from reportgen.core.network import INPUT
from reportgen.figures.fonts import text_width
from reportgen.figures.scene import Arrows, Boxes, Lines, Words, plain
from reportgen.graph.folding import Chain, Module, Repeat, fold, layers_of, shape_of
from reportgen.graph.rows import Look
from reportgen.graph.scene import graph

NEAR = 0.11
"""Pixels by which positions are rounded."""


def structures(parts, network):
    """Those of all modules."""
    for part in parts:
        if isinstance(part, Module):
            yield shape_of(part, network, sizes=False)
        if not isinstance(part, Chain):
            yield from structures(part.parts, network)


def check_drawn(network):
    """Everything is in one part; no boxes overlap; no edge runs through one or its title; what repeats in fact does."""
    parts = fold(network, (1,))
    check_parts(parts, network)
    for opened in (frozenset(), frozenset(structures(parts, network))):
        check_scene(graph(parts, network, Look(opened=opened)))


def check_parts(parts, network):
    stood_for = [layer.path for part in parts for layer in own_of(part)]
    paths = [layer.path for part in parts for layer in layers_of(part) if layer.path != INPUT]
    assert sorted([*paths, *stood_for]) == sorted(network.layers)
    assert all(network.layers[path].alias_of for path in stood_for)
    for repeat in repeats_of(parts):
        first, *others = ([network.layers[x.path] for x in layers_of(part)] for part in repeat.parts)
        for other in others:
            assert [(x.op, x.shape) for x in other] == [(x.op, x.shape) for x in first]
            owners = [
                [layer.tied_to or layer.path for layer in each if layer.params or layer.tied_to]
                for each in (first, other)
            ]
            assert len(owners[0]) == len(owners[1])
            assert repeat.same == (set(owners[0]) == set(owners[1]) and bool(owners[0]))
            assert [network.layers[x].parameters for x in owners[0]] == [
                network.layers[x].parameters for x in owners[1]
            ]


def own_of(part):
    if isinstance(part, Module):
        yield from part.own
    if not isinstance(part, Chain):
        for each in part.parts:
            yield from own_of(each)


def repeats_of(parts):
    for part in parts:
        if isinstance(part, Repeat):
            yield part
        if not isinstance(part, Chain):
            yield from repeats_of(part.parts)


def check_scene(scene):
    """Nodes apart, boxes around or beside them, edges from the foot of one to the head of another, clear of titles."""
    cards = np.array(
        next(part.boxes for part in plain(scene.parts) if isinstance(part, Boxes) and part.color == "ground")
    )
    outlines = [x for part in scene.parts if isinstance(part, Lines) and part.dashes for x in part.lines]
    frames = [(*outline.min(axis=0), *outline.max(axis=0)) for outline in outlines]
    check_boxes(cards, frames)
    arrows = [part for part in scene.parts if isinstance(part, Arrows)]
    check_paths([path for part in arrows for path in part.paths], cards)
    for part in arrows:
        for path in part.paths if part.head else ():
            (x, y) = path[-1]
            assert any(left < x < right and abs(top - y) < NEAR for left, top, right, _ in cards)
    titles = [part for part in plain(scene.parts) if isinstance(part, Words) and part.halo and part.text]
    check_paths([path for part in arrows for path in part.paths], np.array([covered(title) for title in titles]))
    everything = np.concatenate([cards[:, :2], cards[:, 2:], *(path for part in arrows for path in part.paths)])
    assert everything.min() >= 0 and (everything.max(axis=0) <= (scene.width, scene.height)).all()


def covered(words):
    """The box of words that begin at their place: from their ascenders to their descenders."""
    return (
        words.x,
        words.y - 0.75 * words.size,
        words.x + text_width(words.text, words.size, bold=words.bold),
        words.y + 2,
    )


def check_boxes(cards, frames=()):
    for one, other in combinations(cards, 2):
        assert apart(one, other)
    for place, frame in enumerate(frames):
        for other in (*cards, *frames[:place], *frames[place + 1 :]):
            assert apart(frame, other) or within(other, frame) or within(frame, other)


def check_paths(paths, cards):
    """The bounding box of each step, which holds its curve too, is clear of all nodes."""
    left, top, right, bottom = cards.reshape(-1, 4).T
    for path in paths:
        for (x, y), (across, down) in pairwise(path):
            assert down >= y - NEAR  # downwards, always
            beside = (max(x, across) < left + NEAR) | (min(x, across) > right - NEAR)
            assert (beside | (down < top + NEAR) | (y > bottom - NEAR)).all()


def apart(one, other):
    return (
        one[2] <= other[0] + NEAR or other[2] <= one[0] + NEAR or one[3] <= other[1] + NEAR or other[3] <= one[1] + NEAR
    )


def within(inner, outer):
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]
