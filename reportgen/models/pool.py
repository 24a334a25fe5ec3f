"""A 2x2 max-pooling whose gradient is fast on CPUs and bitwise that of `flax.linen.max_pool`.

    y = max_pool(x)        # [..., height, width, channel] -> [..., height // 2, width // 2, channel]

XLA computes the gradient of a max-pooling by select-and-scatter, by far the slowest operation of a small
network on a CPU.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
    """Maximum over 2x2 windows at stride 2; an odd last row or column is left out ("VALID").

    `x` is floating point [..., height, width, channel]. Value and gradient equal those of
    `nn.max_pool(x, (2, 2), strides=(2, 2))` in every bit but the sign of a zero (which XLA leaves open):
    of tied maxima the first in row-major order takes the gradient. Works under jit, vmap and grad, but, like
    every `custom_vjp`, not in forward mode (`jax.jvp`, `jax.hessian`).

    NaN: under a gradient a window with a NaN gives NaN. Without a gradient XLA pools, which on CPUs keeps NaN
    in small arrays and drops it in large ones (jax 0.10): check for NaN before a pooling.
    """
    # Without a gradient the plain form is faster.
    pooled: jax.Array = nn.max_pool(x, (2, 2), strides=(2, 2))
    return pooled


def _forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    height, width = x.shape[-3] // 2 * 2, x.shape[-2] // 2 * 2
    corners = [x[..., row:height:2, column:width:2, :] for row in (0, 1) for column in (0, 1)]
    largest, chosen = corners[0], jnp.zeros(corners[0].shape, jnp.uint8)
    for index, corner in enumerate(corners[1:], start=1):
        # select-and-scatter replaces the maximum only where "kept >= next" fails, as it also does for NaN.
        kept = largest >= corner
        chosen = jnp.where(kept, chosen, jnp.uint8(index))
        largest = jnp.where(kept, largest, corner)
    first, second, third, fourth = corners
    y = jnp.maximum(jnp.maximum(first, second), jnp.maximum(third, fourth))  # unlike `largest`, keeps NaN
    # The empty array carries x's shape to the backward pass without keeping x.
    return y, (chosen, jnp.zeros((0, *x.shape), x.dtype))


def _backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    chosen, like_x = residuals
    *batch, rows, columns, channels = gradient.shape

    def spread(array: jax.Array) -> jax.Array:
        return jnp.broadcast_to(array[..., :, None, :, None, :], (*batch, rows, 2, columns, 2, channels))

    corner = jnp.arange(4, dtype=jnp.uint8).reshape(*(1 for _ in batch), 1, 2, 1, 2, 1)
    full = jnp.where(spread(chosen) == corner, spread(gradient), 0)
    full = full.reshape(*batch, rows * 2, columns * 2, channels)
    rest = [(0, size - done) for size, done in zip(like_x.shape[1:], full.shape, strict=True)]
    return (jnp.pad(full, rest),)


max_pool.defvjp(_forward, _backward)
