"""JAX without Flax: a function apply(params, inputs) in place of a module."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import flat_names, prepare, variables_of, verify
from reportgen.core.network import INPUT
from reportgen.errors import ModelError, OptionError

# As such models are written: x @ weight + bias.
pytestmark = pytest.mark.usefixtures("ranks_promoted")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 4)).astype(np.float32)


def weights(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def mlp(params, x):
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    return x @ params[-1][0] + params[-1][1]


MLP = [(weights(4, 5), weights(5)), (weights(5, 5), weights(5)), (weights(5, 2), weights(2))]


def test_a_network_written_by_hand():
    capture = prepare(mlp, MLP, X)
    layers = capture.network.layers
    assert capture.network.name == "mlp" and capture.network.uncaptured == {}
    assert {path: layer.inputs for path, layer in layers.items()} == {
        **{"dot": (INPUT,), "relu": ("dot",), "dot#2": ("relu",), "relu#2": ("dot#2",), "output": ("relu#2",)},
    }
    assert layers["output"].params == {f"{i}/{j}": MLP[i][j].shape for i in range(3) for j in range(2)}
    variables = variables_of(mlp, MLP)
    output, values = jax.jit(capture)(variables, X)
    np.testing.assert_allclose(output, mlp(MLP, X), rtol=1e-6)
    np.testing.assert_allclose(values["relu"], np.maximum(X @ MLP[0][0] + MLP[0][1], 0), rtol=1e-5)
    found = verify(mlp, MLP, X)
    assert found and found.exact and str(found) == "5 of 5 operations verified"
    assert found.flax.endswith("which gives none of 1 others: the model is a plain function")
    assert capture.forward.flax_capture_error == "the model is a plain function"


def test_the_old_names_of_what_a_capture_lists_still_work():
    capture = prepare(mlp, MLP, X)
    with pytest.warns(DeprecationWarning, match="Capture.network.layers"):
        assert [layer.path for layer in capture.layers] == ["dot", "relu", "dot#2", "relu#2", "output"]
    with pytest.warns(DeprecationWarning, match="Capture.network.uncaptured"):
        assert capture.uncaptured == {}


def test_parameters_may_be_any_tree_and_are_named_by_their_places():
    class Layer(NamedTuple):
        weight: np.ndarray
        bias: np.ndarray

    params = {"first": Layer(weights(4, 3), weights(3)), "rest": [{"scale": weights(3)}]}
    variables = variables_of(lambda p, x: x, params)
    assert list(flat_names(variables["params"])) == ["first/weight", "first/bias", "rest/0/scale"]
    assert variables_of(mlp, variables) == variables
    boxed = {"dense": {"kernel": nn.Partitioned(weights(2, 3), (None, "model"))}}
    assert {name: value.shape for name, value in flat_names(boxed).items()} == {"dense/kernel": (2, 3)}
    assert list(flat_names({"params": MLP[:1]})) == ["params/0/0", "params/0/1"]


def haiku_like():
    """A pair of functions that share a scope while they run, with params[module path][name]."""
    running: dict = {}

    def module(name, function):
        def call(*arguments):
            with jax.named_scope(name):
                running["path"] = [*running.get("path", []), name]
                try:
                    return function(*arguments)
                finally:
                    running["path"].pop()

        return call

    def linear(x):
        own = running["params"]["/".join(running["path"])]
        return x @ own["w"] + own["b"]

    def block(x):
        y = module("linear_0", linear)(x)
        return x + module("linear_1", linear)(jax.nn.gelu(y))

    def apply(params, x):
        running["params"] = params
        return jax.nn.softmax(module("head", linear)(module("block", block)(x)))

    params = {
        "block/linear_0": {"w": weights(4, 6), "b": weights(6)},
        "block/linear_1": {"w": weights(6, 4), "b": weights(4)},
        "head": {"w": weights(4, 2), "b": weights(2)},
    }
    return apply, params


def test_named_scopes_stand_for_modules():
    apply, params = haiku_like()
    capture = prepare(apply, params, X)
    assert {path: (x.op, x.inputs) for path, x in capture.network.layers.items()} == {
        "block/linear_0/dot": ("dot", (INPUT,)),
        "block/linear_0/gelu": ("gelu", ("block/linear_0/dot",)),
        "block/linear_1/dot": ("dot", ("block/linear_0/gelu",)),
        "block/add": ("add", (INPUT, "block/linear_1/dot")),
        "head/dot": ("dot", ("block/add",)),
        "head/softmax": ("softmax", ("head/dot",)),
        "output": ("output", ("head/softmax",)),
    }
    assert capture.network.layers["output"].alias_of == "head/softmax"
    assert capture.network.layers["output"].parameters == sum(x.size for x in jax.tree.leaves(params))
    assert verify(apply, params, X)


def test_an_apply_function_and_what_is_no_function():
    capture = prepare(mlp, MLP, X, apply=lambda model, params, x: model(params, 2 * x))
    output, _ = capture(variables_of(mlp, MLP), X)
    np.testing.assert_allclose(output, mlp(MLP, 2 * X), rtol=1e-6)
    with pytest.raises(OptionError, match="a plain function's parameters must be given"):
        prepare(mlp, None, X)
    with pytest.raises(ModelError, match="can't be called on inputs"):
        prepare(mlp, MLP, jnp.ones((2, 3)))
    with pytest.raises(ModelError, match="the class Layer is neither a flax"):
        prepare(type("Layer", (), {}), {"params": {}}, X)
