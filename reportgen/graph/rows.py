"""What a graph of layers says on its nodes, for the chart and for its form as text.

for row in rows(part, network, look):
    row.name, row.said                         # "conv1", "Conv 28×28×32 · 320"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reportgen.core.network import INPUT, Layer, Network, Role
from reportgen.core.numbers import short_number
from reportgen.graph.folding import Module, Part, Repeat, layers_of, owner, shape_of

LONGEST = 26
"""Characters of a name, at most: of a longer one the middle is left out."""


@dataclass(frozen=True)
class Measure:
    """Shares from 0 to 1 of layers by path at several moments, by their names; NaN where a layer has none."""

    title: str
    names: tuple[str, ...]
    shares: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Look:
    """What is shown of the layers by path: a tint from 0 to 1 with words on it, a short mark, a small colour picture.

    `measures` are what a script can tint them by instead.

    `scale` has the words at the weakest and at the strongest tint. `opened` are the structures of the modules that are
    drawn with what is in them, and `insides` has for one that is not the id of the figure that shows it.
    """

    tints: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    scale: tuple[str, str] | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    opened: frozenset[object] = frozenset()
    insides: Mapping[object, str] = field(default_factory=dict)
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True)
class Row:
    """A line on a part: its name within its module, what it is, the layers that it is about, and where it leads."""

    name: str
    said: str
    layers: tuple[Layer, ...]
    target: tuple[str, str]

    def cut(self) -> "Row":
        """The row with what is too long for a node left out in the middle."""
        return replace(self, name=middle_cut(self.name, LONGEST), said=middle_cut(self.said, 2 * LONGEST))

    @property
    def parameters(self) -> int:
        """Those of all its layers."""
        return sum(layer.parameters for layer in self.layers)

    def shares(self, measure: Measure) -> np.ndarray:
        """[moment]: the mean share of its layers, NaN where none has one."""
        known = [measure.shares[layer.path] for layer in self.layers if layer.path in measure.shares]
        columns = np.array(known, float).reshape(-1, len(measure.names))
        counts = np.isfinite(columns).sum(axis=0)
        return np.where(counts, np.nan_to_num(columns).sum(axis=0) / np.maximum(counts, 1), np.nan)


def rows(part: Part, network: Network, look: Look, module: str = "") -> tuple[Row, ...]:
    """What a part's node says: a row for each layer of a chain, one for a module, one for how often a part repeats."""
    if isinstance(part, Repeat):
        inner = rows(part.parts[0], network, look, module)
        return (*inner, Row(times(part), f"to {_name(part.parts[-1], module)}", (), ("", "")))
    if isinstance(part, Module):
        layers = tuple(layers_of(part))
        result = network.layers.get(part.path, (part.own or layers)[-1])
        count = sum(layer.parameters for layer in (*layers, *part.own))
        said = _said(result.op if part.own or result.path == part.path else "", result.shape, count)
        said = f"{len(layers)} layers · {said}" if part.stretch else said
        inside = look.insides.get(shape_of(part, network, sizes=False))
        last = (part.own or layers)[-1]
        target = ("", inside) if inside else ("layer", last.alias_of or last.path)
        return (Row(_name(part, module), said, (*layers, *part.own), target),)
    found: list[Row] = []
    before: tuple[int, ...] | None = None
    for layer in part.layers:
        name = _within(layer.path, module)
        for earlier in part.layers[: len(found)]:
            name = layer.path.removeprefix(f"{earlier.path}/") if layer.path.startswith(f"{earlier.path}/") else name
        if layer.path == INPUT:
            name = "input"
        elif layer.path.startswith(layer.op) and layer.role is Role.BLOCK and "output" not in network.layers:
            # The model itself, unless a layer of its own is called so.
            name = f"output{layer.path.removeprefix(layer.op)}"
        op = "" if name.lower().startswith(layer.op.lower()) else layer.op
        said = _said(op, None if layer.shape == before else layer.shape, layer.parameters)
        first = owner(layer, network)
        shared = f"uses {_within(first.path, module)}" if first is not layer and first.params else ""
        said = " · ".join(filter(None, (said, shared, look.marks.get(layer.path, ""))))
        found.append(Row(name, said, (layer,), ("layer", layer.alias_of or layer.path)))
        before = layer.shape
    return tuple(found)


def times(repeat: Repeat) -> str:
    """How often what repeats is there.

    Only of the same parameters it is said that they are applied so many times.
    """
    count = len(repeat.parts)
    where = ", side by side" if repeat.beside else ""
    return f"× {count}, the same parameters{where}" if repeat.same else f"{count} of one shape{where}"


def amount(count: int) -> str:
    """A number of parameters in at most six characters.

    >>> amount(9408), amount(23_454_912), amount(150_000)
    ('9,408', '23.5M', '150k')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= max(unit, 10_000):
            return short_number(count / unit) + letter
    return f"{count:,}"


def _said(op: str, shape: tuple[int, ...] | None, count: int) -> str:
    size = "" if shape is None else "×".join(map(str, shape)) or "1"
    return " · ".join(filter(None, (" ".join(filter(None, (op, size))), amount(count) if count else "")))


def _name(part: Part, module: str) -> str:
    if isinstance(part, Module) and part.path:
        return _within(part.path, module)
    return _within(next(layers_of(part)).path, module)


def _within(path: str, module: str) -> str:
    """The path as it is called within a module; the module's own results by their last names."""
    inside = path.removeprefix(f"{module.split('#')[0]}/")
    return path.rpartition("/")[2] if inside == path and module and path.startswith(module) else inside


def middle_cut(text: str, length: int) -> str:
    """The text with its middle left out where it is longer.

    >>> middle_cut("a_very_long_name_of_a_layer_7", 16)
    'a_very_…_layer_7'
    """
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"
