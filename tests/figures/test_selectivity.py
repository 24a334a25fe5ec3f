"""Channels by classes: the colours say the values, each row's pictures stand beside it, and any size fits."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from reportgen.figures.export import export
from reportgen.figures.mosaic import small_png
from reportgen.figures.palettes import NOT_FINITE_COLOR, rgb
from reportgen.figures.scene import WIDTH, Picture, Words
from reportgen.figures.selectivity import ABOVE, BELOW, Panel, selectivity, strongest
from reportgen.figures.svg import drawing


def pictures(scene):
    return [part for part in scene.parts if isinstance(part, Picture)]


def said(scene):
    return [part.text for part in scene.parts if isinstance(part, Words)]


def test_blue_is_above_the_mean_red_below_and_the_ground_at_it():
    values = np.array([[0.5, -0.5, 0.0, np.nan], [0.25, -1.0, 9.0, 0.01], [2.0, 0.0, 0.0, 0.0]])
    (matrix,) = pictures(selectivity([Panel("now", values)], ["7", "9", "3"], "abcd"))
    assert strongest([Panel("now", values)]) == 2
    pixels = matrix.pixels
    assert pixels[0, 0, :3].tolist() == list(ABOVE) and pixels[0, 1, :3].tolist() == list(BELOW)
    assert pixels[0, 0, 3] == pixels[0, 1, 3] == pytest.approx(255 / 4, abs=9)
    assert pixels[0, 2, 3] == pixels[1, 3, 3] == 0 and pixels[1, 2, 3] == 255
    assert pixels[0, 3, :3].tolist() == list(rgb(NOT_FINITE_COLOR))


def test_panels_share_one_scale_which_is_printed():
    before, after = (Panel(name, np.array([[x, -x]])) for name, x in (("before", 0.2), ("after", 0.8)))
    scene = selectivity([before, after], ["0"], "ab")
    pale, strong = pictures(scene)
    assert strong.pixels[0, 0, 3] == 255 and pale.pixels[0, 0, 3] == pytest.approx(255 * 0.2 / 0.75, abs=9)
    assert said(scene).count("strongest: ±0.75 × mean or more") == 2 and len(scene.cells) == 2


def test_a_channel_with_a_mean_near_zero_does_not_leave_the_others_pale():
    values = np.full((9, 2), 0.2) * [1, -1]
    values[4] = (1e6, -1e6)
    assert strongest([Panel("now", values)]) == pytest.approx(0.3)
    assert strongest([Panel("now", values[:4] * 1e-3)]) == 0.1, "differences of a thousandth are no pattern"
    assert strongest([Panel("now", np.zeros((3, 2)))]) == 2


def test_rows_and_their_pictures_are_level_and_gaps_are_empty():
    rng = np.random.default_rng(0)
    tiles = np.ma.array(rng.integers(0, 256, (3, 4, 5, 5)).astype(float), mask=False)
    tiles[1, 2] = np.ma.masked
    scene = selectivity([Panel("now", rng.normal(size=(3, 10)), tiles)], ["0", "1", "2"], [str(i) for i in range(10)])
    matrix, strip = pictures(scene)
    assert strip.top == matrix.top and strip.height == matrix.height
    assert strip.left > matrix.left + matrix.width
    scale, pitch = strip.height / len(strip.pixels), len(strip.pixels) // 3
    assert scale == int(scale) and pitch == 6
    for row in range(3):
        for rank in range(4):
            tile = strip.pixels[row * pitch : row * pitch + 5, rank * pitch : rank * pitch + 5]
            if (row, rank) == (1, 2):
                assert not tile.any(), "no example"
            else:
                np.testing.assert_allclose(tile[..., 0], tiles[row, rank], atol=10)
    assert not strip.pixels[5::6].any() and not strip.pixels[:, 5::6].any()


def test_pictures_with_colours_keep_them_about():
    tiles = np.ma.array(np.zeros((2, 9, 8, 8, 3)), mask=False)
    tiles[0, :, :4] = (200, 30, 60)
    tiles[1, :, :4] = (20, 130, 220)
    (_, strip) = pictures(selectivity([Panel("now", np.ones((2, 3)), tiles)], ["0", "1"], "abc"))
    assert np.abs(strip.pixels[0, 0, :3].astype(int) - [200, 30, 60]).max() <= 12
    assert np.abs(strip.pixels[len(strip.pixels) // 2, 0, :3].astype(int) - [20, 130, 220]).max() <= 12


@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (16, 10), (512, 10), (512, 100), (30, 300)])
def test_any_size_fits_and_is_drawn_cell_by_cell(rows, classes):
    values = np.random.default_rng(0).normal(size=(rows, classes))
    names = [f"a long-winded name of the species number {i}" for i in range(classes)]
    scene = selectivity([Panel("before", values), Panel("after", values)], [str(i // 60) for i in range(rows)], names)
    assert scene.width <= WIDTH and all(cell.width <= 480 and cell.height <= 720 for cell in scene.cells)
    assert [p.pixels.shape[:2] for p in pictures(scene)] == [(rows, classes)] * 2
    for matrix in pictures(scene):
        assert matrix.width / classes == int(matrix.width / classes), "whole pixels"
    columns = [text for text in said(scene.cells[0]) if text.startswith(("a l", "…", "species"))]
    assert len(set(columns)) == len(columns)
    assert f"{classes:,} classes" in said(scene) or classes <= 20


def test_names_of_rows_do_not_overlap():
    scene = selectivity([Panel("now", np.ones((400, 4)))], sorted(f"class {i % 90:02d}" for i in range(400)), "abcd")
    heights = sorted(part.y for part in scene.parts if isinstance(part, Words) and part.text.startswith("class"))
    assert np.diff(heights).min() >= 11 and len(heights) > 20


def test_it_can_be_written_for_a_paper():
    tiles = np.ma.array(np.zeros((2, 3, 6, 6)), mask=False)
    scene = selectivity([Panel("now", np.eye(2), tiles)], ["0", "1"], "ab")
    assert export(scene, "pdf").startswith(b"%PDF") and b"<image" in export(scene, "svg")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("count", [2, 16, 17, 256, 257, 3000])
def test_a_small_png_keeps_every_colour_and_opacity(channels, count):
    table = np.random.default_rng(count).permutation(256**3)[:count]
    colors = np.stack([table // 65536, table // 256 % 256, table % 256, table % 251], axis=1)[:, :channels]
    pixels = colors[np.arange(60 * 60) % count].reshape(60, 60, channels).astype(np.uint8)
    data = small_png(pixels)
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA" if channels == 4 else "RGB"))
    np.testing.assert_array_equal(shown, pixels)


def test_the_page_has_the_same_pixels():
    values = np.array([[0.5, -0.5]])
    scene = selectivity([Panel("now", values)], ["0"], "ab")
    (data,) = re.findall(r'href="data:image/png;base64,([^"]+)"', drawing(scene).svg)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))
    np.testing.assert_array_equal(shown, pictures(scene)[0].pixels)
