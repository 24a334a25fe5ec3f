"""Where the tiles of a mosaic stand on the page, and where their numbers do.

    layout(mosaic).rows[0].tiles[3].text           # "3"

The picture is one raster; the page shows it row by row, cut at the tiles, so that the numbers have
a line of their own above each row and hide nothing. Where tiles are too narrow for their numbers,
each row has the name of its first tile at the left instead.
"""

import unicodedata
from dataclasses import dataclass
from itertools import accumulate

from reportgen.core.report import Mosaic
from reportgen.errors import ReportgenError

FONT = 10  # CSS px; the width of a digit is 0.56 of it in the system fonts seen, of a wide character 1
_LINE = 14  # room above a row for its numbers
_SHORTEST = 4  # characters: fewer than that, cut, say nothing


@dataclass(frozen=True)
class Tile:
    """A tile's place in CSS px, and the text set by it ("" where there is none)."""

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
    """The text, cut with an ellipsis to what `room` CSS px take."""
    if _width(text) <= room:
        return text
    ends = accumulate(map(_width, text), initial=_width("…"))
    kept = text[: max(0, sum(end <= room for end in ends) - 1)].rstrip()
    return kept + "…" if kept else ""


def layout(mosaic: Mosaic) -> Layout:
    """Places the mosaic's tiles and numbers.

    Raises ReportgenError where the raster's size is not what the tiles, columns and gap say.
    """
    count, columns, scale, gap = len(mosaic.labels), mosaic.columns, mosaic.scale, mosaic.gap
    rows = -(-count // columns)
    expected = (
        columns * (mosaic.tile_width + gap) + gap,
        rows * (mosaic.tile_height + gap) + gap,
    )
    if (mosaic.raster.width, mosaic.raster.height) != expected:
        raise ReportgenError(
            f"a mosaic of {count} tiles in {columns} columns should be {expected[0]} x {expected[1]} pixels, "
            f"but its picture is {mosaic.raster.width} x {mosaic.raster.height}"
        )
    tile_width, tile_height = mosaic.tile_width * scale, mosaic.tile_height * scale
    pitch_x = tile_width + gap * scale
    room = pitch_x - 2
    whole = all(_width(label) <= room for label in mosaic.labels)
    above = whole or (room >= _SHORTEST * 0.6 * FONT and not all(label.isdecimal() for label in mosaic.labels))
    if above:
        left, top, pitch_y = 0, _LINE, tile_height + _LINE + 4
    else:
        left = int(max(_width(fit(label, 60)) for label in mosaic.labels[::columns])) + 6
        top, pitch_y = 0, tile_height + gap * scale
    outlined = frozenset(mosaic.outlined)

    def row(index: int) -> Row:
        first, last = index * columns, min((index + 1) * columns, count)
        y, shown = top + index * pitch_y, last - first
        tiles = tuple(
            Tile(
                x=left + (i - first) * pitch_x,
                y=y,
                text=fit(mosaic.labels[i], room) if above else fit(mosaic.labels[i], 60) if i == first else "",
                outlined=i in outlined,
            )
            for i in range(first, last)
        )
        native_width = shown * (mosaic.tile_width + gap) - gap
        native_y = gap + index * (mosaic.tile_height + gap)
        return Row(
            x=left,
            y=y,
            width=native_width * scale,
            height=tile_height,
            box=f"{gap} {native_y} {native_width} {mosaic.tile_height}",
            tiles=tiles,
        )

    # 2 px at the right and below keep an outline's outer half inside the picture.
    width = left + pitch_x * min(columns, count) - gap * scale + 2
    height = top + (rows - 1) * pitch_y + tile_height + 2
    return Layout(
        width, height, left, top, pitch_x, pitch_y, tile_width, tile_height, above, tuple(map(row, range(rows)))
    )
