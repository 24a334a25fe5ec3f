"""Which sums and products are layers, and what a user's own module is."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import prepare, verify
from reportgen.core.network import INPUT, Role
from tests.architectures.variables import variables_for

# As such models are written: x @ weight + bias.
pytestmark = pytest.mark.usefixtures("ranks_promoted")

X = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)


class Net(nn.Module):
    make: object

    @nn.compact
    def __call__(self, x):
        return nn.Dense(2, name="end")(self.make(self, x))


def layers_of(make, x=X):
    model = Net(make)
    variables = variables_for(model, x)
    assert verify(model, variables, x)
    return prepare(model, variables, x).network.layers


def dense(x, name):
    return nn.Dense(6, name=name)(x)


def places(module, name="places"):
    return module.param(name, nn.initializers.normal(), (6,))


JOINED = {
    "residual": (lambda net, x: x + dense(x, "a"), {"add": (INPUT, "a")}),
    "branches": (lambda net, x: dense(x, "a") + dense(x, "b"), {"add": ("a", "b")}),
    "gate": (lambda net, x: dense(x, "a") * nn.sigmoid(dense(x, "b")), {"mul": ("a", "b/sigmoid")}),
    "before and after": (lambda net, x: (y := dense(x, "a")) * nn.tanh(y), {"mul": ("a", "a/tanh")}),
    "three": (
        lambda net, x: x + dense(x, "a") + dense(x, "b"),
        {"add": (INPUT, "a"), "add#2": ("add", "b")},
    ),
    "scaled and shifted": (
        lambda net, x: (x + places(net)) / 2 + dense(x, "a") * places(net, "scale"),
        {"add": (INPUT, "a")},
    ),
    "over positions": (
        lambda net, x: x * nn.sigmoid(nn.Dense(1, name="a")(x)),
        {"mul": (INPUT, "a/sigmoid")},
    ),
    "reduced": (
        lambda net, x: x.sum(-1, keepdims=True) + dense(x, "a").max(-1, keepdims=True),
        {"add": ("sum", "a/max")},
    ),
    "turned": (
        lambda net, x: x + jnp.roll(dense(x, "a"), 1, axis=1)[:, ::-1].T.T,
        {"add": (INPUT, "a")},
    ),
}


@pytest.mark.parametrize("name", JOINED)
def test_two_layers_or_inputs_that_are_joined_are_a_layer(name):
    make, expected = JOINED[name]
    layers = layers_of(make)
    assert {path: x.inputs for path, x in layers.items() if x.op in ("add", "mul")} == expected
    assert all(layers[path].role is Role.JOIN for path in expected)
    assert layers["end"].inputs == (list(expected)[-1],)


APART = {
    "positions": lambda net, x: dense(x, "a") + places(net),
    "itself": lambda net, x: (y := dense(x, "a")) + 2 * y,
    "square": lambda net, x: (y := dense(x, "a")) * y,
    "silu": lambda net, x: nn.silu(dense(x, "a")),
    "gelu": lambda net, x: nn.gelu(dense(x, "a")),
    "norm by hand": lambda net, x: (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5),
    "library": lambda net, x: nn.LayerNorm(name="a")(x),
}


@pytest.mark.parametrize("name", APART)
def test_other_sums_and_products_are_none(name):
    assert not [path for path, x in layers_of(APART[name]).items() if x.op in ("add", "mul")]


def test_a_library_module_says_what_it_reads_where_that_is_one_layer():
    def make(net, x):
        a = nn.LayerNorm(name="norm")(dense(x, "a"))
        b = dense(nn.Dropout(0.5, deterministic=True)(a), "b")
        return dense(a + b, "c") * 2 + 1

    assert {path: layer.reads for path, layer in layers_of(make).items() if layer.alias_of is None} == {
        **{"a": None, "norm": "a", "b": "norm", "add": None, "c": "add", "end": "c"},
    }


def test_a_module_may_return_a_constant_beside_its_result():
    class Start(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.relu(nn.Dense(4)(x)), jnp.zeros((len(x), 2))

    model = Net(lambda net, x: jnp.concatenate(Start(name="start")(x), axis=-1))
    with pytest.warns(UserWarning, match=r"start\[1\]: its value does not depend on the images"):
        network = prepare(model, variables_for(model, X), X).network
    assert list(network.uncaptured) == ["start[1]"]
    assert network.layers["end"].inputs == (list(network.layers)[-2],)
    assert network.layers["start[0]"].alias_of == "start/Dense_0/relu"


def test_a_block_that_ends_in_a_sum_repeats_it_and_is_stored_once():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x + nn.Dense(6, name="dense")(x)

    model = Net(lambda net, x: Block(name="two")(Block(name="one")(x)))
    variables = variables_for(model, X)
    capture = prepare(model, variables, X)
    layers = capture.network.layers
    assert layers["one"].alias_of == "one/add" and layers["two/add"].inputs == ("one/add", "two/dense")
    assert {"one", "two"}.isdisjoint(capture.selected)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_loop_joins_what_it_carries(hidden):
    class Step(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            y = nn.Dense(6, name="dense")(x)
            return x + (nn.relu(y) if hidden else y), None

    class Loop(nn.Module):
        @nn.compact
        def __call__(self, x):
            loop = nn.scan(Step, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
            return nn.Dense(2, name="end")(loop(name="loop")(x, None)[0])

    variables = variables_for(Loop(), X)
    assert verify(Loop(), variables, X)
    layers = prepare(Loop(), variables, X).network.layers
    inner = "loop/dense/relu" if hidden else "loop/dense"
    assert layers["loop/add"].inputs == (INPUT, inner) and layers["loop/add"].shape == (3, 6)
    assert layers["end"].inputs == ("loop/add",) or layers["end"].inputs == ("loop[0]",)


class Convolution(nn.Module):
    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.normal(), (3, 3, x.shape[-1], 4))
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers) + self.param(
            "bias", nn.initializers.zeros, (4,)
        )


class ConvBlock(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Conv(4, (3, 3))(x))


class Product(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x @ self.param("kernel", nn.initializers.normal(), (x.shape[-1], 4))


class TwoProducts(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = jnp.maximum(x @ self.param("first", nn.initializers.normal(), (x.shape[-1], 4)), 0.1)
        return y @ self.param("second", nn.initializers.normal(), (4, 4))


class Table(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        return jnp.take(self.param("table", nn.initializers.normal(), (9, 4)), tokens, axis=0)


class Similar(nn.Module):
    @nn.compact
    def __call__(self, x):
        return jnp.einsum("bc,bd->bcd", x, x)


@pytest.mark.parametrize(
    ("module", "x", "role"),
    [
        (Convolution, np.zeros((2, 5, 5, 3), np.float32), Role.CONV),
        (ConvBlock, np.zeros((2, 5, 5, 3), np.float32), Role.BLOCK),
        (Product, X, Role.DENSE),
        (TwoProducts, X, Role.BLOCK),
        (Table, np.array([[1, 2, 3], [4, 5, 6]]), Role.EMBEDDING),
        (Similar, X, Role.BLOCK),
    ],
)
def test_a_users_own_module_is_what_it_consists_of(module, x, role):
    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(module(name="inner")(x).reshape(len(x), -1))

    variables = variables_for(Outer(), x)
    assert prepare(Outer(), variables, x).network.layers["inner"].role is role


def test_a_users_own_module_is_the_same_in_each_of_its_calls():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x):
            inner = Product(name="inner")
            return inner(jnp.cos(inner(x[:, :4]))) * 2

    variables = variables_for(Twice(), X)
    layers = prepare(Twice(), variables, X).network.layers
    assert layers["inner"].role is layers["inner#2"].role is Role.DENSE and layers["inner#2"].tied_to == "inner"
