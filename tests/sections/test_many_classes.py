"""Long names and many classes: what the page shows of them fits, stays apart, and is never a list of all."""

import re

import flax.linen as nn
import jax
import numpy as np
import pytest

import reportgen
from reportgen.core.report import Figure
from reportgen.page.html import html
from reportgen.page.outline import walk


class Net(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3), name="conv")(x)).reshape(len(x), -1)
        return nn.Dense(self.classes)(nn.relu(nn.Dense(12)(x)))


NAMES = {
    20: tuple(f"photograph of a rather long-winded species {i:02d}, adult"[-44:].rjust(44, "x") for i in range(20)),
    100: tuple(f"class {i}" for i in range(100)),
    1000: tuple(f"category number {i}, of a thousand" for i in range(1000)),
}


@pytest.fixture(scope="module", params=sorted(NAMES))
def document(request, tmp_path_factory):
    return reportgen.build(many(tmp_path_factory.mktemp("many") / "run", request.param), embedding="pca").document


def many(run, count):
    """A run of so many classes, of one update."""
    names, rng = NAMES[count], np.random.default_rng(0)
    images, labels = rng.random((1000, 8, 8, 1), np.float32), np.arange(1000) % len(names)
    model = Net(len(names))
    variables = model.init(jax.random.key(0), images[:1])
    data = {"probe": (images[:2], labels[:2]), "evaluation": (images, labels)}
    with reportgen.Recorder(run, model, variables, **data, classes=names) as recorder:
        recorder.step(variables["params"], loss=1.0)
        recorder.epoch(variables)
    return run


def section(document, anchor):
    return next(part for part in document.sections if part.anchor == anchor)


def test_no_sentence_lists_the_classes(document):
    names = NAMES[len(section(document, "mistakes").numbers[0].columns) - 1]
    for text in (document.headline, *document.warnings, *(part.finding for part in document.sections)):
        assert len(text) <= 250, text
        assert sum(name in text for name in names) <= 3


def test_the_most_frequent_confusions_are_bars_above_the_matrix(document):
    blocks = [block for block in section(document, "mistakes").blocks if isinstance(block, Figure)]
    many = len(section(document, "mistakes").numbers[0].columns) > 21
    names = [block.name for block in blocks]
    assert names[:2] == (["mistakes-pairs", "mistakes-confusion"] if many else names[:2])
    assert ("mistakes-pairs" in names) == many
    if many:
        assert "the most frequent confusions; " in blocks[0].caption
        labels = re.findall(r">([^<]+ → [^<]+)<", blocks[0].picture.svg)
        assert len(labels) == 20 == len(set(labels))


def test_names_that_are_shown_differ(document):
    confusion = next(b for b in section(document, "mistakes").blocks if getattr(b, "name", "") == "mistakes-confusion")
    words = re.findall(r">([^<]*)</text>", confusion.picture.svg)
    if len(section(document, "mistakes").numbers[0].columns) == 21:
        assert {f"{i:02d}" for i in range(20)} <= set(words), "what all names share is left out"


def test_every_section_is_there_and_the_page_is_no_monster(document):
    assert not [warning for warning in document.warnings if "left out" in warning]
    assert {"embedding", "mistakes", "activity"} <= {part.anchor for part in document.sections}
    assert len(html(document).encode()) < 6e6


def test_true_and_predicted_stand_on_two_lines_where_one_is_too_short(document):
    figure = next(b for b in walk(section(document, "mistakes").blocks) if getattr(b, "name", "") == "mistakes-images")
    page = html(document)
    tiles = page[page.index('id="mistakes-images"') :].split("</figure>")[0]
    assert any(" → " in label for label in figure.picture.labels)
    assert tiles.count(">→ ") >= 10 or all(len(label) < 14 for label in figure.picture.labels)


def test_a_caption_speaks_of_numbers_and_colours_only_where_there_are_some(document):
    blocks = {getattr(b, "name", ""): b for part in document.sections for b in walk(part.blocks)}
    classes = len(section(document, "mistakes").numbers[0].columns) - 1
    matrix = blocks["mistakes-confusion"]
    assert ("numbers are images" in matrix.caption) == (classes <= 40) == ("correct" in matrix.picture.svg)
    assert "(10 colours in turn; where a script draws it, the chosen class alone)" in blocks["embedding-epochs"].caption


def test_the_names_of_a_matrix_that_is_shrunk_to_the_page_can_be_read(document):
    blocks = {getattr(b, "name", ""): b for part in document.sections for b in walk(part.blocks)}
    drawing = blocks["mistakes-confusion"].picture
    shrunk = min(1.0, 720 / drawing.width)
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', drawing.svg)]
    assert min(sizes) * shrunk >= 6.5
