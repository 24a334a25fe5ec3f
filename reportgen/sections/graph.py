"""The network drawn: its layers and what reads what, the way into all that the page has of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from reportgen.analysis.channels import strongest
from reportgen.core.network import INPUT, Layer, Network, is_kernel
from reportgen.core.report import Block, Entry, Figure, Fold, Section
from reportgen.core.run import Run
from reportgen.core.scripted import SHADES, Shades, pack
from reportgen.figures.chart import chart
from reportgen.figures.export import export
from reportgen.figures.mosaic import FEW
from reportgen.figures.palettes import to_indices
from reportgen.figures.svg import drawing
from reportgen.figures.text import shades
from reportgen.graph.folding import Chain, Module, Part, Repeat, fold, layers_of, shape_of
from reportgen.graph.ranks import rank
from reportgen.graph.rows import Look, Measure, rows, times
from reportgen.graph.scene import STRONGEST, blocks, drawn_rows, graph
from reportgen.graph.stretches import stretched
from reportgen.sections.context import PageContext
from reportgen.sections.enlarged import range_of
from reportgen.sections.limits import coarse
from reportgen.sections.words import called, listed, moment, percent, plural

MOST = 24
"""Nodes up to which modules are drawn with what is in them."""

SMALLEST = 24
"""Longest side of a small picture, in pixels."""

INSIDES = 12
"""Kinds of modules whose inside is drawn in a figure of its own, at most."""


def build(context: PageContext) -> Section | None:
    """The whole network; the inside of modules that are closed in it; every block of those that are folded."""
    look, said = _measured(context)
    shape = tuple(context.probe.images.shape[1:]) if context.probe.size else ()
    return section(context.network, shape, look, said, pictures=partial(_pictures, context))


def section(
    network: Network,
    shape: tuple[int, ...],
    look: Look,
    said: str,
    finding: str = "",
    pictures: Callable[[Sequence[Part], Look], tuple[dict[str, np.ndarray], str]] | None = None,
) -> Section | None:
    """The network, whose input has that shape, drawn; None for one without layers.

    `said` is what its tints are, for the caption, and `finding` a sentence to add. `pictures` are made for what is
    drawn as nodes, with words on them.
    """
    parts = stretched(fold(network, shape), network)
    if not parts:
        return None
    opened = _opened(parts, network)
    insides = _insides(parts, network, opened)
    look = replace(look, opened=opened, insides={key: f"graph-inside-{i}" for i, key in enumerate(insides)})
    shown, words = pictures(parts, look) if pictures is not None else ({}, "")
    measured = _shades(parts, network, look)
    scene = graph(parts, network, replace(look, pictures=shown), hook=measured is not None)
    picture = replace(drawing(scene), outline=tuple(_outline(parts, network, look, {})))
    finding = f"{_finding(network, parts, opened)}{finding}"
    stretches = any(isinstance(group, Module) for group in _groups(parts, network, opened))
    caption = f"{_caption(look, stretches)}{said}{words}"
    whole = Figure("graph-whole", picture, finding, caption, export=partial(export, scene), wide=True)
    drawn: list[Block] = [replace(whole, shades=measured)]
    if insides:
        figures = [_inside(module, network, replace(look, opened=within)) for module, within in insides.values()]
        names = listed([module.path for module, _ in insides.values()], 3)
        drawn.append(Fold(f"Inside {names}", tuple(figures)))
    groups = [*_groups(parts, network, opened)]
    groups += [each for module, within in insides.values() for each in _groups(module.parts, network, within)]
    if groups:
        drawn.append(Fold("Every block of one shape or stretch", (_every(groups, network, look),)))
    return Section("graph", "The network, drawn", finding, tuple(drawn))


def _shades(parts: Sequence[Part], network: Network, look: Look) -> Shades | None:
    """The measures row by row, and the parameters by the bars on the rows, as the page's script shows them."""
    drawn = drawn_rows(parts, network, look)
    sizes = [row.parameters for row in drawn if row.parameters]
    groups = [(measure.title, measure.names, False) for measure in look.measures]
    shares = [np.stack([row.shares(measure) for row in drawn], axis=1) for measure in look.measures]
    levels = [np.pad(shades(each, 1.0), ((0, 0), (0, len(sizes)))) for each in shares]
    if sizes:
        groups.append((f"Parameters: widest {max(sizes):,}", ("of each row",), False))
        levels.append(np.array([[0] * len(drawn) + [SHADES] * len(sizes)], np.int16))
    if not groups:
        return None
    count = len(drawn) + len(sizes)
    return Shades(count, 0, tuple(groups), pack(levels), STRONGEST, "White: none, or not known.")


def _every(groups: Sequence[Repeat | Module], network: Network, look: Look) -> Figure:
    words = (
        "Every block of those of one shape, or of a stretch, by its name, in call order; each leads to what the page "
        "has of its result."
    )
    titled = [
        (_repeated(group) if isinstance(group, Repeat) else f"{group.path}: one after the other", group.parts)
        for group in groups
    ]
    return chart("graph-blocks", blocks(titled, network, look), alt=words, caption=words, wide=True)


def _opened(parts: Sequence[Part], network: Network) -> frozenset[object]:
    """The structures of the modules to draw with what is in them: from outside, all of a depth, while there is room."""
    opened: frozenset[object] = frozenset()
    while closed := _closed(parts, network, opened).keys():
        more = opened | closed
        if len(list(_visible(parts, network, more))) > MOST:
            break
        opened = more
    return opened


def _visible(parts: Iterable[Part], network: Network, opened: frozenset[object]) -> Iterator[Part]:
    """What is drawn as a node."""
    for part in parts:
        shown = part.parts[0] if isinstance(part, Repeat) else part
        if isinstance(shown, Module) and shape_of(shown, network, sizes=False) in opened:
            yield from _visible(shown.parts, network, opened)
        else:
            yield part


def _closed(parts: Iterable[Part], network: Network, opened: frozenset[object]) -> dict[object, Module]:
    """The modules drawn as a node, the first of each structure."""
    found: dict[object, Module] = {}
    for part in _visible(parts, network, opened):
        shown = part.parts[0] if isinstance(part, Repeat) else part
        if isinstance(shown, Module):
            found.setdefault(shape_of(shown, network, sizes=False), shown)
    return found


def _insides(
    parts: Sequence[Part], network: Network, opened: frozenset[object]
) -> dict[object, tuple[Module, frozenset[object]]]:
    """Those modules, and the ones that are closed within them, each with what is opened in its figure."""
    found: dict[object, tuple[Module, frozenset[object]]] = {}
    waiting = list(_closed(parts, network, opened).items())
    while waiting and len(found) < INSIDES:
        key, module = waiting.pop(0)
        if key not in found:
            within = _opened(module.parts, network)
            found[key] = module, within | {key}
            waiting.extend(_closed(module.parts, network, within).items())
    return found


def _groups(parts: Iterable[Part], network: Network, opened: frozenset[object]) -> Iterator[Repeat | Module]:
    """What is folded because it repeats, or is long, of what is drawn."""
    for part in parts:
        shown = part.parts[0] if isinstance(part, Repeat) else part
        if isinstance(part, Repeat):
            yield part
        if isinstance(shown, Module) and shape_of(shown, network, sizes=False) in opened:
            yield from _groups(shown.parts, network, opened)
        elif isinstance(shown, Module) and shown.stretch:
            yield shown


def _inside(module: Module, network: Network, look: Look) -> Figure:
    key = shape_of(module, network, sizes=False)
    scene = graph([module], network, replace(look, scale=None))
    words = f"{module.path}: what is computed within it, from its first layer to its last"
    return chart(look.insides[key], scene, alt=f"{words}.", caption=f"{words}; sizes of others like it may differ.")


def _measured(context: PageContext) -> tuple[Look, str]:
    """How much each layer's kernel changed, and how many of its channels are dead; and words on the former."""
    changed: dict[str, float] = {}
    for diff in context.diffs:
        layer = context.holders.get(diff.name)
        if layer is not None and is_kernel(diff.name, diff.shape) and diff.relative is not None:
            changed[layer] = max(diff.relative, changed.get(layer, 0.0))
    marks: dict[str, str] = {}
    if context.checkup.whole:
        dead = {path: len(health[-1].dead) for path, health in context.checkup.channels.items() if health}
        marks = {path: f"{count:,} dead" for path, count in dead.items() if count}
    most = max(changed.values(), default=0.0)
    if not most > 0 or context.before is None:
        return Look(marks=marks), ""
    look = Look(
        measures=tuple(_measures(context)),
        tints={path: value / most for path, value in changed.items()},
        notes={path: f"changed by {percent(value)}" for path, value in changed.items()},
        scale=(f"change of the kernel: {percent(0.0)}", percent(most)),
        marks=marks,
    )
    return look, (
        f" The bluer, the more the kernel changed from {context.before.name} to {context.now.name}: mean absolute "
        "change / mean absolute value before."
    )


def _measures(context: PageContext) -> Iterator[Measure]:
    """At the end of each epoch: the last update of each kernel, each layer's share of dead channels, and how far the
    embedded layer, the only one of which each epoch is recorded, is from the last."""
    run, health = context.run, context.checkup
    updates = {name: each for name, each in health.updates.items() if name in context.holders and each}
    if updates:
        ratios = [float(update.ratio) for each in updates.values() for update in each]
        most = max(filter(np.isfinite, ratios), default=0.0)
        shares: dict[str, Sequence[float]] = {}
        for name, each in updates.items():
            ratios = [float(update.ratio) / (most or 1.0) for update in each]
            layer = context.holders[name]
            shares[layer] = [max(pair) for pair in zip(ratios, shares.get(layer, ratios), strict=True)]
        names = tuple(moment(run, update.epoch) for update in next(iter(updates.values())))
        yield Measure(f"Last update of the kernel: bluest {percent(most)} of its size", names, shares)
    dead = {path: [len(at.dead) / max(at.channels, 1) for at in each] for path, each in health.channels.items()}
    if health.whole and any(any(each) for each in dead.values()):
        names = _named(run, health.epochs)
        yield Measure("Dead channels: bluest all of a layer", names, dead)
    similar = context.similarity
    if similar is not None and run.embed_layer is not None:
        names = _named(run, [run.observations[step].epoch for step in similar.steps])
        shares = {run.embed_layer: np.clip(1.0 - similar.values[:, 0], 0.0, 1.0).tolist()}
        yield Measure("Unlikeness of the embedded layer to its last state (1 − CKA): bluest 1", names, shares)


def _named(run: Run, epochs: Iterable[int]) -> tuple[str, ...]:
    return tuple("untrained" if epoch == 0 else moment(run, epoch) for epoch in epochs)


def _pictures(context: PageContext, parts: Sequence[Part], look: Look) -> tuple[dict[str, np.ndarray], str]:
    """The first probe example and what each node's last layer makes of it: the channel with the largest value."""
    if context.pixels is None or context.observation is None:
        return {}, ""
    found = {INPUT: _small(context.pixels[0])}
    for part in _visible(parts, context.network, look.opened):
        last = part.parts[-1] if isinstance(part, Repeat) else part
        drawn = [x for x in layers_of(last) if x.has_maps and x.path in context.stats and max(x.shape[:2]) > 1]
        peak = strongest(context.stats[drawn[-1].path])[0] if drawn else None
        if peak is not None:
            layer = drawn[-1]
            low, high, palette = range_of(context, layer, [peak.channel])
            channel = coarse(context.maps(layer)[0, ..., peak.channel], low, high, FEW - 1)
            found[layer.path] = palette.rgb[to_indices(_thinned(channel), low, high, palette)]
    return found, f" Pictures: {context.names[0]}, and of the layers the channel with the largest value on it."


def _thinned(values: np.ndarray) -> np.ndarray:
    """Every so many rows and columns, so that no side is longer than a small picture's."""
    step = -(-max(values.shape[:2]) // SMALLEST)
    return values[step // 2 :: step, step // 2 :: step]


def _small(pixels: np.ndarray) -> np.ndarray:
    """A photograph in few colours."""
    from PIL import Image

    thin = np.rint(_thinned(pixels)).astype(np.uint8)
    colored = Image.fromarray(np.repeat(thin, 3, axis=2) if thin.shape[2] == 1 else thin)
    return np.asarray(colored.quantize(FEW).convert("RGB"))


def _outline(
    parts: Iterable[Part], network: Network, look: Look, told: dict[object, str], module: str = "", depth: int = 0
) -> Iterator[Entry]:
    """The graph as lines: a module's layers further in, once for each structure, and what each layer reads."""
    for part in parts:
        lines = rows(part, network, look, module)
        shown = part.parts[0] if isinstance(part, Repeat) else part
        more = "".join(f"; {row.said}: {row.name}" for row in lines if not row.layers)
        key = shape_of(shown, network, sizes=False) if isinstance(shown, Module) else None
        if isinstance(shown, Module) and shown.stretch:
            key = None
        if key in told:
            more += f"; inside as {told[key]}"
        for row in lines:
            if row.layers:
                layer = row.layers[0] if isinstance(shown, Chain) else row.layers[-1]
                entry = f"{row.name}: {row.said}" if row.said else row.name
                if isinstance(shown, Chain):
                    entry += _reading(layer, shown)
                yield Entry(depth, entry + (more if row is lines[0] else ""), layer.alias_of or layer.path)
        if isinstance(shown, Module) and key not in told:
            if key is not None:
                told[key] = shown.path
            yield from _outline(shown.parts, network, look, told, shown.path or module, depth + 1)


def _reading(layer: Layer, chain: Chain) -> str:
    """What the layer reads, where it is not the one in the line above."""
    place = chain.layers.index(layer)
    if layer.path == INPUT or (place and layer.inputs == (chain.layers[place - 1].path,)):
        return ""
    return (
        f"; reads {listed(['the input' if path == INPUT else path for path in layer.inputs])}" if layer.inputs else ""
    )


def _repeated(repeat: Repeat) -> str:
    first, last = (
        each.path if isinstance(each, Module) and each.path else next(layers_of(each)).path
        for each in (repeat.parts[0], repeat.parts[-1])
    )
    return f"{first} to {last}: {times(repeat)}"


def _finding(network: Network, parts: Sequence[Part], opened: frozenset[object]) -> str:
    paths = {path: place for place, path in enumerate((INPUT, *network.layers))}
    read = [(source, layer.path) for layer in network.layers.values() for source in layer.inputs if source in paths]
    edges = [(paths[source], paths[path]) for source, path in read]
    longest = max(rank(len(paths), edges))
    layers = len(network.distinct)
    passed = "all of them" if longest == layers else f"{longest:,}"
    ways = f"; the longest way from input to output passes {passed}"
    if longest == layers and all(len(layer.inputs) <= 1 for layer in network.layers.values()):
        ways = ", one after the other"
    text = f"{called(network.name)} has {plural(layers, 'layer')}" + (ways if layers > 1 else "")
    folded = [_repeated(group) for group in _groups(parts, network, opened) if isinstance(group, Repeat)]
    return f"{text}. Folded: {listed(folded, 2)}." if folded else f"{text}."


def _caption(look: Look, stretches: bool) -> str:
    text = (
        "A row is a layer: its name, operation, the shape of one example's output, and after the dot the number of its "
        "parameters; bold: it has some. Arrows lead from values to what reads them."
    )
    if look.opened:
        text += " Dashed: a module with what is in it."
    if stretches:
        text += " From one name to another: layers, of many, that each read the one before alone."
    if look.insides:
        text += " With a rim: a module whose inside is in a fold below; with two, several of one shape."
    return text
