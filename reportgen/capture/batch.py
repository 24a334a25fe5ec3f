"""Which axis of a captured value counts the images: found by tracing with two and with three of them.

    axes, unclear = image_axes({"Conv_0": (2, 8, 8, 4)}, {"Conv_0": (3, 8, 8, 4)})
    images_first(value, axes["Conv_0"], images=2)      # [2, 8, 8, 4]

A shape alone can't tell: a batch of 100 tokens of width 100. An axis that grows from 2k to 3k holds the
images and k further positions (windows, time steps) in one; which of the two counts faster, only the
values can tell, so the model is run on two batches that differ in one image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

FEW, MORE = 2, 3


@dataclass(frozen=True)
class ImageAxis:
    """Where the images are: `axis`, shared with `positions` others; the images vary more slowly if `outer`.

    `order` are the axes of [image, ...] in the order of the layer's, () for as they are: channels stand last, and
    heads before queries and keys. `heads` are the sizes of the axes that together count the heads, () for at most one.
    """

    axis: int = 0
    positions: int = 1
    outer: bool = True
    order: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()


def image_axes(
    few: Mapping[str, tuple[int, ...]], more: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, ImageAxis], dict[str, str]]:
    """Layer path -> axis, and -> reason where there is none, from its shapes for `FEW` and `MORE` images."""
    axes: dict[str, ImageAxis] = {}
    unclear: dict[str, str] = {}
    for path, shape in few.items():
        larger = more.get(path, ())
        if len(larger) != len(shape):
            unclear[path] = "the model computes it differently for another number of images"
            continue
        differ = [i for i, (a, b) in enumerate(zip(shape, larger, strict=True)) if a != b]
        if len(differ) == 1 and shape[differ[0]] * MORE == larger[differ[0]] * FEW:
            axes[path] = ImageAxis(differ[0], shape[differ[0]] // FEW)
        else:
            unclear[path] = (
                f"it has no axis that counts the images: its shape is {list(shape)} for {FEW} images, "
                f"{list(larger)} for {MORE}"
            )
    return axes, unclear


def images_first(value: Any, where: ImageAxis, images: int) -> Any:
    """The value as [image, *layer.shape]; positions that shared the images' axis get one of their own after it."""
    value = _parted(value, where, images)
    if where.order:
        value = jnp.transpose(value, where.order)
    if where.heads:
        value = value.reshape(value.shape[0], -1, *value.shape[1 + len(where.heads) :])
    return value


def _parted(value: Any, where: ImageAxis, images: int) -> Any:
    if where.positions == 1:
        return value if where.axis == 0 else jnp.moveaxis(value, where.axis, 0)
    split = (images, where.positions) if where.outer else (where.positions, images)
    parted = value.reshape(*value.shape[: where.axis], *split, *value.shape[where.axis + 1 :])
    image_axis = where.axis if where.outer else where.axis + 1
    return jnp.moveaxis(parted, image_axis, 0)


def as_computed(value: Any, where: ImageAxis) -> Any:
    """The inverse of `images_first`."""
    if where.heads:
        value = value.reshape(value.shape[0], *where.heads, *value.shape[2:])
    if where.order:
        value = jnp.transpose(value, [where.order.index(axis) for axis in range(len(where.order))])
    if where.positions == 1:
        return value if where.axis == 0 else jnp.moveaxis(value, 0, where.axis)
    parted = jnp.moveaxis(value, 0, where.axis if where.outer else where.axis + 1)
    shape = parted.shape
    return parted.reshape(*shape[: where.axis], -1, *shape[where.axis + 2 :])


def counts_slower(before: np.ndarray, after: np.ndarray, where: ImageAxis) -> bool | None:
    """Whether the images count slower than the positions on their shared axis; None if undecided.

    `before` and `after` are the values for two images, of which the second was exchanged.
    """
    other = tuple(i for i in range(before.ndim) if i != where.axis)
    same = (before == after) | ((before != before) & (after != after))
    changed = ~same.all(axis=other)
    first_half = np.arange(len(changed)) < where.positions
    even = np.arange(len(changed)) % FEW == 0
    slower = changed.any() and not changed[first_half].any()
    faster = changed.any() and not changed[even].any()
    return None if slower == faster else bool(slower)
