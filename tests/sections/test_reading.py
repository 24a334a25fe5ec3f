"""The probe's text, token by token: what is shaded is what was recorded, in any script, within few bytes."""

import re
import zlib

import numpy as np
import pytest

from reportgen.core.network import Layer, Role
from reportgen.core.outcome import Kind
from reportgen.core.report import Document
from reportgen.core.run import Batch
from reportgen.core.scripted import SHADES
from reportgen.page.html import html
from reportgen.page.outline import figures_of
from reportgen.sections import PAGES, attention, reading
from tests.page.parsing import parse
from tests.sections.made import document, made
from tests.sections.test_attention import layer as attending

DRAWN = np.random.default_rng(0)


def states(name, length, channels):
    return Layer(name, "Dense", Role.DENSE, (length, channels), ("t", "channel"))


def run_of(tokens, maps, layers, **more):
    probe = Batch(len(tokens), tokens)
    return made(Kind.NONE, None, Batch(len(tokens), tokens), probe, layers=layers, maps=maps, **more)


def attention_of(count, heads, length):
    weights = DRAWN.uniform(size=(count, heads, length, length)) ** 4 * np.tri(length)
    return (weights / weights.sum(axis=3, keepdims=True)).astype(np.float32)


def unpacked(shades):
    """The arrays [row, token] of each group, read as the page's script does."""
    data, start, found = zlib.decompress(shades.data), 0, []
    for _, names, reads in shades.groups:
        rows, size = len(names) * (shades.count if reads else 1), shades.count
        octets = np.frombuffer(data, np.uint8, rows * size * 2, start).reshape(rows, 2, size).astype(np.uint16)
        found.append(np.cumsum(octets[:, 0] + 256 * octets[:, 1], axis=0, dtype=np.uint16).view(np.int16))
        start += rows * size * 2
    return found


def test_the_shades_of_a_head_are_its_weights_and_those_of_a_channel_its_values():
    length, read = 9, attending("block", 2, 9, 9)
    weights, values = attention_of(2, 2, length), DRAWN.normal(size=(2, length, 3)).astype(np.float32)
    tokens = DRAWN.integers(0, 5, (2, length))
    context = run_of(tokens, {read.path: weights, "state": values}, [read, states("state", length, 3)])
    section = reading.build(context)
    for index, figure in enumerate(figures_of(section)):
        (title, names, by_token), (other, channels, alone) = figure.shades.groups
        assert (title, sorted(names), by_token) == ("block", ["head 0", "head 1"], True)
        assert (other, sorted(channels), alone) == ("state", ["channel 0", "channel 1", "channel 2"], False)
        read_by, answers = unpacked(figure.shades)
        for row, name in enumerate(names):
            true = weights[index, int(name[-1])].astype(float)
            shown = read_by[row * length : (row + 1) * length]
            assert np.array_equal(shown, np.rint(SHADES * true / true.max(axis=1, keepdims=True)))
        for row, name in enumerate(channels):
            true = values[index, :, int(name[-1])].astype(float)
            assert np.array_equal(answers[row], np.rint(SHADES * true / np.abs(true).max()))


def test_what_is_printed_is_said():
    length, read = 30, attending("block", 1, 30, 30)
    weights = np.broadcast_to(np.eye(length, k=-1), (2, 1, length, length)).astype(np.float32).copy()
    weights[:, :, 0, 0] = 1
    tokens = np.tile(np.arange(length), (2, 1))
    section = reading.build(run_of(tokens, {read.path: weights}, [read]))
    said = "On probe 0, head 0 of block reads at position 29 “29” most of position 28 “28”: 100.0\N{NO-BREAK SPACE}%"
    assert section.finding == f"{said} of its weight."


TEXTS = {
    "right to left": ["שלום", " עולם", "\n"],
    "ideographs": ["東京", "の", "天気"],
    "bytes": ["Ġthe", "âĤ", "¬"],
    "words": ["▁the", "▁cat", "s"],
    "controls": ["\x00", "\u202e", "<b>"],
    "numbers": [],
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS.keys())
def test_texts_of_any_script_are_shaded_where_they_stand(texts):
    tokens = np.tile([0, 1, 2], (1, 10))
    context = run_of(
        tokens, {"state": DRAWN.normal(size=(1, 30, 4))}, [states("state", 30, 4)], vocabulary=tuple(texts)
    )
    (figure,) = figures_of(reading.build(context))
    page = html(document(context))
    (drawn,) = [x for x in parse(page).find("figure") if x.attributes.get("id") == figure.name]
    (hook,) = [x for x in drawn.find("path") if "data-tokens" in x.attributes]
    places = np.array(hook.attributes["data-tokens"].split(), float).reshape(-1, 4)
    assert len(places) == 30 and (places[:, 2] > places[:, 0]).all()
    if texts and "שלום" in texts:
        assert places[0, 0] > places[1, 0] > 300
    values = figure.shades
    assert values.count == 30 and [len(rows) for rows in unpacked(values)] == [4]


def test_a_thousand_tokens_are_shown_and_more_are_said_to_be_left_out():
    long = states("state", 1200, 2)
    context = run_of(DRAWN.integers(0, 9, (1, 1200)), {"state": DRAWN.normal(size=(1, 1200, 2))}, [long])
    (figure,) = figures_of(reading.build(context))
    assert figure.shades.count == 1000 and "The first 1,000 of 1,200 tokens." in figure.caption


def test_a_network_that_reads_no_tokens_has_no_text():
    assert reading.build(made(Kind.NONE, None, Batch(2, np.zeros((2, 3), np.float32)))) is None
    vectors = run_of(DRAWN.integers(0, 9, (2, 7)), None, [Layer("head", "Dense", Role.DENSE, (4,), ("channel",))])
    assert reading.build(vectors) is None


def test_144_heads_on_4_examples_take_600_kilobytes_at_most():
    length, layers = 128, [attending(f"block{number}", 12, 128, 128) for number in range(12)]
    maps = {layer.path: attention_of(4, 12, length) for layer in layers}
    page = html(document(run_of(DRAWN.integers(0, 50, (4, length)), maps, layers)))
    sections = re.split(r'(?=<section id=")', page)
    size = sum(len(part.encode()) for part in sections if re.match(r'<section id="(attention|reading|maps)"', part))
    assert size <= 600_000
    names = [f"maps-block{number}-attention_weights-{index}" for number in range(12) for index in range(4)]
    assert all(page.count(f'figure id="{name}"') == 1 for name in names)


def test_144_heads_over_noise_take_no_more():
    layers = [attending(f"block{number}", 12, 64, 64) for number in range(12)]
    noise = DRAWN.dirichlet(np.full(64, 0.3), (4, 12, 64)).astype(np.float32)
    probe = Batch(4, DRAWN.random((4, 96, 96, 3), np.float32))
    maps = {layer.path: noise for layer in layers}
    section = attention.build(made(Kind.NONE, None, probe, probe, layers=layers, maps=maps))
    bare, page = (html(Document("", "", (), sections, {})) for sections in ((), (section,)))
    assert len(page.encode()) - len(bare.encode()) <= 600_000


@pytest.mark.parametrize("room", [20_000, 10_000])
def test_a_single_head_that_takes_too_much_is_shown_in_fewer_steps(room):
    head = reading.Shown("block", "head 0", DRAWN.dirichlet(np.full(256, 0.3), 256))
    whole, rounded = (unpacked(reading.packed([head], (), 0, room))[0] for room in (1_000_000, room))
    assert len(reading.packed([head], (), 0, room).data) <= room
    (step,) = (step for step in (2, 4, 12) if set(np.unique(rounded)) == set(range(0, SHADES + 1, step)))
    assert np.abs(whole - rounded).max() <= step / 2


def test_of_many_heads_the_named_ones_can_be_chosen():
    read = attending("block", 100, 60, 60)
    weights = attention_of(1, 100, 60)
    weights[:, 77] = np.eye(60, k=-1)
    weights[:, 77, 0, 0] = 1
    context = run_of(DRAWN.integers(0, 50, (1, 60)), {read.path: weights}, [read])
    (figure,) = figures_of(reading.build(context))
    ((_, names, _),) = figure.shades.groups
    assert names[0] == "head 77" and len(names) < 100 and len(figure.shades.data) <= reading.ROOM


def test_patches_are_chosen_with_the_class_token_first():
    read, images = attending("block", 2, 17, 17), DRAWN.uniform(size=(1, 32, 32, 1)).astype(np.float32)
    weights = DRAWN.uniform(size=(1, 2, 17, 17)).astype(np.float32)
    weights /= weights.sum(axis=3, keepdims=True)
    probe = Batch(1, images)
    context = made(Kind.NONE, None, probe, probe, layers=[read], maps={read.path: weights})
    shades = {figure.name: figure for figure in figures_of(attention.build(context))}["attention-patches-0"].shades
    (first, names, by_patch), *_, (title, heads, _) = shades.groups
    assert (first, by_patch, names[1:]) == ("class token", False, ("block, head 0", "block, head 1"))
    assert (title, heads, shades.count) == ("block", ("head 0", "head 1"), 16)
    arrays = unpacked(shades)
    whole = weights[0, 1, 0, 1:].astype(float)
    assert np.array_equal(arrays[0][2], np.rint(SHADES * whole / whole.max()))
    part = weights[0, 1, 6, 1:].astype(float)
    assert np.array_equal(arrays[-1][16 + 5], np.rint(SHADES * part / part.max()))


def test_the_text_stands_on_both_kinds_of_pages():
    assert all(any(spec.build is reading.build for spec in page) for page in PAGES.values())
