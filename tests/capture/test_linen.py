"""Captured Linen activations against hand-written forward passes and Flax's own `capture_intermediates`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import prepare, verify
from reportgen.errors import ModelError
from tests.architectures.variables import variables_for
from tests.layers import is_module


class Block(nn.Module):
    """Conv, BatchNorm, relu, Dropout, residual: what a capture gets wrong first."""

    @nn.compact
    def __call__(self, x, train=False):
        y = nn.Conv(4, (3, 3))(x)
        y = nn.BatchNorm(use_running_average=not train)(y)
        y = nn.relu(y)
        y = nn.Dropout(0.5, deterministic=not train)(y)
        return nn.relu(y + nn.Conv(4, (1, 1))(x))


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = Block()(x, train)
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(len(x), -1)
        x = nn.silu(nn.Dense(5)(x))
        x = jnp.concatenate([x, nn.gelu(x)], -1)
        return nn.softmax(nn.Dense(3, name="output")(x))


ORDER = [
    "Block_0/Conv_0",
    "Block_0/BatchNorm_0",
    "Block_0/BatchNorm_0/relu",
    "Block_0/Dropout_0",
    "Block_0/Conv_1",
    "Block_0/add",
    "Block_0/relu",
    "Block_0",
    "Block_0/max_pool",
    "Block_0/flatten",
    "Dense_0",
    "Dense_0/silu",
    "Dense_0/gelu",
    "concatenate",
    "output",
    "output/softmax",
]


def images(count=2, side=6, seed=0):
    return np.random.default_rng(seed).normal(size=(count, side, side, 1)).astype(np.float32)


def ready(model, x, seed=0):
    """(variables with statistics that are no identity, capture)."""
    variables = variables_for(model, x, seed=seed)
    if "batch_stats" in variables:
        stats = jax.tree.map(lambda a: a + 0.3 * jnp.arange(a.size).reshape(a.shape), variables["batch_stats"])
        variables = {**variables, "batch_stats": stats}
    return variables, prepare(model, variables, x[:1])


def conv_same(x, kernel, bias):
    """A convolution with SAME padding and stride 1, as loops over positions."""
    rows, columns = kernel.shape[:2]
    up, left = (rows - 1) // 2, (columns - 1) // 2
    padded = np.pad(x, ((0, 0), (up, rows - 1 - up), (left, columns - 1 - left), (0, 0)))
    result = np.zeros((*x.shape[:3], kernel.shape[3]))
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            patch = padded[:, row : row + rows, column : column + columns].astype(np.float64)
            result[:, row, column] = np.einsum("byxi,yxio->bo", patch, kernel)
    return result + bias


def test_values_equal_a_forward_pass_written_by_hand():
    x = images()
    variables, capture = ready(Net(), x)
    _, found = jax.jit(capture)(variables, x)
    params = jax.tree.map(np.asarray, variables["params"])
    stats = jax.tree.map(np.asarray, variables["batch_stats"])["Block_0"]["BatchNorm_0"]
    block = params["Block_0"]

    def near(path, expected):
        np.testing.assert_allclose(found[path], expected, rtol=1e-4, atol=1e-5, err_msg=path)

    conv = conv_same(x, block["Conv_0"]["kernel"], block["Conv_0"]["bias"])
    norm = (conv - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
    norm = norm * block["BatchNorm_0"]["scale"] + block["BatchNorm_0"]["bias"]
    skip = conv_same(x, block["Conv_1"]["kernel"], block["Conv_1"]["bias"])
    end = np.maximum(np.maximum(norm, 0) + skip, 0)
    pooled = end.reshape(2, 3, 2, 3, 2, 4).max((2, 4))
    dense = pooled.reshape(2, -1) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    silu = dense / (1 + np.exp(-dense))
    gelu = 0.5 * silu * (1 + np.tanh(np.sqrt(2 / np.pi) * (silu + 0.044715 * silu**3)))
    scores = np.concatenate([silu, gelu], -1) @ params["output"]["kernel"] + params["output"]["bias"]
    for path, expected in {
        "Block_0/Conv_0": conv,
        "Block_0/BatchNorm_0": norm,
        "Block_0/BatchNorm_0/relu": np.maximum(norm, 0),
        "Block_0/Conv_1": skip,
        "Block_0/add": np.maximum(norm, 0) + skip,
        "Block_0/relu": end,
        "Block_0/max_pool": pooled,
        "Block_0/flatten": pooled.reshape(2, -1),
        "Dense_0": dense,
        "Dense_0/silu": silu,
        "Dense_0/gelu": gelu,
        "concatenate": np.concatenate([silu, gelu], -1),
        "output": scores,
        "output/softmax": np.exp(scores) / np.exp(scores).sum(-1, keepdims=True),
    }.items():
        near(path, expected)
    assert found["Block_0/BatchNorm_0"].min() < 0  # else relu could not be told from what it reads


def test_layers_stand_in_call_order_with_what_they_read_and_repeat():
    _, capture = ready(Net(), images())
    assert list(capture.network.layers) == ORDER
    layers = dict(capture.network.layers)
    assert {path: layer.reads for path, layer in layers.items() if layer.reads and not layer.alias_of} == {
        "Block_0/BatchNorm_0": "Block_0/Conv_0",
        "Block_0/BatchNorm_0/relu": "Block_0/BatchNorm_0",
        "Block_0/relu": "Block_0/add",
        "Block_0/max_pool": "Block_0/relu",
        "Block_0/flatten": "Block_0/max_pool",
        "Dense_0": "Block_0/flatten",
        "Dense_0/silu": "Dense_0",
        "Dense_0/gelu": "Dense_0/silu",
        "output": "concatenate",
        "output/softmax": "output",
    }
    assert {path: layer.alias_of for path, layer in layers.items() if layer.alias_of} == {
        "Block_0/Dropout_0": "Block_0/BatchNorm_0/relu",
        "Block_0": "Block_0/relu",
    }
    assert set(capture.selected) == set(ORDER) - {"Block_0/Dropout_0", "Block_0"}
    assert layers["Block_0/Conv_0"].params == {"Block_0/Conv_0/bias": (4,), "Block_0/Conv_0/kernel": (3, 3, 1, 4)}
    assert layers["Block_0/Conv_0"].parameters == 3 * 3 * 4 + 4
    assert layers["Block_0"].parameters == 0
    assert layers["Dense_0/silu"].op == "silu" and not is_module(layers["Dense_0/silu"])
    assert layers["Block_0/max_pool"].shape == (3, 3, 4)


def test_module_values_equal_those_of_capture_intermediates():
    x = images()
    variables, capture = ready(Net(), x)
    _, found = capture(variables, x)
    _, state = Net().apply(variables, x, capture_intermediates=True, mutable=["intermediates"])
    flax = state["intermediates"]
    for path in ("Block_0/Conv_0", "Block_0/BatchNorm_0", "Block_0/Conv_1", "Dense_0", "output"):
        node = flax
        for part in path.split("/"):
            node = node[part]
        np.testing.assert_array_equal(found[path], node["__call__"][0], err_msg=path)


def test_the_output_is_the_models_own_and_nothing_is_changed():
    x = images()
    variables, capture = ready(Net(), x)
    before = jax.tree.map(lambda a: np.array(a), variables)
    output, _ = jax.jit(capture)(variables, x)
    np.testing.assert_allclose(output, Net().apply(variables, x), rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, variables, before)


def test_capturing_adds_nothing_to_the_program():
    x = images()
    variables, capture = ready(Net(), x)
    found = verify(Net(), variables, x)
    assert found.exact
    assert str(found) == "14 of 14 operations verified"
    assert found.flax == "7 of 7 module results equal Flax's own capture"
    assert found.operations == len(capture.selected)


def test_layers_that_are_not_used_are_not_computed():
    x = images()
    variables, capture = ready(Net(), x)
    text = jax.jit(lambda v, x: capture(v, x)[1]["Block_0/Conv_0"].max()).lower(variables, x).compile().as_text()
    assert "convolution" in text or "custom-call" in text
    assert "exponential" not in text and "tanh" not in text  # silu, gelu and softmax come later


def test_a_batch_of_any_size_gives_the_rows_of_the_single_images():
    x = images(5)
    variables, capture = ready(Net(), x)
    _, all_of_them = jax.jit(capture)(variables, x)
    for number in range(5):
        _, one = jax.jit(capture)(variables, x[number : number + 1])
        for path, value in one.items():
            np.testing.assert_allclose(all_of_them[path][number], value[0], rtol=1e-4, atol=1e-5, err_msg=path)


def test_unknown_patterns_name_the_closest_layers():
    x = images()
    variables, _ = ready(Net(), x)
    assert prepare(Net(), variables, x, layers=["Block_*/Conv_?"]).selected == ("Block_0/Conv_0", "Block_0/Conv_1")
    with pytest.raises(ModelError, match=r"no layer matches 'Dense_9'; did you mean Dense_0"):
        prepare(Net(), variables, x, layers=["Dense_9"])


def test_what_is_no_model_or_can_not_be_called_is_said():
    with pytest.raises(ModelError, match="neither a flax"):
        prepare(object(), {"params": {}}, images())
    variables, _ = ready(Net(), images())
    with pytest.raises(ModelError, match=r"can't be called on inputs float32\[2, 5, 5, 1\]"):
        prepare(Net(), variables, images(2, 5))


def test_an_apply_function_gives_further_arguments():
    class Scaled(nn.Module):
        @nn.compact
        def __call__(self, x, scale):
            return nn.relu(nn.Dense(3)(x)) * scale

    x = np.ones((2, 4), np.float32)
    variables = Scaled().init(jax.random.key(0), x, 1.0)
    capture = prepare(Scaled(), variables, x, apply=lambda model, v, x: model.apply(v, x, scale=2.0))
    output, found = capture(variables, x)
    np.testing.assert_array_equal(output, 2 * found["Dense_0/relu"])
    with pytest.raises(ModelError, match="no module of the model was called"):
        prepare(Scaled(), variables, x, apply=lambda model, v, x: x)
