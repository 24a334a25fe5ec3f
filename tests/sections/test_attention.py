"""The section on attention heads: what it names is in the weights, in text and over pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import reportgen
from reportgen.core.network import Layer, Role
from reportgen.core.outcome import Kind
from reportgen.core.report import Fold, Mosaic, Table
from reportgen.core.run import Batch
from reportgen.page.html import html
from reportgen.page.outline import figures_of
from reportgen.sections import attention
from tests.sections.made import document, made, rows_of

DRAWN = np.random.default_rng(0)
LENGTH = 12


def layer(name, heads, queries, keys):
    axes = ("head", "query", "key")
    return Layer(f"{name}/attention_weights", "attention_weights", Role.ATTENTION, (heads, queries, keys), axes)


def tokens_run(weights, tokens, mask=None, **more):
    count, heads, queries, keys = weights.shape
    read = layer("block", heads, queries, keys)
    inputs = tokens if mask is None else {"tokens": tokens, "mask": mask}
    probe = Batch(count, inputs)
    return made(Kind.NONE, None, Batch(count, inputs), probe, layers=[read], maps={read.path: weights}, **more)


def previous_head(count, heads):
    """Head 1 reads the position before, the others all earlier ones alike."""
    weights = np.tri(LENGTH)[None, None].repeat(count, 0).repeat(heads, 1)
    weights /= weights.sum(axis=3, keepdims=True)
    weights[:, 1] = np.eye(LENGTH, k=-1)
    weights[:, 1, 0, 0] = 1
    return weights.astype(np.float32)


def test_a_head_that_reads_the_position_before_is_named():
    context = tokens_run(previous_head(4, 3), DRAWN.integers(0, 50, (4, LENGTH)))
    section = attention.build(context)
    assert "Previous position: head 1 of block (100" in section.finding
    assert "head 0" not in section.finding and "head 2" not in section.finding
    rows = [row for row in rows_of(section, "attention.csv") if row["epoch"] == 2]
    assert [row["previous"] for row in rows] == pytest.approx([rows[0]["previous"], 1, rows[0]["previous"]])
    assert rows[1]["entropy"] == 0
    assert "Where attention heads read" in html(document(context))


def test_nothing_is_said_of_fewer_queries_than_twenty():
    context = tokens_run(previous_head(1, 3), DRAWN.integers(0, 50, (1, LENGTH)))
    assert "None puts half" in attention.build(context).finding


def test_padding_does_not_count():
    tokens, mask = DRAWN.integers(0, 50, (4, LENGTH)), np.ones((4, LENGTH), np.int32)
    weights = previous_head(4, 2)
    mask[:, 8:], weights[:, 1, 8:] = 0, np.eye(LENGTH)[3]
    section = attention.build(tokens_run(weights, tokens, mask))
    assert "head 1 of block (100" in section.finding
    assert rows_of(section, "attention.csv")[1]["queries"] == 32


def test_a_query_that_reads_nothing_is_left_out():
    weights = previous_head(4, 2)
    weights[:, :, 5] = 0
    section = attention.build(tokens_run(weights, DRAWN.integers(0, 50, (4, LENGTH))))
    assert rows_of(section, "attention.csv")[1]["queries"] == 44


@pytest.mark.parametrize("leading", [0, 1])
def test_patches_lie_over_the_picture_after_a_class_token_or_without(leading):
    keys = 16 + leading
    weights = np.zeros((3, 2, keys, keys), np.float32)
    weights[:, :, :, leading + 5] = 1  # row 1, column 1
    read = layer("block", 2, keys, keys)
    images = DRAWN.uniform(size=(3, 32, 32, 1)).astype(np.float32) * 0.1
    probe = Batch(3, images)
    context = made(Kind.NONE, None, Batch(3, images), probe, layers=[read], maps={read.path: weights})
    section = attention.build(context)
    assert "4×4 patches" in section.blocks[-1].text
    assert ("class token" in section.blocks[-1].text) == bool(leading)
    figure = section.blocks[0]
    assert isinstance(figure.picture, Mosaic)
    assert figure.picture.labels == ("0", "1", "rollout")
    names = {figure.name for figure in figures_of(section)}
    assert {f"attention-{kind}-{index}" for kind in ("over", "patches") for index in range(3)} <= names
    assert {f"maps-block-attention_weights-{index}" for index in range(3)} <= names


def test_other_networks_have_no_such_section():
    assert attention.build(made(Kind.NONE, None, Batch(2, np.zeros((2, 3), np.float32)))) is None


def test_many_heads_are_in_a_fold():
    section = attention.build(tokens_run(previous_head(2, 20), DRAWN.integers(0, 50, (2, LENGTH))))
    folded = [fold.blocks[0] for fold in section.blocks if isinstance(fold, Fold)]
    assert [len(table.rows) for table in folded if isinstance(table, Table)] == [20]


SIZE, TOKENS = 32, 32


class TwoLayers(nn.Module):
    """Attention alone, which reads by token and place, and passes tokens on."""

    @nn.compact
    def __call__(self, tokens):
        normal = nn.initializers.normal(1.0)
        x = nn.Embed(TOKENS, 64, embedding_init=normal)(tokens)
        where = nn.Embed(SIZE, 64, embedding_init=normal, name="where")(jnp.arange(SIZE)[None])
        for number in range(2):
            read = nn.MultiHeadDotProductAttention(2, name=f"attention_{number}")
            x = x + read(x + where, x + where, x, mask=nn.make_causal_mask(tokens))
        return nn.Dense(TOKENS)(x)


def repeating(count):
    """Sequences of tokens that nobody can foresee, repeated after 8 to 16."""
    parts, periods = DRAWN.integers(0, TOKENS, (count, 16)), DRAWN.integers(8, 17, count)
    return np.stack([np.resize(part[:period], SIZE) for part, period in zip(parts, periods, strict=True)])


@pytest.mark.filterwarnings("ignore:reportgen does not capture where")
def test_the_heads_by_which_a_network_repeats_a_sequence_are_named(tmp_path):
    model, optimizer, probe = TwoLayers(), optax.adam(1e-2), repeating(8)
    variables = model.init(jax.random.key(0), probe[:1])
    state, cross_entropy = optimizer.init(variables), optax.softmax_cross_entropy_with_integer_labels

    @jax.jit
    def update(variables, state, x):
        gradient = jax.grad(lambda v: cross_entropy(model.apply(v, x)[:, :-1], x[:, 1:]).mean())(variables)
        change, state = optimizer.update(gradient, state)
        return optax.apply_updates(variables, change), state

    keep = reportgen.Keep(every="epoch")
    with reportgen.Recorder(tmp_path / "run", model, variables, probe=probe, keep=keep) as recorder:
        for _ in range(400):
            variables, state = update(variables, state, repeating(64))
        recorder.epoch(variables, steps=400)
    run = reportgen.open_run(tmp_path / "run")
    scores = {}
    for number in range(2):
        weights = np.asarray(run.observations[400].maps[f"attention_{number}/attention_weights"])
        for head in range(2):
            read = [
                sum(weights[i, head, at, key] for key in range(1, at) if probe[i, key - 1] == probe[i, at])
                for i in range(8)
                for at in range(SIZE)
                if probe[i, at] in probe[i, : max(at - 1, 0)]
            ]
            scores[f"head {head} of attention_{number}"] = float(np.mean(read))
    finding = next(s.finding for s in reportgen.build(run).document.sections if s.anchor == "attention")
    named = finding.partition("Induction: ")[2].partition("(")[0]
    assert (
        {name for name in scores if name in named} == {name for name, score in scores.items() if score >= 0.5} != set()
    )
