"""Parameter names as reports and snapshots write them: nested mappings as one, joined by "/".

flat_names({"conv1": {"kernel": k}})   # {"conv1/kernel": k}
"""

from collections.abc import Mapping
from typing import Any


def flat_names(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Leaf name -> leaf, in the order of the mappings; keys that are numbers (of lists) become text."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found.update(flat_names(value, f"{prefix}{name}/"))
        else:
            found[f"{prefix}{name}"] = value
    return found
