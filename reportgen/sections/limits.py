"""How much of a run a page shows, and the ladder by which it comes down to a size.

    for limits in LADDER:                          # from everything to the least
        section = maps.build(context.limited(limits))

The pictures of single examples go first, then probe images; then layers are drawn that stand for the others, then
channels by rank; then quantisation becomes coarser.
Numbers files and figures of the other sections are never touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from reportgen.figures.kernels import HEATMAP

SMALL = (400, 200)
"""Width and height of kernels' pictures, in pixels, of which two stand side by side."""


@dataclass(frozen=True)
class Limits:
    """One rung. None is no limit.

    `numbers` is whether the page carries numbers as CSV. `images` are the probe images with feature maps, `layers` the
    layers that have figures, `channels` those of one layer in a grid or a row of charts, `levels` the colours of grids
    and heatmaps, `packed` the bytes of parameters for the snapshot explorer, `pictures` the misclassified and the
    sample pictures each, `moving` whether the embedding is animated, `thumbnails` the bytes of the pictures of each
    kind of examples that the page tells of one by one: 0 leaves their pictures out, None the examples too.
    `heatmap` is the width and height of a kernel's picture, in pixels; heatmaps of activations keep to
    its width where it is small.
    """

    numbers: bool = True
    images: int | None = None
    layers: int | None = None
    channels: int | None = None
    levels: int | None = None
    packed: int = 85_000
    pictures: int | None = None
    moving: bool = True
    thumbnails: int | None = 110_000
    heatmap: tuple[int, int] = HEATMAP


# Odd numbers of levels: 0 stays in the middle of a symmetric range, and so white.
LADDER = (
    Limits(),
    Limits(numbers=False),
    Limits(numbers=False, thumbnails=0),
    Limits(numbers=False, thumbnails=0, images=5),
    Limits(numbers=False, thumbnails=0, images=2),
    Limits(numbers=False, thumbnails=0, images=1),
    Limits(numbers=False, thumbnails=0, images=1, layers=48),
    Limits(numbers=False, thumbnails=0, images=1, layers=24, channels=64, heatmap=SMALL),
    Limits(numbers=False, thumbnails=0, images=1, layers=24, channels=32, heatmap=SMALL),
    Limits(numbers=False, thumbnails=0, images=1, layers=24, channels=16, heatmap=SMALL),
    Limits(numbers=False, thumbnails=0, images=1, layers=24, channels=16, levels=33, packed=60_000, heatmap=SMALL),
    Limits(numbers=False, thumbnails=None, images=1, layers=16, channels=8, levels=9, packed=0, heatmap=SMALL),
    Limits(
        numbers=False, thumbnails=None, images=1, layers=16, channels=6, levels=9, packed=0, pictures=20, heatmap=SMALL
    ),
    Limits(
        numbers=False,
        thumbnails=None,
        images=1,
        layers=16,
        channels=4,
        levels=9,
        packed=0,
        pictures=0,
        moving=False,
        heatmap=SMALL,
    ),
)


def left_out(
    limits: Limits,
    probe: int,
    channels: int,
    examples: bool = True,
    layers: int = 0,
    noun: str = "image",
    pictures: bool = True,
) -> list[str]:
    """What the rung leaves out of a run with so many probe inputs, channels in its widest layer of feature maps, and
    layers, in words.

    `examples` says whether the page tells of single examples, `pictures` whether it shows these as pictures; `noun` is
    what one input is called.
    """
    said = [] if limits.numbers else ["the numbers as CSV, which --numbers writes"]
    if not examples:
        pass
    elif limits.thumbnails is None:
        said.append("the examples that a reader can look up one by one, also in the embedding")
    elif pictures and limits.thumbnails < (Limits.thumbnails or 0):
        said.append("the pictures of the examples that a reader can look up one by one")
    if limits.images is not None and limits.images < probe:
        what = "feature maps of" if noun == "image" else "activations for"
        said.append(f"{what} {probe - limits.images} of {probe} probe {noun}s")
    if limits.layers is not None and limits.layers < layers:
        said.append(
            f"figures of all but {limits.layers} of {layers} layers (kept: the first and the last, then those whose "
            "parameters changed most and those with the most dead channels)"
        )
    if limits.channels is not None and limits.channels < channels:
        said.append(
            f"all but {limits.channels} channels of each layer (kept: the largest values in feature maps, the largest "
            "change in kernels, the clearest preference among labels)"
        )
    if limits.heatmap < HEATMAP:
        said.append(f"kernels in more than {limits.heatmap[0]}×{limits.heatmap[1]} pixels")
    if limits.channels is not None and channels:
        all_but = "" if limits.levels is not None else ", but for the strongest one of each layer"
        said.append(f"channels enlarged and laid over the image{all_but}")
    if limits.levels is not None:
        said.append(f"all but {limits.levels} colours in grids and heatmaps")
    if limits.packed < Limits().packed:
        said.append("most snapshots of the explorer" if limits.packed else "the snapshot explorer")
    if pictures and limits.pictures is not None:
        some = f"all but {limits.pictures} of" if limits.pictures else "all"
        said.append(f"{some} the misclassified and the sample pictures")
    if not limits.moving:
        said.append("the animation")
    return said


def in_turns(paths: Sequence[str], *measures: Mapping[str, float]) -> tuple[str, ...]:
    """The last path and the first, then in turns those with the largest value above 0 of each measure, then the rest.

    >>> in_turns(["a", "b", "c", "d", "e"], {"b": 1.0, "d": 2.0}, {"c": 0.5, "d": 0.1})
    ('e', 'a', 'd', 'c', 'b')
    """
    ranked = [sorted((path for path in by if by[path] > 0), key=lambda path: -by[path]) for by in measures]
    turns = [path for paths_of_turn in zip_longest(*ranked) for path in paths_of_turn if path in paths]
    return tuple(dict.fromkeys([*paths[-1:], *paths[:1], *turns, *paths]))


def coarse(values: np.ndarray, low: float, high: float, levels: int | None) -> np.ndarray:
    """The values rounded to `levels` equal steps from `low` to `high`; as they are where `levels` is None."""
    if levels is None or not high > low:
        return values
    step = (high - low) / (levels - 1)
    return low + np.rint((values - low) / step) * step
