"""Ranks, orders, positions and paths of graphs: nothing overlaps, nothing runs through anything, little crosses."""

import shutil
import subprocess
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.graph.layout import layout
from reportgen.graph.ranks import bent, crossings, order, rank
from tests.graph.drawn import check_boxes, check_paths


@st.composite
def graphs(draw, most=24):
    """(sizes, edges) of a directed acyclic graph; edges may be there twice."""
    count = draw(st.integers(1, most))
    sizes = draw(st.lists(st.tuples(st.integers(8, 200), st.integers(8, 80)), min_size=count, max_size=count))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    return sizes, draw(st.lists(pairs, max_size=2 * count)) if count > 1 else []


@given(graphs())
def test_boxes_are_apart_and_edges_clear_of_them(graph):
    sizes, edges = graph
    plan = layout(sizes, edges)
    boxes = np.array(plan.boxes)
    check_boxes(boxes)
    check_paths([np.array(path) for path in plan.paths], boxes)
    assert np.allclose(boxes[:, 2:] - boxes[:, :2], sizes)
    assert (boxes >= 0).all() and (boxes[:, 2:] <= (plan.width + 0.1, plan.height + 0.1)).all()
    for (source, target), path in zip(edges, plan.paths, strict=True):
        assert path[0] == pytest.approx(((boxes[source][0] + boxes[source][2]) / 2, boxes[source][3]), abs=0.2)
        assert path[-1] == pytest.approx(((boxes[target][0] + boxes[target][2]) / 2, boxes[target][1]), abs=0.2)
    assert layout(sizes, edges) == plan


@given(graphs())
def test_a_rank_is_the_longest_way_to_a_node_or_right_above_its_readers(graph):
    sizes, edges = graph
    ranks = rank(len(sizes), edges)
    longest = [0] * len(sizes)
    for source, target in sorted(edges):
        longest[target] = max(longest[target], longest[source] + 1)
    assert all(ranks[source] < ranks[target] for source, target in edges)
    assert min(ranks) == 0 and max(ranks) <= max(longest) + len(sizes)
    for node, each in enumerate(ranks):
        readers = [ranks[target] for source, target in edges if source == node]
        assert each == longest[node] or (readers and each == min(readers) - 1)


@given(graphs())
def test_crossings_are_counted_as_they_are_and_no_order_is_worse_than_the_first(graph):
    sizes, edges = graph
    vertices = bent(rank(len(sizes), edges), edges)
    rows = order(vertices)
    assert [sorted(row) for row in rows] == [
        [v for v, each in enumerate(vertices.ranks) if each == level] for level in range(len(rows))
    ]
    for upper, lower in pairwise(rows):
        steps = [(upper.index(u), lower.index(v)) for u in upper for v in vertices.below[u]]
        assert crossings(upper, lower, vertices.below) == sum(
            (a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(steps, 2)
        )


def test_a_cycle_is_an_error_and_no_nodes_are_no_drawing():
    with pytest.raises(ValueError, match="cycle"):
        layout([(10, 10)] * 3, [(0, 1), (1, 2), (2, 0)])
    assert layout([], []).boxes == ()


def test_an_edge_past_many_ranks_is_straight():
    plan = layout([(100, 20)] * 8, [*pairwise(range(8)), (0, 7)])
    assert all(len(path) == 2 for path in plan.paths[1:-2])  # and so are those beside it
    assert len({x for x, _ in plan.paths[-1][1:-1]}) == 1


def test_ports_are_met_where_they_are_and_their_edges_straight():
    plan = layout([(100, 20), (60, 20), (100, 20)], [(0, 1), (1, 2)], {0: (40.0, -20.0), 1: (10.0, 30.0)})
    for path, box, port in ((plan.paths[0], plan.boxes[0], 40.0), (plan.paths[1], plan.boxes[1], 10.0)):
        assert path[0][0] == (box[0] + box[2]) / 2 + port
        assert len(path) == 2


def test_first_and_last_nodes_are_alone_in_their_ranks():
    plan = layout([(10, 10)] * 5, [(3, 0), (0, 1), (2, 1), (1, 4)], first=[3], last=[4])
    tops = [box[1] for box in plan.boxes]
    assert sorted(tops)[0] == tops[3] < sorted(tops)[1] and max(tops) == tops[4] > sorted(tops)[-2]


def network_of(blocks):
    """Some hundred nodes in blocks of four branches with an edge around each: what networks look like."""
    edges, last = [], 0
    for block in range(blocks):
        one, two, three, four, five, six, seven, join, out = range(1 + 9 * block, 10 + 9 * block)
        edges += [(last, one), (one, two), (two, three), (last, four), (four, five), (last, six), (last, seven)]
        edges += [(three, join), (five, join), (six, join), (seven, join), (join, out), (last, out)]
        last = out
    return last + 1, edges


def random_graph(seed, count=40, back=8):
    random = np.random.default_rng(seed)
    edges = [
        (int(random.integers(max(0, i - back), i)), i) for i in range(1, count) for _ in range(random.integers(1, 3))
    ]
    return count, sorted(set(edges))


GRAPHS = [network_of(6), *(random_graph(seed) for seed in range(6)), *(random_graph(seed, 60, 4) for seed in range(6))]


@pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz is not installed; it is what crossings are compared with"
)
def test_edges_cross_at_most_a_tenth_more_often_than_in_graphviz():
    ours = theirs = 0
    for count, edges in GRAPHS:
        ours += crossed(layout([(60, 20)] * count, edges).paths, edges)
        theirs += crossed(graphviz(count, edges), edges)
    assert theirs > 0
    assert ours <= 1.1 * theirs


def graphviz(count, edges):
    """The paths of the edges as `dot` draws them, its curves in steps."""
    nodes = "".join(f"{node};" for node in range(count))
    text = f"digraph{{node[shape=box fixedsize=true width=.83 height=.28];{nodes}"
    text += "".join(f"{a}->{b};" for a, b in edges) + "}"
    drawn = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True).stdout
    paths = {}
    for words in map(str.split, drawn.splitlines()):
        if words[0] == "edge":
            corners = np.array(words[4 : 4 + 2 * int(words[3])], float).reshape(-1, 2)
            steps = np.linspace(0, 1, 9)[:, None]
            weights = np.hstack([(1 - steps) ** 3, 3 * (1 - steps) ** 2 * steps, 3 * (1 - steps) * steps**2, steps**3])
            curves = [weights @ corners[i : i + 4] for i in range(0, len(corners) - 1, 3)]
            paths[int(words[1]), int(words[2])] = np.concatenate(curves)
    return [paths[edge] for edge in edges]


def crossed(paths, edges):
    """How often two edges without a common end cross."""
    count = 0
    for (path, one), (other, two) in combinations(zip(paths, edges, strict=True), 2):
        if not {*one} & {*two}:
            count += meetings(np.asarray(path, float), np.asarray(other, float))
    return count


def meetings(path, other):
    a, b, c, d = path[:-1, None], path[1:, None], other[None, :-1], other[None, 1:]

    def side(p, q, r):
        return np.sign((q - p)[..., 0] * (r - p)[..., 1] - (q - p)[..., 1] * (r - p)[..., 0])

    return int(((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).sum())
