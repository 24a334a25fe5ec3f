import numpy as np
import pytest

from reportgen.figures.curves import binned, curves, steps_per_bin
from reportgen.figures.scene import Area, Dots, Lines, Words

RANDOM = np.random.default_rng(0)


def texts(scene):
    return [part.text for part in scene.parts if isinstance(part, Words)]


def series(scene, color, width=1.8):
    """The points of every line in that colour and width."""
    lines = [
        part.lines for part in scene.parts if isinstance(part, Lines) and (part.color, part.width) == (color, width)
    ]
    return [np.concatenate(each) if each else np.zeros((0, 2)) for each in lines]


def test_curves_show_each_series_and_name_it_at_its_end():
    loss = {"train": [2.3, 0.4, 0.1], "validation": [2.3, 0.5, np.nan]}
    scene = curves([0, 1, 2], loss, {"validation": [0.1, 0.8, 0.873]})
    train, accuracy = series(scene, "muted")
    (validation,) = series(scene, "accent")
    assert len(train) == len(accuracy) == 3 and len(validation) == 2, "it ends where it has no value"
    assert np.diff(train[:, 0]) == pytest.approx([np.diff(train[:, 0])[0]] * 2)
    # Heights are as the values: 2.3 to 0.4 against 0.4 to 0.1.
    assert np.diff(train[:, 1])[0] / np.diff(train[:, 1])[1] == pytest.approx(1.9 / 0.3)
    assert np.diff(accuracy[:, 1])[0] / np.diff(accuracy[:, 1])[1] == pytest.approx(0.7 / 0.073)
    assert texts(scene).count("validation") == 2 and texts(scene).count("train") == 1
    assert {"Loss", "Accuracy, %", "epoch"} <= set(texts(scene))


def test_a_value_stands_at_its_tick():
    scene = curves([0, 1], {"test": [0.0, 100.0]}, {})
    (line,) = series(scene, "muted")
    at = {part.text: part for part in scene.parts if isinstance(part, Words) and part.x < 520}
    # 0.36 of the text's size below the line that it names.
    assert [at[text].y - 0.36 * 11 for text in ("0", "100")][1] == pytest.approx(line[1, 1])
    assert {"20", "40", "60", "80"} <= set(at)


def test_an_accuracy_close_to_one_is_drawn_as_the_error_by_equal_factors():
    scene = curves([0, 1, 2], {}, {"test": [0.1, 0.91, 0.991]})
    (line,) = series(scene, "muted")
    assert np.diff(line[:, 1])[0] == pytest.approx(np.diff(line[:, 1])[1]) and line[0, 1] < line[1, 1]
    assert "Error, %, logarithmic" in texts(scene) and {"1", "10", "0"} - set(texts(scene)) == set()
    at = {part.text: part.y - 0.36 * 11 for part in scene.parts if isinstance(part, Words) and part.x < 60}
    assert at["1"] - at["10"] == pytest.approx(line[2, 1] - line[1, 1])


def test_no_error_at_all_stands_at_the_lower_edge_and_is_named():
    scene = curves([0, 1, 2], {}, {"test": [0.5, 0.98, 1.0], "training": [0.5, 1.0, 1.0]})
    (line,) = series(scene, "muted")
    at = {part.text: part.y - 0.36 * 11 for part in scene.parts if isinstance(part, Words) and part.x < 60}
    assert at["0"] == pytest.approx(line[2, 1]) and line[2, 1] > line[1, 1] > line[0, 1]
    assert np.isfinite(np.concatenate(series(curves([0, 1], {}, {"test": [1.0, 1.0]}), "muted"))).all()


@pytest.mark.parametrize("values", [[0.1, 0.89], [97.3, 99.1], [np.nan, np.nan]])
def test_other_accuracies_are_drawn_as_they_are(values):
    assert "Accuracy, %" in texts(curves([0, 1], {}, {"test": values}))


def test_end_labels_do_not_overlap():
    scene = curves([0, 1], {"a": [1, 0.5], "b": [1, 0.5001], "c": [1, 0.4999]}, {})
    heights = sorted(part.y for part in scene.parts if isinstance(part, Words) and part.text in "abc")
    assert np.diff(heights).min() > 10


@pytest.mark.parametrize("last, title", [(0.01, "Loss, logarithmic"), (1.0, "Loss"), (0.0, "Loss"), (np.nan, "Loss")])
def test_the_loss_axis_is_logarithmic_only_where_that_helps(last, title):
    assert title in texts(curves([0, 1], {"train": [2.0, last]}, {}))


def test_equal_factors_are_equal_heights_on_a_logarithmic_axis():
    (line,) = series(curves([0, 1, 2], {"train": [10.0, 1.0, 0.1]}, {}), "muted")
    assert np.diff(line[:, 1])[0] == pytest.approx(np.diff(line[:, 1])[1]) and line[0, 1] < line[1, 1]


@pytest.mark.parametrize("steps", [10, 240, 241, 10_007])
def test_loss_per_step_is_binned_by_its_median(steps):
    values = RANDOM.random(steps) + 1
    values[3] = np.nan
    at = np.arange(1, steps + 1) / steps
    group = steps_per_bin(steps)
    points = binned(at, values)
    assert group == -(-steps // 240) and len(points) <= 240
    bins = [values[start : start + group] for start in range(0, steps, group)]
    known = [part[np.isfinite(part)] for part in bins if np.isfinite(part).any()]
    np.testing.assert_allclose(points[:, 1:], [(np.median(part), part.min(), part.max()) for part in known])
    scene = curves([0, 1], {"train": [2, 1]}, {}, at, values)
    assert sum(isinstance(part, Area) for part in scene.parts) == (1 if group > 1 else 0)
    (behind,) = (part for part in scene.parts if isinstance(part, Lines) and part.alpha < 1)
    assert len(behind.lines[0]) == len(points)


def test_curves_without_values_say_so():
    for given in ({"train": []}, {}):
        assert "no data" in texts(curves([], given, {}))
    assert "no data" in texts(curves([0, 1], {"train": [np.nan, np.inf]}, {}))
    alone = curves([0], {"train": [1.0]}, {})
    assert "no data" not in texts(alone)
    assert [len(part.points) for part in alone.parts if isinstance(part, Dots)] == [1]


@pytest.mark.parametrize(
    "values", [[1e308, 1.0], [1e-320, 2e-320], [5.0, 5.0], [0.0, 0.0], [-1e308, 1e308], [1e16, 1e16 + 2]]
)
def test_any_values_can_be_drawn(values):
    scene = curves([0, 1], {"train": values}, {})
    points = np.concatenate(series(scene, "muted"))
    assert np.isfinite(points).all() and ((points >= 0) & (points <= (720, 264))).all()


def test_many_series_are_told_apart():
    scene = curves([0, 1], {f"series {index}": [index, index + 1.0] for index in range(6)}, {})
    looks = [(part.color, part.dashes) for part in scene.parts if isinstance(part, Lines) and part.width == 1.8]
    assert len(set(looks)) == len(looks) == 6 and sum(dashes is not None for _, dashes in looks) == 4


def test_a_value_that_stands_alone_is_marked_in_a_long_series():
    values = np.full(40, np.nan)
    values[[5, 10, 11, 12]] = 1.0, 2.0, 3.0, 2.0
    scene = curves(range(40), {"train": values}, {})
    (line,) = series(scene, "muted")
    (dots,) = (part.points for part in scene.parts if isinstance(part, Dots))
    assert len(line) == 3 and len(dots) == 1
