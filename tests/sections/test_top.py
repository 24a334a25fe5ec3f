"""The first screen: how good and how sure, what to doubt, where the run comes from."""

from dataclasses import replace

import pytest
from markupsafe import escape

from reportgen import build
from reportgen.page.html import html
from reportgen.record.provenance import command
from reportgen.sections import curves, summary
from reportgen.sections.context import PageContext
from reportgen.sections.options import Moment, Options
from reportgen.store import open_run


def context(run) -> PageContext:
    return PageContext(Moment(run, 12), Moment(run, 0), Options(embedding="pca"))


def test_names_are_those_that_people_use(recorded):
    run = open_run(recorded)
    assert summary.page_title(context(run)) == "tiny on tiny"
    known = replace(run, config={**run.config, "model": "lenet", "dataset": "mnist5k"})
    assert summary.page_title(context(known)) == "LeNet on MNIST"
    assert summary.headline(context(known)).startswith("LeNet classifies ")
    assert "MNIST" not in summary.headline(context(known)), "the title has said it"


def test_the_small_line_names_day_commit_seed_and_command(recorded):
    run = open_run(recorded)
    facts = {"date": "2026-02-03", "git_commit": "0123456789abcdef", "git_dirty": True, "command": "python a.py"}
    facts |= {"train_images": 300, "dataset_fingerprint": "f" * 64}
    made = context(replace(run, provenance=facts))
    said = "2026-02-03 · commit 0123456789 with uncommitted changes · seed 0 · 300 training images · data ffffffffff"
    assert summary.origin(made) == f"{said} · python a.py"
    bare = context(replace(run, provenance={}, config={}))
    assert summary.origin(bare) == ""
    document = build(recorded, embedding="pca").document
    assert document.origin and f">{escape(document.origin)}</p>" in html(document)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["/usr/bin/reportgen", "train", "-o", "/home/me/runs/a"], "reportgen train -o a"),
        (["train.py", "--data=/mnt/data", "--lr", "3e-4"], "python train.py --data=data --lr 3e-4"),
        (["/x/reportgen/__main__.py", "demo"], "python -m reportgen demo"),
        (["t.py", "--hub-token", "abc", "--apikey=abc", "a b"], "python t.py --hub-token … --apikey=… 'a b'"),
        (["reportgen", "replay", "--key", "ema_params", "runs/c"], "reportgen replay --key ema_params runs/c"),
        (["/x/reportgen/__main__.py", "inspect", "--key=ema"], "python -m reportgen inspect --key=ema"),
        (["t.py", "--key", "abc", "--key=abc"], "python t.py --key … --key=…"),
        (["/x/ipykernel_launcher.py", "-f", "k.json"], None),
        ([""], None),
    ],
)
def test_the_command_has_no_folders_and_no_secrets(argv, words):
    assert command(argv) == words


def with_accuracies(run, values, size):
    rows = [
        replace(row, measured={"val_accuracy": value}) for row, value in zip(run.metrics.epochs, values, strict=True)
    ]
    batches = {**run.batches, "evaluation": replace(run.batch("evaluation"), size=size)}
    return context(replace(run, metrics=replace(run.metrics, epochs=tuple(rows)), batches=batches))


def test_accuracies_within_noise_are_not_told_apart(recorded):
    run = open_run(recorded)
    rose = curves.build(with_accuracies(run, [0.1, 0.972, 0.971], 1000)).finding
    assert rose.startswith("Test accuracy rose from 10.0\xa0% to 97.1\xa0% in 2 epochs; test loss")
    fell = curves.build(with_accuracies(run, [0.1, 0.99, 0.90], 1000)).finding
    assert "; it was highest after epoch 1, at 99.0\xa0%" in fell
    same = curves.build(with_accuracies(run, [0.5, 0.6, 0.52], 100)).finding
    assert same.startswith(
        "Test accuracy is 52.0\xa0% after epoch 2, within the 95\xa0% interval of the 50.0\xa0% after"
    )


def test_what_the_accuracy_is_drawn_as_is_said(recorded):
    run = open_run(recorded)
    for values, said in (
        ([0.1, 0.5, 0.7], "Accuracy: share of images classified correctly"),
        ([0.1, 0.5, 0.97], "Error: share of images classified wrongly. Epoch 0"),
        ([0.1, 0.5, 1.0], "Error: share of images classified wrongly, at the lower edge where it is 0. Epoch 0"),
    ):
        assert said in curves.build(with_accuracies(run, values, 1000)).blocks[0].caption


def test_a_loop_that_forgot_epoch_is_told(recorded):
    run = open_run(recorded)
    assert not [warning for warning in summary.warnings(context(run)) if "epoch()" in warning]
    first, *_, last = run.snapshots
    metrics = replace(run.metrics, epochs=run.metrics.epochs[:1])
    forgotten = replace(run, observations={first: run.observations[first]}, metrics=metrics)
    (warning,) = (warning for warning in summary.warnings(context(forgotten)) if "epoch()" in warning)
    assert warning.endswith(f"of step {first}, not of step {last}.")
