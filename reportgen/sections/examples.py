"""Top-activating examples: for each channel, the part of the pictures that its largest activations saw."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.core.network import Layer, ReceptiveField
from reportgen.core.numbers import ordinal, short_number
from reportgen.core.report import Figure, Table
from reportgen.core.run import TopExamples
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.photo import photos
from reportgen.sections.context import PageContext
from reportgen.sections.tokens import pieces_of, token_inputs, visible
from reportgen.sections.words import noun, plural

CHANNELS = 16
"""Channels of each layer whose patches are drawn."""

LARGEST = 96
"""Longest side of a patch, in pixels; a larger one is thinned."""

RANKS = 4
"""Examples of each channel in a table."""

BEFORE = 16
"""Tokens before the place of a value that a table shows, at most; and characters."""

COLUMNS = ("layer", "channel", "rank", "image", "label", "value", "y", "x")


SMALL = 48
"""Longest side of patches that stand beside a matrix."""


def tiles(context: PageContext, layer: Layer, top: TopExamples, channels: list[int]) -> np.ma.MaskedArray:
    """What each channel's largest values saw: [channel, rank, y, x] or [channel, rank, y, x, 3] from 0 to 255, masked
    beyond the picture."""
    field = layer.field if layer.has_maps else None
    found = [_patch(context, top, field, rank, channel) for channel in channels for rank in range(len(top.values))]
    stacked: np.ma.MaskedArray = np.ma.stack(found)
    return stacked.reshape(len(channels), -1, *stacked.shape[1:])


def patches(context: PageContext, layer: Layer, channels: list[int]) -> Figure:
    """A row per channel: the examples with its largest values, the largest first."""
    observation = context.observation
    assert observation is not None
    top = observation.top[layer.path]
    ranks = range(len(top.values))
    shown = tiles(context, layer, top, channels)
    shown = shown.reshape(-1, *shown.shape[2:])
    labels = [f"{channel}" if rank == 0 else "" for channel in channels for rank in ranks]
    values = [
        f"{_name(context, int(top.examples[rank, c]))}: {short_number(float(top.values[rank, c]))}"
        for c in channels
        for rank in ranks
    ]
    what = seen(context, shown.shape[1:3])
    step = -(-max(shown.shape[1:3]) // LARGEST)
    if step > 1:
        shown, what = shown[:, ::step, ::step], f"{what} (every {ordinal(step)} pixel)"
    layout: dict[str, Any] = {"labels": labels, "columns": len(ranks), "values": values}
    # A photograph has no empty colour: beyond the image it is mid-grey.
    colored = shown.ndim == 4
    picture = photos(shown.filled(127.5), **layout) if colored else mosaic(shown, 0, 255, **layout)
    more = "" if len(channels) == layer.channels else f" {len(channels)} of {layer.channels} channels."
    first = _name(context, int(top.examples[0, channels[0]]))
    return Figure(
        f"excite-{context.slug(layer.path)}",
        picture,
        f"{layer.path}: channel {channels[0]} responds most to {first}.",
        f"{layer.path}: a row per channel, whose number stands on its first tile: the "
        f"{plural(len(ranks), 'evaluation image')} with its largest values, the largest first; {what}.{more}",
        export=picture_export(picture),
        wide=True,
    )


def seen(context: PageContext, shape: tuple[int, ...]) -> str:
    """What patches of [y, x] show, in words."""
    whole = context.evaluation_pixels(0)
    if whole is None or shape == whole.shape[:2]:
        return "whole images"
    return f"{shape[0]}×{shape[1]} pixels around the place of the value"


def top_table(context: PageContext, layer: Layer, order: list[int]) -> Table:
    """A row per channel, of the first of `order`: the examples with its largest values, where they are no pictures.

    Of tokens, the text up to the place of the value, where the layer keeps the sequence's places.
    """
    assert context.observation is not None
    top, rows = context.observation.top[layer.path], []
    tokens = token_inputs(context.run.batch("evaluation"))
    for channel in order[: min(CHANNELS, context.limits.channels or CHANNELS)]:
        cells: list[str] = []
        for rank in range(min(len(top.values), RANKS)):
            example, value = int(top.examples[rank, channel]), float(top.values[rank, channel])
            places = top.positions[rank, channel]
            if example < 0:
                continue
            text = _name(context, example)
            if tokens is not None and len(places) and layer.shape[0] == tokens.shape[1] and example < len(tokens):
                at = int(places[0])
                pieces = pieces_of(context.run, tokens[example, max(0, at - BEFORE) : at + 1])
                text = f"{visible(''.join(pieces[:-1]).lstrip())[-BEFORE:]}[{visible(pieces[-1]).strip()}]"
            cells.append(f"{text} ({short_number(value)})")
        rows.append((channel, "; ".join(cells)))
    one = noun(context.run)
    return Table(
        f"excite-{context.slug(layer.path)}",
        f"{layer.path}: for each channel, the evaluation {one}s with its largest values, in brackets; of tokens the "
        "text up to the place of the value, whose token stands in square brackets.",
        ("Channel", f"Largest in these evaluation {one}s"),
        tuple(rows),
        "rl",
    )


def _name(context: PageContext, example: int) -> str:
    if example < 0:
        return "none"
    labels = context.run.batch("evaluation").labels
    return f"{noun(context.run)} {example}" + (f", {context.run.classes[int(labels[example])]}" if len(labels) else "")


def _patch(
    context: PageContext, top: TopExamples, field: ReceptiveField | None, rank: int, channel: int
) -> np.ma.MaskedArray:
    """What the unit saw, [height, width] or [height, width, 3] from 0 to 255, masked beyond the image."""
    index = int(top.examples[rank, channel])
    pixels = context.evaluation_pixels(max(index, 0))
    image: np.ma.MaskedArray = np.ma.array(np.zeros((1, 1, 1)) if pixels is None else pixels, copy=True)
    height, width = image.shape[:2]
    if field is None or field.height >= height or field.width >= width or not (field.step_y and field.step_x):
        patch = image
    else:
        y, x = (int(place) for place in top.positions[rank, channel])
        top_row, left = (edge[0] for edge in field.seen(max(y, 0), max(x, 0)))
        patch = _masked((field.height, field.width, image.shape[2]))
        rows, columns = (
            (max(0, -start), min(size, length - start))
            for start, size, length in ((top_row, field.height, height), (left, field.width, width))
        )
        patch[rows[0] : rows[1], columns[0] : columns[1]] = image[
            top_row + rows[0] : top_row + rows[1], left + columns[0] : left + columns[1]
        ]
    # What answers to nothing answers to no example: a dead channel's largest values are 0.
    if index < 0 or top.values[rank, channel] == 0:
        patch = _masked(patch.shape)
    return patch[..., 0] if patch.shape[2] == 1 else patch


def _masked(shape: tuple[int, ...]) -> np.ma.MaskedArray:
    return np.ma.array(np.zeros(shape, np.float32), mask=True)


def example_rows(context: PageContext) -> Iterator[tuple[Any, ...]]:
    """A row per layer, channel and rank, which counts from 1."""
    observation, classes = context.observation, context.run.classes
    labels = context.run.batch("evaluation").labels
    assert observation is not None
    for layer in context.layers:
        top = observation.top.get(layer.path)
        for channel in range(layer.channels if top is not None else 0):
            assert top is not None
            for rank in range(len(top.values)):
                example = int(top.examples[rank, channel])
                if example >= 0:
                    y, x = [*map(int, top.positions[rank, channel]), None, None][:2]
                    label = classes[int(labels[example])] if len(labels) else None
                    yield layer.path, channel, rank + 1, example, label, float(top.values[rank, channel]), y, x
