"""Feature-map activity per label: which channels respond to which class.

    result = layer_activity(run.observations[400], "conv1/relu")
    channel = result.order[0]                          # responds most differently to the labels
    result.preferred[channel], result.multiple[channel], result.images

Over the correctly predicted evaluation images of a label, the activity of a channel is the mean of
the feature map's sum; the comparison value divides it by the mean of the input's sum over the same
images, so that labels with more ink do not look more active. That favours labels with little ink in turn: a
channel prefers a label clearly only where both agree. NaN stands for "no data" everywhere.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reportgen.analysis.numerics import as_float64
from reportgen.core.arrays import ByLabel, ChannelFlags, ChannelNumbers, LabelCounts, Labels, PerChannel, PerLabel
from reportgen.core.outcome import Classification
from reportgen.core.run import Observation
from reportgen.errors import DataError, OptionError, choices

CLEAR = 0.2
"""The selectivity from which on a channel prefers a label clearly: 1.5 times its mean over the other labels."""

ENOUGH = 20
"""Images of a label below which nothing is said of it."""


@dataclass(frozen=True, eq=False)
class LabelActivity:
    """How each channel of a layer responds to each label. NaN means no data.

    images       [label] int64: correctly predicted images behind each row
    input_mean   [label] float64: mean over those images of the sum of the input's values
    activity     [label, channel] float64: mean over those images of the sum of the feature map
    ratio        [label, channel] float64: activity / input_mean; no data where input_mean is 0
    compared     the source of the numbers below: "ratio", or "activity" where input sums are negative or all
                 0 (standardised input), since a ratio of changing sign has no order
    label_cv     [channel] float64: coefficient of variation over labels, the standard deviation / the mean
                 absolute value, which stays finite for signed values and is independent of the channel's
                 scale. 0 for a channel that responds to all labels alike (also a dead one), no data where
                 fewer than two labels have data
    order        [channel] int64: channels by falling label_cv, ties by number, no data last
    preferred    [channel] int64: label of the largest value, the first of equals; -1 where label_cv is
                 0 or has no data
    multiple     [channel] float64: the preferred label's value / the mean over labels; no data where there
                 is no preferred label or a value is negative
    most_active  [channel] int64: label of the largest activity, the first of equals; -1 where all are alike
    times        [channel] float64: that activity / the mean over labels, as `multiple`
    selectivity  [channel] float64: the class selectivity index of the activity, (largest - mean of the others) /
                 (largest + mean of the others), from 0 for all labels alike to 1 for one label alone (Morcos et al.
                 2018, "On the importance of single directions for generalization", arXiv:1803.06959); no data where
                 a value is negative or fewer than two labels have data
    clear        [channel] bool: whether the channel clearly prefers `most_active`: also by the comparison value, both
                 with a selectivity of at least `CLEAR`, over at least `ENOUGH` images of that label, and with a mean
                 activity of at least the median channel's
    """

    images: LabelCounts
    input_mean: PerLabel
    activity: ByLabel
    ratio: ByLabel
    compared: Literal["ratio", "activity"]
    label_cv: PerChannel
    order: ChannelNumbers
    preferred: ChannelNumbers
    multiple: PerChannel
    most_active: ChannelNumbers
    times: PerChannel
    selectivity: PerChannel
    clear: ChannelFlags


def label_activity(sums: np.ndarray, counts: np.ndarray, input_sums: np.ndarray) -> LabelActivity:
    """Activity per label from `sums` [label, channel], `counts` [label] and `input_sums` [label].

    Raises DataError when the shapes do not match or a count is negative.
    """
    sums, inputs = as_float64(sums, "the activity sums"), as_float64(input_sums, "the input sums")
    counts = np.asarray(counts)
    if sums.ndim != 2 or counts.shape != (len(sums),) or inputs.shape != (len(sums),):
        raise DataError(
            f"activity per label needs sums [label, channel] with one count and one input sum per label; "
            f"got the shapes {sums.shape}, {counts.shape} and {inputs.shape}.",
            code="A101",
        )
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise DataError("the image counts per label must be non-negative integers.", code="A101")
    images = counts.astype(np.float64)
    activity = _divide(sums, images[:, None])
    input_mean = _divide(inputs, images)
    ratio = _divide(activity, input_mean[:, None])

    known = input_mean[np.isfinite(input_mean)]
    by_ratio = bool((known >= 0).all() and (known > 0).any())
    label_cv, preferred, multiple = _compare(ratio if by_ratio else activity)
    _, most_active, times = _compare(activity)
    selectivity = _selectivity(activity)
    least = np.fmin(selectivity, _selectivity(ratio)) if by_ratio else selectivity
    level = _mean(activity)
    alive = level >= np.median(level[np.isfinite(level)]) if np.isfinite(level).any() else np.zeros(len(level), bool)
    enough = np.where(most_active >= 0, images[most_active], 0) >= ENOUGH if len(images) else alive
    return LabelActivity(
        images=counts.astype(np.int64),
        input_mean=input_mean,
        activity=activity,
        ratio=ratio,
        compared="ratio" if by_ratio else "activity",
        label_cv=label_cv,
        # NaN sorts last, and a stable sort leaves equals in channel order.
        order=np.argsort(-label_cv, kind="stable"),
        preferred=preferred,
        multiple=multiple,
        most_active=most_active,
        times=times,
        selectivity=selectivity,
        clear=(least >= CLEAR) & (most_active == preferred) & enough & alive & (level > 0),
    )


def layer_activity(observation: Observation, path: str) -> LabelActivity:
    """Activity of the layer `path` per label of `Classification.summed`.

    Raises OptionError, listing the layers, for an unknown one.
    """
    outcome = observation.outcome
    if not isinstance(outcome, Classification) or path not in outcome.label_sums:
        existing = outcome.label_sums if isinstance(outcome, Classification) else ()
        raise OptionError(f"no activity was recorded for {path!r}; {choices(path, existing)}", code="O105")
    labels = outcome.summed
    return label_activity(outcome.label_sums[path], outcome.label_counts[labels], outcome.input_sums[labels])


def activity_of_all(outcome: Classification, labels: Labels, path: str) -> ByLabel | None:
    """Activity of the layer `path` per label of `Classification.summed`, over all evaluation examples of the `labels`.

    None where the run has sums over the correctly predicted ones alone.
    """
    if path not in outcome.label_sums or (path not in outcome.missed_sums and len(outcome.predictions)):
        return None
    counts = np.bincount(labels, minlength=len(outcome.label_counts))[outcome.summed]
    sums = as_float64(outcome.label_sums[path], "the activity sums")
    if path in outcome.missed_sums:
        sums = sums + as_float64(outcome.missed_sums[path], "the activity sums")
    return _divide(sums, counts.astype(np.float64)[:, None])


def around_mean(activity: ByLabel) -> ByLabel:
    """Each channel's activity minus its mean over labels, as a share of its mean magnitude over labels.

    0 for a channel that is 0 for every label; of non-negative activity -1 is none, and 1 twice the mean. NaN where
    there is no activity.
    """
    size = _mean(np.abs(activity))
    with np.errstate(invalid="ignore", over="ignore"):
        share: ByLabel = np.clip((activity - _mean(activity)) / np.where(size > 0, size, 1.0), -1e6, 1e6)
    return share


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom; NaN where bottom is 0 or the result is not finite."""
    with np.errstate(all="ignore"):
        result = top / bottom
    return np.where(np.isfinite(result) & (bottom != 0), result, np.nan)


def _mean(values: ByLabel) -> PerChannel:
    """Mean over the labels that have data; NaN without any."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return _divide((np.where(known, values, 0.0) / np.maximum(count, 1)).sum(axis=0), np.minimum(count, 1))


def _selectivity(values: ByLabel) -> PerChannel:
    """The class selectivity index per channel of values [label, channel] with NaN."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    top = filled.max(axis=0, initial=0.0)
    scaled = np.maximum(filled, 0.0) / np.where(top > 0, top, 1.0)
    others = (scaled.sum(axis=0) - (top > 0)) / np.maximum(count - 1, 1)
    index = np.where(top > 0, (1 - others) / (1 + others), 0.0)
    return np.where((count >= 2) & (filled >= 0).all(axis=0), index, np.nan)


def _compare(values: ByLabel) -> tuple[PerChannel, ChannelNumbers, PerChannel]:
    """label_cv, preferred label and its multiple, per channel of values [label, channel] with NaN."""
    labels, channels = values.shape
    if labels == 0:
        return np.full(channels, np.nan), np.full(channels, -1), np.full(channels, np.nan)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    largest = np.abs(filled).max(axis=0)
    # Each channel is scaled to 1, so that neither squares nor sums overflow or underflow.
    scaled = filled / np.where(largest > 0, largest, 1.0)
    several = np.maximum(count, 1)
    # Shifted by its first value, a constant channel has a deviation of exactly 0, without rounding error.
    first = scaled[known.argmax(axis=0), np.arange(channels)]
    shifted = np.where(known, scaled - first, 0.0)
    offset = shifted.sum(axis=0) / several
    deviation = np.sqrt(np.where(known, np.square(shifted - offset), 0.0).sum(axis=0) / several)
    size = np.abs(scaled).sum(axis=0) / several
    label_cv = np.where(count >= 2, deviation / np.where(size > 0, size, 1.0), np.nan)

    responds = label_cv > 0
    preferred = np.where(responds, np.where(known, scaled, -np.inf).argmax(axis=0), -1)
    positive = responds & (np.where(known, scaled, 0.0) >= 0).all(axis=0)
    top = scaled.max(axis=0)
    multiple = np.where(positive, top / np.where(size > 0, size, 1.0), np.nan)
    return label_cv, preferred.astype(np.int64), multiple
