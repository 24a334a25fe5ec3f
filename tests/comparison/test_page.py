"""The page of a comparison: what it says, in all its forms, of runs made of plain arrays."""

import csv
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import reportgen
from reportgen.core.examples import fingerprints
from reportgen.core.report import Fold
from reportgen.core.run import LayerVectors
from reportgen.errors import OptionError, RunError
from reportgen.page.html import html
from reportgen.page.markdown import LIMIT
from reportgen.sections.compare.verdict import p_text
from reportgen.store import open_run, save_run
from tests.reliability.runs import write_run
from tests.snapshots import flip_last_byte

ANCHORS = ["way-in", "curves", "sides", "classes", "graph", "inside", "parameters", "embedding"]


def made(path, seed=0, wrong=(), images=60, **options):
    """A run with layer vectors; the examples `wrong` are classified as the next class."""

    def predicted(labels):
        return np.where(np.isin(np.arange(len(labels)), wrong), (labels + 1) % options.get("classes", 3), labels)

    inputs = np.random.default_rng(0).random((images, 6, 6, 1)).astype(np.float32)

    def pixels(step, name, value):
        return inputs[: len(value)] if name.endswith("_images") else value

    write_run(path / "plain", seed=seed, images=images, predicted=predicted, pixels=pixels, **options)
    run = open_run(path / "plain")
    last = max(run.observations)
    rng = np.random.default_rng(seed)
    vectors = {layer.path: rng.normal(size=(40, layer.channels)).astype(np.float16) for layer in run.network.distinct}
    observation = replace(run.observations[last], layer_vectors=LayerVectors(np.arange(40), vectors))
    whole = replace(
        run, config={**run.config, "variant": seed}, observations={**dict(run.observations.items()), last: observation}
    )
    return save_run(whole, path / "run")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        "base": made(folder / "base", 0, range(30)),
        "new": made(folder / "new", 1, range(2)),
        "seed": made(folder / "seed", 2, range(28)),
    }


def compare(*sides, **options):
    return reportgen.compare(*sides, embedding="pca", **options)


def section(report, anchor):
    return next(section for section in report.document.sections if section.anchor == anchor)


def test_it_has_every_section_in_order_and_a_verdict(runs):
    report = compare(runs["base"], runs["new"])
    assert [section.anchor for section in report.document.sections] == ANCHORS
    assert report.document.headline == (
        "New is better: +46.7\xa0points of accuracy on the same 60 evaluation examples "
        "(95\xa0% interval +32.6 to +58.9, McNemar p < 0.0001): 28 fixed, 0 broken. "
        "With one run each, how much of it another seed alone gives is not known."
    )
    assert report.document.title == "tiny on made: new against base"
    assert section(report, "sides").finding.startswith("Of 60 shared evaluation examples, new classifies 28 correctly")


def test_exchanged_it_says_the_same_with_signs_turned(runs):
    one, other = compare(runs["base"], runs["new"]), compare(runs["new"], runs["base"])
    assert other.document.headline == (
        "New is worse: −46.7\xa0points of accuracy on the same 60 evaluation examples "
        "(95\xa0% interval −58.9 to −32.6, McNemar p < 0.0001): 0 fixed, 28 broken. "
        "With one run each, how much of it another seed alone gives is not known."
    )
    assert section(one, "inside").finding == section(other, "inside").finding
    rows, turned = (
        list(next(n for n in section(r, "inside").numbers if n.filename == "layers.csv").rows()) for r in (one, other)
    )
    for row, back in zip(rows, turned, strict=True):
        assert row[5:8] == pytest.approx(back[5:8], abs=1e-12)
    classes, turned = (list(section(r, "classes").numbers[0].rows()) for r in (one, other))
    for row, back in zip(classes, turned, strict=True):
        assert (row[4], row[5], row[8]) == (back[5], back[4], back[8])
        assert row[6:8] == pytest.approx([-back[7], -back[6]])


def test_a_run_against_itself_is_no_difference_and_the_same_bytes_twice(runs, tmp_path):
    report = compare(runs["base"], runs["base"])
    assert report.document.headline == (
        "No difference: base and new give the same answer to the same 60 evaluation examples, and all their parameters "
        "are equal."
    )
    rows = list(next(n for n in section(report, "inside").numbers if n.filename == "layers.csv").rows())
    assert {row[5] for row in rows} == {1.0} and {row[4] for row in rows} == {"values"}
    assert "inside, the networks are the same" in section(report, "inside").finding
    for name in ("one.html", "two.html"):
        compare(runs["base"], runs["base"]).save(tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_few_examples_more_are_no_claim(runs):
    assert compare(runs["base"], runs["seed"]).document.headline.startswith(
        "No difference beyond chance: +3.3\xa0points"
    )


def test_an_interval_and_a_test_that_disagree_are_no_claim_and_said_to(runs, tmp_path):
    headline = compare(runs["base"], made(tmp_path, 3, range(35))).document.headline
    assert headline.startswith("No clear difference, as interval and test disagree: −8.3\xa0points")
    low, high = re.search(r"interval −([0-9.]+) to −([0-9.]+), McNemar p = 0.06\)", headline).groups()
    assert float(low) > float(high) > 0 and "0 fixed, 5 broken" in headline


@pytest.mark.parametrize(("p", "text"), [(0.0378, "0.04"), (0.0512, "0.051"), (0.0496, "0.0496"), (0.05, "0.05")])
def test_a_p_is_not_rounded_over_the_level(p, text):
    assert p_text(p) == f"p = {text}"


def test_two_seeds_of_one_configuration_are_no_difference_however_far_apart(runs):
    base, new = (open_run(runs[name]) for name in ("base", "new"))
    config = {**base.config, "seed": 1}
    report = compare(base, replace(new, config=config))
    start = "No difference but the seed, as far as the runs recorded it: another seed alone gives +46.7\xa0points"
    assert report.document.headline.startswith(start)
    assert section(report, "classes").finding.startswith("No class is better or worse beyond the chance of training, ")
    seeds = [replace(run, config=config | {"seed": seed}) for seed, run in enumerate((base, base, new, new))]
    rows = [replace(run.metrics.epochs[-1], measured={"val_accuracy": 0.5 + i / 100}) for i, run in enumerate(seeds)]
    metrics = [replace(run.metrics, epochs=(row,)) for run, row in zip(seeds, rows, strict=True)]
    seeds = [replace(run, metrics=known) for run, known in zip(seeds, metrics, strict=True)]
    report = compare([seeds[0]] * 2 + [seeds[1]], [seeds[2]] * 2 + [seeds[3]])
    assert report.document.headline.startswith("No difference but the seeds, as far as the runs recorded it: ")


def test_examples_prepared_differently_are_paired_by_their_places(runs):
    base, new = (open_run(runs[name]) for name in ("base", "new"))
    batch = new.batch("evaluation")
    inputs = np.asarray(batch.inputs) * 4 - 2
    other = replace(batch, inputs=inputs, fingerprints=fingerprints(inputs))
    report = compare(base, replace(new, batches={**new.batches, "evaluation": other}))
    assert report.document.headline == compare(base, new).document.headline
    assert "paired by their places" in " ".join(block.text for block in section(report, "left-out").blocks)
    relabelled = replace(other, targets=(batch.labels + 1) % 3)
    report = compare(base, replace(new, batches={**new.batches, "evaluation": relabelled}))
    assert report.document.headline.startswith("No verdict")


def test_several_seeds_give_a_difference_of_means_and_what_they_can_show(runs):
    report = compare([runs["base"], runs["seed"]], [runs["seed"], runs["base"]])
    assert report.document.headline.startswith(
        "No difference beyond the seeds: val_accuracy 0.0\xa0points over 2 runs of base and 2 of new"
    )
    assert "Mann-Whitney p = 1.00, at least 0.33 with so few runs" in report.document.headline
    assert "could not have been shown" in report.document.headline
    assert "the band is from the least to the largest run" in section(report, "curves").blocks[0].caption
    alone = compare([runs["base"], runs["seed"]], [runs["new"]])
    assert "a single run on a side has no spread" in alone.document.headline
    assert "CKA of base's seeds" in str(section(report, "inside").blocks)


def test_what_cant_be_compared_is_left_out_with_a_sentence(runs, tmp_path):
    other = made(tmp_path, 3, range(5), images=30)
    report = compare(runs["base"], other)
    reasons = [block.text for block in section(report, "left-out").blocks]
    assert reasons[0].startswith("Only 30 evaluation examples are in both runs, of 60 in base and 30 in new")

    def elsewhere(step, name, value):
        return value[..., ::-1, :] + 0.25 if name.endswith("_images") else value

    strange = write_run(tmp_path / "strange", pixels=elsewhere)
    report = compare(runs["base"], strange)
    text = " ".join(block.text for block in section(report, "left-out").blocks)
    assert "no evaluation example in common" in text and "new has no layer vectors" in text
    assert not {"sides", "classes", "inside"} & {part.anchor for part in report.document.sections}
    assert report.document.headline.startswith("No verdict: val_accuracy is")
    assert html(report.document)


def test_other_architectures_are_compared_where_they_agree(runs, tmp_path):
    wide = made(tmp_path, 1, range(3), classes=4)
    report = compare(runs["base"], wide)
    text = " ".join(block.text for block in section(report, "left-out").blocks)
    assert "do not have the same classes" in text
    assert "Parameters of other shapes were not compared: output/bias and output/kernel" in text
    assert section(report, "inside")


def test_numbers_and_figures_are_written(runs, tmp_path):
    report = compare(runs["base"], runs["new"])
    names = {path.name for path in report.write_numbers(tmp_path / "numbers")}
    assert names >= {"way_in.csv", "curves.csv", "predictions.csv", "classes.csv", "layers.csv", "channels.csv"}
    with (tmp_path / "numbers" / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60 and {"index_base", "index_new", "label", "base", "new"} == set(rows[0])
    assert sum(row["base"] != row["label"] for row in rows) == 30
    written = {path.name for path in report.write_figures(tmp_path / "figures", "svg")}
    assert {"inside-cka.svg", "classes-confusion.svg", "sides-fixed.svg", "embedding-both.svg"} <= written


def test_a_large_comparison_fits_into_a_comment(tmp_path):
    names = [f"a class with quite a long name, number {i} of very many | <b>" for i in range(1000)]

    def large(path, seed):
        run = open_run(made(path, seed, range(0, 2000, 3), images=2000, classes=1000))
        last = max(run.observations)
        layers = {f"block_{i}/{'deep/' * 20}conv": run.network.layers["hidden"] for i in range(200)}
        network = replace(run.network, layers={p: replace(x, path=p, params={}) for p, x in layers.items()})
        rng = np.random.default_rng(seed)
        vectors = LayerVectors(np.arange(40), {path: rng.normal(size=(40, 5)).astype(np.float16) for path in layers})
        observation = replace(run.observations[last], layer_vectors=vectors)
        config = {**run.config, **{f"option {i}": "x" * 300 + str(seed) for i in range(300)}}
        facts = {"network": network, "classes": tuple(names), "config": config}
        problems = tuple(f"problem {i} " + "y" * 500 for i in range(100))
        return replace(run, observations={last: observation}, problems=problems, **facts)

    base, new = large(tmp_path / "a", 0), large(tmp_path / "b", 1)
    report = compare(base, new)
    path = report.save(tmp_path / "pr", "md")
    text = path.read_text(encoding="utf-8")
    assert len(text) <= LIMIT == 60_000
    assert "## Inside, layer by layer" in text and "<b>" not in text
    assert len(html(report.document).encode()) < 5_000_000
    outcome = new.observations[max(new.observations)].outcome
    predictions = np.roll(outcome.predictions, 1000)
    predictions[:700] = -1
    other = replace(new.observations[max(new.observations)], outcome=replace(outcome, predictions=predictions))
    report = compare(base, replace(new, observations={max(new.observations): other}))
    fold = next(block for block in section(report, "sides").blocks if isinstance(block, Fold))
    assert len(fold.blocks[0].rows) <= 80 and "predictions.csv has all" in fold.blocks[0].caption


def test_accuracy_is_drawn_as_error_and_a_replay_over_steps(runs):
    base, new = (open_run(runs[name]) for name in ("base", "new"))
    shown = html(compare(base, new).document)
    assert "Error, 100 − val_accuracy, %" in shown and "one axis of epochs" in shown and ">epoch</text>" in shown
    replayed = replace(new, provenance={**new.provenance, "epochs_are": "checkpoints"})
    shown = html(compare(base, replayed).document)
    assert "one axis of steps" in shown and ">epoch</text>" not in shown


def test_a_fold_of_one_names_one(runs):
    shown = html(compare(runs["base"], runs["new"]).document)
    assert "The other 1 " not in shown and "The other metric" in shown


def test_a_number_before_and_after_has_as_many_decimals(runs):
    def ending(run, loss):
        rows = tuple(replace(row, reported={"val_loss": loss}) for row in run.metrics.epochs)
        return replace(run, metrics=replace(run.metrics, epochs=rows))

    base, new = (open_run(runs[name]) for name in ("base", "new"))
    figures = dict(compare(ending(base, 0.1017), ending(new, 0.112)).document.key_figures)
    assert figures["val loss"] == "0.1017 → 0.1120"


def test_conditions_on_its_numbers(runs):
    report = compare(runs["base"], [runs["new"], runs["seed"]])
    conditions = ["val_accuracy < base", "dead_channels >= base", "val_accuracy > base + 0.2"]
    assert report.crossed(conditions) == ("dead_channels >= base", "val_accuracy > base + 0.2")
    with pytest.raises(OptionError, match="new has no number 'accuracy'"):
        report.crossed(["accuracy < base"])
    assert isinstance(report.with_section("Notes", "A paragraph."), reportgen.ComparisonReport)


def command(*arguments):
    code = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jax", "jaxlib", "flax", "optax", "orbax"):
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Missing())
from reportgen.cli import main
main()
"""
    return subprocess.run([sys.executable, "-c", code, "compare", *map(str, arguments)], capture_output=True, text=True)


def test_the_command_needs_no_jax_and_tells_by_its_exit_code(runs, tmp_path):
    page = tmp_path / "c.html"
    done = command(runs["base"], runs["new"], "-o", page, "--embedding", "pca", "--fail-if", "val_accuracy < base")
    assert (done.returncode, done.stderr.count("crossed")) == (0, 0), done.stderr
    assert page.read_text(encoding="utf-8") == html(compare(runs["base"], runs["new"]).document)
    folder = tmp_path / "pr"
    seeds = ["--base", runs["new"], runs["base"], "--new", runs["seed"], runs["base"]]
    condition = ["--fail-if", "val_accuracy < base - 0.1", "--fail-if", "dead_channels < base"]
    done = command(*seeds, "-o", folder, "--format", "md", "--embedding", "pca", *condition)
    assert done.returncode == 1 and "crossed: val_accuracy < base - 0.1\n" in done.stderr
    assert "crossed: dead" not in done.stderr and (folder / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["BASE"], "two runs are compared, BASE and NEW; got 1"),
        (["--base", "BASE"], "at least one run as base and one as new"),
        (["BASE", "NEW", "--new", "NEW"], "not both"),
        (["BASE", "nowhere"], "nowhere is not a directory"),
        (["BASE", "NEW", "--fail-if", "import os"], "is not a condition"),
        (["BASE", "NEW", "--fail-if", "acuracy < base"], "new has no number 'acuracy'"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(runs, tmp_path, arguments, message):
    given = [str(runs[a.lower()]) if a in ("BASE", "NEW") else a for a in arguments]
    done = command(*given, "-o", tmp_path / "c.html", "--embedding", "pca")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "c.html").exists()


def test_a_file_that_proves_damaged_is_left_out(runs, tmp_path):
    broken = made(tmp_path, 4, range(3))
    flip_last_byte(broken, 4)
    report = compare(runs["base"], broken)
    assert any("snapshots of step 4 left out" in warning for warning in report.document.warnings)
    with pytest.raises(RunError):
        compare(runs["base"], tmp_path / "nothing")
