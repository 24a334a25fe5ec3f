"""The tokens nearest to frequent ones: planted ones are found, and only those that occur are named."""

from dataclasses import replace

import numpy as np
import pytest

from reportgen.core.network import INPUT, Layer, Role
from reportgen.core.outcome import Kind
from reportgen.core.run import Batch, Snapshot
from reportgen.page.html import html
from reportgen.sections import Moment, PageContext, vocabulary
from tests.sections.made import document, made, rows_of

WORDS, WIDTH = 40, 16
TABLE = Layer(
    "table", "Embed", Role.EMBEDDING, (9, WIDTH), ("t", "channel"), inputs=(INPUT,), params={"t/w": (WORDS, WIDTH)}
)
DRAWN = np.random.default_rng(0)


def context_of(then, now, tokens, **more):
    probe = Batch(len(tokens), tokens)
    context = made(Kind.NONE, None, probe, probe, layers=[TABLE], **more)
    steps = {0: then, 5: then, 10: now}
    snapshots = {step: Snapshot(step, step // 5, {"params": {"t/w": table}}) for step, table in steps.items()}
    run = replace(context.run, snapshots=snapshots)
    return PageContext(Moment(run, 10), Moment(run, 0), context.options)


def text():
    """Token 3 is the most frequent; 30 and more never occur."""
    tokens = np.concatenate([np.full(60, 3), np.arange(30).repeat(2)])
    return tokens[:120].reshape(-1, 8)


def test_a_planted_neighbour_is_found_and_one_that_never_occurs_is_not_named():
    then, now = (DRAWN.normal(size=(WORDS, WIDTH)).astype(np.float32) for _ in range(2))
    now[7] = 2.0 * now[3]
    now[35] = now[3]
    section = vocabulary.build(context_of(then, now, text(), vocabulary=[f" w{i}" for i in range(WORDS)]))
    rows = [row for row in rows_of(section, "nearest_tokens.csv") if row["step"] == 10]
    assert {row["nearest"] for row in rows} <= set(range(30))
    first = rows[0]
    assert (first["token"], first["nearest"]) == (3, 7) and first["cosine"] == pytest.approx(1.0)
    for row in rows:
        one, other = now[row["token"]], now[row["nearest"]]
        assert row["cosine"] == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-6)
    (table, _) = section.blocks
    assert table.columns == ("Token", "Occurs", "Before training", "At step 10")
    assert table.rows[0][0] == "␣w3" and table.rows[0][3].startswith("␣w7 (1.00) · ")


def test_the_finding_counts_those_that_are_others_than_before():
    then = DRAWN.normal(size=(WORDS, WIDTH)).astype(np.float32)
    context = context_of(then, then, text())
    assert (
        ", of the 5 tokens nearest to a frequent one, 0 have changed (mean over 16 tokens)"
        in vocabulary.build(context).finding
    )
    assert 'id="vocabulary-nearest"' in html(document(context))


def test_a_table_of_zeros_is_drawn_and_few_tokens_say_nothing():
    zeros = np.zeros((WORDS, WIDTH), np.float32)
    assert "(0.00)" in vocabulary.build(context_of(zeros, zeros, text())).blocks[0].rows[0][2]
    assert vocabulary.build(context_of(zeros, zeros, text() % 7)) is None


def test_networks_without_tokens_have_no_such_table():
    assert vocabulary.build(made(Kind.NONE, None, Batch(2, np.zeros((2, 3), np.float32)))) is None
