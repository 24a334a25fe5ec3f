"""The channels that were asked for, enlarged beside the image: before and after their activation function."""

import numpy as np

from reportgen.core.network import Layer
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, FigureRow, Section, Text
from reportgen.sections.inspection.changes import max_share
from reportgen.sections.inspection.enlarged import channel_figure, original, overlay_figure
from reportgen.sections.inspection.maps import place_words
from reportgen.sections.inspection.view import OPEN_IMAGES, View
from reportgen.sections.words import listed, plural

Shown = tuple[Layer | None, Layer, int]

ROWS = 16
"""Rows drawn, one per layer, channel and image."""


def build(view: View) -> Section | None:
    """A row per layer, channel and image; None where no channel was asked for."""
    if not view.found.channels:
        return None
    shown = [
        (before, after, channel)
        for before, after in view.pairs
        for channel in view.found.channels
        if channel < after.channels
    ]
    drawn = _drawn(view, shown)
    lacking = [layer.path for layer in view.map_layers if max(view.found.channels) >= layer.channels]
    blocks: list[Block] = []
    if lacking:
        blocks.append(Text(f"Without all of these channels, for they have fewer: {listed(lacking)}."))
    if _images(view) < len(view.images):
        blocks.append(Text(f"On the first {_images(view)} of {len(view.images)} images."))
    if len(drawn) < len(shown):
        how = "changed most" if len(view.images) > 1 else "are strongest"
        blocks.append(
            Text(
                f"Of {plural(len(shown), 'channel')} in "
                f"{plural(len({after.path for _, after, _ in shown}), 'layer')}, the "
                f"{len(drawn)} that {how}, as a share of their layer's largest value, are drawn; name layers to see "
                "others."
            )
        )
    for before, after, channel in drawn:
        blocks += [_row(view, before, after, channel, index) for index in range(_images(view))]
    if not shown:
        return None
    return Section("chosen", "Chosen channels", _finding(view, shown), tuple(blocks))


def _images(view: View) -> int:
    """Images drawn: all, or of many the first few."""
    return min(len(view.images), OPEN_IMAGES)


def _drawn(view: View, shown: list[Shown]) -> list[Shown]:
    """All where they are few, else those that changed most between the images, or are strongest, in order."""
    most = max(1, ROWS // _images(view))
    if len(shown) <= most:
        return shown

    def weight(entry: Shown) -> float:
        _, after, channel = entry
        if len(view.images) > 1:
            return max_share(view, after, channel)
        stats = view.stats[after.path].maximum[0]
        return float(np.nan_to_num(stats[channel] / max(float(np.nanmax(stats, initial=0.0)), 1e-30)))

    kept = sorted(shown, key=lambda entry: -weight(entry))[:most]
    return [entry for entry in shown if entry in kept]


def _finding(view: View, shown: list[Shown]) -> str:
    channels = listed([str(channel) for channel in view.found.channels])
    noun = "Channel" if len(view.found.channels) == 1 else "Channels"
    _, layer, channel = shown[-1]
    return (
        f"{noun} {channels} in {plural(len({after.path for _, after, _ in shown}), 'place')}, before and after the "
        f"activation function where there is one. Channel {channel} of {layer.path} on {view.images[0]}: "
        f"{_words(view, layer, channel, 0)}."
    )


def _words(view: View, layer: Layer, channel: int, index: int) -> str:
    stats = view.stats[layer.path]
    top = stats.maximum[index, channel]
    if not np.isfinite(top):
        return "no finite value"
    place = place_words(stats.position[index, channel])
    rank = int((stats.maximum[index] > top).sum()) + 1
    return (
        f"largest value {short_number(top, 4)} at {place}, rank {rank} of {layer.channels}, "
        f"mean {short_number(stats.mean[index, channel])}"
    )


def _row(view: View, before: Layer | None, after: Layer, channel: int, index: int) -> FigureRow:
    name = f"chosen-{view.slug(after.path)}-{channel}-{index}"
    figures = [original(view, index, f"{name}-image")]
    if before is not None:
        words = f"before {after.op}: {_words(view, before, channel, index)}"
        figures.append(channel_figure(view, before, index, channel, f"{name}-before", words))
    words = _words(view, after, channel, index)
    words = words if before is None else f"after {after.op}: {words}"
    figures.append(channel_figure(view, after, index, channel, name, words))
    figures.append(overlay_figure(view, after, index, channel, f"{name}-over"))
    return FigureRow(tuple(figures), f"{after.path}, channel {channel}, {view.images[index]}")
