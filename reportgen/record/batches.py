"""Check the batches that a training loop passes to the recorder, and select the part that is written.

batch = batch_of("probe", (images, labels))     # or images alone; inputs may be a dict or a tuple of arrays
batch = first(batch, 10)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from reportgen.core.examples import fingerprints
from reportgen.core.run import Batch
from reportgen.errors import DataError
from reportgen.store import as_bytes

EMBEDDED = 2000
"""Evaluation examples that are embedded where no others are given."""

INPUT_BYTES = 64 << 20
"""Evaluation inputs kept in the run (a byte per value where they were bytes once)."""


def batch_of(name: str, data: Any) -> Batch:
    """The batch that is given as inputs, or as a pair (inputs, targets) with targets None for none.

    Inputs are an array [example, ...], or a dict or tuple of such arrays; targets whole numbers [example].
    Raises DataError for anything else.
    """
    if isinstance(data, Batch):
        data = data.inputs, data.targets
    inputs, targets = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    inputs = jax.tree.map(np.asarray, inputs) if isinstance(inputs, Mapping | tuple) else np.asarray(inputs)
    shapes = [leaf.shape for leaf in jax.tree.leaves(inputs)]
    sizes = {shape[:1] for shape in shapes}
    shapes_text = ", ".join(str(list(shape)) for shape in shapes) or "nothing"
    if len(sizes) != 1 or sizes & {(), (0,)}:
        raise DataError(
            f"{name} must be inputs, or (inputs, labels), with the same number of examples; got {shapes_text}"
        )
    if targets is None:
        return Batch(shapes[0][0], inputs)
    targets = np.asarray(targets)
    if targets.shape != shapes[0][:1] or not np.issubdtype(targets.dtype, np.integer):
        raise DataError(
            f"{name} must be (inputs, labels) with a whole number for each example; "
            f"got inputs {shapes_text} and labels {list(targets.shape)} of type {targets.dtype}"
        )
    return Batch(shapes[0][0], inputs, targets.astype(np.int64))


def all_batches(probe: Any, evaluation: Any, embedding: Any) -> dict[str, Batch]:
    """The batches of a run by name; without an embedding, it is the first evaluation examples, not given again."""
    data = {"probe": probe, "evaluation": evaluation, "embedding": embedding}
    batches = {name: batch_of(name, value) for name, value in data.items() if value is not None}
    if embedding is None and evaluation is not None:
        batches["embedding"] = replace(first(batches["evaluation"], EMBEDDED), inputs=None)
    return batches


def with_fingerprints(batches: Mapping[str, Batch]) -> dict[str, Batch]:
    """The batches, those that runs are compared on with a fingerprint of each example."""
    return {
        name: batch
        if name == "probe" or batch.inputs is None
        else replace(batch, fingerprints=fingerprints(batch.inputs))
        for name, batch in batches.items()
    }


def first(batch: Batch, count: int) -> Batch:
    """The first `count` examples of a batch."""
    targets = None if batch.targets is None else batch.targets[:count]
    return Batch(min(batch.size, count), examples(batch.inputs, count), targets)


def examples(inputs: Any, count: int) -> Any:
    """The inputs of the first `count` examples."""
    return jax.tree.map(lambda leaf: leaf[:count], inputs)


def recorded_part(batches: Mapping[str, Batch]) -> dict[str, Batch]:
    """The batches as written: evaluation with the first inputs that fit, the embedding without any."""
    recorded = dict(batches)
    if evaluation := recorded.get("evaluation"):
        each = sum(as_bytes(leaf[:1])[0].nbytes for leaf in jax.tree.leaves(evaluation.inputs))
        fitting = max(1, INPUT_BYTES // max(each, 1))
        # Where all inputs are kept, fingerprints can be had from them.
        known = evaluation.fingerprints if fitting < evaluation.size else None
        recorded["evaluation"] = replace(evaluation, inputs=examples(evaluation.inputs, fitting), fingerprints=known)
    if embedding := recorded.get("embedding"):
        recorded["embedding"] = replace(embedding, inputs=None)
    return recorded


def class_names(classes: Sequence[str] | None, batches: Mapping[str, Batch]) -> list[str]:
    """Names of the labels, by default their numbers. Raises DataError for labels without a name."""
    labels = [batch.targets for batch in batches.values() if batch.targets is not None]
    low, high = min((int(x.min()) for x in labels), default=0), max((int(x.max()) for x in labels), default=-1)
    names = [str(i) for i in range(high + 1)] if classes is None else [str(name) for name in classes]
    if low < 0 or high >= len(names):
        raise DataError(f"labels run from {low} to {high}, but there are {len(names)} classes, counted from 0")
    return names
