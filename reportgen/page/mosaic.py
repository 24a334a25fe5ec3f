"""Size on the page of a picture made of pixels, and places of a mosaic's tiles and their numbers.

    layout(mosaic, scale(mosaic)).rows[0].tiles[3].text           # "3"

The picture is one raster, which the page shows row by row, so that the numbers get a line of their own above
each row and cover nothing. Where tiles are too narrow for their numbers, each row has only the name of its
first tile, at the left.
"""

import unicodedata
from dataclasses import dataclass
from itertools import accumulate, compress

from reportgen.core.report import Grid, Mosaic, Raster
from reportgen.errors import ReportgenError
from reportgen.page.loader import clean

# CSS px, width and height: the page's text is 992 wide, with 29 between pictures in a row.
_ROOM = {"full": (980, 780), "half": (480, 480), "quarter": (224, 224)}
_LARGEST = 24  # CSS px of one pixel
FONT = 10  # CSS px; the width of a digit is 0.56 of it in the system fonts seen, of a wide character 1
_LINE = 14  # room above a row for its numbers
PREDICTED = " → "
_SHORTEST = 4  # characters: a shorter rest of a cut label means nothing


@dataclass(frozen=True)
class Tile:
    """A tile's place in CSS px, and the text set by it, of one line or two ("" where there is none)."""

    x: int
    y: int
    text: str
    outlined: bool


@dataclass(frozen=True)
class Row:
    """One row of tiles: its place and size on the page, and the box of the raster that it shows."""

    x: int
    y: int
    width: int
    height: int
    box: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Layout:
    """A mosaic on the page, in CSS px; tile i is at (left + i % columns * pitch_x, top + i // columns * pitch_y)."""

    width: int
    height: int
    left: int
    top: int
    pitch_x: int
    pitch_y: int
    tile_width: int
    tile_height: int
    above: bool
    rows: tuple[Row, ...]


def _width(text: str) -> float:
    """Width of a text in CSS px at FONT, estimated."""
    return sum(FONT * (1.0 if unicodedata.east_asian_width(c) in "WF" else 0.6) for c in text)


def fit(text: str, room: float) -> str:
    """The text, cut with an ellipsis to fit `room` CSS px."""
    if _width(text) <= room:
        return text
    ends = accumulate(map(_width, text), initial=_width("…"))
    start = text[: max(0, sum(end <= room for end in ends) - 1)].rstrip()
    return start + "…" if start else ""


def scale(picture: Mosaic | Raster) -> int:
    """The whole factor by which the page enlarges the picture; 1 for one image without hard pixel edges."""
    if isinstance(picture, Raster) and not picture.pixelated:
        return 1
    raster, stand = (picture.raster, picture.stand) if isinstance(picture, Mosaic) else (picture, "quarter")
    across, down = _ROOM[stand]
    return max(1, min(across // raster.width, down // raster.height, _LARGEST))


def fits(picture: Mosaic) -> bool:
    """Whether a pixel of it has one of the page's, where it stands."""
    across, down = _ROOM[picture.stand]
    return picture.raster.width <= across and picture.raster.height <= down


def layout(mosaic: Mosaic, scale: int) -> Layout:
    """Place the mosaic's tiles and numbers, with pixels of `scale` CSS px.

    Raises ReportgenError where the raster's size does not match its tiles, columns and gap.
    """
    count, native = len(mosaic.labels), mosaic.grid
    columns, gap = native.columns, native.gap
    expected = native.size(count)
    if (mosaic.raster.width, mosaic.raster.height) != expected:
        raise ReportgenError(
            f"a mosaic of {count} tiles in {columns} columns should be {expected[0]} x {expected[1]} pixels, "
            f"but its picture is {mosaic.raster.width} x {mosaic.raster.height}",
            code="P101",
        )
    shown = Grid(columns, native.tile_height * scale, native.tile_width * scale, gap * scale)
    pitch_x = shown.tile_width + shown.gap
    room = pitch_x - 2
    whole = all(_width(label) <= room for label in mosaic.labels)
    # "true → predicted" takes two lines where one is too short.
    two = not whole and any(PREDICTED in label for label in mosaic.labels)
    above = whole or (room >= _SHORTEST * 0.6 * FONT and not all(label.isdecimal() for label in mosaic.labels))
    if above:
        head = _LINE + (FONT + 2 if two else 0)
        left, top, pitch_y = 0, head, shown.tile_height + head + 4
    else:
        left = int(max(_width(fit(label, 60)) for label in mosaic.labels[::columns])) + 6
        top, pitch_y = 0, shown.tile_height + shown.gap
    outlined = frozenset(mosaic.outlined)

    def text(i: int, first: int) -> str:
        label = mosaic.labels[i]
        if not above:
            return fit(label, 60) if i == first else ""
        true, arrow, predicted = label.partition(PREDICTED)
        return f"{fit(true, room)}\n{fit(f'→ {predicted}', room)}" if two and arrow else fit(label, room)

    def row(first: int) -> Row:
        y, last = top + first // columns * pitch_y, min(first + columns, count)
        tiles = tuple(
            Tile(
                # The gap around the outermost tiles is cropped.
                x=left + shown.origin(i)[0] - shown.gap,
                y=y,
                text=text(i, first),
                outlined=i in outlined,
            )
            for i in range(first, last)
        )
        from_left, from_top = native.origin(first)
        across = native.origin(last - 1)[0] + native.tile_width - from_left
        box = f"{from_left} {from_top} {across} {native.tile_height}"
        return Row(left, y, across * scale, shown.tile_height, box, tiles)

    rows = tuple(row(first) for first in range(0, count, columns))
    # 2 px at the right and below keep an outline's outer half inside the picture.
    width = left + pitch_x * min(columns, count) - shown.gap + 2
    height = rows[-1].y + shown.tile_height + 2
    return Layout(width, height, left, top, pitch_x, pitch_y, shown.tile_width, shown.tile_height, above, rows)


def form_and_words(values: tuple[str, ...]) -> tuple[str, str]:
    """What the tiles' values share, with # for each word in which they differ; and these words, a line for each.

    >>> form_and_words(("max 2.4, mean 1", "max 0.5, mean −1"))
    ('max # mean #', '2.4, 1\\n0.5, −1')
    """
    lines = [clean(value).split() for value in values]
    if len({len(line) for line in lines}) != 1 or any("#" in value for value in values):
        return "", "\n".join(map(" ".join, lines))
    differ = [len(set(words)) > 1 for words in zip(*lines, strict=True)]
    form = " ".join("#" if free else word for free, word in zip(differ, lines[0], strict=True))
    return form, "\n".join(" ".join(compress(line, differ)) for line in lines)
