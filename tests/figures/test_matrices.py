import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from reportgen.errors import DataError
from reportgen.figures.matrices import confusion, heatmap
from reportgen.figures.palettes import DIVERGING, GREY, to_indices
from reportgen.figures.scene import Picture
from reportgen.figures.svg import drawing


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter() if element.tag.endswith("}text")]


def placed(svg):
    """(text, x, y) of every text."""
    found = [element for element in ET.fromstring(svg).iter() if element.tag.endswith("}text")]
    return [(element.text, float(element.get("x")), float(element.get("y"))) for element in found]


def shades(svg):
    found = [element for element in ET.fromstring(svg).iter() if element.get("class") == "accent-fill"]
    return [(float(element.get("opacity") or element.get("fill-opacity")), element.get("d")) for element in found]


def test_counts_stand_in_their_cells():
    matrix = np.array([[50, 3, 0], [0, 41, 7], [2, 0, 60]])
    svg = drawing(confusion(matrix, ["a", "b", "c"])).svg
    where = {text: (x, y) for text, x, y in placed(svg)}
    assert {"50", "3", "41", "7", "2", "60"} <= set(where) and "0" not in where
    assert where["50"][0] == where["2"][0] and where["3"][0] == where["41"][0] and where["7"][0] == where["60"][0]
    assert where["50"][1] == where["3"][1] and where["41"][1] == where["7"][1] and where["2"][1] == where["60"][1]
    assert where["50"][0] < where["3"][0] < where["7"][0] and where["50"][1] < where["41"][1] < where["2"][1]


def test_only_mistakes_are_shaded_by_their_share_of_the_row():
    matrix = np.array([[90, 10, 0], [0, 95, 5], [0, 0, 1000]])
    svg = drawing(confusion(matrix, ["a", "b", "c"])).svg
    (weak, weaker_cell), (strong, strong_cell) = sorted(shades(svg))
    assert strong == pytest.approx(0.6) and weak == pytest.approx(0.6 * 0.55)
    assert weaker_cell.count("m") == strong_cell.count("m") == 1
    assert "Strongest blue: 10 % of the row." in texts(svg)


def test_rows_end_with_their_share_of_correct_answers():
    matrix = np.array([[99_999, 1, 0], [1, 2, 0], [0, 0, 0]])
    drawn = texts(drawing(confusion(matrix, ["a", "b", "c"])).svg)
    assert "99,999" in drawn and "> 99.9 %" in drawn and "66.7 %" in drawn and "no data" in drawn


def test_a_perfect_and_an_empty_matrix():
    assert "No mistakes." in texts(drawing(confusion(np.eye(2, dtype=int), "ab")).svg)
    assert "No images." in texts(drawing(confusion(np.zeros((2, 2), int), "ab")).svg)


@pytest.mark.parametrize("count", [1, 10, 30, 100])
def test_any_number_of_classes_fits_the_page(count):
    matrix = np.random.default_rng(0).integers(0, 4, (count, count)) + 100 * np.eye(count, dtype=int)
    picture = drawing(confusion(matrix, [f"a rather long name of class {i}" for i in range(count)]))
    assert picture.width <= 780
    assert (str(matrix[0, 0]) in texts(picture.svg)) == (count <= 40)


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (2,)])
def test_a_matrix_of_another_shape_is_refused(shape):
    with pytest.raises(DataError, match=r"must be \[2, 2\]"):
        confusion(np.zeros(shape), ["a", "b"])


def test_a_heatmap_holds_the_palettes_colours_pixel_by_pixel():
    matrix = np.random.default_rng(0).normal(size=(7, 300))
    matrix[2, 3] = np.nan
    svg = drawing(heatmap(matrix, -2, 2, DIVERGING, x_label="unit", y_label="image")).svg
    (data,) = re.findall(r'href="data:image/png;base64,([^"]+)"', svg)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    assert np.array_equal(pixels, DIVERGING.rgb[to_indices(matrix, -2, 2, DIVERGING)])
    assert 'image-rendering="pixelated"' in svg
    assert {"unit", "image", "0", "6", "100"} <= set(texts(svg))


def test_a_heatmap_names_its_rows_and_columns():
    svg = drawing(heatmap(np.eye(2), 0, 1, GREY, x_label="u", y_label="v", y_names=["猫", "dog"])).svg
    where = {text: (x, y) for text, x, y in placed(svg)}
    assert where["0"][0] < where["1"][0] and where["猫"][1] < where["dog"][1]


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 2, 2)])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(DataError, match="a heatmap needs"):
        heatmap(np.zeros(shape), 0, 1, GREY, x_label="", y_label="")


def test_of_columns_that_stand_together_the_value_furthest_from_zero_is_shown():
    matrix = np.zeros((2, 7))
    matrix[0, 2], matrix[1, 6] = -2, 1
    few = heatmap(matrix, -2, 2, DIVERGING, x_label="", y_label="", together=3)
    (picture,) = (part for part in few.parts if isinstance(part, Picture))
    wanted = DIVERGING.rgb[to_indices(np.array([[-2.0, 0, 0], [0, 0, 1]]), -2, 2, DIVERGING)]
    assert np.array_equal(picture.pixels, wanted)
