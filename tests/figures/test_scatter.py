import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from reportgen.errors import DataError
from reportgen.figures.marks import apart, centres
from reportgen.figures.scatter import (
    DOTS_UP_TO,
    embedding_multiples,
    embedding_overlay,
    limits,
    scatter_change,
)
from reportgen.figures.scene import Dots, Words
from reportgen.figures.svg import drawing

RANDOM = np.random.default_rng(0)
DIGITS = [str(digit) for digit in range(10)]


def clouds(count, classes=10):
    labels = RANDOM.integers(0, classes, count)
    middles = RANDOM.normal(size=(classes, 2)) * 8
    return middles[labels] + RANDOM.normal(size=(count, 2)), labels


def placed(svg):
    found = [element for element in ET.fromstring(svg).iter() if element.tag.endswith("}text")]
    return {element.text: (float(element.get("x")), float(element.get("y"))) for element in found}


NONE = np.zeros((0, 2)), np.zeros(0, int)


def overlay(points, labels, classes, **more):
    """The points alone, as test points over no training points."""
    return embedding_overlay(*NONE, points, labels, classes, **more)


def dots_of(svg, wanted):
    """Positions in pixels of all dots of that class."""
    positions = []
    for element in ET.fromstring(svg).iter():
        if element.get("class") == wanted and "h0" in element.get("d", ""):
            moves = np.array(re.findall(r"m(-?\d+) ?(-?\d+)h0", element.get("d")), int)
            scale = float(re.fullmatch(r"scale\(([\d.]+)\)", element.get("transform"))[1])
            positions.append(np.cumsum(moves, axis=0) * scale)
    return np.concatenate(positions)


def test_each_class_stands_where_its_points_are():
    points, labels = clouds(600)
    svg = drawing(overlay(points, labels, DIGITS, side=500)).svg
    left, right, bottom, top = limits(points)
    assert right - left == pytest.approx(top - bottom)
    to_pixels = lambda xy: (xy - (left, top)) * (500 / (right - left), 500 / (bottom - top))  # noqa: E731
    for label in range(10):
        drawn, expected = dots_of(svg, f"c{label}-stroke"), to_pixels(points[labels == label])
        gaps = np.linalg.norm(drawn[:, None] - expected[None], axis=2)
        assert gaps.min(axis=0).max() < 0.1 and gaps.min(axis=1).max() < 0.1


def test_class_names_stand_at_the_median():
    points = np.array([[0, 0], [1, 1], [2, 2], [90, 90], [10, 0], [11, 1], [12, 2]], float)
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    found = centres(points, labels)
    assert found[0].tolist() == [1.5, 1.5] and found[1].tolist() == [11, 1]
    assert centres(np.full((2, 2), np.nan), np.array([0, 1])) == {}
    assert list(centres(np.ones((2, 2)), np.array([-1, 4]))) == [4]
    svg = drawing(overlay(points, labels, ["many", "few"])).svg
    assert placed(svg)["many"][0] < placed(svg)["few"][0]


def test_labels_are_moved_apart_and_no_further():
    sizes = np.tile([[20.0, 10.0]], (4, 1))
    positions = np.array([[0, 0], [1, 2], [100, 100], [0, 0]], float)
    moved = apart(positions, sizes)
    for first in range(4):
        for second in range(first):
            assert (np.abs(moved[first] - moved[second]) >= (20, 10) - np.array(0.02)).any()
    assert moved[2].tolist() == [100, 100] and np.abs(moved - positions).max() < 20


def test_points_that_are_not_finite_are_left_out():
    points, labels = clouds(50)
    broken = points.copy()
    broken[::5] = np.nan
    kept = np.isfinite(broken).all(axis=1)
    assert limits(broken) == limits(broken[kept])
    svg = drawing(overlay(broken, labels, DIGITS)).svg
    assert sum(len(dots_of(svg, f"c{label}-stroke")) for label in np.unique(labels[kept])) == kept.sum()


def test_without_labels_or_points():
    points, _ = clouds(30)
    svg = drawing(overlay(points, np.array([]), [])).svg
    assert len(dots_of(svg, "c0-stroke")) == 30 and placed(svg) == {}
    empty = drawing(overlay(np.zeros((0, 2)), np.zeros(0, int), DIGITS)).svg
    assert list(placed(empty)) == ["no data"]


def test_thirty_classes_use_all_marks():
    points, labels = clouds(900, 30)
    svg = drawing(overlay(points, labels, [f"class {index}" for index in range(30)])).svg
    assert 'stroke-linecap="square"' in svg and "ground-stroke" in svg
    assert {f"class {index}" for index in range(30)} <= set(placed(svg))


def test_no_class_lies_on_top_of_all_others():
    points, labels = np.zeros((60, 2)), np.arange(60) % 2
    colors = [part.color for part in overlay(points, labels, []).parts if isinstance(part, Dots)]
    assert colors == ["ground", "c0", "ground", "muted", "c1"] * 3


def test_small_multiples_share_their_limits():
    points, labels = clouds(200)
    frames = [points, points / 2]
    svg = drawing(embedding_multiples(frames, ["before training", "epoch 1"], labels, DIGITS)).svg
    drawn = dots_of(svg, "c3-stroke")
    chosen = points[labels == 3]
    left, right, _, top = limits(*frames)
    for frame, offset in zip(frames, (0, 316), strict=True):
        expected = (frame[labels == 3] - (left, top)) * (300 / (right - left)) * (1, -1) + (offset, 22)
        gaps = np.linalg.norm(drawn[:, None] - expected[None], axis=2)
        assert gaps.min(axis=0).max() < 0.6
    assert len(chosen) and {"before training", "epoch 1", "3"} <= set(placed(svg))


def test_drawings_of_many_points_stay_small():
    points, labels = clouds(2000)
    assert len(drawing(overlay(points, labels, DIGITS)).svg) < 60_000
    assert len(drawing(embedding_overlay(points, labels, points + 1, labels, DIGITS)).svg) < 150_000
    eight = [points * factor for factor in np.linspace(0.5, 1, 8)]
    svg = drawing(embedding_multiples(eight, [str(index) for index in range(8)], labels, DIGITS)).svg
    assert len(svg) < 200_000


def test_overlay_puts_rimmed_test_points_over_pale_training_points():
    train, labels = clouds(100)
    scene = embedding_overlay(train, labels, train[:20] + 0.1, labels[:20], DIGITS)
    alphas = [part.alpha for part in scene.parts if isinstance(part, Dots)]
    assert alphas[0] == 0.22 and alphas[-1] == 1 and alphas == sorted(alphas)
    assert len(dots_of(drawing(scene).svg, "ground-stroke")) == 20


@pytest.mark.parametrize("points, labels", [(np.zeros((3, 3)), np.zeros(3)), (np.zeros((3, 2)), np.zeros(2))])
def test_other_shapes_are_refused(points, labels):
    with pytest.raises(DataError, match="an embedding needs points"):
        overlay(points, labels, DIGITS)
    with pytest.raises(DataError, match="a title per frame"):
        embedding_multiples([], [], np.zeros(0), DIGITS)


def test_few_weights_are_dots():
    initial, change = RANDOM.normal(size=(2, 300))
    svg = drawing(scatter_change(initial, change, "conv1/kernel", -0.5312)).svg
    assert len(dots_of(svg, "accent-stroke")) == 300
    assert {"conv1/kernel", "r = −0.53, n = 300", "value before", "change"} <= set(placed(svg))
    where = [(text, x, y) for text, (x, y) in placed(svg).items() if "0" in text and "from" in text]
    assert where


def test_the_corners_say_which_way_weights_went():
    scene = scatter_change(np.ones(3), np.ones(3), "k")
    words = {(part.x > 192, part.y < 154): part.text for part in scene.parts if isinstance(part, Words) and part.halo}
    for right in (False, True):
        for up in (False, True):
            initial, change = (1 if right else -1), (1 if up else -1)
            grew = abs(initial + 0.5 * change) > abs(initial)
            assert words[right, up] == ("away from 0" if grew else "towards 0")


def test_many_weights_are_counted_in_bins():
    count = DOTS_UP_TO + 1
    initial = np.concatenate([np.full(count - 10, 0.5), np.full(10, -0.5)])
    change = np.concatenate([np.full(count - 10, 1.0), np.full(10, -1.0)])
    svg = drawing(scatter_change(initial, change, "k", 1.0)).svg
    cells = [
        (float(element.get("opacity") or element.get("fill-opacity")), element.get("d"))
        for element in ET.fromstring(svg).iter()
        if element.get("class") == "accent-fill"
    ]
    (weak, low), (strong, high) = sorted(cells)
    share = np.ceil(np.log1p(10) / np.log1p(count - 10) * 12) / 12
    assert strong == pytest.approx(0.95) and weak == pytest.approx(0.95 * (0.1 + 0.9 * share), abs=0.006)
    (x_low, y_low), (x_high, y_high) = (
        [float(number) for number in re.match(r"m([\d.]+) ([\d.]+)h", path).groups()] for path in (low, high)
    )
    assert x_low < x_high and y_low > y_high and low.count("m") == high.count("m") == 1


def test_weights_that_are_not_finite_are_counted():
    svg = drawing(scatter_change(np.array([1.0, np.nan, 2]), np.array([1.0, 1, np.inf]), "k", np.nan)).svg
    assert "r = not defined, n = 1, 2 not finite" in placed(svg)
    nothing = drawing(scatter_change(np.array([np.nan]), np.array([1.0]), "k")).svg
    assert "no data" in placed(nothing)
    with pytest.raises(DataError, match="one change per weight"):
        scatter_change(np.zeros(3), np.zeros(4), "k")
