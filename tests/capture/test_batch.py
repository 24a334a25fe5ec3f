"""Where the images are in a value: against values whose rows are known."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reportgen.capture import prepare, verify
from reportgen.capture.batch import ImageAxis, as_computed, counts_slower, image_axes, images_first
from reportgen.errors import ModelError
from tests.architectures.variables import variables_for


def test_the_axis_that_grows_with_the_images():
    few = {"first": (2, 5), "second": (3, 2, 4), "windows": (8, 4), "none": (4, 4), "both": (2, 2), "odd": (3, 4)}
    more = {"first": (3, 5), "second": (3, 3, 4), "windows": (12, 4), "none": (4, 4), "both": (3, 3), "odd": (4, 4)}
    found, unclear = image_axes(few, more)
    assert found == {"first": ImageAxis(0), "second": ImageAxis(1), "windows": ImageAxis(0, 4)}
    assert set(unclear) == {"none", "both", "odd"}
    assert unclear["none"] == ("it has no axis that counts the images: its shape is [4, 4] for 2 images, [4, 4] for 3")


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_images_first_gives_every_image_its_values(axis, outer):
    images, positions = 3, 4
    number = np.arange(images * positions)
    image_of = number // positions if outer else number % images
    position_of = number % positions if outer else number // images
    shape = [2, 5]
    shape.insert(axis, images * positions)
    value = np.zeros(shape, int)
    moved = np.moveaxis(value, axis, -1)
    moved[...] = 100 * image_of + position_of
    where = ImageAxis(axis, positions, outer)
    found = np.asarray(images_first(value, where, images))
    assert found.shape[0] == images
    for image in range(images):
        expected = np.broadcast_to(100 * image + np.arange(positions), (2, 5, positions))
        np.testing.assert_array_equal(np.moveaxis(found[image], axis, -1), expected)
    np.testing.assert_array_equal(as_computed(found, where), value)


def test_values_tell_which_counts_slower():
    where = ImageAxis(0, 3)
    before, after = np.zeros((6, 2)), np.zeros((6, 2))
    after[3:] = 1
    assert counts_slower(before, after, where) is True
    after[:] = 0
    after[1::2] = 1
    assert counts_slower(before, after, where) is False
    assert counts_slower(before, before, where) is None
    assert counts_slower(before, before + 1, where) is None


@pytest.mark.parametrize("outer", [True, False])
def test_windows_that_share_an_axis_with_the_images(outer):
    class Windows(nn.Module):
        @nn.compact
        def __call__(self, x):
            parts = x.reshape(len(x), 3, 2)
            rows = parts.reshape(-1, 2) if outer else parts.transpose(1, 0, 2).reshape(-1, 2)
            rows = nn.Dense(4, name="each")(rows)
            rows = rows.reshape(len(x), 3, 4) if outer else rows.reshape(3, len(x), 4).transpose(1, 0, 2)
            return nn.Dense(2, name="end")(rows.sum(1))

    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    variables = variables_for(Windows(), x)
    capture = prepare(Windows(), variables, x)
    _, values = jax.jit(capture)(variables, x)
    kernel, bias = variables["params"]["each"]["kernel"], variables["params"]["each"]["bias"]
    np.testing.assert_allclose(values["each"], x.reshape(5, 3, 2) @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert verify(Windows(), variables, x)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_model_that_takes_an_even_or_a_fixed_number_of_examples_is_refused(fixed):
    def model(params, x):
        return x @ params + jnp.ones((4, 1)) if fixed else (x @ params).reshape(len(x) // 2, 2, 2)

    with pytest.raises(ModelError, match="the model takes 4 examples at once, but not 2 or not 3"):
        prepare(model, np.ones((8, 2), np.float32), np.ones((4, 8), np.float32))
