"""The layers of a network and what they read, as a chart: nodes in ranks, modules as boxes around what is in them.

    graph(fold(network), network, Look())          # Scene

A node has a row for each of its layers: its name, and its operation, output shape and number of parameters. A module
that is not opened is one node with a rim behind it; of blocks that repeat the first stands for all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from reportgen.core.network import Network
from reportgen.figures.fonts import text_width
from reportgen.figures.scene import SMALL, WIDTH, Arrows, Boxes, Hook, Lines, Link, Picture, Scene, Words, rectangle
from reportgen.figures.scene import Part as Drawn
from reportgen.graph.folding import Module, Part, Repeat, joins, layers_of, shape_of
from reportgen.graph.layout import layout
from reportgen.graph.rows import LONGEST, Look, Row, middle_cut, rows

ROW, PAD, GAP = 17.0, 7.0, 12.0
"""Height of a node's row; space at its sides; least space between a name and what follows it."""

INSIDE, HEADER, FOOT = 12.0, 22.0, 10.0
"""Space in a box at its sides, above what is in it where nothing enters, and below where nothing leaves."""

BOLD = 1.1
"""How much wider bold text is."""

SHADES = 10
HEAD = 5.0
PICTURE = 34.0
RIM = 3.0
STRONGEST = 0.45
"""Opacity of the strongest tint: the ink is read on it in both themes."""


@dataclass(frozen=True)
class _Card:
    """A node: a chain, or a module that is not opened, with so many rims behind it as say that it is more than one."""

    rows: tuple[Row, ...]
    picture: np.ndarray | None
    rims: int
    width: float
    height: float


@dataclass(frozen=True)
class _Panel:
    """A box with its title and what lies in it, or the whole chart; where edges enter and leave, by path read."""

    title: Row | None
    title_at: float
    width: float
    height: float
    nodes: "tuple[tuple[float, float, _Card | _Panel], ...]"
    paths: tuple[np.ndarray, ...]
    ended: tuple[bool, ...]
    """Whether each path ends at a node, not at a port."""
    enters: Mapping[str, float]
    exits: Mapping[str, float]


def graph(parts: Sequence[Part], network: Network, look: Look, hook: bool = False) -> Scene:
    """The parts with the edges between them, and those from and to the rest of the network, if they are not all.

    With a `hook` the page's script finds the rows, and a bar for the parameters of each that has any.
    """
    inside = {path for part in parts for path in _paths(part)}
    layers = [layer for path, layer in network.layers.items() if layer.alias_of is None]
    enters = dict.fromkeys(source for x in layers if x.path in inside for source in x.inputs if source not in inside)
    exits = dict.fromkeys(source for x in layers if x.path not in inside for source in x.inputs if source in inside)
    panel = _Plan(network, look).panel(parts, None, "", list(enters), list(exits))
    ink = _Ink()
    _draw(panel, 1.0, 1.0, look, ink)
    width, height = panel.width + 2 + 2 * RIM, panel.height + 2 + 2 * RIM
    places = [*(box for _, box in ink.rows), *_bars(ink.rows)]
    hooks = [Hook("tokens", tuple(np.round(places, 1).ravel().tolist()))] if hook else []
    if look.scale is None:
        return Scene(width, height, ink.parts(hooks))
    wanted = sum(text_width(words, SMALL) for words in look.scale) + SHADES * 14 + 2 * PAD
    return Scene(max(width, wanted), height + GAP + 16, ink.parts([*_scale(look.scale, height + GAP), *hooks]))


def drawn_rows(parts: Sequence[Part], network: Network, look: Look) -> list[Row]:
    """The rows of the whole network's drawing, as its hook has them."""
    ink = _Ink()
    _draw(_Plan(network, look).panel(parts, None, "", [], []), 1.0, 1.0, look, ink)
    return [row for row, _ in ink.rows]


def _bars(
    places: Sequence[tuple[Row, tuple[float, float, float, float]]],
) -> Iterator[tuple[float, float, float, float]]:
    """A bar on each row that has parameters, as wide as it has many: the widest as the narrowest of these rows."""
    having = [(row.parameters, box) for row, box in places if row.parameters]
    most = max((count for count, _ in having), default=0)
    widest = min((right - left for _, (left, _, right, _) in having), default=0.0)
    for count, (left, top, _, bottom) in having:
        yield left, top, left + max(widest * count / most, 0.5), bottom


def blocks(groups: Sequence[tuple[str, Sequence[Part]]], network: Network, look: Look) -> Scene:
    """Every part of each group by its name, in rows, under the title that comes with it."""
    titles: list[Drawn] = []
    ink = _Ink()
    top = 0.0
    for title, parts in groups:
        titles.append(Words(0, top + 12, title, size=SMALL, bold=True))
        left, top = 1.0, top + 20
        for part in parts:
            card = _Plan(network, look).card(part)
            row = replace(card.rows[0], said="")
            card = _Card((row,), None, 0, round(_across(row) + 2 * PAD), ROW + 4)
            if left > 1 and left + card.width > WIDTH:
                left, top = 1.0, top + card.height + PAD
            _card(card, left, top, look, ink)
            left += card.width + PAD
        top += card.height + 2 * GAP
    return Scene(WIDTH, max(top - 2 * GAP + 1, 1.0), (*titles, *ink.parts()))


def _scale(words: tuple[str, str], top: float) -> list[Drawn]:
    """The tints from the weakest to the strongest, between their words."""
    left = text_width(words[0], SMALL) + PAD
    shades: list[Drawn] = [
        Boxes(np.array([[left + 14 * i, top, left + 14 * i + 14, top + 12]]), "accent", STRONGEST * i / (SHADES - 1))
        for i in range(SHADES)
    ]
    frame = rectangle(left, top, left + 14 * SHADES, top + 12)
    ends = (
        Words(0, top + 10, words[0], "muted", SMALL),
        Words(left + 14 * SHADES + PAD, top + 10, words[1], "muted", SMALL),
    )
    return [*shades, Lines((frame,), "line"), *ends]


class _Plan:
    """Places parts within parts."""

    def __init__(self, network: Network, look: Look):
        self._network = network
        self._look = look

    def panel(
        self, parts: Sequence[Part], title: Row | None, module: str, enters: Sequence[str], exits: Sequence[str]
    ) -> _Panel:
        """The parts with ports for what they read from outside and for what is read of them, by path."""
        between = {(*pair, path) for pair, found in joins(parts, self._network).items() for path, _ in found}
        read = {path: [place for place, part in enumerate(parts) if self._reads(part, path)] for path in enters}
        given = {path: place for place, part in enumerate(parts) for path in exits if path in _paths(part)}
        nodes = [self._node(part, place, between, read, given, module) for place, part in enumerate(parts)]
        ports = len(parts), len(parts) + len(enters)
        edges = sorted(between, key=lambda edge: edge[:2])
        edges += [(ports[0] + i, place, path) for i, path in enumerate(enters) for place in read[path]]
        edges += [(given[path], ports[1] + i, path) for i, path in enumerate(exits) if path in given]
        shifts = {}
        for number, (source, target, path) in enumerate(edges):
            leaves = _shift(nodes, source, path, "exits")
            shifts[number] = leaves, _shift(nodes, target, path, "enters")
        sizes = [(node.width, node.height) for node in nodes] + [(8.0, 0.0)] * (len(enters) + len(exits))
        plan = layout(
            sizes,
            [edge[:2] for edge in edges],
            shifts,
            first=range(*ports),
            last=range(ports[1], ports[1] + len(exits)),
        )
        left, width, top, title_at = 0.0, plan.width, 0.0, PAD
        if title is not None:
            across = _across(title)
            left = max(INSIDE, (across + 2 * GAP - plan.width) / 2)
            width, top = plan.width + 2 * left, HEADER
            entering = [left + (box[0] + box[2]) / 2 for box in plan.boxes[ports[0] : ports[1]]]
            clear = _clear(entering, across, width)
            if clear is None:
                more = across + 2 * PAD - min(entering)
                left, width = left + more, width + more
            title_at = PAD if clear is None else clear
        paths = [np.array(path) + np.array([left, top]) for path in plan.paths]
        for number, (source, _, _) in enumerate(edges):
            if source >= len(parts):
                paths[number] = np.concatenate([[(paths[number][0, 0], 0.0)], paths[number]])
        middles = [left + (box[0] + box[2]) / 2 for box in plan.boxes[len(parts) :]]
        return _Panel(
            title,
            title_at,
            width,
            plan.height + top + (FOOT if title is not None and not exits else 0.0),
            tuple((left + x, top + y, node) for (x, y, _, _), node in zip(plan.boxes, nodes, strict=False)),
            tuple(paths),
            tuple(target < len(nodes) and isinstance(nodes[target], _Card) for _, target, _ in edges),
            dict(zip(enters, middles, strict=False)),
            dict(zip(exits, middles[len(enters) :], strict=True)),
        )

    def _reads(self, part: Part, path: str) -> bool:
        shown = part.parts[0] if isinstance(part, Repeat) else part
        return any(path in layer.inputs for layer in layers_of(shown))

    def _node(
        self,
        part: Part,
        place: int,
        between: set[tuple[int, int, str]],
        read: Mapping[str, Sequence[int]],
        given: Mapping[str, int],
        module: str,
    ) -> _Card | _Panel:
        shown = part.parts[0] if isinstance(part, Repeat) else part
        if not isinstance(shown, Module) or shape_of(shown, self._network, sizes=False) not in self._look.opened:
            return self.card(part, module)
        enters = dict.fromkeys([path for _, target, path in sorted(between) if target == place])
        enters |= dict.fromkeys(path for path, places in read.items() if place in places)
        exits = dict.fromkeys([path for source, _, path in sorted(between) if source == place])
        exits |= dict.fromkeys(path for path, source in given.items() if source == place)
        first, *more = rows(part, self._network, self._look, module)
        title = first.cut()
        if isinstance(part, Repeat):
            said = f"{more[-1].name} · {first.said}{' each' if ' · ' in first.said and not part.same else ''}"
            title = replace(first, name=middle_cut(f"{first.name} {more[-1].said}", 2 * LONGEST), said=said)
        if not isinstance(part, Repeat):
            return self.panel(shown.parts, title, shown.path or module, list(enters), list(exits))
        # The first stands for the last too, whose values are those that others read.
        ends = dict(zip(_paths(part.parts[-1]), _paths(shown), strict=True))
        inner = self.panel(
            shown.parts, title, shown.path or module, list(enters), list(dict.fromkeys(ends.get(x, x) for x in exits))
        )
        return replace(inner, exits={path: inner.exits[ends.get(path, path)] for path in exits})

    def card(self, part: Part, module: str = "") -> _Card:
        """The part as one node."""
        lines = rows(part, self._network, self._look, module)
        lines = tuple(row.cut() for row in lines)
        layers = [layer for row in lines for layer in row.layers]
        last = part.parts[-1] if isinstance(part, Repeat) else part
        drawn = [x for x in layers_of(last) if x.path in self._look.pictures]
        picture = self._look.pictures[drawn[-1].path] if drawn else None
        height = max(len(lines) * ROW + 4, PICTURE + 4 if picture is not None else 0.0)
        width = max(_across(row) for row in lines)
        width = round(width + 2 * PAD + (0.0 if picture is None else PICTURE + 2))
        rims = 2 if isinstance(part, Repeat) else int(isinstance(part, Module))
        return _Card(lines, picture, rims if layers else 0, width, height)


def _across(row: Row) -> float:
    """Width of a row's words."""
    return BOLD * text_width(row.name, SMALL) + (GAP + text_width(row.said, SMALL) if row.said else 0.0)


def _paths(part: Part) -> list[str]:
    return [layer.path for layer in layers_of(part)]


def _shift(nodes: Sequence[_Card | _Panel], place: int, path: str, side: str) -> float:
    """How far from its middle an edge meets a node."""
    if place >= len(nodes) or isinstance(node := nodes[place], _Card):
        return 0.0
    where: Mapping[str, float] = getattr(node, side)
    return where[path] - node.width / 2


@dataclass(frozen=True)
class _Ink:
    """What is drawn, by its look: of each there is one part, however many nodes there are."""

    boxes: list[np.ndarray] = field(default_factory=list)
    paths: dict[bool, list[np.ndarray]] = field(default_factory=lambda: {True: [], False: []})
    rims: list[np.ndarray] = field(default_factory=list)
    grounds: list[tuple[float, float, float, float]] = field(default_factory=list)
    tints: dict[float, list[tuple[float, float, float, float]]] = field(default_factory=dict)
    rows: list[tuple[Row, tuple[float, float, float, float]]] = field(default_factory=list)
    words: list[Drawn] = field(default_factory=list)
    outlines: list[np.ndarray] = field(default_factory=list)

    def parts(self, between: Sequence[Drawn] = ()) -> tuple[Drawn, ...]:
        """In drawing order: edges behind the nodes; `between` behind the words."""
        behind: list[Drawn] = [Lines(tuple(self.boxes), "muted", 0.8, dashes=(4, 3))] if self.boxes else []
        behind += [Arrows(tuple(found), "muted", head=HEAD * ends) for ends, found in self.paths.items() if found]
        behind += [Lines(tuple(self.rims), "muted", 0.8)] if self.rims else []
        behind.append(Boxes(np.array(self.grounds), "ground"))
        behind += [Boxes(np.array(boxes), "accent", alpha) for alpha, boxes in sorted(self.tints.items())]
        return (*behind, *between, *self.words, Lines(tuple(self.outlines), "ink", 0.8))


def _draw(panel: _Panel, left: float, top: float, look: Look, ink: _Ink) -> None:
    """What lies in the panel, at a place on the chart."""
    if panel.title is not None:
        ink.boxes.append(rectangle(left, top, left + panel.width, top + panel.height))
        ink.words.append(_title(panel.title, left + panel.title_at, top + 15))
    for path, ends in zip(panel.paths, panel.ended, strict=True):
        ink.paths[ends].append(path + np.array([left, top]))
    for x, y, node in panel.nodes:
        if isinstance(node, _Panel):
            _draw(node, left + x, top + y, look, ink)
        else:
            _card(node, left + x, top + y, look, ink)


def _clear(entering: Sequence[float], across: float, width: float) -> float | None:
    """Where a title is clear of the edges that enter its box: at the left, else at the right, else between; or None."""
    gaps = [(a + PAD, b - PAD - across) for a, b in pairwise([0.0, *sorted(entering), width])]
    places = [least for least, most in gaps if least <= most]
    if places and places[0] > PAD and gaps[-1][0] <= gaps[-1][1]:
        return gaps[-1][1]
    return places[0] if places else None


def _title(row: Row, x: float, y: float) -> Link:
    name = Words(x, y, row.name, size=SMALL, bold=True, halo=True)
    said = Words(x + BOLD * text_width(row.name, SMALL) + GAP, y, row.said, "muted", SMALL, halo=True)
    return Link(row.target, (name, said))


def _card(card: _Card, left: float, top: float, look: Look, ink: _Ink) -> None:
    right, bottom = left + card.width, top + card.height
    for i in range(card.rims, 0, -1):
        ink.rims.append(rectangle(left + RIM * i, top + RIM * i, right + RIM * i, bottom + RIM * i))
    ink.grounds.append((left, top, right, bottom))
    ink.outlines.append(rectangle(left, top, right, bottom))
    edge = right - (0.0 if card.picture is None else PICTURE + 2)
    for number, row in enumerate(card.rows):
        y = top + 2 + number * ROW
        words = [Words(left + PAD, y + 12.5, row.name, size=SMALL, bold=any(x.params for x in row.layers))]
        if row.said:
            words.append(Words(edge - PAD, y + 12.5, row.said, "muted", SMALL, anchor="end"))
        if not row.layers:
            ink.words.extend(words)
            continue
        above, below = top if number == 0 else y, bottom if row is card.rows[-1] else y + ROW
        tints = [look.tints[layer.path] for layer in row.layers if layer.path in look.tints]
        box = left, above, edge, below
        ink.rows.append((row, box))
        if any(tints):
            ink.tints.setdefault(round(STRONGEST * sum(tints) / len(tints), 3), []).append(box)
        # Nothing is seen of the link's own box, but it is where a pointer finds it.
        ink.words.append(Link(row.target, (Boxes(np.array([box]), "ground", 0.0), *words), _note(row, look)))
    if card.picture is not None:
        tall, wide = (PICTURE * side / max(card.picture.shape[:2]) for side in card.picture.shape[:2])
        x, y = right - 2 - (PICTURE + wide) / 2, top + (card.height - tall) / 2
        ink.words.append(Picture(x, y, wide, tall, card.picture))


def _note(row: Row, look: Look) -> str:
    notes = [look.notes[layer.path] for layer in row.layers if layer.path in look.notes]
    return notes[0] if len(row.layers) == 1 and notes else ""
