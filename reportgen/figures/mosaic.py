"""Many small pictures in one: tiles on a grid, encoded once, at one pixel per value.

    maps = activations.maps["conv1"][0]                       # [height, width, channel]
    tiles = np.moveaxis(maps, -1, 0)
    picture = mosaic(tiles, 0, maps.max(), GREY, labels=range(len(tiles)), outlined=[7])
    photo = image(run.data.probe_images[0], 0, 1)

A mosaic is a palette PNG whose gaps are transparent, which suits light and dark pages.
"""

import io
import math
from collections.abc import Iterable, Sequence

import numpy as np

from reportgen.core.report import Grid, Mosaic, Raster, Stand
from reportgen.errors import DataError
from reportgen.figures.palettes import GAP, GREY, NOT_FINITE_COLOR, Palette, rgb, to_indices

FEW = 16
"""Colours that a picture may have whose pixels take half a byte each."""


def mosaic(
    tiles: np.ndarray,
    low: float,
    high: float,
    palette: Palette = GREY,
    *,
    labels: Iterable[object],
    columns: int | None = None,
    values: Sequence[str] = (),
    outlined: Iterable[int] = (),
    gap: int | None = None,
    stand: Stand = "full",
) -> Mosaic:
    """The tiles in one picture, row by row.

    `tiles` is [tile, height, width] of numbers, shown through the palette from `low` to `high`
    (`palettes.to_indices`; masked elements are transparent), or [tile, height, width, 3] of colours, where
    `low` is 0 and `high` 255 in each. `labels` has a name per tile. `columns` defaults to a picture of about
    8:5, `gap` depends on the tiles' size. `stand` is the share of the page's width.

    Raises DataError without tiles, or unless there is one label, and one value if any, per tile.
    """
    if tiles.ndim == 4 and tiles.shape[3] == 1:
        tiles = tiles[..., 0]
    if tiles.ndim not in (3, 4) or (tiles.ndim == 4 and tiles.shape[3] != 3) or 0 in tiles.shape:
        raise DataError(
            f"a mosaic needs tiles of shape [n, height, width] or [n, height, width, 3]; got {tiles.shape}", code="A101"
        )
    names = tuple(str(label) for label in labels)
    marked = tuple(int(index) for index in outlined)
    count, height, wide = tiles.shape[:3]
    if len(names) != count or (values and len(values) != count):
        raise DataError(
            f"{count} tiles need as many labels and values; got {len(names)} and {len(values)}", code="A101"
        )
    if any(not 0 <= index < count for index in marked):
        raise DataError(f"outlined tiles must lie between 0 and {count - 1}; got {list(marked)}", code="A101")
    columns = min(columns or best_columns(count, height, wide), count)
    if gap is None:
        gap = 0 if count == 1 else 1 if max(height, wide) <= 48 else 2
    grid = Grid(columns, height, wide, gap)
    if tiles.ndim == 3:
        pixels = _lay_out(to_indices(tiles, low, high, palette), grid, np.array(GAP, np.uint8))
        data = png(pixels, palette)
    else:
        colors = np.concatenate([_to_bytes(tiles, low, high), np.full((count, height, wide, 1), 255, np.uint8)], axis=3)
        pixels = _lay_out(colors, grid, np.zeros(4, np.uint8))
        data = png(pixels)
    raster = Raster(data, "image/png", *grid.size(count), pixelated=True)
    return Mosaic(raster, grid, names, tuple(values), marked, stand)


def best_columns(count: int, height: int, width: int) -> int:
    """The number of columns for a picture of about 8:5, preferring a full last row.

    >>> [best_columns(n, 24, 24) for n in (1, 10, 16, 30, 32, 64, 100, 512, 2048)]
    [1, 5, 4, 6, 8, 8, 10, 32, 64]
    """

    def misfit(columns: int) -> float:
        rows = -(-count // columns)
        aspect = columns * (width + 1) / (rows * (height + 1))
        return abs(math.log(aspect / 1.6)) + (0.5 if count % columns else 0)

    return min(range(1, count + 1), key=misfit)


def image(pixels: np.ndarray, low: float, high: float) -> Raster:
    """One image as a PNG: [height, width] or [height, width, 1] grey, [height, width, 3] colour.

    `low` is black and `high` white (per colour); values outside are clipped; NaN and infinities are
    violet. Raises DataError for another shape.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or 0 in pixels.shape:
        raise DataError(
            f"an image needs the shape [height, width], [height, width, 1] or [height, width, 3]; got {pixels.shape}",
            code="A101",
        )
    if pixels.ndim == 2 and np.isfinite(pixels).all():
        data = png(_to_bytes(pixels[..., None], low, high)[..., 0])
    else:
        colors = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        data = png(_to_bytes(colors, low, high))
    return Raster(data, "image/png", pixels.shape[1], pixels.shape[0], pixelated=True)


def _to_bytes(colors: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours [..., channel] as uint8; a pixel with a non-finite channel is violet."""
    if not high > low:
        raise DataError(f"an image's range must be increasing; got {low!r} to {high!r}", code="A101")
    numbers = colors.astype(np.float64)
    finite = np.isfinite(numbers)
    numbers[~finite] = low
    pixels = np.rint((np.clip(numbers, low, high) - low) / (high - low) * 255).astype(np.uint8)
    if not finite.all():
        pixels[~finite.all(axis=-1)] = rgb(NOT_FINITE_COLOR)[: pixels.shape[-1]]
    return pixels


def _lay_out(tiles: np.ndarray, grid: Grid, ground: np.ndarray) -> np.ndarray:
    """Tiles [n, h, w, ...] as one array on the grid, the rest of it `ground`."""
    count, height, width = tiles.shape[:3]
    across, down = grid.size(count)
    canvas = np.empty((down, across, *tiles.shape[3:]), np.uint8)
    canvas[...] = ground
    for index in range(count):
        left, top = grid.origin(index)
        canvas[top : top + height, left : left + width] = tiles[index]
    return canvas


def small_png(pixels: np.ndarray) -> bytes:
    """Colours [height, width, 3 or 4] as a PNG: of half a byte a pixel where they are at most 16, of one where 256."""
    from PIL import Image

    packed = np.zeros((*pixels.shape[:2], 4), np.uint8)
    packed[..., : pixels.shape[2]] = pixels
    colors, entries = np.unique(packed.view(np.uint32)[..., 0], return_inverse=True)
    if len(colors) > 256:
        return png(pixels)
    table = colors.view(np.uint8).reshape(-1, 4)
    picture = Image.fromarray(entries.reshape(pixels.shape[:2]).astype(np.uint8))
    picture.putpalette(table[:, :3].tobytes())
    opacity = {"transparency": table[:, 3].tobytes()} if pixels.shape[2] == 4 else {}
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", bits=4 if len(colors) <= FEW else 8, **opacity)
    return buffer.getvalue()


def png(pixels: np.ndarray, palette: Palette | None = None) -> bytes:
    """Colours [height, width(, 3 or 4)], or with a palette its entries, as a PNG."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    options = {}
    if palette is not None:
        picture.putpalette(palette.rgb.tobytes())
        options = {"transparency": GAP}
    # optimize=True takes several times as long for a few percent of the bytes.
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()
