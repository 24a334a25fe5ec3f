"""The layout of a network's drawing: seconds for a thousand nodes."""

import random
from collections.abc import Callable

from benchmarks.measure import Here, Row, Settings, in_turns


def measure(settings: Settings) -> list[Row]:
    """Branches that meet again, as networks have them, and edges from anywhere near."""
    rows = []
    for figure, kind in (("blocks of four branches", "blocks"), ("edges from the last three nodes", "near")):
        sides = {kind: Here(f"benchmarks.drawing:{kind}", {"nodes": 50 if settings.tiny else 1000})}
        taken = in_turns(sides, settings.rounds)[kind]
        rows.append(Row(f"layout of 1,000 nodes, {figure}", tuple(each["seconds"] for each in taken), 1.0, "s"))
    return rows


def blocks(nodes: int) -> Callable[[], None]:
    """Four branches between a node and the sum of them, and an edge around each block."""
    edges, last = [], 0
    while last + 9 < nodes:
        one, two, three, four, five, six, seven, joined, out = range(last + 1, last + 10)
        edges += [(last, one), (one, two), (two, three), (last, four), (four, five), (last, six), (last, seven)]
        edges += [(end, joined) for end in (three, five, six, seven)] + [(joined, out), (last, out)]
        last = out
    return _layout(last + 1, edges)


def near(nodes: int) -> Callable[[], None]:
    """Each node reads one to three of the last three."""
    chosen = random.Random(1)
    reads = (
        (chosen.randrange(max(0, i - 3), i), i) for i in range(1, nodes) for _ in range(chosen.choice((1, 1, 1, 2, 3)))
    )
    return _layout(nodes, sorted(set(reads)))


def _layout(nodes: int, edges: list[tuple[int, int]]) -> Callable[[], None]:
    from reportgen.graph.layout import layout

    def run() -> None:
        layout([(60.0, 20.0)] * nodes, edges)

    return run
