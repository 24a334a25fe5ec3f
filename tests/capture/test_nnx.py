"""NNX models: the same captures as Linen's, and nothing of the user's model is touched."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from reportgen.capture import check, prepare, variables_of, verify
from reportgen.capture.nnx import ARRAYS, copier, nnx_variables
from reportgen.errors import ModelError, OptionError
from tests.layers import letters


class Block(nnx.Module):
    def __init__(self, into, out, rngs):
        self.conv = nnx.Conv(into, out, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(out, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.skip = nnx.Conv(into, out, (1, 1), rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.drop(nnx.relu(self.norm(self.conv(x)))) + self.skip(x))


class Net(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List([Block(1, 4, rngs), Block(4, 4, rngs)])
        self.head = nnx.Sequential(nnx.Linear(4, 5, rngs=rngs), nnx.relu, nnx.Linear(5, 3, rngs=rngs))

    def __call__(self, x):
        for block in self.blocks:
            x = nnx.max_pool(block(x), (2, 2), (2, 2))
        return self.head(x.mean((1, 2)))


X = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
V = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def captured(model, x):
    """(layers by path, values), verified, and the model as it was, bit for bit."""
    state = jax.tree.map(np.array, nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.RngKey))))
    structure = str(nnx.graphdef(model))
    methods = {type(module): dict(vars(type(module))) for _, module in nnx.iter_modules(model)}
    capture = prepare(model, None, x)
    found = verify(model, None, x)
    assert found and found.operations == len(capture.selected), found.failed
    _, values = jax.jit(capture)(variables_of(model), x)
    assert str(nnx.graphdef(model)) == structure
    after = jax.tree.map(np.array, nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.RngKey))))
    jax.tree.map(np.testing.assert_array_equal, after, state)
    assert {cls: dict(vars(cls)) for cls in methods} == methods
    return dict(capture.network.layers), values


def test_layers_and_values_of_a_fresh_model_in_training_mode():
    model = Net(nnx.Rngs(0))
    layers, values = captured(model, X)
    assert list(layers) == [
        *(f"blocks/0/{name}" for name in ("conv", "norm", "norm/relu", "drop", "skip", "add", "relu")),
        *("blocks/0", "blocks/0/max_pool"),
        *(f"blocks/1/{name}" for name in ("conv", "norm", "norm/relu", "drop", "skip", "add", "relu")),
        *("blocks/1", "blocks/1/max_pool", "blocks/1/mean"),
        *("head/layers/0", "head/layers/0/relu", "head/layers/2", "head"),
    ]
    assert tuple(layers["blocks/1/conv"].params) == ("blocks/1/conv/bias", "blocks/1/conv/kernel")
    assert letters(layers["blocks/0/max_pool"]) == "yxc" and layers["blocks/0/max_pool"].shape == (4, 4, 4)
    assert layers["blocks/0/drop"].alias_of == "blocks/0/norm/relu"
    # In evaluation a fresh BatchNorm divides by sqrt(1 + epsilon); in training it would centre the batch.
    np.testing.assert_allclose(values["blocks/0/norm"], values["blocks/0/conv"] / np.sqrt(1 + 1e-5), rtol=1e-5)
    np.testing.assert_array_equal(values["blocks/0/norm/relu"], np.maximum(values["blocks/0/norm"], 0))
    end = np.maximum(values["blocks/0/norm/relu"] + values["blocks/0/skip"], 0)
    np.testing.assert_array_equal(values["blocks/0/relu"], end)
    np.testing.assert_array_equal(values["blocks/0/max_pool"], end.reshape(3, 4, 2, 4, 2, 4).max((2, 4)))


def test_module_values_equal_those_of_nnx_capture():
    model = Net(nnx.Rngs(0))
    _, values = captured(model, X)
    copy = nnx.merge(*nnx.split(model))
    copy.eval()
    _, state = nnx.capture(copy, nnx.Intermediate, method_outputs=nnx.Intermediate)(X)
    flax = {"/".join(map(str, path)): value for path, value in nnx.to_flat_state(state)}
    compared = 0
    for path in ("blocks/0/conv", "blocks/0/norm", "blocks/1/skip", "head/layers/0", "head/layers/2"):
        for name, value in flax.items():
            if name.startswith(f"{path}/"):
                expected = value.get_value()
                expected = expected[0] if isinstance(expected, tuple) else expected
                np.testing.assert_allclose(values[path], expected, rtol=1e-5, atol=1e-6)
                compared += 1
    assert compared == 5


class Base(nnx.Module):
    def __call__(self, x):
        return nnx.relu(self.linear(x))


class Inherits(Base):
    def __init__(self, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)


class Extends(Base):
    def __init__(self, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return super().__call__(x) + 1


class Static(nnx.Module):
    @staticmethod
    def __call__(x):
        return jnp.tanh(x)

    @staticmethod
    def helper(x):
        return x


class Compiled(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)

    @nnx.jit
    def __call__(self, x):
        return nnx.silu(self.linear(x))


def test_inherited_static_and_compiled_calls_each_count_once():
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.a, self.b = Inherits(rngs), Extends(rngs)
            self.base, self.c, self.d = Inherits(rngs), Static(), Compiled(rngs)

        def __call__(self, x):
            return self.d(self.c(self.b(self.a(x))))

    model = Model(nnx.Rngs(0))
    del model.base
    model.d(V)  # compiled before, without marks
    layers, values = captured(model, V)
    assert list(layers) == [
        *("a/linear", "a/linear/relu", "a", "b/linear", "b/linear/relu", "b", "b/tanh", "c"),
        *("d/linear", "d/linear/silu", "d"),
    ]
    np.testing.assert_array_equal(values["b"], values["b/linear/relu"] + 1)


def test_shared_modules_say_so():
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(4, 4, rngs=rngs)
            self.second = self.first
            self.table = nnx.Embed(6, 4, rngs=rngs)

        def __call__(self, x):
            return self.table.attend(self.second(nnx.relu(self.first(x))))

    layers, _ = captured(Model(nnx.Rngs(0)), V)
    assert list(layers) == ["first", "first/relu", "first#2", "table/attend"]
    assert layers["first#2"].tied_to == "first" and layers["first#2"].parameters == 0
    assert layers["table/attend"].parameters == 24


def test_transformed_modules():
    class Model(nnx.Module):
        def __init__(self, rngs):
            @nnx.split_rngs(splits=3)
            @nnx.vmap
            def stack(rngs):
                return nnx.Linear(4, 4, rngs=rngs)

            self.stack = stack(rngs)
            self.again = Inherits(rngs)
            self.rnn = nnx.RNN(nnx.GRUCell(4, 5, rngs=rngs))

        def __call__(self, x):
            @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
            def through(layer, x):
                return nnx.relu(layer(x))

            x = through(self.stack, x)
            x = nnx.remat(lambda module, x: module(x))(self.again, x)
            return self.rnn(jnp.stack([x, x + 1], 1))

    model = Model(nnx.Rngs(0))
    layers, values = captured(model, V)
    assert layers["stack"].shape == (3, 4) and letters(layers["stack"]) == "?c"
    assert layers["rnn/cell[1]"].shape == (2, 5) and layers["rnn"].alias_of is None
    x = V
    for number in range(3):
        y = x @ np.asarray(model.stack.kernel[number]) + np.asarray(model.stack.bias[number])
        np.testing.assert_allclose(values["stack"][:, number], y, rtol=1e-4, atol=1e-6)
        x = np.maximum(y, 0)
    np.testing.assert_allclose(values["again/linear"], x @ np.asarray(model.again.linear.kernel), rtol=1e-4, atol=1e-6)


def test_after_an_exception_nothing_is_left_behind():
    class Broken(nnx.Module):
        def __init__(self, rngs):
            self.linear, self.inherits = nnx.Linear(4, 4, rngs=rngs), Inherits(rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)

        def __call__(self, x):
            raise RuntimeError(f"no {self.norm(self.inherits(self.linear(x))).shape}")

    model = Broken(nnx.Rngs(0))
    structure, call = str(nnx.graphdef(model)), nnx.Linear.__call__
    with pytest.raises(ModelError, match=r"RuntimeError: no \(\d, 4\)"):
        prepare(model, None, V)
    assert str(nnx.graphdef(model)) == structure
    assert nnx.Linear.__call__ is call
    assert "__call__" not in vars(Inherits)


def test_other_threads_may_run_the_same_classes_meanwhile():
    model = Net(nnx.Rngs(0))
    model.eval()
    expected = np.asarray(model(X))
    stop, wrong = threading.Event(), []

    def run():
        while not stop.is_set():
            if not np.array_equal(np.asarray(model(X)), expected):
                wrong.append(1)

    thread = threading.Thread(target=run)
    thread.start()
    others = [threading.Thread(target=prepare, args=(Net(nnx.Rngs(i)), None, X)) for i in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    stop.set()
    thread.join()
    assert not wrong
    assert "_reportgen_path" not in vars(model)


def test_variables_come_from_the_model_its_state_or_its_parameters():
    model = Net(nnx.Rngs(0))
    whole = variables_of(model)
    assert set(whole) == {"params", "BatchStat"}
    assert set(whole["params"]["blocks"]) == {"0", "1"}
    from_state = variables_of(model, nnx.state(model))
    jax.tree.map(np.testing.assert_array_equal, from_state, whole)
    only = variables_of(model, nnx.state(model, nnx.Param))
    jax.tree.map(np.testing.assert_array_equal, only, {"params": whole["params"]})
    with pytest.raises(OptionError, match="neither a params tree"):
        variables_of(model, 3)
    with pytest.raises(ModelError, match="the variables lack BatchStat blocks/0/norm/mean"):
        prepare(model, only, X)


def test_arrays_that_are_plain_attributes_belong_to_the_model():
    class Scaled(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 2, rngs=rngs)
            self.frequencies = np.arange(1.0, 4.0, dtype=np.float32)
            self.shift = jnp.ones(3)
            self.key = jax.random.key(0)

        def __call__(self, x):
            return self.linear(x * self.frequencies + self.shift) + jax.random.normal(self.key, (2,))[None]

    model = Scaled(nnx.Rngs(0))
    x = np.ones((4, 3), np.float32)
    variables = nnx_variables(model)
    assert set(variables) == {"params", ARRAYS} and set(variables[ARRAYS]) == {"frequencies", "shift"}
    with jax.numpy_rank_promotion("allow"):
        capture = prepare(model, variables, x)
        assert np.array_equal(capture(variables, x)[0], model(x))
        assert not check(capture, variables, x).failed
        doubled = {**variables, ARRAYS: jax.tree.map(lambda leaf: 2 * leaf, variables[ARRAYS])}
        before, after = (capture(found, x)[1]["linear"] for found in (variables, doubled))
        assert not np.allclose(before, after)
        assert not np.array_equal(copier(model)(variables, jax.random.key(1))(x), model(x))
