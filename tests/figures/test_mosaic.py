import io

import numpy as np
import pytest
from PIL import Image

from reportgen.core.report import Grid
from reportgen.errors import DataError
from reportgen.figures.mosaic import best_columns, image, mosaic
from reportgen.figures.palettes import DIVERGING, GREY, NOT_FINITE_COLOR, rgb, to_indices


def decoded(raster):
    picture = Image.open(io.BytesIO(raster.data))
    assert picture.size == (raster.width, raster.height)
    return picture


def tile_at(pixels, made, index):
    left, top = made.grid.origin(index)
    return pixels[top : top + made.grid.tile_height, left : left + made.grid.tile_width]


@pytest.mark.parametrize("count, height, width", [(1, 3, 4), (7, 5, 2), (16, 24, 24), (3, 60, 10)])
@pytest.mark.parametrize("shown", [GREY, DIVERGING], ids=["grey", "diverging"])
def test_every_tile_stands_where_the_mosaic_says(count, height, width, shown):
    tiles = np.random.default_rng(0).normal(size=(count, height, width)).astype(np.float32)
    tiles[0, 0, 0] = np.nan
    made = mosaic(tiles, -2, 2, shown, labels=range(count), columns=None)
    pixels = np.asarray(decoded(made.raster).convert("RGBA"))
    covered = np.zeros(pixels.shape[:2], bool)
    marker = np.ones(pixels.shape[:2])
    for index in range(count):
        expected = shown.rgb[to_indices(tiles[index], -2, 2, shown)]
        found = tile_at(pixels, made, index)
        assert np.array_equal(found[..., :3], expected) and (found[..., 3] == 255).all()
        tile_at(covered, made, index)[:] = True
        tile_at(marker, made, index)[:] = 0
    assert tuple(tile_at(pixels, made, 0)[0, 0, :3]) == rgb(NOT_FINITE_COLOR)
    assert (pixels[~covered][:, 3] == 0).all()
    assert made.raster.pixelated and made.raster.mime == "image/png"


def test_a_palette_picture_with_transparent_gaps():
    made = mosaic(np.ones((4, 3, 3)), 0, 1, labels="abcd")
    picture = decoded(made.raster)
    assert picture.mode == "P" and picture.info["transparency"] == 255
    assert made.labels == ("a", "b", "c", "d")


def test_masked_values_show_the_ground():
    tiles = np.ma.array(np.zeros((2, 2, 2)), mask=np.zeros((2, 2, 2), bool))
    tiles[1, 0, 1] = np.ma.masked
    made = mosaic(tiles, 0, 1, labels="ab")
    assert tile_at(np.asarray(decoded(made.raster).convert("RGBA")), made, 1)[0, 1, 3] == 0


def test_colour_tiles():
    tiles = np.zeros((3, 2, 2, 3))
    tiles[1, 0, 0] = [0, 0.5, 1]
    tiles[2, 1, 1] = [0, np.nan, 1]
    made = mosaic(tiles, 0, 1, labels="abc", gap=2)
    pixels = np.asarray(decoded(made.raster))
    assert pixels.shape[2] == 4 and pixels[0, 0, 3] == 0
    assert tile_at(pixels, made, 1)[0, 0].tolist() == [0, 128, 255, 255]
    assert tuple(tile_at(pixels, made, 2)[1, 1, :3]) == rgb(NOT_FINITE_COLOR)


def test_one_channel_images_are_grey_tiles():
    tiles = np.random.default_rng(1).random((5, 4, 4, 1))
    assert mosaic(tiles, 0, 1, labels=range(5)) == mosaic(tiles[..., 0], 0, 1, labels=range(5))


@pytest.mark.parametrize("count, columns", [(16, 4), (30, 6), (32, 8), (64, 8), (512, 32), (1, 1)])
def test_column_counts_fill_their_rows(count, columns):
    assert best_columns(count, 24, 24) == columns


def test_columns_follow_the_shape_of_the_tiles():
    assert best_columns(16, 10, 100) < 4 < best_columns(16, 100, 10)


@pytest.mark.parametrize("count, rows", [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_a_grid_stands_row_by_row_with_its_gap_all_around(count, rows):
    grid = Grid(columns=3, tile_height=5, tile_width=4, gap=2)
    assert grid.size(count) == (3 * 4 + 4 * 2, rows * 5 + (rows + 1) * 2)
    assert [grid.origin(index) for index in (0, 2, 3, 4)] == [(2, 2), (14, 2), (2, 9), (8, 9)]


def test_a_mosaic_says_how_it_is_to_stand():
    assert mosaic(np.zeros((2, 3, 3)), 0, 1, labels="ab").stand == "full"
    assert mosaic(np.zeros((2, 3, 3)), 0, 1, labels="ab", stand="half").stand == "half"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tiles": np.zeros((0, 3, 3))}, "needs tiles"),
        ({"tiles": np.zeros((3, 3))}, "needs tiles"),
        ({"tiles": np.zeros((2, 3, 3, 2))}, "needs tiles"),
        ({"labels": ["a"]}, "2 tiles need"),
        ({"values": ["1"]}, "2 tiles need"),
        ({"outlined": [2]}, "between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"tiles": np.zeros((2, 3, 3)), "low": 0, "high": 1, "labels": ["a", "b"], **change}
    with pytest.raises(DataError, match=message):
        mosaic(**arguments)


def test_images_grey_and_colour():
    grey = np.array([[0.0, 0.5], [1.0, 2.0]])
    picture = decoded(image(grey, 0, 1))
    assert picture.mode == "L" and np.asarray(picture).tolist() == [[0, 128], [255, 255]]
    assert image(grey[..., None], 0, 1) == image(grey, 0, 1)
    color = np.random.default_rng(0).integers(0, 256, (5, 4, 3))
    picture = decoded(image(color, 0, 255))
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), color)
    broken = np.asarray(decoded(image(np.array([[0.0, np.nan]]), 0, 1)))
    assert broken.tolist() == [[[0, 0, 0], list(rgb(NOT_FINITE_COLOR))]]


@pytest.mark.parametrize("shape", [(2,), (2, 2, 2), (0, 2), (2, 2, 3, 1)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DataError, match="an image needs the shape"):
        image(np.zeros(shape), 0, 1)
    with pytest.raises(DataError, match="must be increasing"):
        image(np.zeros((2, 2)), 1, 1)


def test_the_same_bytes_every_time():
    tiles = np.random.default_rng(0).random((6, 5, 5))
    assert mosaic(tiles, 0, 1, labels=range(6)) == mosaic(tiles.copy(), 0, 1, labels=range(6))
