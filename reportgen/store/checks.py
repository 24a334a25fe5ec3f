"""Validate the files of a run directory before use: types, shapes, indices.

    problem = activations_problem(tensors, expected)      # None, or what is wrong in words

A run may be damaged, half-written, or made by somebody who wishes the reader ill. Sizes that are only
claimed are compared with what is there; nothing is allocated by a claim.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.core.network import Layer
from reportgen.errors import RunError
from reportgen.store import schema
from reportgen.store.files import Tensors
from reportgen.store.header import MOST_VALUES, cleaned

WHOLE = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")
REAL = (*WHOLE, "BOOL", "F16", "BF16", "F32", "F64")
PARAMETER = (*REAL, "C64")
FLOATING = ("F16", "BF16", "F32", "F64")


def snapshot_signature(tensors: schema.Stored) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of a snapshot's parameters. Raises RunError for what can't be parameters or other variables."""
    for name, (dtype, shape) in tensors.described.items():
        if dtype not in PARAMETER or math.prod(max(n, 1) for n in shape) > MOST_VALUES:
            raise RunError(f"{_shown(name)} holds {dtype}{list(shape)}, which is not a valid parameter", code="R103")
        if name != cleaned(name):
            raise RunError(f"the parameter {_shown(name)} has a name that can't be printed", code="R103")
    shapes = schema.parameter_shapes(tensors)
    if not shapes:
        raise RunError("it has no parameters", code="R103")
    return tuple(sorted(shapes.items()))


@dataclass(frozen=True)
class Expected:
    """The run that every activations file must agree with; `sizes` are those of the batches, where known, `values`
    how many values each evaluation target has, `embedded` whether the run names a layer that is embedded."""

    layers: Mapping[str, Layer]
    classes: int
    sizes: Mapping[str, int]
    values: int | None = None
    embedded: bool = False


def activations_problem(tensors: Tensors, expected: Expected) -> str | None:
    """The first problem with the shapes, types and indices of an activations file, in words; None for a sound one."""
    described = tensors.described
    there = [name for name in schema.OUTCOME if name in described]
    if there and len(there) < len(schema.OUTCOME):
        return f"{next(name for name in schema.OUTCOME if name not in described)} is missing"
    labels: tuple[int, ...] = ()
    if there:
        size = expected.sizes.get("evaluation")
        predictions, labels = described["predictions"][1], described["label_counts"][1]
        if predictions not in ((0,), (size,)) and (size is not None or len(predictions) != 1):
            return f"predictions are {list(predictions)} for {size} labels"
        if labels not in ((0,), (expected.classes,)):
            return f"label_counts are {list(labels)} for {expected.classes} classes"
        shapes = (("predictions", predictions, WHOLE), ("margins", predictions, FLOATING))
        for name, shape, kinds in (*shapes, ("label_counts", labels, WHOLE), ("input_sums", labels, FLOATING)):
            if described[name][1] != shape or described[name][0] not in kinds:
                return f"{name} is {described[name][0]}{list(described[name][1])}"
        if schema.SUMMED in described:
            labels, kind = described[schema.SUMMED][1], described[schema.SUMMED][0]
            if len(labels) != 1 or kind not in WHOLE:
                return f"{schema.SUMMED} is {kind}{list(labels)}"
    return (
        _outcome_problem(tensors, expected)
        or _vectors_problem(described, expected)
        or _ranking_problem(tensors, expected)
        or _layers_problem(described, labels, expected)
        or _top_problem(tensors, expected)
        or (_values_problem(tensors, expected) if there else None)
    )


def layer_vectors_problem(tensors: Tensors, expected: Expected) -> str | None:
    """The first problem with the file of layer vectors, in words; None for a sound one."""
    dtype, shape = tensors.described.get(schema.CHOSEN, ("", ()))
    if dtype not in WHOLE or len(shape) != 1:
        return f"{schema.CHOSEN} is {dtype}{list(shape)}"
    chosen = tensors[schema.CHOSEN]
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < expected.sizes.get("evaluation", 0):
        return f"{schema.CHOSEN} are not of the evaluation batch"
    for path in schema.renamed(tensors, schema.MEANS):
        layer, (dtype, shape) = expected.layers.get(path), tensors.described[f"{schema.MEANS}{path}"]
        if layer is None or shape != (len(chosen), layer.channels) or dtype not in FLOATING:
            return f"{_shown(path)} is {dtype}{list(shape)}"
    return None


_OUTCOMES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "multilabel/scores": (FLOATING, ("evaluation", "classes")),
    "regression/predictions": (FLOATING, ("evaluation", "values")),
    "dense/matrix": (WHOLE, ("classes", "classes")),
    "dense/right": (WHOLE, ("evaluation",)),
    "dense/counted": (WHOLE, ("evaluation",)),
    "dense/predicted": (WHOLE, ("probe", "...")),
    "tokens/loss_sums": (FLOATING, ("time",)),
    "tokens/counts": (WHOLE, ("time",)),
    "tokens/right": (WHOLE, ("time",)),
    "tokens/losses": (FLOATING, ("sequences", "time")),
    "tokens/best": (WHOLE, ("sequences", "time")),
    "reconstruction/errors": (FLOATING, ("evaluation",)),
    "reconstruction/outputs": (FLOATING, ("probe", "...")),
}
"""Tensor of an outcome -> its types, and what its axes count; equal words are equal sizes."""

_COUNTS = ("dense/matrix", "dense/right", "dense/counted", "tokens/counts", "tokens/right")


def _outcome_problem(tensors: Tensors, expected: Expected) -> str | None:
    """The first problem with the outcome of a task that is no classification, in words."""
    known = {**expected.sizes, "classes": expected.classes, "values": expected.values}
    sizes = {name: size for name, size in known.items() if size is not None}
    for kind in schema.OUTCOMES:
        names = schema.outcome_names(kind)
        there = [name for name in names if name in tensors]
        if there and len(there) < len(names):
            return f"{next(name for name in names if name not in tensors)} is missing"
        for name in there:
            types, axes = _OUTCOMES[name]
            dtype, shape = tensors.described[name]
            fixed = axes[:-1] if axes[-1] == "..." else axes
            fits = len(shape) >= len(fixed) if axes[-1] == "..." else len(shape) == len(fixed)
            if (
                not fits
                or dtype not in types
                or any(sizes.setdefault(axis, size) != size for axis, size in zip(fixed, shape, strict=False))
            ):
                return f"{name} is {dtype}{list(shape)}"
            if name in _COUNTS and (values := tensors[name]).size and not 0 <= values.min() <= values.max() < 2**53:
                return f"{name} runs from {values.min()} to {values.max()}"
    values = tensors["dense/predicted"] if "dense/predicted" in tensors else np.zeros(0)
    if values.size and not -1 <= values.min() <= values.max() < expected.classes:
        return f"dense/predicted runs from {values.min()} to {values.max()}, for {expected.classes} classes"
    return None


def _vectors_problem(described: Mapping[str, Any], expected: Expected) -> str | None:
    if expected.embedded and schema.VECTORS["embedding"] not in described:
        return f"{schema.VECTORS['embedding']} is missing"
    for batch, name in schema.VECTORS.items():
        dtype, shape = described.get(name, ("F32", (0, 0)))
        size = expected.sizes.get(batch, shape[0] if shape else 0)
        whole = batch == "embedding" and name in described and shape[:1] != (size,)
        if len(shape) != 2 or dtype not in REAL or shape[0] > size or whole:
            return f"{name} is {dtype}{list(shape)} for {size} examples"
    return None


def _ranking_problem(tensors: Tensors, expected: Expected) -> str | None:
    """The first problem with the most probable classes, in words."""
    for batch in schema.VECTORS:
        names = [f"{schema.TOP_CLASSES}{batch}/{part}" for part in ("classes", "probabilities")]
        there = [name for name in names if name in tensors]
        if len(there) == 1:
            return f"{there[0]} lacks its other part"
        if not there:
            continue
        shapes = [tensors.described[name][1] for name in names]
        size = expected.sizes.get(batch, shapes[0][0] if shapes[0] else 0)
        for name, shape, kinds in zip(names, shapes, (WHOLE, FLOATING), strict=True):
            if (
                len(shape) != 2
                or shape != (size, shapes[0][1])
                or not shape[1]
                or tensors.described[name][0] not in kinds
            ):
                return f"{name} is {tensors.described[name][0]}{list(shape)} for {size} examples"
        classes = tensors[names[0]]
        if classes.size and not -1 <= classes.min() <= classes.max() < expected.classes:
            return f"{names[0]} runs from {classes.min()} to {classes.max()}, for {expected.classes} classes"
    return None


def _layers_problem(described: Mapping[str, Any], labels: tuple[int, ...], expected: Expected) -> str | None:
    probes = set()
    for name, (dtype, shape) in described.items():
        prefix = name[: name.find("/") + 1]
        if prefix not in (schema.MAPS, schema.LABEL_SUMS, schema.MISSED_SUMS, schema.RANGES):
            continue
        layer = expected.layers.get(name.removeprefix(prefix))
        if layer is None:
            return f"{_shown(name)} belongs to no layer of the run"
        if prefix == schema.MAPS:
            probes.add(shape[:1])
        shapes = {
            schema.MAPS: (*shape[:1], *layer.shape),
            schema.LABEL_SUMS: (*labels, layer.channels),
            schema.MISSED_SUMS: (*labels, layer.channels),
            schema.RANGES: (2, layer.channels),
        }
        if shape != shapes[prefix] or dtype not in REAL:
            return f"{_shown(name)} is {dtype}{list(shape)}, not {list(shapes[prefix])}"
    size = expected.sizes.get("probe")
    if len(probes) > 1 or (size is not None and probes and probes != {(size,)}):
        return f"the activations are not of {size} probe inputs each"
    if probes & {(0,), ()}:
        return "the activations are of no input"
    return None


def _top_problem(tensors: Tensors, expected: Expected) -> str | None:
    """The first problem with the top-activating examples, in words."""
    parts = [set(schema.renamed(tensors, f"{schema.TOP}{part}/")) for part in schema.TOP_PARTS]
    if any(paths != parts[0] for paths in parts):
        return "the top examples of a layer lack a part"
    for path in sorted(parts[0]):
        layer, names = expected.layers.get(path), [f"{schema.TOP}{part}/{path}" for part in schema.TOP_PARTS]
        if layer is None:
            return f"{_shown(names[0])} belongs to no layer of the run"
        ranks = tensors.described[names[0]][1][:1]
        shape = (*ranks, layer.channels)
        for name, expect, kinds in zip(
            names, (shape, shape, (*shape, len(layer.positions))), (FLOATING, WHOLE, WHOLE), strict=True
        ):
            if tensors.described[name][1] != expect or tensors.described[name][0] not in kinds:
                return f"{_shown(name)} is {tensors.described[name][0]}{list(tensors.described[name][1])}"
        examples, positions = tensors[names[1]], tensors[names[2]]
        size = expected.sizes.get("evaluation", 0)
        outside = positions.size and (positions.max(axis=(0, 1)) >= layer.positions).any()
        if (examples.size and not -1 <= examples.min() <= examples.max() < size) or outside:
            return f"the top examples of {_shown(path)} are not of the run"
    return None


def _values_problem(tensors: Tensors, expected: Expected) -> str | None:
    predictions, counts = tensors["predictions"], tensors["label_counts"]
    if schema.SUMMED in tensors:
        summed = tensors[schema.SUMMED].astype(np.int64)
        if summed.size and not (summed[0] >= 0 and summed[-1] < len(counts) and (np.diff(summed) > 0).all()):
            return f"{schema.SUMMED} are not some of {len(counts)} labels, ascending"
    if predictions.size and not (predictions.min() >= -1 and predictions.max() < expected.classes):
        return f"predictions run from {predictions.min()} to {predictions.max()}, for {expected.classes} classes"
    if counts.size and not (counts.min() >= 0 and counts.max() < 2**53):
        return f"label_counts run from {counts.min()} to {counts.max()}"
    return None


def _shown(name: str) -> str:
    """A name from a file as a message has it: short, and fit to be printed."""
    text = cleaned(name).replace("\n", " ")
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
