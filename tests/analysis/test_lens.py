"""The logit lens against the network's own layers, run on what its blocks gave; off where its rule does not hold."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from reportgen.analysis.lens import predictions, readout, states, stream_of
from reportgen.capture import flat_names, prepare
from tests.architectures import deep
from tests.architectures.registry import ARCHITECTURES
from tests.architectures.variables import variables_for

TOKENS = np.random.default_rng(0).integers(0, 11, (3, 6))


def captured(model, inputs, apply=None, arguments=None):
    """(network, parameters, layer -> values) as a run has them."""
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reportgen does not capture", UserWarning)
        variables = variables_for(model, *(arguments or (inputs,)))
        capture = prepare(model, variables, inputs, apply=apply)
        _, values = jax.jit(capture)(variables, inputs)
    return capture.network, flat_names(variables["params"]), values, variables


class Pre(nn.Module):
    """A stack of blocks and a head of some kind; what each block gives is sown, and read by the head itself."""

    norm: type | None = nn.LayerNorm
    tied: bool = False
    biased: bool = True

    @nn.compact
    def __call__(self, tokens, at=None):
        table = nn.Embed(11, 8, name="table")
        last = self.norm(name="last") if self.norm else lambda x: x
        head = table.attend if self.tied else nn.Dense(11, use_bias=self.biased, name="head")
        x, seen = table(tokens), []
        for number in range(3):
            y = nn.MultiHeadDotProductAttention(2, name=f"attention{number}")(nn.LayerNorm()(x))
            x = x + y
            seen.append(x)
            x = x + nn.Dense(8, name=f"down{number}")(nn.gelu(nn.Dense(16, name=f"up{number}")(nn.LayerNorm()(x))))
            seen.append(x)
        return head(last(x if at is None else seen[at]))


MODELS = {
    "layer norm": Pre(),
    "rms norm": Pre(nn.RMSNorm),
    "no norm": Pre(None),
    "tied": Pre(tied=True),
    "no bias": Pre(biased=False),
    "coarse": Pre(lambda name: nn.LayerNorm(epsilon=1e-5, name=name)),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_the_lens_is_what_the_network_gives_when_its_head_reads_an_earlier_block(model):
    network, params, maps, variables = captured(model, TOKENS)
    stream = stream_of(network)
    read = readout(stream, params, maps)
    found = list(states(stream, maps))
    assert len(found) == 6
    for at, (_, _, values) in enumerate(found):
        expected = model.apply(variables, TOKENS, at)
        assert np.allclose(read(values), expected, atol=1e-5 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt"])
def test_networks_of_the_ledger_read_their_last_block_as_they_do(name):
    example = {**deep.MODELS, **ARCHITECTURES}[name]()
    network, params, maps, _ = captured(example.model, example.inputs, example.apply, example.arguments)
    stream = stream_of(network)
    *_, (_, _, last) = states(stream, maps)
    given = np.asarray(maps[stream.head.path])
    assert np.allclose(readout(stream, params, maps)(last), given, atol=1e-5 * np.abs(given).max())


def test_blocks_of_a_loop_come_turn_by_turn():
    example = ARCHITECTURES["gpt"]()
    network, _, maps, _ = captured(example.model, example.inputs, example.apply, example.arguments)
    turns = [(layer.path, turn) for layer, turn, _ in states(stream_of(network), maps)]
    assert turns == [("blocks/add", 0), ("blocks/add#2", 0), ("blocks/add", 1), ("blocks/add#2", 1)]


class Scaled(nnx.Module):
    """A head that reads what no layer gave: the norm's values, made smaller."""

    def __init__(self, rngs):
        self.table, self.norm = nnx.Embed(11, 8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.one, self.two = nnx.Linear(8, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)
        self.head = nnx.Linear(8, 11, rngs=rngs)

    def __call__(self, tokens):
        x = self.table(tokens)
        x = x + self.one(x)
        return self.head(0.3 * self.norm(x + self.two(x)))


def test_a_head_that_reads_something_else_has_no_lens():
    model = Scaled(nnx.Rngs(0))
    network, params, maps, _ = captured(model, TOKENS)
    assert stream_of(network) is not None and readout(stream_of(network), params, maps) is None


@pytest.mark.parametrize("name", ["bert", "gemma", "lstm_language_model", "vit_linen", "fnet", "lenet", "performer"])
def test_networks_without_such_a_stream_have_no_lens(name):
    example = ARCHITECTURES[name]()
    network, *_ = captured(example.model, example.inputs, example.apply, example.arguments)
    assert stream_of(network) is None


def test_an_output_that_was_not_recorded_has_no_lens():
    network, params, maps, _ = captured(Pre(), TOKENS)
    kept = {path: values for path, values in maps.items() if path != "head"}
    assert readout(stream_of(network), params, kept) is None


def test_predictions_are_those_of_the_softmax():
    logits = np.array([[1.0, 3.0, -1e4], [800.0, 0.0, 799.0]])
    blocks = [(0, logits[:, :2]), (2, logits[:, 2:])]
    for given in ([(0, logits)], blocks):
        found = predictions(given, np.array([0, 2]))
        assert found.best.tolist() == [1, 0]
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    assert np.allclose(found.probability, probabilities.max(1))
    assert np.allclose(found.surprise, -np.log(probabilities[[0, 1], [0, 2]]))
