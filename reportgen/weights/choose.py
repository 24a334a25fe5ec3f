"""Where in a checkpoint the model's weights lie: found by names and shapes, never guessed.

    placed = place(arrays, wanted, key=None, source="step 200")
    placed.arrays[("params", "conv1", "kernel")]      # under the model's names

A training saves more than parameters: the optimizer's moments, which have their shapes, averages of them, random
streams. Where several trees fit, one has to be named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.errors import WeightsError, choices
from reportgen.weights.tree import split_name

Path = tuple[str, ...]
Arrays = dict[Path, Any]

OPTIMIZER = frozenset({"opt", "opt_state", "optim", "optimizer", "optimizer_state", "tx_state"})
"""Branches of a checkpoint that hold an optimizer's state: never taken for the weights unless named."""


@dataclass(frozen=True)
class Placed:
    """`arrays` by the model's names, those too that the model lacks; `key` is the branch that they were found in."""

    arrays: Arrays
    key: Path


def place(arrays: Mapping[Path, Any], wanted: Mapping[Path, Any], key: str | None, source: str) -> Placed:
    """The arrays of the one tree that fits `wanted` (path -> leaf with shape and dtype), or fits it best.

    `wanted` may be bare parameters, or collections ("params", "batch_stats", ...). `key` names the branch; its last
    parts suffice. Left aside are an optimizer's state, random streams and, beside a branch "params", what else was
    saved. Raises WeightsError where several trees fit, where one fits beside others that would be passed over in
    silence, and for a key that no fitting branch has; the choices are named.
    """
    wrapped = any(path[0] == "params" for path in wanted)
    tails = {path[1:] if wrapped else path: leaf for path, leaf in wanted.items() if not wrapped or path[0] == "params"}
    arrays = without_streams(arrays)
    found = _matches(arrays, tails)
    whole = [
        at
        for at, paths in found.items()
        if all(tail in paths and fits(arrays[paths[tail]], tails[tail]) for tail in tails)
    ]
    at = _named(split_name(key), whole, found, source) if key else _only(arrays, whole, found, source)
    root: Path = ("params",) if wrapped else ()
    placed = {(*root, *path[len(at) :]): leaf for path, leaf in arrays.items() if path[: len(at)] == at}
    if not at:
        placed = {path: leaf for path, leaf in placed.items() if not OPTIMIZER & set(path)}
    for tail, path in found.get(at, {}).items():
        placed[(*root, *tail)] = placed.pop((*root, *path[len(at) :]))
    if wrapped:
        for kind in dict.fromkeys(path[0] for path in wanted if path[0] != "params"):
            _place_collection(kind, arrays, wanted, at, placed, source)
    return Placed(placed, at)


def _matches(arrays: Mapping[Path, Any], tails: Mapping[Path, Any]) -> dict[Path, dict[Path, Path]]:
    """Branch -> the wanted tails in it -> the path of each, which may have a last part "value" (`nnx.State`)."""
    found: dict[Path, dict[Path, Path]] = {}
    for path in arrays:
        for bare in (path, path[:-1]) if path[-1] == "value" else (path,):
            for cut in range(len(bare)):
                if bare[cut:] in tails:
                    found.setdefault(bare[:cut], {}).setdefault(bare[cut:], path)
    return found


def _only(arrays: Mapping[Path, Any], whole: list[Path], found: Mapping[Path, Any], source: str) -> Path:
    whole = [at for at in whole if not OPTIMIZER & set(at)]
    rest = {at: paths for at, paths in found.items() if not OPTIMIZER & set(at)}
    rivals = [at for at in rest if at[-1:] == ("params",) and at not in whole]
    if len(whole) > 1 or (len(whole) == 1 and rivals and whole[0][-1:] != ("params",)):
        listed = ", ".join(_text(at) for at in (*whole, *rivals))
        fit = "fit the model" if not rivals else "fit the model whole or in part"
        raise WeightsError(
            f"{source}: several trees {fit}: {listed}; name one of them (--key {_text(whole[0])})", code="W104"
        )
    if not whole:
        # The one that fits best, whose differences are then named.
        return max(rest, key=lambda at: (len(rest[at]), at[-1:] == ("params",)), default=_wrapper(arrays))
    (at,) = whole
    beside = at[:-1] if at[-1:] == ("params",) else at
    others = dict.fromkeys(
        "/".join(path[: len(beside)])
        for path, leaf in arrays.items()
        if path[: len(beside)] != beside and not OPTIMIZER & set(path) and np.ndim(leaf)
    )
    if others:
        raise WeightsError(
            f"{source}: {_text(at)} fits the model, and lies beside {', '.join(list(others)[:6])}, which it lacks; "
            f"name it (--key {_text(at)}) if it is the right one",
            code="W104",
        )
    return at


def _wrapper(arrays: Mapping[Path, Any]) -> Path:
    return ("params",) if any(path[0] == "params" for path in arrays) else ()


def _named(key: Path, whole: list[Path], found: Mapping[Path, Any], source: str) -> Path:
    def is_named(at: Path) -> bool:
        return at[-len(key) :] == key or (at[-1:] == ("params",) and at[:-1][-len(key) :] == key)

    chosen = [at for at in whole if is_named(at)] or sorted(filter(is_named, found), key=lambda at: -len(found[at]))[:1]
    if len(chosen) > 1:
        listed = ", ".join(map(_text, chosen))
        raise WeightsError(
            f"{source}: --key {'/'.join(key)} names several trees: {listed}; give all of the one's name", code="W104"
        )
    if not chosen:
        listed = choices("/".join(key), map(_text, whole))
        raise WeightsError(f"{source}: no tree {'/'.join(key)} in it fits the model; {listed}", code="W104")
    return chosen[0]


def _place_collection(
    kind: str, arrays: Mapping[Path, Any], wanted: Mapping[Path, Any], at: Path, placed: Arrays, source: str
) -> None:
    """Put a collection beside the parameters: the nearest branch of its name, or within them, as `nnx.State` has it."""
    tails = {path: leaf for path, leaf in wanted.items() if path[0] == kind}
    found = {place: paths for place, paths in _matches(arrays, tails).items() if not OPTIMIZER & set(place)}
    near = {place: sum(place[:n] == at[:n] for n in range(1, len(place) + 1)) for place in found}
    nearest = [place for place in found if near[place] == max(near.values())]
    best = [place for place in nearest if len(found[place]) == max(len(found[p]) for p in nearest)]
    if len(best) > 1:
        listed = ", ".join(_text((*place, kind)) for place in best)
        raise WeightsError(
            f"{source}: several trees may be the model's {kind}: {listed}; rename those that are not", code="W104"
        )
    for place in best:
        beside = {path: leaf for path, leaf in arrays.items() if path[: len(place) + 1] == (*place, kind)}
        for path, leaf in beside.items():
            if path[: len(at)] == at:
                del placed[("params", *path[len(at) :])]
            placed[path[len(place) :]] = leaf
        for tail, path in found[place].items():
            placed.pop(path[len(place) :])
            placed[tail] = arrays[path]
    if not best:
        for path in tails:
            inside = ("params", *path[1:])
            held = inside if inside in placed else (*inside, "value")
            if held in placed and inside not in wanted:
                placed[path] = placed.pop(held)


def without_streams(arrays: Mapping[Path, Any]) -> Arrays:
    """The arrays but for random streams: a key and a count side by side, as NNX saves them."""
    bare = {path[:-1] if path[-1] == "value" else path: path for path in arrays}

    def is_counter(path: Path) -> bool:
        return path in bare and np.dtype(arrays[bare[path]].dtype).kind == "u"

    streams = {
        path[:-1] for path in bare if path[-1] == "count" and is_counter(path) and is_counter((*path[:-1], "key"))
    }
    dropped = {bare[(*stream, name)] for stream in streams for name in ("key", "count")}
    return {path: leaf for path, leaf in arrays.items() if path not in dropped}


def fits(array: Any, leaf: Any) -> bool:
    """Whether an array can stand for a leaf: the same shape, and a dtype that is cast to the leaf's silently."""
    return tuple(array.shape) == tuple(leaf.shape) and kind_of(array.dtype) == kind_of(leaf.dtype)


def kind_of(dtype: Any) -> str:
    """Dtypes that are cast into each other silently: floating point, whole numbers, complex."""
    dtype = np.dtype(dtype)
    # Of ml_dtypes' types, which NumPy calls V, those for whole numbers are named int4, uint2 and the like.
    kind = dtype.kind if dtype.kind != "V" else ("i" if "int" in dtype.name else "f")
    return "i" if kind == "u" else kind


def _text(at: Path) -> str:
    return "/".join(at) or "the whole"
