"""Weights from checkpoints of any common format, without the model's class and without running anything.

    tree = read("model.safetensors")                  # {"conv1": {"kernel": array, ...}, ...}
    params = load_into(tree, variables["params"])     # checked by name and shape

A new format is one reader `(path) -> tree`, and one suffix in WEIGHTS.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from reportgen.errors import NoWeightsError, WeightsError, choices
from reportgen.remote import copied
from reportgen.weights.files import read_msgpack, read_npz_weights, read_safetensors
from reportgen.weights.load import FRAMEWORKS, LAYOUTS, Match, load_into, match
from reportgen.weights.orbax import read_orbax
from reportgen.weights.tree import Tree, arrays_of

__all__ = ["FRAMEWORKS", "LAYOUTS", "WEIGHTS", "Match", "load_into", "match", "open_tree", "read"]


class Reader(Protocol):
    """The tree of a checkpoint's arrays, running nothing of it; arrays may be `Stored`. Raises WeightsError."""

    def __call__(self, path: Path, /) -> Tree: ...


WEIGHTS: Mapping[str, Reader] = {
    ".safetensors": read_safetensors,
    ".npz": read_npz_weights,
    ".msgpack": read_msgpack,
    "folder": read_orbax,
}

# Formats that are code, or need another framework, each with the way to one that can be read.
_TORCH = (
    "PyTorch's format can run code and is not read; convert it with PyTorch: "
    "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors'), then --from torch"
)
_KERAS = (
    "Keras' format is not read; convert it with Keras: numpy.savez('model.npz', "
    "**{w.path: w.numpy() for w in keras.models.load_model(FILE).weights})"
)
_PICKLE = (
    "pickles can run code and are never read; convert it where you trust it: "
    "safetensors.numpy.save_file({name: array, ...}, 'model.safetensors')"
)
CONVERT: Mapping[str, str] = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".bin": _TORCH,
    ".ckpt": _TORCH,
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".keras": _KERAS,
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
    ".joblib": _PICKLE,
}


def read(path: str | Path, step: int | None = None) -> Tree:
    """The nested dictionary of NumPy arrays in a checkpoint, all of them read; else as `open_tree`."""
    return arrays_of(open_tree(path, step))


def open_tree(path: str | Path, step: int | None = None) -> Tree:
    """The nested dictionary of arrays in a checkpoint: a file by its suffix, a folder as one of Orbax's; a URL's copy.

    The arrays are read when NumPy asks for them (`Stored`), where the format allows it. `step` chooses among the steps
    of an Orbax CheckpointManager's folder; without it the last is read. Raises WeightsError: nothing
    there, an unknown format (those that exist are listed), one that is never read (with how to convert it), damage.
    """
    with copied(path, NoWeightsError) as file:
        return _opened(file, step)


def _opened(path: Path, step: int | None) -> Tree:
    if path.is_dir():
        return read_orbax(path, step)
    if not path.is_file():
        raise NoWeightsError(f"{path}: no such file or folder", code="F101")
    suffix = path.suffix.lower()
    if suffix in CONVERT:
        raise WeightsError(f"{path}: {CONVERT[suffix]}", code="W102")
    if suffix not in WEIGHTS:
        raise WeightsError(f"{path}: no reader for {suffix!r}; {choices(suffix, WEIGHTS)} (Orbax)", code="W102")
    if step is not None:
        raise WeightsError(f"{path}: a file holds one checkpoint; leave step {step} out", code="W107")
    return WEIGHTS[suffix](path)
