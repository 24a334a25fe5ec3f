"""What the channels answer to: feature-map activity per label, over correctly predicted images."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reportgen.analysis.activity import LabelActivity, layer_activity
from reportgen.core.network import Layer
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table, Text
from reportgen.figures.bars import label_bars
from reportgen.figures.chart import chart
from reportgen.sections.context import Context
from reportgen.sections.words import NBSP, plural

CHANNELS = 128
LISTED = 10


def build(context: Context) -> Section | None:
    """Bars by label for every channel of every convolution, before and after its activation function."""
    final, outcome = context.final, context.outcome
    if final is None or outcome is None or not context.convolutions:
        return None
    # All of them now: a file that proves damaged here is left out, and one found damaged later would stop the numbers.
    # A file may hold fewer layers than the layer table has.
    found = {
        layer.path: layer_activity(final, layer.path) for layer in context.layers if layer.path in outcome.label_sums
    }
    blocks: list[Block] = []
    best: tuple[float, str] | None = None
    for convolution in context.convolutions:
        for layer in (convolution, context.run.network.activation_of(convolution)):
            if layer is None or layer.path not in found:
                continue
            result = found[layer.path]
            blocks.append(_figure(context, layer, result))
            blocks.append(
                Fold(
                    f"Channels of {layer.path} by how differently they answer",
                    (_table(context, layer, result),),
                )
            )
            channel = int(result.order[0])
            if np.isfinite(result.multiple[channel]) and layer is not convolution:
                this = float(result.selectivity[channel]), _sentence(context, layer, result, channel)
                best = max(best, this) if best else this
    counted = int(outcome.label_counts.sum())
    of = len(outcome.predictions)
    finding = f"Over {counted:,} correctly predicted of {plural(of, 'evaluation image')}"
    finding += f": {best[1]}" if best else ", each channel's mean activity by label."
    if len(context.run.batch("evaluation").labels):
        blocks.append(_counts(context))
    blocks.append(Text(_METHOD, "method"))
    return Section(
        "activity", "What the channels answer to", finding, tuple(blocks), _numbers(context.run.classes, found)
    )


_METHOD = (
    "Activity of a channel for a label: the sum of its feature map, averaged over the correctly predicted evaluation "
    "images of that label. Comparison value: that divided by the mean sum of the input's values over the same images, "
    "so that labels with more ink do not look more active. How differently a channel answers: standard deviation over "
    "labels divided by the mean absolute value over labels. A cross stands where there is no data: no correct image, "
    "or an input sum of 0."
)


def _figure(context: Context, layer: Layer, result: LabelActivity) -> Figure:
    values = (result.ratio if result.compared == "ratio" else result.activity).T
    order = [int(c) for c in result.order[: min(CHANNELS, context.limits.channels or CHANNELS)]]
    shown = "" if len(order) == layer.channels else f" The first {len(order)} of {layer.channels} channels."
    what = "comparison value (activity / input sum)" if result.compared == "ratio" else "activity"
    return chart(
        f"activity-{context.slug(layer.path)}",
        label_bars(values, context.run.classes, order, own_scale=True),
        alt=f"{layer.path}: {_sentence(context, layer, result, order[0])}",
        caption=f"{layer.path}, {what} by label, a panel per channel, each from 0 to its own "
        f"largest value, which is printed with its label. The channels that answer most differently come first.{shown}",
        wide=True,
    )


def _sentence(context: Context, layer: Layer, result: LabelActivity, channel: int) -> str:
    label = int(result.preferred[channel])
    if label < 0:
        return f"channel {channel} of {layer.path} answers to all labels alike."
    name, n = context.run.classes[label], int(result.images[label])
    multiple = result.multiple[channel]
    much = f"{multiple:.1f} times its mean over labels, " if np.isfinite(multiple) else ""
    return f"channel {channel} of {layer.path} answers most selectively, to {name} ({much}n{NBSP}={NBSP}{n})."


def _table(context: Context, layer: Layer, result: LabelActivity) -> Table:
    rows = []
    for channel in map(int, result.order[:LISTED]):
        label = int(result.preferred[channel])
        selectivity, multiple = result.selectivity[channel], result.multiple[channel]
        rows.append(
            (
                channel,
                context.run.classes[label] if label >= 0 else None,
                f"{multiple:.2f}" if np.isfinite(multiple) else None,
                f"{selectivity:.3f}" if np.isfinite(selectivity) else None,
            )
        )
    return Table(
        f"activity-{context.slug(layer.path)}-channels",
        f"The {len(rows)} channels of {layer.path} that answer most differently to the labels. Multiple: value of "
        "the label that it answers to most / mean over labels.",
        ("Channel", "Answers most to", "Multiple", "Difference between labels"),
        tuple(rows),
        "rlrr",
    )


def _counts(context: Context) -> Table:
    outcome, labels = context.outcome, context.run.batch("evaluation").labels
    assert outcome is not None
    total = np.bincount(labels, minlength=len(context.run.classes))
    return Table(
        "activity-counts",
        "Images behind each label: those predicted right, of those in the evaluation set.",
        ("Label", "Predicted right", "Of"),
        tuple((n, int(c), int(t)) for n, c, t in zip(context.run.classes, outcome.label_counts, total, strict=True)),
        "lrr",
    )


def _numbers(classes: Sequence[str], found: Mapping[str, LabelActivity]) -> tuple[Numbers, Numbers]:
    columns = ("layer", "channel", "label", "images", "activity", "input_mean_sum", "ratio")
    by_channel = ("layer", "channel", "rank", "answers_most_to", "multiple", "difference_between_labels")
    return (
        Numbers("activity.csv", columns, lambda: _rows(classes, found)),
        Numbers("activity_channels.csv", by_channel, lambda: _channel_rows(classes, found)),
    )


def _rows(classes: Sequence[str], found: Mapping[str, LabelActivity]) -> Iterator[tuple[Any, ...]]:
    for path, result in found.items():
        for channel in range(result.activity.shape[1]):
            for label, name in enumerate(classes):
                yield (
                    *(path, channel, name, int(result.images[label])),
                    *(_known(x) for x in (result.activity[label, channel], result.input_mean[label])),
                    _known(result.ratio[label, channel]),
                )


def _channel_rows(classes: Sequence[str], found: Mapping[str, LabelActivity]) -> Iterator[tuple[Any, ...]]:
    """A row per channel, those that answer most differently to the labels first; `rank` counts from 0."""
    for path, result in found.items():
        for rank, channel in enumerate(map(int, result.order)):
            label = int(result.preferred[channel])
            name = classes[label] if label >= 0 else None
            values = (_known(result.multiple[channel]), _known(result.selectivity[channel]))
            yield path, channel, rank, name, *values


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
