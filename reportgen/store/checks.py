"""Whether what the files of a run directory say can be believed: types, shapes, indices, before anything is made of it.

    problem = activations_problem(tensors, expected)      # None, or what is wrong in words

A run may be damaged, half-written, or made by somebody who wishes the reader ill. Sizes that are only
claimed are compared with what is there; nothing is allocated by a claim.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reportgen.core.network import Layer
from reportgen.errors import RunError
from reportgen.store.files import Tensors
from reportgen.store.header import MOST_VALUES, cleaned

WHOLE = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")
REAL = (*WHOLE, "BOOL", "F16", "BF16", "F32", "F64")
FLOATING = ("F16", "BF16", "F32", "F64")


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
