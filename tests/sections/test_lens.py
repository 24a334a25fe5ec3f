"""The section on predictions after each block: what it counts is what the arrays hold, and where it stays away."""

from dataclasses import replace

import numpy as np
import pytest

from reportgen.core.network import INPUT, Layer, Role
from reportgen.core.outcome import Kind, Tokens
from reportgen.core.report import Table
from reportgen.core.run import Batch, Snapshot
from reportgen.page.html import html
from reportgen.sections import lens
from tests.sections.made import document, made, rows_of

DRAWN = np.random.default_rng(0)
LENGTH, WIDTH, WORDS = 9, 4, 6


def layer(name, op, role, inputs, size=WIDTH, **params):
    shapes = {f"{name}/{each}": shape for each, shape in params.items()}
    return Layer(name, op, role, (LENGTH, size), ("t", "channel"), inputs=inputs, params=shapes)


LAYERS = [
    layer("table", "Embed", Role.EMBEDDING, (INPUT,), embedding=(WORDS, WIDTH)),
    layer("one", "Dense", Role.DENSE, ("table",)),
    layer("sum", "add", Role.JOIN, ("table", "one")),
    layer("two", "Dense", Role.DENSE, ("sum",)),
    layer("sum#2", "add", Role.JOIN, ("sum", "two")),
    layer("head", "Dense", Role.DENSE, ("sum#2",), WORDS, kernel=(WIDTH, WORDS)),
]
KERNEL = DRAWN.normal(size=(WIDTH, WORDS)).astype(np.float32)


def context_of(kernel=KERNEL, mask=None, examples=4):
    tokens = DRAWN.integers(0, WORDS, (examples, LENGTH))
    maps = {x.path: DRAWN.normal(size=(examples, *x.shape)).astype(np.float32) for x in LAYERS[:-1]}
    maps["head"] = maps["sum#2"] @ KERNEL
    inputs = tokens if mask is None else {"tokens": tokens, "mask": mask}
    losses = np.ones((examples, LENGTH), np.float32)
    ones = np.ones(LENGTH, np.int64)
    outcome = Tokens(ones.astype(float), ones, ones, losses, losses.astype(np.int64))
    batch = Batch(examples, inputs)
    context = made(Kind.TOKENS, outcome, batch, batch, layers=LAYERS, maps=maps, first=outcome)
    snapshots = {step: Snapshot(step, step // 5, {"params": {"head/kernel": kernel}}) for step in (0, 5, 10)}
    context.run = replace(context.run, snapshots=snapshots)
    return context, tokens, maps


def test_what_is_said_of_each_block_is_its_softmax():
    context, tokens, maps = context_of()
    section = lens.build(context)
    rows = rows_of(section, "lens.csv")
    assert len(rows) == 2 * 4 * (LENGTH - 1)
    for row in rows:
        values = maps["sum" if row["state"] == "one" else "sum#2"][row["example"], row["position"]].astype(float)
        shares = np.exp(values @ KERNEL) / np.exp(values @ KERNEL).sum()
        following = tokens[row["example"], row["position"] + 1]
        assert row["best"] == shares.argmax() and row["probability"] == pytest.approx(shares.max())
        assert row["surprise"] == pytest.approx(-np.log(shares[following]))
    first = [row["best"] for row in rows if row["state"] == "one"]
    alike = np.mean([a == row["best"] for a, row in zip(first, rows[len(first) :], strict=True)])
    assert f"{100 * alike:.1f}\N{NO-BREAK SPACE}%" in section.finding and "32 predictions" in section.finding
    assert 'id="lens-predictions"' in html(document(context))


def test_of_a_large_vocabulary_some_positions_are_looked_at(monkeypatch):
    monkeypatch.setattr(lens, "LOGITS", 1)
    monkeypatch.setattr(lens, "POSITIONS", 3)
    monkeypatch.setattr(lens, "LEAST", 10)
    context, _, _ = context_of()
    section = lens.build(context)
    rows = rows_of(section, "lens.csv")
    places = {(row["example"], row["position"]) for row in rows}
    assert len(places) == 13 and {(0, 5), (0, 6), (0, 7)} < places and (3, 7) in places
    every = {(row["example"], row["position"], row["state"]): row for row in of_all(context)}
    assert all(every[row["example"], row["position"], row["state"]] == row for row in rows)
    assert (
        "13 positions of the probe, of 32, evenly spaced."
        in next(b for b in section.blocks if isinstance(b, Table)).caption
    )


def of_all(context):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lens, "LOGITS", 10**9)
        return rows_of(lens.build(context), "lens.csv")


def test_padding_is_neither_read_nor_foretold():
    mask = np.ones((4, LENGTH), np.int32)
    mask[:, 6:] = 0
    rows = rows_of(lens.build(context_of(mask=mask)[0]), "lens.csv")
    assert {row["position"] for row in rows} == set(range(5))


def test_few_predictions_say_nothing():
    assert "too few" in lens.build(context_of(examples=1)[0]).finding


def test_another_networks_parameters_give_no_lens():
    assert lens.build(context_of(DRAWN.normal(size=(WIDTH, WORDS)).astype(np.float32))[0]) is None


def test_inputs_that_are_no_tokens_have_no_lens():
    assert lens.build(made(Kind.NONE, None, Batch(2, np.zeros((2, 3), np.float32)))) is None
