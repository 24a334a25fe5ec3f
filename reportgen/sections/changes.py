"""What changed from the first picture to the others: which channels, by how much, and where."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.core.network import Layer
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table, Text
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import colorbar, outside
from reportgen.sections.answers import after_activation, answers, compared_channels, compared_layers, finding, sentence
from reportgen.sections.context import PageContext
from reportgen.sections.enlarged import range_of
from reportgen.sections.maps import place_words
from reportgen.sections.scale import value_words
from reportgen.sections.words import listed, percent, plural, those

ROWS = 20


def build(context: PageContext) -> Section | None:
    """Sentences, grids of images by channels, and tables, largest change first; None for a single image."""
    if not context.map_layers:
        return None
    blocks: list[Block] = [Text(text) for answer in answers(context) if (text := sentence(context, answer))]
    layers = compared_layers(context)
    if len(layers) < len(after_activation(context)):
        blocks.append(
            Text(
                f"Of {len(after_activation(context))} layers, the {len(layers)} with the largest changes are drawn; "
                "the tables have all."
            )
        )
    blocks += [_grid(context, layer) for layer in layers]
    tables = [_table(context, other) for other in range(1, len(context.names))]
    blocks.append(tables[0])
    if tables[1:]:
        blocks.append(Fold(f"{plural(len(tables) - 1, 'further image')} compared with the first", tuple(tables[1:])))
    blocks.append(
        Text(
            "Change is the second image minus the first. The largest change is the one furthest from 0 at any "
            "position; its share is of the layer's largest magnitude in both images, so that layers can be compared. "
            "A peak is a local maximum of at least half of the channel's largest value in the first image; it is "
            "compared with the largest value of the second image within the same neighbourhood (a thirteenth of the "
            "map's side to each side, at least 1). A percentage is of the first image's value.",
            "method",
        )
    )
    columns = (
        *("image", "compared_with", "layer", "channel", "max_before", "max_after", "mean_before", "mean_after"),
        *("largest_change", "y", "x", "value_before", "value_after", "share"),
    )
    numbers = Numbers("changes.csv", columns, lambda: _rows(context))
    return Section("changes", "What changed between the images", finding(context), tuple(blocks), (numbers,))


def _grid(context: PageContext, layer: Layer) -> Figure:
    """Images down, channels across, under one normalisation."""
    channels, maps, stats = compared_channels(context, layer), context.maps(layer), context.stats[layer.path]
    low, high, palette = range_of(context, layer, channels)
    bar = colorbar(palette, low, high)
    down = len(context.names) <= len(channels)  # images down, channels across, or the other way round
    places = [(i, c) for i in range(len(context.names)) for c in channels]
    if not down:
        places = [(i, c) for c in channels for i in range(len(context.names))]
    tiles = np.stack([maps[image, ..., channel] for image, channel in places])
    names = context.names if len(context.names) <= 3 else [f"#{i}" for i in range(len(context.names))]
    labels = [f"{channel} · {names[image]}" for image, channel in places]
    values = [value_words(stats.maximum[at], stats.mean[at], stats.minimum[at]) for at in places]
    counts = outside(tiles, low, high)
    clipped = f" {counts.clipped:,} of {counts.total:,} values are outside and clipped." if counts.clipped else ""
    words = f"{bar.low} to {bar.high}, one range for all.{clipped}"
    picture = mosaic(
        tiles,
        low,
        high,
        palette,
        labels=labels,
        columns=len(channels) if down else len(context.names),
        values=values,
    )
    numbers = listed([str(channel) for channel in channels])
    listing = ", ".join(
        context.names if len(context.names) <= 3 else [f"#{i} {n}" for i, n in enumerate(context.names)]
    )
    which = "chosen" if context.options.channels else "most changed"
    return Figure(
        f"changes-{context.slug(layer.path)}",
        picture,
        f"{layer.path}, channels {numbers} for {plural(len(context.names), 'image')}.",
        f"{layer.path}: a {'row' if down else 'column'} per image ({listing}), a {'column' if down else 'row'} per "
        f"{which} "
        f"channel ({numbers}). {words}",
        bar,
        picture_export(picture, bar),
        wide=True,
    )


def _table(context: PageContext, other: int) -> Table:
    entries = [
        (float(change.share[channel]), layer, channel)
        for layer in context.layers
        for change in [context.changes[layer.path][other - 1]]
        for channel in map(int, change.order[:ROWS])
        if np.isfinite(change.share[channel])
    ]
    entries.sort(key=lambda entry: -entry[0])
    rows = []
    for share, layer, channel in entries[:ROWS]:
        stats, change = context.stats[layer.path], context.changes[layer.path][other - 1]
        top, mean = stats.maximum[:, channel], stats.mean[:, channel]
        rows.append(
            (
                layer.path,
                channel,
                *(_known(top[0]), _known(top[other]), _known(mean[0]), _known(mean[other])),
                _known(change.largest[channel]),
                place_words(change.position[channel]) if len(change.position[channel]) else "",
                percent(share),
            )
        )
    first, second = context.names[0], context.names[other]
    return Table(
        "changes-table" if other == 1 else f"changes-table-{other}",
        f"{those(len(rows), 'largest change')} from {first} to {second}, of all channels of the chosen layers, largest "
        "first. Share: of the layer's largest magnitude.",
        (
            "Layer",
            "Channel",
            f"Max, {first}",
            f"Max, {second}",
            f"Mean, {first}",
            f"Mean, {second}",
            "Change",
            "At",
            "Share",
        ),
        tuple(rows),
        "lrrrrrrlr",
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rows(context: PageContext) -> Iterator[tuple[Any, ...]]:
    for other in range(1, len(context.names)):
        for layer in context.layers:
            stats, change = context.stats[layer.path], context.changes[layer.path][other - 1]
            for channel in map(int, change.order):
                y, x = [*(int(p) if p >= 0 else None for p in change.position[channel]), None, None][:2]
                yield (
                    *(context.names[other], context.names[0], layer.path, channel),
                    *(_known(stats.maximum[image, channel]) for image in (0, other)),
                    *(_known(stats.mean[image, channel]) for image in (0, other)),
                    *(_known(change.largest[channel]), y, x),
                    *(_known(v[channel]) for v in (change.before, change.after, change.share)),
                )
