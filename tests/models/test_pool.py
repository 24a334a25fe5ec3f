"""The quick max-pooling: in every bit the plain one, value and gradient, on data full of ties."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from reportgen.models.pool import max_pool


def plain(x: jax.Array) -> jax.Array:
    return nn.max_pool(x, (2, 2), strides=(2, 2))


def tied(shape: tuple[int, ...], dtype: str, seed: int = 0) -> tuple[jax.Array, jax.Array]:
    """Integers from -2 to 2, so that most windows tie, and a gradient of random numbers."""
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.integers(-2, 3, shape), dtype)
    return x, jnp.asarray(rng.normal(size=plain(x).shape), dtype)


def assert_same_bits(found: jax.Array, wanted: jax.Array) -> None:
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    kind = f"u{np.dtype(wanted.dtype).itemsize}"
    np.testing.assert_array_equal(np.asarray(found).view(kind), np.asarray(wanted).view(kind))


def both(pool, x: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    value, backward = jax.vjp(pool, x)
    return value, backward(gradient)[0]


SHAPES = [(3, 8, 6, 5), (1, 7, 3, 2), (2, 2, 4, 4, 2)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_value_and_gradient_equal_the_plain_ones(dtype: str) -> None:
    cases = [tied(shape, dtype) for shape in SHAPES]
    run = jax.jit(lambda pool, cases: [both(pool, *case) for case in cases], static_argnums=0)
    for quick, wanted in zip(run(max_pool, cases), run(plain, cases), strict=True):
        assert_same_bits(quick[0], wanted[0])
        assert_same_bits(quick[1], wanted[1])


def test_without_jit_and_without_gradient() -> None:
    x, gradient = tied((2, 7, 9, 3), "float32")
    quick, wanted = both(max_pool, x, gradient), both(plain, x, gradient)
    assert_same_bits(quick[0], wanted[0])
    assert_same_bits(quick[1], wanted[1])
    assert_same_bits(max_pool(x), wanted[0])


def test_against_loops() -> None:
    x, gradient = tied((2, 5, 4, 3), "float32")
    value, back = (np.asarray(array) for array in both(max_pool, x, gradient))
    wanted = np.zeros(x.shape, np.float32)
    for n, i, j, c in np.ndindex(value.shape):
        window = np.asarray(x)[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        assert value[n, i, j, c] == window.max()
        row, column = divmod(int(window.argmax()), 2)  # argmax: the first in row-major order
        wanted[n, 2 * i + row, 2 * j + column, c] = gradient[n, i, j, c]
    np.testing.assert_array_equal(back, wanted)


def test_under_vmap() -> None:
    x, gradient = tied((4, 2, 7, 6, 3), "float32")

    def mapped(pool):
        return jax.jit(jax.vmap(lambda x, gradient: both(pool, x, gradient)))(x, gradient)

    for found, wanted in zip(mapped(max_pool), mapped(plain), strict=True):
        assert_same_bits(found, wanted)


def test_every_window_of_zeros_of_both_signs_infinities_and_nan() -> None:
    values = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0], np.float32)
    windows = values[np.indices((6, 6, 6, 6)).reshape(4, -1).T].reshape(-1, 2, 2, 1)
    x, gradient = jnp.asarray(windows), jnp.arange(1.0, len(windows) + 1).reshape(-1, 1, 1, 1)
    (value, back), (plain_value, plain_back) = both(max_pool, x, gradient), both(plain, x, gradient)
    nan = np.isnan(windows).any((1, 2, 3))
    np.testing.assert_array_equal(value[~nan], plain_value[~nan])
    np.testing.assert_array_equal(back, plain_back)
    assert np.isnan(value[nan]).all()


def test_inside_a_loss_the_gradient_of_the_input_is_the_plain_one() -> None:
    x, _ = tied((2, 6, 6, 2), "float32")
    weights = jnp.linspace(-1, 1, 18).reshape(1, 3, 3, 2)

    def loss(pool):
        # As XLA emits it by default (tests/conftest.py): only so is tanh rounded alike in both programs.
        emitters = "xla_cpu_use_fusion_emitters"
        options = {emitters: True} if emitters in os.environ.get("XLA_FLAGS", "") else None
        return jax.jit(jax.value_and_grad(lambda x: (jnp.tanh(pool(x)) * weights).sum()), compiler_options=options)(x)

    for found, wanted in zip(loss(max_pool), loss(plain), strict=True):
        np.testing.assert_array_equal(found, wanted)
