"""Whether what a run directory says can be believed: types, shapes, indices, before anything is made of it.

    header = checked_header(json.loads(text), file)       # run.json's parts, or a RunError
    problem = activations_problem(tensors, expected)      # None, or what is wrong in words

A run may be damaged, half-written, or made by somebody who wishes the reader ill. Sizes that are only
claimed are compared with what is there; nothing is allocated by a claim.
"""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from reportgen.core.run import Layer
from reportgen.errors import RunError
from reportgen.store.files import Tensors

MOST_VALUES = 2**40
"""Values that a layer's output may be said to have for one example."""

MOST_COLUMNS = 256
"""Different names that the rows of one file may have; a table of more is no table."""

WHOLE = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")
REAL = (*WHOLE, "BOOL", "F16", "BF16", "F32", "F64")
FLOATING = ("F16", "BF16", "F32", "F64")

PARTS: Mapping[str, type | tuple[type, ...]] = {
    "classes": list,
    "layers": list,
    "config": dict,
    "provenance": dict,
    "embed_layer": (str, type(None)),
    "status": str,
    "uncaptured": dict,
}
_LAYER: Mapping[str, type | tuple[type, ...]] = {
    "path": str,
    "kind": str,
    "shape": list,
    "dtype": str,
    "params": list,
    "parameters": int,
    "reads": (str, type(None)),
    "same_as": (str, type(None)),
    "is_module": bool,
    "shares": (str, type(None)),
    "axes": str,
    "flops": (int, type(None)),
}


def checked_header(content: Any) -> tuple[dict[str, Any], list[str]]:
    """run.json's parts with the layers as `Layer`s, and what had to be left out. Raises ValueError in words."""
    header = cleaned(content)
    for name, kind in PARTS.items():
        if name not in header:
            raise ValueError(f"{name!r} is missing")
        if not isinstance(header[name], kind):
            raise ValueError(f"{name!r} is of another type")
    if not all(isinstance(name, str) for name in header["classes"]):
        raise ValueError("a class name is no text")
    layers = tuple(_layer(layer) for layer in header["layers"])
    paths = [layer.path for layer in layers]
    if len(set(paths)) < len(paths):
        raise ValueError("two layers have one path")
    problems = []
    provenance = header["provenance"]
    for name in ("seconds", "train_images", "test_images"):
        if name in provenance and not (_number(provenance[name]) and 0 <= provenance[name] < 2**53):
            problems.append(f"{name} in run.json is no number of {name.replace('_', ' ')}")
            del provenance[name]
    return {**header, "classes": tuple(header["classes"]), "layers": layers}, problems


def _layer(content: Any) -> Layer:
    known = {field.name for field in fields(Layer)}
    if not isinstance(content, dict) or not {"path", "kind", "shape"} <= set(content) <= known:
        raise ValueError("a layer does not have the fields of one")
    for name, value in content.items():
        if not isinstance(value, _LAYER[name]) or (isinstance(value, bool) and _LAYER[name] is int):
            raise ValueError(f"{name!r} of layer {content['path']!r} is of another type")
    shape = content["shape"]
    if not all(type(size) is int and size >= 0 for size in shape) or math.prod(max(n, 1) for n in shape) > MOST_VALUES:
        raise ValueError(f"layer {content['path']!r} can't have the shape {shape}")
    if not all(isinstance(name, str) for name in content.get("params", [])):
        raise ValueError(f"a parameter of layer {content['path']!r} has no name")
    if not all(0 <= (content.get(name) or 0) < 2**63 for name in ("parameters", "flops")):
        raise ValueError(f"the counts of layer {content['path']!r} are out of range")
    return Layer(**{**content, "shape": tuple(shape), "params": tuple(content.get("params", []))})


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


def is_row(row: Any) -> bool:
    """Whether a line of a .jsonl file is a step's numbers."""
    return (
        isinstance(row, dict)
        and all(type(row.get(name)) is int and 0 <= row[name] < 2**53 for name in ("step", "epoch"))
        and all(_number(value) for value in row.values())
    )


def _number(value: Any) -> bool:
    # A whole number beyond float64 would overflow wherever it is drawn.
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**1000)


def snapshot_signature(tensors: Tensors) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of a snapshot's parameters. Raises RunError for what can't be parameters."""
    described = tensors.described
    if not described:
        raise RunError("it holds no parameters")
    for name, (dtype, shape) in described.items():
        if dtype not in REAL or math.prod(max(n, 1) for n in shape) > MOST_VALUES:
            raise RunError(f"{_shown(name)} holds {dtype}{list(shape)}, which is no parameter")
        if name != cleaned(name):
            raise RunError(f"the parameter {_shown(name)} has a name that can't be printed")
    return tuple(sorted((name, shape) for name, (_, shape) in described.items()))


@dataclass(frozen=True)
class Expected:
    """What every activations file of a run must agree with; None where the run does not tell."""

    layers: Mapping[str, Layer]
    classes: int
    probe: int | None
    evaluation: int | None
    embedding: int | None


def activations_problem(tensors: Tensors, expected: Expected) -> str | None:
    """What is wrong with the shapes, types and indices of an activations file, in words; None for a sound one."""
    found = tensors.described
    for name in _FIXED:
        if name not in found:
            return f"{name} is missing"
    predictions, labels = found["predictions"][1], found["label_counts"][1]
    if predictions not in ((0,), (expected.evaluation,)) and (expected.evaluation is not None or len(predictions) != 1):
        return f"predictions are {list(predictions)} for {expected.evaluation} labels"
    if labels not in ((0,), (expected.classes,)):
        return f"label_counts are {list(labels)} for {expected.classes} classes"
    vectors = found["embedding_vectors"][1]
    if len(vectors) != 2 or (expected.embedding is not None and vectors[0] != expected.embedding):
        return f"embedding_vectors are {list(vectors)} for {expected.embedding} labels"
    of_evaluation = found["evaluation_vectors"][1]
    limit = of_evaluation[:1] if expected.evaluation is None else (expected.evaluation,)
    if len(of_evaluation) != 2 or of_evaluation[:1] > limit:
        return f"evaluation_vectors are {list(of_evaluation)} for {expected.evaluation} labels"
    for name, (shape, kinds) in {
        "predictions": (predictions, WHOLE),
        "margins": (predictions, FLOATING),
        "label_counts": (labels, WHOLE),
        "input_sums": (labels, FLOATING),
        "embedding_vectors": (vectors, REAL),
        "evaluation_vectors": (of_evaluation, REAL),
    }.items():
        if found[name][1] != shape or found[name][0] not in kinds:
            return f"{name} is {found[name][0]}{list(found[name][1])}"
    if problem := _layers_problem(found, labels, expected):
        return problem
    return _values_problem(tensors, expected)


_FIXED = ("label_counts", "input_sums", "predictions", "margins", "embedding_vectors", "evaluation_vectors")


def _layers_problem(found: Mapping[str, Any], labels: tuple[int, ...], expected: Expected) -> str | None:
    probes = set()
    for name, (dtype, shape) in found.items():
        part, _, path = name.partition("/")
        if part not in ("maps", "label_sums", "extremes"):
            continue
        layer = expected.layers.get(path)
        if layer is None:
            return f"{_shown(name)} is of no layer of the run"
        if part == "maps":
            probes.add(shape[:1])
        shapes = {
            "maps": (*shape[:1], *layer.shape),
            "label_sums": (*labels, layer.channels),
            "extremes": (2, layer.channels),
        }
        if shape != shapes[part] or dtype not in REAL:
            return f"{_shown(name)} is {dtype}{list(shape)}, not {list(shapes[part])}"
    if len(probes) > 1 or (expected.probe is not None and probes and probes != {(expected.probe,)}):
        return f"the feature maps are not of {expected.probe} probe images each"
    if probes & {(0,), ()}:
        return "the feature maps are of no image"
    return None


def _values_problem(tensors: Tensors, expected: Expected) -> str | None:
    predictions, counts = tensors["predictions"], tensors["label_counts"]
    if predictions.size and not (predictions.min() >= -1 and predictions.max() < expected.classes):
        return f"predictions run from {predictions.min()} to {predictions.max()}, for {expected.classes} classes"
    if counts.size and not (counts.min() >= 0 and counts.max() < 2**53):
        return f"label_counts run from {counts.min()} to {counts.max()}"
    return None


def _shown(name: str) -> str:
    """A name from a file as a message has it: short, and fit to be printed."""
    text = cleaned(name).replace("\n", " ")
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
