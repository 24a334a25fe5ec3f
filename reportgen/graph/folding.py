"""A network as a reader takes it in: modules within modules, short chains as one, blocks that repeat folded.

    parts = fold(network)                          # Chain | Module | Repeat, in call order
    joins(parts, network)                          # the edges between them

Nothing is left out or guessed: every layer is in one part, and the edges are those of `Layer.inputs`. Parts are a
`Repeat` only where each does the same as the one before, to what that one gives: same operations, shapes, shapes of
parameters and edges within. Whether their parameters are also the same is told apart.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reportgen.core.network import INPUT, Layer, Network, Role

PASSING = (Role.NORM, Role.ACTIVATION, Role.POOL, Role.DROPOUT, Role.RESHAPE)
"""Roles of layers that join the chain of the layer whose values alone they read, where nothing else reads these."""

LONGEST, ALIKE = 4, 6
"""Parts of a period that repeats, at most, where it is no module; parts beside each other that are folded, at least."""

_CALL = re.compile(r"(?P<base>.*?)(?:#(?P<call>\d+))?(?:\[[^\]]*\])*", re.DOTALL)


@dataclass(frozen=True)
class Chain:
    """A layer, and those after it that read nothing else and whose values nothing else reads. `INPUT` is one too."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Module:
    """What is computed within one call of a module, or, without a path, one period of what repeats.

    `own` are the layers that stand for its result and repeat values of a layer inside. A `stretch` is no module of the
    network: its parts follow one another, and its `path` says from which to which (`graph.stretches`).
    """

    path: str
    own: tuple[Layer, ...]
    parts: "tuple[Part, ...]"
    stretch: bool = False


@dataclass(frozen=True)
class Repeat:
    """Parts of one shape, one after the other or `beside` each other; `same` if their parameters are the same too."""

    parts: "tuple[Part, ...]"
    same: bool
    beside: bool = False


Part = Chain | Module | Repeat
Join = tuple[str, str]


def fold(network: Network, shape: tuple[int, ...] = ()) -> tuple[Part, ...]:
    """The network's parts; `shape` is that of its input, which comes first where a layer reads it."""
    return _Folding(network).fold(shape)


def layers_of(part: Part) -> Iterator[Layer]:
    """Every layer in a part, in call order, except those that stand for a module's result."""
    if isinstance(part, Chain):
        yield from part.layers
    else:
        for each in part.parts:
            yield from layers_of(each)


def joins(parts: Sequence[Part], network: Network) -> dict[tuple[int, int], list[Join]]:
    """The edges between parts: (source, target), by their places, -> the edges (path read, path of the reader)."""
    at = {layer.path: place for place, part in enumerate(parts) for layer in layers_of(part)}
    found: dict[tuple[int, int], list[Join]] = {}
    for path, place in at.items():
        for source in () if path == INPUT else network.layers[path].inputs:
            if at.get(source, place) != place:
                found.setdefault((at[source], place), []).append((source, path))
    return found


def shape_of(part: Part, network: Network, sizes: bool = True) -> object:
    """What two parts have in common that are of one shape; without `sizes`, that are of one structure."""
    if isinstance(part, Chain):
        return tuple(_form(layer, network, sizes) for layer in part.layers)
    if isinstance(part, Repeat):
        return "repeat", len(part.parts) if sizes else None, shape_of(part.parts[0], network, sizes)
    places = {layer.path: place for place, layer in enumerate(layers_of(part))}
    within = tuple(
        (places[source], place)
        for path, place in places.items()
        for source in (() if path == INPUT else network.layers[path].inputs)
        if source in places
    )
    return tuple(shape_of(each, network, sizes) for each in part.parts), within


def _form(layer: Layer, network: Network, sizes: bool) -> object:
    if not sizes:
        return layer.op
    params = sorted((name.rpartition("/")[2], shape) for name, shape in owner(layer, network).params.items())
    return layer.op, layer.shape, tuple(params)


def owner(layer: Layer, network: Network) -> Layer:
    """The layer whose parameters it applies."""
    return layer if layer.tied_to is None else network.layers.get(layer.tied_to, layer)


class _Folding:
    def __init__(self, network: Network):
        self._network = network
        self._order = {path: number for number, path in enumerate(network.layers)}
        self._base: dict[str, str] = {}
        self._ends: dict[str, dict[str | None, int]] = {}
        """Base of a path -> call -> the place of the last layer that stands for its result."""
        self._first: dict[str, int] = {}
        """Path of a module, or of anything that others are named after -> the place of the first layer within."""
        for path, place in self._order.items():
            match = _CALL.fullmatch(path)
            assert match is not None
            base = self._base[path] = match["base"]
            self._ends.setdefault(base, {})[match["call"]] = place
            for outer in _outer(base):
                self._first.setdefault(outer, place)
        self._readers: dict[str, set[str]] = {}
        for layer in network.layers.values():
            for source in layer.inputs if layer.alias_of is None else ():
                self._readers.setdefault(source, set()).add(layer.path)

    def fold(self, shape: tuple[int, ...]) -> tuple[Part, ...]:
        parts: list[Part] = []
        if any(INPUT in layer.inputs for layer in self._network.layers.values()):
            parts.append(Chain((Layer(INPUT, "input", Role.OTHER, shape),)))
        parts += self._parts({path: self._home(path) for path in self._order}, 0)
        return self._repeats(parts)

    def _home(self, path: str) -> list[tuple[str, int]]:
        """The calls of modules that the layer is computed in, from outside: a module's path, and which call it is."""
        found = []
        base = self._base[path]
        for module in (*_outer(base), base):
            ends = sorted(self._ends.get(module, {}).values())
            begins = self._first.get(module)
            if begins is None or min(self._order.get(module, begins), *ends[:1], begins) < begins:
                continue  # no module, but a layer; functional operations are named after it
            call = bisect_left(ends, self._order[path])
            if call < max(1, len(ends)):
                found.append((module, call))
        return found

    def _parts(self, homes: Mapping[str, list[tuple[str, int]]], depth: int) -> list[Part]:
        """The parts of these layers, which have the first `depth` modules in common, in call order."""
        groups: dict[tuple[str, int], list[str]] = {}
        bare: list[Layer] = []
        for path, home in homes.items():
            if len(home) > depth:
                groups.setdefault(home[depth], []).append(path)
            else:
                bare.append(self._network.layers[path])
        parts: list[Part] = self._chains(bare)
        for (name, call), paths in groups.items():
            own = [path for path in paths if self._base[path] == name and self._network.layers[path].alias_of in paths]
            inside = self._repeats(self._parts({path: homes[path] for path in paths if path not in own}, depth + 1))
            layers = tuple(self._network.layers[path] for path in own)
            if len(inside) == 1 and isinstance(inside[0], Chain):
                parts.append(Chain((*inside[0].layers, *layers)))
            elif len(inside) == 1 and isinstance(inside[0], Module):
                parts.append(Module(_called(name, call), (*inside[0].own, *layers), inside[0].parts))
            elif len(inside) == 1 and not layers:
                parts.append(inside[0])
            else:
                parts.append(Module(_called(name, call), layers, inside))
        return self._acyclic(sorted(parts, key=self._place))

    def _place(self, part: Part) -> int:
        return self._order.get(next(layers_of(part)).path, -1)

    def _chains(self, layers: Sequence[Layer]) -> list[Part]:
        chains: list[list[Layer]] = []
        of: dict[str, list[Layer]] = {}
        last: dict[str, list[Layer]] = {}
        for layer in layers:
            if layer.alias_of is not None:
                chain = of.get(layer.alias_of) if layer.role is not Role.BLOCK else None
            else:
                chain = last.pop(layer.reads, None) if layer.reads and len(self._readers[layer.reads]) == 1 else None
                if chain and layer.role not in PASSING and not layer.path.startswith(f"{self._base[chain[0].path]}/"):
                    chain = None
            if chain is None:
                chains.append(chain := [])
            chain.append(layer)
            of[layer.path] = chain
            if layer.alias_of is None:
                last[layer.path] = chain
        return [Chain(tuple(chain)) for chain in chains]

    def _acyclic(self, parts: list[Part]) -> list[Part]:
        """The parts, with the modules taken apart that read each other: what is in a box is computed in one piece."""
        while knot := _knot(len(parts), joins(parts, self._network)):
            whole = [part for place, part in enumerate(parts) if place in knot and isinstance(part, Module)]
            taken = max(whole, key=lambda part: sum(1 for _ in layers_of(part)))
            loose = [each for part in taken.parts for each in (part.parts if isinstance(part, Repeat) else (part,))]
            loose += [Chain((layer,)) for layer in taken.own]
            parts = sorted([part for part in parts if part is not taken] + loose, key=self._place)
        return parts

    def _repeats(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The parts with those folded that repeat, one after the other or beside each other."""
        found: list[Part] = []
        place = 0
        while place < len(parts):
            runs = [(self._run(parts, place, period), period) for period in range(1, LONGEST + 1)]
            runs = [(count, period) for count, period in runs if count > (1 if period == 1 else 2)]
            if not runs:
                found.append(parts[place])
                place += 1
                continue
            count, period = max(runs, key=lambda run: (run[0] * run[1], -run[1]))
            groups = [parts[i : i + period] for i in range(place, place + count * period, period)]
            found.append(self._repeat([g[0] if period == 1 else Module("", (), tuple(g)) for g in groups]))
            place += count * period
        return self._beside(found)

    def _repeat(self, parts: Sequence[Part], beside: bool = False) -> Repeat:
        owners = [{owner(x, self._network).path for x in layers_of(p) if owner(x, self._network).params} for p in parts]
        return Repeat(tuple(parts), bool(owners[0]) and all(each == owners[0] for each in owners), beside)

    def _run(self, parts: Sequence[Part], start: int, period: int) -> int:
        """How many times the `period` parts from `start` repeat, each time reading what the time before gave."""
        groups: list[list[str]] = []
        forms: list[object] = []
        for place in range(start, len(parts) - period + 1, period):
            group = parts[place : place + period]
            form = shape_of(Module("", (), tuple(group)), self._network)
            if forms and (
                form != forms[0] or not self._continues(groups, [x.path for p in group for x in layers_of(p)])
            ):
                break
            groups.append([layer.path for part in group for layer in layers_of(part)])
            forms.append(form)
        return len(groups)

    def _continues(self, groups: Sequence[Sequence[str]], following: Sequence[str]) -> bool:
        """Whether the layers `following` read the last group as that read the one before, and they alone read it."""
        last = groups[-1]
        inside = set(following)
        if any(self._readers.get(path, set()) - {*last, *inside} for path in last):
            return False
        reads = self._reads(following, last)
        if not any(isinstance(source, int) for _, source in reads):
            return False
        if len(groups) > 1:
            return reads == self._reads(last, groups[-2])
        first = self._reads(last, ())
        outside = {read for read in reads if not isinstance(read[1], int)}
        if not outside <= first or {source for _, source in outside} & {source for _, source in first - outside}:
            return False
        return _by_source(first - outside) == _by_source(reads - outside)

    def _reads(self, group: Sequence[str], before: Sequence[str]) -> set[tuple[int, int | str]]:
        """What a group reads from outside: (place of the reader, place in the group before it, else the path)."""
        inside, places = set(group), {path: place for place, path in enumerate(before)}
        return {
            (place, places.get(source, source))
            for place, path in enumerate(group)
            if path != INPUT
            for source in self._network.layers[path].inputs
            if source not in inside
        }

    def _beside(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The parts with those of one shape folded that read the same and are read by the same."""
        alike: dict[object, list[Part]] = {}
        for part in parts:
            if not isinstance(part, Repeat):
                alike.setdefault(self._standing(part), []).append(part)
        found: list[Part] = []
        for part in parts:
            group = [] if isinstance(part, Repeat) else alike[self._standing(part)]
            if len(group) < ALIKE:
                found.append(part)
            elif part is group[0]:
                found.append(self._repeat(group, beside=True))
        return tuple(found)

    def _standing(self, part: Part) -> object:
        paths = {layer.path for layer in layers_of(part)}
        reads = frozenset(source for _, source in self._reads(sorted(paths), ()))
        readers = frozenset(reader for path in paths for reader in self._readers.get(path, set()) - paths)
        return shape_of(part, self._network), reads, readers


def _by_source(reads: Iterable[tuple[int, int | str]]) -> list[list[int]]:
    """The places of the readers of each source, whatever the sources are."""
    found: dict[int | str, list[int]] = {}
    for place, source in sorted(reads, key=str):
        found.setdefault(source, []).append(place)
    return sorted(sorted(places) for places in found.values())


def _called(module: str, call: int) -> str:
    """The path of a module's call, counted from 0."""
    return f"{module}#{call + 1}" if call else module


def _outer(path: str) -> list[str]:
    """The paths that a path lies in, from outside."""
    names = path.split("/")
    return ["/".join(names[:length]) for length in range(1, len(names))]


def _knot(count: int, edges: Iterable[tuple[int, int]]) -> set[int]:
    """The nodes that lie on cycles or between them; empty for a graph without."""
    left = set(range(count))
    while True:
        within = [(a, b) for a, b in edges if a in left and b in left]
        kept = {a for a, _ in within} & {b for _, b in within}
        if kept == left:
            return left
        left = kept
