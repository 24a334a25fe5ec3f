"""The probe's text, token by token: what a head reads from one of them, what a channel answers to each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, Fold, Section, Text
from reportgen.core.scripted import SHADES, Shades, pack
from reportgen.figures.chart import chart
from reportgen.figures.text import shades, token_text
from reportgen.sections.context import PageContext
from reportgen.sections.heads import Weights, called, named
from reportgen.sections.maps import open_images, shown_images
from reportgen.sections.tokens import SHOWN, pieces_of, position_names, token_inputs
from reportgen.sections.words import noun, percent, plural

ROOM = 60_000
"""Bytes, packed, of what the script can show in all figures of one section."""

CHANNELS = 8
"""Channels of a layer that can be chosen: those with the largest values."""


@dataclass(frozen=True)
class Shown:
    """Something to choose: values [token] of a channel, or [reading token, token] of a head, under a title."""

    title: str
    name: str
    values: np.ndarray


def build(context: PageContext) -> Section | None:
    """A figure for each probe example; None for a network that does not read tokens, or answers none of them alone."""
    tokens = token_inputs(context.probe)
    if tokens is None or context.observation is None:
        return None
    figures = [_figure(context, tokens, index) for index in range(shown_images(context))]
    drawn = [figure for figure in figures if figure is not None]
    if not drawn:
        return None
    shown = open_images(context)
    blocks: list[Block] = [*drawn[:shown]]
    if drawn[shown:]:
        blocks.append(Fold(f"{plural(len(drawn) - shown, f'further {noun(context.run)}')}", tuple(drawn[shown:])))
    blocks.append(Text(_METHOD, "method"))
    return Section("reading", "The text, token by token", drawn[0].alt, tuple(blocks))


_METHOD = (
    "Where scripts run, another head and the token that reads can be chosen (also by a click on the token), or a "
    f"channel: of each layer the {CHANNELS} with the largest values on the text. What a head reads is shaded up to the "
    "largest weight of that token's row, a channel up to its own largest magnitude: blue positive, red negative. Of a "
    f"long text, weights that would take too much of the page are shown in fewer than {SHADES} steps. "
    "Attention weights say where a head reads, not why the network decides; a large value says that a channel answers "
    "to the text up to there, not to that token alone."
)


def _figure(context: PageContext, tokens: np.ndarray, index: int) -> Figure | None:
    length, row = tokens.shape[1], tokens[index, :SHOWN]
    pieces, names = pieces_of(context.run, row), position_names(context.run, row)
    heads, channels = _heads(context, length, index), _channels(context, length, index)
    if not heads and not channels:
        return None
    cut = f" The first {SHOWN:,} of {length:,} tokens." if length > SHOWN else ""
    if heads:
        what = f"{heads[0].name} of {heads[0].title}"
        known = np.flatnonzero(np.isfinite(heads[0].values).all(axis=1))
        at = int(known[-1]) if len(known) else 0
        values = np.nan_to_num(heads[0].values[at])
        most = int(values.argmax())
        title = f"what {what} reads at position {_place(names, at)}"
        alt = f"On {context.names[index]}, {what} reads at position {_place(names, at)} most of position "
        alt += f"{_place(names, most)}: {percent(float(values[most]))} of its weight."
        said = f"the bluer a token, the more {what} reads of it at position {_place(names, at)}"
    else:
        what = f"{channels[0].name} of {channels[0].title}"
        at, values = 0, np.nan_to_num(channels[0].values)
        title = said = what
        alt = f"On {context.names[index]}, {what} is largest in size at position "
        alt += f"{_place(names, int(np.abs(values).argmax()))}."
        said += ": blue positive, red negative"
    largest = float(np.abs(values).max())
    figure = chart(
        f"reading-{index}",
        token_text([title], [pieces], [values], largest, hook=True),
        alt=alt,
        caption=f"{context.names[index]}: {said}; the strongest shade is {short_number(largest)}.{cut}",
        wide=True,
    )
    return replace(figure, shades=packed(heads, channels, at, ROOM // shown_images(context)))


def _place(names: Sequence[str], at: int) -> str:
    number, _, token = names[at].partition(" ")
    return f"{number} “{token}”"


def _heads(context: PageContext, length: int, index: int) -> list[Shown]:
    """The heads whose queries and keys are the tokens: those first that are named, then the most focused."""
    layers = [layer for layer in context.layers if layer.has_attention and layer.shape[1:] == (length, length)]
    assert context.observation is not None
    weights = Weights(context, context.observation, layers)
    ranked = [(layer, head) for layer in weights.layers for head in range(layer.shape[0])]
    bits = {layer.path: weights.measures(layer)[0].entropy for layer in weights.layers}
    ranked.sort(key=lambda pair: np.nan_to_num(bits[pair[0].path][pair[1]], nan=np.inf))
    first = dict.fromkeys((layer.path, head) for layer, head in ((each.layer, each.number) for each in named(weights)))
    order = [*first, *((layer.path, head) for layer, head in ranked if (layer.path, head) not in first)]
    read = {layer.path: weights.of(layer)[index, :, :SHOWN, :SHOWN] for layer in weights.layers}
    titles = {layer.path: called(layer) for layer in weights.layers}
    return [Shown(titles[path], f"head {head}", read[path][head]) for path, head in order]


def _channels(context: PageContext, length: int, index: int) -> list[Shown]:
    """The channels with the largest values of each layer that has values for each token; a layer's largest first."""
    ranked: list[tuple[int, Shown]] = []
    for layer in context.layers:
        if layer.positions == (length,):
            values = np.asarray(context.maps(layer)[index, :SHOWN], np.float64)
            values = np.where(np.isfinite(values), values, np.nan)
            largest = np.max(np.abs(np.nan_to_num(values)), axis=0)
            for rank, channel in enumerate(np.argsort(-largest, kind="stable")[:CHANNELS].tolist()):
                ranked.append((rank, Shown(layer.path, f"channel {channel}", values[:, channel])))
    return [shown for _, shown in sorted(ranked, key=lambda pair: pair[0])]


def packed(heads: Sequence[Shown], channels: Sequence[Shown], chosen: int, room: int) -> Shades:
    """As many of them as fit into `room` bytes, the first of each; shades of a head row by row.

    Where one alone does not fit, its shades are rounded to fewer steps.
    """
    coarse = 1
    while True:
        groups = [*_grouped(heads), *_grouped(channels)]
        data = pack([np.concatenate([_steps(each.values, coarse) for each in group]) for group in groups])
        if len(data) <= room or coarse == SHADES:
            named = tuple((group[0].title, tuple(x.name for x in group), group[0].values.ndim == 2) for group in groups)
            return Shades((heads or channels)[0].values.shape[-1], chosen, named, data)
        if len(heads) + len(channels) == 1:
            coarse *= 2 if coarse < 4 else 3
        elif sum(each.values.size for each in heads) >= sum(each.values.size for each in channels):
            heads = heads[: len(heads) // 2]
        else:
            channels = channels[: len(channels) // 2]


def _grouped(shown: Iterable[Shown]) -> list[list[Shown]]:
    groups: dict[str, list[Shown]] = {}
    for each in shown:
        groups.setdefault(each.title, []).append(each)
    return list(groups.values())


def _steps(values: np.ndarray, coarse: int) -> np.ndarray:
    """Shades [row, token] in multiples of `coarse`, each row up to its own largest size."""
    rows = np.atleast_2d(values)
    largest = np.max(np.abs(np.nan_to_num(rows)), axis=1, keepdims=True)
    levels = shades(rows / np.where(largest > 0, largest, 1.0), 1.0)
    return (np.rint(levels / coarse) * coarse).astype(levels.dtype)
