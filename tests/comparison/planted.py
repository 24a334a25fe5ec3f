"""Twenty planted differences and twenty pairs of seeds, and what a comparison says of them.

python -m tests.comparison.planted      # a table: what names each planted difference, then the pairs
"""

import tempfile
from pathlib import Path

import reportgen
from reportgen.core.report import Fold, Table, Text
from reportgen.core.run import Run
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
    "data order": ({"order": 1}, ["The loss of update 1, from equal parameters", "another batch (its order"]),
    "optimizer": ({"optimizer": "sgd"}, ["optimizer", "equal loss", "another optimizer"]),
    "dropout off": ({"dropout": 0.0}, ["dropout", "layer|Dropout_0|Dropout 16|not there", "other randomness"]),
    "frozen layer": (
        {"frozen": True},
        ["Frozen: hidden/bias and hidden/kernel did not change during the training of new"],
    ),
    "wider layer": ({"width": 24}, ["layer|hidden|16, bias 16, kernel 128×16|24, bias 24, kernel 128×24", "width"]),
    "permuted channels": ({"permuted": True}, ["The same network with its channels in another order"]),
    "preprocessing": (
        {"rescaled": True},
        ["evaluation batch are prepared differently: those of new are 4 times those of base − 2"],
    ),
    "poisoned batch": ({"poisoned": True}, ["Up to step 12 the two trainings are the same; the loss of update 13"]),
    "half the training": (
        {"epochs": 2},
        ["the length of the training (40 and 20 updates)", "equal up to step 20, the last of new"],
    ),
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
    "float16": (
        {"precision": "float16"},
        ["is float32 in base and float16 in new", "layer|conv|float32|float16", "gives no prediction"],
    ),
}


PAIRS = 20


class Bases:
    """The base of each plan, trained once: without dropout where channels are permuted, which drops others."""

    def __init__(self, folder: Path):
        self._folder, self._made = folder, {}

    def __getitem__(self, name: str) -> tuple[Plan, Run]:
        plan = Plan(dropout=0.0) if "permuted" in PLANTED[name][0] else Plan()
        if plan not in self._made:
            self._made[plan] = train(self._folder / str(len(self._made)), plan)
        return plan, self._made[plan]


def compared(name: str, bases: Bases, folder: Path) -> reportgen.ComparisonReport:
    """The base against a training with the named difference."""
    plan, base = bases[name]
    return reportgen.compare(base, train(folder, plan, **PLANTED[name][0]), embedding="pca")


def pair(number: int, folder: Path) -> reportgen.ComparisonReport:
    """Two trainings of one configuration with two seeds of their own."""
    runs = [train(folder / str(side), Plan(seed=2 * number + side + 100)) for side in range(2)]
    return reportgen.compare(*runs, embedding="pca")


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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bases = Bases(Path(folder))
        print("| planted | named by |\n|---|---|")
        for name, (_, words) in PLANTED.items():
            lines = said(compared(name, bases, Path(folder) / "new")).splitlines()
            naming = [line.replace("|", " / ") for line in lines if any(word in line for word in words)]
            missed = [word for word in words if not any(word in line for line in lines)]
            print(f"| {name} | {'<br>'.join(naming)}{f' **not said: {missed}**' if missed else ''} |", flush=True)
        print("\n| pair of seeds | verdict |\n|---|---|")
        for number in range(PAIRS):
            print(f"| {number} | {pair(number, Path(folder) / 'pair').document.headline} |", flush=True)


if __name__ == "__main__":
    main()
