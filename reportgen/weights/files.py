"""Checkpoints in a single file: safetensors, NumPy npz, flax msgpack. Nothing in them is ever run.

    tree = read_safetensors(Path("model.safetensors"))     # {"conv1": {"kernel": array, ...}, ...}

All three give a tree of dictionaries and arrays, and raise WeightsError for any other file. What the first two give is
read when it is asked for; msgpack is read whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from reportgen.errors import ReportgenError, WeightsError
from reportgen.npz import describe_npz, read_npz
from reportgen.weights.tree import Stored, Tree, as_array, as_tree, check_numbers, nest


def read_safetensors(path: Path) -> Tree:
    """The tree of a .safetensors file, of `Stored` arrays; names are split at "/", or at "." where they have none.

    Any dtype that NumPy or ml_dtypes (bfloat16, float8) has. The format's own check that header and
    data fit bounds the memory. Format: github.com/huggingface/safetensors.
    """
    import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy, which safetensors looks up by name
    from safetensors import safe_open

    def read(name: str) -> np.ndarray:
        with _named(path, "safetensors file"), safe_open(path, framework="np") as file:
            return as_array(file.get_tensor(name), name)

    with _named(path, "safetensors file"), safe_open(path, framework="np") as file:
        stored = {}
        for name in file.keys():  # noqa: SIM118  no mapping
            described = file.get_slice(name)
            # The dtype as NumPy has it: what a slice without elements is of.
            shape = tuple(described.get_shape())
            dtype = (described[:0] if shape else file.get_tensor(name)).dtype
            check_numbers(dtype, name)
            stored[name] = Stored(shape, dtype, partial(read, name))
        return nest(stored)


def read_npz_weights(path: Path) -> Tree:
    """The tree of a NumPy .npz archive, a `Stored` array per member, names split as for safetensors."""

    def read(name: str) -> np.ndarray:
        return read_npz(path, WeightsError, {name})[name]

    described = describe_npz(path, WeightsError)
    with _named(path, "npz archive"):
        for name, (_, dtype) in described.items():
            check_numbers(dtype, name)
        return nest({name: Stored(*place, partial(read, name)) for name, place in described.items()})


def read_msgpack(path: Path) -> Tree:
    """The tree of a file written by `flax.serialization` (`to_bytes`, `msgpack_serialize`).

    Of a whole TrainState everything is read, the optimizer's state included.
    """
    from flax import serialization

    with _named(path, "flax msgpack file"):
        return as_tree(serialization.msgpack_restore(path.read_bytes()))


@contextmanager
def _named(path: Path, kind: str) -> Iterator[None]:
    """Raise whatever is raised within as a WeightsError that names the file."""
    try:
        yield
    except ReportgenError as problem:
        raise WeightsError(f"{path}: {problem}", code=problem.code) from problem
    except Exception as problem:  # the libraries and NumPy raise a dozen kinds for damaged bytes
        raise WeightsError(f"{path}: not a readable {kind} ({problem})", code="F102") from problem
