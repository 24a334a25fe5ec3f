"""Feature maps of the probe images: every channel of every convolution and pooling layer."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.channels import Peak, strongest
from reportgen.core.network import Layer
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, FigureRow, Fold, Numbers, Section, Text
from reportgen.figures.export import picture_export
from reportgen.figures.mosaic import mosaic
from reportgen.figures.palettes import DIVERGING, GREY, colorbar, symmetric
from reportgen.sections.context import Context, image_mosaic
from reportgen.sections.limits import coarse
from reportgen.sections.words import plural


def build(context: Context) -> Section | None:
    """A grid per layer and probe image, with the strongest channel beside the input; None without maps."""
    final = context.final
    shown = [layer for layer in context.layers if layer in (*context.convolutions, *context.pooling)]
    if final is None or not shown:
        return None
    images = len(context.channel_stats[shown[0].path].maximum)
    blocks: list[Block] = []
    for index in range(min(images, context.limits.images or images)):
        rows = tuple(_row(context, layer, index) for layer in shown)
        title = _image_name(context, index)
        blocks.extend([Text(f"{title}."), *rows] if index == 0 else [Fold(title, rows)])
    blocks.append(
        Text(
            "Each grid is one layer's output for one image, a tile per channel, numbered from 0. One range for the "
            "whole layer, printed at the grid: channels can be compared within a grid, not between grids. Values that "
            "may be negative: white 0, red negative, blue positive. Values that are never negative: black 0. The "
            "outlined channel has the layer's largest single value; it is enlarged beside the input.",
            "method",
        )
    )
    numbers = Numbers(
        "channels.csv", ("image", "layer", "channel", "max", "y", "x", "mean", "min"), lambda: _rows(context)
    )
    return Section("maps", "Feature maps", _finding(context, shown), tuple(blocks), (numbers,))


def _finding(context: Context, shown: list[Layer]) -> str:
    layer = shown[0]
    peaks = [peak for peak in strongest(context.channel_stats[layer.path]) if peak is not None]
    text = f"{plural(sum(layer.channels for layer in shown), 'channel')} in {plural(len(shown), 'layer')}"
    if not peaks:
        return f"{text}; no value of {layer.path} is finite."
    channels = [peak.channel for peak in peaks]
    common = max(sorted(set(channels)), key=channels.count)
    return (
        f"{text}; in {layer.path}, channel {common} has the largest single value for "
        f"{channels.count(common)} of {plural(len(peaks), 'probe image')}."
    )


def _image_name(context: Context, index: int) -> str:
    labels = context.run.batch("probe").labels
    return f"Image {index}" + (f", label {context.run.classes[int(labels[index])]}" if len(labels) else "")


def _row(context: Context, layer: Layer, index: int) -> FigureRow:
    final = context.final
    assert final is not None
    stats = context.channel_stats[layer.path]
    maps = np.moveaxis(final.maps[layer.path][index], -1, 0)
    low, high, palette = _range(maps)
    peak = strongest(stats)[index]
    kept = _kept(stats.maximum[index], context.limits.channels)
    picture = mosaic(
        coarse(maps[kept], low, high, context.limits.levels),
        low,
        high,
        palette,
        labels=kept,
        values=[
            f"max {short_number(stats.maximum[index, c])}, mean {short_number(stats.mean[index, c])}" for c in kept
        ],
        outlined=[] if peak is None else [kept.index(peak.channel)],
        stand="half",
    )
    bar = colorbar(palette, low, high)
    broken = int(stats.non_finite[index].sum())
    name = f"maps-{index}-{context.slug(layer.path)}"
    count = plural(len(maps), "channel")
    fewer = "" if len(kept) == len(maps) else f" Shown are the {len(kept)} with the largest values."
    grid = Figure(
        name,
        picture,
        f"{layer.path}, {count} of image {index}: {_peak_words(peak)}.",
        f"{layer.path}: {count} of {layer.shape[0]}×{layer.shape[1]}; {bar.low} to {bar.high}, "
        f"layer-wide.{_broken(broken)}{fewer}",
        bar,
        picture_export(picture, bar),
        wide=True,
    )
    beside = _beside(context, layer, index, peak, maps, (low, high, palette), name)
    return FigureRow((grid, *beside), layer.path)


def _kept(maxima: np.ndarray, limit: int | None) -> list[int]:
    """The channels to show, in order: all, or the `limit` with the largest values."""
    if limit is None or len(maxima) <= limit:
        return list(range(len(maxima)))
    ranked = np.where(np.isfinite(maxima), maxima, -np.inf)
    return sorted(np.argsort(-ranked, kind="stable")[:limit].tolist())


def _beside(
    context: Context, layer: Layer, index: int, peak: Peak | None, maps: np.ndarray, scale: tuple, name: str
) -> tuple[Figure, ...]:
    """The input and the strongest channel, enlarged to one size."""
    images = context.run.batch("probe").images
    if peak is None or index >= len(images):
        return ()
    given = image_mosaic(images, [index], context.probe_shades, labels=[""], stand="quarter")
    if given is None:
        return ()
    channel = mosaic(maps[peak.channel : peak.channel + 1], *scale, labels=[""], stand="quarter")
    return (
        Figure(f"{name}-input", given, f"Input image {index}.", "Input.", export=picture_export(given)),
        Figure(
            f"{name}-strongest",
            channel,
            f"{layer.path}: {_peak_words(peak)}.",
            f"{_peak_words(peak).capitalize()}.",
            export=picture_export(channel),
        ),
    )


def _broken(count: int) -> str:
    return f" {plural(count, 'value')} not finite (violet)." if count else ""


def _peak_words(peak: Peak | None) -> str:
    if peak is None:
        return "no finite value"
    place = ", ".join(map(str, peak.position))
    return f"channel {peak.channel} has the largest value, {short_number(peak.maximum)} at ({place})"


def _range(maps: np.ndarray) -> tuple:
    """(low, high, palette): symmetric around 0 for signed values, from 0 for values that are never negative."""
    finite = maps[np.isfinite(maps)]
    if finite.size and finite.min() < 0:
        return (*symmetric(maps), DIVERGING)
    return 0.0, float(finite.max()) if finite.size else 0.0, GREY


def _rows(context: Context) -> Iterator[tuple[Any, ...]]:
    """Every channel of every layer with feature maps, for each probe image."""
    for layer in context.layers:
        if not layer.has_maps:
            continue
        stats = context.channel_stats[layer.path]
        for image in range(len(stats.maximum)):
            for channel in range(layer.channels):
                y, x = stats.position[image, channel]
                values = (
                    stats.maximum[image, channel],
                    stats.mean[image, channel],
                    stats.minimum[image, channel],
                )
                top, mean, least = (float(v) if np.isfinite(v) else None for v in values)
                place = (None, None) if top is None else (int(y), int(x))
                yield image, layer.path, channel, top, *place, mean, least
