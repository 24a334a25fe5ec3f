"""LeNet, Linen and NNX, against a forward pass written out in NumPy."""

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from reportgen.errors import ModelError
from reportgen.models.lenet import LeNet
from reportgen.models.lenet_nnx import lenet_nnx
from tests.models.params import random_variables

IMAGES = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """VALID convolution, float64, a window at a time."""
    size = kernel.shape[0]
    rows, columns = x.shape[1] - size + 1, x.shape[2] - size + 1
    y = np.empty((len(x), rows, columns, kernel.shape[3]))
    for i, j in np.ndindex(rows, columns):
        y[:, i, j] = np.tensordot(x[:, i : i + size, j : j + size], kernel, 3) + bias
    return y


def pool(x: np.ndarray) -> np.ndarray:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def forward(params: dict, x: np.ndarray) -> dict[str, np.ndarray]:
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    out = {"conv1": convolve(x.astype(np.float64), **params["conv1"])}
    x = np.maximum(pool(out["conv1"]), 0)
    out["conv2"] = convolve(x, **params["conv2"])
    x = np.maximum(pool(out["conv2"]), 0).reshape(len(x), -1)
    out["hidden"] = x @ params["hidden"]["kernel"] + params["hidden"]["bias"]
    out["output"] = np.maximum(out["hidden"], 0) @ params["output"]["kernel"] + params["output"]["bias"]
    return out


def test_layers_against_a_forward_pass_by_hand() -> None:
    model = LeNet(10)
    variables = random_variables(model, IMAGES)
    shapes = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    assert shapes == {
        "conv1": {"kernel": (5, 5, 1, 16), "bias": (16,)},
        "conv2": {"kernel": (5, 5, 16, 30), "bias": (30,)},
        "hidden": {"kernel": (480, 150), "bias": (150,)},
        "output": {"kernel": (150, 10), "bias": (10,)},
    }
    logits, state = jax.jit(lambda v: model.apply(v, IMAGES, capture_intermediates=True))(variables)
    wanted = forward(variables["params"], IMAGES)
    assert wanted["conv1"].shape == (2, 24, 24, 16)
    assert wanted["conv2"].shape == (2, 8, 8, 30)
    for name, array in wanted.items():
        np.testing.assert_allclose(state["intermediates"][name]["__call__"][0], array, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, wanted["output"], rtol=1e-4, atol=1e-5)
    training = jax.jit(lambda v: model.apply(v, IMAGES, train=True))(variables)
    np.testing.assert_allclose(training, logits, rtol=1e-5, atol=1e-6)


def test_nnx_is_the_same_network() -> None:
    model = lenet_nnx(10, (28, 28, 1), seed=0)
    params = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    wanted = jax.eval_shape(LeNet(10).init, jax.random.key(0), IMAGES)["params"]
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, wanted)
    logits = nnx.jit(lambda model: model(IMAGES))(model)
    np.testing.assert_allclose(logits, forward(params, IMAGES)["output"], rtol=1e-4, atol=1e-5)
    same, other = (lenet_nnx(10, seed=seed).conv1.kernel[...] for seed in (0, 1))
    np.testing.assert_array_equal(same, params["conv1"]["kernel"])
    assert not np.array_equal(other, same)


@pytest.mark.parametrize("side", [16, 17, 21])
def test_the_smallest_images_and_odd_ones(side: int) -> None:
    images = np.zeros((1, side, side + 1, 3), np.float32)
    logits, _ = jax.eval_shape(LeNet(4).init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, 4)
    assert nnx.eval_shape(lambda: lenet_nnx(4, images.shape[1:])(images)).shape == (1, 4)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 8, 8, 1), "lenet needs images of at least 16x16 pixels, not 8x8"),
        ((2, 28, 15, 1), "not 28x15"),
        ((28, 28, 1), r"takes images \[batch, height, width, channel\], not \[28, 28, 1\]"),
    ],
)
def test_images_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    for call in (LeNet(10).init, nn.jit(LeNet)(10).init):
        with pytest.raises(ModelError, match=message):
            call(jax.random.key(0), np.zeros(shape, np.float32))
