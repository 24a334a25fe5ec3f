"""Where attention heads read: over the training, in the text or over the picture, and every head's measures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.curves import curves
from reportgen.figures.matrices import heatmap
from reportgen.figures.palettes import GREY
from reportgen.sections.context import PageContext
from reportgen.sections.head_maps import grids, over_pictures
from reportgen.sections.heads import KINDS, LEAST, Head, Weights, called, named, shares_of
from reportgen.sections.tokens import position_names
from reportgen.sections.words import NBSP, listed, moment, noun, plural

MANY = 16
"""Heads up to which their table stands open."""

ENLARGED = 4
SHOWN = 64
"""Positions of an enlarged head: the first ones."""


def build(context: PageContext) -> Section | None:
    """What the recorded heads read; None for a network without recorded attention weights."""
    layers = [layer for layer in context.layers if layer.has_attention]
    if not layers:
        return None
    states = [Weights(context, each, layers) for each in context.run.observations.values()]
    last = states[-1]
    heads = named(last)
    blocks: list[Block] = [*_forming(context, states, heads)]
    blocks += over_pictures(context, last) if last.grid is not None else _enlarged(context, last, heads)
    blocks += grids(context, last)
    table = _table(context, states)
    blocks.append(table if len(table.rows) <= MANY else Fold("Every head", (table,)))
    blocks.append(Text(_method(last), "method"))
    numbers = Numbers("attention.csv", _COLUMNS, lambda: _rows(states))
    return Section("attention", "Where attention heads read", _finding(context, last, heads), tuple(blocks), (numbers,))


def _finding(context: PageContext, weights: Weights, heads: list[Head]) -> str:
    count = sum(layer.shape[0] for layer in weights.layers)
    text = f"{plural(count, 'attention head')} in {plural(len(weights.layers), 'layer')}"
    text += f", on {plural(len(context.names), f'probe {noun(context.run)}')}."
    if weights.grid is not None:
        bits = float(np.nanmean([weights.measures(layer)[0].entropy.mean() for layer in weights.layers]))
        keys = weights.layers[0].shape[2]
        return f"{text} By the mean entropy of all heads, a query reads as if {2**bits:.1f} of {keys} keys alike."
    for kind, (title, words) in KINDS.items():
        of = [head for head in heads if head.kind == kind]
        if of:
            share = f"{'up to ' * (len(of) > 1)}{_percent(of[0].share)} of the weight on {words}"
            by_chance = f"; by chance {_percent(of[0].chance)}" if of[0].chance else ""
            text += f" {title}: {listed([head.name for head in of], 2)} ({share}{by_chance})."
    return text if heads else f"{text} None puts half of its weight on one kind of position."


def _percent(share: float) -> str:
    return f"{100 * share:.0f}{NBSP}%"


def _forming(context: PageContext, states: Sequence[Weights], heads: list[Head]) -> list[Block]:
    """The named heads' shares at every recorded state, a chart per kind."""
    if len(states) < 2 or not heads:
        return []
    known = [
        {
            layer.path: shares_of(*state.measures(layer))
            for layer in state.layers
            if layer.path in {head.layer.path for head in heads}
        }
        for state in states
    ]
    blocks: list[Block] = []
    for kind, (title, words) in KINDS.items():
        of = [head for head in heads if head.kind == kind][:ENLARGED]
        if not of:
            continue
        series = {
            f"{called(head.layer)}, {head.number}": [
                float(each[head.layer.path][kind][head.number]) if head.layer.path in each else float("nan")
                for each in known
            ]
            for head in of
        }
        blocks.append(
            chart(
                f"attention-{kind}",
                curves(
                    [state.epoch for state in states],
                    series,
                    {},
                    title=f"{title}: share of the weight",
                    across=context.run.stage,
                ),
                alt=f"{of[0].name[0].upper()}{of[0].name[1:]}: from {_percent(next(iter(series.values()))[0])} to "
                f"{_percent(of[0].share)} on {words}.",
                caption=f"Share of a head's weight on {words}, mean over the probe, {_span(context)}; layer and head "
                "at the end of each line.",
                wide=True,
            )
        )
    return blocks


def _span(context: PageContext) -> str:
    epochs = [each.epoch for each in context.run.observations.values()]
    first = "before training" if epochs[0] == 0 else moment(context.run, epochs[0])
    return f"{first} to {moment(context.run, epochs[-1])}"


def _enlarged(context: PageContext, weights: Weights, heads: list[Head]) -> list[Block]:
    """The named heads, or the most focused of the last layer, on the first probe example."""
    chosen = list({(head.layer.path, head.number): (head.layer, head.number) for head in heads}.values())[:ENLARGED]
    if not chosen:
        layer = weights.layers[-1]
        bits = weights.measures(layer)[0].entropy
        chosen = [(layer, int(np.nanargmin(bits)))] if np.isfinite(bits).any() else []
    blocks: list[Block] = []
    for layer, number in chosen:
        values = weights.of(layer)[0, number][:SHOWN, :SHOWN]
        names = []
        if weights.tokens is not None and weights.tokens.shape[1] == layer.shape[1]:
            names = position_names(context.run, weights.tokens[0, :SHOWN])
        part = "" if max(layer.shape[1:]) <= SHOWN else f" The first {SHOWN} of {max(layer.shape[1:])} positions."
        nothing = "" if np.isfinite(values).all() else " Violet: a query that reads nothing."
        blocks.append(
            chart(
                f"attention-{context.slug(layer.path)}-{number}",
                heatmap(values, 0.0, 1.0, GREY, x_label="key: what is read", y_label="query: who reads", y_names=names),
                alt=f"Head {number} of {called(layer)} on {context.names[0]}.",
                caption=f"{context.names[0]}: head {number} of {called(layer)}, a row per query; black is 0, white is "
                f"all of its weight.{nothing}{part}",
                wide=True,
                of=("maps", layer.path),
            )
        )
    return blocks


def _table(context: PageContext, states: Sequence[Weights]) -> Table:
    last, first = states[-1], states[0] if len(states) > 1 else None
    columns = {
        "entropy": "Entropy, bits",
        "distance": "Distance",
        "previous": "Position before",
        "first": "First position",
    }
    if last.grid is not None:
        del columns["previous"]
        columns["first"] = "Class token" if last.grid.leading else "First patch"
    copies = any(last.measures(layer)[1] is not None for layer in last.layers)
    rows = []
    for layer in last.layers:
        now = last.measures(layer)
        then = first.measures(layer) if first is not None and layer in first.layers else None
        for head in range(layer.shape[0]):
            cells = [
                _from_to(*(None if x is None else getattr(x[0], name)[head] for x in (then, now))) for name in columns
            ]
            if copies:
                cells.append(_from_to(*(None if x is None or x[1] is None else x[1].score[head] for x in (then, now))))
            rows.append((f"{called(layer)}, head {head}", *cells))
    names = ("Head", *columns.values(), *(["After an earlier copy"] if copies else []))
    when = " Before training → now." if first is not None else ""
    caption = f"Means over the queries of {plural(len(context.names), f'probe {noun(context.run)}')}.{when}"
    return Table("attention-heads", caption, names, tuple(rows), "l" + "r" * (len(names) - 1))


def _from_to(then: float | None, now: float | None) -> str | None:
    known = [short_number(float(x), 2) for x in (then, now) if x is not None and np.isfinite(x)]
    return " → ".join(known) if known else None


def _method(weights: Weights) -> str:
    text = (
        "Attention weights say where a head reads, not why the network decides. Entropy: 0 bits where one key is read, "
        "the logarithm of their number where all are read alike. Distance: from a query to what it reads, by the "
        f"weights, in {'positions' if weights.grid is None else 'patches'}. "
    )
    if weights.grid is not None:
        leading = ", after a class token" if weights.grid.leading else ""
        return (
            f"{text}The {weights.layers[-1].shape[2]} keys are taken for {weights.grid.rows}×{weights.grid.columns} "
            f"patches of the picture in rows{leading}, as their number fits its sides. Rollout averages the heads, "
            "adds the identity for the residual stream and multiplies the layers (Abnar and Zuidema, Quantifying "
            "attention flow in transformers, 2020)."
        )
    return (
        f"{text}A head is named where half of its weight or more, over at least {LEAST} queries, lies on one kind of "
        "position; for what followed earlier copies also three times what reading all keys alike gives "
        "(prefix matching: Olsson et al., In-context learning and induction heads, 2022). Masked positions do not "
        "count as queries."
    )


_COLUMNS = ("epoch", "layer", "head", "entropy", "distance", "previous", "first", "after_copy", "chance", "queries")


def _rows(states: Sequence[Weights]) -> Iterator[tuple[Any, ...]]:
    for weights in states:
        for layer in weights.layers:
            found, copies = weights.measures(layer)
            for head in range(layer.shape[0]):
                numbers = [found.entropy[head], found.distance[head], found.previous[head], found.first[head]]
                numbers += [np.nan, np.nan] if copies is None else [copies.score[head], copies.chance]
                known = [float(x) if np.isfinite(x) else None for x in numbers]
                yield weights.epoch, layer.path, head, *known, found.queries
