"""That an architecture is captured, verified and told truthfully, for the tests of each family."""

import re
import warnings
from types import ModuleType

import jax
import pytest
from flax import nnx

from reportgen.capture import check, flat_names, prepare
from tests.architectures import nnx_models
from tests.architectures.audit import called_modules
from tests.architectures.edges import module_edges, walked
from tests.architectures.registry import ARCHITECTURES
from tests.architectures.variables import variables_for
from tests.architectures.weights import unreproduced
from tests.graph.drawn import check_drawn
from tests.layers import is_module

MISSED = {
    "bert": {"places"},
    "clip": {"CLIP['logits']"},
    "detr": {
        *(f"among_queries/{part}" for part in ("query", "key", "value", "out")),
        *("among_queries", "LayerNorm_0", "to_picture/query"),
    },
    "hamiltonian": {"hidden/kernel", "hidden/bias", "energy/kernel", "energy/bias"},
    "hyena": {"filter1", "filter2"},
    "set_transformer": {"into/query", "pool/query"},
    "siglip": {"pool/attention/query"},
    "t5": {"encoder_bias", "decoder_bias"},
}
"""What an architecture computes of no example, or without an axis of examples; all else is captured."""

EQUAL = r"(\d+) of \1 module results equal Flax's own capture(, which gives none of \d+ others)?"
FLAX_CAN_NOT = r"nnx\.capture can't be used on this model: .*"


def names(*families: ModuleType) -> pytest.MarkDecorator:
    """A test for each architecture of these families."""
    return pytest.mark.parametrize("name", [name for family in families for name in family.MODELS])


def prove(name: str) -> None:
    """Capture and verify one; nothing may differ, and what is missed must be said."""
    example = ARCHITECTURES[name]()
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        variables = variables_for(example.model, *example.arguments)
        warnings.filterwarnings("ignore", "reportgen does not capture", UserWarning)
        capture = prepare(example.model, variables, example.inputs, apply=example.apply)
        network = capture.network
        captured = jax.jit(capture)(variables, example.inputs)
        found = check(capture, variables, example.inputs, captured)
        called = called_modules(example, variables)
        expected = walked(capture.forward, network, variables, example.inputs)
    assert set(network.uncaptured) == MISSED.get(name, set())
    assert found.failed == {}
    assert found.operations == len(capture.selected) == len(network.distinct)
    assert re.fullmatch(FLAX_CAN_NOT if found.flax.startswith("nnx.") else EQUAL, found.flax)
    shown = {re.split(r"[#\[]", path)[0] for path in (*network.layers, *network.uncaptured)}
    assert {path for path in called if not any(f"{other}/".startswith(f"{path}/") for other in shown)} == set()
    assert unreproduced(network, captured[1], variables) == []
    owned = {name for layer in network.layers.values() for name in layer.params}
    ownerless = set(flat_names(variables["params"])) - owned
    assert all(name in network.uncaptured or name.rpartition("/")[0] in network.uncaptured for name in ownerless)
    assert module_edges(network, expected) == expected
    assert all(layer.path in expected for layer in network.distinct if layer.params or layer.tied_to)
    check_drawn(network)
    if name in nnx_models.MODELS:
        kinds = {layer.op for layer in network.layers.values() if is_module(layer)} - {"attend"}
        assert {type(module).__name__ for _, module in nnx.iter_modules(example.model)} >= kinds
