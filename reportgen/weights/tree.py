"""Parameter trees as the readers give them: nested dictionaries of names, arrays at the ends.

tree = nest({"conv1/kernel": kernel, "conv1/bias": bias})   # {"conv1": {"kernel": ..., "bias": ...}}
flat = flatten(tree)                                        # and back

The ends are arrays, or `Stored` ones that are read when they are asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.errors import WeightsError

Tree = dict[str, Any]
MAX_DEPTH = 64


@dataclass(frozen=True, eq=False)
class Stored:
    """An array that still lies in its checkpoint: np.asarray(stored) reads it, or raises WeightsError."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], np.ndarray]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(), dtype)


def split_name(name: str) -> tuple[str, ...]:
    """The parts of a flat name: at "/", and where there is none, at "." ("conv1.weight")."""
    return tuple(name.split("/" if "/" in name else "."))


def nest(flat: Mapping[str, Any]) -> Tree:
    """The tree of flat names (see `split_name`), as `nest_parts` makes it of their parts."""
    parts: dict[tuple[str, ...], Any] = {}
    for name, array in flat.items():
        path = split_name(name)
        if path in parts:
            raise WeightsError(f"entry {name!r} is there twice, under two spellings", code="W108")
        parts[path] = array
    return nest_parts(parts)


def nest_parts(flat: Mapping[tuple[str, ...], Any]) -> Tree:
    """The tree of paths. Raises WeightsError for an empty part, over 64, or a path that is both array and folder."""
    tree: Tree = {}
    for path, array in flat.items():
        name = "/".join(path)
        if not path or "" in path or len(path) > MAX_DEPTH:
            raise WeightsError(f"entry {name[:80]!r} is not a name of parts joined by / or .", code="W108")
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise WeightsError(f"entry {name!r} lies within {part!r}, which is an array itself", code="W108")
        if path[-1] in node:
            raise WeightsError(
                f"entry {name!r} is there twice, as an array and as a folder or under two spellings", code="W108"
            )
        node[path[-1]] = array
    return tree


def flatten(tree: Mapping[Any, Any], depth: int = 0) -> dict[tuple[Any, ...], Any]:
    """Path of keys -> leaf, in the tree's order; empty dictionaries hold nothing and leave nothing.

    Raises WeightsError for a tree deeper than 64.
    """
    if depth > MAX_DEPTH:
        raise WeightsError(f"the tree is nested more than {MAX_DEPTH} deep", code="W108")
    flat: dict[tuple[Any, ...], Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update({(key, *path): leaf for path, leaf in flatten(value, depth + 1).items()})
        else:
            flat[(key,)] = value
    return flat


def arrays_of(tree: Mapping[str, Any]) -> Tree:
    """The tree with every array read."""
    return {k: arrays_of(v) if isinstance(v, Mapping) else np.asarray(v) for k, v in tree.items()}


def as_tree(value: Any, where: str = "", depth: int = 0) -> Tree:
    """A tree of dictionaries and arrays from what serialisers give: also lists, numbers and None.

    Keys become strings, lists dictionaries of "0", "1", ...; numbers become arrays without axes; None
    (an empty slot of an optimizer), text and empty containers hold no weights and are left out. Raises
    WeightsError, naming the place, for anything else: bytes, objects, arrays of them.
    """
    if depth > MAX_DEPTH:
        raise WeightsError(f"the tree is nested more than {MAX_DEPTH} deep", code="W108")
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        raise WeightsError(f"{where or 'the whole'} is {type(value).__name__}, not a tree of arrays", code="W109")
    tree: Tree = {}
    for key, leaf in value.items():
        name, place = str(key), f"{where}/{key}".lstrip("/")
        if name in tree:
            raise WeightsError(f"{place} is there twice", code="W108")
        if leaf is None or isinstance(leaf, str):
            continue
        if isinstance(leaf, Mapping | list | tuple):
            branch = as_tree(leaf, place, depth + 1)
            if branch:
                tree[name] = branch
        else:
            tree[name] = as_array(leaf, place)
    return tree


def as_array(leaf: Any, place: str) -> np.ndarray:
    """The leaf as an array of numbers; WeightsError, naming `place`, where it is none."""
    if not isinstance(leaf, np.ndarray | np.generic | bool | int | float | complex):
        raise WeightsError(f"{place} is {type(leaf).__name__}, not an array of numbers", code="W109")
    array = np.asarray(leaf)
    check_numbers(array.dtype, place)
    return array


def check_numbers(dtype: np.dtype[Any], place: str) -> None:
    """Raise WeightsError, naming `place`, for a dtype of anything but numbers."""
    # ml_dtypes' bfloat16 and the like are of kind V or f, raw bytes and records of type numpy.void.
    if dtype.kind not in "biufcV" or dtype.type is np.void:
        raise WeightsError(f"{place} is an array of {dtype}, not of numbers", code="W109")
