"""Examples across runs: a fingerprint of each tells whether two runs saw the same ones.

fingerprints({"left": left, "right": right})   # [example] uint64
known = fingerprints_of(run.batch("evaluation"))
here, there = common(known, other)             # places of the examples that both have
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from reportgen.core.arrays import Chosen, Fingerprints
from reportgen.core.run import Batch

BLOCK = 1000
"""Examples that are read at once."""


def leaves(inputs: Any) -> dict[str, np.ndarray]:
    """The arrays of a batch's inputs by their place in them: "image", "0/left"; "" for inputs that are one array.

    The parts of a named tuple have their names.
    """
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping | tuple):
        named = inputs if isinstance(inputs, Mapping) else getattr(inputs, "_asdict", dict)()
        parts = {str(key): leaves(value) for key, value in named.items() or enumerate(inputs)}
        return {f"{key}/{part}".rstrip("/"): array for key, below in parts.items() for part, array in below.items()}
    return {"": inputs}


def is_mask(name: str) -> bool:
    """Whether an input of this name says which positions count."""
    return "mask" in name.rpartition("/")[2].lower()


def fingerprints(inputs: Any) -> Fingerprints:
    """[example] uint64: BLAKE2 of each example's values, types and shapes; equal for inputs that are equal bit by bit.

    `inputs` is an array or LazyArray [example, ...], or a dict or tuple of them, whose order does not count.
    """
    arrays = sorted(leaves(inputs).items())
    count = min(len(array) for _, array in arrays)
    found = np.zeros(count, np.uint64)
    for start in range(0, count, BLOCK):
        blocks = [(name, np.ascontiguousarray(array[start : start + BLOCK])) for name, array in arrays]
        heads = [f"{name}|{block.dtype}|{block.shape[1:]}|".encode() for name, block in blocks]
        for row in range(min(BLOCK, count - start)):
            digest = hashlib.blake2b(digest_size=8)
            for head, (_, block) in zip(heads, blocks, strict=True):
                digest.update(head)
                digest.update(block[row].tobytes())
            found[start + row] = int.from_bytes(digest.digest(), "little")
    return found


def fingerprints_of(batch: Batch) -> Fingerprints | None:
    """The batch's fingerprints as recorded, else those of its inputs; None where neither is of every example."""
    if batch.fingerprints is not None:
        return batch.fingerprints
    arrays = leaves(batch.inputs).values()
    return fingerprints(batch.inputs) if arrays and all(len(array) == batch.size for array in arrays) else None


def common(first: Fingerprints, second: Fingerprints) -> tuple[Chosen, Chosen]:
    """Places in `first` and in `second` of the examples that both have, in the order of `first`.

    The k-th copy of an example belongs to the k-th copy of it in the other.
    """
    second_places: dict[tuple[int, int], int] = {name: place for place, name in enumerate(_numbered(second))}
    pairs = [(place, second_places[name]) for place, name in enumerate(_numbered(first)) if name in second_places]
    here, there = np.array(pairs, np.int64).reshape(-1, 2).T
    return here, there


def _numbered(values: np.ndarray) -> list[tuple[int, int]]:
    """Each value with how many equal ones stand before it."""
    seen: dict[int, int] = {}
    numbered = []
    for value in values.tolist():
        numbered.append((value, seen.get(value, 0)))
        seen[value] = numbered[-1][1] + 1
    return numbered
