"""Whole reports of networks that went wrong and of data with next to nothing in it: finite, or "no data", and told."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

import reportgen
from reportgen.core.report import Table
from reportgen.page.html import html
from reportgen.page.outline import walk
from tests.reliability.runs import write_run


def report_of(path: Path, **changes):
    return reportgen.build(write_run(path, **changes), embedding="pca").document


def checked(report) -> str:
    """The page, in which no number is NaN or infinite."""
    page = html(report)
    text = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    text = re.sub(r"data:[^\"']*", "", text)
    shown = re.sub(r"<[^>]*>", " ", text)
    # The words may stand in a sentence about what is not finite, never in the place of a number.
    assert not re.search(r"(?<![\w])[-+−]?(nan|inf)(?![\w])", shown), re.findall(r".{60}\b(?:nan|inf)\b.{30}", shown)
    assert not re.search(r"[\s\"(,]-?(?:nan|inf)[\s\",)]", text)
    for section in report.sections:
        for block in walk(section.blocks):
            if isinstance(block, Table):
                for cell in (cell for row in block.rows for cell in row):
                    assert not isinstance(cell, float) or np.isfinite(cell), (block.name, block.rows)
    return page


def health_of(report):
    return next(section for section in report.sections if section.anchor == "health")


def csv_of(section, name: str) -> list[dict[str, object]]:
    numbers = next(n for n in section.numbers if n.filename == name)
    return [dict(zip(numbers.columns, row, strict=True)) for row in numbers.rows()]


def from_step(first: int, value: float, only: str = ""):
    def change(step: int, name: str, array: np.ndarray) -> np.ndarray:
        return np.full_like(array, value) if step >= first and only in name and array.dtype.kind == "f" else array

    return change


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_stop_being_finite(tmp_path, value):
    report = report_of(tmp_path / "run", params=from_step(3, value, "hidden"), per_epoch=4)
    checked(report)
    (warning,) = report.warnings
    assert warning == (
        "NaN or infinite parameters from step 3 (epoch 1) on, in hidden/bias and hidden/kernel: "
        "140 of 140 values there."
    )
    broken = csv_of(health_of(report), "health_parameters.csv")
    assert [(row["step"], row["param"], row["size"]) for row in broken] == [
        (3, "hidden/bias", 5),
        (3, "hidden/kernel", 135),
    ]


def test_activations_that_stop_being_finite_although_the_output_looks_well(tmp_path):
    """Max-pooling may drop NaN on its way: the layer before it is named."""

    def change(step: int, name: str, array: np.ndarray) -> np.ndarray:
        broken = step >= 4 and name in ("maps/conv", "maps/conv/relu", "extremes/conv", "extremes/conv/relu")
        return np.where(np.arange(array.shape[-1]) == 1, np.nan, array) if broken else array

    report = report_of(tmp_path / "run", answers=change)
    checked(report)
    assert report.warnings == ("NaN or infinite activations from epoch 2 on, first in conv: 1 of 3 channels.",)
    assert "Activations of conv are not finite from epoch 2 on." in health_of(report).finding


def test_a_network_that_is_nan_from_the_beginning(tmp_path):
    nan = from_step(0, np.nan)

    def rows(row):
        return {**row, **{name: float("nan") for name in ("train_loss", "val_loss") if name in row}}

    report = report_of(tmp_path / "run", params=nan, answers=nan, rows=rows)
    page = checked(report)
    assert len(report.warnings) == 3
    assert report.warnings[0] == "The training loss is not finite from step 1 on."
    assert "no data" in page


def test_images_of_zeros(tmp_path):
    report = report_of(
        tmp_path / "run",
        pixels=lambda step, name, array: array * 0 if "images" in name else array,
        answers=lambda step, name, array: array * 0 if name == "input_sums" else array,
    )
    checked(report)
    activity = next(section for section in report.sections if section.anchor == "activity")
    assert {row["ratio"] for row in csv_of(activity, "activity.csv")} == {None}


@pytest.mark.parametrize(
    "shape",
    [
        {"classes": 1},
        {"images": 1, "classes": 2},
        {"images": 3},
        {"channels": 3},
        {"channels": 2},
        {"size": 2},
        {"epochs": 0},
        {"classes": 40, "images": 50},
        {"per_epoch": 1, "epochs": 60},
    ],
    ids=str,
)
def test_data_of_unusual_sizes(tmp_path, shape):
    report = report_of(tmp_path / "run", **shape)
    checked(report)
    assert [warning for warning in report.warnings if "could not be read" in warning or "left out" in warning] == []


@pytest.mark.parametrize("value", [1e30, -1e30, 3e38, 1e-38, 1e-45])
def test_huge_and_tiny_magnitudes(tmp_path, value):
    report = report_of(
        tmp_path / "run",
        params=lambda step, name, array: array * np.float32(value) if value < 1 else np.sign(array) * np.float32(value),
        answers=lambda step, name, array: (
            (array * value).astype(array.dtype) if name.startswith("label_sums") else array
        ),
    )
    checked(report)
    diffs = csv_of(next(s for s in report.sections if s.anchor == "parameters"), "diffs.csv")
    assert all(np.isfinite(row["mean_abs"]) for row in diffs)


def test_half_precision_whose_sums_overflow(tmp_path):
    """60,000 is near the largest number of float16: a sum or a square in that type would be infinite."""
    report = report_of(
        tmp_path / "run",
        params=lambda step, name, array: np.full(array.shape, 60_000 if step else 30_000, np.float16),
        answers=lambda step, name, array: (
            np.full_like(array, 60_000, np.float16) if name.startswith("maps/") else array
        ),
    )
    checked(report)
    diffs = {
        row["param"]: row for row in csv_of(next(s for s in report.sections if s.anchor == "parameters"), "diffs.csv")
    }
    assert diffs["conv/kernel"]["mean"] == diffs["conv/kernel"]["max_abs"] == 30_000
    channels = csv_of(next(s for s in report.sections if s.anchor == "maps"), "channels.csv")
    assert {row["mean"] for row in channels} == {60_000}


def test_a_network_that_answers_to_nothing(tmp_path):
    """Constant output, one class predicted, dead layers: each is said, on top of the page."""

    def change(step: int, name: str, array: np.ndarray) -> np.ndarray:
        if name.endswith("/hidden/relu"):
            return array * 0
        return np.full_like(array, 0.25) if name in ("maps/output", "extremes/output") else array

    report = report_of(tmp_path / "run", answers=change, predicted=lambda labels: labels * 0)
    checked(report)
    assert report.warnings == (
        "5 of 5 channels of hidden/relu are dead after epoch 2: always 0 on 8 evaluation images.",
        "All channels of output have the same value on 8 evaluation images.",
        "The network predicts class 0 for all 8 evaluation images.",
    )
    assert "5 of 5 channels of hidden/relu are dead" in health_of(report).finding


def test_updates_that_explode_and_updates_that_stop(tmp_path):
    def explode(step: int, name: str, array: np.ndarray) -> np.ndarray:
        return array * 1.75 if step == 4 and name == "conv/kernel" else array

    (warning,) = report_of(tmp_path / "exploding", params=explode).warnings
    assert re.fullmatch(r"The update at step 4 changed conv/kernel by 7\d\.\d\s% of its size\.", warning)

    kept: dict[str, np.ndarray] = {}
    report = report_of(tmp_path / "still", params=lambda step, name, array: kept.setdefault(name, array))
    assert report.warnings == ("No kernel changed any more in the last update that was kept.",)
    checked(report)


def test_no_mistake_and_nothing_but_mistakes(tmp_path):
    checked(report_of(tmp_path / "right", predicted=lambda labels: labels))
    wrong = report_of(tmp_path / "wrong", predicted=lambda labels: (labels + 1) % 3)
    page = checked(wrong)
    assert dict(wrong.key_figures)["accuracy"].startswith("0.0")
    assert "no data" in page


def test_numbers_that_are_not_finite_are_empty_in_the_csv(tmp_path):
    run = write_run(tmp_path / "run", params=from_step(0, np.nan), answers=from_step(0, np.inf))
    folder = tmp_path / "numbers"
    reportgen.build(run, embedding="pca").write_numbers(folder)
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            cells = {cell for row in csv.DictReader(lines) for cell in row.values()}
        assert not cells & {"nan", "inf", "-inf", "NaN", "None"}, file.name
