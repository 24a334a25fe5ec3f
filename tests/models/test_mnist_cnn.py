"""The four-convolution network: its parameters, its order of operations, its dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.errors import ModelError
from reportgen.models.mnist_cnn import MnistCNN
from tests.models.params import random_variables

IMAGES = np.random.default_rng(0).random((4, 9, 8, 1), np.float32)


def same_convolution(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """2x2 SAME convolution: one row and column of zeros after the last."""
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    height, width = x.shape[1:3]
    return bias + sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))
    )


def test_against_a_forward_pass_by_hand() -> None:
    model = MnistCNN(10)
    variables = random_variables(model, IMAGES)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    x = IMAGES.astype(np.float64)
    for block in (1, 2):
        for layer in (1, 2):
            x = same_convolution(x, **params[f"conv{block}_{layer}"])
        x = np.maximum(x, 0)
        height, width = x.shape[1] // 2, x.shape[2] // 2
        x = x[:, : height * 2, : width * 2].reshape(4, height, 2, width, 2, 32).max((2, 4))
    x = np.maximum(x.reshape(4, -1) @ params["hidden"]["kernel"] + params["hidden"]["bias"], 0)
    wanted = x @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(jax.jit(model.apply)(variables, IMAGES), wanted, rtol=1e-4, atol=1e-5)


def test_parameters_for_mnist() -> None:
    model = MnistCNN(10)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    shapes = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    assert {name: shape["kernel"] for name, shape in shapes.items()} == {
        "conv1_1": (2, 2, 1, 32),
        "conv1_2": (2, 2, 32, 32),
        "conv2_1": (2, 2, 32, 32),
        "conv2_2": (2, 2, 32, 32),
        "hidden": (7 * 7 * 32, 512),
        "output": (512, 10),
    }
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 160 + 3 * 4_128 + 803_328 + 5_130


def test_dropout_takes_a_fifth_in_training_and_nothing_else() -> None:
    model = MnistCNN(10)
    variables = random_variables(model, IMAGES)
    plain, state = jax.jit(lambda v: model.apply(v, IMAGES, capture_intermediates=True))(variables)
    key = {"dropout": jax.random.key(1)}
    dropped, train_state = jax.jit(lambda v: model.apply(v, IMAGES, train=True, rngs=key, capture_intermediates=True))(
        variables
    )
    before = np.asarray(state["intermediates"]["dropout1"]["__call__"][0])
    after = np.asarray(train_state["intermediates"]["dropout1"]["__call__"][0])
    alive = before != 0
    kept = after[alive] != 0
    assert 0.75 < kept.mean() < 0.85
    np.testing.assert_allclose(after[alive][kept], before[alive][kept] / 0.8, rtol=1e-6)
    assert not np.array_equal(plain, dropped)
    np.testing.assert_allclose(plain, jax.jit(model.apply)(variables, IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [4, 5, 8])
def test_small_images(side: int) -> None:
    images = np.zeros((1, side, side, 1), np.float32)
    logits, _ = jax.eval_shape(MnistCNN(10).init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, 10)
    with pytest.raises(ModelError, match="mnist_cnn needs images of at least 4x4 pixels, not 3x3"):
        MnistCNN(10).init(jax.random.key(0), images[:, :3, :3])
