"""What changed from the first image to the others: which channels, by how much, and where.

A channel that answers to one thing in the picture changes at the peak that sees it and stays as it was at
its other peaks: that is looked for, and said with its numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.analysis.changes import PeakChange, differing_box, peak_changes
from reportgen.core.network import Layer, Role
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, Fold, Numbers, Section, Table, Text
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import colorbar, outside
from reportgen.sections.inspection.enlarged import range_of
from reportgen.sections.inspection.maps import place_words
from reportgen.sections.inspection.scale import value_words
from reportgen.sections.inspection.view import View
from reportgen.sections.words import NBSP, listed, percent, plural

MOVED, STAYED, HARDLY = 0.25, 0.05, 0.01
"""A channel answers to one place where a peak there changes by at least MOVED and all others by at most STAYED.
What changes by at most HARDLY is said to stay."""

ALIKE = 0.25
"""Images of which at most this share differs (the box around it) are the same picture, changed."""

ROWS = 20
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


def build(view: View) -> Section | None:
    """Sentences, grids of images by channels, and tables, largest change first; None for a single image."""
    if len(view.images) < 2 or not view.map_layers:
        return None
    blocks: list[Block] = [Text(text) for answer in _answers(view) if (text := sentence(view, answer))]
    layers = _compared(view)
    if len(layers) < len(_afters(view)):
        blocks.append(
            Text(
                f"Of {len(_afters(view))} layers, the {len(layers)} with the largest changes are drawn; the tables "
                "have all."
            )
        )
    blocks += [_grid(view, layer) for layer in layers]
    tables = [_table(view, other) for other in range(1, len(view.images))]
    blocks.append(tables[0])
    if tables[1:]:
        blocks.append(Fold(f"{plural(len(tables) - 1, 'further image')} compared with the first", tuple(tables[1:])))
    blocks.append(
        Text(
            "Change is the second image minus the first. The largest change is the one furthest from 0 at any "
            "position; "
            "its share is of the layer's largest magnitude in both images, so that layers can be compared. A peak is a "
            "local maximum of at least half of the channel's largest value in the first image; it is compared with the "
            "largest value of the second image within the same neighbourhood (a thirteenth of the map's side to each "
            "side, at least 1). A percentage is of the first image's value.",
            "method",
        )
    )
    columns = (
        *("image", "compared_with", "layer", "channel", "max_before", "max_after", "mean_before", "mean_after"),
        *("largest_change", "y", "x", "value_before", "value_after", "share"),
    )
    numbers = Numbers("changes.csv", columns, lambda: _rows(view))
    return Section("changes", "What changed between the images", finding(view), tuple(blocks), (numbers,))


def finding(view: View) -> str:
    """Where the images differ, and what answered to that: also the page's headline."""
    first, second = view.images[:2]
    located = [answer for answer in _answers(view) if _located(view, answer)]
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
    most, channel, share = _most(view)
    if most is None or not share:
        return f"No chosen layer answers differently to {second} than to {first}."
    change = view.changes[most.path][0]
    return (
        f"From {first} to {second}, channel {channel} of {most.path} changes most: from "
        f"{short_number(change.before[channel], 4)} to {short_number(change.after[channel], 4)} at "
        f"{place_words(change.position[channel])}, {percent(share)} of the layer's largest magnitude."
    )


def _afters(view: View) -> list[Layer]:
    """Layers after their activation function; a concatenation only repeats what others gave."""
    layers = [after for _, after in view.pairs]
    return [layer for layer in layers if layer.role is not Role.JOIN] or layers


def _share(view: View, layer: Layer) -> np.ndarray:
    """[channel]: the largest share of change over all further images."""
    shares = np.stack([change.share for change in view.changes[layer.path]])
    return np.nan_to_num(shares, nan=-1.0).max(axis=0)


def max_share(view: View, layer: Layer, channel: int) -> float:
    """The channel's largest change over all further images, as a share of the layer's largest magnitude."""
    return float(_share(view, layer)[channel])


def _compared(view: View) -> list[Layer]:
    """The layers to draw, in call order: those with the largest changes."""
    layers = [layer for layer in _afters(view) if _channels(view, layer)]
    kept = sorted(layers, key=lambda layer: -_shown_share(view, layer))[:LAYERS]
    return [layer for layer in layers if layer in kept]


def _channels(view: View, layer: Layer) -> list[int]:
    """The chosen channels that the layer has; else those that changed most."""
    if view.found.channels:
        return [channel for channel in view.found.channels if channel < layer.channels][: 2 * CHANNELS]
    return [int(channel) for channel in np.argsort(-_share(view, layer), kind="stable")[:CHANNELS]]


def _shown_share(view: View, layer: Layer) -> float:
    """The largest change among the channels that are shown of the layer."""
    return float(_share(view, layer)[_channels(view, layer)].max())


def _answers(view: View) -> list[Answer]:
    """The channels to write a sentence about: the most telling layer first; where no channel was chosen,
    only those that moved, and of them first those that answer to one place."""
    answers = [_answer(view, layer, channel, 1) for layer, channel in _told(view)]
    if not _alike(view):
        return []
    if view.found.channels:
        return answers[:SENTENCES]
    moved = [answer for answer in answers if answer.moved]
    return sorted(moved, key=lambda answer: not _located(view, answer))[:UNASKED]


def _alike(view: View) -> bool:
    """Whether the first two images differ in a part only, so that peaks can be followed from one to the other."""
    box = differing_box(view.found.inputs[0], view.found.inputs[1])
    if box is None:
        return False
    (top, bottom), (left, right), _ = box
    height, width = view.found.inputs.shape[1:3]
    return (bottom - top + 1) * (right - left + 1) <= ALIKE * height * width


def _told(view: View) -> list[tuple[Layer, int]]:
    layers = sorted(_compared(view), key=lambda layer: -_shown_share(view, layer))
    per_layer = CHANNELS if view.found.channels else 3
    return [(layer, channel) for layer in layers for channel in _channels(view, layer)[:per_layer]]


def _most(view: View) -> tuple[Layer | None, int, float]:
    best: tuple[Layer | None, int, float] = (None, 0, 0.0)
    for layer in view.map_layers:
        change = view.changes[layer.path][0]
        channel = int(change.order[0])
        if change.share[channel] > best[2]:
            best = (layer, channel, float(change.share[channel]))
    return best


def _answer(view: View, layer: Layer, channel: int, other: int) -> Answer:
    maps = view.found.maps[layer.path]
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


def sentence(view: View, answer: Answer) -> str:
    """What happened at each of the channel's peaks; "" for a channel without any."""
    if not answer.peaks:
        return ""
    first, second = view.images[0], view.images[answer.other]
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
    return f"{start}, from {first} to {second}: {peaks} {'; '.join(told)}.{_where(view, answer)}"


def _sides(peaks: Sequence[PeakChange]) -> list[str]:
    """Words for the two highest peaks where they stand side by side, "" for the others."""
    sides = [""] * len(peaks)
    if len(peaks) >= 2:
        (y0, x0), (y1, x1) = peaks[0].position, peaks[1].position
        if abs(y0 - y1) <= peaks[0].reach and abs(x0 - x1) > peaks[0].reach:
            sides[:2] = ["on the left, ", "on the right, "] if x0 < x1 else ["on the right, ", "on the left, "]
    return sides


def _located(view: View, answer: Answer) -> bool:
    """Whether the peaks that moved look at the part of the images that differs, and the others do not.

    A peak looks where the middle of its receptive field is.
    """
    field = answer.layer.field
    box = differing_box(view.found.inputs[0], view.found.inputs[answer.other])
    if field is None or box is None or not answer.local:
        return False
    (top, bottom), (left, right), _ = box
    for peak in answer.peaks:
        row, column = field.centre(*peak.position)
        if (top <= row <= bottom and left <= column <= right) != (peak in answer.moved):
            return False
    return True


def _where(view: View, answer: Answer) -> str:
    if not _located(view, answer):
        return ""
    row, column = answer.layer.field.centre(*answer.moved[0].position)  # type: ignore[union-attr]
    return (
        f" What changed looks at the part of the image that differs (the middle of its receptive field is row {row:g}, "
        f"column {column:g}), what stayed looks elsewhere: the channel answers to what is there."
    )


def _grid(view: View, layer: Layer) -> Figure:
    """Images down, channels across, under one normalisation."""
    channels, maps, stats = _channels(view, layer), view.found.maps[layer.path], view.stats[layer.path]
    low, high, palette = range_of(view, layer, channels)
    bar = colorbar(palette, low, high)
    down = len(view.images) <= len(channels)  # images down, channels across, or the other way round
    places = [(i, c) for i in range(len(view.images)) for c in channels]
    if not down:
        places = [(i, c) for c in channels for i in range(len(view.images))]
    tiles = np.stack([maps[image, ..., channel] for image, channel in places])
    names = view.images if len(view.images) <= 3 else [f"#{i}" for i in range(len(view.images))]
    labels = [f"{channel} · {names[image]}" for image, channel in places]
    values = [value_words(stats.maximum[at], stats.mean[at], stats.minimum[at]) for at in places]
    counts = outside(tiles, low, high)
    clipped = f" {counts.clipped:,} of {counts.total:,} values are outside and clipped." if counts.clipped else ""
    words = f"{bar.low} to {bar.high}, one range for all.{clipped}"
    picture = mosaic(
        tiles,
        low,
        high,
        palette,
        labels=labels,
        columns=len(channels) if down else len(view.images),
        values=values,
    )
    numbers = listed([str(channel) for channel in channels])
    listing = ", ".join(view.images if len(view.images) <= 3 else [f"#{i} {n}" for i, n in enumerate(view.images)])
    which = "chosen" if view.found.channels else "most changed"
    return Figure(
        f"changes-{view.slug(layer.path)}",
        picture,
        f"{layer.path}, channels {numbers} for {plural(len(view.images), 'image')}.",
        f"{layer.path}: a {'row' if down else 'column'} per image ({listing}), a {'column' if down else 'row'} per "
        f"{which} "
        f"channel ({numbers}). {words}",
        bar,
        picture_export(picture, bar),
        wide=True,
    )


def _table(view: View, other: int) -> Table:
    entries = [
        (float(change.share[channel]), layer, channel)
        for layer in view.layers
        for change in [view.changes[layer.path][other - 1]]
        for channel in map(int, change.order[:ROWS])
        if np.isfinite(change.share[channel])
    ]
    entries.sort(key=lambda entry: -entry[0])
    rows = []
    for share, layer, channel in entries[:ROWS]:
        stats, change = view.stats[layer.path], view.changes[layer.path][other - 1]
        top, mean = stats.maximum[:, channel], stats.mean[:, channel]
        rows.append(
            (
                layer.path,
                channel,
                *(_known(top[0]), _known(top[other]), _known(mean[0]), _known(mean[other])),
                _known(change.largest[channel]),
                place_words(change.position[channel]) if len(change.position[channel]) else "",
                percent(share),
            )
        )
    first, second = view.images[0], view.images[other]
    return Table(
        "changes-table" if other == 1 else f"changes-table-{other}",
        f"The {len(rows)} largest changes from {first} to {second}, of all channels of the chosen layers, largest "
        "first. "
        "Share: of the layer's largest magnitude.",
        (
            "Layer",
            "Channel",
            f"Max, {first}",
            f"Max, {second}",
            f"Mean, {first}",
            f"Mean, {second}",
            "Change",
            "At",
            "Share",
        ),
        tuple(rows),
        "lrrrrrrlr",
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rows(view: View) -> Iterator[tuple[Any, ...]]:
    for other in range(1, len(view.images)):
        for layer in view.layers:
            stats, change = view.stats[layer.path], view.changes[layer.path][other - 1]
            for channel in map(int, change.order):
                y, x = [*(int(p) if p >= 0 else None for p in change.position[channel]), None, None][:2]
                yield (
                    *(view.images[other], view.images[0], layer.path, channel),
                    *(_known(stats.maximum[image, channel]) for image in (0, other)),
                    *(_known(stats.mean[image, channel]) for image in (0, other)),
                    *(_known(change.largest[channel]), y, x),
                    *(_known(v[channel]) for v in (change.before, change.after, change.share)),
                )
