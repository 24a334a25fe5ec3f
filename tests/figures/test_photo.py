"""Photographs in one picture: lossless where they are small, and of as many bytes as they may have."""

import numpy as np
import pytest

from reportgen.figures.photo import LEAST, photos

DRAWN = np.random.default_rng(0)


def noise(side, count=4):
    return DRAWN.integers(0, 256, (count, side, side, 3))


def test_what_fits_is_as_it_is_without_a_limit():
    for tiles in (noise(20), noise(100)):
        whole = photos(tiles, "abcd")
        assert photos(tiles, "abcd", most=len(whole.raster.data)) == whole
    assert photos(noise(20), "abcd").raster.mime == "image/png"


@pytest.mark.parametrize(("side", "share"), [(100, 0.5), (101, 0.1), (60, 0.4), (60, 0.05)])
def test_a_picture_is_halved_until_it_takes_no_more(side, share):
    tiles = noise(side)
    most = int(share * len(photos(tiles, "abcd").raster.data))
    found = photos(tiles, "abcd", most=most)
    assert len(found.raster.data) <= most and found.labels == tuple("abcd")
    assert found.grid.tile_width in {side, -(-side // 2), -(-side // 4), -(-side // 8)}
    assert found.raster.pixelated == (found.grid.tile_width <= 64)


def test_nothing_becomes_smaller_than_can_be_seen():
    assert LEAST // 2 < photos(noise(60), "abcd", most=1).grid.tile_width <= LEAST
