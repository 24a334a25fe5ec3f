"""Names of the tensors in a run directory's files, written here alone.

    write_tensors(file, observation_tensors(observation), place(step, epoch))
    observation = read_observation(Tensors(file))

docs/run-format.md describes them in prose. A layer, a collection or a part of an input stands behind a slash.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from reportgen.core.outcome import (
    Classification,
    Dense,
    Kind,
    MultiLabel,
    Outcome,
    Reconstruction,
    Regression,
    Tokens,
)
from reportgen.core.run import LayerVectors, Observation, Snapshot, TopClasses, TopExamples
from reportgen.errors import DamagedError
from reportgen.store.files import Lazy, Tensors, Unread
from reportgen.store.log import Record
from reportgen.store.packed import DTYPES

MAPS, RANGES, VARIABLES, TOP = "maps/", "extremes/", "variables/", "top/"
LABEL_SUMS, MISSED_SUMS = "label_sums/", "missed_sums/"
TOP_PARTS = ("values", "examples", "positions")
OUTCOME = ("predictions", "margins", "label_counts", "input_sums")
SUMMED = "summed_labels"
CHOSEN, MEANS = "examples", "means/"
OUTCOMES: Mapping[Kind, type[Outcome]] = {
    Kind.MULTILABEL: MultiLabel,
    Kind.REGRESSION: Regression,
    Kind.DENSE: Dense,
    Kind.TOKENS: Tokens,
    Kind.RECONSTRUCTION: Reconstruction,
}
"""Outcomes whose fields are tensors behind the kind's name: "regression/predictions"."""

TOP_CLASSES = "top_classes/"
"""Of a batch: `top_classes/evaluation/probabilities`."""

Stored = Tensors | Record
"""Arrays of a file, or of a record of a log."""

VECTORS = {"embedding": "embedding_vectors", "evaluation": "evaluation_vectors"}


def place(step: int, epoch: int) -> dict[str, str]:
    """Metadata of a file: its step and epoch."""
    return {"step": str(step), "epoch": str(epoch)}


def read_place(tensors: Stored) -> tuple[int, int]:
    """(step, epoch) as a file states them."""
    try:
        step, epoch = (int(tensors.metadata[name]) for name in ("step", "epoch"))
    except (KeyError, ValueError) as error:
        raise DamagedError(f"{tensors.path} does not state its step and epoch", code="R103") from error
    if not (0 <= step < 2**53 and 0 <= epoch < 2**53):
        raise DamagedError(f"{tensors.path} says it is of step {step}, epoch {epoch}", code="R103")
    return step, epoch


COLLECTIONS = {"names": "collection/name"}
"""Metadata of a snapshot whose tensors are named by collection; without it, of format 1, all are parameters."""


def variable_tensors(variables: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The tensors of a snapshot."""
    return {f"{kind}/{name}": value for kind, tree in variables.items() for name, value in tree.items()}


def variables_of(tensors: Stored, beside: Tensors | None = None) -> dict[str, Mapping[str, np.ndarray]]:
    """Collection -> name -> array of a snapshot, read when asked for.

    Format 1 kept other collections than parameters with the step's activations, `beside`.
    """
    if tensors.metadata.get("names") == COLLECTIONS["names"]:
        return {"params": renamed(tensors, "params/"), **_collections(tensors, "")}
    return {"params": renamed(tensors, ""), **({} if beside is None else _collections(beside, VARIABLES))}


def parameter_shapes(tensors: Stored) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of a snapshot by their names, from its header alone."""
    prefix = "params/" if tensors.metadata.get("names") == COLLECTIONS["names"] else ""
    shapes = {name: shape for name, (_, shape) in tensors.described.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): shape for name, shape in shapes.items()}


def _collections(tensors: Stored, prefix: str) -> dict[str, Mapping[str, np.ndarray]]:
    kinds = dict.fromkeys(n.removeprefix(prefix).partition("/")[0] for n in tensors if n.startswith(prefix))
    return {kind: renamed(tensors, f"{prefix}{kind}/") for kind in kinds}


def read_snapshot(tensors: Stored, beside: Tensors | None = None) -> Snapshot:
    """The variables in one record, or in one file of an earlier format."""
    return Snapshot(*read_place(tensors), variables_of(tensors, beside))


def observation_tensors(observation: Observation) -> dict[str, np.ndarray]:
    """The tensors of an activations file."""
    outcome = observation.outcome
    tensors: dict[str, np.ndarray] = {}
    if isinstance(outcome, Classification):
        tensors["input_sums"] = outcome.input_sums
        tensors[SUMMED] = outcome.summed
        tensors |= {f"{LABEL_SUMS}{path}": value for path, value in outcome.label_sums.items()}
        tensors |= {f"{MISSED_SUMS}{path}": value for path, value in outcome.missed_sums.items()}
    tensors |= {f"{RANGES}{path}": value for path, value in observation.ranges.items()}
    if isinstance(outcome, Classification):
        fixed = (outcome.label_counts, outcome.predictions, outcome.logit_gap)
        tensors |= dict(zip(("label_counts", "predictions", "margins"), fixed, strict=True))
    for kind, outcome_type in OUTCOMES.items():
        if isinstance(outcome, outcome_type):
            tensors |= {name: getattr(outcome, name.partition("/")[2]) for name in outcome_names(kind)}
    tensors |= {VECTORS[batch]: value for batch, value in observation.vectors.items()}
    for batch, ranked in observation.top_classes.items():
        tensors |= {f"{TOP_CLASSES}{batch}/{part.name}": getattr(ranked, part.name) for part in fields(TopClasses)}
    for path, top in observation.top.items():
        tensors |= {f"{TOP}{part}/{path}": getattr(top, part) for part in TOP_PARTS}
    return tensors | {f"{MAPS}{path}": value for path, value in observation.maps.items()}


def layer_vector_tensors(vectors: LayerVectors) -> dict[str, np.ndarray]:
    """The tensors of the file of layer vectors."""
    return {CHOSEN: vectors.examples, **{f"{MEANS}{path}": value for path, value in vectors.vectors.items()}}


def read_observation(tensors: Tensors, beside: Tensors | None = None) -> Observation:
    """One activations file, with the layer vectors `beside` it."""
    ranges = renamed(tensors, RANGES)
    return Observation(
        *read_place(tensors),
        maps=renamed(tensors, MAPS),
        ranges=Lazy(ranges, lambda path: _as(np.float32, ranges[path])),
        vectors=Lazy(
            {batch: name for batch, name in VECTORS.items() if name in tensors}, lambda n: tensors[VECTORS[n]]
        ),
        outcome=_read_outcome(tensors),
        top=_read_top(tensors),
        layer_vectors=None if beside is None else LayerVectors(_as(np.int64, beside[CHOSEN]), renamed(beside, MEANS)),
        top_classes={
            batch: TopClasses(_as(np.int32, ranked["classes"]), _as(np.float32, ranked["probabilities"]))
            for batch in VECTORS
            if len(ranked := renamed(tensors, f"{TOP_CLASSES}{batch}/"))
        },
    )


def _read_top(tensors: Tensors) -> dict[str, TopExamples]:
    values, examples, positions = (renamed(tensors, f"{TOP}{part}/") for part in TOP_PARTS)
    return {
        path: TopExamples(_as(np.float32, values[path]), _as(np.int64, examples[path]), _as(np.int64, positions[path]))
        for path in values
    }


def _as(dtype: type, value: np.ndarray) -> np.ndarray:
    """The value as a type of `core.run` has it: another program may have written the same numbers as another type."""
    return value.astype(dtype, copy=False)


def outcome_names(kind: Kind) -> list[str]:
    """Names of the tensors of an outcome of this kind, in the order of its fields."""
    return [f"{kind}/{part.name}" for part in fields(OUTCOMES[kind])]


def _of_outcome(name: str, value: np.ndarray) -> np.ndarray:
    real = np.float64 if name == "tokens/loss_sums" else np.float32
    return _as(np.int64 if value.dtype.kind in "iu" else real, value)


def _read_outcome(tensors: Tensors) -> Outcome | None:
    for kind, outcome_type in OUTCOMES.items():
        names = outcome_names(kind)
        if all(name in tensors for name in names):
            parts: dict[str, Any] = {name.partition("/")[2]: _of_outcome(name, tensors[name]) for name in names}
            return outcome_type(**parts)
    # Format 1 has empty arrays where nothing was predicted.
    if any(name not in tensors for name in OUTCOME) or 0 in tensors.described["label_counts"][1]:
        return None
    predictions, gap, counts, sums = (tensors[name] for name in OUTCOME)
    # Formats 1 and 2 have a row for every label.
    summed = _as(np.int64, tensors[SUMMED]) if SUMMED in tensors.described else None
    right, missed = (renamed(tensors, prefix) for prefix in (LABEL_SUMS, MISSED_SUMS))
    return Classification(
        _as(np.int64, predictions),
        _as(np.float32, gap),
        _as(np.int64, counts),
        Lazy(right, lambda path: _as(np.float64, right[path])),
        _as(np.float64, sums),
        summed,
        missed_sums=Lazy(missed, lambda path: _as(np.float64, missed[path])),
    )


def renamed(tensors: Stored, prefix: str) -> Unread:
    """The tensors whose names begin with a prefix, under the rest of their names, in file order."""
    names = dict.fromkeys(name.removeprefix(prefix) for name in tensors if name.startswith(prefix))

    def form(name: str) -> np.ndarray:
        dtype, shape = tensors.described[prefix + name]
        return np.broadcast_to(np.zeros((), DTYPES[dtype]), shape)

    return Unread(names, lambda name: tensors[prefix + name], form)
