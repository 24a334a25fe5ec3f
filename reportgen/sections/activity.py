"""What channels respond to: activity by label, and the examples with the largest activations."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reportgen.analysis.activity import CLEAR, ENOUGH, LabelActivity, layer_activity
from reportgen.core.network import PASSING, Layer, Role
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.sections.context import PageContext
from reportgen.sections.examples import CHANNELS, example_rows, patches, top_table
from reportgen.sections.examples import COLUMNS as EXAMPLES
from reportgen.sections.maps import by_module
from reportgen.sections.selectivity import drawn, responses
from reportgen.sections.words import NBSP, NOT_DEFINED, noun, plural, those

LISTED = 10
ROWS = 20
"""Labels up to which their counts stand in an open table."""


def build(context: PageContext) -> Section | None:
    """For each layer, its channels by labels, and the top-activating examples where they were recorded."""
    observation, outcome = context.observation, context.classification
    if observation is None or (outcome is None and not observation.top):
        return None
    # All of them now: a file that proves damaged here is left out, and one found damaged later would stop the numbers.
    # A file may hold fewer layers than the layer table has.
    activity = (
        {}
        if outcome is None or not len(outcome.label_counts)
        else {
            layer.path: layer_activity(observation, layer.path)
            for layer in context.layers
            if layer.path in outcome.label_sums and not layer.has_attention
        }
    )
    parts: list[tuple[Layer, tuple[Block, ...]]] = []
    best: list[tuple[float, str]] = []
    for layer in filter(lambda layer: context.draws(layer.path), _drawn(context)):
        result, shown = activity.get(layer.path), list[Block]()
        order = _first(context, layer, result)
        if result is not None:
            shown += drawn(context, layer, result, order, _alt(context, layer, result))
        elif layer.path in observation.top and len(context.evaluation_pictures[0]):
            shown.append(patches(context, layer, order[: min(CHANNELS, context.limits.channels or CHANNELS)]))
        if layer.path in observation.top and not len(context.evaluation_pictures[0]):
            title = f"Top-activating {noun(context.run)}s of {layer.path}"
            shown.append(Fold(title, (top_table(context, layer, order),)))
        if result is not None:
            title = f"Channels of {layer.path} by how much their response depends on the label"
            shown.append(Fold(title, (_table(context, layer, result),)))
            if (channel := _clearest(context, layer, result)) is not None:
                best.append((float(result.selectivity[channel]), _preference(context, layer, result, channel)))
        if shown:
            parts.append((layer, tuple(shown)))
    blocks = by_module(parts)
    if not blocks:
        return None
    pictures = bool(observation.top) and len(context.evaluation_pictures[0]) > 0
    if activity and len(context.run.batch("evaluation").labels):
        blocks.append(_counts(context))
    blocks.append(
        Text(
            " ".join([*([_EXAMPLES] if pictures else []), *([_METHOD] if activity else []), *_heads(context)]), "method"
        )
    )
    columns = ("layer", "channel", "label", "images", "activity", "input_mean_sum", "ratio", "around_mean", "before")
    by_channel = (
        *("layer", "channel", "rank", "answers_most_to", "multiple", "difference_between_labels"),
        *("most_active_for", "times_its_mean", "selectivity", "clear"),
    )
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
    "Activity of a channel for a label: the sum of its values over all positions, averaged over the counted evaluation "
    "examples of that label. Comparison value: that divided by the mean sum of the input's values over the same "
    "examples, so that labels of larger inputs (digits with more ink, say) do not look more active; it favours labels "
    "of smaller ones in turn. Difference between labels: standard deviation over labels divided by the mean absolute "
    "value over labels. Class selectivity index (Morcos et al. 2018, arXiv:1803.06959): (largest activity − mean of "
    "the other labels') / (their sum), 0 for all labels alike, 1 for one label alone. A channel prefers a label "
    "clearly where activity and comparison value agree "
    f"on the label, both with an index of at least {CLEAR:g}, over at least {ENOUGH} examples of it, where its mean "
    "activity is at least the median channel's, and where its top-activating examples, if recorded, are mostly of that "
    "label. Nothing is said of layers before their activation function, nor of the scores. A cross stands where "
    "activity is not defined: no counted example, or an input sum of 0."
)


def _heads(context: PageContext) -> list[str]:
    """What a channel is where there are heads, and that attention weights have none."""
    said = []
    sizes = {each for layer in _drawn(context) if (each := layer.head_channels) is not None}
    if sizes:
        of = plural(max(sizes), "channel") if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)} channels"
        said.append(f"Where a layer has heads, of {of} each, channels are numbered head after head.")
    if any(layer.has_attention for layer in context.layers):
        said.append("Attention weights have no channels and are left out: where heads read has a section of its own.")
    return said


def _drawn(context: PageContext) -> tuple[Layer, ...]:
    """The layers with channels that make new values, norms and pooling aside; without one, all layers."""
    aside = (*PASSING, Role.NORM)
    made = tuple(x for x in context.layers if x.role not in aside and x.axes[-1:] not in (("key",), ("query",)))
    return made or context.layers


def _finding(context: PageContext, best: list[tuple[float, str]]) -> str:
    outcome, one = context.classification, noun(context.run)
    if outcome is None:
        return f"The evaluation {one}s with the largest activations of each channel."
    counted, of = int(outcome.label_counts.sum()), len(outcome.predictions)
    over = f"the {counted:,} correctly classified of {plural(of, f'evaluation {one}')}"
    if not of:
        over = plural(counted, f"evaluation {one}")
    said = max(best)[1] if best else "No channel clearly prefers a label"
    return f"{said[0].upper()}{said[1:]}, over {over}."


def _first(context: PageContext, layer: Layer, result: LabelActivity | None) -> list[int]:
    """The channels in the order in which they are shown: those asked for, then by how they respond to labels."""
    asked = [channel for channel in context.options.channels if channel < layer.channels]
    order = range(layer.channels) if result is None else map(int, result.order)
    return list(dict.fromkeys([*asked, *order]))


def _alt(context: PageContext, layer: Layer, result: LabelActivity) -> str:
    channel = _clearest(context, layer, result)
    if channel is None:
        return f"No channel of {layer.path} clearly prefers a label."
    return f"{_preference(context, layer, result, channel)}."


def _labels(context: PageContext) -> np.ndarray:
    """The labels whose activity is known."""
    outcome = context.classification
    assert outcome is not None
    return outcome.summed


def _names(context: PageContext) -> list[str]:
    return [context.run.classes[label] for label in _labels(context).tolist()]


def _clearest(context: PageContext, layer: Layer, result: LabelActivity) -> int | None:
    """The most selective channel of those that clearly prefer a label; None where the layer has none.

    Before its activation function a layer's values are not yet what the next layer reads; and that a score is largest
    for its own label is what the network was trained for.
    """
    scores = context.network.distinct[-1].path
    if layer.path == scores or context.network.activation_of(layer) is not None:
        return None
    clear = [
        channel for channel in np.flatnonzero(result.clear).tolist() if _top_agrees(context, layer, result, channel)
    ]
    return int(max(clear, key=lambda channel: result.selectivity[channel])) if clear else None


def _top_agrees(context: PageContext, layer: Layer, result: LabelActivity, channel: int) -> bool:
    """Whether no label is more frequent among the channel's top-activating examples than the one it prefers."""
    observation, targets = context.observation, context.run.batch("evaluation").targets
    if observation is None or targets is None or layer.path not in observation.top:
        return True
    examples = observation.top[layer.path].examples[:, channel]
    counts = np.bincount(targets[examples[examples >= 0]], minlength=len(context.run.classes))
    return bool(counts[_labels(context)[result.most_active[channel]]] == counts.max())


def _preference(context: PageContext, layer: Layer, result: LabelActivity, channel: int) -> str:
    label = int(result.most_active[channel])
    return (
        f"channel {channel} of {layer.path} responds most to {_names(context)[label]} ({result.times[channel]:.1f} "
        f"times its mean over labels, n{NBSP}={NBSP}{int(result.images[label]):,}; class selectivity index "
        f"{result.selectivity[channel]:.2f})"
    )


def _table(context: PageContext, layer: Layer, result: LabelActivity) -> Table:
    rows, names = [], _names(context)
    for channel in map(int, result.order[:LISTED]):
        labels = [int(chosen[channel]) for chosen in (result.most_active, result.preferred)]
        active, compared = (names[label] if label >= 0 else None for label in labels)
        numbers = [(result.times, 2), (result.multiple, 2), (result.selectivity, 2), (result.label_cv, 3)]
        times, multiple, index, label_cv = (
            f"{values[channel]:.{digits}f}" if np.isfinite(values[channel]) else NOT_DEFINED
            for values, digits in numbers
        )
        n = int(result.images[labels[0]]) if labels[0] >= 0 else None
        rows.append((channel, active, n, times, index, compared, multiple, label_cv))
    return Table(
        f"activity-{context.slug(layer.path)}-channels",
        f"{those(len(rows), 'channel')} of {layer.path} whose response depends most on the label. Times mean: the "
        "value for that label / the mean over labels. Where the two labels differ, ink decides, and no "
        "preference is claimed.",
        (
            *("Channel", "Most active for", "n", "Times mean", "Selectivity index"),
            *("By comparison value", "Times mean", "Difference between labels"),
        ),
        tuple(rows),
        "rlrrrlrr",
    )


def _counts(context: PageContext) -> Block:
    """The images behind each label: a table, or a sentence where all labels have as many."""
    outcome, targets, one = context.classification, context.run.batch("evaluation").labels, noun(context.run)
    assert outcome is not None
    total = np.bincount(targets, minlength=len(context.run.classes))
    counted = outcome.label_counts
    if len({(int(c), int(t)) for c, t in zip(counted, total, strict=True)}) == 1:
        return Text(f"Of each label, {int(counted[0]):,} of {plural(int(total[0]), f'evaluation {one}')} are counted.")
    table = Table(
        "activity-counts",
        f"Evaluation {one}s behind each label: those counted, of all.",
        ("Label", "Counted", "Of"),
        tuple((n, int(c), int(t)) for n, c, t in zip(context.run.classes, counted, total, strict=True) if t),
        "lrr",
    )
    return table if len(table.rows) <= ROWS else Fold(f"{one.capitalize()}s behind each label", (table,))


def _rows(context: PageContext, activity: Mapping[str, LabelActivity]) -> Iterator[tuple[Any, ...]]:
    """A row per layer, channel and label; `around_mean` and `before` are what the matrices show."""
    names = _names(context)
    for path, result in activity.items():
        told = responses(context, context.network.layers[path], result)
        around, before = told[-1].around, told[0].around if len(told) > 1 else None
        for channel in range(result.activity.shape[1]):
            for label, name in enumerate(names):
                numbers = (result.activity[label, channel], result.input_mean[label], result.ratio[label, channel])
                count = int(result.images[label])
                shown = (_known(around[label, channel]), None if before is None else _known(before[label, channel]))
                yield path, channel, name, count, *map(_known, numbers), *shown


def _channel_rows(context: PageContext, activity: Mapping[str, LabelActivity]) -> Iterator[tuple[Any, ...]]:
    """A row per channel, those whose response depends most on the label first; `rank` counts from 1."""
    names = _names(context)
    for path, result in activity.items():
        for rank, channel in enumerate(map(int, result.order), 1):
            label = int(result.preferred[channel])
            active = int(result.most_active[channel])
            name, most = (names[at] if at >= 0 else None for at in (label, active))
            numbers = (result.multiple, result.label_cv)
            yield (
                *(path, channel, rank, name, *(_known(values[channel]) for values in numbers)),
                *(most, _known(result.times[channel]), _known(result.selectivity[channel])),
                int(result.clear[channel]),
            )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
