"""Attentions written in the ways that kernels are: none of them holds the weights of all keys as an array.

FUSED["flash"](query, key, value)     # [example, place, head, feature] each; heads may share keys
"""

import jax
import jax.numpy as jnp
from jax.experimental import pallas


def late(query, key, value):
    """Divided by the sum after the values are summed."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / jnp.sqrt(4.0)
    powers = jnp.exp(scores - scores.max(-1, keepdims=True))
    return jnp.einsum("bhqk,bkhd->bqhd", powers, value) / jnp.moveaxis(powers.sum(-1), 1, 2)[..., None]


def grouped(query, key, value):
    """The same for heads that share keys, causal, in powers of 2."""
    examples, places, heads, features = query.shape
    query = query.reshape(examples, places, key.shape[2], -1, features)
    scores = jnp.einsum("bqkgd,bskd->bkgqs", query, key) * (jnp.log2(jnp.e) / 2)
    powers = jnp.exp2(scores - scores.max(-1, keepdims=True))
    powers = jnp.where(jnp.tril(jnp.ones((places, places), bool)), powers, 0)
    total = jnp.moveaxis(powers.sum(-1), 3, 1)[..., None]
    made = jnp.einsum("bkgqs,bskd->bqkgd", powers, value) * (1 / total)
    return made.reshape(examples, places, heads, features)


def online(query, key, value):
    """Over blocks of two keys, with the largest score so far."""
    examples, places, heads, features = query.shape
    blocks = [x.reshape(examples, -1, 2, heads, features).swapaxes(0, 1) for x in (key, value)]

    def block(carry, xs):
        most, total, made = carry
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, xs[0]) / 2
        larger = jnp.maximum(most, scores.max(-1))
        powers, before = jnp.exp(scores - larger[..., None]), jnp.exp(most - larger)
        made = made * before[..., None] + jnp.einsum("bhqk,bkhd->bhqd", powers, xs[1])
        return (larger, total * before + powers.sum(-1), made), None

    shape = (examples, heads, places)
    start = jnp.full(shape, -jnp.inf), jnp.zeros(shape), jnp.zeros((*shape, features))
    (_, total, made), _ = jax.lax.scan(block, start, blocks)
    return jnp.moveaxis(made / total[..., None], 1, 2)


def tiles(query, key, value, rows=3, columns=2):
    """Causal, over blocks of queries and, within, blocks of keys, which are cut out where they are needed."""
    query, key, value = (jnp.moveaxis(x, 1, 2) for x in (query, key, value))
    examples, heads, places, features = query.shape

    def of_queries(row, _):
        cut = jax.lax.dynamic_slice(query, (0, 0, row, 0), (examples, heads, rows, features))

        def of_keys(carry, _):
            column, most, total, made = carry
            size = (examples, heads, columns, features)
            k, v = (jax.lax.dynamic_slice(x, (0, 0, column, 0), size) for x in (key, value))
            scores = jnp.einsum("bhqd,bhkd->bhqk", cut / 2, k)
            seen = (row + jnp.arange(rows))[:, None] >= (column + jnp.arange(columns))[None]
            scores = jnp.where(seen, scores, -1e10)
            larger = jnp.maximum(most, scores.max(-1, keepdims=True))
            powers, before = jnp.exp(scores - larger), jnp.exp(most - larger)
            made = made * before + jnp.einsum("bhqk,bhkd->bhqd", powers, v)
            return (column + columns, larger, total * before + powers.sum(-1, keepdims=True), made), None

        zeros = jnp.zeros((examples, heads, rows, 1))
        start = 0, zeros - 1e10, zeros, jnp.zeros((examples, heads, rows, features))
        (_, _, total, made), _ = jax.lax.scan(of_keys, start, None, length=places // columns)
        return row + rows, made / total

    _, made = jax.lax.scan(of_queries, 0, None, length=places // rows)
    return jnp.moveaxis(jnp.moveaxis(made, 0, 2).reshape(query.shape), 2, 1)


def with_own_derivative(attention):
    function = jax.custom_vjp(lambda *inputs: attention(*inputs))
    function.defvjp(lambda *x: (attention(*x), x), lambda x, g: jax.vjp(attention, *x)[1](g))
    return function


def kernel(query, key, value):
    """One kernel per example and head."""

    def attend(q, k, v, made):
        scores = q[...] @ k[...].T / 2
        powers = jnp.exp(scores - scores.max(-1, keepdims=True))
        made[...] = (powers @ v[...]) / powers.sum(-1, keepdims=True)

    examples, places, heads, _ = query.shape
    block = pallas.BlockSpec((None, places, None, query.shape[-1]), lambda example, head: (example, 0, head, 0))
    shape = jax.ShapeDtypeStruct(query.shape, query.dtype)
    call = pallas.pallas_call(
        attend, grid=(examples, heads), in_specs=[block] * 3, out_specs=block, out_shape=shape, interpret=True
    )
    return call(query, key, value)


def vmapped(query, key, value):
    """Written for one example and one head."""

    def one(query, key, value):
        powers = jnp.exp(query @ key.T / 2)
        return (powers @ value) / powers.sum(-1, keepdims=True)

    return jax.vmap(jax.vmap(one, in_axes=1, out_axes=1))(query, key, value)


CAUSAL = ("grouped", "tiles", "flash")
FUSED = {
    **{"late": late, "grouped": grouped, "online": online, "tiles": tiles, "kernel": kernel, "vmapped": vmapped},
    "flash": with_own_derivative(tiles),
}
