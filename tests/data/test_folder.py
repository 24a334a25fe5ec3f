"""Image folders: what becomes of every kind of picture, and what is refused."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from reportgen.data import folder
from reportgen.data.pictures import read_picture
from reportgen.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)


def grey(value: int, size: tuple[int, int] = (5, 4)) -> Image.Image:
    return Image.new("L", size, value)


def strictly(path: Path) -> np.ndarray:
    """The pixels as a dataset's folder reads them, which are those of an inspection."""
    pixels = folder.read_image(path)
    np.testing.assert_array_equal(pixels, read_picture(path).pixels)
    return pixels


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Classes rose and tulip, three grey pictures each; the value tells which is which."""
    for base, name in ((10, "tulip"), (100, "rose")):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for index in range(3):
            grey(base + index).save(tmp_path / "flowers" / name / f"{index}.png")
    return tmp_path / "flowers"


def test_classes_are_the_sorted_folders(flowers: Path) -> None:
    (flowers / "README.txt").write_text("beside the classes: skipped")
    (flowers / ".hidden").mkdir()
    for name in (".DS_Store", "._1.png", "Thumbs.db", "desktop.ini", "1.png:Zone.Identifier"):
        (flowers / "rose" / name).write_bytes(b"skipped")
    (flowers / "__MACOSX" / "rose").mkdir(parents=True)
    data = folder.load(flowers)
    assert data.name == "flowers"
    assert data.classes == ("rose", "tulip")
    assert data.image_shape == (4, 5, 1)
    values = np.rint(np.concatenate([data.train_images, data.test_images])[:, 0, 0, 0] * 255)
    labels = np.concatenate([data.train_labels, data.test_labels])
    pairs = {(int(value), int(label)) for value, label in zip(values, labels, strict=True)}
    assert pairs == {(100, 0), (101, 0), (102, 0), (10, 1), (11, 1), (12, 1)}
    assert np.bincount(data.test_labels).tolist() == [1, 1]
    assert folder.load(flowers).fingerprint == data.fingerprint


def test_grey_among_rgb_becomes_rgb(flowers: Path) -> None:
    Image.new("RGB", (5, 4), (1, 2, 3)).save(flowers / "rose" / "0.png")
    data = folder.load(flowers)
    assert data.image_shape == (4, 5, 3)
    pixels = {tuple(np.rint(image[0, 0] * 255).astype(int)) for image in (*data.train_images, *data.test_images)}
    assert {(1, 2, 3), (101, 101, 101)} <= pixels


def test_sixteen_bits_are_kept(flowers: Path) -> None:
    deep = np.full((4, 5), 51300, np.uint16)
    Image.fromarray(deep).save(flowers / "rose" / "0.png")
    data = folder.load(flowers)
    values = {round(float(image[0, 0, 0]) * 65535) for image in (*data.train_images, *data.test_images)}
    assert {51300, 101 * 257, 10 * 257} <= values


def test_names_without_a_known_end_are_pictures_all_the_same(flowers: Path) -> None:
    for name in ("photo.JFIF", "image_0001", "scan.odd"):
        (flowers / "rose" / name).write_bytes((flowers / "rose" / "1.png").read_bytes())
    data = folder.load(flowers)
    assert len(data.train_labels) + len(data.test_labels) == 9


def test_every_mode(tmp_path: Path) -> None:
    colours = PIXELS[:4, :5]
    rgb = Image.fromarray(colours)
    opaque = rgb.convert("RGBA")
    palette = Image.new("P", (5, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    for name, image, wanted in [
        ("rgb.png", rgb, colours),
        ("rgba.png", opaque, colours),
        ("palette.png", palette, np.full((4, 5, 3), (200, 100, 50))),
        ("one.png", grey(255).convert("1"), np.full((4, 5, 1), 255)),
        ("la.png", grey(7).convert("LA"), np.full((4, 5, 1), 7)),
        ("grey.bmp", grey(9), np.full((4, 5, 1), 9)),
        ("rgb.webp", grey(9).convert("RGB"), np.full((4, 5, 3), 9)),
    ]:
        image.save(tmp_path / name, lossless=True) if name.endswith("webp") else image.save(tmp_path / name)
        found = strictly(tmp_path / name)
        np.testing.assert_array_equal(found, wanted, err_msg=name)


def test_the_turn_mark_of_a_jpeg_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.arange(0, 240, 30, np.uint8)[None], 16, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees to the right
    image.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    found = strictly(tmp_path / "turned.jpg")
    assert found.shape == (8, 16, 1)
    assert found[0].mean() < 5 < 200 < found[-1].mean()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("RGBA", (5, 4), (1, 2, 3, 200)), "partly transparent"),
        (Image.new("LA", (5, 4), (1, 0)), "partly transparent"),
    ],
)
def test_transparent_pictures_are_refused(tmp_path: Path, image: Image.Image, message: str) -> None:
    image.save(tmp_path / "a.png")
    with pytest.raises(DataError, match=f"a.png: .*{message}"):
        strictly(tmp_path / "a.png")


def test_two_sizes_are_both_named(flowers: Path) -> None:
    grey(3, (6, 4)).save(flowers / "tulip" / "1.png")
    with pytest.raises(DataError, match=r"two sizes: rose.0\.png is 5x4, tulip.1\.png is 6x4"):
        folder.load(flowers)


def test_layouts_that_are_no_image_folder(flowers: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        folder.load(flowers / "absent")
    (flowers / "empty").mkdir()
    with pytest.raises(DataError, match="0 class folders; at least 2"):
        folder.load(flowers / "empty")
    with pytest.raises(DataError, match="empty: 0 pictures; a class needs at least 2"):
        folder.load(flowers)
    (flowers.parent / "other").mkdir()
    with pytest.raises(DataError, match="a folder within a class folder"):
        folder.load(flowers.parent)


def test_one_class(flowers: Path) -> None:
    for file in (flowers / "tulip").iterdir():
        file.unlink()
    (flowers / "tulip").rmdir()
    with pytest.raises(DataError, match="1 class folder; at least 2"):
        folder.load(flowers)


def test_files_that_are_no_pictures(flowers: Path) -> None:
    notes = flowers / "rose" / "notes.txt"
    notes.write_text("hello")
    with pytest.raises(DataError, match=r"notes.txt: not a readable picture; save it as one of PNG"):
        folder.load(flowers)
    notes.unlink()
    grey(1).save(flowers / "loose.png")
    with pytest.raises(DataError, match=r"loose\.png is beside the class folders"):
        folder.load(flowers)
    (flowers / "loose.png").unlink()
    whole = (flowers / "rose" / "1.png").read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        (flowers / "rose" / "1.png").write_bytes(content)
        with pytest.raises(DataError, match=r"1\.png: not a readable picture"):
            folder.load(flowers)


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    data = b"IDAT" + zlib.compress(bytes(100))
    parts = [len(body[4:]).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big") for body in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("size", [(5000, 5000), (12000, 10000), (60000, 60000)])
def test_absurdly_large_pictures_are_refused_unread(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    with pytest.raises(DataError, match=r"at most 16,777,216|decompression bomb"):
        strictly(tmp_path / "bomb.png")


def test_too_much_in_all_is_refused_after_the_first(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_BYTES", 6 * 5 * 4 * 3 - 1)
    with pytest.raises(DataError, match="6 pictures of 5x4 pixels take more than 359 bytes"):
        folder.load(flowers)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_mutated_picture_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(["png", "jpg", "gif", "bmp", "tif", "webp", "ppm"]))
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PIXELS).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = strictly(path)
    except DataError as problem:
        assert str(path) in str(problem)
    else:
        assert found.ndim == 3
        assert found.shape[2] in (1, 3)
