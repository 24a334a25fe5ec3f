"""Fits a tree of weights to a model: renames, turns kernels, checks every name and shape.

    params = load_into(tree, variables["params"])
    params = load_into(tree, variables["params"], rename=["features/0=conv1", "weight=kernel"], layout="oihw")

The tree to compare with is any whose leaves have `shape` and `dtype`: the model's parameters, or what
`jax.eval_shape(model.init, ...)` gives without computing any.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from reportgen.errors import OptionError, WeightsError, choices
from reportgen.weights.tree import Tree, flatten, split_name

LAYOUTS = ("hwio", "oihw")
ROWS = 20


def load_into(
    tree: Mapping[str, Any],
    expected: Mapping[Any, Any],
    *,
    rename: Iterable[str] = (),
    layout: str = "hwio",
    source: str = "the weights",
) -> Tree:
    """The arrays of `tree` in the shape of `expected`: the same keys, every leaf a NumPy array.

    A wrapping {"params": ...} on one side only is seen through; beside it, collections that `expected`
    does not have (an optimizer's state, a step) are left aside. So is the last part "value" of what
    `nnx.State` saves. Arrays are cast to the expected dtype within their kind (float64 to float32).

    `rename` are rules OLD=NEW, in order: wherever OLD, one or more whole parts of a name, stands in it,
    NEW replaces it ("features/0=conv1", "weight=kernel"); with an empty NEW the parts are dropped.

    `layout="oihw"` (PyTorch) turns every entry whose last part is "kernel" after renaming: convolutions
    [out, in, *space] to [*space, in, out], dense layers [out, in] to [in, out]. What no shape tells: a
    dense layer right behind a flattened feature map has its inputs in the order channel, row, column
    there and row, column, channel here, and must be permuted by you.

    `source` names the weights in errors. Raises WeightsError with missing, unexpected and mis-shaped
    entries side by side, for a rule that matches nothing and two names that become one; OptionError for
    a rule without "=" and an unknown layout.
    """
    from flax.traverse_util import unflatten_dict

    if layout not in LAYOUTS:
        raise OptionError(f"layout {layout!r}; {choices(layout, LAYOUTS)}")
    arrays = {tuple(str(part) for part in path): np.asarray(leaf) for path, leaf in flatten(tree).items()}
    arrays = _renamed(arrays, [_rule(text) for text in rename], source)
    wanted = {tuple(str(part) for part in path): (path, leaf) for path, leaf in flatten(expected).items()}
    arrays = _unwrapped(arrays, wanted)
    if layout == "oihw":
        arrays = {path: turned(array) if path[-1] == "kernel" else array for path, array in arrays.items()}
    _check(arrays, wanted, layout, source)
    loaded = {path: arrays[name].astype(leaf.dtype, copy=False) for name, (path, leaf) in wanted.items()}
    return dict(unflatten_dict(loaded))


def turned(kernel: np.ndarray) -> np.ndarray:
    """[out, in, *space] as [*space, in, out]; with fewer than two axes as it is."""
    if kernel.ndim < 2:
        return kernel
    return kernel.transpose(*range(2, kernel.ndim), 1, 0)


Names = dict[tuple[str, ...], np.ndarray]


def _rule(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    old, equals, new = text.partition("=")
    if not equals or not old:
        raise OptionError(f"rename {text!r} is not of the form OLD=NEW, as in features/0=conv1")
    return split_name(old.strip("/")), split_name(new.strip("/")) if new.strip("/") else ()


def _renamed(arrays: Names, rules: list[tuple[tuple[str, ...], tuple[str, ...]]], source: str) -> Names:
    for old, new in rules:
        result: Names = {}
        matched = False
        for path, array in arrays.items():
            parts: list[str] = []
            at = 0
            while at < len(path):
                if path[at : at + len(old)] == old:
                    matched = True
                    parts.extend(new)
                    at += len(old)
                else:
                    parts.append(path[at])
                    at += 1
            name = tuple(parts)
            if not name or name in result:
                raise WeightsError(
                    f"{source}: renaming {'/'.join(old)} to {'/'.join(new) or 'nothing'} gives two entries the "
                    f"name {'/'.join(name)!r}, or one none; make the rule longer"
                )
            result[name] = array
        if not matched:
            names = ["/".join(path) for path in arrays]
            raise WeightsError(f"{source}: no entry to rename: {'/'.join(old)}; {choices('/'.join(old), names)}")
        arrays = result
    return arrays


def _unwrapped(arrays: Names, wanted: Mapping[tuple[str, ...], Any]) -> Names:
    has, wants = (any(path[0] == "params" for path in paths) for paths in (arrays, wanted))
    if has and not wants:
        arrays = {path[1:]: array for path, array in arrays.items() if path[0] == "params" and len(path) > 1}
    elif wants and not has:
        arrays = {("params", *path): array for path, array in arrays.items()}
    elif has:
        collections = {path[0] for path in wanted}
        arrays = {path: array for path, array in arrays.items() if path[0] in collections}
    return {
        path[:-1] if path not in wanted and path[-1] == "value" and path[:-1] in wanted else path: array
        for path, array in arrays.items()
    }


def _check(arrays: Names, wanted: Mapping[tuple[str, ...], Any], layout: str, source: str) -> None:
    missing = [path for path in wanted if path not in arrays]
    unexpected = [path for path in arrays if path not in wanted]
    misshaped = [path for path, (_, leaf) in wanted.items() if path in arrays and not _fits(arrays[path], leaf)]
    if not missing and not unexpected and not misshaped:
        return
    rows = [(_text(path, wanted[path][1]), _text(path, arrays[path])) for path in misshaped]
    rest = list(unexpected)
    for path in missing:
        twin = _twin(path, wanted[path][1], rest, arrays) if len(rows) < ROWS else None
        if twin is not None:
            rest.remove(twin)
        rows.append((_text(path, wanted[path][1]), "missing" if twin is None else _text(twin, arrays[twin])))
    rows += [("unexpected", _text(path, arrays[path])) for path in rest]
    width = max(len(left) for left, _ in rows[:ROWS])
    lines = [f"  {left:<{width}}  {right}" for left, right in [("the model expects", "the file has"), *rows[:ROWS]]]
    if len(rows) > ROWS:
        lines.append(f"  and {len(rows) - ROWS} more")
    turn = layout == "hwio" and any(path[-1] == "kernel" for path in misshaped)
    if turn and all(turned(arrays[path]).shape == tuple(wanted[path][1].shape) for path in misshaped):
        lines.append("  The shapes would fit with the layout oihw.")
    raise WeightsError(
        f"{source} do not fit the model: {len(missing)} missing, {len(unexpected)} unexpected, "
        f"{len(misshaped)} with the wrong shape or dtype\n" + "\n".join(lines)
    )


def _fits(array: np.ndarray, leaf: Any) -> bool:
    return array.shape == tuple(leaf.shape) and _kind(array.dtype) == _kind(leaf.dtype)


def _kind(dtype: Any) -> str:
    """Dtypes that are cast into each other silently: floating point, whole numbers, complex."""
    dtype = np.dtype(dtype)
    # Of ml_dtypes' types, which NumPy calls V, those for whole numbers are named int4, uint2 and the like.
    kind = dtype.kind if dtype.kind != "V" else ("i" if "int" in dtype.name else "f")
    return "i" if kind == "u" else kind


def _twin(path: tuple[str, ...], leaf: Any, rest: list[tuple[str, ...]], arrays: Names) -> tuple[str, ...] | None:
    """The unexpected entry that is most likely the missing one under another name: of the same shape."""
    names = {"/".join(other): other for other in rest if _fits(arrays[other], leaf)}
    close = difflib.get_close_matches("/".join(path), names, n=1, cutoff=0.0)
    return names[close[0]] if close else None


def _text(path: tuple[str, ...], leaf: Any) -> str:
    return f"{'/'.join(path)} {np.dtype(leaf.dtype).name} {list(leaf.shape)}"
