"""run.json as types: its schema, and the upgrade of what earlier formats wrote.

    header, problems = parse_header(json.loads(text), shapes)

Nothing is believed: a size that is only claimed is compared with what may be, and texts are made fit to print.
"""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeGuard

import msgspec

from reportgen.core.network import Axis, Layer, role_of
from reportgen.core.outcome import Task
from reportgen.store.layout import BY_HEAD

MOST_VALUES = 2**40
"""Values that one example's output of a layer may have."""


class Header(msgspec.Struct, frozen=True):
    """What run.json holds, from format 2 on."""

    format: int
    classes: tuple[str, ...]
    layers: tuple[Layer, ...]
    config: dict[str, Any]
    provenance: dict[str, Any]
    embed_layer: str | None
    status: str
    uncaptured: dict[str, str]
    kind: Literal["training", "inspection"] = "training"
    notes: tuple[str, ...] = ()
    task: Task | None = None
    vocabulary: tuple[str, ...] = ()


def parse_header(content: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Header, list[str]]:
    """run.json's content, and what had to be left out of it. Raises ValueError, which names the field.

    `shapes` are those of the run's parameters by name; format 1 lists their names alone.
    """
    content = cleaned(content)
    if isinstance(content, dict) and content.get("format") == 1:
        content = {**content, "layers": [_upgraded(layer, shapes) for layer in content.get("layers", ())]}
    header = msgspec.convert(content, Header)
    if header.format < BY_HEAD:
        header = msgspec.structs.replace(header, layers=tuple(map(_without_heads, header.layers)))
    paths = set()
    for layer in header.layers:
        if layer.path in paths:
            raise ValueError(f"two layers have the path {layer.path!r}")
        paths.add(layer.path)
        _check(layer)
    problems = []
    for name in ("seconds", "evaluating_seconds", "train_images", "test_images"):
        value = header.provenance.get(name, 0)
        if not (is_number(value) and 0 <= value < 2**53):
            problems.append(f'run.json: "{name}" is not a valid {"duration" if "seconds" in name else "count"}')
            del header.provenance[name]
    return header, problems


def _check(layer: Layer) -> None:
    for shape in (layer.shape, *layer.params.values()):
        if min(shape, default=0) < 0 or math.prod(max(size, 1) for size in shape) > MOST_VALUES:
            raise ValueError(f"layer {layer.path!r} can't have the shape {list(shape)}")
    if layer.axes and len(layer.axes) != len(layer.shape):
        raise ValueError(f"layer {layer.path!r} has {len(layer.shape)} axes, not {len(layer.axes)}")
    numbers = [] if layer.field is None else list(vars(layer.field).values())
    if not all(abs(number) < 2**53 for number in (*numbers, layer.flops or 0)) or (layer.flops or 0) < 0:
        raise ValueError(f"a number of layer {layer.path!r} is out of range")


def _without_heads(layer: Layer) -> Layer:
    """A layer whose channels were recorded added up over heads: these are positions then."""
    return layer if layer.head_channels is None else replace(layer, axes=(*layer.axes[:-2], "?", "channel"))


_AXIS_OF: Mapping[str, Axis] = {"t": "t", "z": "z", "y": "y", "x": "x", "c": "channel", "?": "?"}


def _upgraded(layer: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """A layer of format 1, which knew operations by name alone, as format 2 has it."""
    if not isinstance(layer, dict):
        return layer
    shape, reads, letters = layer.get("shape"), layer.get("reads"), layer.get("axes")
    if not letters and isinstance(shape, list) and len(shape) == 3:
        letters = "yxc"  # what a run without axes was taken to mean
    op = str(layer.get("kind"))
    return {
        **{name: layer[name] for name in ("path", "shape", "dtype", "flops") if name in layer},
        "op": op,
        "role": role_of("Conv" if "Conv" in op else op),
        "axes": [_AXIS_OF.get(letter, "?") for letter in letters or ""],
        "inputs": [] if reads is None else [reads],
        "params": {name: shapes.get(name, (0,)) for name in layer.get("params", ())},
        "alias_of": layer.get("same_as"),
        "tied_to": layer.get("shares"),
    }


def cleaned(value: Any) -> Any:
    """A JSON value whose texts can stand on any page: control characters and halves of pairs become U+FFFD."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join("\ufffd" if _unfit(c) else c for c in value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {cleaned(name): cleaned(item) for name, item in value.items()}
    return value


def _unfit(character: str) -> bool:
    # Surrogates can't be written as UTF-8; control characters and noncharacters may not stand in HTML or SVG.
    code, category = ord(character), unicodedata.category(character)
    if category == "Cc":
        return character not in "\t\n"
    return category == "Cs" or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a number that float64 can hold."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**1000)
