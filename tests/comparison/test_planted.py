"""Twenty planted differences, each of which a comparison must name. `make test` trains a quarter of them."""

import os

import pytest

import reportgen
from reportgen.core.report import Fold, Table, Text
from reportgen.page.outline import walk
from tests.comparison.training import Plan, train

# What is planted -> what must be said of it on the way in: all of these words.
PLANTED = {
    "learning rate": ({"learning_rate": 0.03}, ["learning_rate", "3 times as large, in the same direction"]),
    "seed": ({"seed": 1}, ["seed", "start from other parameters (3 of 3)"]),
    "re-initialised layer": ({"reinitialised": True}, ["only hidden/kernel differs", "re-initialised"]),
    "relabelled class": (
        {"relabelled": True},
        ["3 is labelled 5", "another label in new", "embedding batch of new has no"],
    ),
    "missing class": (
        {"class_missing": True},
        ["embedding batch of new has no example of class 3", "never predicts 3"],
    ),
    "data order": ({"order": 1}, ["the loss of update 1, from equal parameters", "another batch (its order"]),
    "optimizer": ({"optimizer": "sgd"}, ["optimizer", "equal loss", "another optimizer"]),
    "dropout off": ({"dropout": 0.0}, ["dropout", "layer|Dropout_0|Dropout 16|None", "other randomness"]),
    "frozen layer": (
        {"frozen": True},
        ["Frozen: hidden/bias and hidden/kernel did not change during the training of new"],
    ),
    "wider layer": ({"width": 24}, ["layer|hidden|16, bias 16, kernel 128×16|24, bias 24, kernel 128×24", "width"]),
    "permuted channels": ({"permuted": True}, ["The same network with its channels in another order"]),
    "preprocessing": ({"rescaled": True}, ["prepared differently: those of new are 4 times those of base − 2"]),
    "poisoned batch": ({"poisoned": True}, ["Up to step 12 the two trainings are the same; the loss of update 13"]),
    "half the training": ({"epochs": 2}, ["epochs", "the length of the training (40 and 20 updates)"]),
    "weight decay": ({"weight_decay": 0.1}, ["weight_decay", "−0.001 times the parameters, as weight decay gives"]),
    "activation": ({"activation": "tanh"}, ["layer|norm/tanh|norm/relu, relu|norm/tanh, tanh", "activation"]),
    "kernel size": ({"kernel": 5}, ["layer|conv|kernel 3×3×1×8|kernel 5×5×1×8"]),
    "label noise": (
        {"label_noise": True},
        ["shared examples of the embedding batch have another label in new", "kinds"],
    ),
    "batch statistics": (
        {"statistics_kept": True},
        ["Never updated: batch_stats/norm/mean and batch_stats/norm/var stayed"],
    ),
    "float16": ({"precision": "float16"}, ["is float32 in base and float16 in new", "layer|conv|float32|float16"]),
}
SHORT = ("permuted channels", "weight decay", "relabelled class", "poisoned batch", "batch statistics")


def said(report: reportgen.Report) -> str:
    """The sentences and rows on the way in, and the finding on the layers."""
    sections = {section.anchor: section for section in report.document.sections}
    lines = [sections["way-in"].finding, sections["inside"].finding if "inside" in sections else ""]
    for block in walk(sections["way-in"].blocks):
        if isinstance(block, Text):
            lines.append(block.text)
        elif isinstance(block, Table):
            lines += ["|".join(map(str, row)) for row in block.rows]
        else:
            assert not isinstance(block, Fold)
    return "\n".join(lines)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """The base of each plan: without dropout where channels are permuted, which drops others."""
    folder, made = tmp_path_factory.mktemp("base"), {}

    def base(plan: Plan):
        if plan not in made:
            made[plan] = train(folder / str(len(made)), plan)
        return made[plan]

    return base


@pytest.mark.parametrize("name", PLANTED if os.environ.get("REPORTGEN_SOAK") else SHORT)
def test_a_planted_difference_is_named(name, bases, tmp_path):
    change, words = PLANTED[name]
    plan = Plan(dropout=0.0) if "permuted" in change else Plan()
    text = said(reportgen.compare(bases(plan), train(tmp_path / "new", plan, **change), embedding="pca"))
    assert [word for word in words if word not in text] == [], text


def test_twenty_are_planted():
    assert len(PLANTED) == 20 and set(SHORT) < set(PLANTED)
