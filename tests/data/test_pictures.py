"""Pictures in every form that Pillow writes, and files that only look like pictures."""

import numpy as np
import pytest
from PIL import Image

from reportgen.data.pictures import (
    MAX_PIXELS,
    as_pictures,
    read_picture,
    resized,
    stacked,
    with_channels,
)
from reportgen.errors import DataError

COLORS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
GREY = COLORS[..., 0]


def save(path, image, **options):
    image.save(path, **options)
    return path


def test_rgb_and_grey_come_as_they_are(tmp_path):
    color = read_picture(save(tmp_path / "c.png", Image.fromarray(COLORS)))
    grey = read_picture(save(tmp_path / "g.png", Image.fromarray(GREY)))
    assert color.pixels.dtype == np.float32
    assert np.array_equal(color.pixels, COLORS)
    assert np.array_equal(grey.pixels, GREY[..., None])
    assert color.notes == grey.notes == ()
    assert color.name == "c.png"


def test_sixteen_bits_keep_their_levels_and_say_so(tmp_path):
    deep = np.array([[0, 1, 257], [32768, 65278, 65535]], np.uint16)
    picture = read_picture(save(tmp_path / "deep.png", Image.fromarray(deep)))
    assert np.allclose(picture.pixels[..., 0], deep / 257, atol=1e-5)
    assert picture.notes == ("16 bits a channel, divided by 257",)


def test_a_palette_is_converted_and_said(tmp_path):
    indexed = Image.fromarray(COLORS).quantize(8)
    picture = read_picture(save(tmp_path / "p.png", indexed))
    assert np.array_equal(picture.pixels, np.asarray(indexed.convert("RGB")))
    assert "palette" in picture.notes[0]


def test_black_and_white_and_cmyk_are_converted_and_said(tmp_path):
    bits = read_picture(save(tmp_path / "b.png", Image.fromarray(GREY > 128)))
    assert set(np.unique(bits.pixels)) == {0, 255}
    assert "black and white" in bits.notes[0]
    cmyk = read_picture(save(tmp_path / "c.jpg", Image.fromarray(COLORS).convert("CMYK")))
    assert cmyk.pixels.shape == (6, 5, 3)
    assert "CMYK" in cmyk.notes[0]


def test_transparency_is_laid_on_white_and_said(tmp_path):
    alpha = np.full((6, 5, 1), 255, np.uint8)
    alpha[0, 0], alpha[1, 1] = 0, 128
    see_through = read_picture(save(tmp_path / "a.png", Image.fromarray(np.concatenate([COLORS, alpha], axis=2))))
    share = alpha / 255
    assert np.abs(see_through.pixels - (COLORS * share + 255 * (1 - share))).max() <= 1
    assert see_through.notes == ("RGBA: laid on white",)
    opaque = np.concatenate([COLORS, np.full((6, 5, 1), 255, np.uint8)], axis=2)
    picture = read_picture(save(tmp_path / "o.png", Image.fromarray(opaque)))
    assert np.array_equal(picture.pixels, COLORS)
    assert picture.notes == ("RGBA: alpha channel dropped, opaque everywhere",)


def test_grey_with_alpha_stays_grey(tmp_path):
    picture = read_picture(save(tmp_path / "la.png", Image.fromarray(GREY).convert("LA")))
    assert np.array_equal(picture.pixels, GREY[..., None])
    assert "LA" in picture.notes[0]


def test_a_transparent_colour_of_an_rgb_file_counts_as_transparency(tmp_path):
    key = tuple(int(x) for x in COLORS[2, 2])
    picture = read_picture(save(tmp_path / "k.png", Image.fromarray(COLORS), transparency=key))
    assert np.array_equal(picture.pixels[2, 2], [255, 255, 255])
    assert "laid on white" in picture.notes[0]


def test_the_exif_mark_turns_the_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    picture = read_picture(save(tmp_path / "t.png", Image.fromarray(COLORS), exif=exif))
    assert np.array_equal(picture.pixels, np.rot90(COLORS, -1))
    assert "EXIF" in picture.notes[0]


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    picture = read_picture(save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))
    assert np.array_equal(picture.pixels[..., 0], GREY)
    assert "first frame" in picture.notes[0]


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "n.png").write_text("no picture")
    whole = save(
        tmp_path / "w.png", Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    )
    (tmp_path / "t.png").write_bytes(whole.read_bytes()[:2000])
    for name in ("n.png", "t.png"):
        with pytest.raises(DataError, match=f"{name}.*not a readable picture"):
            read_picture(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        read_picture(tmp_path / "missing.png")
    with pytest.raises(DataError, match="a folder"):
        read_picture(tmp_path)
    with pytest.raises(DataError, match="expected at least one picture"):
        as_pictures([])


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    side = int(MAX_PIXELS**0.5) + 1
    bomb = save(tmp_path / "bomb.png", Image.new("1", (side, side)))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(DataError, match=f"{side}x{side} pixels"):
        read_picture(bomb)


def test_float_pictures_are_refused(tmp_path):
    with pytest.raises(DataError, match="mode F"):
        read_picture(save(tmp_path / "f.tif", Image.fromarray(GREY.astype(np.float32))))


def test_equal_names_get_numbers(tmp_path):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(save(tmp_path / folder / "x.png", Image.fromarray(GREY)))
    assert [picture.name for picture in as_pictures(paths)] == ["x.png", "x.png#2"]


def test_arrays_are_taken_as_pictures_and_bytes_stay_the_same_bytes():
    as_bytes, as_shares = as_pictures([GREY, GREY / np.float32(255)])
    assert np.array_equal(as_bytes.pixels, GREY[..., None])
    assert np.array_equal(as_shares.pixels, as_bytes.pixels)
    assert (as_bytes.name, as_shares.name) == ("image 0", "image 1")
    for wrong in (GREY.astype(np.int32), GREY.astype(np.float32), np.zeros((3, 3, 2)), np.full((2, 2), np.nan)):
        with pytest.raises(DataError):
            as_pictures([wrong])


def test_two_sizes_are_refused_with_both_named_and_resizing_mends_it():
    pictures = as_pictures([np.full((6, 5), 7, np.uint8), np.full((4, 9), 200, np.uint8)])
    with pytest.raises(DataError, match=r"image 0 is 6x5, image 1 is 4x9.*--size 6x5"):
        stacked(pictures)
    mended = resized(pictures, (6, 5))
    assert stacked(mended).shape == (2, 6, 5, 1)
    assert mended[0] is pictures[0]
    assert np.allclose(mended[1].pixels, 200)
    assert "from 4×9 to 6×5" in mended[1].notes[-1]


def test_channels_are_made_to_fit_and_said():
    grey, color = as_pictures([GREY, COLORS])
    both = with_channels([grey, color], 3)
    assert np.array_equal(both[0].pixels, np.repeat(GREY[..., None], 3, axis=2))
    assert both[1] is color
    assert "repeated" in both[0].notes[0]
    (made,) = with_channels([color], 1)
    luma = COLORS @ np.array([0.299, 0.587, 0.114])
    assert np.allclose(made.pixels[..., 0], luma, atol=1e-3)
    assert "made grey" in made.notes[0]
    with pytest.raises(DataError, match="4 channels"):
        with_channels([color], 4)
