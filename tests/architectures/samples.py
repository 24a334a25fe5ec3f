"""What the registry has of an architecture, and inputs for it.

Example(model, pictures(), classes=5)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np


class Example(NamedTuple):
    """A model with inputs for it.

    `classes` is how many its output scores, 0 for a network that answers something else. With `spread`, `inputs`
    is the tuple of the arguments that it is called with; else it is the only one.
    """

    model: Any
    inputs: Any
    classes: int = 0
    spread: bool = False

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the model is called with."""
        return self.inputs if self.spread else (self.inputs,)

    @property
    def apply(self) -> Callable[[Any, Any, Any], Any] | None:
        """As `prepare` takes it; None where the default does."""
        if not self.spread:
            return None
        if isinstance(self.model, nn.Module):
            return lambda model, variables, inputs: model.apply(variables, *inputs)
        return lambda model, variables, inputs: model(*inputs)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def pictures(side: int = 8, channels: int = 3, count: int = 3) -> np.ndarray:
    return numbers(count, side, side, channels)


def tokens(words: int, length: int, count: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, words, (count, length)).astype(np.int32)
