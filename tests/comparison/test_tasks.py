"""Two networks of each task on the same examples: the verdict and its numbers, recomputed here."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

import reportgen
from reportgen.core.outcome import Dense, Kind, MultiLabel, Reconstruction, Regression, Tokens
from reportgen.core.run import Batch, Snapshot
from reportgen.page.html import html
from tests.sections.made import made

DRAWN = np.random.default_rng(0)
N = 80
IMAGES = DRAWN.random((N, 6, 6, 1)).astype(np.float32)
VECTORS = DRAWN.normal(size=(N, 3)).astype(np.float32)
TRUE = DRAWN.normal(size=(N, 2)).astype(np.float32)
HAS = (DRAWN.random((N, 4)) < 0.4).astype(np.float32)
COUNTED = DRAWN.integers(10, 36, N)
IDS = DRAWN.integers(0, 9, (N, 7))


def regression(noise, seed):
    off = np.random.default_rng(seed).normal(0, noise, TRUE.shape).astype(np.float32)
    return made(Kind.REGRESSION, Regression(TRUE + off), Batch(N, VECTORS, TRUE))


def multilabel(noise, seed):
    scores = HAS - 0.5 + np.random.default_rng(seed).normal(0, noise, HAS.shape).astype(np.float32)
    return made(Kind.MULTILABEL, MultiLabel(scores), Batch(N, VECTORS, HAS), classes="abcd")


def dense(noise, seed):
    right = np.random.default_rng(seed).binomial(COUNTED, 1 - noise / 3)
    matrix = np.array([[right.sum(), COUNTED.sum() - right.sum()], [0, 0]])
    outcome = Dense(matrix, right.astype(np.int64), COUNTED.astype(np.int64), np.zeros((2, 6, 6), np.int64))
    return made(Kind.DENSE, outcome, Batch(N, IMAGES), classes=("a", "b"))


def tokens(noise, seed):
    losses = np.random.default_rng(seed).gamma(2, noise, IDS.shape).astype(np.float32)
    losses[:, 0] = np.nan
    known = np.isfinite(losses)
    sums, counts = np.nansum(losses, axis=0, dtype=float), known.sum(axis=0).astype(np.int64)
    best = np.where(known, IDS, -1)
    return made(Kind.TOKENS, Tokens(sums, counts, counts // 2, losses[:60], best[:60]), Batch(N, IDS))


def reconstruction(noise, seed):
    errors = np.random.default_rng(seed).gamma(2, noise, N).astype(np.float32)
    return made(Kind.RECONSTRUCTION, Reconstruction(errors, IMAGES[:2]), Batch(N, IMAGES))


TASKS = {
    regression: ("val_mae", -1, "mean absolute error"),
    multilabel: ("val_f1", 1, "F1"),
    dense: ("val_accuracy", 1, "position accuracy"),
    tokens: ("val_token_loss", -1, "nats per token"),
    reconstruction: ("val_reconstruction_error", -1, "mean squared error"),
}


def pair(task, base=(0.5, 1), new=(0.2, 2)):
    runs = [task(*plan).run for plan in (base, new)]
    return runs[0], replace(runs[1], config={**runs[1].config, "variant": 1})


def compare(*sides):
    return reportgen.compare(*sides, embedding="pca")


def section(report, anchor="scores"):
    return next(part for part in report.document.sections if part.anchor == anchor)


def rows(report):
    return np.array([row[2:] for row in section(report).numbers[0].rows()])


@pytest.mark.parametrize("task", TASKS)
def test_the_better_network_is_told_with_its_uncertainty(task):
    metric, better, words = TASKS[task]
    base, new = pair(task)
    report = compare(base, new)
    headline, numbers = report.document.headline, rows(report)
    count = 60 if task is tokens else N
    if task is multilabel:  # examples without a class that is true or predicted have no score
        count = len(numbers)
    assert headline.startswith(f"New is better: {words} ") and f"the same {count} evaluation examples" in headline
    changes = (numbers[:, 1] - numbers[:, 0]) * better
    assert f"{(changes > 0).sum()} are answered better, {(changes < 0).sum()} worse" in headline
    assert np.allclose(numbers[:, 2], numbers[:, 1] - numbers[:, 0])
    p = scipy.stats.wilcoxon(numbers[:, 2]).pvalue
    assert ("p < 0.0001" if p < 1e-4 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}") in headline
    if metric in report.measures and task is not tokens:
        assert [end for (end,) in report.measures[metric]] == pytest.approx(
            [run.metrics.epochs[-1].measured[metric] for run in (base, new)]
        )
    assert html(report.document)
    back = compare(new, base).document.headline
    assert back.startswith(f"New is worse: {words} ")
    assert f"{(changes < 0).sum()} are answered better, {(changes > 0).sum()} worse" in back


@pytest.mark.parametrize("task", TASKS)
def test_a_network_against_itself_and_against_another_of_its_kind(task):
    base, new = pair(task, new=(0.5, 1))
    assert compare(base, base).document.headline.startswith("No difference: base and new have the same ")
    claims = 0
    for seed in range(10, 20):
        base, new = pair(task, (0.5, seed), (0.5, seed + 50))
        headline = compare(base, new).document.headline
        claims += not headline.startswith(("No difference beyond chance: ", "No clear difference, as interval"))
    assert claims <= 1
    start = {0: Snapshot(0, 0, {"params": {"head/kernel": DRAWN.normal(size=(3, 4)).astype(np.float32)}})}
    base, new = pair(task)
    seeded = replace(new, config=base.config, snapshots={**new.snapshots, **start})
    assert compare(base, seeded).document.headline.startswith("No difference but the seed, as far as")


def test_pictures_of_what_changed_most_go_into_a_comment(tmp_path):
    report = compare(*pair(reconstruction))
    names = [block.name for block in section(report).blocks if hasattr(block, "picture")]
    assert names == ["scores-changes", "scores-better", "scores-worse"]
    path = report.save(tmp_path / "pr", "md")
    text = path.read_text(encoding="utf-8")
    (folder,) = path.parent.glob("*figures")
    assert f'src="{folder.name}/scores-better.png"' in text and (folder / "scores-better.png").exists()


def test_examples_with_other_targets_or_without_a_finite_score_are_left_out_and_counted():
    base, new = pair(regression)
    batch, targets = new.batch("evaluation"), TRUE.copy()
    targets[:3] += 1
    predictions = np.asarray(new.observations[10].outcome.predictions).copy()
    predictions[10:15] = np.nan
    observations = {**new.observations, 10: replace(new.observations[10], outcome=Regression(predictions))}
    other = replace(
        new, observations=observations, batches={**new.batches, "evaluation": replace(batch, targets=targets)}
    )
    report = compare(base, other)
    reasons = " ".join(block.text for block in section(report, "left-out").blocks)
    assert "3 evaluation examples have other targets in new than in base" in reasons
    assert "the same 72 evaluation examples" in report.document.headline
    assert "5 more have no finite score in both" in report.document.headline


def test_a_run_that_scores_nothing_is_no_different_from_itself():
    run = made(Kind.NONE, None, Batch(N, VECTORS)).run
    report = compare(run, run)
    assert report.document.headline.startswith("No difference in parameters: those of base and new are all equal.")
    reasons = " ".join(block.text for block in section(report, "left-out").blocks)
    assert "nothing is scored in either run" in reasons


def test_runs_of_different_tasks_are_compared_in_what_they_share():
    base, new = regression(0.5, 1).run, reconstruction(0.5, 1).run
    other = {10: Snapshot(10, 2, {"params": {"head/kernel": np.ones((3, 4), np.float32)}})}
    report = compare(base, replace(new, snapshots={**new.snapshots, **other}))
    reasons = " ".join(block.text for block in section(report, "left-out").blocks)
    assert "base is scored on real values, new on a reconstruction" in reasons
    assert report.document.headline == (
        "No verdict: base is scored on real values, new on a reconstruction; such numbers can't be compared."
    )
    assert "val loss" not in dict(report.document.key_figures)
    assert html(report.document)
