"""The snapshots of a run directory, to be damaged and changed by tests.

flip_last_byte(run, 4)                             # of the record of step 4
rewrite(run, lambda step, tensors: ...)            # the tensors of each, or None to leave the step out
raw(run, 4)                                        # name -> array, as docs/run-format.md says it can be read
"""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from reportgen.store.log import read_log
from reportgen.store.log_writer import LogWriter
from reportgen.store.packed import Packed

Arrays = Mapping[str, np.ndarray]


def records(run: Path) -> dict[int, tuple[Path, int, int]]:
    """Step -> the segment, offset and size of its record, walked as the documentation describes it."""
    found = {}
    for segment in sorted((run / "snapshots").glob("*.segment")):
        content, offset = segment.read_bytes(), 0
        while offset < len(content):
            magic, _, length, step, _, _ = struct.unpack_from("<4sIQqqI", content, offset)
            size = 36 + 4 * -(-length // 65536) + length
            if magic == b"RGR1":
                found[step] = segment, offset, size
            offset += size
    return dict(sorted(found.items()))


def raw(run: Path, step: int) -> dict[str, np.ndarray]:
    """The arrays of a step, by NumPy alone."""
    segment, at, size = records(run)[step]
    content, offset, layouts = segment.read_bytes(), 0, {}
    while offset <= at:
        magic, _, length, _, _, number = struct.unpack_from("<4sIQqqI", content, offset)
        end = offset + 36 + 4 * -(-length // 65536) + length
        if magic == b"RGL1":
            layouts[number] = json.loads(content[end - length : end])
        offset = end
    payload = content[at + size - length : at + size]
    types = {"F32": "<f4", "F16": "<f2", "I32": "<i4"}
    return {
        name: np.frombuffer(payload, types[kind], int(np.prod(shape)), begin).reshape(shape)
        for name, kind, shape, begin in layouts[number]
    }


def flip_last_byte(run: Path, step: int) -> Path:
    """Change a bit in the last value of a step; returns the segment."""
    segment, offset, size = records(run)[step]
    content = bytearray(segment.read_bytes())
    content[offset + size - 1] ^= 1
    segment.write_bytes(content)
    return segment


def rewrite(run: Path, change: Callable[[int, Arrays], Arrays | None]) -> None:
    """Write the log anew."""
    log, problems = read_log(run / "snapshots")
    assert not problems
    kept = {step: (int(log[step].metadata["epoch"]), change(step, dict(log[step]))) for step in log}
    for file in (run / "snapshots").iterdir():
        file.unlink()
    writer = LogWriter(run / "snapshots", -1)
    for step, (epoch, tensors) in kept.items():
        if tensors is not None:
            writer.append(step, epoch, Packed.of(tensors))
    writer.close()
