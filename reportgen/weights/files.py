"""Checkpoints in a single file: safetensors, NumPy npz, flax msgpack. Nothing in them is ever run.

    tree = read_safetensors(Path("model.safetensors"))     # {"conv1": {"kernel": array, ...}, ...}

All three give a tree of dictionaries and NumPy arrays, and raise WeightsError for any other file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reportgen.errors import ReportgenError, WeightsError
from reportgen.npz import read_npz
from reportgen.weights.tree import Tree, as_array, as_tree, nest


def read_safetensors(path: Path) -> Tree:
    """The tree of a .safetensors file; names are split at "/", or at "." where they have none.

    Any dtype that NumPy or ml_dtypes (bfloat16, float8) has. The format's own check that header and
    data fit bounds the memory. Format: github.com/huggingface/safetensors.
    """
    import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy, which safetensors looks up by name
    from safetensors import safe_open

    with _named(path, "safetensors file"):
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        return nest({name: as_array(array, name) for name, array in arrays.items()})


def read_npz_weights(path: Path) -> Tree:
    """The tree of a NumPy .npz archive, a member per array, names split as for safetensors."""
    arrays = read_npz(path, WeightsError)
    with _named(path, "npz archive"):
        return nest({name: as_array(array, name) for name, array in arrays.items()})


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
        raise WeightsError(f"{path}: {problem}") from problem
    except Exception as problem:  # the libraries and NumPy raise a dozen kinds for damaged bytes
        raise WeightsError(f"{path}: not a readable {kind} ({problem})") from problem
