"""Long columns of parts that do not repeat, put into stretches.

parts = stretched(fold(network), network)

Of more than `LONG` parts at one level, those are put together, `LEAST` to `MOST` at a time, that each read the one
before alone and are read by the next alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from reportgen.core.network import INPUT, Network
from reportgen.graph.folding import Chain, Module, Part, joins, layers_of

LONG, MOST, LEAST = 48, 24, 6


def stretched(parts: Sequence[Part], network: Network) -> tuple[Part, ...]:
    """The parts, and those within modules, with long columns in stretches."""
    parts = [part if isinstance(part, Chain) else _within(part, network) for part in parts]
    if len(parts) <= LONG:
        return tuple(parts)
    sources: list[set[int]] = [set() for _ in parts]
    readers: list[set[int]] = [set() for _ in parts]
    for source, target in joins(parts, network):
        sources[target].add(source)
        readers[source].add(target)
    runs: list[list[Part]] = []
    for place, part in enumerate(parts):
        follows = place > 0 and sources[place] == {place - 1} and readers[place - 1] == {place}
        if follows and len(runs[-1]) < MOST and next(layers_of(runs[-1][0])).path != INPUT:
            runs[-1].append(part)
        else:
            runs.append([part])
    found: list[Part] = []
    for run in runs:
        found += [_stretch(run)] if len(run) >= LEAST else run
    return tuple(found)


def _within(part: Part, network: Network) -> Part:
    if isinstance(part, Chain):
        return part
    if isinstance(part, Module):
        return replace(part, parts=stretched(part.parts, network))
    return replace(part, parts=tuple(_within(each, network) for each in part.parts))


def _stretch(run: Sequence[Part]) -> Module:
    return Module(f"{_name(run[0])} to {_name(run[-1])}", (), tuple(run), stretch=True)


def _name(part: Part) -> str:
    return part.path if isinstance(part, Module) and part.path else next(layers_of(part)).path
