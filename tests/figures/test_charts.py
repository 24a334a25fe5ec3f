import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from reportgen.errors import DataError
from reportgen.figures.charts import curves, label_bars, steps_per_bin
from reportgen.figures.drawing import drawing
from reportgen.figures.palettes import CLASS_COLORS

RANDOM = np.random.default_rng(0)
DIGITS = [str(digit) for digit in range(10)]


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter() if element.tag.endswith("}text")]


def paths(svg, wanted):
    """The path data of the elements of that class, in drawing order."""
    found = [element for element in ET.fromstring(svg).iter() if element.get("class") == wanted]
    return [element.get("d") for element in found]


def boxes(path):
    """(left, right, first y, second y) of every rectangle in a path."""
    return [
        (float(left), float(right), float(start), float(end))
        for left, start, right, end in re.findall(r"M([\d.-]+) ([\d.-]+)H([\d.-]+)V([\d.-]+)H", path)
    ]


def lines_of(axes):
    return [line for line in axes.lines if len(line.get_xdata())]


def test_curves_show_each_series_and_name_it_at_its_end():
    loss = {"train": [2.3, 0.4, 0.1], "validation": [2.3, 0.5, np.nan]}
    accuracy = {"validation": [0.1, 0.9, 0.973]}
    figure = curves([0, 1, 2], loss, accuracy)
    left, right = figure.axes
    assert next(line.get_ydata().tolist() for line in left.lines) == [2.3, 0.4, 0.1]
    assert right.lines[0].get_ydata().tolist() == pytest.approx([10, 90, 97.3])
    assert left.lines[0].get_color() != left.lines[1].get_color()
    drawn = texts(drawing(figure, "c").svg)
    assert drawn.count("validation") == 2 and drawn.count("train") == 1
    assert {"Loss", "Accuracy, %", "epoch"} <= set(drawn)


def test_end_labels_do_not_overlap():
    figure = curves([0, 1], {"a": [1, 0.5], "b": [1, 0.5001], "c": [1, 0.4999]}, {})
    drawing(figure, "c")
    heights = sorted(text.get_window_extent().y0 for text in figure.axes[0].texts)
    assert np.diff(heights).min() > 10


@pytest.mark.parametrize("last, title", [(0.01, "Loss, logarithmic"), (1.0, "Loss"), (0.0, "Loss"), (np.nan, "Loss")])
def test_the_loss_axis_is_logarithmic_only_where_that_helps(last, title):
    figure = curves([0, 1], {"train": [2.0, last]}, {})
    assert figure.axes[0].get_title(loc="left") == title


@pytest.mark.parametrize("steps", [10, 240, 241, 10_007])
def test_loss_per_step_is_binned_by_its_median(steps):
    values = RANDOM.random(steps) + 1
    values[3] = np.nan
    at = np.arange(1, steps + 1) / steps
    figure = curves([0, 1], {"train": [2, 1]}, {}, at, values)
    behind = figure.axes[0].lines[0]
    group = steps_per_bin(steps)
    assert group == -(-steps // 240) and len(behind.get_xdata()) <= 240
    bins = [values[start : start + group] for start in range(0, steps, group)]
    medians = [np.median(part[np.isfinite(part)]) for part in bins if np.isfinite(part).any()]
    np.testing.assert_allclose(behind.get_ydata(), medians)
    assert len(figure.axes[0].collections) == (1 if group > 1 else 0)


def test_curves_without_values_say_so():
    for series in ({"train": []}, {}):
        assert "no data" in texts(drawing(curves([], series, {}), "c").svg)
    assert "no data" in texts(drawing(curves([0, 1], {"train": [np.nan, np.inf]}, {}), "c").svg)
    assert "no data" not in texts(drawing(curves([0], {"train": [1.0]}, {}), "c").svg)


def test_bars_are_as_high_as_their_values():
    values = RANDOM.random((5, 10)) * 3
    values[2, 4] = np.nan
    svg = drawing(label_bars(values, DIGITS), "b").svg
    heights = np.full(values.shape, np.nan)
    for label, color in enumerate(CLASS_COLORS):
        (path, _) = paths(svg, f"c{CLASS_COLORS.index(color)}-fill")
        bars = boxes(path)
        channels = [channel for channel in range(5) if np.isfinite(values[channel, label])]
        assert len(bars) == len(channels)
        for channel, (_, _, start, end) in zip(channels, bars, strict=True):
            heights[channel, label] = start - end
    np.testing.assert_allclose(heights, values * 44 / np.nanmax(values), atol=0.02)
    assert np.isnan(heights).sum() == 1
    crosses = [path for path in paths(svg, "muted-stroke") if "z" not in path]
    assert [path.count("M") for path in crosses] == [2]


def test_bars_below_zero_hang_from_the_same_baseline():
    values = np.array([[1.0, -2.0]])
    svg = drawing(label_bars(values, ["a", "b"]), "b").svg
    ((_, _, zero, top),) = boxes(paths(svg, "c0-fill")[0])
    ((_, _, again, bottom),) = boxes(paths(svg, "c1-fill")[0])
    assert zero == again and zero - top == pytest.approx(30, abs=0.02)
    assert bottom - zero == pytest.approx(60, abs=0.02)


def test_each_panel_may_have_its_own_scale():
    values = np.array([[1.0, 0.5], [10.0, 5.0], [np.nan, np.nan]])
    svg = drawing(label_bars(values, ["a", "b"], own_scale=True), "b").svg
    heights = [start - end for _, _, start, end in boxes(paths(svg, "c0-fill")[0])]
    assert heights == pytest.approx([90, 90], abs=0.02)
    assert "each panel to its own largest bar" in texts(svg) and "a: 10" in texts(svg)


def test_panels_follow_the_order_and_name_the_largest_label():
    values = np.array([[0.0, 3.0], [2.0, 1.0], [5.0, 4.0]])
    svg = drawing(label_bars(values, ["cat", "dog"], order=[2, 0]), "b").svg
    assert texts(svg) == ["cat", "dog", "all panels from 0 to 5", "2", "cat", "0", "dog"]
    titled = texts(drawing(label_bars(values, ["cat", "dog"], titles=["x", "y", "z"]), "b").svg)
    assert [text for text in titled if text in "xyz"] == ["x", "y", "z"]


def test_a_baseline_is_drawn_where_it_belongs():
    svg = drawing(label_bars(np.array([[2.0, 1.0]]), ["a", "b"], baseline=1.0), "b").svg
    ((_, _, _, top),) = boxes(paths(svg, "c1-fill")[0])
    (dashed,) = list(paths(svg, "muted-stroke"))
    assert float(re.match(r"M[\d.]+ ([\d.]+)H", dashed)[1]) == pytest.approx(top)


def test_above_ten_labels_only_the_largest_bar_is_coloured():
    values = RANDOM.random((6, 30))
    svg = drawing(label_bars(values, [f"class {index}" for index in range(30)]), "b").svg
    assert len(boxes(paths(svg, "accent-fill")[0])) == 6
    assert len(boxes(paths(svg, "muted-fill")[0])) == 6 * 29
    assert f"class {values[0].argmax()}" in texts(svg)


def test_sixty_four_channels_stay_small():
    svg = drawing(label_bars(RANDOM.random((64, 10)), DIGITS), "b").svg
    assert len(svg.encode()) < 60_000


@pytest.mark.parametrize("values", [np.zeros((0, 2)), np.zeros((3, 3)), np.zeros(2)])
def test_bars_of_other_shapes_are_refused(values):
    with pytest.raises(DataError, match="bars by label"):
        label_bars(values, ["a", "b"])


def test_too_many_bars_are_refused():
    with pytest.raises(DataError, match="too many bars"):
        label_bars(np.zeros((30, 1000)), [str(index) for index in range(1000)])


def test_a_long_name_never_runs_into_the_channels_number():
    """Eight panels on 720 px: 90 less a gap of 14 for number and name; a wide character takes 9 px, others 5.6."""
    values = np.tile([1.0, 2.0], (8, 1))
    for name, width in (("九番目のとても長いクラス名前", 9), ("a very long class name", 5.58)):
        root = ET.fromstring(drawing(label_bars(values, ["b", name]), "bars").svg)
        texts = [e for e in root.iter() if e.tag.endswith("text") and e.get("font-size") == "9"]
        peaks = [e.text for e in texts if e.text.startswith(name[:2])]
        assert len(peaks) == 8
        assert all(peak.endswith("…") and len(peak) >= 3 and len(peak) * width <= 76 for peak in peaks)
