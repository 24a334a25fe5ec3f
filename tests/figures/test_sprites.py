"""Thumbnails in one picture: each where the grid says, within the bytes that were given."""

import io

import numpy as np
import pytest
from PIL import Image

from reportgen.figures.sprites import sprites

RANDOM = np.random.default_rng(0)


def tiles(sheet, count):
    picture = np.asarray(Image.open(io.BytesIO(sheet.picture.data)).convert("RGB")).astype(int)
    assert picture.shape[:2] == (sheet.picture.height, sheet.picture.width)
    for index in range(count):
        left, top = sheet.grid.origin(index)
        yield picture[top : top + sheet.height, left : left + sheet.width]


def test_grey_ones_have_sixteen_shades():
    images = RANDOM.uniform(size=(11, 9, 7))
    sheet = sprites(images, (0.0, 1.0), 10_000)
    assert (sheet.height, sheet.width, sheet.picture.mime) == (9, 7, "image/png")
    for image, seen in zip(images, tiles(sheet, 11), strict=True):
        assert np.abs(seen[..., 0] - 255 * image).max() <= 255 / 30 + 1
        assert (seen % 17 == 0).all()


def test_coloured_ones_do_not_run_into_each_other():
    images = np.zeros((5, 13, 10, 3), np.float32)
    for index, image in enumerate(images):
        image[:] = [index % 2, index % 3 == 0, index > 2]
    sheet = sprites(images, (0.0, 1.0), 50_000)
    assert sheet.picture.mime == "image/jpeg" and sheet.grid.tile_width % 8 == sheet.grid.tile_height % 8 == 0
    for image, seen in zip(images, tiles(sheet, 5), strict=True):
        assert np.abs(seen - 255 * image).max() <= 4


def test_large_ones_and_those_that_do_not_fit_are_averaged():
    images = np.kron(RANDOM.uniform(size=(6, 16, 12)), np.ones((4, 4)))
    sheet = sprites(images, (0.0, 1.0), 100_000)
    assert (sheet.height, sheet.width) == (32, 24)
    for image, seen in zip(images, tiles(sheet, 6), strict=True):
        assert np.abs(seen[..., 0] - 255 * image[::2, ::2]).max() <= 255 / 30 + 1
    less = sprites(images, (0.0, 1.0), len(sheet.picture.data) // 3)
    assert less.height < 32 and len(less.picture.data) <= len(sheet.picture.data) // 3
    assert sprites(images, (0.0, 1.0), 60) is None and sprites(images[:0], (0.0, 1.0), 1000) is None


@pytest.mark.parametrize("shape", [(3, 1, 40), (2, 5, 5, 3), (4, 300, 2)])
def test_any_shape_and_values_that_are_not_finite(shape):
    images = RANDOM.uniform(size=shape).astype(np.float32)
    images[0, 0, 0] = np.nan
    sheet = sprites(images, (0.0, 1.0), 100_000)
    assert (
        max(sheet.height, sheet.width) <= 40 and sheet.picture.data == sprites(images, (0.0, 1.0), 100_000).picture.data
    )
