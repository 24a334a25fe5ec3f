"""What channels respond to: activity by label, and the examples with the largest activations."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reportgen.analysis.activity import LabelActivity, label_activity
from reportgen.core.network import Layer, Role
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table, Text
from reportgen.figures.bars import label_bars
from reportgen.figures.chart import chart
from reportgen.sections.context import PageContext
from reportgen.sections.examples import COLUMNS as EXAMPLES
from reportgen.sections.examples import example_rows, patches
from reportgen.sections.words import NBSP, plural

CHANNELS = 128
LISTED = 10


def build(context: PageContext) -> Section | None:
    """For each layer, the top-activating examples where they were recorded, and bars by label for every channel."""
    observation, outcome = context.observation, context.outcome
    if observation is None or (outcome is None and not observation.top):
        return None
    # All of them now: a file that proves damaged here is left out, and one found damaged later would stop the numbers.
    # A file may hold fewer layers than the layer table has.
    activity = (
        {}
        if outcome is None or not len(outcome.label_counts)
        else {
            layer.path: label_activity(outcome.label_sums[layer.path], outcome.label_counts, outcome.input_sums)
            for layer in context.layers
            if layer.path in outcome.label_sums
        }
    )
    blocks: list[Block] = []
    best: tuple[float, str] | None = None
    for layer in _drawn(context):
        if layer.path in observation.top:
            blocks.append(patches(context, layer, _first(context, layer, activity.get(layer.path))))
        if (result := activity.get(layer.path)) is None:
            continue
        blocks.append(_figure(context, layer, result))
        title = f"Channels of {layer.path} by how much their response depends on the label"
        blocks.append(Fold(title, (_table(context, layer, result),)))
        channel = int(result.order[0])
        if np.isfinite(result.multiple[channel]) and layer.role is not Role.CONV:
            this = float(result.label_cv[channel]), _sentence(context, layer, result, channel)
            best = max(best, this) if best else this
    if not blocks:
        return None
    if activity and context.run.batch("evaluation").targets is not None:
        blocks.append(_counts(context))
    blocks.append(
        Text(" ".join([*([_EXAMPLES] if observation.top else []), *([_METHOD] if activity else [])]), "method")
    )
    columns = ("layer", "channel", "label", "images", "activity", "input_mean_sum", "ratio")
    by_channel = ("layer", "channel", "rank", "answers_most_to", "multiple", "difference_between_labels")
    numbers = [
        Numbers("activity.csv", columns, lambda: _rows(context, activity)),
        Numbers("activity_channels.csv", by_channel, lambda: _channel_rows(context, activity)),
        Numbers("excitations.csv", EXAMPLES, lambda: example_rows(context)),
    ]
    kept = (*(numbers[:2] if activity else ()), *(numbers[2:] if observation.top else ()))
    return Section("activity", "What channels respond to", _finding(context, best), tuple(blocks), kept)


_EXAMPLES = (
    "For each channel, the evaluation examples with its largest single values, one value per example; of each picture "
    "the part in the receptive field of that value, empty where it reaches beyond the picture, and the whole picture "
    "where the receptive field is not known or larger."
)
_METHOD = (
    "Activity of a channel for a label: the sum of its feature map, averaged over the counted evaluation examples of "
    "that label. Comparison value: that divided by the mean sum of the input's values over the same examples, so that "
    "labels with more ink do not look more active. Difference between labels: standard deviation over labels divided "
    "by the mean absolute value over labels. A cross stands where there is no data: no counted example, or an input "
    "sum of 0."
)


def _drawn(context: PageContext) -> tuple[Layer, ...]:
    """Convolutions with the activation functions after them; without one, all layers that make new values."""
    drawn = []
    for convolution in context.convolutions:
        after = context.network.activation_of(convolution)
        drawn += [layer for layer in (convolution, after) if layer in context.layers and layer not in drawn]
    kept = tuple(layer for layer in context.layers if layer.role not in (Role.RESHAPE, Role.JOIN))
    return tuple(drawn) or kept or context.layers


def _finding(context: PageContext, best: tuple[float, str] | None) -> str:
    outcome = context.outcome
    if outcome is None:
        return "The evaluation examples with the largest activations of each channel."
    counted = int(outcome.label_counts.sum())
    over = f"Over {counted:,} correctly predicted of {plural(len(outcome.predictions), 'evaluation image')}"
    if not len(outcome.predictions):
        over = f"Over all {plural(counted, 'evaluation image')}"
    return f"{over}: {best[1]}" if best else f"{over}, each channel's mean activity by label."


def _first(context: PageContext, layer: Layer, result: LabelActivity | None) -> list[int]:
    """The channels in the order in which they are shown: those asked for, then by how they respond to labels."""
    asked = [channel for channel in context.options.channels if channel < layer.channels]
    order = range(layer.channels) if result is None else map(int, result.order)
    return list(dict.fromkeys([*asked, *order]))


def _figure(context: PageContext, layer: Layer, result: LabelActivity) -> Figure:
    values = (result.ratio if result.compared == "ratio" else result.activity).T
    order = _first(context, layer, result)[: min(CHANNELS, context.limits.channels or CHANNELS)]
    shown = "" if len(order) == layer.channels else f" The first {len(order)} of {layer.channels} channels."
    what = "comparison value (activity / input sum)" if result.compared == "ratio" else "activity"
    return chart(
        f"activity-{context.slug(layer.path)}",
        label_bars(values, context.run.classes, order, own_scale=True),
        alt=f"{layer.path}: {_sentence(context, layer, result, order[0])}",
        caption=f"{layer.path}, {what} by label, a panel per channel, each from 0 to its own largest value, which is "
        f"printed with its label. The channels whose response depends most on the label come first.{shown}",
        wide=True,
    )


def _sentence(context: PageContext, layer: Layer, result: LabelActivity, channel: int) -> str:
    label = int(result.preferred[channel])
    if label < 0:
        return f"channel {channel} of {layer.path} responds to all labels alike."
    name, n = context.run.classes[label], int(result.images[label])
    multiple = result.multiple[channel]
    much = f"{multiple:.1f} times its mean over labels, " if np.isfinite(multiple) else ""
    return f"channel {channel} of {layer.path} responds most selectively, to {name} ({much}n{NBSP}={NBSP}{n})."


def _table(context: PageContext, layer: Layer, result: LabelActivity) -> Table:
    rows = []
    for channel in map(int, result.order[:LISTED]):
        label = int(result.preferred[channel])
        label_cv, multiple = result.label_cv[channel], result.multiple[channel]
        rows.append(
            (
                channel,
                context.run.classes[label] if label >= 0 else None,
                f"{multiple:.2f}" if np.isfinite(multiple) else None,
                f"{label_cv:.3f}" if np.isfinite(label_cv) else None,
            )
        )
    return Table(
        f"activity-{context.slug(layer.path)}-channels",
        f"The {len(rows)} channels of {layer.path} whose response depends most on the label. Multiple: value of the "
        "label that it responds to most / mean over labels.",
        ("Channel", "Responds most to", "Multiple", "Difference between labels"),
        tuple(rows),
        "rlrr",
    )


def _counts(context: PageContext) -> Table:
    outcome, targets = context.outcome, context.run.batch("evaluation").targets
    assert outcome is not None and targets is not None
    total = np.bincount(targets, minlength=len(context.run.classes))
    return Table(
        "activity-counts",
        "Images behind each label: those counted, of those in the evaluation set.",
        ("Label", "Counted", "Of"),
        tuple((n, int(c), int(t)) for n, c, t in zip(context.run.classes, outcome.label_counts, total, strict=True)),
        "lrr",
    )


def _rows(context: PageContext, activity: Mapping[str, LabelActivity]) -> Iterator[tuple[Any, ...]]:
    for path, result in activity.items():
        for channel in range(result.activity.shape[1]):
            for label, name in enumerate(context.run.classes):
                numbers = (result.activity[label, channel], result.input_mean[label], result.ratio[label, channel])
                yield path, channel, name, int(result.images[label]), *map(_known, numbers)


def _channel_rows(context: PageContext, activity: Mapping[str, LabelActivity]) -> Iterator[tuple[Any, ...]]:
    """A row per channel, those whose response depends most on the label first; `rank` counts from 1."""
    for path, result in activity.items():
        for rank, channel in enumerate(map(int, result.order), 1):
            label = int(result.preferred[channel])
            name = context.run.classes[label] if label >= 0 else None
            yield path, channel, rank, name, _known(result.multiple[channel]), _known(result.label_cv[channel])


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
