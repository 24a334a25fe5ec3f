"""Check the batches that a training loop passes to the recorder, and select the part that is written.

batch = batch_of("probe", (images, labels))     # or images alone; inputs may be a dict or a tuple of arrays
batch = first(batch, 10)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from reportgen.core.examples import fingerprints
from reportgen.core.outcome import Kind, Task
from reportgen.core.run import Batch
from reportgen.errors import DataError
from reportgen.evaluate import MOST_VALUES, is_single
from reportgen.store import as_bytes

EMBEDDED = 2000
"""Evaluation examples that are embedded where no others are given."""

INPUT_BYTES = 64 << 20
"""Evaluation inputs kept in the run (a byte per value where they were bytes once)."""

EMBEDDED_BYTES = 8 << 20
"""Embedded inputs kept in the run, for the page to show."""

SAME = "it must give the same ones in the same order each time, without shuffling"

EXAMPLE = "inputs, or (inputs, targets), with the same number of examples"


def batch_of(name: str, data: Any) -> Batch:
    """The batch that is given as inputs, or as a pair (inputs, targets) with targets None for none.

    Inputs are an array [example, ...], or a dict or tuple of such arrays; targets an array [example, ...]. All of
    them may also come in batches: as a list of pairs or another iterable that can be gone through again, or as a
    function that returns an iterable. Raises DataError for anything else.
    """
    if isinstance(data, Batch):
        data = data.inputs, data.targets
    if callable(data):
        return _streamed(name, data)
    if isinstance(data, Iterator):
        raise DataError(
            f"{name} is a {type(data).__name__}, which ends after one pass; give a list of its batches, or a function "
            f"that returns a new one: {name}=lambda: ...",
            code="C102",
        )
    if _holds_batches(data):
        return _streamed(name, lambda: data)
    inputs, targets = _parted(name, data)
    return Batch(_size(name, inputs, targets), inputs, targets)


def _holds_batches(data: Any) -> bool:
    """Whether it is a list or loader of batches, and not an array, a pair or a dict of arrays."""
    if isinstance(data, Mapping | tuple | str | bytes) or hasattr(data, "__array__") or not isinstance(data, Iterable):
        return False
    if not isinstance(data, list):
        return True
    return bool(data) and isinstance(data[0], Mapping | tuple | list) and any(map(_is_array, jax.tree.leaves(data[0])))


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and np.ndim(value) > 0


def _streamed(name: str, give: Callable[[], Any]) -> Batch:
    """The batch that comes in parts, `give()` anew each time; of its inputs the first that the run keeps."""

    def parts() -> Iterator[tuple[Any, np.ndarray | None]]:
        given = give()
        if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
            raise DataError(
                f"the function given as {name} must return an iterable of batches, not {type(given).__name__}",
                code="C102",
            )
        if isinstance(given, tuple):  # one batch, as a pair
            given = [given]
        for part in given:
            # Loaders give lists where others give tuples.
            inputs, targets = _parted(name, tuple(part) if isinstance(part, list) else part)
            _size(name, inputs, targets)
            yield inputs, targets

    kept: list[tuple[Any, np.ndarray | None]] = []
    targets: list[np.ndarray] = []
    size = nbytes = 0
    for inputs, target in parts():
        count = jax.tree.leaves(inputs)[0].shape[0]
        size += count
        if nbytes < INPUT_BYTES:
            kept.append((inputs, target))
            nbytes += sum(leaf.nbytes for leaf in jax.tree.leaves(inputs))
        if target is not None:
            # Labels and a few values are kept of all examples, larger targets with the inputs.
            targets.append(target if target[0].size <= MOST_VALUES or len(kept) > len(targets) else target[:0])
    if not size:
        raise DataError(f"{name} holds no batch; it must be {EXAMPLE}", code="C101")
    if targets and len(targets) < len(kept):
        raise DataError(f"only some batches of {name} have targets; give each as a pair (inputs, targets)", code="C101")
    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(inputs for inputs, _ in kept))
    return Batch(
        size, whole, np.concatenate(targets) if targets else None, stream=_alike(name, parts, size, kept[0][0])
    )


def _alike(name: str, parts: Callable[[], Iterable[Any]], size: int, first: Any) -> Callable[[], Iterator[Any]]:
    """The parts, anew at each call; every pass must give `size` examples in all, of which the `first` are compared."""

    def again() -> Iterator[Any]:
        count = 0
        for inputs, targets in parts():
            if not count and not _equal(inputs, first):
                raise DataError(
                    f"{name} gives other examples than when the recorder was opened, and its pictures would be shown "
                    f"with answers to others; {SAME}",
                    code="C102",
                )
            count += jax.tree.leaves(inputs)[0].shape[0]
            yield inputs, targets
        if count != size:
            raise DataError(
                f"{name} held {size:,} examples when the recorder was opened, and {count:,} now; {SAME}", code="C102"
            )

    return again


def _equal(one: Any, other: Any) -> bool:
    """Whether two batches' inputs are the same, in batches of one size or of several: NaN is NaN."""
    pairs = list(zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=False))
    return all(np.array_equal(a[: len(b)], b[: len(a)], equal_nan=a.dtype.kind in "fc") for a, b in pairs)


def _parted(name: str, data: Any) -> tuple[Any, np.ndarray | None]:
    inputs, targets = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    try:
        inputs = jax.tree.map(np.asarray, inputs) if isinstance(inputs, Mapping | tuple) else np.asarray(inputs)
        targets = None if targets is None else np.asarray(targets)
    except (TypeError, ValueError) as error:
        if isinstance(data, list) and len(data) == 2:
            raise DataError(
                f"{name} is a list of two arrays; write a pair as a tuple: {name}=(inputs, targets)", code="C101"
            ) from error
        raise DataError(
            f"{name} must be {EXAMPLE}; {_named(data)} can't be made arrays ({error})", code="C101"
        ) from error
    for array in [*jax.tree.leaves(inputs), *([] if targets is None else [targets])]:
        if array.dtype.kind in "SU":
            raise DataError(
                f"{name} must be {EXAMPLE}, as numbers, not text; labels count from 0, classes=[...] has their names",
                code="C101",
            )
        if array.dtype.kind in "OMm":
            raise DataError(
                f"{name} must be {EXAMPLE}, as numbers; got {_named(data)} with values of type {array.dtype}",
                code="C101",
            )
    return inputs, targets


def _named(data: Any) -> str:
    return f"a {type(data).__name__}"


def _size(name: str, inputs: Any, targets: np.ndarray | None) -> int:
    """How many examples there are. Raises DataError for arrays of different numbers of them."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(inputs)]
    sizes = {shape[:1] for shape in shapes}
    shapes_text = ", ".join(str(list(shape)) for shape in shapes) or "nothing"
    if len(sizes) != 1 or sizes & {(), (0,)}:
        raise DataError(f"{name} must be {EXAMPLE}; got {shapes_text}", code="C101")
    if targets is not None and targets.shape[:1] != shapes[0][:1]:
        raise DataError(
            f"{name} must be {EXAMPLE}; got inputs {shapes_text} and targets {list(targets.shape)}", code="C101"
        )
    return int(shapes[0][0])


def all_batches(probe: Any, evaluation: Any, embedding: Any) -> dict[str, Batch]:
    """The batches of a run by name; without an embedding, it is the first evaluation examples, not given again."""
    if probe is None:
        raise DataError(
            "probe is missing: a few examples, as inputs or (inputs, targets), whose activations are kept", code="C101"
        )
    data = {"probe": probe, "evaluation": evaluation, "embedding": embedding}
    batches = {name: batch_of(name, value) for name, value in data.items() if value is not None}
    for name in ("probe", "embedding"):
        if name in batches:
            batches[name] = replace(first(batches[name], len(jax.tree.leaves(batches[name].inputs)[0])), stream=None)
    if embedding is None and evaluation is not None:
        batches["embedding"] = replace(first(batches["evaluation"], EMBEDDED), inputs=None)
    return batches


def with_fingerprints(batches: Mapping[str, Batch]) -> dict[str, Batch]:
    """The batches, those that runs are compared on with a fingerprint of each example; none where not all are held."""
    return {
        name: batch
        if name == "probe" or batch.inputs is None or len(jax.tree.leaves(batch.inputs)[0]) < batch.size
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
    """The batches as written: evaluation and embedding with the first inputs that fit.

    Targets of many values, as masks and pictures, are written for the examples whose inputs are.
    """
    recorded = dict(batches)
    for name, room in (("evaluation", INPUT_BYTES), ("embedding", EMBEDDED_BYTES)):
        batch = recorded.get(name)
        if batch is None:
            continue
        fitting, targets = 0, batch.targets
        if batch.inputs is not None:
            each = sum(as_bytes(leaf[:1])[0].nbytes for leaf in jax.tree.leaves(batch.inputs))
            fitting = max(1, room // max(each, 1))
        if targets is not None and np.size(targets[:1]) > MOST_VALUES:
            targets = targets[:fitting] if fitting else None
        inputs = examples(batch.inputs, fitting) if fitting else None
        # Where all inputs are kept, fingerprints can be had from them; the few of the embedding spare reading it.
        known = batch.fingerprints if fitting < batch.size or name == "embedding" else None
        recorded[name] = replace(batch, inputs=inputs, targets=targets, fingerprints=known)
    return recorded


def scored(batch: Batch, task: Task, shape: tuple[int, ...]) -> Batch:
    """The batch with targets as the task's kind has them, for an output of this shape.

    Labels int64 [example], a class per position int32 [example, *position], values float32 [example, value], several
    classes uint8 [example, class]; others as they are.
    """
    targets, stream = batch.targets, batch.stream
    if targets is None:
        return batch
    converted = (
        None if stream is None else lambda: ((inputs, _converted(part, task, shape)) for inputs, part in stream())
    )
    return replace(batch, targets=_converted(np.asarray(targets), task, shape), stream=converted)


def _converted(targets: np.ndarray, task: Task, shape: tuple[int, ...]) -> np.ndarray:
    match task.kind:
        case Kind.CLASSIFICATION:
            if not np.isfinite(targets).all():
                raise DataError("labels must be whole numbers, and some are not finite", code="C101")
            single = targets.ndim == 1 or is_single(targets.shape)
            return targets.reshape(-1).astype(np.int64) if single else targets.argmax(axis=1).astype(np.int64)
        case Kind.DENSE:
            one_hot = targets.shape[1:] == shape[1:] and shape[-1] > 1
            return (targets.argmax(axis=-1) if one_hot else targets.reshape(-1, *shape[1:-1])).astype(np.int32)
        case Kind.REGRESSION:
            return targets.reshape(len(targets), -1).astype(np.float32)
        case Kind.MULTILABEL:
            return targets.astype(np.uint8)
    if np.issubdtype(targets.dtype, np.integer):
        return targets.astype(np.int64 if targets.ndim == 1 else np.int32)
    return targets


def class_names(classes: Sequence[str] | None, batches: Mapping[str, Batch], scores: int) -> list[str]:
    """Names of the classes: those given, and numbers for further `scores` of the network, or for the labels.

    Raises DataError for labels without a name.
    """
    labels = [batch.labels for batch in batches.values() if len(batch.labels)]
    low, high = min((int(x.min()) for x in labels), default=0), max((int(x.max()) for x in labels), default=-1)
    names = [str(i) for i in range(high + 1)] if classes is None else [str(name) for name in classes]
    names += [str(i) for i in range(len(names), scores)]
    if low < 0 or high >= len(names):
        raise DataError(
            f"labels run from {low} to {high}, but there are {len(names)} classes, counted from 0", code="D103"
        )
    return names
