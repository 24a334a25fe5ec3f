"""Receptive fields against brute force: which pixels change which values."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture.fields import receptive_fields
from reportgen.models.pool import max_pool

SIZE = 14


def positive(*_arguments, **_options):
    """An initializer of positive weights: every pixel that is seen makes a difference."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, 0.5, 1.0)


def conv(features=2, size=(3, 3), **options):
    return nn.Conv(features, size, kernel_init=positive(), **options)


class Net(nn.Module):
    make: object

    @nn.compact
    def __call__(self, x):
        return self.make(x)


LATTICES = {
    "one convolution, valid": lambda x: conv(padding="VALID")(x),
    "same padding": lambda x: conv()(conv()(x)),
    "strides of two kinds": lambda x: conv(strides=(2, 1), padding="VALID")(conv(padding="VALID", strides=(1, 3))(x)),
    "dilation": lambda x: conv(kernel_dilation=(2, 3), padding="VALID")(conv()(x)),
    "own padding": lambda x: conv(padding=((2, 0), (1, 3)))(x),
    "max pooling of odd windows": lambda x: nn.max_pool(nn.relu(conv()(x)), (3, 2), (2, 2)),
    "average pooling, padded": lambda x: nn.avg_pool(conv()(x), (3, 3), (2, 2), padding="SAME"),
    "pooling by slices": lambda x: max_pool(conv(size=(5, 5), padding="VALID")(x)),
    "compiled inside": lambda x: jax.jit(lambda y: jnp.tanh(y / 1e4))(conv()(x)),
    "two branches": lambda x: jnp.concatenate([conv(size=(1, 1))(x), conv(size=(5, 3))(x)], axis=-1),
    "residual": lambda x: conv()(x) + x.sum(-1, keepdims=True),
    "grouped": lambda x: conv(4, feature_group_count=2)(conv(4)(x)),
    "dense over channels": lambda x: nn.Dense(3, kernel_init=positive())(conv()(x)),
    "layer norm over channels": lambda x: conv()(nn.LayerNorm()(conv(7)(x))),
    "cropped": lambda x: conv(padding="VALID")(x[:, 2:-1, 1:]),
    "padded by hand": lambda x: conv(padding="VALID")(jnp.pad(x, ((0, 0), (2, 1), (0, 3), (0, 0)))),
    "transposed": lambda x: conv(size=(1, 3), padding="VALID")(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3),
    "every second position": lambda x: conv(padding="VALID")(x)[:, ::2, 1::3],
    "split and added": lambda x: sum(jnp.split(conv(4)(x), 2, axis=-1)),
    "global mean": lambda x: conv()(x).mean((1, 2), keepdims=True) * jnp.ones((1, 3, 4, 1)),
    "squeeze and excite": lambda x: conv()(x) * conv()(x).mean((1, 2), keepdims=True),
    "dense after flattening": lambda x: nn.Dense(4, kernel_init=positive())(x.reshape(len(x), -1))[:, None, None],
}


def fields_of(make, shape=(2, SIZE, SIZE, 2)):
    images = jnp.ones(shape)
    net = Net(make)
    variables = net.init(jax.random.key(0), images)
    return net, variables, field_of(lambda x: net.apply(variables, x), images)


def field_of(function, images):
    jaxpr = jax.make_jaxpr(function)(images).jaxpr
    return receptive_fields(jaxpr.eqns, jaxpr.invars, {"output": jaxpr.outvars[0]})["output"]


@pytest.mark.parametrize("name", LATTICES)
def test_a_unit_sees_exactly_the_pixels_that_change_it(name):
    net, variables, field = fields_of(LATTICES[name])
    assert field is not None
    base = np.random.default_rng(0).uniform(1, 2, (1, SIZE, SIZE, 2)).astype(np.float32)
    # One image per pixel, with that pixel changed.
    images = np.repeat(base, SIZE * SIZE, axis=0)
    for pixel in range(SIZE * SIZE):
        images[pixel, pixel // SIZE, pixel % SIZE] += (300, 500)
    run = jax.jit(lambda x: net.apply(variables, x))
    output, before = np.asarray(run(images)), np.asarray(run(np.repeat(base, len(images), axis=0)))
    changed = (np.abs(output - before) > 1e-6).any(axis=-1).reshape(SIZE, SIZE, *output.shape[1:3])
    for y in range(output.shape[1]):
        for x in range(output.shape[2]):
            (top, bottom), (left, right) = field.seen(y, x)
            expected = np.zeros((SIZE, SIZE), bool)
            expected[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
            assert np.array_equal(changed[:, :, y, x], expected), (name, y, x)


NO_LATTICE = {
    "flattened": lambda x: x.reshape(len(x), -1),
    "transposed convolution": lambda x: nn.ConvTranspose(2, (3, 3), strides=(2, 2))(x),
    "upsampled": lambda x: jnp.repeat(x, 2, axis=1),
    "turned round": lambda x: x[:, ::-1],
    "tokens": lambda x: conv(size=(7, 7), strides=(7, 7))(x).reshape(len(x), 4, 2),
    "sorted by row": lambda x: jnp.sort(x, axis=1),
}


@pytest.mark.parametrize("name", NO_LATTICE)
def test_what_forms_no_lattice_is_not_known(name):
    assert fields_of(NO_LATTICE[name])[2] is None


def test_attention_over_tokens_sees_the_whole_image():
    def make(x):
        tokens = conv(4, size=(7, 7), strides=(7, 7), padding="VALID")(x).reshape(len(x), 4, 4)
        mixed = jax.nn.softmax(tokens @ tokens.swapaxes(1, 2)) @ tokens
        return mixed.mean(axis=1)

    field = fields_of(make)[2]
    assert field is not None and field.covers(SIZE, SIZE)
    assert not field.covers(SIZE + 1, SIZE)


def test_an_output_that_depends_on_no_image_has_no_field():
    assert field_of(lambda x: jnp.ones((2, 3, 3, 1)), jnp.ones((2, 4, 4, 1))) is None
