"""Flax's own capture and the marks prove each other: planted faults are found, and what can't be compared is said."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from reportgen.capture import check, prepare, verify
from reportgen.errors import ModelError
from tests.architectures.variables import variables_for
from tests.capture.test_linen import Net, images
from tests.capture.test_nnx import Compiled, Extends, Inherits, Static
from tests.layers import is_module

X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


class Pair(nn.Module):
    """Two layers, the first called twice, with a method of its own and something sown by the user."""

    def setup(self):
        self.first = nn.Dense(4)
        self.last = nn.Dense(3)

    def encode(self, x):
        return nn.relu(self.first(nn.relu(self.first(x))))

    def __call__(self, x):
        x = self.encode(x)
        self.sow("intermediates", "__call__", x - 1)
        self.sow("intermediates", "code", x)
        return self.last(x)


@pytest.fixture(scope="module")
def variables():
    return variables_for(Pair(), X)


def captured_by_flax(model, variables, x=X, apply=None):
    """The paths of the module results that Flax gave, and the capture."""
    capture = prepare(model, variables, x, apply=apply)
    return [entry.path for entry in capture.program(variables, x)[1] if entry.flax], capture


def test_every_module_result_is_the_variable_that_flax_captured(variables):
    found, capture = captured_by_flax(Pair(), variables)
    assert found == ["first", "first#2", "encode", "last", "Pair"]
    assert capture.forward.flax_capture_error == ""
    net = variables_for(Net(), images())
    found, capture = captured_by_flax(Net(), net, images())
    assert found[:-1] == [layer.path for layer in capture.network.layers.values() if is_module(layer)]


def test_old_intermediates_are_stripped(variables):
    _, old = Pair().apply(variables, X + 1, capture_intermediates=True, mutable=["intermediates"])
    found, _ = captured_by_flax(Pair(), {**variables, **old})
    assert found == ["first", "first#2", "encode", "last", "Pair"]


@pytest.mark.parametrize(
    ("change", "layer"),
    [
        (lambda module, name, value: value * 1.0 if module.name == "last" else value, "last"),
        (lambda module, name, value: value[:, ::-1] if name == "encode" else value, "encode"),
        (lambda module, name, value: nn.relu(value) if module.name == "first" else value, "first"),
    ],
)
def test_another_value_of_flaxs_is_an_error_that_names_the_layer(variables, monkeypatch, change, layer):
    sow = nn.Module.sow
    monkeypatch.setattr(
        nn.Module, "sow", lambda self, place, name, value: sow(self, place, name, change(self, name, value))
    )
    with pytest.raises(ModelError, match=f"of {layer}, Flax's capture_intermediates gives another value"):
        prepare(Pair(), variables, X)


def test_calls_in_another_order_are_an_error(variables, monkeypatch):
    sow = nn.Module.sow
    monkeypatch.setattr(
        nn.Module,
        "sow",
        lambda self, place, name, value: sow(
            self, place, name, value, reduce_fn=lambda old, new: (new, *old) if self.name == "first" else (*old, new)
        ),
    )
    with pytest.raises(ModelError, match=r"of first, .* than call 1 returned"):
        prepare(Pair(), variables, X)


def test_an_interceptor_around_the_marks_is_an_error(variables):
    def double(call, args, kwargs, context):
        output = call(*args, **kwargs)
        return 2 * output if context.module.name == "last" else output

    with nn.intercept_methods(double), pytest.raises(ModelError, match="of last, Flax's capture"):
        prepare(Pair(), variables, X)


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(4)(x))


class Step(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        many = nn.vmap(
            Inner,
            variable_axes={"params": 0, "intermediates": 0},
            split_rngs={"params": True},
            in_axes=None,
            axis_size=2,
        )
        return many(name="heads")(x).sum(0), None


@pytest.mark.parametrize(("axes", "axis"), [({}, 0), ({"intermediates": 0}, 0), ({"intermediates": 1}, 1)])
def test_loops_are_compared_where_flax_keeps_their_values(axes, axis):
    class Loop(nn.Module):
        @nn.compact
        def __call__(self, x):
            loop = nn.scan(Step, variable_axes={"params": 0, **axes}, split_rngs={"params": True}, length=3)
            x = nn.remat(Inner)(name="again")(loop(name="loop")(x, None)[0])
            return nn.Dense(2, name="end")(nn.jit(Inner)(name="compiled")(x))

    variables = variables_for(Loop(), X)
    found, capture = captured_by_flax(Loop(), variables)
    inside = ["loop/heads/Dense_0", "loop/heads"] if axes else []
    assert [path for path in found if path not in ("loop", "loop[0]")] == [
        *inside,
        *("again/Dense_0", "again", "compiled/Dense_0", "compiled", "end", "Loop"),
    ]
    assert "loop/heads/Dense_0" in {layer.path for layer in capture.network.layers.values()}


def test_what_flax_drops_is_counted():
    class Recurrent(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(nn.RNN(nn.SimpleCell(3))(x)[:, -1])

    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    model = Recurrent()
    found = verify(model, variables_for(model, x), x)
    assert found
    assert found.flax == "2 of 2 module results equal Flax's own capture, which gives none of 4 others"


def test_the_users_apply_gets_what_it_asks_for():
    x = images()
    variables = variables_for(Net(), x)
    seen = []

    def apply(model, variables, x):
        assert isinstance(model, Net) and model == Net()
        output, state = model.apply(variables, x, train=False, mutable=["batch_stats"])
        seen.append(sorted(state))
        return output

    found, capture = captured_by_flax(Net(), variables, x, apply)
    assert capture.forward.flax_capture_error == "" and "Dense_0" in found
    assert {tuple(state) for state in seen} == {("batch_stats",)}
    twice, _ = captured_by_flax(
        Net(), variables, x, lambda model, v, x: (model.apply(v, x) + model.apply(v, x[:, ::-1])) / 2
    )
    assert twice.count("Dense_0") == twice.count("Dense_0#2") == 1


@pytest.mark.parametrize(
    ("apply", "reason"),
    [
        (lambda model, v, x: jax.vmap(lambda one: model.apply(v, one[None])[0])(x), "inside a JAX transformation"),
        (lambda model, v, x: Pair().apply(v, x), "`apply` was not called"),
        (lambda model, v, x: model.bind(v)(x), "`apply` was not called"),
        (lambda model, v, x: model.apply(v, x, mutable=["intermediates"])[0], "intermediates of the user's own"),
    ],
)
def test_where_flaxs_capture_can_not_be_used_the_marks_do_and_it_is_said(variables, apply, reason):
    found, capture = captured_by_flax(Pair(), variables, X, apply)
    assert found == [] and reason in capture.forward.flax_capture_error
    assert [layer.path for layer in capture.network.layers.values() if is_module(layer)] == [
        "first",
        "first#2",
        "encode",
        "last",
    ]
    output, values = capture(variables, X)
    np.testing.assert_allclose(output, Pair().apply(variables, X), rtol=1e-5)
    np.testing.assert_allclose(values["last"].reshape(output.shape), output, rtol=1e-5)


def test_a_model_that_flax_can_not_capture_is_captured_by_the_marks():
    class Maybe(nn.Module):
        @nn.compact
        def __call__(self, x):
            dense = nn.Dense(4, name="dense")
            dense(x)
            return nn.cond(x.sum() > 0, lambda m, x: nn.relu(m(x)), lambda m, x: x, dense, x)

    variables = variables_for(Maybe(), X)
    with pytest.raises(TypeError), jax.ensure_compile_time_eval():
        Maybe().apply(variables, X, capture_intermediates=True, mutable=["intermediates"])
    with pytest.warns(UserWarning, match="inside a condition's branch"):
        capture = prepare(Maybe(), variables, X)
    assert capture.forward.flax_capture_error.startswith("with it, the model can't be called: ")
    found = check(capture, variables, X)
    assert found and found.flax.startswith(
        "0 of 0 module results equal Flax's own capture, which gives none of 2 others: "
    )
    with pytest.raises(ModelError, match="can't be called on inputs"):
        prepare(Net(), variables, X)


class Model(nnx.Module):
    def __init__(self, rngs):
        self.a, self.b, self.c, self.d = Inherits(rngs), Extends(rngs), Static(), Compiled(rngs)

    def __call__(self, x):
        return self.d(self.c(self.b(self.a(self.a(x)))))


def test_nnx_capture_gives_the_same_of_inherited_static_and_compiled_calls_too(monkeypatch):
    model = Model(nnx.Rngs(0))
    before = {type(module): dict(vars(type(module))) for _, module in nnx.iter_modules(model)}
    found = verify(model, None, X)
    assert found and found.flax == "9 of 9 module results equal Flax's own capture"
    assert {cls: dict(vars(cls)) for cls in before} == before
    assert not any(hasattr(module, "__captures__") for _, module in nnx.iter_modules(model))

    sow = nnx.Module.sow
    monkeypatch.setattr(
        nnx.Module,
        "sow",
        lambda self, kind, name, value: sow(self, kind, name, value + isinstance(self, Static)),
    )
    found = verify(model, None, X)
    assert set(found.failed) == {"c"} and "is not what Flax's own capture gives: 8 of 8 values" in found.failed["c"]
    assert found.flax == "8 of 9 module results equal Flax's own capture"


def test_a_model_that_nnx_capture_fails_on_says_so():
    class Recurrent(nnx.Module):
        def __init__(self, rngs):
            self.rnn = nnx.RNN(nnx.SimpleCell(4, 3, rngs=rngs))

        def __call__(self, x):
            return self.rnn(x)

    found = verify(Recurrent(nnx.Rngs(0)), None, jnp.ones((2, 5, 4)))
    assert found and found.flax.startswith("nnx.capture can't be used on this model: ")
