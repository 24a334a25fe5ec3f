"""A network as the report sees it: its layers in call order, with their roles and edges.

    run.network.layers["conv1"].role              # Role.CONV
    run.network.activation_of(layer)              # the layer of conv1's relu
    run.network.select(("conv*", "fire6/*"))

Roles and axes are set once, when the network is captured; sections choose layers by these, never by part of a
name.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeVar

from reportgen.errors import warn

Array = TypeVar("Array", bound=Any)
"""An array of NumPy's or JAX's."""

Axis = Literal["t", "z", "y", "x", "head", "query", "key", "channel", "?"]
"""The meaning of an axis of a layer's output: positions in a sequence (t) or in space (z, y, x), heads, the
queries and keys of attention weights, channels or units; "?" where it could not be inferred."""

MAPS: tuple[Axis, ...] = ("y", "x", "channel")
"""The axes of a stack of 2-D feature maps."""

ATTENTION: tuple[Axis, ...] = ("head", "query", "key")
"""The axes of attention weights."""

BY_HEAD: tuple[Axis, ...] = ("head", "channel")
"""The last axes of what has channels for each head."""

INPUT = "@input"
"""Stands in `Layer.inputs` for the network's own input."""


class Role(StrEnum):
    """What a layer does, independent of the framework's name for it."""

    CONV = "conv"
    DENSE = "dense"
    NORM = "norm"
    ACTIVATION = "activation"
    POOL = "pool"
    ATTENTION = "attention"
    EMBEDDING = "embedding"
    DROPOUT = "dropout"
    RESHAPE = "reshape"
    JOIN = "join"
    BLOCK = "block"
    OTHER = "other"


PASSING = (Role.POOL, Role.RESHAPE, Role.DROPOUT, Role.JOIN)
"""Roles of layers that pass on the values of others: a dead channel in one died in an earlier layer."""


@dataclass(frozen=True)
class ReceptiveField:
    """The part of the image that a unit's value depends on, from the operations' windows.

    The unit in row y and column x of a feature map sees `height` rows from top + y * step_y, and columns
    likewise; parts outside the image are padding. Steps of 0: all units see the same.
    """

    height: int
    width: int
    step_y: int
    step_x: int
    top: int
    left: int

    def seen(self, y: int, x: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """((first row, last row), (first column, last column)), including parts outside the image."""
        top, left = self.top + y * self.step_y, self.left + x * self.step_x
        return (top, top + self.height - 1), (left, left + self.width - 1)

    def centre(self, y: int, x: int) -> tuple[float, float]:
        """Row and column of the field's centre."""
        (top, bottom), (left, right) = self.seen(y, x)
        return (top + bottom) / 2, (left + right) / 2

    def covers(self, height: int, width: int) -> bool:
        """Whether every unit sees the whole of an image of that size."""
        if self.step_y or self.step_x:
            return False
        return self.top <= 0 and self.left <= 0 and self.top + self.height >= height and self.left + self.width >= width


@dataclass(frozen=True)
class Layer:
    """One captured operation of the network: a module's output, or a functional operation's.

    path       unique within the network ("conv1", "Block_0/Conv_1", "conv1/relu", "Dense_0#2")
    op         the module's class or the function's name ("Conv", "relu")
    role       what it does
    shape      of one example's output, without the example axis
    axes       the meaning of each axis of `shape`
    dtype      of the output
    inputs     paths of the captured layers that it reads, in the order of computation, and `INPUT` where it
               reads the network's input; all earlier ones (in a loop, those that its first iteration reads)
    params     its own parameters: name ("conv1/kernel") -> shape
    alias_of   path of an earlier layer with the very same values (dropout in evaluation, a block that ends in
               its own relu): such a layer is listed, and its arrays are stored under the earlier path
    tied_to    path of the earlier call of the same module, whose parameters this one reuses
    field      receptive field of its units, None where unknown
    flops      floating-point operations for one example as counted by XLA, None where unknown
    """

    path: str
    op: str
    role: Role
    shape: tuple[int, ...]
    axes: tuple[Axis, ...] = ()
    dtype: str = "float32"
    inputs: tuple[str, ...] = ()
    params: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    alias_of: str | None = None
    tied_to: str | None = None
    field: ReceptiveField | None = None
    flops: int | None = None

    @property
    def has_maps(self) -> bool:
        """Whether one example's output is a stack of 2-D feature maps, [height, width, channel]."""
        return self.axes == MAPS

    @property
    def has_attention(self) -> bool:
        """Whether one example's output is the weights of an attention, [head, query, key]."""
        return self.axes == ATTENTION

    @property
    def head_channels(self) -> int | None:
        """Channels of each head where the last axes are heads and their channels, [..., head, channel]."""
        return self.shape[-1] if self.axes[-2:] == BY_HEAD else None

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes of the axes before the channels."""
        return self.shape[: -1 if self.head_channels is None else -2]

    @property
    def channels(self) -> int:
        """Size of the last axis, and where heads stand before it, of all heads' together; 1 for a scalar output."""
        return math.prod(self.shape[len(self.positions) :])

    def by_channel(self, values: Array) -> Array:
        """Values [..., *shape] as [..., *positions, channel], the channels of one head after those of another.

        A scalar output's are left as they are, [...].
        """
        if self.head_channels is None:
            return values
        shaped: Array = values.reshape(*values.shape[:-2], self.channels)
        return shaped

    @property
    def parameters(self) -> int:
        """Number of values in its own parameters."""
        return sum(math.prod(shape) for shape in self.params.values())

    @property
    def kind(self) -> str:
        """Deprecated: `op`."""
        warn("Layer.kind is called Layer.op now", DeprecationWarning, code="N101")
        return self.op

    @property
    def reads(self) -> str | None:
        """The only captured layer that it reads; None if it reads several, or the network's input."""
        return self.inputs[0] if len(self.inputs) == 1 and self.inputs[0] != INPUT else None


@dataclass(frozen=True)
class Network:
    """A network's layers by path, in call order; `uncaptured` maps each uncaptured part to the reason."""

    name: str
    layers: Mapping[str, Layer]
    uncaptured: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def distinct(self) -> tuple[Layer, ...]:
        """The layers that are no aliases, in call order."""
        return tuple(layer for layer in self.layers.values() if layer.alias_of is None)

    def select(self, patterns: Sequence[str]) -> tuple[Layer, ...]:
        """The layers whose path is one of the patterns, or matches it as a glob, in call order."""
        wanted = self.separate(patterns)
        return tuple(x for x in self.layers.values() if any(matches(x.path, pattern) for pattern in wanted))

    def separate(self, patterns: Sequence[str]) -> list[str]:
        """The patterns, those with commas as several unless a layer has that very path."""
        parted = [[each] if each in self.layers else each.split(",") for each in patterns]
        return [part if part in self.layers else part.strip() for parts in parted for part in parts if part.strip()]

    def activation_of(self, layer: Layer) -> Layer | None:
        """The activation function applied to the layer's values; None for a layer without one.

        The first layer of role `ACTIVATION` with the same number of channels that reads the layer, directly
        or through normalisation, pooling and dropout.
        """
        reached = {layer.path}
        for later in self.layers.values():
            if later.alias_of in reached:  # dropout in evaluation
                reached.add(later.path)
            elif later.reads in reached and later.path not in reached:
                if later.role is Role.ACTIVATION and later.channels == layer.channels:
                    return later
                if later.role in (Role.NORM, Role.POOL, Role.DROPOUT):
                    reached.add(later.path)
        return None


def matches(path: str, pattern: str) -> bool:
    """Whether a path is the pattern itself, as it is shown, or matches it as a glob: brackets may stand in paths."""
    return path == pattern or fnmatchcase(path, pattern)


def is_kernel(name: str, shape: Sequence[int]) -> bool:
    """Whether a parameter of this name and shape is a kernel: two axes or more, and no bias (those of attention have
    an axis of heads)."""
    return len(shape) >= 2 and name.rpartition("/")[2] != "bias"


_OPS: Mapping[Role, tuple[str, ...]] = {
    Role.CONV: ("Conv", "ConvLocal", "ConvTranspose"),
    Role.DENSE: ("Dense", "DenseGeneral", "Einsum", "Linear", "LinearGeneral"),
    Role.NORM: ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "standardize", "normalize"),
    Role.ACTIVATION: (
        *("relu", "relu6", "silu", "swish", "elu", "selu", "celu", "leaky_relu", "gelu", "glu", "softplus", "mish"),
        *("soft_sign", "squareplus", "sparse_plus", "sigmoid", "log_sigmoid", "sparse_sigmoid", "hard_sigmoid"),
        *("hard_tanh", "hard_silu", "hard_swish", "softmax", "log_softmax", "tanh", "PReLU"),
        *("squared_relu", "quick_gelu", "soft_cap", "clip", "sin", "cos", "exp", "abs", "square", "sign", "round"),
        *("floor", "step"),
    ),
    Role.POOL: ("max_pool", "min_pool", "avg_pool", "mean", "max", "min", "sum"),
    Role.ATTENTION: ("MultiHeadAttention", "MultiHeadDotProductAttention", "SelfAttention", "attention_weights"),
    Role.EMBEDDING: ("Embed",),
    Role.DROPOUT: ("Dropout",),
    Role.RESHAPE: ("flatten", "reshape", "stack", "resize", "repeat", "tile"),
    Role.JOIN: ("concatenate", "add", "sub", "mul", "div", "where", "maximum", "minimum"),
}
_ROLE_OF = {op: role for role, ops in _OPS.items() for op in ops}


def role_of(op: str, own: bool = False) -> Role:
    """The role of a Flax module or functional operation, by its name; `own` for a user's own module."""
    return Role.BLOCK if own else _ROLE_OF.get(op, Role.OTHER)
