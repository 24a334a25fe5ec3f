"""The charts of the kinds of task: fit, histogram, shares with intervals, pictures in rows, text with numbers."""

import numpy as np
import pytest

from reportgen.figures.export import export
from reportgen.figures.histogram import histogram
from reportgen.figures.palettes import CLASS_COLORS, rgb
from reportgen.figures.rows import class_picture, picture_rows
from reportgen.figures.scatter import fit
from reportgen.figures.scene import WIDTH, Boxes, Dots, Lines, Picture, Words
from reportgen.figures.shares import share_rows
from reportgen.figures.svg import drawing
from reportgen.figures.text import right_to_left, token_text


def parts(scene, kind):
    return [part for part in scene.parts if isinstance(part, kind)]


def said(scene):
    return [part.text for part in parts(scene, Words)]


def test_a_fit_puts_equal_values_on_the_line_and_residuals_beside():
    true = np.array([0.0, 1.0, 2.0, np.nan])
    scene = fit(true, np.array([0.0, 1.0, 3.0, 1.0]), "height")
    left, right = (dots.points for dots in parts(scene, Dots))
    assert "n = 3, 1 not finite" in said(scene)
    line = next(part.lines[0] for part in parts(scene, Lines) if part.dashes)
    on = line[0, 1] + (left[:, 0] - line[0, 0]) * (line[1, 1] - line[0, 1]) / (line[1, 0] - line[0, 0])
    assert left[:2, 1] == pytest.approx(on[:2])
    assert left[2, 1] < on[2], "predicted too large: above the line"
    assert right[0, 1] == pytest.approx(right[1, 1])
    assert right[2, 1] < right[0, 1]


def test_a_histogram_counts_every_finite_value_once():
    values = np.array([0.0, 0.1, 0.1, 5.0, np.inf, np.nan])
    scene = histogram(values, "error", "images")
    boxes = parts(scene, Boxes)[0].boxes
    heights = boxes[:, 3] - boxes[:, 1]
    assert heights.sum() / heights.max() * 3 == pytest.approx(4)
    assert "no data" in said(histogram(np.array([np.nan]), "error", "images"))
    drawing(histogram(np.ones(5), "error", "images"))


def test_shares_lie_on_their_intervals_and_a_missing_one_is_no_data():
    values, low, high = np.array([0.5, np.nan, 1.0]), np.array([0.4, np.nan, np.nan]), np.array([0.7, np.nan, np.nan])
    scene = share_rows(["a", "b", "c"], {"Recall": (values, low, high)})
    points = parts(scene, Dots)[0].points
    (interval,) = parts(scene, Lines)[1].lines
    assert len(points) == 2
    assert interval[0, 0] < points[0, 0] < interval[1, 0]
    assert said(scene).count("no data") == 1


def test_small_pictures_in_rows_are_enlarged_by_a_whole_factor():
    rows = [[np.zeros((7, 5, 3), np.uint8)] * 3] * 2
    pictures = parts(picture_rows(["input", "true", "predicted"], rows, ["one", "two"], [("c0", "road")]), Picture)
    assert len(pictures) == 6
    assert {(picture.width / 5, picture.height / 7) for picture in pictures} == {(14.0, 14.0)}


def test_a_large_picture_in_a_row_fits_the_page():
    scene = picture_rows(["a", "b", "c", "d"], [[np.zeros((400, 600, 3), np.uint8)] * 4], ["a long name of a picture"])
    assert scene.width <= WIDTH
    assert all(picture.left + picture.width <= WIDTH for picture in parts(scene, Picture))


def test_each_class_has_its_colour_in_a_mask_and_none_is_grey():
    colored = class_picture(np.array([[0, 11, -1]]))
    assert colored[0, :2].tolist() == [list(rgb(CLASS_COLORS[0])), list(rgb(CLASS_COLORS[1]))]
    assert len({*colored[0, 2].tolist()}) > 1 or colored[0, 2, 0] not in (0, 255)


def test_the_more_surprising_token_is_the_bluer():
    scene = token_text(["first"], [["a", "b", " ", "c\n", "d"]], [np.array([np.nan, 0.0, 1.0, 2.0, 8.0])], 4.0)
    shades = {part.alpha: len(part.boxes) for part in parts(scene, Boxes)}
    assert shades == {0.6 * 3 / 12: 1, 0.6 * 6 / 12: 1, 0.6: 1}
    assert said(scene) == ["first", "a", "b", "c⏎", "d"]
    first, *_, last = (part.y for part in parts(scene, Words)[1:])
    assert last > first, "the newline ends the line"


def test_text_from_right_to_left_begins_at_the_right():
    scene = token_text(["hebrew"], [["שלום ", "עולם"]], [np.ones(2)], 1.0)
    one, two = (part.x for part in parts(scene, Words)[1:])
    assert WIDTH > one > two
    assert right_to_left("שלום") and not right_to_left("hello, 123")


@pytest.mark.parametrize("pieces", [[""], ["\x00"], ["字" * 100], ["<b>&amp;"], ["\u202e"], ["👩‍👩‍👧"]])
def test_any_token_is_drawn_on_the_page_and_for_a_paper(pieces):
    scene = token_text(["odd"], [pieces], [np.ones(len(pieces))], 1.0)
    assert drawing(scene).svg.startswith("<svg")
    assert export(scene, "svg")
