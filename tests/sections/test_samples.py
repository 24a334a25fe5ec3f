"""What the data are, for the eye: pictures, texts, series and values, each class by class where there are labels."""

import numpy as np
import pytest

from reportgen.core.network import INPUT, Layer, Role
from reportgen.core.outcome import Classification, Kind, Regression
from reportgen.core.report import Figure, FigureRow, Table
from reportgen.core.run import Batch
from reportgen.sections import samples
from tests.sections.made import made

LABELS = np.arange(24) % 2
DRAWN = np.random.default_rng(0)
SERIES = Layer("conv", "Conv", Role.CONV, (40, 3), ("t", "channel"), inputs=(INPUT,))


def classified(inputs, layers=(SERIES,), **more):
    outcome = Classification(LABELS, np.ones(24, np.float32), np.array([12, 12]), {}, np.ones(2))
    maps = {layer.path: np.zeros((2, *layer.shape), np.float32) for layer in layers}
    batches = Batch(24, inputs, LABELS), Batch(2, inputs[:2], LABELS[:2])
    context = made(Kind.CLASSIFICATION, outcome, *batches, classes=("calm", "loud"), layers=layers, maps=maps, **more)
    return samples.build(context)


@pytest.mark.parametrize("channels", [1, 3])
def test_series_are_rows_by_class_a_chart_per_channel(channels):
    section = classified(DRAWN.normal(size=(24, 40, channels)).astype(np.float32))
    first, table = section.blocks
    figures = first.figures if isinstance(first, FigureRow) else (first,)
    assert len(figures) == channels
    assert "The first 10 evaluation examples of each class" in figures[0].caption
    assert (f"channel {channels - 1} of {channels}" in figures[-1].caption) is (channels > 1)
    for word in ("calm", "loud", "time"):
        assert word in figures[0].picture.svg
    assert table.rows == (("calm", 12), ("loud", 12))
    assert section.finding == "The evaluation set has 24 examples in 2 classes, 12 in each."


def test_sequences_are_shown_by_their_text():
    tokens = DRAWN.integers(0, 3, (24, 200)).astype(np.int32)
    table = classified(tokens, vocabulary=["ab ", "c ", "."]).blocks[0]
    assert isinstance(table, Table)
    assert [(row[0], row[1]) for row in table.rows] == [(("calm", "loud")[i % 2], i) for i in (0, 2, 4, 1, 3, 5)]
    texts = ["".join(("ab ", "c ", ".")[token] for token in tokens[i]) for i in (0, 2)]
    for row, text in zip(table.rows, texts, strict=False):
        assert len(row[2]) == samples.CHARACTERS
        assert row[2].endswith("…")
        assert row[2][:50].replace("␣", " ").startswith(text[:40])


def test_values_without_labels_are_the_first_examples():
    inputs = DRAWN.normal(size=(24, 3)).astype(np.float32)
    context = made(Kind.REGRESSION, Regression(inputs[:, :1]), Batch(24, inputs, inputs[:, :1].copy()))
    section = samples.build(context)
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    assert figure.caption.startswith("The first evaluation examples, a row each")
    assert section.finding == "The evaluation set has 24 examples."


def test_what_is_too_much_to_draw_is_left_out():
    assert classified(DRAWN.normal(size=(24, 600)).astype(np.float32)) is None
    assert classified(DRAWN.normal(size=(24, 4, 5, 6, 1)).astype(np.float32)) is None
