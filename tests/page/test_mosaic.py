"""Where tiles and numbers stand."""

from dataclasses import replace

import pytest

from reportgen.core.report import Raster
from reportgen.page.mosaic import fit, form_and_words, layout, scale
from tests.page.sample import maps, mosaic


def test_tiles_stand_where_the_raster_has_them() -> None:
    given = mosaic(maps(10, 7), columns=4, gap=2)
    place = layout(given, 3)
    assert [len(row.tiles) for row in place.rows] == [4, 4, 2]
    for index, label in enumerate(given.labels):
        row, column = divmod(index, 4)
        tile = place.rows[row].tiles[column]
        assert tile.text == label
        assert (tile.x, tile.y) == (
            place.left + column * place.pitch_x,
            place.top + row * place.pitch_y,
        )
        assert place.pitch_x == (7 + 2) * 3
    # The box of row 1 begins below one gap, one tile and another gap, and leaves the outer gaps out.
    assert [row.box for row in place.rows] == ["2 2 34 7", "2 11 34 7", "2 20 16 7"]
    assert [row.width for row in place.rows] == [34 * 3, 34 * 3, 16 * 3]
    assert place.rows[-1].y + place.rows[-1].height <= place.height


def test_numbers_never_overlap_the_tiles_nor_each_other() -> None:
    place = layout(mosaic(maps(1000, 5), columns=40), 5)
    assert place.above and place.pitch_x == 30
    for above, below in zip(place.rows, place.rows[1:], strict=False):
        assert below.y - (above.y + above.height) >= 14


def test_tiles_too_narrow_for_their_numbers_have_them_at_the_left() -> None:
    place = layout(mosaic(maps(200, 5), columns=20), 2)
    assert not place.above
    assert [row.tiles[0].text for row in place.rows] == [str(i) for i in range(0, 200, 20)]
    assert not any(tile.text for row in place.rows for tile in row.tiles[1:])
    assert place.left >= len("180") * 6


def test_a_number_is_never_cut_but_a_name_is() -> None:
    numbers = mosaic(maps(2000, 4), columns=50)
    assert not layout(numbers, 5).above
    names = replace(numbers, labels=tuple(f"channel {i}" for i in range(2000)))
    assert not layout(names, 5).above
    wide = replace(mosaic(maps(4, 30), 2), labels=("a long class name",) * 4)
    assert layout(wide, 2).rows[0].tiles[0].text == "a long cl…"


@pytest.mark.parametrize(
    ("text", "room", "cut"), [("abc", 18, "abc"), ("abcd", 18, "ab…"), ("第一層", 25, "第…"), ("a", 1, "")]
)
def test_texts_are_cut_to_their_room(text: str, room: float, cut: str) -> None:
    assert fit(text, room) == cut


def test_outlined_tiles_are_marked() -> None:
    place = layout(mosaic(maps(6, 8), 3, outlined=(0, 4)), 4)
    assert [tile.outlined for row in place.rows for tile in row.tiles] == [True, False, False, False, True, False]


@pytest.mark.parametrize("stand, room", [("full", (980, 780)), ("half", (480, 480)), ("quarter", (224, 224))])
@pytest.mark.parametrize("count, side, columns", [(1, 28, 1), (16, 24, 4), (64, 20, 8), (512, 13, 32), (64, 113, 8)])
def test_pictures_are_as_large_as_their_place_allows_and_no_larger(stand, room, count, side, columns) -> None:
    picture = mosaic(maps(count, side), columns, stand=stand)
    factor = scale(picture)
    width, height = picture.raster.width, picture.raster.height
    assert factor == 1 or (width * factor <= room[0] and height * factor <= room[1])
    assert factor == 24 or width * (factor + 1) > room[0] or height * (factor + 1) > room[1]


def test_values_are_never_larger_than_24_px_and_photographs_stay_as_they_are() -> None:
    assert scale(mosaic(maps(1, 3), 1)) == 24
    assert scale(Raster(b"", "image/webp", 30, 20)) == 1
    assert scale(Raster(b"", "image/png", 28, 28, pixelated=True)) == 8


@pytest.mark.parametrize(
    ("values", "form", "words"),
    [
        (("max 2, min −1", "max 3, min −1"), "max # min −1", "2,\n3,"),
        (("a  b", "a c d"), "", "a b\na c d"),
        (("no #1", "no #2"), "", "no #1\nno #2"),
        (("same", "same"), "same", "\n"),
    ],
)
def test_what_tiles_say_of_themselves_shares_its_words(values: tuple[str, ...], form: str, words: str) -> None:
    assert form_and_words(values) == (form, words)
