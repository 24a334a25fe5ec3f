"""Parameters as tiles: a kernel of any rank cut into 2-D parts.

    laid_out = kernel_tiles(params["conv2/kernel"])
    low, high = symmetric(laid_out.tiles)
    picture = mosaic(laid_out.tiles, low, high, DIVERGING, labels=laid_out.labels, gap=laid_out.gap)
    caption = f"{laid_out.reading} ..."                # explains tiles and pixels

Works for parameters and for their differences alike. A convolution's kernel (positions..., input,
output; as Flax stores it) becomes one block per output channel with the input channels inside; a dense
kernel one heatmap; a bias one row. A kernel too large to show value by value is reduced to signed
extremes: the weight of each group furthest from zero, so that no large weight is lost.
"""

import math
from dataclasses import dataclass

import numpy as np

from reportgen.core.report import Grid
from reportgen.errors import DataError
from reportgen.figures.mosaic import best_columns

# Largest dense heatmap (width, height), and the most pixels of a convolution's mosaic.
HEATMAP = (800, 400)
MOSAIC_PIXELS = 1_200_000


@dataclass(frozen=True)
class KernelTiles:
    """`tiles` [tile, height, width] (masked where there is no weight) and a label per tile.

    `reading` is a sentence that explains tiles, pixels and any reduction; `gap` the pixels between tiles, None
    for the mosaic's default.
    """

    tiles: np.ndarray
    labels: tuple[str, ...]
    reading: str
    gap: int | None = None


def kernel_tiles(
    kernel: np.ndarray, axes: tuple[str, str] = ("input", "output"), most: tuple[int, int] = HEATMAP
) -> KernelTiles:
    """Tiles of one parameter array of any rank (`kernel[..., input, output]`); `axes` names the two of a matrix.

    Heatmaps have at most the width and height `most`.
    A first of three axes that has length 1 says nothing and is left out.
    Raises DataError for an array without elements.
    """
    kernel = np.asarray(kernel)
    if kernel.size == 0:
        raise DataError(f"a parameter without elements can't be shown; its shape is {kernel.shape}", code="A101")
    if kernel.ndim < 2:
        return _row(kernel.reshape(-1), most)
    if kernel.ndim == 2 or (kernel.ndim == 3 and len(kernel) == 1):
        return _heatmap(kernel.reshape(kernel.shape[-2:]), most, axes)
    *positions, inputs, outputs = kernel.shape
    if len(positions) == 1:
        if kernel.size > MOSAIC_PIXELS:
            return _extremes(kernel, most)
        tiles = np.moveaxis(kernel, -1, 0)
        reading = (
            f"One block per output channel ({outputs}); rows are the kernel's {positions[0]} positions, "
            f"columns its {inputs} input channels."
        )
        return KernelTiles(tiles, _counted(tiles), reading)
    # A volume's depth becomes further inputs: [depth, h, w, in, out] -> [h, w, depth * in, out].
    *depth, height, width = positions
    slices = int(np.prod(depth, dtype=int))
    stacked = np.moveaxis(kernel.reshape(slices, height, width, inputs, outputs), 0, 2)
    stacked = stacked.reshape(height, width, slices * inputs, outputs)
    within = f"its {inputs} input channels" if slices == 1 else f"{slices} slices of its {inputs} input channels"
    if slices * inputs == 1:
        reading = f"One block of {height}×{width} weights per output channel ({outputs})."
    else:
        reading = (
            f"One block per output channel ({outputs}); inside it, row by row, {within}, {height}×{width} weights each."
        )
    grid = _block_grid(slices * inputs, height, width)
    if outputs * math.prod(_block_size(grid, slices * inputs)) > MOSAIC_PIXELS:
        return _extremes(kernel, most)
    # Wider than the gaps inside a block, so that blocks are distinguishable.
    tiles = _blocks(stacked, grid)
    return KernelTiles(tiles, _counted(tiles), reading, 3 if slices * inputs > 1 else None)


def head_tiles(kernel: np.ndarray, heads: int, most: tuple[int, int] = HEATMAP) -> KernelTiles:
    """A tile per head of an attention's kernel [input, head, feature] (`heads` 1) or [head, feature, output] (0)."""
    tiles = np.moveaxis(kernel, heads, 0)
    count, down, across = tiles.shape
    row, column = ("input", "feature of the head") if heads == 1 else ("feature of the head", "output")
    reading = f"One block per head ({count}); each row is one {row} ({down}), each column one {column} ({across})."
    group = (-(-down // most[1]), -(-across * count // most[0]))
    if group != (1, 1):
        tiles = np.stack([signed_extremes(tile, group) for tile in tiles])
        reading += f" Each pixel stands for {group[0]}×{group[1]} weights and shows the one furthest from zero."
    return KernelTiles(tiles, tuple(str(head) if most < HEATMAP else f"head {head}" for head in range(count)), reading)


def _block_grid(inputs: int, height: int, width: int) -> Grid:
    """The input channels inside an output's block."""
    return Grid(best_columns(inputs, height, width), height, width, 0 if height == width == 1 else 1)


def _block_size(grid: Grid, inputs: int) -> tuple[int, int]:
    """(height, width) of a block; the mosaic adds its own gaps around the blocks."""
    wide, tall = grid.size(inputs)
    return tall - 2 * grid.gap, wide - 2 * grid.gap


def _blocks(kernel: np.ndarray, grid: Grid) -> np.ndarray:
    """[h, w, in, out] -> [out, H, W]: the input channels as a small grid inside each output's block."""
    height, width, inputs, outputs = kernel.shape
    size = _block_size(grid, inputs)
    blocks, empty = np.zeros((outputs, *size), kernel.dtype), np.ones(size, bool)
    by_output = np.moveaxis(kernel, -1, 0)
    for index in range(inputs):
        left, top = (place - grid.gap for place in grid.origin(index))
        blocks[:, top : top + height, left : left + width] = by_output[:, :, :, index]
        empty[top : top + height, left : left + width] = False
    return np.ma.array(blocks, mask=np.broadcast_to(empty, blocks.shape))


def _counted(tiles: np.ndarray) -> tuple[str, ...]:
    return tuple(str(index) for index in range(len(tiles)))


def _extremes(kernel: np.ndarray, most: tuple[int, int]) -> KernelTiles:
    """A convolution's kernel that is too large for a block per output: the largest weight between two channels."""
    *positions, inputs, outputs = kernel.shape
    extremes = signed_extremes(kernel.reshape(-1, inputs * outputs), (int(np.prod(positions)), 1))
    shown = _heatmap(extremes.reshape(inputs, outputs), most)
    size = "×".join(str(length) for length in positions)
    note = f" Of the {size} weights between two channels the one furthest from zero is shown."
    return KernelTiles(shown.tiles, shown.labels, shown.reading + note)


def _heatmap(kernel: np.ndarray, most: tuple[int, int], axes: tuple[str, str] = ("input", "output")) -> KernelTiles:
    """A matrix as one tile, its longer side horizontal; a short side is stretched to be visible."""
    inputs, outputs = kernel.shape
    matrix, down, across = kernel, (axes[0], inputs), (axes[1], outputs)
    if inputs > outputs:
        matrix, down, across = kernel.T, across, down
    group = (-(-matrix.shape[0] // most[1]), -(-matrix.shape[1] // most[0]))
    reading = f"Each row is one {down[0]} ({down[1]}), each column one {across[0]} ({across[1]})."
    if group != (1, 1):
        matrix = signed_extremes(matrix, group)
        reading += f" Each pixel stands for {group[0]}×{group[1]} weights and shows the one furthest from zero."
    stretch = max(1, matrix.shape[1] // (8 * matrix.shape[0]))
    return KernelTiles(np.repeat(matrix, stretch, axis=0)[None], ("all",), reading)


def _row(values: np.ndarray, most: tuple[int, int]) -> KernelTiles:
    group = -(-len(values) // most[0])
    matrix = values[None]
    reading = f"One column per value ({len(values)})."
    if group > 1:
        matrix = signed_extremes(matrix, (1, group))
        reading += f" Each column stands for {group} values and shows the one furthest from zero."
    stretch = max(1, matrix.shape[1] // 32)
    return KernelTiles(np.repeat(matrix, stretch, axis=0)[None], ("all",), reading)


def signed_extremes(matrix: np.ndarray, group: tuple[int, int]) -> np.ndarray:
    """The value furthest from zero of each block of `group` rows and columns.

    Blocks at the lower and right edge may be smaller. A block with a non-finite value is NaN; of equally far
    values the first in row-major order wins. Floats keep their dtype, others become float64.
    """
    if not np.issubdtype(matrix.dtype, np.floating):
        matrix = matrix.astype(np.float64)
    high, low = (_reduced(matrix, group, furthest) for furthest in (np.maximum, np.minimum))
    extremes = np.where(high >= -low, high, low)
    equal = (high == -low) & (high > 0)
    for row in np.flatnonzero(equal.any(axis=1)).tolist():
        strip = matrix[row * group[0] : (row + 1) * group[0]]
        columns = high.shape[1] * group[1]
        blocks = np.pad(strip, ((0, 0), (0, columns - strip.shape[1]))).reshape(len(strip), -1, group[1])
        members = np.moveaxis(blocks, 1, 0).reshape(high.shape[1], -1)
        first = np.take_along_axis(members, np.abs(members).argmax(axis=1)[:, None], axis=1)[:, 0]
        extremes[row] = np.where(equal[row], first, extremes[row])
    extremes[~(np.isfinite(high) & np.isfinite(low))] = np.nan
    return extremes


def _reduced(matrix: np.ndarray, group: tuple[int, int], furthest: np.ufunc) -> np.ndarray:
    """The maximum or minimum of each block."""
    if matrix.strides[0] < matrix.strides[1]:
        return _reduced(matrix.T, (group[1], group[0]), furthest).T
    rows = np.array(matrix[:: group[0]])
    # Row by row of all blocks at once, which takes no more than what is left.
    for row in range(1, group[0]):
        part = matrix[row :: group[0]]
        furthest(rows[: len(part)], part, out=rows[: len(part)])
    reduced: np.ndarray = furthest.reduceat(rows, np.arange(0, rows.shape[1], group[1]), axis=1)
    return reduced
