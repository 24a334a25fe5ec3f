"""What a forward pass with its module calls looks like, for Linen and NNX alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call of one module, in the order in which calls ended.

    `path` is the module's in the model, () for the model itself; `index` counts the calls of the same
    module; `value` is what it returned, or None where Flax did not pass it on. `own_params` maps the
    parameters that the module itself holds to their number of elements. `opaque` modules (the library's
    own layers) are not looked into for functional operations.
    """

    path: tuple[str, ...]
    index: int
    kind: str
    value: Any
    own_params: Mapping[str, int]
    opaque: bool
