import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from reportgen.errors import DataError
from reportgen.figures.bars import label_bars
from reportgen.figures.fonts import text_width
from reportgen.figures.scene import SMALL
from reportgen.figures.svg import drawing

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


def test_bars_are_as_high_as_their_values():
    values = RANDOM.random((5, 10)) * 3
    values[2, 4] = np.nan
    svg = drawing(label_bars(values, DIGITS)).svg
    heights = np.full(values.shape, np.nan)
    for label in range(10):
        (path, _) = paths(svg, f"c{label}-fill")
        bars = boxes(path)
        channels = [channel for channel in range(5) if np.isfinite(values[channel, label])]
        assert len(bars) == len(channels)
        for channel, (_, _, start, end) in zip(channels, bars, strict=True):
            heights[channel, label] = start - end
    np.testing.assert_allclose(heights, values * 44 / np.nanmax(values), atol=0.02)
    assert np.isnan(heights).sum() == 1
    zeros, crosses = paths(svg, "muted-stroke")
    assert zeros.count("M") == 5 and crosses.count("M") == 2


def test_bars_below_zero_hang_from_the_same_baseline():
    values = np.array([[1.0, -2.0]])
    svg = drawing(label_bars(values, ["a", "b"])).svg
    ((_, _, zero, top),) = boxes(paths(svg, "c0-fill")[0])
    ((_, _, again, bottom),) = boxes(paths(svg, "c1-fill")[0])
    assert zero == again and zero - top == pytest.approx(30, abs=0.02)
    assert bottom - zero == pytest.approx(60, abs=0.02)


def test_each_panel_may_have_its_own_scale():
    values = np.array([[1.0, 0.5], [10.0, 5.0], [np.nan, np.nan]])
    svg = drawing(label_bars(values, ["a", "b"], own_scale=True)).svg
    heights = [start - end for _, _, start, end in boxes(paths(svg, "c0-fill")[0])]
    assert heights == pytest.approx([90, 90], abs=0.02)
    assert "each panel to its own largest bar" in texts(svg) and "a: 10" in texts(svg)


def test_panels_follow_the_order_and_name_the_largest_label():
    values = np.array([[0.0, 3.0], [2.0, 1.0], [5.0, 4.0]])
    svg = drawing(label_bars(values, ["cat", "dog"], order=[2, 0])).svg
    assert texts(svg) == ["cat", "dog", "all panels from 0 to 5", "2", "cat", "0", "dog"]


def test_above_ten_labels_only_the_largest_bar_is_coloured():
    values = RANDOM.random((6, 30))
    svg = drawing(label_bars(values, [f"class {index}" for index in range(30)])).svg
    assert len(boxes(paths(svg, "accent-fill")[0])) == 6
    assert len(boxes(paths(svg, "muted-fill")[0])) == 6 * 29
    assert f"class {values[0].argmax()}" in texts(svg)


def test_sixty_four_channels_stay_small():
    svg = drawing(label_bars(RANDOM.random((64, 10)), DIGITS)).svg
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
        root = ET.fromstring(drawing(label_bars(values, ["b", name])).svg)
        texts = [e for e in root.iter() if e.tag.endswith("text") and e.get("font-size") == "9"]
        peaks = [e.text for e in texts if e.text.startswith(name[:2])]
        assert len(peaks) == 8
        assert all(peak.endswith("…") and len(peak) >= 3 and len(peak) * width <= 76 for peak in peaks)


def test_what_is_printed_of_a_panel_does_not_run_into_its_number():
    values = RANDOM.random((128, 2)) / 100
    root = ET.fromstring(drawing(label_bars(values, ["generated", "real"], own_scale=True)).svg)
    words = [e for e in root.iter() if e.tag.endswith("text") and (e.text or "").strip()]
    numbers = [e for e in words if e.get("font-weight") == "bold"]
    assert len(numbers) == 128
    for number in numbers:
        end = float(number.get("x")) + text_width(number.text, SMALL, bold=True)
        beside = [e for e in words if e.get("y") == number.get("y") and e.get("text-anchor") == "end"]
        starts = [float(e.get("x")) - text_width(e.text, 9.0) for e in beside]
        assert not [start for start in starts if float(number.get("x")) < start < end]
    assert any("real" not in e.text and e.text.startswith("0.") for e in words)
