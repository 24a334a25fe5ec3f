"""Which channels answer to the difference between two pictures, and how that is said.

A channel that answers to one thing in the picture changes at the peak that sees it and stays as it was at
its other peaks: that is looked for, and said with its numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.analysis.changes import PeakChange, differing_box, peak_changes
from reportgen.core.network import Layer, Role
from reportgen.core.numbers import short_number
from reportgen.sections.context import PageContext
from reportgen.sections.maps import place_words
from reportgen.sections.words import NBSP, listed, percent

MOVED, STAYED, HARDLY = 0.25, 0.05, 0.01
"""A channel answers to one place where a peak there changes by at least MOVED and all others by at most STAYED.
What changes by at most HARDLY is said to stay."""

ALIKE = 0.25
"""Images of which at most this share differs (the box around it) are the same picture, changed."""

LAYERS = 8
CHANNELS = 8
SENTENCES = 12
UNASKED = 6
"""Sentences where no channel was chosen."""


@dataclass(frozen=True)
class Answer:
    """One channel's peaks in the first image, compared with image `other`."""

    layer: Layer
    channel: int
    other: int
    peaks: tuple[PeakChange, ...]

    @property
    def moved(self) -> tuple[PeakChange, ...]:
        return tuple(peak for peak in self.peaks if abs(peak.relative) >= MOVED)

    @property
    def local(self) -> bool:
        """Whether some peaks changed much and all the others, at least one, hardly."""
        stayed = [peak for peak in self.peaks if abs(peak.relative) <= STAYED]
        return bool(self.moved) and bool(stayed) and len(self.moved) + len(stayed) == len(self.peaks)


def finding(context: PageContext) -> str:
    """Where the images differ, and what answered to that: also the page's headline."""
    first, second = context.names[:2]
    located = [answer for answer in answers(context) if _located(context, answer)]
    if located:
        head = located[0]
        layer = head.layer
        same = [answer for answer in located if answer.layer is layer and _falls(answer) == _falls(head)][:4]
        channels = listed([str(answer.channel) for answer in same])
        falls = listed([percent(abs(_largest(answer).relative)) for answer in same])
        stays = max(abs(peak.relative) for answer in same for peak in answer.peaks if peak not in answer.moved)
        noun, verb = ("Channel", "") if len(same) == 1 else ("Channels", "")
        verb = ("falls" if len(same) == 1 else "fall") if _falls(same[0]) else ("rises" if len(same) == 1 else "rise")
        return (
            f"{noun} {channels} of {layer.path} {verb} by {falls} where {second} differs from {first}, and "
            f"{'stays' if len(same) == 1 else 'stay'} within {_within(stays)} at "
            f"{'its' if len(same) == 1 else 'their'} "
            "other peaks."
        )
    most, channel, share = _most(context)
    if most is None or not share:
        return f"No chosen layer responds differently to {second} than to {first}."
    change = context.changes[most.path][0]
    return (
        f"From {first} to {second}, channel {channel} of {most.path} changes most: from "
        f"{short_number(change.before[channel], 4)} to {short_number(change.after[channel], 4)} at "
        f"{place_words(change.position[channel])}, {percent(share)} of the layer's largest magnitude."
    )


def after_activation(context: PageContext) -> list[Layer]:
    """Layers after their activation function; a concatenation only repeats what others gave."""
    layers = [after for _, after in context.pairs]
    return [layer for layer in layers if layer.role is not Role.JOIN] or layers


def _share(context: PageContext, layer: Layer) -> np.ndarray:
    """[channel]: the largest share of change over all further images."""
    shares = np.stack([change.share for change in context.changes[layer.path]])
    largest: np.ndarray = np.nan_to_num(shares, nan=-1.0).max(axis=0)
    return largest


def max_share(context: PageContext, layer: Layer, channel: int) -> float:
    """The channel's largest change over all further images, as a share of the layer's largest magnitude."""
    return float(_share(context, layer)[channel])


def compared_layers(context: PageContext) -> list[Layer]:
    """The layers to draw, in call order: those with the largest changes."""
    layers = [layer for layer in after_activation(context) if compared_channels(context, layer)]
    kept = sorted(layers, key=lambda layer: -_shown_share(context, layer))[:LAYERS]
    return [layer for layer in layers if layer in kept]


def compared_channels(context: PageContext, layer: Layer) -> list[int]:
    """The chosen channels that the layer has; else those that changed most."""
    if context.options.channels:
        return [channel for channel in context.options.channels if channel < layer.channels][: 2 * CHANNELS]
    return [int(channel) for channel in np.argsort(-_share(context, layer), kind="stable")[:CHANNELS]]


def _shown_share(context: PageContext, layer: Layer) -> float:
    """The largest change among the channels that are shown of the layer."""
    return float(_share(context, layer)[compared_channels(context, layer)].max())


def answers(context: PageContext) -> list[Answer]:
    """The channels to write a sentence about: the most telling layer first; where no channel was chosen,
    only those that moved, and of them first those that answer to one place."""
    answers = [_answer(context, layer, channel, 1) for layer, channel in _told(context)]
    if not _alike(context):
        return []
    if context.options.channels:
        return answers[:SENTENCES]
    moved = [answer for answer in answers if answer.moved]
    return sorted(moved, key=lambda answer: not _located(context, answer))[:UNASKED]


def _alike(context: PageContext) -> bool:
    """Whether the first two images differ in a part only, so that peaks can be followed from one to the other."""
    box = differing_box(context.probe.inputs[0], context.probe.inputs[1])
    if box is None:
        return False
    (top, bottom), (left, right), _ = box
    height, width = context.probe.images.shape[1:3]
    return (bottom - top + 1) * (right - left + 1) <= ALIKE * height * width


def _told(context: PageContext) -> list[tuple[Layer, int]]:
    layers = sorted(compared_layers(context), key=lambda layer: -_shown_share(context, layer))
    per_layer = CHANNELS if context.options.channels else 3
    return [(layer, channel) for layer in layers for channel in compared_channels(context, layer)[:per_layer]]


def _most(context: PageContext) -> tuple[Layer | None, int, float]:
    best: tuple[Layer | None, int, float] = (None, 0, 0.0)
    for layer in context.map_layers:
        change = context.changes[layer.path][0]
        channel = int(change.order[0])
        if change.share[channel] > best[2]:
            best = (layer, channel, float(change.share[channel]))
    return best


def _answer(context: PageContext, layer: Layer, channel: int, other: int) -> Answer:
    maps = context.maps(layer)
    return Answer(layer, channel, other, peak_changes(maps[0][..., channel], maps[other][..., channel]))


def _largest(answer: Answer) -> PeakChange:
    return max(answer.peaks, key=lambda peak: abs(peak.relative))


def _falls(answer: Answer) -> bool:
    return _largest(answer).relative < 0


def _within(share: float) -> str:
    """A bound that a reader sees at once: 1 %, 2 %, ... 5 %, or the number itself."""
    for bound in (0.01, 0.02, 0.05):
        if share <= bound:
            return f"{bound * 100:.0f}{NBSP}%"
    return percent(share)


def sentence(context: PageContext, answer: Answer) -> str:
    """What happened at each of the channel's peaks; "" for a channel without any."""
    if not answer.peaks:
        return ""
    first, second = context.names[0], context.names[answer.other]
    start = f"Channel {answer.channel} of {answer.layer.path}"
    stay = [peak for peak in answer.peaks if abs(peak.relative) <= HARDLY]
    if len(stay) == len(answer.peaks):
        which = "its only peak stays" if len(stay) == 1 else f"all of its {len(stay)} peaks stay"
        return f"{start}: {which} within {_within(HARDLY)} from {first} to {second}."
    sides = dict(zip(answer.peaks, _sides(answer.peaks), strict=True))
    told = []
    for peak in answer.peaks:
        numbers = f"{short_number(peak.before, 4)} to {short_number(peak.after, 4)}"
        at = f"{sides[peak]}at {place_words(peak.position)},"
        if peak not in stay:
            verb = "falls" if peak.relative < 0 else "rises"
            told.append(f"{at} {verb} by {percent(abs(peak.relative))} ({numbers})")
        elif sides[peak] or len(stay) == 1:
            told.append(f"{at} stays within {_within(HARDLY)} ({numbers})")
    rest = len(answer.peaks) - len(told)
    if rest:
        told.append(f"{'another stays' if rest == 1 else f'{rest} others stay'} within {_within(HARDLY)}")
    peaks = "its only peak" if len(answer.peaks) == 1 else f"of its {len(answer.peaks)} peaks, the one"
    return f"{start}, from {first} to {second}: {peaks} {'; '.join(told)}.{_where(context, answer)}"


def _sides(peaks: Sequence[PeakChange]) -> list[str]:
    """Words for the two highest peaks where they stand side by side, "" for the others."""
    sides = [""] * len(peaks)
    if len(peaks) >= 2:
        (y0, x0), (y1, x1) = peaks[0].position, peaks[1].position
        if abs(y0 - y1) <= peaks[0].reach and abs(x0 - x1) > peaks[0].reach:
            sides[:2] = ["on the left, ", "on the right, "] if x0 < x1 else ["on the right, ", "on the left, "]
    return sides


def _located(context: PageContext, answer: Answer) -> bool:
    """Whether the peaks that moved look at the part of the images that differs, and the others do not.

    A peak looks where the middle of its receptive field is.
    """
    field = answer.layer.field
    box = differing_box(context.probe.inputs[0], context.probe.inputs[answer.other])
    if field is None or box is None or not answer.local:
        return False
    (top, bottom), (left, right), _ = box
    for peak in answer.peaks:
        row, column = field.centre(*peak.position)
        if (top <= row <= bottom and left <= column <= right) != (peak in answer.moved):
            return False
    return True


def _where(context: PageContext, answer: Answer) -> str:
    if not _located(context, answer):
        return ""
    row, column = answer.layer.field.centre(*answer.moved[0].position)  # type: ignore[union-attr]
    return (
        f" What changed looks at the part of the image that differs (the middle of its receptive field is row {row:g}, "
        f"column {column:g}), what stayed looks elsewhere: the channel responds to what is there."
    )
