"""Ranks and orders of a layered drawing: every edge leads down, and few of them cross.

    vertices = bent(rank(3, edges), edges)         # a bend wherever an edge passes a rank
    rows = order(vertices)                         # the vertices of each rank from left to right

Ranks by longest path; orders by medians and exchanges of neighbours, kept where they cross less. Source: Gansner,
Koutsofios, North and Vo, "A technique for drawing directed graphs" (1993).
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

Edge = tuple[int, int]
Rows = list[list[int]]

SWEEPS, PATIENCE = 24, 6
"""Sweeps over all ranks at most, and how many without fewer crossings end them."""

STARTS, EFFORT = 14, 2_000
"""Orders that sweeps begin with, and for how many vertices in all one may be tried beyond the first."""


@dataclass
class Vertices:
    """Nodes, and after them the bends that long edges have in the ranks they pass."""

    count: int
    ranks: list[int]
    chains: list[list[int]]
    """Per edge its vertices from source to target, in neighbouring ranks."""
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    ports: dict[int, tuple[float, float]] = field(default_factory=dict)
    slides: dict[Edge, float] = field(default_factory=dict)
    """How far to the right of the upper end's middle the lower one's is where the step between them is vertical."""


def rank(count: int, edges: Sequence[Edge]) -> list[int]:
    """Each node's rank: that of the longest path to it, or right above its readers where it is read more than it reads.

    >>> rank(4, [(0, 1), (1, 2), (3, 2)])
    [0, 1, 2, 1]
    """
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        below[source].append(target)
        above[target].append(source)
    missing = [len(sources) for sources in above]
    ready = [node for node in range(count) if not missing[node]]
    for node in ready:
        for target in below[node]:
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    if len(ready) < count:
        raise ValueError("the edges form a cycle")
    ranks = [0] * count
    for node in ready:
        ranks[node] = max((ranks[source] + 1 for source in above[node]), default=0)
    for node in reversed(ready):
        if len(above[node]) < len(below[node]):
            ranks[node] = min(ranks[target] for target in below[node]) - 1
    least = min(ranks, default=0)
    return [each - least for each in ranks]


def bent(ranks: Sequence[int], edges: Sequence[Edge]) -> Vertices:
    """The graph with a bend wherever an edge passes a rank."""
    vertices = Vertices(len(ranks), list(ranks), [])
    for source, target in edges:
        between = range(ranks[source] + 1, ranks[target])
        bends = range(len(vertices.ranks), len(vertices.ranks) + len(between))
        vertices.ranks.extend(between)
        vertices.chains.append([source, *bends, target])
    vertices.above = [[] for _ in vertices.ranks]
    vertices.below = [[] for _ in vertices.ranks]
    for chain in vertices.chains:
        for upper, lower in pairwise(chain):
            vertices.below[upper].append(lower)
            vertices.above[lower].append(upper)
    return vertices


def crossings(upper: Sequence[int], lower: Sequence[int], below: Sequence[Sequence[int]]) -> int:
    """How often the edges between two neighbouring ranks cross, given the orders of both."""
    at = {vertex: place for place, vertex in enumerate(lower)}
    ended: list[int] = []
    count = 0
    for vertex in upper:
        ends = sorted(at[target] for target in below[vertex])
        count += sum(len(ended) - bisect(ended, end) for end in ends)
        ended = sorted(ended + ends)
    return count


def order(vertices: Vertices) -> Rows:
    """The vertices of each rank from left to right: the best that sweeps down and up make of several beginnings."""
    best: Rows = []
    fewest = -1
    for number in range(min(STARTS, 1 + EFFORT // max(1, len(vertices.ranks)))):
        rows = _first(vertices, vertices.above if number == 1 else vertices.below)
        if number > 1:
            for row in rows:
                Random(number).shuffle(row)
        idle = 0
        for sweep in range(SWEEPS):
            count = sum(crossings(upper, lower, vertices.below) for upper, lower in pairwise(rows))
            if fewest < 0 or count < fewest:
                best, fewest, idle = [list(row) for row in rows], count, 0
            if not fewest or idle > PATIENCE:
                break
            idle += 1
            _by_medians(rows, vertices, down=sweep % 2 == 0)
            _exchanged(rows, vertices, ties=sweep % 4 < 2)
        if not fewest:
            break
    return best


def _first(vertices: Vertices, onward: Sequence[Sequence[int]]) -> Rows:
    """An order to begin with: as a walk along the edges comes by, in depth first."""
    rows: Rows = [[] for _ in range(max(vertices.ranks, default=-1) + 1)]
    seen = [False] * len(vertices.ranks)
    upward = onward is vertices.above
    for start in sorted(range(len(seen)), key=lambda v: -vertices.ranks[v] if upward else vertices.ranks[v]):
        waiting = [start]
        while waiting:
            vertex = waiting.pop()
            if not seen[vertex]:
                seen[vertex] = True
                rows[vertices.ranks[vertex]].append(vertex)
                waiting.extend(reversed(onward[vertex]))
    return rows


def _by_medians(rows: Rows, vertices: Vertices, down: bool) -> None:
    """Order each rank by the medians of what its vertices are joined to in the rank before; the others keep theirs."""
    joined = vertices.above if down else vertices.below
    sequence = rows if down else rows[::-1]
    for fixed, row in pairwise(sequence):
        at = {vertex: place for place, vertex in enumerate(fixed)}
        keys = {v: _weighted_median(sorted(at[other] for other in joined[v])) for v in row if joined[v]}
        moved = iter(sorted(keys, key=keys.__getitem__))
        row[:] = [next(moved) if vertex in keys else vertex for vertex in row]


def _weighted_median(places: Sequence[int]) -> float:
    """The median; of an even number, nearer to the side where they lie closer together."""
    half = len(places) // 2
    if len(places) % 2:
        return places[half]
    if len(places) == 2:
        return sum(places) / 2
    left, right = places[half - 1] - places[0], places[-1] - places[half]
    if left + right == 0:
        return (places[half - 1] + places[half]) / 2
    return (places[half - 1] * right + places[half] * left) / (left + right)


def _exchanged(rows: Rows, vertices: Vertices, ties: bool) -> None:
    """Exchange neighbours as long as that saves crossings; with `ties`, once also where it costs none."""
    at = {vertex: place for row in rows for place, vertex in enumerate(row)}
    ends = [sorted(at[other] for other in joined) for joined in vertices.above]
    exits = [sorted(at[other] for other in joined) for joined in vertices.below]
    stale = set(range(len(rows)))
    while stale:
        looked, stale = sorted(stale), set()
        for index in looked:
            row = rows[index]
            moved = saved = False
            for place in range(len(row) - 1):
                left, right = row[place], row[place + 1]
                gain = _pair(ends[left], ends[right]) - _pair(ends[right], ends[left])
                gain += _pair(exits[left], exits[right]) - _pair(exits[right], exits[left])
                if gain > 0 or (ties and gain == 0):
                    row[place], row[place + 1] = right, left
                    moved, saved = True, saved or gain > 0
            if moved:
                at.update((vertex, place) for place, vertex in enumerate(row))
                for vertex in {other for each in row for other in vertices.above[each]}:
                    exits[vertex] = sorted(at[other] for other in vertices.below[vertex])
                for vertex in {other for each in row for other in vertices.below[each]}:
                    ends[vertex] = sorted(at[other] for other in vertices.above[vertex])
            if saved:
                stale |= {near for near in (index - 1, index, index + 1) if 0 <= near < len(rows)}
        ties = False


def _pair(left: Sequence[int], right: Sequence[int]) -> int:
    """Crossings of the edges of two neighbours, by the sorted places of their other ends."""
    return sum(bisect(right, place - 1) for place in left)
