"""Pictures in every form that Pillow writes, and files that only look like pictures."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "t.png", Image.fromarray(COLORS), exif=exif)
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(Image.open(path))))
    assert picture.notes == (() if orientation == 1 else ("turned as its EXIF mark says",))


@pytest.mark.parametrize(
    "mark", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0XX" + bytes(40), b"\xff" * 60]
)
def test_an_unreadable_exif_mark_leaves_the_picture(tmp_path, mark):
    plain = save(tmp_path / "plain.jpg", Image.fromarray(COLORS))
    marked = save(tmp_path / "marked.jpg", Image.fromarray(COLORS), exif=mark)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_picture(marked).pixels, read_picture(plain).pixels)


def test_what_a_phone_puts_behind_a_photograph_is_no_animation(tmp_path):
    path = tmp_path / "phone.jpg"
    large = Image.fromarray(COLORS)
    large.save(path, format="MPO", save_all=True, append_images=[large.resize((3, 2))])
    alone = save(tmp_path / "alone.jpg", large)
    assert np.array_equal(read_picture(path).pixels, read_picture(alone).pixels)
    assert read_picture(path).notes == ()


def test_the_pages_of_a_tiff_are_counted(tmp_path):
    page = Image.fromarray(GREY)
    picture = read_picture(save(tmp_path / "a.tif", page, save_all=True, append_images=[page, page]))
    assert picture.notes == ("first of 3 pages",)


def png(depth: int, kind: int, row: bytes, width: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of one row, which Pillow can't write."""
    header = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in parts
    )


@pytest.mark.parametrize(
    ("file", "seen"),
    [
        (png(16, 0, struct.pack(">2H", 1000, 25700), 2, (b"tRNS", struct.pack(">H", 1000))), [255, 100]),
        (png(4, 0, bytes([0xF3]), 2, (b"tRNS", struct.pack(">H", 3))), [255, 255]),
        (png(2, 0, bytes([0b11011000]), 3, (b"tRNS", struct.pack(">H", 2))), [255, 85, 255]),
        (png(1, 0, bytes([0b01000000]), 2, (b"tRNS", struct.pack(">H", 0))), [255, 255]),
    ],
    ids=["16 bits", "4 bits", "2 bits", "1 bit"],
)
def test_a_value_that_is_named_as_transparent_is_it_at_every_depth(tmp_path, file, seen):
    (tmp_path / "a.png").write_bytes(file)
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels[0, :, 0].tolist() == seen and "laid on white" in picture.notes[-1]
    with pytest.raises(DataError, match="partly transparent"):
        read_picture(tmp_path / "a.png", opaque=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rgb.png", png(16, 2, bytes(6), 1)),
        ("rgba.png", png(16, 6, bytes(8), 1)),
        ("la.png", png(16, 4, bytes(4), 1)),
        ("rgb.ppm", b"P6 1 1 65535\n" + bytes(6)),
    ],
)
def test_sixteen_bits_of_colour_are_refused_rather_than_halved(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: 16 bits a channel in colour.*save it as 8-bit RGB"):
        read_picture(tmp_path / name)


def tiff(photometric: int, bits: int, row: bytes) -> bytes:
    """A TIFF file of one row of two pixels, which Pillow can't write."""
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 122, 277: 1, 278: 1, 279: len(row)}
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + row


def test_white_may_be_zero(tmp_path):
    (tmp_path / "8.tif").write_bytes(tiff(0, 8, bytes([0, 255])))
    (tmp_path / "16.tif").write_bytes(tiff(0, 16, struct.pack("<2H", 0, 65535)))
    for name in ("8.tif", "16.tif"):
        assert read_picture(tmp_path / name).pixels[0, :, 0].tolist() == [255, 0]


def test_twelve_bits_are_refused(tmp_path):
    (tmp_path / "12.tif").write_bytes(tiff(1, 12, bytes(3)))
    with pytest.raises(DataError, match="12 bits a channel"):
        read_picture(tmp_path / "12.tif")


def test_what_systems_leave_beside_pictures_is_passed_over(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(GREY))
    left = [tmp_path / name for name in ("Thumbs.db", "._a.png", "a.png:Zone.Identifier")]
    assert [picture.name for picture in as_pictures([*left, path])] == ["a.png"]
    with pytest.raises(DataError, match="at least one picture"):
        as_pictures(left)


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
