import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest

from reportgen.figures.bars import pair_bars
from reportgen.figures.curves import curves
from reportgen.figures.marks import class_dots, shaded
from reportgen.figures.matrices import confusion, heatmap
from reportgen.figures.palettes import DIVERGING
from reportgen.figures.scatter import embedding_multiples, embedding_overlay, scatter_change
from reportgen.figures.scene import COLORS, Area, Boxes, Dots, Lines, Link, Picture, Scene, Words
from reportgen.figures.svg import drawing

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.normal(size=(200, 2))
LABELS = RANDOM.integers(0, 10, 200)
DIGITS = [str(digit) for digit in range(10)]
CHARTS = {
    "curves": lambda: curves([0, 1, 2], {"train": [2, 1, 0.5]}, {"train": [0.1, 0.5, 0.9]}, [1, 2], [2, 1]),
    "bars": lambda: pair_bars([("cat", "dog", 3), ("dog", "bird", 1)]),
    "confusion": lambda: confusion(np.eye(10, dtype=int) + 1, DIGITS),
    "heatmap": lambda: heatmap(np.eye(4), -1, 1, DIVERGING, x_label="unit", y_label="image"),
    "multiples": lambda: embedding_multiples([POINTS, POINTS / 2], ["a", "b"], LABELS, DIGITS),
    "overlay": lambda: embedding_overlay(POINTS, LABELS, POINTS[:9], LABELS[:9], DIGITS),
    "change": lambda: scatter_change(POINTS[:, 0], POINTS[:, 1], "conv1/kernel", 0.5),
}


def elements(svg):
    return list(ET.fromstring(svg).iter())


def name_of(element):
    return element.tag.rpartition("}")[2]


def drawn(*parts):
    """The elements inside a drawing of these parts."""
    return elements(drawing(Scene(100, 80, parts)).svg)[1:]


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_that_a_strict_page_would_drop(name):
    picture = drawing(CHARTS[name]())
    root = ET.fromstring(picture.svg)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert (float(root.get("width")), float(root.get("height"))) == pytest.approx(
        (picture.width, picture.height), abs=0.01
    )
    for element in root.iter():
        assert name_of(element) in ("svg", "path", "text", "image")
        assert not {"style", "font-family", "id"} & set(element.attrib)
        for key, value in element.attrib.items():
            assert not key.startswith("on")
            if key.endswith("href"):
                assert value.startswith("data:image/png;base64,") and "\n" not in value


@pytest.mark.parametrize("name", CHARTS)
def test_theme_colours_are_classes_and_numbers_are_short(name):
    svg = drawing(CHARTS[name]()).svg
    without_pictures = re.sub(r"data:image/png;base64,[^\"]*", "", svg)
    assert "#" not in without_pictures
    classes = {token for element in elements(svg)[1:] for token in element.get("class", "").split()}
    assert classes <= {f"{color}-{kind}" for color in COLORS for kind in ("fill", "stroke")} | {"hook"}
    assert not re.findall(r"\d\.\d{4,}", without_pictures)


@pytest.mark.parametrize("name", CHARTS)
def test_all_of_it_stands_inside_the_picture(name):
    scene = CHARTS[name]()
    for part in scene.parts:
        match part:
            case Boxes(boxes):
                x, y = boxes[:, [0, 2]], boxes[:, [1, 3]]
            case Lines(lines):
                x, y = (np.concatenate([line[:, axis] for line in lines] or [np.zeros(0)]) for axis in (0, 1))
            case Area(points) | Dots(points):
                x, y = points.T
            case Words():
                x, y = np.array([part.x]), np.array([part.y])
            case Picture():
                x, y = np.array([part.left, part.left + part.width]), np.array([part.top, part.top + part.height])
        assert ((x >= 0) & (x <= scene.width)).all() and ((y >= 0) & (y <= scene.height)).all(), part


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_drawing_twice_and_no_state_left(name):
    before = dict(matplotlib.rcParams)
    first, second = (drawing(CHARTS[name]()).svg for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", CHARTS)
def test_a_users_own_settings_change_nothing(name):
    expected = drawing(CHARTS[name]()).svg
    own = {
        "axes.autolimit_mode": "round_numbers",
        "font.size": 30,
        "font.family": ["DejaVu Serif"],
        "text.hinting": "none",
    }
    with matplotlib.rc_context(own):
        assert drawing(CHARTS[name]()).svg == expected


def test_two_processes_draw_the_same_bytes_without_pyplot():
    program = (
        "import sys, hashlib, numpy as np\n"
        "import reportgen.figures.bars as c, reportgen.figures.svg as d, reportgen.figures.export as p\n"
        "import reportgen.figures.animation, reportgen.figures.kernels, reportgen.figures.matrices\n"
        "assert 'matplotlib' not in sys.modules and 'PIL' not in sys.modules\n"
        "scene = c.pair_bars([('a', 'é', 4), ('c', 'a', 2)])\n"
        "parts = [d.drawing(scene).svg.encode()] + [p.export(scene, f) for f in ('svg', 'pdf', 'png')]\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print([hashlib.sha256(part).hexdigest() for part in parts])\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    outputs = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(outputs) == 1 and "[" in outputs.pop()


def absolute(path):
    """Ends of the relative moves in a dots path."""
    assert re.fullmatch(r"(m-?\d+[ -]\d+h0|m-?\d+ -?\d+h0)+", path)
    moves = re.findall(r"m(-?\d+) ?(-?\d+)h0", path)
    return np.cumsum(np.array(moves, int), axis=0)


@pytest.mark.parametrize("per_pixel", [10, 2])
def test_dots_stand_at_their_points(per_pixel):
    points = RANDOM.uniform([5, 5], [95, 75], size=(300, 2))
    (path,) = drawn(Dots(points, "c3", 5, per_pixel=per_pixel))
    assert path.get("class") == "c3-stroke" and path.get("stroke-linecap") == "round"
    assert path.get("transform") == f"scale({1 / per_pixel:g})"
    assert float(path.get("stroke-width")) == pytest.approx(5 * per_pixel)
    placed = absolute(path.get("d")) / per_pixel
    gaps = np.linalg.norm(points[:, None] - placed[None], axis=2)
    assert gaps.min(axis=1).max() <= 0.75 / per_pixel and gaps.min(axis=0).max() <= 0.75 / per_pixel
    assert len(placed) <= len(points)


def test_marks_beyond_ten_classes():
    points = np.array([[10.0, 10.0], [20.0, 30.0], [40.0, 5.0]])
    rim, square, ring, hole = drawn(*class_dots(points[:2], np.array([13, 25])))
    assert rim.get("class") == "muted-stroke" and rim.get("stroke-linecap") == "square"
    assert square.get("stroke-linecap") == "square" and square.get("class") == "c3-stroke"
    assert (ring.get("class"), hole.get("class")) == ("c5-stroke", "ground-stroke")
    assert float(hole.get("stroke-width")) < float(ring.get("stroke-width"))
    (none,) = drawn(*class_dots(points[:1], np.array([-1])))
    assert none.get("class") == "muted-stroke" and none.get("stroke-linecap") == "round"


def test_boxes_and_shades():
    (path,) = drawn(Boxes(np.array([[10, 20, 30, 50]]), "c1", 0.5))
    assert path.get("d") == "m10 20h20v30h-20z" and path.get("class") == "c1-fill"
    assert path.get("shape-rendering") == "crispEdges" and path.get("fill-opacity") == "0.5"
    shares = np.array([[0, 1.0, 1.0, 0.5], [np.nan, 0.5, 0, 1.0]])
    edges = np.arange(5.0) * 10
    half, full = drawn(*shaded(edges, edges[:3], shares, "c2"))
    assert full.get("d") == "m10 0h20v10h-20zm20 10h10v10h-10z"
    assert half.get("d") == "m30 0h10v10h-10zm-20 10h10v10h-10z"
    opacity = [float(element.get("fill-opacity")) for element in (half, full)]
    assert opacity == pytest.approx([0.95 * 0.55, 0.95], abs=0.006)


def test_lines_and_areas():
    lines = (np.array([[1, 2], [1, 9], [8, 9], [10.004, 3.333]]), np.zeros((0, 2)), np.array([[0, 0], [5, 0]]))
    line, area = drawn(Lines(lines, "ink", 2, dashes=(3, 1)), Area(lines[0], "muted", 0.2), Lines((), "ink"))
    assert line.get("d") == "M1 2V9H8L10 3.33M0 0H5" and line.get("fill") == "none"
    assert (line.get("class"), line.get("stroke-width"), line.get("stroke-dasharray")) == ("ink-stroke", "2", "3 1")
    assert area.get("d") == "M1 2V9H8L10 3.33z" and area.get("class") == "muted-fill"


def test_text_is_text_with_a_halo_and_survives_anything():
    hostile = "</script><img onerror=x> $x_1$ {{7*7}} \x00\u202e 猫 😀"
    (text,) = drawn(Words(50, 40, hostile, halo=True))
    assert text.text == hostile.replace("\x00", "\ufffd")
    assert text.get("paint-order") == "stroke" and text.get("class") == "ink-fill ground-stroke"
    assert "transform" not in text.attrib
    (turned,) = drawn(Words(14, 30, "loss", bold=True, anchor="middle", turned=True))
    look = (turned.get("transform"), turned.get("font-weight"), turned.get("text-anchor"))
    assert look == ("rotate(-90 14 30)", "bold", "middle")


def test_a_link_to_a_name_that_no_file_can_hold_is_still_a_drawing():
    scene = Scene(10, 10, (Link(("maps", "a\ud800\x00"), (Words(1, 1, "x\ud800"),), "t\ud800"),))
    assert ET.fromstring(drawing(scene).svg.encode()).tag.endswith("svg")


def test_many_boxes_of_one_height_are_strokes_in_their_places():
    left, top = RANDOM.integers(0, 600, 80) / 4, RANDOM.integers(0, 400, 80) / 4
    boxes = np.stack([left, top, left + RANDOM.integers(1, 40, 80) / 4, top + 4.25], axis=1)
    (path,) = drawn(Boxes(boxes, "c1", 0.5))
    assert (path.get("class"), path.get("fill"), path.get("stroke-width")) == ("c1-stroke", "none", "4.25")
    assert path.get("shape-rendering") == "crispEdges" and path.get("stroke-opacity") == "0.5"
    strokes = re.findall(r"m(-?[\d.]+) ?(-?[\d.]+)h([\d.]+)", path.get("d"))
    x = y = 0.0
    for (across, down, wide), (left, top, right, bottom) in zip(np.array(strokes, float), boxes, strict=True):
        x, y = x + across, y + down
        assert (x, y, x + wide) == pytest.approx((left, (top + bottom) / 2, right), abs=0.02)
        x += wide
    (path,) = drawn(Boxes(boxes * (1, 1, 1, 1.01), "c1"))
    assert path.get("class") == "c1-fill" and path.get("d").count("z") == 80
