"""The strongest channel of every layer, enlarged and laid over the image; the ten strongest ranked."""

from collections import Counter

from reportgen.analysis.channels import Peak, ranking, strongest
from reportgen.core.network import PASSING, Layer
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, FigureRow, Fold, Section, Table, Text
from reportgen.sections.context import PageContext
from reportgen.sections.enlarged import (
    channel_figure,
    original,
    overlay_figure,
    overlays_figure,
    tiles_figure,
)
from reportgen.sections.maps import by_module, open_images, peak_words, place_words, shown_images
from reportgen.sections.words import plural, those

FEW_GRIDS = 16
"""Grids (layers times inputs) up to which the ten strongest channels are drawn enlarged, too."""

TOP = 10
ROWS_OPEN = 24


def build(context: PageContext) -> Section | None:
    """Per layer and image: the image, its strongest channel beside and over it, the ten strongest by rank."""
    layers = context.map_layers
    if not layers:
        return None
    limits = context.limits
    few = len(layers) * len(context.names) <= FEW_GRIDS and limits.channels is None
    drawn = layers if few else _after_activation(context) if limits.levels is None else ()
    table = _table(context)
    blocks: list[Block] = (
        [table] if len(table.rows) <= ROWS_OPEN else [Fold("The strongest channels, listed", (table,))]
    )
    if drawn and not few:
        grids = f"With {len(layers) * shown_images(context)} grids on this page"
        why = grids if limits.channels is None else "For the size of this page"
        blocks.append(
            Text(
                f"{why}, the strongest channel is drawn after the activation function only where a layer has one, "
                "pooling and joining layers are left out, and the ten strongest stand in tables; choose fewer layers "
                "to see all of them enlarged."
            )
        )
    kept = [layer for layer in drawn if context.draws(layer.path)]
    blocks += by_module([(layer, tuple(_layer(context, layer, few, layer is drawn[0]))) for layer in kept])
    blocks.append(
        Text(
            "Strongest means the largest single value, or where it says so the largest mean. Enlarged, a value stands "
            "where the middle of its receptive field is, as far as halfway to its neighbours; the rim of the image in "
            "which no unit has its middle stays empty. Where the receptive field is not known, the map is stretched "
            "over the whole image.",
            "method",
        )
    )
    return Section("strongest", "The strongest channels", finding(context), tuple(blocks))


def _after_activation(context: PageContext) -> tuple[Layer, ...]:
    """The layers that make new values, each after its activation function where that is shown too."""
    shown = {layer.path for layer in context.map_layers}
    after = {layer.path: context.network.activation_of(layer) for layer in context.map_layers}
    layers = tuple(x for x in context.map_layers if (function := after[x.path]) is None or function.path not in shown)
    return tuple(layer for layer in layers if layer.role not in PASSING) or layers


def finding(context: PageContext) -> str:
    """The largest single value in the first chosen layer."""
    layer = context.map_layers[0]
    peaks = [peak for peak in strongest(context.stats[layer.path]) if peak is not None]
    if not peaks:
        return f"No value of {layer.path} is finite."
    if len(context.names) == 1:
        return f"In {layer.path}, {peak_words(peaks[0])}."
    channel, count = Counter(peak.channel for peak in peaks).most_common(1)[0]
    where = "all" if count == len(context.names) else f"{count} of {len(context.names)}"
    values = [peak.maximum for peak in peaks if peak.channel == channel]
    span = " to ".join(dict.fromkeys(short_number(f(values), 4) for f in (min, max)))
    return f"In {layer.path}, channel {channel} has the largest value on {where} images ({span})."


def _layer(context: PageContext, layer: Layer, few: bool, first: bool) -> list[Block]:
    images = shown_images(context)
    parts = [_image(context, layer, index, few, few and first) for index in range(images)]
    blocks = [block for part in parts[: open_images(context)] for block in part]
    rest = tuple(block for part in parts[open_images(context) :] for block in part)
    if rest:
        blocks.append(Fold(f"{layer.path} on {plural(images - open_images(context), 'further image')}", rest))
    return blocks


def _image(context: PageContext, layer: Layer, index: int, few: bool, with_input: bool) -> list[Block]:
    """The strongest channel; `with_input` has the image itself beside it, which the page needs once."""
    image, name = context.names[index], f"strongest-{context.slug(layer.path)}-{index}"
    peak = strongest(context.stats[layer.path])[index]
    if peak is None:
        return [Text(f"{layer.path}, {image}: no value is finite.")]
    figures = [
        channel_figure(context, layer, index, peak.channel, name, peak_words(peak)),
        overlay_figure(context, layer, index, peak.channel, f"{name}-over"),
    ]
    if with_input:
        figures.insert(0, original(context, index, f"{name}-image"))
    return [FigureRow(tuple(figures), f"{layer.path}, {image}"), _ten(context, layer, index, name, few)]


def _ten(context: PageContext, layer: Layer, index: int, name: str, few: bool) -> Fold:
    rankings = {by: ranking(context.stats[layer.path], index, by, TOP) for by in ("max", "mean")}
    count = len(rankings["max"])
    blocks: list[Block] = []
    if few:
        for by, peaks in rankings.items():
            kind = "maximum" if by == "max" else "mean"
            words = f"{context.names[index]}: {layer.path}, {those(count, 'strongest channel').lower()} by {kind}"
            channels = [peak.channel for peak in peaks]
            labels = [f"{rank}: {channel}" for rank, channel in enumerate(channels, 1)]
            words += " (rank: channel)"
            blocks.append(tiles_figure(context, layer, index, channels, labels, f"{name}-{by}", words))
            blocks.append(overlays_figure(context, layer, index, channels, labels, f"{name}-{by}-over", words))
    blocks.append(_ranks(context, layer, index, rankings, name))
    return Fold(f"{those(count, 'strongest channel')} of {layer.path} on {context.names[index]}", tuple(blocks))


def _ranks(context: PageContext, layer: Layer, index: int, rankings: dict[str, tuple[Peak, ...]], name: str) -> Table:
    rows = tuple(
        (
            rank,
            *(top.channel, top.maximum, place_words(top.position)),
            *(mean.channel, mean.mean, place_words(mean.position)),
        )
        for rank, (top, mean) in enumerate(zip(rankings["max"], rankings["mean"], strict=True), 1)
    )
    return Table(
        f"{name}-ranks",
        f"{layer.path} on {context.names[index]}: channels by their largest value and by their mean; positions are "
        "(row, column) of the channel's maximum in the feature map.",
        ("Rank", "Channel by max", "Max", "At", "Channel by mean", "Mean", "Max at"),
        rows,
        "rrrlrrl",
    )


def _table(context: PageContext) -> Table:
    rows = []
    for layer in context.map_layers:
        for index, peak in enumerate(strongest(context.stats[layer.path])):
            cells = (
                (None, None, None, None)
                if peak is None
                else (peak.channel, peak.maximum, place_words(peak.position), _looks(context, layer, peak))
            )
            rows.append((layer.path, context.names[index], *cells))
    return Table(
        "strongest-table",
        f"The strongest channel of {plural(len(context.map_layers), 'layer')} for every image. What it looks at: the "
        "rows and columns of the image in the receptive field of that position.",
        ("Layer", "Image", "Channel", "Max", "At", "Looks at rows, columns"),
        tuple(rows),
        "llrrll",
    )


def _looks(context: PageContext, layer: Layer, peak: Peak) -> str | None:
    field = layer.field
    if field is None or context.size is None or len(peak.position) != 2:
        return None
    height, width = context.size
    if field.covers(height, width):
        return "the whole image"
    (top, bottom), (left, right) = field.seen(*peak.position)
    return f"{max(top, 0)}–{min(bottom, height - 1)}, {max(left, 0)}–{min(right, width - 1)}"
