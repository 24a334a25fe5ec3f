"""Orbax checkpoints: a folder of arrays, or a CheckpointManager's folder with one per step.

    tree = read_orbax(Path("checkpoint"))           # by PyTreeCheckpointer or StandardCheckpointer
    tree = read_orbax(Path("manager"), step=200)    # without step: the last

No model class is needed: the tree is the one that was saved, with NumPy arrays, whatever devices it was
saved from. Source: orbax-checkpoint 0.12, `PyTreeCheckpointHandler`, which reads both layouts.
"""

import asyncio
import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from reportgen.core.npz import size_limit
from reportgen.errors import WeightsError
from reportgen.weights.tree import Tree, as_tree

T = TypeVar("T")

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
        return as_tree(settled(lambda: _restore(folder)))
    except WeightsError as problem:
        raise WeightsError(f"{folder}: {problem}") from problem
    except Exception as problem:  # Orbax, tensorstore and json raise a dozen kinds for damaged files
        first_line = str(problem).partition("\n")[0][:300]
        raise WeightsError(f"{folder}: not a readable Orbax checkpoint ({first_line})") from problem


class _PatientLoop(asyncio.SelectorEventLoop):
    """An event loop that closes when its last task has ended, and prints nothing of those that failed."""

    def __init__(self) -> None:
        super().__init__()
        # Orbax raises the first failure; the others are of the same folder.
        self.set_exception_handler(lambda loop, context: None)

    def close(self) -> None:
        while not self.is_closed() and (left := asyncio.all_tasks(self)):
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        super().close()


def settled(read: Callable[[], T]) -> T:
    """What `read` returns, by way of Orbax; nothing of it goes on when it has raised.

    Where one array can't be read Orbax closes its loop with the others under way: each would print a traceback, later.
    """
    plain = asyncio.new_event_loop
    asyncio.new_event_loop = _PatientLoop
    try:
        # In a thread of its own: in a notebook's a loop runs already, and Orbax would take yet another way.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(read).result()
    finally:
        asyncio.new_event_loop = plain


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


def _restore(folder: Path) -> Any:
    import jax
    import numpy as np
    from orbax import checkpoint

    handler = checkpoint.PyTreeCheckpointHandler()
    try:
        # Orbax wants an absolute path.
        tree = handler.metadata(folder.absolute()).tree
        leaves = jax.tree.leaves(tree)
        limit = size_limit(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
        claimed = 0
        for leaf in leaves:
            # Without OCDBT an entry's name is a path, and may be an absolute one.
            if not (folder / leaf.name).resolve().is_relative_to(folder.resolve()):
                raise WeightsError(f"entry {leaf.name!r} points out of the folder")
            shape, storage = getattr(leaf, "shape", None) or (), getattr(leaf, "storage", None)
            chunk = getattr(storage, "chunk_shape", None) or ()
            # A chunk is unfolded whole, however little of it belongs to the array.
            width = getattr(getattr(leaf, "dtype", None), "itemsize", 8)
            claimed += max(math.prod(shape), math.prod(chunk)) * width
        if claimed > limit:
            raise WeightsError(f"claims {claimed:,} bytes of arrays, more than the {limit:,} its files may hold")
        # Arrays as NumPy's: else Orbax looks for the devices that they were saved from.
        arguments = jax.tree.map(lambda _: checkpoint.RestoreArgs(restore_type=np.ndarray), tree)
        return handler.restore(folder.absolute(), args=checkpoint.args.PyTreeRestore(restore_args=arguments))
    finally:
        handler.close()
