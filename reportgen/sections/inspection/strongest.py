"""The strongest channel of every layer, enlarged and laid over the image; the ten strongest ranked."""

from collections import Counter

from reportgen.analysis.channels import Peak, ranking, strongest
from reportgen.core.network import Layer
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, FigureRow, Fold, Section, Table, Text
from reportgen.sections.inspection.enlarged import (
    channel_figure,
    original,
    overlay_figure,
    overlays_figure,
    tiles_figure,
)
from reportgen.sections.inspection.maps import by_module, peak_words, place_words
from reportgen.sections.inspection.view import OPEN_IMAGES, View
from reportgen.sections.words import plural

TOP = 10
ROWS_OPEN = 24


def build(view: View) -> Section | None:
    """Per layer and image: the image, its strongest channel beside and over it, the ten strongest by rank."""
    layers = view.map_layers
    if not layers:
        return None
    drawn = layers if view.few else _without_befores(view)
    table = _table(view)
    blocks: list[Block] = (
        [table] if len(table.rows) <= ROWS_OPEN else [Fold("The strongest channels, listed", (table,))]
    )
    if not view.few:
        blocks.append(
            Text(
                f"With {len(layers) * len(view.images)} grids on this page, the strongest channel is drawn after the "
                "activation function only where a layer has one, and the ten strongest stand in tables; choose fewer "
                "layers to see all of them enlarged."
            )
        )
    blocks += by_module(view, [(layer, tuple(_layer(view, layer))) for layer in drawn])
    blocks.append(
        Text(
            "Strongest means the largest single value, or where it says so the largest mean. Enlarged, a value stands "
            "where the middle of its receptive field is, as far as halfway to its neighbours; the rim of the image in "
            "which no unit has its middle stays empty. Where the receptive field is not known, the map is stretched "
            "over "
            "the whole image.",
            "method",
        )
    )
    return Section("strongest", "The strongest channels", finding(view), tuple(blocks))


def _without_befores(view: View) -> tuple[Layer, ...]:
    drawn = {after.path for _, after in view.pairs}
    befores = {before.path for before, _ in view.pairs if before is not None}
    return tuple(layer for layer in view.map_layers if layer.path in drawn or layer.path not in befores)


def finding(view: View) -> str:
    """The largest single value in the first chosen layer."""
    layer = view.map_layers[0]
    peaks = [peak for peak in strongest(view.stats[layer.path]) if peak is not None]
    if not peaks:
        return f"No value of {layer.path} is finite."
    if len(view.images) == 1:
        return f"In {layer.path}, {peak_words(peaks[0])}."
    channel, count = Counter(peak.channel for peak in peaks).most_common(1)[0]
    where = "all" if count == len(view.images) else f"{count} of {len(view.images)}"
    values = [peak.maximum for peak in peaks if peak.channel == channel]
    span = " to ".join(dict.fromkeys(short_number(f(values), 4) for f in (min, max)))
    return f"In {layer.path}, channel {channel} has the largest value on {where} images ({span})."


def _layer(view: View, layer: Layer) -> list[Block]:
    blocks = [block for index in range(min(len(view.images), OPEN_IMAGES)) for block in _image(view, layer, index)]
    rest = [block for index in range(OPEN_IMAGES, len(view.images)) for block in _image(view, layer, index)]
    if rest:
        blocks.append(Fold(f"{layer.path} on {plural(len(view.images) - OPEN_IMAGES, 'further image')}", tuple(rest)))
    return blocks


def _image(view: View, layer: Layer, index: int) -> list[Block]:
    image, name = view.images[index], f"strongest-{view.slug(layer.path)}-{index}"
    peak = strongest(view.stats[layer.path])[index]
    if peak is None:
        return [Text(f"{layer.path}, {image}: no value is finite.")]
    figures = [
        channel_figure(view, layer, index, peak.channel, name, peak_words(peak)),
        overlay_figure(view, layer, index, peak.channel, f"{name}-over"),
    ]
    if view.few:
        figures.insert(0, original(view, index, f"{name}-image"))
    return [FigureRow(tuple(figures), f"{layer.path}, {image}"), _ten(view, layer, index, name)]


def _ten(view: View, layer: Layer, index: int, name: str) -> Fold:
    rankings = {by: ranking(view.stats[layer.path], index, by, TOP) for by in ("max", "mean")}
    count = len(rankings["max"])
    blocks: list[Block] = []
    if view.few:
        for by, peaks in rankings.items():
            kind = "maximum" if by == "max" else "mean"
            words = f"{view.images[index]}: {layer.path}, the {count} strongest channels by {kind}"
            channels = [peak.channel for peak in peaks]
            labels = [f"{rank}: {channel}" for rank, channel in enumerate(channels, 1)]
            words += " (rank: channel)"
            blocks.append(tiles_figure(view, layer, index, channels, labels, f"{name}-{by}", words))
            blocks.append(overlays_figure(view, layer, index, channels, labels, f"{name}-{by}-over", words))
    blocks.append(_ranks(view, layer, index, rankings, name))
    return Fold(f"The {count} strongest channels of {layer.path} on {view.images[index]}", tuple(blocks))


def _ranks(view: View, layer: Layer, index: int, rankings: dict[str, tuple[Peak, ...]], name: str) -> Table:
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
        f"{layer.path} on {view.images[index]}: channels by their largest value and by their mean; positions are "
        "(row, column) of the channel's maximum in the feature map.",
        ("Rank", "Channel by max", "Max", "At", "Channel by mean", "Mean", "Max at"),
        rows,
        "rrrlrrl",
    )


def _table(view: View) -> Table:
    rows = []
    for layer in view.map_layers:
        for index, peak in enumerate(strongest(view.stats[layer.path])):
            cells = (
                (None, None, None, None)
                if peak is None
                else (peak.channel, peak.maximum, place_words(peak.position), _looks(view, layer, peak))
            )
            rows.append((layer.path, view.images[index], *cells))
    return Table(
        "strongest-table",
        f"The strongest channel of {plural(len(view.map_layers), 'layer')} for every image. What it looks at: the "
        "rows and "
        "columns of the image in the receptive field of that position.",
        ("Layer", "Image", "Channel", "Max", "At", "Looks at rows, columns"),
        tuple(rows),
        "llrrll",
    )


def _looks(view: View, layer: Layer, peak: Peak) -> str | None:
    field = layer.field
    if field is None or len(peak.position) != 2:
        return None
    height, width = view.found.inputs.shape[1:3]
    if field.covers(height, width):
        return "the whole image"
    (top, bottom), (left, right) = field.seen(*peak.position)
    return f"{max(top, 0)}–{min(bottom, height - 1)}, {max(left, 0)}–{min(right, width - 1)}"
