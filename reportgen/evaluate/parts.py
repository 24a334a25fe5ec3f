"""Parts of a network's inputs and outputs by name: its outputs, the tokens, where masks leave positions.

tokens = token_leaf(leaves(inputs))
"""

import functools
import operator
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from reportgen.core.examples import is_mask

Shape = tuple[int, ...]


def named_leaves(tree: Any) -> dict[str, Any]:
    """Place in a model's output, which may be any tree -> array: as `core.examples.leaves` has the inputs'."""
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(_key(part) for part in path): leaf for path, leaf in found}


def _key(part: Any) -> str:
    return str(getattr(part, "key", getattr(part, "idx", getattr(part, "name", part))))


def token_leaf(inputs: Mapping[str, Any]) -> Any | None:
    """The one array of whole numbers [example, time] among the inputs that is no mask; None without one."""
    found = [
        leaf
        for name, leaf in inputs.items()
        if leaf.ndim == 2 and np.issubdtype(leaf.dtype, np.integer) and not is_mask(name)
    ]
    named = [leaf for name, leaf in inputs.items() if name.rpartition("/")[2] in ("tokens", "input_ids", "ids")]
    candidates = named if len(named) == 1 else found
    return candidates[0] if len(candidates) == 1 and candidates[0].ndim == 2 else None


def unmasked(inputs: Mapping[str, Any], shape: Shape) -> Any:
    """[example, time]: where every mask among the inputs is not 0; everywhere without one. NumPy's for NumPy's."""
    masks = [leaf.astype(bool) for name, leaf in inputs.items() if is_mask(name) and leaf.shape == shape]
    return functools.reduce(operator.and_, masks, np.ones(shape, bool))


def like_an_input(inputs: Mapping[str, Any], shape: Shape) -> Any | None:
    """The one input of real numbers that has this shape."""
    found = [leaf for leaf in inputs.values() if leaf.shape == shape and np.issubdtype(leaf.dtype, np.floating)]
    return found[0] if len(found) == 1 else None
