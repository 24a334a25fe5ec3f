"""Parameter names as reports and snapshots write them: nested containers as one, joined by "/".

flat_names({"conv1": {"kernel": k}})   # {"conv1/kernel": k}
"""

from collections.abc import Mapping
from typing import Any

import jax
from flax.core.meta import AxisMetadata


def flat_names(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Leaf name -> leaf, in the order of the mappings; places in lists and fields of classes become text.

    Flax's boxes, which say how an array is to be sharded, are taken off.
    """
    if isinstance(tree, Mapping):
        named: dict[str, Any] = {}
        for name, value in tree.items():
            named.update(flat_names(value, f"{prefix}{name}/"))
        return named
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    if isinstance(tree, AxisMetadata):
        return {prefix.rstrip("/"): value for _, value in leaves}
    return {(prefix + jax.tree_util.keystr(path, simple=True, separator="/")).rstrip("/"): x for path, x in leaves}
