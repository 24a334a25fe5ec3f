"""Twenty planted differences, each of which a comparison must name, and twenty pairs of seeds, of which it claims none.

`make test` trains a quarter of the ones and a tenth of the others, `make soak` all. The trainings are short: three
quarters of the pairs of seeds differ with McNemar's p < .05.
"""

import os
from dataclasses import replace

import pytest

import reportgen
from tests.comparison.planted import PAIRS, PLANTED, Bases, compared, pair, said
from tests.comparison.training import Plan, train

SOAK = bool(os.environ.get("REPORTGEN_SOAK"))
SHORT = ("permuted channels", "weight decay", "relabelled class", "poisoned batch", "batch statistics", "preprocessing")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    return Bases(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("name", PLANTED if SOAK else SHORT)
def test_a_planted_difference_is_named(name, bases, tmp_path):
    report = compared(name, bases, tmp_path / "new")
    text = said(report)
    assert [word for word in PLANTED[name][1] if word not in text] == [], text
    if name not in ("seed", "data order"):  # what is named is not taken for chance
        assert not report.document.headline.startswith("No difference but"), report.document.headline


def test_twenty_are_planted():
    assert len(PLANTED) == 20 and set(SHORT) < set(PLANTED)


@pytest.mark.parametrize("number", range(PAIRS if SOAK else 2))
def test_another_seed_is_no_difference(number, tmp_path):
    document = pair(number, tmp_path).document
    assert document.headline.startswith("No difference"), document.headline
    classes = next(section for section in document.sections if section.anchor == "classes")
    assert classes.finding.startswith("No class is "), classes.finding


def test_a_seed_and_something_else_is_spoken_of(bases, tmp_path):
    _, base = bases["optimizer"]
    report = reportgen.compare(base, train(tmp_path / "new", Plan(seed=1, optimizer="sgd")), embedding="pca")
    assert report.document.headline.startswith("New is worse: "), report.document.headline
    assert "configuration|optimizer|adam|sgd" in said(report) and "start from other parameters" in said(report)


def test_what_the_configuration_hides_the_parameters_tell(bases, tmp_path):
    _, base = bases["optimizer"]
    new = train(tmp_path / "new", Plan(optimizer="sgd"))
    base, new = (replace(run, config={"dataset": "digits"}) for run in (base, new))
    report = reportgen.compare(base, new, embedding="pca")
    assert "equal parameters and an equal loss, and differs in 8 parameters of 8" in said(report)
    assert report.document.headline.startswith("New is worse: "), report.document.headline
