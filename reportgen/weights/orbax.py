"""Orbax checkpoints: a folder of arrays, or a CheckpointManager's folder with one per step.

    tree = read_orbax(Path("checkpoint"))           # by PyTreeCheckpointer or StandardCheckpointer
    tree = read_orbax(Path("manager"), step=200)    # without step: the last

No model class is needed: the tree is the one that was saved, of `Stored` arrays, whatever devices it was saved from.
Source: orbax-checkpoint 0.12, `PyTreeCheckpointHandler`, which writes the arrays of its first and its second API.
"""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.paths import orbax_path
from reportgen.errors import WeightsError
from reportgen.npz import size_limit
from reportgen.weights.tree import Stored, Tree, check_numbers, nest_parts

MARK = "_METADATA"
"""Lies in every folder that holds a tree of arrays."""

STEP_MARK = "_CHECKPOINT_METADATA"
"""Lies in the folder of a checkpoint: when it was begun and finished, in nanoseconds."""

BEING_WRITTEN = ".orbax-checkpoint-tmp"
"""Part of the name of a folder that is still being written, or never was finished."""

_FINISHED = "commit_success.txt"


def read_orbax(path: Path, step: int | None = None) -> Tree:
    """The tree in an Orbax folder: of `step`, or of the last one, where it is a CheckpointManager's.

    Of several items in a step each is a branch under its name. Raises WeightsError: no Orbax folder, a step that is
    not there (those that are are listed) or was asked of a single checkpoint, one that was never finished, damaged or
    missing files, sizes that the files can't hold. Raises OptionError for a path that is not UTF-8.
    """
    orbax_path(path)
    with _named(path):
        folder = _step_folder(path, step)
    with _named(folder):
        if reason := unfinished(folder):
            raise WeightsError(reason, code="W102")
        items = _items(folder)
        trees = {name: _described(place) for name, place in items.items()}
        return trees.get("", trees)


def steps_in(path: Path) -> dict[int, Path]:
    """Step -> folder of the steps in a CheckpointManager's folder: "200", "step_000200"."""
    steps = {}
    for entry in sorted(path.iterdir()):
        name = re.fullmatch(r"(?:\w+_)?(\d{1,18})", entry.name)
        if name and entry.is_dir():
            steps[int(name[1])] = entry
    return steps


def unfinished(folder: Path) -> str | None:
    """Why a checkpoint's folder is one that was begun and not finished; None for a finished one."""
    if BEING_WRITTEN in folder.name:
        return "it was not finished: its name is that of a checkpoint being written"
    began, ended = _times(folder)
    if began is not None and ended is None and not (folder / _FINISHED).exists():
        return f"it was not finished: its {STEP_MARK} says when it was begun, and not that it was completed"
    return None


def finished_at(folder: Path) -> float | None:
    """When a checkpoint was completed, in seconds since 1970, by its own metadata; None where that does not say."""
    return _times(folder)[1]


def _times(folder: Path) -> tuple[float | None, float | None]:
    try:
        stated = json.loads((folder / STEP_MARK).read_text(encoding="utf-8"))
        began, ended = (stated.get(f"{name}_timestamp_nsecs") for name in ("init", "commit"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None, None
    return tuple(x / 1e9 if isinstance(x, int) else None for x in (began, ended))  # type: ignore[return-value]


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Raise whatever is raised within as a WeightsError that names the folder."""
    try:
        yield
    except WeightsError as problem:
        raise WeightsError(f"{folder}: {problem}", code=problem.code) from problem
    except Exception as problem:  # tensorstore and json raise a dozen kinds for damaged files
        first_line = str(problem).partition("\n")[0][:300]
        raise WeightsError(f"{folder}: not a readable Orbax checkpoint ({first_line})", code="F102") from problem


def _step_folder(path: Path, step: int | None) -> Path:
    steps = steps_in(path)
    if (path / MARK).is_file() or not steps:
        if step is not None:
            raise WeightsError(f"a single checkpoint, without steps; leave step {step} out", code="W107")
        return path
    if step is None:
        step = max(steps)
    if step not in steps:
        listed = ", ".join(str(known) for known in sorted(steps)[-40:])
        raise WeightsError(f"no step {step}; it has {listed}", code="W107")
    return steps[step]


def _items(folder: Path) -> dict[str, Path]:
    """Name -> folder of arrays; "" for the only one."""
    if (folder / MARK).is_file():
        return {"": folder}
    items = {mark.parent.name: mark.parent for mark in sorted(folder.glob(f"*/{MARK}"))}
    if not items:
        raise WeightsError("no Orbax checkpoint in this folder", code="F102")
    return items if len(items) > 1 else {"": next(iter(items.values()))}


def _described(folder: Path) -> Tree:
    """The tree that `_METADATA` describes; empty nodes and strings are left out.

    By TensorStore, an array at a time. Orbax reads all at once: where one can't be read, it closes its event loop with
    the others under way, and each of them prints a traceback later.
    """
    import tensorstore

    described = json.loads((folder / MARK).read_text(encoding="utf-8"))
    driver = "zarr3" if described.get("use_zarr3") else "zarr"
    packed = (folder / "manifest.ocdbt").is_file()
    begun: dict[tuple[str, ...], Any] = {}
    for entry in described["tree_metadata"].values():
        value = entry["value_metadata"]
        if value.get("skip_deserialize") or value["value_type"] == "string":
            continue
        path = tuple(str(key["key"]) for key in entry["key_metadata"])
        name = ".".join(path)
        place = folder.absolute() / name
        # In a folder of its own an array's name is a path, and may be an absolute one.
        if not place.resolve().is_relative_to(folder.resolve()):
            raise WeightsError(f"entry {name!r} points out of the folder", code="F102")
        where = (
            {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder.absolute()}/"}, "path": f"{name}/"}
            if packed
            else {"driver": "file", "path": f"{place}/"}
        )
        spec = {"driver": driver, "kvstore": where, "fill_missing_data_reads": False}
        begun[path] = tensorstore.open(spec, open=True, read=True)
    stores = {path: opening.result() for path, opening in begun.items()}
    limit = size_limit(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
    claimed = sum(_unfolded(store) for store in stores.values())
    if claimed > limit:
        raise WeightsError(
            f"claims {claimed:,} bytes of arrays, more than the {limit:,} its files may hold", code="F103"
        )
    tree = {}
    for path, store in stores.items():
        check_numbers(store.dtype.numpy_dtype, "/".join(path))
        tree[path] = Stored(tuple(map(int, store.shape)), store.dtype.numpy_dtype, partial(_read, folder, store))
    return nest_parts(tree)


def _read(folder: Path, store: Any) -> np.ndarray:
    with _named(folder):
        array: np.ndarray = store.read().result()
        return array


def _unfolded(store: Any) -> int:
    """Bytes that reading an array may take: a chunk is unfolded whole, however little of it belongs to the array."""
    chunk = [int(size or 1) for size in store.chunk_layout.read_chunk.shape or ()]
    width = int(store.dtype.numpy_dtype.itemsize)
    return max(math.prod(map(int, store.shape)), math.prod(chunk)) * width
