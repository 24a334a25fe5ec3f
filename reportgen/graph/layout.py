"""A layered drawing of a directed acyclic graph: where nodes and edges lie, without any of it being drawn.

    plan = layout([(120, 40), (120, 40), (80, 20)], [(0, 1), (1, 2), (0, 2)])
    plan.boxes[2], plan.paths[1]

Ranks and orders are those of `graph.ranks`; positions keep long edges straight. Between two ranks is a strip
without boxes, and only there an edge moves sideways: no edge runs through a box. Source of the positions: Brandes and
Köpf, "Fast and simple horizontal coordinate assignment" (2002).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from reportgen.graph.ranks import Edge, Rows, Vertices, bent, order, rank

Point = tuple[float, float]
Box = tuple[float, float, float, float]

BESIDE, BEND, BELOW = 24.0, 12.0, 26.0
"""Least distance between boxes beside each other, between an edge and what is beside it, and between two ranks."""


@dataclass(frozen=True)
class Layout:
    """Boxes (left, top, right, bottom) by node, and the corners of each edge's path from source to target.

    A path's steps that are not vertical lie within the strip between two ranks, from its upper to its lower rim, so
    that a curve which begins and ends vertically is as clear of boxes as the straight line.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    paths: tuple[tuple[Point, ...], ...]


def layout(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[Edge],
    ports: Mapping[int, tuple[float, float]] | None = None,
    first: Sequence[int] = (),
    last: Sequence[int] = (),
) -> Layout:
    """Place nodes of these (width, height).

    `ports` has for an edge by number how far from the middle it leaves its source and enters its target, where that is
    not 0. The nodes `first` alone are in the highest rank and the nodes `last` alone in the lowest; no edge leads to
    the former or from the latter. Raises ValueError for a cycle.
    """
    ranks = rank(len(sizes), edges)
    others = [each for node, each in enumerate(ranks) if node not in {*first, *last}]
    for node in first:
        ranks[node] = min(others, default=1) - 1
    for node in last:
        ranks[node] = max(others, default=0) + 1
    ranks = [each - min(ranks) for each in ranks]
    vertices = bent(ranks, edges)
    rows = order(vertices)
    widths = [width for width, _ in sizes] + [0.0] * (len(vertices.ranks) - len(sizes))
    for number, found in (ports or {}).items():
        chain = vertices.chains[number]
        vertices.ports[number] = found
        vertices.slides.setdefault((chain[0], chain[1]), found[0] - (found[1] if len(chain) == 2 else 0.0))
        vertices.slides.setdefault((chain[-2], chain[-1]), -found[1])
    across = place(vertices, rows, widths)
    # What comes first is read first: at the left, where it is in view on a narrow screen too.
    spans = [(x - width / 2, x + width / 2) for x, width in zip(across, widths, strict=True)]
    middle = (min(left for left, _ in spans) + max(right for _, right in spans)) / 2 if spans else 0.0
    if rows and sum(across[v] for v in rows[0]) / len(rows[0]) > middle + BESIDE:
        across = place(vertices, [row[::-1] for row in rows], widths)
    return _routed(vertices, rows, across, sizes)


def place(vertices: Vertices, rows: Rows, widths: Sequence[float]) -> list[float]:
    """The middle of each vertex: the mean of the two middle ones of four, leaning to each of the corners."""
    crossed = _crossed(vertices, rows)
    found: list[list[float]] = []
    for upward in (False, True):
        for leftward in (False, True):
            turned = [row[::-1] for row in rows] if leftward else rows
            across = _compact(vertices, turned, *_aligned(vertices, turned, crossed, upward, leftward), widths)
            found.append([-x for x in across] if leftward else across)
    if not rows:
        return []
    spans = [(min(xs), max(xs)) for xs in found]
    narrow = min(range(4), key=lambda i: spans[i][1] - spans[i][0])
    for index, xs in enumerate(found):
        side = index % 2
        shift = spans[narrow][side] - spans[index][side]
        found[index] = [x + shift for x in xs]
    return [median(places) for places in zip(*found, strict=True)]


def _crossed(vertices: Vertices, rows: Rows) -> set[Edge]:
    """The steps of edges that cross one between two bends: the latter is to be straight."""
    at = {vertex: place for row in rows for place, vertex in enumerate(row)}
    crossed: set[Edge] = set()
    for upper, _ in pairwise(rows):
        steps = [(at[u], at[v], u, v) for u in upper for v in vertices.below[u]]
        inner = [step for step in steps if step[2] >= vertices.count and step[3] >= vertices.count]
        for left, right, _, _ in inner:
            crossed |= {
                (u, v)
                for a, b, u, v in steps
                if (a - left) * (b - right) < 0 and (u < vertices.count or v < vertices.count)
            }
    return crossed


def _aligned(
    vertices: Vertices, rows: Rows, crossed: set[Edge], upward: bool, leftward: bool
) -> tuple[list[int], list[float]]:
    """The block of each vertex, vertices that stand above each other, and how far from its middle the vertex is."""
    at = {vertex: place for row in rows for place, vertex in enumerate(row)}
    joined = vertices.below if upward else vertices.above
    block = list(range(len(vertices.ranks)))
    slid = [0.0] * len(block)
    for row in rows[::-1] if upward else rows:
        reached = -1
        for vertex in row:
            others = sorted(set(joined[vertex]), key=at.__getitem__)
            middle = len(others) // 2
            for other in (
                others[middle - 1 : middle + 1] if others and len(others) % 2 == 0 else others[middle : middle + 1]
            ):
                step = (vertex, other) if upward else (other, vertex)
                if block[vertex] == vertex and step not in crossed and at[other] > reached:
                    block[vertex] = block[other]
                    slide = vertices.slides.get(step, 0.0) * (-1 if upward != leftward else 1)
                    slid[vertex] = slid[other] + slide
                    reached = at[other]
    return block, slid


def _compact(
    vertices: Vertices, rows: Rows, block: Sequence[int], slid: Sequence[float], widths: Sequence[float]
) -> list[float]:
    """The middle of each vertex, blocks as far to the left as they go, then as near to their neighbours as they can."""
    before: dict[int, list[tuple[int, float]]] = {}
    after: dict[int, list[tuple[int, float]]] = {}
    for row in rows:
        for left, right in pairwise(row):
            apart = BESIDE if left < vertices.count and right < vertices.count else BEND
            distance = (widths[left] + widths[right]) / 2 + apart + slid[left] - slid[right]
            before.setdefault(block[right], []).append((block[left], distance))
            after.setdefault(block[left], []).append((block[right], distance))
    across: dict[int, float] = {}
    sequence = _sorted(set(block), before)
    for each in sequence:
        across[each] = max((across[other] + distance for other, distance in before.get(each, ())), default=0.0)
    for each in reversed(sequence):
        room = min((across[other] - distance for other, distance in after.get(each, ())), default=None)
        if room is not None:
            across[each] = max(across[each], room)
    return [across[each] + aside for each, aside in zip(block, slid, strict=True)]


def _sorted(blocks: set[int], before: Mapping[int, Sequence[tuple[int, float]]]) -> list[int]:
    """The blocks, each after those to its left."""
    done: dict[int, None] = {}
    for start in sorted(blocks):
        waiting = [start]
        while waiting:
            each = waiting[-1]
            missing = [other for other, _ in before.get(each, ()) if other not in done]
            if missing and each not in done:
                waiting.extend(missing)
            else:
                done[waiting.pop()] = None
    return list(done)


def _routed(
    vertices: Vertices,
    rows: Rows,
    across: Sequence[float],
    sizes: Sequence[tuple[float, float]],
) -> Layout:
    """Ranks below each other, the further apart the wider edges swing between them; and the edges' paths."""
    tall = [max((sizes[v][1] for v in row if v < vertices.count), default=0.0) for row in rows]
    swing = [0.0] * len(rows)
    for number, chain in enumerate(vertices.chains):
        leaves, enters = vertices.ports.get(number, (0.0, 0.0))
        for upper, lower in pairwise(chain):
            start = across[upper] + (leaves if upper == chain[0] else 0.0)
            end = across[lower] + (enters if lower == chain[-1] else 0.0)
            index = vertices.ranks[upper]
            swing[index] = max(swing[index], abs(end - start))
    tops = [0.0]
    for height, width in zip(tall, swing, strict=True):
        tops.append(round(tops[-1] + height + BELOW + min(BELOW, width / 16), 1))
    lefts = [across[v] - (sizes[v][0] / 2 if v < vertices.count else 0.0) for v in range(len(across))]
    left = min(lefts, default=0.0)
    boxes = []
    for node, (width, height) in enumerate(sizes):
        x = round(lefts[node] - left, 1)
        y = round(tops[vertices.ranks[node]] + (tall[vertices.ranks[node]] - height) / 2, 1)
        boxes.append((x, y, x + width, y + height))
    paths = []
    for number, chain in enumerate(vertices.chains):
        leaves, enters = vertices.ports.get(number, (0.0, 0.0))
        source, target = boxes[chain[0]], boxes[chain[-1]]
        x = (source[0] + source[2]) / 2 + leaves
        points = [(x, source[3]), (x, tops[vertices.ranks[chain[0]]] + tall[vertices.ranks[chain[0]]])]
        for bend in chain[1:-1]:
            x, y = round(across[bend] - left, 1), tops[vertices.ranks[bend]]
            points += [(x, y), (x, y + tall[vertices.ranks[bend]])]
        x = (target[0] + target[2]) / 2 + enters
        points += [(x, tops[vertices.ranks[chain[-1]]]), (x, target[1])]
        paths.append(_plain(points))
    right = max((box[2] for box in boxes), default=0.0)
    right = max([right, *(x for path in paths for x, _ in path)])
    bottom = tops[-2] + tall[-1] if rows else 0.0
    return Layout(right, bottom, tuple(boxes), tuple(paths))


def _plain(points: Sequence[Point]) -> tuple[Point, ...]:
    """The path without points that lie on the line between their neighbours."""
    kept: list[Point] = []
    for point in points:
        if kept and point == kept[-1]:
            continue
        if len(kept) > 1 and kept[-2][0] == kept[-1][0] == point[0]:
            kept.pop()
        kept.append(point)
    return tuple(kept)
