"""Orbax checkpoints: a folder of arrays, or a CheckpointManager's folder with one per step.

    tree = read_orbax(Path("checkpoint"))           # by PyTreeCheckpointer or StandardCheckpointer
    tree = read_orbax(Path("manager"), step=200)    # without step: the last

No model class is needed: the tree is the one that was saved, with NumPy arrays, whatever devices it was
saved from. Source: orbax-checkpoint 0.12, `PyTreeCheckpointHandler`, which writes both layouts.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from reportgen.errors import WeightsError
from reportgen.npz import size_limit
from reportgen.weights.tree import Tree, as_tree

MARK = "_METADATA"  # lies in every folder that holds a tree of arrays
ITEMS = ("default", "params", "state", "model")  # a step's items, the one with the weights first


def read_orbax(path: Path, step: int | None = None) -> Tree:
    """The tree in an Orbax folder: of `step`, or of the last one, where it is a CheckpointManager's.

    Of several items in a step the one named default, params, state or model is read, in this order, or
    the only one. Raises WeightsError: no Orbax folder, a step that is not there (those that are are
    listed) or was asked of a single checkpoint, damaged or missing files, sizes that the files can't hold.
    """
    folder = path
    try:
        folder = _locate(path, step)
        return as_tree(_restore(folder))
    except WeightsError as problem:
        raise WeightsError(f"{folder}: {problem}") from problem
    except Exception as problem:  # Orbax, tensorstore and json raise a dozen kinds for damaged files
        first_line = str(problem).partition("\n")[0][:300]
        raise WeightsError(f"{folder}: not a readable Orbax checkpoint ({first_line})") from problem


def _locate(path: Path, step: int | None) -> Path:
    """The folder of arrays below `path`."""
    steps = {}
    for entry in sorted(path.iterdir()):
        # "200", "step_000200"; what is still being written is named otherwise.
        name = re.fullmatch(r"(?:\w+_)?(\d{1,18})", entry.name)
        if name and entry.is_dir():
            steps[int(name[1])] = entry
    if (path / MARK).is_file() or not steps:
        if step is not None:
            raise WeightsError(f"a single checkpoint, without steps; leave step {step} out")
        return _item(path)
    if step is None:
        step = max(steps)
    if step not in steps:
        listed = ", ".join(str(known) for known in sorted(steps)[-40:])
        raise WeightsError(f"no step {step}; it has {listed}")
    return _item(steps[step])


def _item(path: Path) -> Path:
    if (path / MARK).is_file():
        return path
    items = sorted(mark.parent.name for mark in path.glob(f"*/{MARK}"))
    wanted = next((name for name in ITEMS if name in items), None)
    if wanted is None and len(items) != 1:
        if not items:
            raise WeightsError("no Orbax checkpoint in this folder")
        raise WeightsError(f"which of its items {', '.join(items)} holds the weights is unclear; give its folder")
    return path / (wanted or items[0])


def _restore(folder: Path) -> Tree:
    """The tree that `_METADATA` describes; empty nodes and strings are left out.

    By TensorStore, an array at a time. Orbax reads all at once: where one can't be read, it closes its event loop with
    the others under way, and each of them prints a traceback later.
    """
    import tensorstore
    from flax.traverse_util import unflatten_dict

    described = json.loads((folder / MARK).read_text(encoding="utf-8"))
    driver = "zarr3" if described.get("use_zarr3") else "zarr"
    packed = (folder / "manifest.ocdbt").is_file()
    stores: dict[tuple[str, ...], Any] = {}
    for entry in described["tree_metadata"].values():
        value = entry["value_metadata"]
        if value.get("skip_deserialize") or value["value_type"] == "string":
            continue
        path = tuple(str(key["key"]) for key in entry["key_metadata"])
        name = ".".join(path)
        place = folder.absolute() / name
        # In a folder of its own an array's name is a path, and may be an absolute one.
        if not place.resolve().is_relative_to(folder.resolve()):
            raise WeightsError(f"entry {name!r} points out of the folder")
        where = (
            {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder.absolute()}/"}, "path": f"{name}/"}
            if packed
            else {"driver": "file", "path": f"{place}/"}
        )
        spec = {"driver": driver, "kvstore": where, "fill_missing_data_reads": False}
        stores[path] = tensorstore.open(spec, open=True, read=True).result()
    limit = size_limit(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
    claimed = sum(_unfolded(store) for store in stores.values())
    if claimed > limit:
        raise WeightsError(f"claims {claimed:,} bytes of arrays, more than the {limit:,} its files may hold")
    return dict(unflatten_dict({path: store.read().result() for path, store in stores.items()}))


def _unfolded(store: Any) -> int:
    """Bytes that reading an array may take: a chunk is unfolded whole, however little of it belongs to the array."""
    chunk = [int(size or 1) for size in store.chunk_layout.read_chunk.shape or ()]
    width = int(store.dtype.numpy_dtype.itemsize)
    return max(math.prod(map(int, store.shape)), math.prod(chunk)) * width
