"""From feature maps to tiles and their range: the normalisation, stated on every figure.

    how = Normalize("images")
    shown = scaled(maps[0], maps, 0, how)            # tiles of the first image, one range for all images
    mosaic(shown.tiles, shown.low, shown.high, shown.palette, ...)
    f"... {shown.words}"                             # "0 to 3.41, one range for the layer over all images ..."

layer     one range per layer and image
channel   a range for every channel
images    one range per layer, over all images: two images can be compared
range     A is black and B is white, whatever the values are; those outside are clipped and counted

Values of both signs take a diverging palette with 0 in its middle; others run from black at 0 to white at the
largest. A fixed range is always black to white: 0,1 is Neural Network Console's luminance rule, -1,1 its recipe
of MulScalar and AddScalar for signed values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.core.report import ColorBar
from reportgen.errors import OptionError, choices
from reportgen.figures.palettes import DIVERGING, GREY, Palette, colorbar, outside, symmetric
from reportgen.sections.words import plural

KINDS = ("layer", "channel", "images", "range")


@dataclass(frozen=True)
class Normalize:
    """How values become colours: one of KINDS, with the two numbers of a fixed range."""

    kind: Literal["layer", "channel", "images", "range"] = "layer"
    low: float = 0.0
    high: float = 1.0


def normalization(kind: str | None, fixed: Sequence[float] | None) -> Normalize:
    """What a user asked for. Raises OptionError for an unknown kind, and for a range that is missing,
    given beside another kind, not finite or not upwards."""
    if kind is not None and kind not in KINDS:
        raise OptionError(f"no normalisation {kind!r}; {choices(kind, KINDS)}", code="O102")
    if fixed is None:
        if kind == "range":
            raise OptionError(
                "the normalisation range needs its two numbers: --range A,B (A is black, B is white)", code="O103"
            )
        return Normalize(kind or "layer")  # type: ignore[arg-type]
    if kind not in (None, "range"):
        raise OptionError(
            f"a fixed range and the normalisation {kind} exclude each other; give one of them", code="O103"
        )
    try:
        low, high = map(float, fixed)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"normalize must be layer, channel, images, or a pair of numbers, not {fixed!r}", code="O101"
        ) from error
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise OptionError(
            f"a range runs from a smaller to a larger finite number, not from {low:g} to {high:g}", code="O106"
        )
    return Normalize("range", low, high)


@dataclass(frozen=True)
class Scaled:
    """Tiles with the range to draw them in; `bar` is the scale for the page, `words` state it in a caption.

    `clipped` counts the finite values beyond a fixed range, `not_finite` NaN and infinities.
    """

    tiles: np.ndarray
    low: float
    high: float
    palette: Palette
    bar: ColorBar
    words: str
    clipped: int = 0
    not_finite: int = 0


def scaled(
    maps: np.ndarray, image: int, how: Normalize, channels: Sequence[int] | None = None, images: str = "image"
) -> Scaled:
    """Channels of `maps` [image, height, width, channel] for one image as tiles [channel, height, width].

    The range is the layer's, of all its channels, also where only some `channels` are shown.
    """
    chosen = list(range(maps.shape[-1])) if channels is None else list(channels)
    tiles = np.moveaxis(maps[image][..., chosen], -1, 0)
    broken = int((~np.isfinite(tiles)).sum())
    tail = f" {plural(broken, 'value')} of {tiles.size:,} not finite (violet)." if broken else ""
    if how.kind == "channel":
        return _each(tiles, broken, tail)
    if how.kind == "range":
        counts = outside(tiles, how.low, how.high)
        bar = colorbar(GREY, how.low, how.high)
        words = (
            f"Fixed range {bar.low} (black) to {bar.high} (white): {counts.below:,} values below and {counts.above:,} "
            f"above it are clipped, of {counts.total:,}.{tail}"
        )
        return Scaled(tiles, how.low, how.high, GREY, bar, words, counts.clipped, broken)
    low, high, palette = layer_range(maps if how.kind == "images" else maps[image])
    bar = colorbar(palette, low, high)
    together = how.kind == "images" and len(maps) > 1
    over = f"over all {len(maps)} {images}s" if together else f"for this {images}"
    words = f"{bar.low} to {bar.high}, one range for the whole layer {over}.{tail}"
    words = words if low < high else f"Every value is {bar.low}.{tail}"
    return Scaled(tiles, low, high, palette, bar, words, 0, broken)


def layer_range(values: np.ndarray) -> tuple[float, float, Palette]:
    """(low, high, palette) for values of any shape: symmetric around 0 where one is negative, else from 0."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() < 0:
        return (*symmetric(finite), DIVERGING)
    return 0.0, float(finite.max()) if finite.size else 0.0, GREY


def _each(tiles: np.ndarray, broken: int, tail: str) -> Scaled:
    """Every tile divided by its own largest magnitude, to -1..1 or 0..1."""
    numbers = tiles.astype(np.float64)
    size = np.max(np.abs(numbers), axis=(1, 2), where=np.isfinite(tiles), initial=0.0)
    numbers /= np.where(size > 0, size, 1.0)[:, None, None]
    signed = bool(numbers.size and np.nanmin(np.where(np.isfinite(numbers), numbers, 0.0)) < 0)
    low, palette = (-1.0, DIVERGING) if signed else (0.0, GREY)
    ends = ("− its largest", "+ its largest", "0") if signed else ("0", "its largest", None)
    which = "from minus to plus its own largest magnitude" if signed else "from 0 to its own largest value"
    words = (
        f"Each channel {which} (printed at each channel's number): brightness can't be compared between channels.{tail}"
    )
    return Scaled(numbers, low, 1.0, palette, ColorBar(colorbar(palette, low, 1.0).colors, *ends), words, 0, broken)


def value_words(maximum: float, mean: float, minimum: float) -> str:
    """What a tile says when it is pointed at."""
    return f"max {short_number(maximum)}, mean {short_number(mean)}, min {short_number(minimum)}"
