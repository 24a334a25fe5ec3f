import io
import logging
import re
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest
from PIL import Image

from reportgen.core.report import Drawing, Figure
from reportgen.errors import OptionError
from reportgen.figures.chart import chart
from reportgen.figures.export import export, picture_export
from reportgen.figures.matrices import confusion
from reportgen.figures.mosaic import image, mosaic
from reportgen.figures.palettes import GREY, colorbar
from reportgen.figures.scatter import embedding_overlay
from reportgen.figures.scene import COLORS, Area, Boxes, Dots, Lines, Picture, Scene, Words
from tests.figures.test_svg import CHARTS

POINTS = np.random.default_rng(0).normal(size=(60, 2))
LABELS = np.arange(60) % 3
FORMATS = ("svg", "pdf", "png")
SCENE = embedding_overlay(POINTS, LABELS, POINTS[:9], LABELS[:9], ["cat", "dog $x_1$", "bird"])


def pdf_streams(data):
    """The decompressed streams of a PDF."""
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            yield zlib.decompress(match[1])
        except zlib.error:
            continue


def pixels_of(scene):
    """Its PNG, [height, width, 3], at one pixel per CSS pixel."""
    picture = Image.open(io.BytesIO(export(scene, "png"))).convert("RGB")
    size = (round(scene.width), round(scene.height))
    return np.asarray(picture.resize(size, Image.Resampling.BOX)).astype(int)


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("form", FORMATS)
def test_the_same_bytes_every_time(form, name):
    assert export(CHARTS[name](), form) == export(CHARTS[name](), form)


def test_svg_has_text_as_text_and_colours_of_its_own():
    root = ET.fromstring(export(SCENE, "svg"))
    texts = {element.text: element for element in root.iter() if element.tag.endswith("}text")}
    assert set(texts) == {"cat", "dog $x_1$", "bird"}
    assert texts["cat"].get("fill") == "#1c1e21" and texts["cat"].get("stroke") == "#ffffff"
    assert "DejaVu Sans" in root.get("font-family")
    assert not [element for element in root.iter() if element.get("class") or element.get("style")]
    assert root.get("width") == root.get("height") == "5.0556in", "720 px are 7 inches"


def test_pdf_embeds_truetype_and_keeps_text():
    data = export(SCENE, "pdf")
    assert data.startswith(b"%PDF") and b"/CreationDate" not in data
    assert b"/FontFile2" in data and b"/Type3" not in data
    box = re.search(rb"/MediaBox \[ ([^]]*) \]", data)
    assert box is not None and [float(x) for x in box[1].split()] == pytest.approx([0, 0, 364, 364])
    content = b"".join(pdf_streams(data))
    assert content.count(b"Tj") + content.count(b"TJ") >= 3


def test_png_is_for_print_on_white():
    picture = Image.open(io.BytesIO(export(SCENE, "png"))).convert("RGB")
    assert picture.size == (1516, 1516) and picture.getpixel((0, 0)) == (255, 255, 255)
    dpi = Image.open(io.BytesIO(export(SCENE, "png"))).info["dpi"]
    assert dpi == pytest.approx((300, 300), abs=0.1), "5.06 inches"
    assert b"Software" not in export(SCENE, "png")


def test_every_part_stands_in_print_where_it_stands_in_the_scene():
    accent = [int(COLORS["accent"][i : i + 2], 16) for i in (1, 3, 5)]
    blue = np.zeros((2, 2, 3), np.uint8) + np.array(accent, np.uint8)
    parts = (
        Boxes(np.array([[20, 20, 60, 40]]), "accent"),
        Lines((np.array([[100, 30], [180, 30]]),), "accent", 10),
        Area(np.array([[20, 60], [60, 60], [60, 100], [20, 100]]), "accent"),
        Dots(np.array([[140.0, 80.0]]), "accent", 30),
        Dots(np.array([[220.0, 80.0]]), "accent", 30, square=True),
        Picture(200, 20, 40, 20, blue),
    )
    drawn = pixels_of(Scene(260, 120, parts))
    inside = [(30, 40), (30, 140), (80, 40), (80, 140), (80, 208), (80, 220), (30, 220)]
    outside = [(30, 80), (22, 140), (38, 140), (110, 40), (62, 140), (62, 220), (50, 220), (30, 190), (10, 220)]
    assert [drawn[at].tolist() for at in inside] == [accent] * len(inside)
    assert [drawn[at].tolist() for at in outside] == [[255] * 3] * len(outside)


def test_words_begin_end_or_have_their_middle_at_their_place():
    for anchor, low, high in (("start", 0, 40), ("middle", -20, 20), ("end", -40, 0)):
        dark = pixels_of(Scene(200, 100, (Words(100, 50, "HHHH", anchor=anchor, size=12),))).max(axis=2) < 200
        rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
        assert 39 <= rows[0] <= 43 and 48 <= rows[-1] <= 50, "on its baseline"
        assert 100 + low - 2 <= columns[0] and columns[-1] <= 100 + high + 2
        assert columns[-1] - columns[0] > 25
    dark = pixels_of(Scene(200, 100, (Words(100, 50, "HHHH", anchor="middle", turned=True),))).max(axis=2) < 200
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    assert rows[0] < 38 and rows[-1] > 62 and columns[0] >= 89 and columns[-1] <= 101, "upwards"


def test_an_unknown_format_is_refused():
    with pytest.raises(OptionError, match="did you mean png"):
        export(SCENE, "pngg")


def test_a_chart_is_drawn_for_the_page_and_exported_when_asked():
    figure = chart("cloud", SCENE, alt="three clouds", caption="c", wide=True)
    assert isinstance(figure, Figure) and isinstance(figure.picture, Drawing) and figure.wide
    assert (figure.alt, figure.picture.width) == ("three clouds", 520)
    assert figure.export("svg") == export(SCENE, "svg")


def test_characters_that_no_font_has_are_squares_and_in_the_log(caplog):
    """Warnings are errors here: matplotlib's own about missing glyphs would fail this."""
    name = "x\U000f0000y"
    scene = confusion(np.eye(2, dtype=int), [name, "b"])
    square = confusion(np.eye(2, dtype=int), ["x□y", "b"])
    with caplog.at_level(logging.WARNING):
        export(scene, "svg")
        assert not caplog.messages
        export(scene, "pdf")
        drawn = export(scene, "png")
    assert [message.count(name) for message in caplog.messages] == [1, 1]
    assert name in export(scene, "svg").decode()
    assert drawn == export(square, "png") or scene.width != square.width


@pytest.mark.parametrize("form", FORMATS)
def test_a_mosaic_for_a_paper(form):
    tiles = np.random.default_rng(0).random((6, 12, 12))
    made = mosaic(tiles, 0, 1, GREY, labels=[f"channel {index}" for index in range(6)], outlined=[2])
    data = picture_export(made, colorbar(GREY, 0, 1))(form)
    assert data == picture_export(made, colorbar(GREY, 0, 1))(form)
    if form == "svg":
        root = ET.fromstring(data)
        texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
        assert texts == [f"channel {index}" for index in range(6)] + ["1", "0"]
        assert sum(element.tag.endswith("}image") for element in root.iter()) == 2
        assert "#2b6cb0" in data.decode()


def test_an_image_for_a_paper_keeps_its_pixels():
    pixels = np.arange(12.0).reshape(3, 4)
    shown = np.asarray(Image.open(io.BytesIO(picture_export(image(pixels, 0, 11))("png"))).convert("L"))
    height, width = shown.shape
    rows, columns = (np.arange(3) * 2 + 1) * height // 6, (np.arange(4) * 2 + 1) * width // 8
    assert np.array_equal(shown[np.ix_(rows, columns)], np.rint(pixels / 11 * 255))
