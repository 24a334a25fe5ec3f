"""Blocks of a report that a script of the page makes, from numbers that they carry: they are absent without it."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from reportgen.core.arrays import Packable

if TYPE_CHECKING:
    from reportgen.core.report import Raster


@dataclass(frozen=True)
class ExplorerKernel:
    """One kernel of an `Explorer`: float32 values, or where it has a `scale`, int16 levels of which one is `scale`.

    `known` are exact numbers of the change between the two steps shown first: "increased", "decreased", "away",
    "towards", "meanAbs" and "correlation"; empty where the values are exact.
    """

    name: str
    shape: tuple[int, ...]
    scale: float | None = None
    known: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Explorer:
    """Kernels at several steps, any two of which the page compares; its section is absent without a script.

    `data` is the result of `pack`; level -32768 is a non-finite value. `steps` are the snapshots'
    steps, `chosen` the two shown first. `colors` are the levels of a diverging palette from low to high, white in the
    middle, and `not_finite_color` marks non-finite differences; all are "#rrggbb".
    """

    name: str
    caption: str
    steps: tuple[int, ...]
    chosen: tuple[int, int]
    kernels: tuple[ExplorerKernel, ...]
    data: bytes
    colors: tuple[str, ...]
    not_finite_color: str


LEVELS = 4095
"""Twelve bits of an example's place, which is finer than a pixel of any screen."""


@dataclass(frozen=True)
class ExampleGroup:
    """Examples of an `Examples` block that belong together.

    `name` is what one is called ("evaluation image"), `anchor` begins its link ("example-"), which its number ends.
    `pictures` holds the first of them as cells of `cell` pixels in `columns`, each showing its upper left `tile`
    pixels; `texts` are what they are where they are no pictures, () for none.
    """

    name: str
    anchor: str
    numbers: tuple[int, ...]
    pictures: "Raster | None" = None
    columns: int = 1
    cell: tuple[int, int] = (1, 1)
    tile: tuple[int, int] = (1, 1)
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examples:
    """Examples that a script shows one by one, in a panel that is absent without it.

    `data` is the result of `pack` of columns [row, example]; `columns` has the name of each, its rows
    and the bytes of a value. They are "x" and "y" (frame by frame; 0 to LEVELS, -1 for no place), "truth", "marks" (the
    class that colours an example of several, -1 none), "predicted" (frame by frame; classes, -1 none, -2 unknown),
    "sure" (likewise; percent, -1 unknown), "ranked" and "shares" (the most probable classes; per mille) and "near"
    (places of neighbours among the examples, -1 none), all int16; "score" (frame by frame) and, with `values`, "truth"
    and "predicted" are float32.

    `frames` are the names of the frames, `epochs` their places on the curves' axis, `measure` what "score" is, `layer`
    the one in which neighbours are near. `maps` has, by an example's place, the layers whose maps the page shows, each
    with the figure that does.
    """

    name: str
    groups: tuple[ExampleGroup, ...]
    classes: tuple[str, ...]
    frames: tuple[str, ...]
    epochs: tuple[int, ...]
    columns: tuple[tuple[str, int, int], ...]
    data: bytes
    values: bool = False
    measure: str = ""
    layer: str = ""
    maps: Mapping[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)


SHADES = 12
"""Steps of a shade behind a token or over a patch, from none to the strongest."""


@dataclass(frozen=True)
class Shades:
    """What a script can show behind the tokens of a text, over the patches of a picture or on the rows of a graph, in
    place of what the drawing shows there; their places are its `Hook` "tokens".

    `groups` have a title, a name for each thing to choose, and whether its shades depend on the token that reads.
    `data` is the result of `pack` of int16 for each group: [name, token], or [name and reading token,
    token] where they depend on it; from -SHADES, the most negative, to SHADES. `chosen` is the token that reads first,
    `strongest` the opacity of SHADES, `words` what it stands for.
    """

    count: int
    chosen: int
    groups: tuple[tuple[str, tuple[str, ...], bool], ...]
    data: bytes = field(repr=False)
    strongest: float = 0.6
    words: str = "The strongest shade is the largest magnitude of a row: blue positive, red negative."


def pack(parameters: Sequence[Packable]) -> bytes:
    """zlib bytes of int16 or float32 values [step, ...]: parameter after parameter, step after step.

    Bit patterns are little-endian; those of the steps after the first are differences from the step before, mod 2 ** 16
    or 2 ** 32. Of each step come all lowest bytes, then all next ones: neighbouring steps differ little, so that the
    upper ones compress well.
    """
    parts = []
    for values in parameters:
        words = values.reshape(len(values), -1).view({2: np.uint16, 4: np.uint32}[values.dtype.itemsize])
        changes = np.concatenate([words[:1], words[1:] - words[:-1]])
        size = words.dtype.itemsize
        octets = changes.astype(changes.dtype.newbyteorder("<")).view(np.uint8).reshape(*words.shape, size)
        parts.append(np.moveaxis(octets, -1, 1).tobytes())
    # Level 9 takes far longer for hardly fewer bytes.
    return zlib.compress(b"".join(parts), 6)
