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
from reportgen.figures.matrices import confusion
from reportgen.figures.mosaic import image, mosaic
from reportgen.figures.palettes import GREY, colorbar
from reportgen.figures.paper import chart, export, picture_export
from reportgen.figures.scatter import embedding

POINTS = np.random.default_rng(0).normal(size=(60, 2))
LABELS = np.arange(60) % 3
FORMATS = ("svg", "pdf", "png")


def make():
    return embedding(POINTS, LABELS, ["cat", "dog $x_1$", "bird"])


def pdf_streams(data):
    """The decompressed streams of a PDF."""
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            yield zlib.decompress(match[1])
        except zlib.error:
            continue


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_bytes_every_time(form):
    assert export(make, form) == export(make, form)


def test_svg_has_text_as_text_and_colours_of_its_own():
    root = ET.fromstring(export(make, "svg"))
    texts = {element.text: element for element in root.iter() if element.tag.endswith("}text")}
    assert set(texts) == {"cat", "dog $x_1$", "bird"}
    assert texts["cat"].get("fill") == "#1c1e21" and texts["cat"].get("stroke") == "#ffffff"
    assert "DejaVu Sans" in texts["cat"].get("font-family")
    assert not [element for element in root.iter() if element.get("class") or element.get("style")]
    assert root.get("width") == root.get("height") == "5.0556in", "720 px are 7 inches"


def test_pdf_embeds_truetype_and_keeps_text():
    data = export(make, "pdf")
    assert data.startswith(b"%PDF") and b"/CreationDate" not in data
    assert b"/FontFile2" in data and b"/Type3" not in data
    box = re.search(rb"/MediaBox \[ ([^]]*) \]", data)
    assert box is not None and [float(x) for x in box[1].split()] == pytest.approx([0, 0, 364, 364])
    content = b"".join(pdf_streams(data))
    assert content.count(b"Tj") + content.count(b"TJ") >= 3


def test_png_is_for_print_on_white():
    picture = Image.open(io.BytesIO(export(make, "png"))).convert("RGB")
    assert picture.size == (1516, 1516) and picture.getpixel((0, 0)) == (255, 255, 255)
    dpi = Image.open(io.BytesIO(export(make, "png"))).info["dpi"]
    assert dpi == pytest.approx((300, 300), abs=0.1), "5.06 inches"
    assert b"Software" not in export(make, "png")


def test_an_unknown_format_is_refused():
    with pytest.raises(OptionError, match="did you mean png"):
        export(make, "pngg")


def test_a_chart_is_drawn_now_and_exported_later():
    calls = []

    def factory():
        calls.append(1)
        return make()

    figure = chart("cloud", factory, alt="three clouds", caption="c", wide=True)
    assert isinstance(figure, Figure) and isinstance(figure.picture, Drawing) and figure.wide
    assert 'aria-label="three clouds"' in figure.picture.svg and len(calls) == 1
    assert figure.export("svg") == export(make, "svg") and len(calls) == 2


def test_characters_that_no_font_has_are_squares_and_in_the_log(caplog):
    name = "x\U000f0000y"

    def factory():
        return confusion(np.eye(2, dtype=int), [name, "b"])

    with caplog.at_level(logging.WARNING):
        export(factory, "svg")
        assert not caplog.messages
        export(factory, "pdf")
        export(factory, "png")
    assert [message.count(name) for message in caplog.messages] == [1, 1]
    assert name in export(factory, "svg").decode()


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
