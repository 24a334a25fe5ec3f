"""What is said of a classifier's confidence: only of recorded scores, beyond chance, and of how many."""

from dataclasses import replace

import numpy as np
import pytest

from reportgen.core.outcome import Classification, Kind
from reportgen.core.report import Table
from reportgen.core.run import Batch, TopClasses
from reportgen.figures.reliability import Bins, reliability, surest
from reportgen.figures.scene import Boxes, Dots, Words
from reportgen.sections import trust
from tests.sections.made import made, rows_of

NBSP = "\N{NO-BREAK SPACE}"


def context(confidence, right, classes=3, ranks=3):
    """A run whose evaluation has these confidences, and is right where that is said; class 0 is always predicted."""
    count = len(confidence)
    labels = np.where(right, 0, 1)
    guesses = np.tile(np.arange(ranks, dtype=np.int32), (count, 1))
    shares = np.tile(np.asarray(confidence, np.float32)[:, None], (1, ranks)) * np.array([1, *[0] * (ranks - 1)])
    counts = np.bincount(labels, minlength=classes)
    outcome = Classification(np.zeros(count, np.int64), np.zeros(count, np.float32), counts, {}, counts.astype(float))
    batch = Batch(count, np.zeros((count, 3), np.float32), labels)
    made_ = made(Kind.CLASSIFICATION, outcome, batch, classes=[f"class {i}" for i in range(classes)])
    step, last = list(made_.run.observations.items())[-1]
    ranked = TopClasses(guesses, shares.astype(np.float32))
    run = replace(made_.run, observations={step: replace(last, top_classes={"evaluation": ranked})})
    return type(made_)(replace(made_.now, run=run), replace(made_.before, run=run), made_.options)


RNG = np.random.default_rng(0)
SURE = RNG.random(800) * 0.4 + 0.6


@pytest.mark.parametrize("sure", [0.9, 0.9999999])
def test_the_surest_answers_stand_at_the_right(sure):
    confidence = np.repeat([sure, 0.2], [60, 20])
    none = Bins(np.zeros(15, int), *np.full((4, 15), np.nan))
    parts = reliability(none, confidence, np.arange(80) % 2 == 0, "images").parts
    for boxes in (part.boxes for part in parts if isinstance(part, Boxes) and part.color in ("accent", "c2")):
        tallest = boxes[np.argmin(boxes[:, 1])]
        assert tallest[0] == boxes[:, 0].max() > boxes[:, 0].min()


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (RNG.random(800) < SURE, ", no more than perfect calibration can show on as many (up to 0.0"),
        (RNG.random(800) < SURE - 0.2, ": it is overconfident."),
        (np.ones(800, bool), ": it is underconfident."),
        (np.where(SURE > 0.8, RNG.random(800) < SURE - 0.2, RNG.random(800) < SURE + 0.2), ": right on average, off"),
    ],
)
def test_confidence_is_compared_with_accuracy_beyond_chance(right, said):
    finding = trust.build(context(SURE, right)).finding
    share = f"it is right in {100 * right.mean():.1f}{NBSP}% of 800 evaluation examples (95{NBSP}% interval"
    assert share in finding and said in finding and len(finding) <= 250
    assert finding.startswith(f"{100 * np.float32(SURE).mean():.1f}{NBSP}% confident on average")


def test_of_too_few_nothing_is_said_and_of_unknown_scores_it_is_said():
    assert "19 evaluation examples are too few" in trust.build(context(SURE[:19], np.ones(19, bool))).finding
    holes = np.where(np.arange(800) < 5, np.nan, SURE)
    finding = trust.build(context(holes, np.ones(800, bool))).finding
    assert "of 795 evaluation examples (of 800; the others have no finite scores)" in finding
    assert trust.build(context(np.full(30, np.nan), np.ones(30, bool))) is None
    unrecorded = context(SURE, np.ones(800, bool))
    step, last = list(unrecorded.run.observations.items())[-1]
    run = replace(unrecorded.run, observations={step: replace(last, top_classes={})})
    assert trust.build(type(unrecorded)(replace(unrecorded.now, run=run), None, unrecorded.options)) is None


@pytest.mark.parametrize("classes", [10, 11])
def test_top_k_is_told_of_more_than_ten_classes(classes):
    right = np.arange(800) % 4 > 0
    section = trust.build(context(SURE, right, classes, 5))
    tables = [block for block in section.blocks if isinstance(block, Table)]
    if classes == 10:
        assert not tables
        return
    (table,) = tables
    assert [row[:3] for row in table.rows[:2]] == [(1, 600, f"75.0{NBSP}%"), (2, 800, f"100.0{NBSP}%")]
    written = rows_of(section, "top_k.csv")
    assert [(row["k"], row["correct"], row["of"]) for row in written][:2] == [(1, 600, 800), (2, 800, 800)]
    assert written[0]["low"] < 0.75 < written[0]["high"]


@pytest.mark.parametrize("shift", [0.0, 0.37])
def test_every_example_is_drawn_once_and_counted(shift):
    confidence = np.minimum(SURE + shift, 1)
    right = np.arange(800) % 4 > 0
    section = trust.build(context(confidence, right))
    scene = section.blocks[0].export.args[0]
    left, histograms = scene.cells
    dots = [part for part in left.parts if isinstance(part, Dots)]
    counts = [int(p.text.replace(",", "")) for p in left.parts if isinstance(p, Words) and p.size == 9]
    assert len(dots[0].points) == len(counts) and sum(counts) == 800
    bars = [part for part in histograms.parts if isinstance(part, Boxes)]
    assert len(bars) == 2
    for part, of in zip(bars, (600, 200), strict=True):
        heights = part.boxes[:, 3] - part.boxes[:, 1]
        largest = heights.max() / heights.sum() * of
        assert largest == pytest.approx(round(largest), abs=1e-6)
    assert surest(confidence) == (shift > 0)
    assert any("logarithmic" in p.text for p in histograms.parts if isinstance(p, Words)) == (shift > 0)


def test_where_no_answer_is_wrong_the_second_histogram_has_no_data():
    scene = trust.build(context(SURE, np.ones(800, bool))).blocks[0].export.args[0]
    said = [part.text for part in scene.parts if isinstance(part, Words)]
    assert "Confidence of 0 wrong answers" in said and said.count("no data") == 1
