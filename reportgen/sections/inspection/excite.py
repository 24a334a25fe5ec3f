"""What excites the channels among labelled images: the images with the part that does it, activity per label."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.activity import LabelActivity, label_activity
from reportgen.core.inspection import Labelled
from reportgen.core.network import Layer, ReceptiveField, Role
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Text
from reportgen.core.run import TopExamples
from reportgen.figures.bars import label_bars
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.photo import photos
from reportgen.sections.inspection.view import View
from reportgen.sections.words import plural

CHANNELS = 16
"""Channels of each layer whose patches are drawn; where channels were chosen, those come first."""

BARS = 64

LARGEST = 96
"""Longest side of a patch, in pixels; a larger one is thinned."""


def build(view: View) -> Section | None:
    """Patches and bars for every chosen layer; None without labelled data."""
    labelled = view.found.labelled
    if labelled is None:
        return None
    blocks: list[Block] = [Text(_over(labelled))]
    for layer in _drawn(view):
        blocks.append(_patches(view, labelled, layer))
        activity = _activity(labelled, layer)
        blocks.append(Fold(f"Activity per label of {layer.path}", (_bars(view, labelled, layer, activity),)))
    blocks.append(
        Text(
            "For each channel, the images with its largest single values, one value per image; of each image the "
            "part in "
            "the receptive field of that value, empty where it reaches beyond the image, and the whole image where the "
            "receptive field is not known or larger. Activity of a channel for a label: the sum of its feature map, "
            "averaged over the label's images; the comparison value divides it by the mean sum of the input's values "
            "over "
            "the same images.",
            "method",
        )
    )
    excite = ("layer", "channel", "rank", "image", "label", "value", "y", "x")
    columns = ("layer", "channel", "label", "images", "activity", "input_mean_sum", "ratio")
    numbers = (
        Numbers("excitations.csv", excite, lambda: _rows(view, labelled)),
        Numbers("activity.csv", columns, lambda: _activity_rows(view, labelled)),
    )
    return Section(
        "excite", f"What excites the channels in {labelled.name}", _finding(view, labelled), tuple(blocks), numbers
    )


def _drawn(view: View) -> list[Layer]:
    """The chosen layers but those that only rearrange what another gave; excitations.csv has all."""
    return [layer for layer in view.layers if layer.role not in (Role.RESHAPE, Role.JOIN)] or list(view.layers)


def _over(labelled: Labelled) -> str:
    count = plural(len(labelled.labels), "test image")
    if labelled.predicted is None:
        return (
            f"Over all {count} of {labelled.name}: the network gives no score per class, so no image counts as wrong."
        )
    return (
        f"Largest values over all {count} of {labelled.name}; activity per label over the {labelled.predicted:,} of "
        "them "
        "that are predicted right."
    )


def _finding(view: View, labelled: Labelled) -> str:
    best: tuple[float, str] | None = None
    for layer in view.map_layers or _drawn(view):
        activity = _activity(labelled, layer)
        channel = int(activity.order[0])
        if not np.isfinite(activity.multiple[channel]) or activity.preferred[channel] < 0:
            continue
        label = int(activity.preferred[channel])
        text = (
            f"Channel {channel} of {layer.path} answers most selectively, to {labelled.classes[label]} "
            f"({activity.multiple[channel]:.1f} times its mean over labels, n = {int(activity.images[label])})."
        )
        if best is None or activity.selectivity[channel] > best[0]:
            best = float(activity.selectivity[channel]), text
    return best[1] if best else f"The images of {labelled.name} that excite each channel most."


def _activity(labelled: Labelled, layer: Layer) -> LabelActivity:
    return label_activity(labelled.label_sums[layer.path], labelled.label_counts, labelled.input_sums)


def _shown(view: View, labelled: Labelled, layer: Layer) -> list[int]:
    """Chosen channels first, then those that answer most differently to the labels."""
    chosen = [channel for channel in view.found.channels if channel < layer.channels]
    order = [int(channel) for channel in _activity(labelled, layer).order]
    return list(dict.fromkeys([*chosen, *order]))[:CHANNELS]


def _patches(view: View, labelled: Labelled, layer: Layer) -> Figure:
    excited = labelled.layers[layer.path]
    channels = _shown(view, labelled, layer)
    field = layer.field if layer.has_maps else None
    ranks = range(len(excited.values))
    tiles = np.ma.stack([_patch(labelled, excited, field, rank, c) for c in channels for rank in ranks])
    labels, values = [], []
    for channel in channels:
        for rank in ranks:
            image = int(excited.examples[rank, channel])
            name = labelled.classes[labelled.labels[image]] if image >= 0 else "none"
            labels.append(f"{channel}" if rank == 0 else "")
            values.append(f"image {image}, {name}: {short_number(float(excited.values[rank, channel]))}")
    height, width = tiles.shape[1:3]
    whole = (height, width) == labelled.images.shape[1:3]
    what = "whole images" if whole else f"{height}×{width} pixels around the place that does it"
    step = -(-max(height, width) // LARGEST)
    if step > 1:
        tiles, what = tiles[:, ::step, ::step], f"{what} (every {step}th pixel)"
    layout: dict[str, Any] = {"labels": labels, "columns": len(ranks), "values": values}
    # A photograph has no empty colour: beyond the image it is mid-grey.
    colored = tiles.ndim == 4
    picture = photos(tiles.filled(0.5) * 255, **layout) if colored else mosaic(tiles, 0, 1, **layout)
    more = ""
    if len(channels) < layer.channels:
        more = f" {len(channels)} of {layer.channels} channels: those that answer most differently to the labels."
    top = int(excited.examples[0, channels[0]])
    return Figure(
        f"excite-{view.slug(layer.path)}",
        picture,
        f"{layer.path}: channel {channels[0]} is excited most by image {top} of {labelled.name}, "
        f"{labelled.classes[labelled.labels[top]] if top >= 0 else 'none'}.",
        f"{layer.path}: a row per channel (its number above), the {len(ranks)} images of {labelled.name} that "
        "excite "
        f"it most, strongest first; {what}.{more}",
        None,
        picture_export(picture),
        wide=True,
    )


def _patch(
    labelled: Labelled, excited: TopExamples, field: ReceptiveField | None, rank: int, channel: int
) -> np.ma.MaskedArray:
    """What the unit saw, [height, width] or [height, width, 3], masked beyond the image."""
    height, width = labelled.images.shape[1:3]
    index = int(excited.examples[rank, channel])
    image = np.ma.array(labelled.images[max(index, 0)], copy=True)
    whole = field is None or field.height >= height or field.width >= width or not (field.step_y and field.step_x)
    if whole:
        patch = image
    else:
        assert field is not None
        y, x = (int(place) for place in excited.positions[rank, channel])
        top, left = (edge[0] for edge in field.seen(max(y, 0), max(x, 0)))
        patch = np.ma.masked_all((field.height, field.width, image.shape[2]), image.dtype)
        rows, columns = (
            (max(0, -start), min(size, length - start))
            for start, size, length in ((top, field.height, height), (left, field.width, width))
        )
        patch[rows[0] : rows[1], columns[0] : columns[1]] = image[
            top + rows[0] : top + rows[1], left + columns[0] : left + columns[1]
        ]
    if index < 0:
        patch = np.ma.masked_all(patch.shape, patch.dtype)
    return patch[..., 0] if patch.shape[2] == 1 else patch


def _bars(view: View, labelled: Labelled, layer: Layer, activity: LabelActivity) -> Figure:
    values = (activity.ratio if activity.compared == "ratio" else activity.activity).T
    order = [int(channel) for channel in activity.order[:BARS]]
    what = "comparison value (activity / input sum)" if activity.compared == "ratio" else "activity"
    shown = "" if len(order) == layer.channels else f" The first {len(order)} of {layer.channels} channels."
    return chart(
        f"excite-{view.slug(layer.path)}-labels",
        label_bars(values, labelled.classes, order),
        alt=f"{layer.path}: {what} by label, {plural(len(order), 'channel')}.",
        caption=f"{layer.path}, {what} by label, a panel per channel, all at one scale; those that answer most "
        "differently "
        f"come first.{shown}",
        wide=True,
    )


def _rows(view: View, labelled: Labelled) -> Iterator[tuple[Any, ...]]:
    for layer in view.layers:
        excited = labelled.layers[layer.path]
        for channel in range(layer.channels):
            for rank in range(len(excited.values)):
                image = int(excited.examples[rank, channel])
                if image < 0:
                    continue
                y, x = [*map(int, excited.positions[rank, channel]), None, None][:2]
                name = labelled.classes[labelled.labels[image]]
                yield layer.path, channel, rank + 1, image, name, float(excited.values[rank, channel]), y, x


def _activity_rows(view: View, labelled: Labelled) -> Iterator[tuple[Any, ...]]:
    for layer in view.layers:
        result = _activity(labelled, layer)
        for channel in range(layer.channels):
            for label, name in enumerate(labelled.classes):
                numbers = (result.activity[label, channel], result.input_mean[label], result.ratio[label, channel])
                activity, inputs, ratio = (float(v) if np.isfinite(v) else None for v in numbers)
                yield layer.path, channel, name, int(result.images[label]), activity, inputs, ratio
