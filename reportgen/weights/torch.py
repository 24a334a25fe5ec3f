"""PyTorch's weights for a Flax model: its names, layouts and running statistics, matched by structure.

    arrays, names, notes = converted(read("resnet18.safetensors"), wanted, None, "resnet18.safetensors")
    names["layer1/0/bn1/running_mean"]      # "batch_stats/ResNetBlock_0/BatchNorm_0/mean"

A state dict groups into modules: a kind (convolution, dense, normalisation, embedding, or a lone parameter) and shapes.
Both sides' modules of one kind and shape are matched pattern by pattern, where a pattern is a path without its numbers
("layer/bn", "Block/BatchNorm"): by how many modules have it, then by words that both sides use; within a pattern by the
numbers in the path. What stays ambiguous is refused, and settled by renaming a module to its path in the model.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from reportgen.errors import WeightsError
from reportgen.weights.tree import Stored, split_name

Path = tuple[str, ...]
MOST_PATTERNS = 6
"""Patterns of one kind and shape that are told apart by their words."""

_WORDS = {
    **dict.fromkeys(("q", "to_q", "query"), "query"),
    **dict.fromkeys(("k", "key"), "key"),
    **dict.fromkeys(("v", "value"), "value"),
    **dict.fromkeys(("o", "out", "output"), "out"),
    **dict.fromkeys(("downsample", "shortcut", "skip", "identity", "proj", "projection"), "proj"),
    **dict.fromkeys(("bn", "batchnorm", "norm", "ln", "layernorm"), "norm"),
    **dict.fromkeys(("fc", "linear", "dense"), "dense"),
}
"""Words for one thing, each with the one that is compared."""


@dataclass(frozen=True)
class Module:
    """One module of either side: its path, what is matched (kind and shapes), and its entries by role."""

    path: Path
    kind: tuple[Any, ...]
    entries: Mapping[str, Path]

    @property
    def pattern(self) -> Path:
        """The path without numbers."""
        return tuple(word for word in (re.sub(r"[\d_]+", "", part).lower() for part in self.path) if word)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers in the path: the order of modules of one pattern."""
        return tuple(int(number) for part in self.path for number in re.findall(r"\d+", part))

    @property
    def words(self) -> frozenset[str]:
        """The words of the path, synonyms as one."""
        spaced = re.sub(r"([a-z])([A-Z])", r"\1_\2", "_".join(self.path))
        words = re.findall(r"[a-z]+", spaced.lower())
        return frozenset(_WORDS.get(word, word) for word in words)


def converted(
    arrays: Mapping[Path, Any], wanted: Mapping[Path, Any], key: str | None, source: str
) -> tuple[dict[Path, Any], dict[str, str], tuple[str, ...]]:
    """(arrays by the model's names, PyTorch's name -> the model's, notes).

    `wanted` maps the model's paths, with or without collections, to leaves with shapes. `key` names the branch of the
    file ("model", "state_dict"). Entries that no module of the model matches keep their names. Raises WeightsError for
    modules that could be matched in several ways.
    """
    arrays = _branch(arrays, key)
    theirs, ours = _torch_modules(arrays), _flax_modules(wanted)
    result: dict[Path, Any] = {}
    names: dict[str, str] = {}
    matched = _matched(theirs, ours, source)
    for module, other in matched:
        for role, place in other.entries.items():
            path = module.entries[role]
            result[place] = _as_flax(arrays, path, role, other, wanted[place])
            name = "/".join(part for part in path if not part.startswith("#"))
            names[name] = f"{names[name]}, {'/'.join(place)}" if name in names else "/".join(place)
    used = {module.path for module, _ in matched}
    for module in theirs:
        if module.path not in used:
            for path in module.entries.values():
                result[path] = _shown(arrays, path)
    return result, names, _notes(matched)


def _branch(arrays: Mapping[Path, Any], key: str | None) -> dict[Path, Any]:
    at = () if key is None else split_name(key)
    inside = {path[len(at) :]: leaf for path, leaf in arrays.items() if path[: len(at)] == at and len(path) > len(at)}
    return {path: leaf for path, leaf in inside.items() if path[-1] != "num_batches_tracked"}


def _torch_modules(arrays: Mapping[Path, Any]) -> list[Module]:
    grouped: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in arrays:
        parts = re.fullmatch(r"in_proj_(weight|bias)", path[-1])
        if parts:  # of nn.MultiheadAttention: three layers in one array
            for number, name in enumerate(("query", "key", "value")):
                grouped[(*path[:-1], name)][parts[1]] = (*path, f"#{number}")
        elif path[-1] in ("weight", "bias", "running_mean", "running_var"):
            grouped[path[:-1]][path[-1]] = path
        else:
            grouped[path]["value"] = path
    modules = []
    for path, entries in grouped.items():
        if set(entries) == {"bias"}:
            modules.append(
                Module((*path, "bias"), ("value", _shape(arrays, entries["bias"])), {"value": entries["bias"]})
            )
            continue
        modules.append(Module(path, _torch_kind(arrays, path, entries), entries))
    return modules


def _torch_kind(arrays: Mapping[Path, Any], path: Path, entries: Mapping[str, Path]) -> tuple[Any, ...]:
    if not {"weight", "running_mean"} & set(entries):
        return ("value", *(_shape(arrays, place) for place in entries.values()))
    if "running_mean" in entries:
        return "norm", _shape(arrays, entries["running_mean"]), "weight" in entries, "bias" in entries, True
    shape, bias = _shape(arrays, entries["weight"]), "bias" in entries
    if len(shape) >= 3:
        return "conv", shape, bias
    if len(shape) == 2:
        embeds = not bias and re.search(r"emb|wte|wpe|token|shared", "_".join(path), re.IGNORECASE)
        return ("embedding", shape) if embeds else ("dense", shape, bias)
    return "norm", shape, True, bias, False


def _flax_modules(wanted: Mapping[Path, Any]) -> list[Module]:
    collections = {"params", *(path[0] for path in wanted if path[-1] in ("mean", "var"))}
    wrapped = any(path[0] == "params" for path in wanted)
    roles = {"kernel": "weight", "scale": "weight", "embedding": "weight", "bias": "bias"}
    roles |= {"mean": "running_mean", "var": "running_var"}
    grouped: dict[Path, dict[str, Path]] = defaultdict(dict)
    lone: list[Path] = []
    for path in wanted:
        inner = path[1:] if wrapped and path[0] in collections else path
        if path[-1] in roles:
            grouped[inner[:-1]][path[-1]] = path
        else:
            lone.append(path)
    modules = [
        Module(path[1:] if wrapped else path, ("value", tuple(wanted[path].shape)), {"value": path}) for path in lone
    ]
    for inner, entries in grouped.items():
        named = {roles[name]: place for name, place in entries.items()}
        modules.append(Module(inner, _flax_kind(inner, entries, wanted), named))
    return modules


def _flax_kind(path: Path, entries: Mapping[str, Path], wanted: Mapping[Path, Any]) -> tuple[Any, ...]:
    shapes = {name: tuple(wanted[place].shape) for name, place in entries.items()}
    bias = "bias" in entries
    if "embedding" in shapes:
        return "embedding", shapes["embedding"]
    if "kernel" not in shapes:
        return "norm", next(iter(shapes.values())), "scale" in entries, bias, "mean" in entries
    kernel = shapes["kernel"]
    if _is_attention(path, shapes):
        split = 2 if path[-1] == "out" else 1
        return "dense", (int(np.prod(kernel[split:])), int(np.prod(kernel[:split]))), bias
    if len(kernel) == 2:
        return "dense", kernel[::-1], bias
    *space, inward, outward = kernel
    ends = (inward, outward) if _is_transposed(path) else (outward, inward)
    return "conv", (*ends, *space), bias


def _is_attention(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether it is a layer of Flax's attention, whose kernels have an axis of heads."""
    kernel = shapes["kernel"]
    return len(kernel) == 3 and path[-1:] in (("query",), ("key",), ("value",), ("out",))


def _is_transposed(path: Path) -> bool:
    return any("convtranspose" in part.lower() for part in path)


def _as_flax(arrays: Mapping[Path, Any], path: Path, role: str, module: Module, leaf: Any) -> Any:
    """The entry as the model has it, turned when it is read."""
    is_kernel = role == "weight" and module.kind[0] in ("dense", "conv")
    transposed = _is_transposed(module.path)
    shape = tuple(leaf.shape)

    def read() -> np.ndarray:
        array = np.asarray(_shown(arrays, path))
        if is_kernel:
            # A transposed convolution there adds each input times the kernel, here it gathers: mirrored.
            space = range(2, array.ndim)
            array = (
                np.flip(array, tuple(space)).transpose(*space, 0, 1) if transposed else array.transpose(*space, 1, 0)
            )
        return array.reshape(shape)

    return Stored(shape, np.dtype(_stored(arrays, path).dtype), read)


def _stored(arrays: Mapping[Path, Any], path: Path) -> Any:
    return arrays[path[:-1]] if path[-1].startswith("#") else arrays[path]


def _shown(arrays: Mapping[Path, Any], path: Path) -> Any:
    """The array of an entry; of one of the three in one array, its third."""
    stored = _stored(arrays, path)
    if not path[-1].startswith("#"):
        return stored
    third, number = stored.shape[0] // 3, int(path[-1][1:])
    shape = (third, *stored.shape[1:])
    return Stored(shape, np.dtype(stored.dtype), lambda: np.asarray(stored)[number * third : (number + 1) * third])


def _shape(arrays: Mapping[Path, Any], path: Path) -> tuple[int, ...]:
    return tuple(_shown(arrays, path).shape)


def _matched(theirs: list[Module], ours: list[Module], source: str) -> list[tuple[Module, Module]]:
    pairs = []
    by_path = {module.path: module for module in ours}
    left = []
    for module in theirs:
        other = by_path.get(module.path)
        if other is not None and other.kind == module.kind:
            pairs.append((module, by_path.pop(module.path)))
        else:
            left.append(module)
    mine = _by(left, lambda module: module.kind)
    for kind, modules in _by(by_path.values(), lambda module: module.kind).items():
        # Without its name, an embedding looks like a dense layer without a bias.
        twin = (
            ("dense", kind[1], False)
            if kind[0] == "embedding"
            else ("embedding", kind[1])
            if kind[0] == "dense"
            else ()
        )
        candidates = mine.get(kind) or mine.get(twin, [])
        if len(candidates) == len(modules):
            pairs += _by_pattern(candidates, modules, source)
    return pairs


def _by_pattern(theirs: list[Module], ours: list[Module], source: str) -> list[tuple[Module, Module]]:
    """Modules of one kind and shape, matched. Raises WeightsError where that can be done in several ways."""
    left, right = (list(_by(side, lambda module: module.pattern).values()) for side in (theirs, ours))
    pairs: list[tuple[Module, Module]] = []
    if sorted(map(len, left)) == sorted(map(len, right)) and len(left) <= MOST_PATTERNS:
        scored = []
        for order in permutations(right):
            if all(len(a) == len(b) for a, b in zip(left, order, strict=True)):
                score = sum(len(a[0].words & b[0].words) for a, b in zip(left, order, strict=True))
                scored.append((score, order))
        scored.sort(key=lambda each: -each[0])
        if len(scored) == 1 or (scored and scored[0][0] > scored[1][0]):
            for a, b in zip(left, scored[0][1], strict=True):
                pairs += zip(sorted(a, key=_order), sorted(b, key=_order), strict=True)
            return pairs
    listed, others = (", ".join("/".join(m.path) for m in sorted(side, key=_order)[:6]) for side in (theirs, ours))
    example = f"{'/'.join(theirs[0].path)}={'/'.join(ours[0].path)}"
    raise WeightsError(
        f"{source}: {listed} are of the same kind and shape as {others} of the model, and names don't tell which is "
        f"which; rename them (--rename {example})",
        code="W105",
    )


def _order(module: Module) -> tuple[tuple[int, ...], Path]:
    return module.numbers, module.path


def _by(modules: Iterable[Module], what: Callable[[Module], Any]) -> dict[Any, list[Module]]:
    groups: dict[Any, list[Module]] = defaultdict(list)
    for module in modules:
        groups[what(module)].append(module)
    return dict(groups)


def _notes(pairs: list[tuple[Module, Module]]) -> tuple[str, ...]:
    """A sentence on each dense layer that may follow a flattened feature map."""
    widths = {module.kind[1][0] for module, _ in pairs if module.kind[0] in ("conv", "dense")}
    maps = {module.kind[1][0] for module, _ in pairs if module.kind[0] == "conv"}
    notes = []
    for module, other in pairs:
        if module.kind[0] == "dense" and module.kind[1][1] not in widths:
            inward = module.kind[1][1]
            if any(inward % channels == 0 and inward > channels for channels in maps):
                notes.append(
                    f"{'/'.join(other.path)}: if its {inward:,} inputs are a flattened feature map, they are in the "
                    "order channel, row, column in PyTorch and row, column, channel in Flax, which no shape tells"
                )
    return tuple(notes)
