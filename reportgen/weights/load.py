"""Fits a tree of weights to a model: finds them, renames, turns kernels, checks every name and shape.

    params = load_into(tree, variables["params"])
    params = load_into(tree, variables["params"], rename=["features/0=conv1", "weight=kernel"], layout="oihw")
    params = load_into(tree, variables, framework="torch")

The tree to compare with is any whose leaves have `shape` and `dtype`: the model's parameters, or what
`jax.eval_shape(model.init, ...)` gives without computing any.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.errors import OptionError, WeightsError, choices
from reportgen.weights.choose import fits, place
from reportgen.weights.torch import converted
from reportgen.weights.tree import Stored, Tree, flatten, split_name

LAYOUTS = ("hwio", "oihw")
FRAMEWORKS = ("flax", "torch")
ROWS = 20


@dataclass(frozen=True)
class Match:
    """A checkpoint's arrays by the model's names, not yet read where the format allows it.

    `leaves` maps a path of the model's to (array, dtype that the model wants), `names` what was called otherwise to the
    name that it has here ("layer1/0/bn1/weight": "params/Block_0/BatchNorm_0/scale"). `key` is the branch in the
    checkpoint ("" for the whole), `notes` what can't be known from names and shapes, a sentence each.
    """

    leaves: Mapping[tuple[Any, ...], tuple[Any, Any]]
    key: str
    names: Mapping[str, str]
    notes: tuple[str, ...]

    def read(self) -> Tree:
        """The arrays as the model has them, read and cast."""
        from flax.traverse_util import unflatten_dict

        read = {path: np.asarray(array).astype(dtype, copy=False) for path, (array, dtype) in self.leaves.items()}
        return dict(unflatten_dict(read))

    @property
    def dtypes(self) -> dict[str, str]:
        """Path in the model -> dtype in the checkpoint."""
        return {"/".join(map(str, path)): np.dtype(array.dtype).name for path, (array, _) in self.leaves.items()}


def load_into(tree: Mapping[str, Any], expected: Mapping[Any, Any], **how: Any) -> Tree:
    """The arrays of `tree` in the shape of `expected`: the same keys, every leaf a NumPy array. See `match`."""
    return match(tree, expected, **how).read()


def match(
    tree: Mapping[str, Any],
    expected: Mapping[Any, Any],
    *,
    rename: Iterable[str] = (),
    layout: str = "hwio",
    key: str | None = None,
    framework: str = "flax",
    source: str = "the weights",
) -> Match:
    """Match `tree` to `expected`, checking every name and shape.

    Where in the tree the weights lie is found by names and shapes (`choose.place`), or named by `key`. The last part
    "value" of what `nnx.State` saves is seen through. Arrays are cast to the expected dtype within their kind
    (float64 to float32).

    `rename` are rules OLD=NEW, in order: wherever OLD, one or more whole parts of a name, stands in it,
    NEW replaces it ("features/0=conv1", "weight=kernel"); with an empty NEW the parts are dropped, and an entry of
    which they are the end is left out.

    `layout="oihw"` (PyTorch) turns every entry whose last part is "kernel" after renaming: convolutions
    [out, in, *space] to [*space, in, out], dense layers [out, in] to [in, out]. What no shape tells: a
    dense layer right behind a flattened feature map has its inputs in the order channel, row, column
    there and row, column, channel here, and must be permuted by you.

    `framework="torch"` takes PyTorch's names, layouts and running statistics as they are (`torch.converted`).

    `source` names the weights in errors. Raises WeightsError with missing, unexpected and mis-shaped
    entries side by side, for a rule that matches nothing and two names that become one; OptionError for
    a rule without "=", an unknown layout or framework.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"layout {layout!r}; {choices(layout, LAYOUTS)}", code="O102")
    if framework not in FRAMEWORKS:
        raise OptionError(f"framework {framework!r}; {choices(framework, FRAMEWORKS)}", code="O102")
    if framework == "torch" and layout != "hwio":
        raise OptionError("PyTorch's layouts are known: leave the layout out", code="O103")
    arrays = {tuple(str(part) for part in path): _described(leaf) for path, leaf in flatten(tree).items()}
    arrays = _renamed(arrays, [_rule(text) for text in rename], source)
    wanted = {tuple(str(part) for part in path): (path, leaf) for path, leaf in flatten(expected).items()}
    leaves = {name: leaf for name, (_, leaf) in wanted.items()}
    names: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    if framework == "torch":
        arrays, names, notes = converted(arrays, leaves, key, source)
    else:
        if layout == "oihw":
            arrays = {path: _turned(array) if "kernel" in path[-2:] else array for path, array in arrays.items()}
        placed = place(arrays, leaves, key, source)
        arrays, key = placed.arrays, "/".join(placed.key)
    _check(arrays, leaves, layout, source)
    found = {path: (arrays[name], leaf.dtype) for name, (path, leaf) in wanted.items()}
    return Match(found, key or "", names, notes)


def _described(leaf: Any) -> Any:
    return leaf if hasattr(leaf, "shape") and hasattr(leaf, "dtype") else np.asarray(leaf)


def _turned(kernel: Any) -> Any:
    """The kernel, turned when it is read."""
    if len(kernel.shape) < 2:
        return kernel
    shape = (*kernel.shape[2:], kernel.shape[1], kernel.shape[0])
    return Stored(shape, np.dtype(kernel.dtype), lambda: turned(np.asarray(kernel)))


def turned(kernel: np.ndarray) -> np.ndarray:
    """[out, in, *space] as [*space, in, out]; with fewer than two axes as it is."""
    if kernel.ndim < 2:
        return kernel
    return kernel.transpose(*range(2, kernel.ndim), 1, 0)


Names = dict[tuple[str, ...], Any]


def _rule(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    old, equals, new = text.partition("=")
    if not equals or not old:
        raise OptionError(f"rename {text!r} is not of the form OLD=NEW, as in features/0=conv1", code="W106")
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
            if not new and path[-len(old) :] == old:
                continue  # the entry itself is dropped
            name = tuple(parts)
            if not name or name in result:
                raise WeightsError(
                    f"{source}: renaming {'/'.join(old)} to {'/'.join(new) or 'nothing'} gives two entries the "
                    f"name {'/'.join(name)!r}, or one none; make the rule longer",
                    code="W106",
                )
            result[name] = array
        if not matched:
            names = ["/".join(path) for path in arrays]
            raise WeightsError(
                f"{source}: no entry to rename: {'/'.join(old)}; {choices('/'.join(old), names)}", code="W106"
            )
        arrays = result
    return arrays


def _check(arrays: Names, wanted: Mapping[tuple[str, ...], Any], layout: str, source: str) -> None:
    """Raise WeightsError, with both sides beside each other, unless names and shapes are the same."""
    missing = [path for path in wanted if path not in arrays]
    unexpected = [path for path in arrays if path not in wanted]
    misshaped = [path for path, leaf in wanted.items() if path in arrays and not fits(arrays[path], leaf)]
    if not missing and not unexpected and not misshaped:
        return
    rows = [(_text(path, wanted[path]), _text(path, arrays[path])) for path in misshaped]
    rest = list(unexpected)
    for path in missing:
        twin = _twin(path, wanted[path], rest, arrays) if len(rows) < ROWS else None
        if twin is not None:
            rest.remove(twin)
        rows.append((_text(path, wanted[path]), "missing" if twin is None else _text(twin, arrays[twin])))
    rows += [("unexpected", _text(path, arrays[path])) for path in rest]
    width = max(len(left) for left, _ in rows[:ROWS])
    lines = [f"  {left:<{width}}  {right}" for left, right in [("the model expects", "the file has"), *rows[:ROWS]]]
    if len(rows) > ROWS:
        lines.append(f"  and {len(rows) - ROWS} more")
    turn = layout == "hwio" and any(path[-1] == "kernel" for path in misshaped)
    if turn and all(_turned(arrays[path]).shape == tuple(wanted[path].shape) for path in misshaped):
        lines.append("  The shapes would fit with the layout oihw.")
    raise WeightsError(
        f"{source} do not fit the model: {len(missing)} missing, {len(unexpected)} unexpected, "
        f"{len(misshaped)} with the wrong shape or dtype\n" + "\n".join(lines),
        code="W105",
    )


def _twin(path: tuple[str, ...], leaf: Any, rest: list[tuple[str, ...]], arrays: Names) -> tuple[str, ...] | None:
    """The unexpected entry that is most likely the missing one under another name: of the same shape."""
    names = {"/".join(other): other for other in rest if fits(arrays[other], leaf)}
    close = difflib.get_close_matches("/".join(path), names, n=1, cutoff=0.0)
    return names[close[0]] if close else None


def _text(path: tuple[str, ...], leaf: Any) -> str:
    return f"{'/'.join(path)} {np.dtype(leaf.dtype).name} {list(leaf.shape)}"
