"""The training as a score, as the page has it: the sentence, the marks across all strips, what is folded."""

import re

import numpy as np

from reportgen.core.report import Figure, Fold, Text
from reportgen.sections import Moment, Options, PageContext, health, score
from tests.analysis.test_score import falling, run


def shown(training):
    last = max(training.snapshots)
    context = PageContext(Moment(training, last), Moment(training, 0), Options(embedding="pca"))
    return health.build(context)


def chart_of(section) -> str:
    return next(b for b in section.blocks if isinstance(b, Figure) and b.name == "health-score").picture.svg


def said(section) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Text) and block.role != "method"]


def test_a_sound_training_is_said_to_be_one():
    section = shown(run(3, 300, 5, losses=falling(300)))
    text = "Nothing broke during the training: every value examined is finite, the loss does not jump"
    assert text in " ".join(said(section))
    # Two shares that read alike are no range.
    assert re.search(r"The last update changed kernels by 0\.0.% of their size\.$", section.finding)
    assert "stroke-dasharray" not in chart_of(section)


def test_what_broke_is_said_and_marked_across_all_strips():
    losses = falling(300)
    losses[220:] = np.nan
    section = shown(run(3, 300, 3, losses=losses, dead_from=2))
    both = "all channels dead (l01/relu) from step 200 on and training loss not finite from step 221 on"
    assert f"The training broke: {both}." in said(section)
    svg = chart_of(section)
    assert "step 221: training loss not finite" in svg
    height = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)[1])
    dashed = re.search(r'd="([^"]*)"[^>]*stroke-dasharray', svg)[1]
    lines = [(float(a), float(b)) for a, b in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", dashed)]
    assert len(lines) == 2 and all(bottom - top > height - 100 for top, bottom in lines)


def test_a_loss_that_jumps_is_no_broken_training():
    losses = falling(300)
    losses[220:] += 5 * losses[0]
    section = shown(run(3, 300, 3, losses=losses))
    sentence = "The loss jumps at step 221; every value examined is finite, and no layer has only dead channels."
    assert sentence in said(section)
    assert "stroke-dasharray" in chart_of(section)


def test_many_layers_are_chosen_by_a_stated_rule_and_the_rest_is_folded():
    section = shown(run(300, 40, 20))
    fold = next(block for block in section.blocks if isinstance(block, Fold))
    assert fold.summary == "All 300 kernels"
    assert [figure.name for figure in fold.blocks] == ["health-score-updates", "health-score-dead"]
    method = " ".join(block.text for block in section.blocks if isinstance(block, Text) and block.role == "method")
    assert "the first and the last, those where something broke" in method
    size = sum(len(figure.picture.svg) for figure in fold.blocks) + len(chart_of(section))
    assert size < 200_000


def test_numbers_are_those_of_the_strips():
    section = shown(run(2, 10, 2, losses=falling(10)))
    numbers = next(each for each in section.numbers if each.filename == "score.csv")
    rows = [dict(zip(numbers.columns, row, strict=True)) for row in numbers.rows()]
    weights = [row for row in rows if row["part"] == "l00" and row["quantity"] == "weights"]
    assert [row["step"] for row in weights] == list(range(11))
    assert weights[0]["q05"] <= weights[0]["q25"] <= weights[0]["value"] <= weights[0]["q75"] <= weights[0]["q95"]
    assert all(row["q05"] is None for row in rows if row["quantity"] == "dead")


def test_a_run_of_one_state_has_none():
    training = run(2, 0, 1)
    context = PageContext(Moment(training, 0), None, Options(embedding="pca"))
    assert score.blocks(context) == ([], "", ())
    assert not any(isinstance(block, Figure) for block in health.build(context).blocks)
