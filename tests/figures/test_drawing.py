import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest

from reportgen.figures.charts import curves, label_bars
from reportgen.figures.drawing import drawing
from reportgen.figures.marks import dots, rectangles, shaded
from reportgen.figures.matrices import confusion, heatmap
from reportgen.figures.palettes import CLASS_COLORS, DIVERGING
from reportgen.figures.scatter import embedding, embedding_overlay, scatter_change
from reportgen.figures.style import THEME, canvas, haloed, new_figure, styled

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.normal(size=(200, 2))
LABELS = RANDOM.integers(0, 10, 200)
DIGITS = [str(digit) for digit in range(10)]
CHARTS = {
    "curves": lambda: curves([0, 1, 2], {"train": [2, 1, 0.5]}, {"train": [0.1, 0.5, 0.9]}, [1, 2], [2, 1]),
    "bars": lambda: label_bars(RANDOM.random((6, 10)), DIGITS),
    "confusion": lambda: confusion(np.eye(10, dtype=int) + 1, DIGITS),
    "heatmap": lambda: heatmap(np.eye(4), -1, 1, DIVERGING, x_label="unit", y_label="image"),
    "embedding": lambda: embedding(POINTS, LABELS, DIGITS),
    "overlay": lambda: embedding_overlay(POINTS, LABELS, POINTS[:9], LABELS[:9], DIGITS),
    "change": lambda: scatter_change(POINTS[:, 0], POINTS[:, 1], "conv1/kernel", 0.5),
}


def elements(svg):
    return list(ET.fromstring(svg).iter())


def name_of(element):
    return element.tag.rpartition("}")[2]


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_that_a_strict_page_would_drop(name):
    picture = drawing(CHARTS[name](), name, alt='says "so" & <more>')
    root = ET.fromstring(picture.svg)
    assert root.get("role") == "img" and root.get("aria-label") == 'says "so" & <more>'
    assert root.get("viewBox") == f"0 0 {picture.width:g} {picture.height:g}"
    assert root.get("width") == f"{picture.width:g}" and root.get("height") is None
    for element in root.iter():
        assert name_of(element) not in ("style", "metadata", "script", "title")
        assert not {"style", "font-family"} & set(element.attrib)
        for key, value in element.attrib.items():
            assert not key.startswith("on")
            if key.endswith("href"):
                assert value.startswith(("#", "data:image/png;base64,")) and "\n" not in value


@pytest.mark.parametrize("name", CHARTS)
def test_ids_carry_the_name_and_every_reference_resolves(name):
    svg = drawing(CHARTS[name](), name).svg
    ids = [element.get("id") for element in elements(svg) if element.get("id")]
    assert len(ids) == len(set(ids)) and all(identifier.startswith(f"{name}:") for identifier in ids)
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg)) == set(ids)


@pytest.mark.parametrize("name", CHARTS)
def test_theme_colours_are_classes_and_numbers_are_short(name):
    svg = drawing(CHARTS[name](), name).svg
    without_pictures = re.sub(r"data:image/png;base64,[^\"]*", "", svg)
    for color in THEME:
        assert color not in without_pictures
    assert {"fill", "stroke"} >= {
        token.rpartition("-")[2]
        for element in elements(svg)[1:]
        for token in element.get("class", "").split()
        if token.rpartition("-")[0] in THEME.values()
    }
    long = re.findall(r"\d\.\d{3,}", re.sub(r'transform="[^"]*"', "", without_pictures))
    assert not long


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_drawing_twice_and_no_state_left(name):
    figure_twice = [CHARTS[name] for _ in range(2)]
    if name == "bars":
        values = RANDOM.random((6, 10))
        figure_twice = [lambda: label_bars(values, DIGITS)] * 2
    before = dict(matplotlib.rcParams)
    first, second = (drawing(make(), name).svg for make in figure_twice)
    assert first == second
    assert dict(matplotlib.rcParams) == before


def test_a_users_own_settings_change_nothing():
    expected = drawing(CHARTS["curves"](), "curves").svg
    with matplotlib.rc_context({"axes.grid": True, "lines.linewidth": 9, "font.size": 30, "axes.edgecolor": "red"}):
        assert drawing(CHARTS["curves"](), "curves").svg == expected


def test_two_processes_draw_the_same_bytes_without_pyplot():
    program = (
        "import sys, hashlib, numpy as np\n"
        "import reportgen.figures.charts as c, reportgen.figures.drawing as d, reportgen.figures.paper as p\n"
        "import reportgen.figures.animation, reportgen.figures.kernels, reportgen.figures.matrices\n"
        "assert 'matplotlib' not in sys.modules and 'PIL' not in sys.modules\n"
        "make = lambda: c.label_bars(np.arange(20.).reshape(4, 5), ['a', 'b', 'c', 'd', 'é'])\n"
        "parts = [d.drawing(make(), 'x').svg.encode()] + [p.export(make, f) for f in ('svg', 'pdf', 'png')]\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print([hashlib.sha256(part).hexdigest() for part in parts])\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    outputs = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(outputs) == 1 and "[" in outputs.pop()


@styled
def blank(draw):
    figure = new_figure(100, 80)
    draw(canvas(figure))
    return figure


def absolute(path):
    """Ends of the relative moves in a dots path."""
    assert re.fullmatch(r"(m-?\d+[ -]\d+h0|m-?\d+ -?\d+h0)+", path)
    moves = re.findall(r"m(-?\d+) ?(-?\d+)h0", path)
    return np.cumsum(np.array(moves, int), axis=0)


@pytest.mark.parametrize("per_pixel", [10, 2])
def test_dots_stand_at_their_points(per_pixel):
    points = RANDOM.uniform([5, 5], [95, 75], size=(300, 2))
    points[17] = np.nan
    svg = drawing(blank(lambda axes: dots(axes, points, CLASS_COLORS[3], per_pixel=per_pixel)), "d").svg
    (path,) = [element for element in elements(svg) if name_of(element) == "path"]
    assert path.get("class") == "c3-stroke" and path.get("stroke-linecap") == "round"
    assert path.get("transform") == f"scale({1 / per_pixel:g})"
    assert float(path.get("stroke-width")) == pytest.approx(5 * per_pixel)
    drawn = absolute(path.get("d")) / per_pixel
    expected = np.delete(points, 17, axis=0)
    gaps = np.linalg.norm(expected[:, None] - drawn[None], axis=2)
    assert gaps.min(axis=1).max() <= 0.75 / per_pixel and gaps.min(axis=0).max() <= 0.75 / per_pixel
    assert len(drawn) <= len(expected)


def test_marks_beyond_ten_classes():
    points = np.array([[10.0, 10.0], [20.0, 30.0]])
    square = drawing(blank(lambda axes: dots(axes, points, CLASS_COLORS[0], mark="square")), "d").svg
    assert 'stroke-linecap="square"' in square and "round" in square.split("<path")[0]
    ring = drawing(blank(lambda axes: dots(axes, points, CLASS_COLORS[0], mark="ring")), "d").svg
    assert re.findall(r'class="(\w+-stroke)"', ring) == ["c0-stroke", "ground-stroke"]


def test_rectangles_and_shades():
    svg = drawing(blank(lambda axes: rectangles(axes, [(10, 30, 20, 50)], CLASS_COLORS[1])), "r").svg
    (path,) = [element for element in elements(svg) if name_of(element) == "path"]
    assert path.get("d") == "M10 20H30V50H10z" and path.get("class") == "c1-fill"
    assert path.get("shape-rendering") == "crispEdges" and path.get("clip-path") is None
    shares = np.array([[0, 1.0, 1.0, 0.5], [np.nan, 0.5, 0, 1.0]])
    edges = np.arange(5.0) * 10
    svg = drawing(blank(lambda axes: shaded(axes, edges, edges[:3], shares, CLASS_COLORS[2])), "s").svg
    half, full = (element for element in elements(svg) if name_of(element) == "path")
    assert full.get("d") == "M10 0H30V10H10zM30 10H40V20H30z"
    assert half.get("d") == "M30 0H40V10H30zM10 10H20V20H10z"
    opacity = [float(element.get("fill-opacity", element.get("opacity", 1))) for element in (half, full)]
    assert opacity == pytest.approx([0.95 * 0.55, 0.95], abs=0.006)


def test_text_is_text_with_a_halo_and_survives_anything():
    hostile = "</script><img onerror=x> $x_1$ {{7*7}} \x00\u202e 猫 😀"
    svg = drawing(blank(lambda axes: haloed(axes, 50, 40, hostile)), "t").svg
    (text,) = [element for element in elements(svg) if name_of(element) == "text"]
    assert text.text == hostile.replace("\x00", "\ufffd")
    assert text.get("paint-order") == "stroke" and text.get("class") == "ink-fill ground-stroke"
    assert "transform" not in text.attrib


def test_an_alternative_text_may_hold_anything():
    made = drawing(new_figure(20, 20), "empty", 'a \x00 b \ud800 "c" <d>')
    assert ET.fromstring(made.svg).get("aria-label") == 'a \ufffd b \ufffd "c" <d>'
