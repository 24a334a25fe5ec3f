"""Linen's harder cases: lifted transformations, repeated calls, odd outputs, other methods."""

import linecache
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import prepare, verify
from tests.architectures.variables import variables_for
from tests.layers import is_module, letters


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(4)(x))


class Step(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return nn.relu(nn.Dense(4)(x)), x.sum(-1)


X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def captured(model, x=X):
    """(variables, layers by path, values), verified."""
    variables = variables_for(model, x)
    capture = prepare(model, variables, x)
    found = verify(model, variables, x)
    assert found and found.operations == len(capture.selected), found.failed
    return variables, dict(capture.network.layers), jax.jit(capture)(variables, x)[1]


def dense(variables, path, x, index=()):
    node = variables["params"]
    for part in path.split("/"):
        node = node[part]
    return x @ np.asarray(node["kernel"])[index] + np.asarray(node["bias"])[index]


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_remat_keeps_the_users_names():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.remat(Layer)(name="mine")(nn.remat(Layer)()(x))

    variables, layers, values = captured(Net())
    assert list(layers) == [
        *("Layer_0/Dense_0", "Layer_0/Dense_0/relu", "Layer_0"),
        *("mine/Dense_0", "mine/Dense_0/relu", "mine"),
    ]
    assert tuple(layers["Layer_0/Dense_0"].params) == tuple(
        f"CheckpointLayer_0/Dense_0/{name}" for name in variables["params"]["CheckpointLayer_0"]["Dense_0"]
    )
    near(values["Layer_0/Dense_0"], dense(variables, "CheckpointLayer_0/Dense_0", X))


def test_compiled_modules_and_functions_are_looked_into():
    @jax.jit
    def users_own(x):
        return nn.relu(x - 0.1)

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.jit(Layer)(name="first")(x)
            x = nn.jit(Layer)(name="second")(x)
            return users_own(nn.Dense(4, name="third")(x))

    variables, layers, values = captured(Net())
    assert list(layers) == [
        *("first/Dense_0", "first/Dense_0/relu", "first"),
        *("second/Dense_0", "second/Dense_0/relu", "second"),
        *("third", "third/relu"),
    ]
    first = np.maximum(dense(variables, "first/Dense_0", X), 0)
    second = np.maximum(dense(variables, "second/Dense_0", first), 0)
    near(values["second/Dense_0/relu"], second)
    near(values["third/relu"], np.maximum(dense(variables, "third", second) - np.float32(0.1), 0))


@pytest.mark.parametrize("axes", [{"params": 0}, {"params": 0, "intermediates": 0}])
def test_scan_gives_every_iteration(axes):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            loop = nn.scan(Step, variable_axes=axes, split_rngs={"params": True}, length=3)
            x, sums = loop(name="loop")(x, None)
            return nn.Dense(2, name="output")(x + sums.sum(0)[:, None])

    variables, layers, values = captured(Net())
    assert layers["loop/Dense_0"].shape == (3, 4)
    x = X
    for number in range(3):
        near(values["loop[1]"][:, number], x.sum(-1))
        y = dense(variables, "loop/Dense_0", x, number)
        near(values["loop/Dense_0"][:, number], y)
        x = np.maximum(y, 0)
        near(values["loop/Dense_0/relu"][:, number], x)


def test_a_loop_inside_a_loop_is_opened_too():
    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            loop = nn.scan(Step, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)
            x, _ = loop(name="inner")(x, None)
            return x, None

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            loop = nn.scan(Outer, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
            return loop(name="outer")(x, None)[0]

    variables, layers, values = captured(Net())
    assert layers["outer/inner/Dense_0"].shape == (3, 2, 4)
    x = X
    for i in range(3):
        for j in range(2):
            x = np.maximum(dense(variables, "outer/inner/Dense_0", x, (i, j)), 0)
            near(values["outer/inner/Dense_0/relu"][:, i, j], x)


def test_vmap_over_modules_keeps_the_images_first():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            many = nn.vmap(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, axis_size=3)
            return many(name="heads")(x).sum(0)

    variables, layers, values = captured(Net())
    assert layers["heads/Dense_0"].shape == (3, 4)
    assert values["heads/Dense_0"].shape == (3, 3, 4)
    for head in range(3):
        near(values["heads/Dense_0"][:, head], dense(variables, "heads/Dense_0", X, head))


def test_rnn_gives_the_states_of_every_time_step():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2, name="output")(nn.RNN(nn.SimpleCell(5, name="cell"), name="rnn")(x)[:, -1])

    x = np.random.default_rng(0).normal(size=(3, 7, 4)).astype(np.float32)
    variables, layers, values = captured(Net(), x)
    assert layers["cell[0]"].shape == (7, 5) and letters(layers["cell[0]"]) == "tc"
    params = jax.tree.map(np.asarray, variables["params"]["cell"])
    state = np.zeros((3, 5))
    for time in range(7):
        state = np.tanh(x[:, time] @ params["i"]["kernel"] + params["i"]["bias"] + state @ params["h"]["kernel"])
        near(values["cell[0]"][:, time], state)
    near(values["rnn"][:, -1], state)


def test_a_module_called_twice_is_told_apart_and_says_what_it_shares():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            same = nn.Dense(4, name="same")
            drop = nn.Dropout(0.1, deterministic=True, name="drop")
            return same(drop(nn.relu(same(drop(x)))))

    variables, layers, values = captured(Net())
    assert [path for path in layers if "drop" not in path] == ["same", "same/relu", "same#2"]
    assert layers["same#2"].tied_to == "same" and layers["same#2"].parameters == 0
    assert layers["same"].tied_to is None and layers["same"].parameters == 20
    assert layers["drop#2"].tied_to is None  # nothing to share
    near(values["same#2"], dense(variables, "same", np.maximum(dense(variables, "same", X), 0)))


def test_tied_embedding_used_as_output_layer():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, tokens):
            table = nn.Embed(11, 6, name="table")
            return table.attend(nn.relu(nn.Dense(6)(table(tokens))))

    tokens = np.array([[1, 2, 3], [4, 5, 6]])
    _, layers, values = captured(Net(), tokens)
    assert layers["table/attend"].tied_to == "table"
    assert [letters(layers[p]) for p in ("table", "Dense_0", "Dense_0/relu", "table/attend")] == ["tc"] * 4
    assert values["table/attend"].shape == (2, 3, 11)


def test_outputs_of_several_arrays_are_told_apart():
    class Parts(nn.Module):
        @nn.compact
        def __call__(self, x):
            return {"mean": nn.Dense(2)(x), "rest": (x * 2, None)}

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            parts = Parts(name="parts")(x)
            return parts["mean"].sum(-1) + parts["rest"][0].sum(-1)

    _, layers, values = captured(Net())
    assert list(layers) == [
        *("parts/Dense_0", "parts['mean']", "parts['rest'][0]"),
        *("parts/Dense_0/sum", "parts['rest'][0]/sum", "add"),
    ]
    assert layers["parts['mean']"].alias_of == "parts/Dense_0"
    assert layers["add"].shape == () and layers["add"].channels == 1
    near(values["parts['rest'][0]"], 2 * X)


def test_the_users_own_sow_and_old_intermediates_are_not_mixed_in():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Dense(4, name="dense")(x)
            self.sow("intermediates", "__call__", x * 0 - 1)
            self.sow("intermediates", "mine", x * 0 - 1)
            return x

    variables = variables_for(Net(), X)
    _, old = Net().apply(variables, X + 1, capture_intermediates=True, mutable=["intermediates"])
    variables = {**variables, **old}
    assert len(variables["intermediates"]["dense"]) > 0
    capture = prepare(Net(), variables, X)
    _, values = capture(variables, X)
    assert list(values) == ["dense"]
    near(values["dense"], dense(variables, "dense", X))


class Coder(nn.Module):
    def setup(self):
        self.down = nn.Dense(2)
        self.up = nn.Dense(4)

    def encode(self, x):
        return nn.tanh(self.down(x))

    def decode(self, z):
        return nn.sigmoid(self.up(z))

    def __call__(self, x):
        return self.decode(self.encode(x))


def test_other_methods_than_call():
    variables, layers, _ = captured(Coder())
    assert list(layers) == ["down", "down/tanh", "encode", "up", "up/sigmoid", "decode"]
    assert layers["encode"].alias_of == "down/tanh"
    with pytest.warns(UserWarning, match="up/bias: this parameter is used by no captured module"):
        capture = prepare(Coder(), variables, X, apply=lambda m, v, x: m.apply(v, x, method="encode"))
    assert list(capture.network.layers) == ["down", "down/tanh", "encode"]
    output, _ = capture(variables, X)
    near(output, np.tanh(dense(variables, "down", X)))
    assert set(capture.network.uncaptured) == {"up/kernel", "up/bias"}


def test_what_can_not_be_captured_is_listed_with_its_reason_and_warned_about_once():
    class Maybe(nn.Module):
        @nn.compact
        def __call__(self, x):
            dense = nn.Dense(4)
            if self.is_initializing():
                dense(x)
            return nn.cond(x.sum() > 0, lambda m, x: nn.relu(m(x)), lambda m, x: x, dense, x)

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            table = nn.Embed(4, 4, name="positions")(jnp.arange(4))
            similar = nn.Dense(4, name="first")(x) @ x.T
            return nn.softmax(similar) @ Maybe(name="maybe")(x + table.sum(0)[None])

    variables = variables_for(Net(), X)
    with pytest.warns(UserWarning) as told:
        capture = prepare(Net(), variables, X)
    assert len(told) == 1
    assert capture.network.uncaptured["maybe/Dense_0"].startswith("it is computed inside a condition's branch (")
    code = {"maybe/relu": "nn.relu(", "dot": "@ x.T", "softmax": "nn.softmax(", "positions": 'name="positions"'}
    for name, text in code.items():
        place = re.search(r" \(test_linen_hard\.py:(\d+)\)$", capture.network.uncaptured[name])
        assert text in linecache.getline(__file__, int(place[1]))
    assert "no axis that counts the images: its shape is [2, 2]" in capture.network.uncaptured["softmax"]
    for name in capture.network.uncaptured:
        assert name in str(told[0].message)
    assert set(capture.network.uncaptured) == {
        "maybe/Dense_0",
        "maybe/relu",
        "maybe/sum",
        "positions",
        "dot",
        "softmax",
    }
    assert list(capture.network.layers) == ["first", "maybe", "Net"]


def test_an_operation_that_would_take_a_modules_name_is_counted_on():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.relu(x) + nn.Dense(4, name="relu")(x) + nn.relu(x - 1)

    variables, layers, values = captured(Net())
    assert list(layers) == ["relu", "relu#2", "add", "relu#3", "add#2"]
    assert layers["add"].inputs == ("relu", "relu#2") and layers["add#2"].inputs == ("add", "relu#3")
    assert tuple(layers["relu#2"].params) == ("relu/bias", "relu/kernel")
    near(values["relu#2"], dense(variables, "relu", X))
    near(values["relu"], np.maximum(X, 0))
    near(values["relu#3"], np.maximum(X - 1, 0))


class Base(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(4, name="dense")(x))


class Extends(Base):
    @nn.compact
    def __call__(self, x):
        return super().__call__(x) - 1


def test_a_parents_call_by_super_is_no_second_call():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2, name="end")(Extends(name="extends")(x))

    variables, layers, values = captured(Net())
    assert list(layers) == ["extends/dense", "extends/dense/relu", "extends", "end"]
    near(values["extends"], np.maximum(dense(variables, "extends/dense", X), 0) - 1)
    assert verify(Net(), variables, X).flax == "3 of 3 module results equal Flax's own capture"


def test_a_module_that_calls_itself_is_called_again():
    class Again(nn.Module):
        def setup(self):
            self.dense = nn.Dense(4)

        def __call__(self, x, times):
            return self(nn.relu(self.dense(x)), times - 1) if times else x

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2, name="end")(Again(name="again")(x, 2))

    _, layers, _ = captured(Net())
    assert [path for path, layer in layers.items() if is_module(layer)] == [
        *("again/dense", "again/dense#2", "again", "again#2", "again#3", "end")
    ]


def test_library_modules_that_read_no_input_are_listed():
    class Pooled(nn.Module):
        @nn.compact
        def __call__(self, x):
            probe = self.param("probe", nn.initializers.normal(1.0), (1, 1, 4))
            probe = jnp.repeat(probe, x.shape[0], axis=0)
            return nn.MultiHeadDotProductAttention(2, name="attention")(probe, nn.Dense(4, name="tokens")(x))

    x = np.ones((3, 5, 2), np.float32)
    with pytest.warns(UserWarning, match="attention/query: its value does not depend"):
        network = prepare(Pooled(), variables_for(Pooled(), x), x).network
    assert set(network.uncaptured) == {"attention/query"}
    assert {"attention/query/kernel", "attention/query/bias"} <= set(network.layers["attention"].params)


def test_a_cells_gates_that_hand_on_their_kernels_are_not_listed():
    class Reader(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.RNN(nn.OptimizedLSTMCell(4), name="rnn")(x)

    x = np.ones((3, 5, 2), np.float32)
    assert prepare(Reader(), variables_for(Reader(), x), x).network.uncaptured == {}
