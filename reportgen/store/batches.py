"""data.safetensors: the inputs and targets of a run's batches.

    tensors, metadata = batch_tensors({"probe": Batch(10, images, labels)})
    batches = read_batches(file, classes=10, problems=[])

Inputs are `NAME_images`, or `NAME_images/PART` where they are several arrays; labels are `NAME_labels`, other targets
`NAME_targets`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from reportgen.core.examples import leaves
from reportgen.core.run import Batch, LazyArray, Preprocessing
from reportgen.errors import RunError
from reportgen.store.checks import REAL, WHOLE
from reportgen.store.files import Tensors
from reportgen.store.header import cleaned

T = TypeVar("T")

BATCHES = ("probe", "evaluation", "embedding")
WITH_INPUTS = ("probe", "evaluation")
SMALL = 64
"""Values of a target that is read at once for all examples."""

DIVISOR = "_divisor"
PICTURES = "_pictures"
FINGERPRINTS = "_fingerprints"


def batch_tensors(batches: Mapping[str, Batch]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of data.safetensors, and its metadata."""
    tensors: dict[str, np.ndarray] = {}
    for name, batch in batches.items():
        for part, array in leaves(batch.inputs).items():
            key = f"{name}_images/{part}".rstrip("/")
            tensors[key], was_scaled = as_bytes(np.asarray(array))
            if was_scaled:
                tensors[f"{key}{DIVISOR}"] = np.array(255)
        if batch.targets is not None:
            labels = len(batch.labels) > 0
            tensors[f"{name}_{'labels' if labels else 'targets'}"] = np.asarray(batch.targets)
        if batch.pictures is not None:
            tensors[f"{name}{PICTURES}"] = _whole_numbers(np.asarray(batch.pictures))
        if batch.fingerprints is not None:
            tensors[f"{name}{FINGERPRINTS}"] = batch.fingerprints
    stated = {name: _stated(batch) for name, batch in batches.items()}
    return tensors, {"batches": msgspec.json.encode(stated, order="sorted").decode()}


class Stated(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch in the metadata: its size, the arrays it has, names and preprocessing."""

    size: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    labels: bool
    targets: bool = False
    inputs: bool = True
    pictures: bool = False
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    fingerprints: bool = False


def _stated(batch: Batch) -> Stated:
    return Stated(
        batch.size,
        len(batch.labels) > 0,
        batch.targets is not None and not len(batch.labels),
        batch.inputs is not None,
        batch.pictures is not None,
        batch.names,
        batch.notes,
        batch.preprocessing,
        batch.fingerprints is not None,
    )


def _whole_numbers(pictures: np.ndarray) -> np.ndarray:
    """Pictures from 0 to 255 as bytes where they are whole numbers."""
    return pictures.astype(np.uint8) if np.array_equal(pictures, np.rint(pictures)) else pictures


def as_bytes(images: np.ndarray) -> tuple[np.ndarray, bool]:
    """Images that are n/255 for whole n as uint8, and True; others as they are, and False.

    Data sets come in bytes; a quarter of the space keeps exactly what was fed to the network.
    """
    if (
        images.dtype != np.float32
        or not np.isfinite(images).all()
        or images.min(initial=0) < 0
        or images.max(initial=0) > 1
    ):
        return images, False
    whole = np.rint(images * np.float32(255)).astype(np.uint8)
    exact = np.array_equal(whole.astype(np.float32) / 255, images)
    return (whole, True) if exact else (images, False)


def read_batches(file: Path, classes: int, problems: list[str]) -> dict[str, Batch]:
    """The batches of a run. Anything unreadable or inconsistent is omitted and named in `problems`.

    Inputs that were kept as bytes come back as what was fed in; of several arrays, tuples come back as dicts.
    """
    try:
        tensors = Tensors(file)
    except RunError as error:
        problems.append(f"images and labels left out: {error}".replace(f"{file.parent}/", ""))
        return {}
    batches = {}
    for name, stated in _stated_batches(tensors).items():
        size = stated.size
        inputs = _read(problems, f"{name}_images", _inputs, tensors, name) if stated.inputs else None
        pictures = (
            _read(problems, f"{name}{PICTURES}", _array, tensors, f"{name}{PICTURES}") if stated.pictures else None
        )
        targets: np.ndarray | LazyArray | None
        targets = _read(problems, f"{name}_labels", _labels, tensors, name, classes) if stated.labels else None
        count = min((len(array) for array in leaves(inputs).values()), default=0)
        if targets is not None and count > len(targets):
            problems.append(f"{name}_images left out: there are {count} for {len(targets)} labels")
            inputs = None
        if targets is not None:
            size = len(targets)
        size = max(size, count) if targets is None else size
        known = (
            _read(problems, f"{name}{FINGERPRINTS}", _fingerprints, tensors, name, size)
            if stated.fingerprints
            else None
        )
        if stated.targets:
            targets = _read(problems, f"{name}_targets", _targets, tensors, name, size)
        named = (stated.names, pictures, stated.preprocessing, stated.notes, known)
        batches[name] = Batch(size, inputs, targets, *named)
    return batches


def _read(problems: list[str], name: str, read: Callable[..., T], tensors: Tensors, *arguments: Any) -> T | None:
    """What `read` returns; None, and a problem in words, where it raises."""
    try:
        return read(tensors, *arguments)
    except (RunError, ValueError) as error:
        problems.append(f"{name} left out: {error}".replace(f"{tensors.path.parent}/", ""))
        return None


def _stated_batches(tensors: Tensors) -> dict[str, Stated]:
    """The batches that the file declares. Format 1 had all three, with labels."""
    try:
        content = cleaned(msgspec.json.decode(tensors.metadata["batches"]))
        stated: dict[str, Stated] = msgspec.convert(content, dict[Literal["probe", "evaluation", "embedding"], Stated])
        return stated
    except (KeyError, ValueError, RecursionError):
        return {name: Stated(0, True, inputs=name in WITH_INPUTS) for name in BATCHES}


def _inputs(tensors: Tensors, batch: str) -> Any:
    """A batch's inputs. Raises ValueError for anything that can't be inputs."""
    name = f"{batch}_images"
    if name in tensors:
        array = _array(tensors, name)
        # Probe examples are few and shown whole; of the others only those that are looked at are read.
        return array[:] if batch == "probe" else array
    parts = [part for part in tensors if part.startswith(f"{name}/") and not part.endswith(DIVISOR)]
    if not parts:
        raise ValueError("it is missing")
    tree: dict[str, Any] = {}
    for part in parts:
        *outer, last = part.removeprefix(f"{name}/").split("/")
        node = tree
        for key in outer:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise ValueError(f"{part} is a part of another part")
        array = _array(tensors, part)
        node[last] = array[:] if batch == "probe" else array
    return tree


def _array(tensors: Tensors, name: str) -> LazyArray:
    dtype, shape = tensors.described[name]
    if dtype not in REAL or not shape or 0 in shape:
        raise ValueError(f"{dtype}{list(shape)} is not a valid type and shape of values")
    tensors.check(name)
    divided = f"{name}{DIVISOR}" in tensors and dtype == "U8"
    return LazyArray(shape, partial(_fed_in, tensors, name, divided))


def _targets(tensors: Tensors, batch: str, size: int) -> np.ndarray | LazyArray:
    """A batch's targets that are no labels; large ones of the evaluation are read when they are looked at."""
    array = _array(tensors, f"{batch}_targets")
    if len(array) > size:
        raise ValueError(f"there are {len(array)} for {size} examples")
    return array[:] if batch == "probe" or np.prod(array.shape[1:], dtype=float) <= SMALL else array


def _labels(tensors: Tensors, batch: str, classes: int) -> np.ndarray:
    """A batch's labels. Raises ValueError for anything that can't be labels."""
    name = f"{batch}_labels"
    if name not in tensors:
        raise ValueError("it is missing")
    dtype, shape = tensors.described[name]
    if dtype not in WHOLE or len(shape) != 1:
        raise ValueError(f"{dtype}{list(shape)} is not a valid type and shape of labels")
    labels = tensors[name]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"they run from {labels.min()} to {labels.max()}, for {classes} classes")
    return labels.astype(np.int64)


def _fingerprints(tensors: Tensors, batch: str, size: int) -> np.ndarray:
    """A batch's fingerprints. Raises ValueError for anything that can't be those of `size` examples."""
    name = f"{batch}{FINGERPRINTS}"
    if name not in tensors:
        raise ValueError("it is missing")
    if tensors.described[name] != ("U64", (size,)):
        raise ValueError(f"{tensors.described[name]} is not a fingerprint for each of {size} examples")
    return tensors[name]


def _fed_in(tensors: Tensors, name: str, divided: bool, chosen: Any) -> np.ndarray:
    images = tensors.rows(name, chosen)
    return np.divide(images, np.float32(255), dtype=np.float32) if divided else images
