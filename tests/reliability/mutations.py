"""What a disk, a crash or a hostile hand can do to a run directory, drawn by hypothesis.

damage = draw(damages())
damage(run)                        # changes the directory; str(damage) says how
"""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import load_file

from reportgen.store.files import write_tensors

TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "</script><img src=x onerror=alert(1)>",
            "{{7*7}}",
            "../../etc/passwd",
            "\u202eabc",
            "\x00\x1b",
            "\ud800",
            "x" * 300,
        ]
    ),
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**40, 2**64, -1, 10**400, 1e308, float("nan"), float("inf")]),
        st.floats(),
        TEXTS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def damages(draw) -> Callable[[Path], None]:
    """One change to a run directory."""
    kind = draw(st.sampled_from([header, rows, tensors, blob, gone]))
    return kind(draw)


def header(draw) -> Callable[[Path], None]:
    """Another value, or none, somewhere in run.json."""
    turns, value, delete = draw(st.lists(st.integers(0, 99), min_size=1, max_size=5)), draw(JSON), draw(st.booleans())

    def change(run: Path) -> None:
        content = json.loads((run / "run.json").read_text(encoding="utf-8"))
        place: Any = content
        for turn in turns[:-1]:
            inner = [key for key in _keys(place) if isinstance(place[key], dict | list) and place[key]]
            if inner:
                place = place[inner[turn % len(inner)]]
        keys = _keys(place)
        key = keys[turns[-1] % len(keys)]
        if delete:
            del place[key]
        else:
            place[key] = value
        (run / "run.json").write_text(json.dumps(content), encoding="utf-8")

    return change


def _keys(place: Any) -> list[Any]:
    return sorted(place) if isinstance(place, dict) else list(range(len(place)))


def rows(draw) -> Callable[[Path], None]:
    """A line of anything in a .jsonl file."""
    name = draw(st.sampled_from(["steps.jsonl", "epochs.jsonl"]))
    row = draw(
        st.one_of(
            JSON,
            st.fixed_dictionaries(
                {"step": st.integers(0, 9), "epoch": st.integers(0, 9)},
                optional={
                    **{"val_accuracy": JSON, "val_loss": JSON, "train_loss": JSON, "</td>": st.floats()},
                    **{"measured": JSON, "reported": st.dictionaries(st.text(max_size=9), st.floats() | JSON)},
                },
            ),
        )
    )
    whole, at_end = draw(st.booleans()), draw(st.booleans())

    def change(run: Path) -> None:
        line = json.dumps(row).encode() + b"\n"
        line = line if whole else line[: len(line) // 2]
        before = (run / name).read_bytes()
        (run / name).write_bytes(before + line if at_end else line + before)

    return change


def tensors(draw) -> Callable[[Path], None]:
    """A file whose checksums are right and whose arrays are not those of the run."""
    which, turn = draw(st.integers(0, 99)), draw(st.integers(0, 99))
    how = draw(st.sampled_from(["drop", "shape", "type", "values", "rename", "empty", "step"]))
    fill = draw(st.sampled_from([np.nan, np.inf, -np.inf, -1, 0, 7, 1e30]))
    name = draw(st.sampled_from(["../../x", "maps/../x", "maps/none", "a\x00b", "<b>", "label_sums/conv", ""]))
    dtype = draw(st.sampled_from([np.uint8, np.int64, np.float16, np.float64, np.bool_, np.complex64]))

    def change(run: Path) -> None:
        files = _files(run)
        file = files[which % len(files)]
        arrays = load_file(file)
        chosen = sorted(arrays)[turn % len(arrays)]
        array = arrays[chosen]
        with np.errstate(all="ignore"):
            changed = {
                "shape": array.reshape(-1)[: max(1, array.size // 2)],
                "type": array.astype(dtype),
                "values": np.full(array.shape, fill).astype(array.dtype),
                "empty": array[:0] if array.ndim else array,
            }.get(how, array)
        if how == "drop":
            del arrays[chosen]
        elif how == "rename":
            arrays[name] = arrays.pop(chosen)
        else:
            arrays[chosen] = changed
        step = file.stem.lstrip("0") or "0"
        metadata = {} if file.name == "data.safetensors" else {"step": step, "epoch": "x" if how == "step" else "1"}
        write_tensors(file, arrays, metadata)

    return change


def blob(draw) -> Callable[[Path], None]:
    """Bytes flipped, cut off, or put in the place of a file; or a header that claims the sky."""
    which, at, bits = draw(st.integers(0, 99)), draw(st.floats(0, 1)), draw(st.integers(1, 255))
    how = draw(st.sampled_from(["flip", "cut", "replace", "claim"]))
    content = draw(st.binary(max_size=80))
    shape = draw(st.sampled_from([[2**40], [2**40, 0], [0, 2**62], [2**20, 2**20]]))

    def change(run: Path) -> None:
        files = [*_blobs(run), run / "run.json", run / "steps.jsonl", run / "epochs.jsonl"]
        file = files[which % len(files)]
        before = bytearray(file.read_bytes())
        place = int(at * (len(before) - 1))
        if how == "flip":
            before[place] ^= bits
        elif how == "cut":
            del before[place:]
        elif how == "replace":
            before = bytearray(content)
        else:
            size = 4 * int(np.prod(shape, dtype=object))
            claim = json.dumps({"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
            before = bytearray(struct.pack("<Q", len(claim)) + claim)
        file.write_bytes(before)

    return change


def gone(draw) -> Callable[[Path], None]:
    """A file that is missing, or has another's place."""
    which, other, copy = draw(st.integers(0, 99)), draw(st.integers(0, 99)), draw(st.booleans())

    def change(run: Path) -> None:
        files = [*_blobs(run), run / "steps.jsonl", run / "epochs.jsonl"]
        file = files[which % len(files)]
        if copy:
            file.write_bytes(files[other % len(files)].read_bytes())
        else:
            file.unlink()

    return change


def _files(run: Path) -> list[Path]:
    return sorted(run.rglob("*.safetensors"))


def _blobs(run: Path) -> list[Path]:
    return [*_files(run), *sorted((run / "snapshots").iterdir())]
