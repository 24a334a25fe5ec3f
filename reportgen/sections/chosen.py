"""The channels that were asked for, enlarged beside the image: before and after their activation function."""

import numpy as np

from reportgen.core.network import Layer
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, FigureRow, Section, Text
from reportgen.sections.answers import max_share
from reportgen.sections.context import PageContext
from reportgen.sections.enlarged import channel_figure, original, overlay_figure
from reportgen.sections.maps import FEW, place_words, shown_images
from reportgen.sections.words import listed, plural

Shown = tuple[Layer | None, Layer, int]

ROWS = 16
"""Rows drawn, one per layer, channel and image."""


def build(context: PageContext) -> Section | None:
    """A row per layer, channel and image; None where no layer with feature maps has one of the channels."""
    shown = [
        (before, after, channel)
        for before, after in context.pairs
        for channel in context.options.channels
        if channel < after.channels
    ]
    drawn = _drawn(context, shown)
    lacking = [layer.path for layer in context.map_layers if max(context.options.channels) >= layer.channels]
    blocks: list[Block] = []
    if lacking:
        blocks.append(Text(f"Without all of these channels, for they have fewer: {listed(lacking)}."))
    if _images(context) < len(context.names):
        blocks.append(Text(f"On the first {_images(context)} of {len(context.names)} images."))
    if len(drawn) < len(shown):
        how = "changed most" if len(context.names) > 1 else "are strongest"
        blocks.append(
            Text(
                f"Of {plural(len(shown), 'channel')} in "
                f"{plural(len({after.path for _, after, _ in shown}), 'layer')}, the "
                f"{len(drawn)} that {how}, as a share of their layer's largest value, are drawn; name layers to see "
                "others."
            )
        )
    for place, (before, after, channel) in enumerate(drawn):
        blocks += [_row(context, before, after, channel, index, place == 0) for index in range(_images(context))]
    if not shown:
        return None
    return Section("chosen", "Chosen channels", _finding(context, shown), tuple(blocks))


def _images(context: PageContext) -> int:
    """Images drawn: all, or of many the first few."""
    return min(shown_images(context), FEW)


def _drawn(context: PageContext, shown: list[Shown]) -> list[Shown]:
    """All where they are few, else those that changed most between the images, or are strongest, in order."""
    most = max(1, ROWS // _images(context))
    if len(shown) <= most:
        return shown

    def weight(entry: Shown) -> float:
        _, after, channel = entry
        if len(context.names) > 1:
            return max_share(context, after, channel)
        stats = context.stats[after.path].maximum[0]
        return float(np.nan_to_num(stats[channel] / max(float(np.nanmax(stats, initial=0.0)), 1e-30)))

    kept = sorted(shown, key=lambda entry: -weight(entry))[:most]
    return [entry for entry in shown if entry in kept]


def _finding(context: PageContext, shown: list[Shown]) -> str:
    channels = listed([str(channel) for channel in context.options.channels])
    noun = "Channel" if len(context.options.channels) == 1 else "Channels"
    _, layer, channel = shown[-1]
    return (
        f"{noun} {channels} in {plural(len({after.path for _, after, _ in shown}), 'place')}, before and after the "
        f"activation function where there is one. Channel {channel} of {layer.path} on {context.names[0]}: "
        f"{_words(context, layer, channel, 0)}."
    )


def _words(context: PageContext, layer: Layer, channel: int, index: int) -> str:
    stats = context.stats[layer.path]
    top = stats.maximum[index, channel]
    if not np.isfinite(top):
        return "no finite value"
    place = place_words(stats.position[index, channel])
    rank = int((stats.maximum[index] > top).sum()) + 1
    return (
        f"largest value {short_number(top, 4)} at {place}, rank {rank} of {layer.channels}, "
        f"mean {short_number(stats.mean[index, channel])}"
    )


def _row(
    context: PageContext, before: Layer | None, after: Layer, channel: int, index: int, with_input: bool
) -> FigureRow:
    """The channel before and after its activation; `with_input` has the image beside it, which the page needs once."""
    name = f"chosen-{context.slug(after.path)}-{channel}-{index}"
    figures = [original(context, index, f"{name}-image")] if with_input else []
    if before is not None:
        words = f"before {after.op}: {_words(context, before, channel, index)}"
        figures.append(channel_figure(context, before, index, channel, f"{name}-before", words))
    words = _words(context, after, channel, index)
    words = words if before is None else f"after {after.op}: {words}"
    figures.append(channel_figure(context, after, index, channel, name, words))
    figures.append(overlay_figure(context, after, index, channel, f"{name}-over"))
    return FigureRow(tuple(figures), f"{after.path}, channel {channel}, {context.names[index]}")
