"""What a reader is told of runs with next to nothing in them: one of a thing, nothing to compare, nothing defined."""

import re

import jax
import pytest

import reportgen
from reportgen.core.report import Figure, Fold, Table, Text
from reportgen.page.html import html
from reportgen.page.outline import figures, walk
from tests.conftest import tiny_dataset, tiny_model


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A run of the network before training alone."""
    path = tmp_path_factory.mktemp("untrained") / "run"
    data, model = tiny_dataset(), tiny_model()
    variables = model.init(jax.random.key(0), data.test_images[:1])
    with reportgen.Recorder(path, model, variables, probe=data.test_images[:1], evaluation=data.test_images):
        pass
    return reportgen.build(path, embedding="pca").document


def said(document) -> list[str]:
    """Every sentence of the page."""
    texts = [document.title, document.headline, *document.warnings]
    for section in document.sections:
        texts += [section.title, section.finding]
        for block in walk(section.blocks):
            match block:
                case Text(text=text) | Fold(summary=text):
                    texts.append(text)
                case Table(caption=text):
                    texts.append(text)
        texts += [text for figure in figures(document) for text in (figure.alt, figure.caption)]
    return texts


def test_nothing_is_compared_with_itself(untrained):
    anchors = {section.anchor for section in untrained.sections}
    assert not {"explorer", "change", "curves"} & anchors
    assert "parameters" in anchors
    assert not [text for text in said(untrained) if "step 0 to step 0" in text]
    assert "looked into without training" not in " ".join(said(untrained))


def test_one_frame_has_no_player(untrained):
    assert "embedding-epochs" not in {figure.name for figure in figures(untrained)}
    assert 'class="picture motion"' not in html(untrained)


def test_one_of_a_thing_is_singular(untrained, recorded):
    ones = r"\b1 (images|channels|frames|layers|epochs|snapshots|filters|steps|values|examples|kernels)\b"
    for document in (untrained, reportgen.build(recorded, embedding="pca").document):
        for text in said(document):
            assert not re.search(rf"(?<![\d,.]){ones}", text), text
            assert not re.search(r"\bThe 1 \w|\d(?<!1)1th|\d2th\b|[^1]3th\b|\b0\.0 MB", text), text


def test_what_is_not_defined_is_not_called_missing(recorded):
    document = reportgen.build(recorded, embedding="pca").document
    (trust,) = (b for s in document.sections for b in walk(s.blocks) if getattr(b, "name", "") == "embedding-trust")
    assert trust.rows[0][-1] == "not defined", "the first frame has no frame before it"
    (health,) = (b for s in document.sections for b in walk(s.blocks) if getattr(b, "name", "") == "health-layers")
    saturated = health.columns.index("Saturated")
    assert {row[saturated] for row in health.rows} == {"not defined"}, "no layer here has an end to its range"


def test_no_sentence_is_longer_than_250_characters(recorded):
    document = reportgen.build(recorded, embedding="pca").document
    for text in (document.headline, *document.warnings, *(section.finding for section in document.sections)):
        assert len(text) <= 250, text


def test_an_input_stands_once_beside_the_channels(recorded):
    document = reportgen.build(recorded, embedding="pca", layers=["conv1*"], channels=[0, 1]).document
    names = [figure.name for figure in figures(document) if isinstance(figure, Figure)]
    for image in range(2):
        assert len([name for name in names if re.fullmatch(rf"chosen-.*-{image}-image", name)]) == 1
