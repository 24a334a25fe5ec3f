"""Functions that a model writes by hand: each is captured under its name, or listed with the reason."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import check, prepare
from reportgen.core.network import INPUT, Role
from tests.architectures.variables import variables_for

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


class Net(nn.Module):
    function: object

    @nn.compact
    def __call__(self, x):
        h = self.function(nn.Dense(8, name="before")(x)).reshape(len(x), -1)
        return nn.Dense(3, name="after")(h)


def captured(function):
    """(layers between, the two, their values, what the function gives)."""
    model = Net(function)
    variables = variables_for(model, X)
    capture = prepare(model, variables, X)
    assert check(capture, variables, X).failed == {}
    output, values = jax.jit(capture)(variables, X)
    np.testing.assert_allclose(output, model.apply(variables, X), rtol=1e-5, atol=1e-6)
    expected = function(jnp.asarray(values["before"]))
    between = {path: layer for path, layer in capture.network.layers.items() if path not in ("before", "after")}
    return between, values, np.asarray(expected), capture.network


@jax.custom_vjp
def spike(x):
    return (x > 0).astype(x.dtype)


spike.defvjp(lambda x: (spike(x), x), lambda x, g: (g / (1 + jnp.abs(x)) ** 2,))


@jax.custom_jvp
def cube(x):
    return jnp.transpose(x.T**3)


cube.defjvp(lambda x, dx: (cube(x[0]), 3 * x[0] ** 2 * dx[0]))

BY_HAND = {
    "sin": (jnp.sin, "sin"),
    "cos": (jnp.cos, "cos"),
    "exp": (jnp.exp, "exp"),
    "abs": (jnp.abs, "abs"),
    "square": (lambda h: h**2, "square"),
    "product with itself": (lambda h: h * h, "square"),
    "round": (jnp.round, "round"),
    "threshold": (lambda h: (h > 0).astype(h.dtype), "step"),
    "where": (lambda h: jnp.where(h > 0, h, 0.0), "relu"),
    "clip": (lambda h: jnp.clip(h, 0, 6), "relu6"),
    "another clip": (lambda h: jnp.clip(h, -0.5, 2), "clip"),
    "leaky relu": (lambda h: jnp.maximum(h, 0.2 * h), "leaky_relu"),
    "swish": (lambda h: h * nn.sigmoid(h), "silu"),
    "swish of a slope": (lambda h: h * nn.sigmoid(1.3 * h), "swish"),
    "quick gelu": (lambda h: h * nn.sigmoid(1.702 * h), "quick_gelu"),
    "exact gelu": (lambda h: h * 0.5 * (1 + jax.lax.erf(h / 2**0.5)), "gelu"),
    "tanh gelu": (lambda h: 0.5 * h * (1 + jnp.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3))), "gelu"),
    "mish": (lambda h: h * jnp.tanh(jnp.log1p(jnp.exp(h))), "mish"),
    "hard swish": (lambda h: h * nn.relu6(h + 3) / 6, "hard_swish"),
    "max": (lambda h: jnp.max(h, axis=1, keepdims=True), "max"),
    "stack": (lambda h: jnp.stack([h, 2 * h], axis=1), "stack"),
    "l2": (lambda h: h / jnp.linalg.norm(h, axis=-1, keepdims=True), "normalize"),
    "norm": (
        lambda h: (h - h.mean(-1, keepdims=True)) / jnp.sqrt(h.var(-1, keepdims=True) + 1e-5) * 3 + 1,
        "normalize",
    ),
    "rms norm": (lambda h: h * jax.lax.rsqrt(jnp.mean(h * h, -1, keepdims=True) + 1e-6), "normalize"),
    "upsampling": (lambda h: jax.image.resize(h, (len(h), 16), "nearest"), "resize"),
    "linear upsampling": (lambda h: jax.image.resize(h, (len(h), 16), "linear"), "resize"),
    "sort": (lambda h: jnp.sort(h, -1), "sort"),
    "sums": (lambda h: jnp.cumsum(h, -1), "cumsum"),
    "halves": (lambda h: jnp.maximum(h[:, ::2], h[:, 1::2]), "maximum"),
    "surrogate gradient": (spike, "spike"),
    "own derivative": (cube, "cube"),
    "branches": (lambda h: jax.lax.cond(jax.device_count() > 99, jnp.sin, jnp.cos, h), "cond"),
    "while": (lambda h: jax.lax.while_loop(lambda c: (c**2).max() > 0.1, lambda c: c / 2, h), "while"),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_function_written_by_hand_is_a_layer_of_its_name(name):
    function, expected = BY_HAND[name]
    between, values, result, network = captured(function)
    functions = [path for path, layer in between.items() if layer.op != "flatten"]
    assert functions == [expected if expected in ("cond", "while") else f"before/{expected}"]
    np.testing.assert_allclose(np.asarray(values[functions[0]]).ravel(), result.ravel(), rtol=1e-5, atol=1e-5)
    assert between[functions[0]].inputs == ("before",)
    assert network.uncaptured == {}


ROLES = {
    "sin": Role.ACTIVATION,
    "hard swish": Role.ACTIVATION,
    "max": Role.POOL,
    "l2": Role.NORM,
    "upsampling": Role.RESHAPE,
}


@pytest.mark.parametrize("name", ROLES)
def test_it_has_the_role_of_such_a_function(name):
    assert next(x.role for x in captured(BY_HAND[name][0])[0].values()) is ROLES[name]


SEVERAL = {
    "softmax": (lambda h: (e := jnp.exp(h)) / e.sum(-1, keepdims=True), ["before/exp", "before/softmax"]),
    "one after the other": (lambda h: jnp.sin(jnp.abs(h)), ["before/abs", "before/sin"]),
    "squared relu": (lambda h: jnp.square(nn.relu(h)), ["before/relu", "before/squared_relu"]),
    "soft cap": (lambda h: 30 * jnp.tanh(h / 30), ["before/tanh", "before/soft_cap"]),
    "gain": (lambda h: nn.relu(h) * 1.4, ["before/relu", "before/scale"]),
    "two of one": (lambda h: jnp.concatenate([jnp.sin(h), jnp.cos(h)], -1), ["concatenate"]),
    "of complex values": (lambda h: jnp.fft.fft(h).real, ["before/fft", "before/real"]),
    "unknown": (lambda h: h + jnp.sin(3 * h) ** 2 / 3, ["before/add"]),
    "a loop": (lambda h: jax.lax.scan(lambda c, x: (jnp.sin(c + x), None), h[:, 0], h.T)[0], ["scan"]),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_functions_of_functions(name):
    function, expected = SEVERAL[name]
    between, values, result, _ = captured(function)
    assert [path for path in between if path.split("/")[-1] in {p.split("/")[-1] for p in expected}] == expected
    np.testing.assert_allclose(np.asarray(values[expected[-1]]).ravel(), result.ravel(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", [lambda h: 2 * h - 1, lambda h: h + h, lambda h: jnp.roll(h, 1, 1)[:, ::-1]])
def test_scales_shifts_and_moves_of_a_modules_result_are_no_functions(function):
    between, _, _, network = captured(function)
    assert [x.op for x in between.values() if x.op != "flatten"] == [] and network.uncaptured == {}


def test_what_mixes_the_examples_is_listed():
    with pytest.warns(UserWarning, match="does not capture before/mean"):
        between, _, _, network = captured(lambda h: h - h.mean(0, keepdims=True))
    assert list(between) == ["sub"] and between["sub"].inputs == ("before",)
    assert "no axis that counts the images" in network.uncaptured["before/mean"]


def test_products_with_parameters_of_a_module_of_ones_own():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            w1, w2 = (self.param(name, nn.initializers.normal(), (6, 6)) for name in ("w1", "w2"))
            return jnp.sin(x @ w1 + 1) @ w2

    model = Block()
    variables = variables_for(model, X)
    layers = prepare(model, variables, X).network.layers
    assert {path: (x.role, x.inputs) for path, x in layers.items()} == {
        "dot": (Role.DENSE, (INPUT,)),
        "sin": (Role.ACTIVATION, ("dot",)),
        "Block": (Role.BLOCK, ("sin",)),
    }
