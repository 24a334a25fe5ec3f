import numpy as np
import pytest

from reportgen.errors import DataError
from reportgen.figures.kernels import HEATMAP, MOSAIC_PIXELS, head_tiles, kernel_tiles, signed_extremes
from reportgen.figures.mosaic import best_columns, mosaic

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(5, 5, 1, 16), (5, 5, 16, 30), (2, 3, 7, 4), (1, 1, 12, 5), (3, 3, 3, 8)])
def test_a_convolution_is_one_block_per_output_with_its_inputs_inside(shape):
    kernel = RANDOM.normal(size=shape).astype(np.float32)
    height, width, inputs, outputs = shape
    laid_out = kernel_tiles(kernel)
    assert laid_out.labels == tuple(str(index) for index in range(outputs))
    gap = 0 if height == width == 1 else 1
    columns = best_columns(inputs, height, width)
    tiles = np.ma.asarray(laid_out.tiles)
    for output in range(outputs):
        for source in range(inputs):
            row, column = divmod(source, columns)
            top, left = row * (height + gap), column * (width + gap)
            block = tiles[output, top : top + height, left : left + width]
            assert np.array_equal(block, kernel[:, :, source, output])
            assert not np.ma.getmaskarray(block).any()
    assert tiles.count() == kernel.size
    assert f"({outputs})" in laid_out.reading and (inputs == 1 or f"{inputs} input channels" in laid_out.reading)
    assert (laid_out.gap or 1) > gap or inputs == 1


def test_a_volume_kernel_shows_its_slices():
    kernel = RANDOM.normal(size=(2, 3, 3, 4, 5))
    laid_out = kernel_tiles(kernel)
    assert len(laid_out.tiles) == 5 and laid_out.tiles.count() == kernel.size
    assert np.array_equal(laid_out.tiles[3, :3, :3], kernel[0, :, :, 0, 3])
    assert "2 slices" in laid_out.reading


def test_a_signal_kernel_shows_positions_by_inputs():
    kernel = RANDOM.normal(size=(7, 4, 6))
    laid_out = kernel_tiles(kernel)
    assert np.array_equal(laid_out.tiles[2], kernel[:, :, 2])


def test_a_dense_kernel_is_one_heatmap_with_its_longer_side_across():
    kernel = RANDOM.normal(size=(150, 20))
    laid_out = kernel_tiles(kernel)
    assert np.array_equal(laid_out.tiles, kernel.T[None])
    assert "row is one output (20)" in laid_out.reading and "column one input (150)" in laid_out.reading
    assert np.array_equal(kernel_tiles(kernel.T).tiles, kernel.T[None])


def test_short_sides_are_stretched_to_be_seen():
    kernel = RANDOM.normal(size=(512, 10))
    tile = kernel_tiles(kernel).tiles[0]
    assert tile.shape == (60, 512) and np.array_equal(tile[::6], kernel.T) and np.array_equal(tile[5::6], kernel.T)
    bias = RANDOM.normal(size=320)
    row = kernel_tiles(bias).tiles[0]
    assert row.shape == (10, 320) and all(np.array_equal(line, bias) for line in row)


def test_a_large_dense_kernel_keeps_its_extremes_and_says_so():
    kernel = RANDOM.normal(size=(1568, 512)).astype(np.float32)
    kernel[700, 300] = -50
    laid_out = kernel_tiles(kernel)
    tile = laid_out.tiles[0]
    assert tile.shape == (256, 784) and tile.shape[1] <= HEATMAP[0] and tile.shape[0] <= HEATMAP[1]
    assert tile[150, 350] == -50 == tile.min()
    assert "2×2 weights" in laid_out.reading


def test_a_large_convolution_is_reduced_to_its_channel_pairs():
    kernel = RANDOM.normal(size=(3, 3, 400, 400)).astype(np.float32)
    assert kernel.size > MOSAIC_PIXELS
    laid_out = kernel_tiles(kernel)
    assert laid_out.tiles.shape == (1, 400, 400)
    window = kernel[:, :, 17, 31].reshape(-1)
    assert laid_out.tiles[0, 17, 31] == max(window, key=abs)
    assert "3×3 weights" in laid_out.reading


@pytest.mark.parametrize(("heads", "tile"), [(1, (6, 5)), (0, (4, 5))])
def test_an_attention_s_kernel_is_a_tile_per_head(heads, tile):
    kernel = RANDOM.normal(size=(6, 4, 5))
    laid_out = head_tiles(kernel, heads)
    assert laid_out.tiles.shape == (kernel.shape[heads], *tile) and laid_out.labels[1] == "head 1"
    np.testing.assert_array_equal(laid_out.tiles[2], kernel[:, 2] if heads else kernel[2])
    assert laid_out.reading.startswith(f"One block per head ({kernel.shape[heads]}); each row is one ")


@pytest.mark.parametrize("shape, group", [((4, 6), (2, 3)), ((5, 7), (2, 3)), ((1, 9), (1, 4)), ((3, 3), (9, 9))])
def test_signed_extremes_against_loops(shape, group):
    matrix = RANDOM.normal(size=shape)
    matrix[0, 0] = np.inf
    reduced = signed_extremes(matrix, group)
    for row in range(reduced.shape[0]):
        for column in range(reduced.shape[1]):
            block = matrix[row * group[0] : (row + 1) * group[0], column * group[1] : (column + 1) * group[1]].reshape(
                -1
            )
            expected = max(block, key=abs) if np.isfinite(block).all() else np.nan
            np.testing.assert_equal(reduced[row, column], expected)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 2), (1, 1, 1, 1)])
def test_every_rank_makes_a_mosaic(shape):
    laid_out = kernel_tiles(RANDOM.normal(size=shape))
    mosaic(laid_out.tiles, -1, 1, labels=laid_out.labels, gap=laid_out.gap)
    assert laid_out.reading.endswith(".")


def test_nothing_to_show_is_refused():
    with pytest.raises(DataError, match="without elements"):
        kernel_tiles(np.zeros((3, 0)))


@pytest.mark.parametrize(
    ("shape", "reading"), [((1, 80, 64), "column one place (80)"), ((1, 1, 64), "row is one place (1)")]
)
def test_a_first_axis_of_length_1_is_no_stack_of_rows(shape, reading):
    laid_out = kernel_tiles(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), ("place", "feature"))
    assert len(laid_out.tiles) == 1 and reading in laid_out.reading and "channel" not in laid_out.reading
    assert set(laid_out.tiles.ravel().tolist()) == set(range(np.prod(shape)))


def test_of_two_equally_far_values_the_first_counts_however_they_lie():
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(7, 10))
    for matrix in (signs, np.asfortranarray(signs), signs[::-1, ::-1]):
        assert np.array_equal(signed_extremes(matrix, (2, 3)), matrix[::2, ::3])
    broken = signs.copy()
    broken[6, 9] = -np.inf
    assert np.isnan(signed_extremes(broken, (2, 3))[3, 3]) and np.isnan(signed_extremes(broken, (2, 3))).sum() == 1


def test_heatmaps_are_as_small_as_asked():
    shapes = {tuple(kernel_tiles(np.ones(shape), most=(40, 20)).tiles.shape[1:]) for shape in ((300, 100), (100, 300))}
    assert shapes == {(20, 38)}
    assert head_tiles(np.ones((60, 4, 30)), 1, (40, 20)).tiles.shape == (4, 20, 10)
