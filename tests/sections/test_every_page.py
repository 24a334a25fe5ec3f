"""What holds on the page of every kind of run: an ordinary one, one as large as MNIST, long names, a hundred and a
thousand classes, a language model, an untrained network, a diverged one, a hundred epochs.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import reportgen
from reportgen.core.report import Document, Section, Table
from reportgen.core.scripted import Examples, Explorer
from reportgen.data import make_dataset
from reportgen.models.lenet import LeNet
from reportgen.page.html import html
from reportgen.page.markdown import markdown
from reportgen.page.outline import walk
from reportgen.training import train
from tests.comparison.test_tasks import tokens
from tests.sections.made import document as page_of
from tests.sections.made import rows_of
from tests.sections.test_many_classes import NAMES, many
from tests.sections.test_unusual_runs import recorded_run


def as_large_as_mnist(path: Path) -> Path:
    """LeNet on 28 x 28 pixels, 10,000 of them evaluated: digits of 8 x 8, each shifted and with noise of its own."""
    images, labels = load_digits(return_X_y=True)
    drawn = np.random.default_rng(0)
    chosen = drawn.integers(0, len(images), 11_000)
    pixels = np.kron(images.reshape(-1, 8, 8)[chosen] / 16, np.ones((3, 3)))
    pixels = np.pad(pixels + drawn.normal(0, 0.05, pixels.shape), ((0, 0), (2, 2), (2, 2))).clip(0, 1)
    inputs, labels = pixels[..., None].astype(np.float32), labels[chosen]
    names = [str(digit) for digit in range(10)]
    data = make_dataset("large", inputs[:1000], labels[:1000], inputs[1000:], labels[1000:], names)
    train(path, data, LeNet(10), model_name="lenet", epochs=2, batch_size=50, learning_rate=2e-3)
    return path


def built(run: Path) -> Document:
    return reportgen.build(run, embedding="pca").document


MADE = {
    "mnist": lambda folder: built(as_large_as_mnist(folder / "run")),
    **{f"{count} names": lambda folder, count=count: built(many(folder / "run", count)) for count in NAMES},
    "language": lambda _: page_of(tokens(0.5, 1)),
    "untrained": lambda folder: built(recorded_run(folder / "run", 0)),
    "diverged": lambda folder: built(recorded_run(folder / "run", 3, share=1e30)),
    "long": lambda folder: built(recorded_run(folder / "run", 100)),
}


@pytest.fixture(scope="module", params=["ordinary", *MADE])
def document(request, tmp_path_factory, recorded) -> Document:
    if request.param == "ordinary":
        return built(recorded)
    return MADE[request.param](tmp_path_factory.mktemp("page"))


def section(document: Document, anchor: str) -> Section | None:
    return next((part for part in document.sections if part.anchor == anchor), None)


def found(document: Document, kind: type) -> list:
    return [block for part in document.sections for block in walk(part.blocks) if isinstance(block, kind)]


def said(document: Document) -> list[str]:
    return [document.headline, *document.warnings, *(part.finding for part in document.sections)]


def test_a_channel_is_named_only_where_its_numbers_bear_it(document: Document) -> None:
    part = section(document, "activity")
    claim = part and re.search(
        r"[Cc]hannel (\d+) of (\S+) responds most to (.+?) \(([\d.]+) times .*?n\s=\s([\d,]+)", part.finding
    )
    if not claim:
        assert part is None or not re.match(r"[Cc]hannel", part.finding)
        return
    channel, layer, label, times, n = claim.groups()
    rows = [r for r in rows_of(part, "activity.csv") if r["layer"] == layer and str(r["channel"]) == channel]
    for measure in ("activity", "ratio"):
        values = {row["label"]: row[measure] for row in rows if row[measure] is not None}
        others = np.mean([value for name, value in values.items() if name != label])
        assert max(values, key=values.get) == label and (values[label] - others) / (values[label] + others) >= 0.2
    activity = {row["label"]: row["activity"] for row in rows if row["activity"] is not None}
    assert float(times) == pytest.approx(activity[label] / np.mean(list(activity.values())), abs=0.051)
    counted = next(row["images"] for row in rows if row["label"] == label)
    assert counted == int(n.replace(",", "")) >= 20


def test_what_is_said_of_an_embedding_says_of_which_examples(document: Document) -> None:
    part = section(document, "embedding")
    if part is None or re.match("There is no embedding", part.finding):
        return
    groups = [group.name for block in found(document, Examples) for group in block.groups]
    assert groups[0] in part.finding or f"{groups[0]}s" in part.finding or "have one and the same" in part.finding
    assert (section(document, "overlay") is not None) == (len(groups) == 2 and not groups[0].startswith("evaluation"))
    for text in said(document):
        if "did not shape the layout" in text:
            assert len(groups) == 2
    moved = re.search(r"still moved ([\d.]+) .* standing layout moves ([\d.]+)", part.finding)
    assert not moved or float(moved[1]) > float(moved[2])
    assert not [block for block in part.blocks if isinstance(block, Table) and len(block.rows) > 40], (
        "long tables are folded"
    )


def test_the_top_says_how_good_and_how_sure_and_repeats_nothing(document: Document) -> None:
    assert " on " not in document.title or document.title not in document.headline
    share = re.search(r"([\d,]+) of ([\d,]+) .*?\(([\d.]+)\s%, 95\s% interval ([\d.]+) to ([\d.]+)", document.headline)
    part = section(document, "mistakes")
    if share and part:
        right, of = (int(number.replace(",", "")) for number in share.groups()[:2])
        matrix = np.array([list(row.values())[1:] for row in rows_of(part, "confusion.csv")], int)
        answered = matrix.sum()  # a diverged network names no class
        assert right == np.trace(matrix) and of == len(rows_of(part, "predictions.csv")) >= answered
        assert float(share[3]) == pytest.approx(100 * right / of, abs=0.051)
        assert float(share[4]) <= float(share[3]) <= float(share[5])


def test_the_explorer_counts_as_the_table_does(document: Document) -> None:
    for explorer in found(document, Explorer):
        rows = {row["param"]: row for row in rows_of(section(document, "parameters"), "diffs.csv")}
        for kernel in explorer.kernels:
            for name in ("increased", "decreased"):
                if name in kernel.known:
                    assert kernel.known[name] == rows[kernel.name][name], kernel.name


def test_every_sentence_is_short_and_its_numbers_are_numbers(document: Document) -> None:
    assert max(len(sentence) for text in said(document) for sentence in text.split(". ")) <= 250
    page = html(document)
    text = re.sub(r"<(script|style).*?</\1>|<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\d[eE][-+]\d", text), "powers of ten are written as such"
    assert not re.search(r"−0(\.0+)?(?![.\d])", text), "0 has no sign"
    assert not re.search(r"\b1 (frames|epochs|updates|images|examples|sequences|channels)\b", text)
    assert not re.search(r"(?<!1)[123]th\b|\b0\.0 MB|step (\S+) to step \1\b", text)
    assert len(page.encode()) < 6e6


def test_markdown_announces_nothing_that_is_not_there(document: Document, tmp_path: Path) -> None:
    text = markdown(document, tmp_path).read_text("utf-8")
    assert not re.search(r"Save or cite|[Ss]napshot explorer|Play the animation|[Pp]oint at", text)
    for target in re.findall(r"(?:src=\"|\]\()([^\")]+)", text):
        assert target.startswith(("http", "#")) or (tmp_path / target).is_file(), target
