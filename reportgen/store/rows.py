"""The rows of steps.jsonl and epochs.jsonl: one JSON object a line, what was measured apart from what was reported.

    line = row_line(MetricRow(step=1, epoch=1, reported={"train_loss": 2.3}))
    rows, unreadable = read_rows(file)

JSON has no NaN and no infinities: they are written as the texts "NaN", "Infinity" and "-Infinity".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from reportgen.core.run import MEASURED, MetricRow
from reportgen.errors import RunError
from reportgen.store.header import is_number

MOST_COLUMNS = 256
"""Different metrics that the rows of one file may have; more would not be readable as a table."""

FIRST = (*MEASURED, "train_loss", "val_loss", "train_accuracy")
"""Metrics that are never left out for others."""

RESERVED = ("step", "epoch", "measured", "reported", *(f"{name}_reported" for name in MEASURED))
"""Names that no reported metric may have."""

_ENCODE = json.JSONEncoder(allow_nan=False).encode
_NONE: Mapping[str, float] = {}
_TEXTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def row_line(row: MetricRow) -> str:
    """The row as a line of a .jsonl file."""
    parts = {"measured": row.measured, "reported": row.reported}
    content = {name: {key: _valid(value) for key, value in part.items()} for name, part in parts.items() if part}
    return _ENCODE({"step": row.step, "epoch": row.epoch, **content}) + "\n"


def read_rows(file: Path) -> tuple[list[MetricRow], int]:
    """Rows of a .jsonl file, and how many lines before the last were unreadable.

    A partial last line, which a killed writer leaves, is ignored. A step that stands twice (a resumed run)
    counts once, as it was written last.
    """
    if not file.is_file():
        return [], 0
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RunError(f"{file} can't be read: {error.strerror or error}", code="F105") from error
    if (whole := _sound_rows(content)) is not None:
        return whole, 0
    lines = content.decode("utf-8", "replace").split("\n")
    rows: dict[int, MetricRow] = {}
    unreadable = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = _row(json.loads(line))
        except (ValueError, RecursionError):
            unreadable += number < len(lines)
        else:
            rows[row.step] = row
    return [rows[step] for step in sorted(rows)], unreadable


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line as `row_line` writes it."""

    step: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    epoch: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    measured: dict[str, int | float | Literal["NaN", "Infinity", "-Infinity"]] = {}
    reported: dict[str, int | float | Literal["NaN", "Infinity", "-Infinity"]] = {}


_LINES = msgspec.json.Decoder(_Line)
PIECE = 1 << 16
"""Bytes of rows that are decoded at once, at least."""


def _sound_rows(content: bytes) -> list[MetricRow] | None:
    """The rows of a file in which all lines are sound and ascend by their steps; None for another one.

    Hundreds of thousands are read in the time that the general way takes for some ten thousands.
    """
    rows: list[MetricRow] = []
    begin = 0
    try:
        while begin < len(content):
            # What lines are while they are decoded takes more memory than what is made of them.
            end = content.find(b"\n", begin + PIECE) + 1 or content.rfind(b"\n", begin) + 1 or len(content)
            for line in _LINES.decode_lines(content[begin:end]):
                if rows and line.step <= rows[-1].step:
                    return None
                rows.append(MetricRow(line.step, line.epoch, _numbers(line.measured), _numbers(line.reported)))
            begin = end
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return rows


def _numbers(values: dict[str, Any]) -> Mapping[str, float]:
    for name, value in values.items():
        if type(value) is str:
            values[name] = _TEXTS[value]
    return values or _NONE


def without_columns(rows: Sequence[MetricRow], file: str) -> tuple[tuple[MetricRow, ...], list[str]]:
    """The rows without names that can't be printed, and without those past the first `MOST_COLUMNS`; and a
    problem where there were any."""
    names = list(dict.fromkeys(name for row in rows for part in (row.measured, row.reported) for name in part))
    # Hundreds of others must not push out what every page shows.
    names.sort(key=lambda name: name not in FIRST)
    printable = [name for name in names if name.isprintable() and len(name) <= 200]
    shown = set(printable[:MOST_COLUMNS])
    if len(shown) == len(names):
        return tuple(rows), []

    def known(part: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in part.items() if name in shown}

    left = tuple(replace(row, measured=known(row.measured), reported=known(row.reported)) for row in rows)
    return left, [f"{file}: {len(names) - len(shown)} columns left out, of {len(names)}"]


def _valid(value: float) -> float | str:
    if isinstance(value, int) or isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _row(content: Any) -> MetricRow:
    """A line's content as a row. Raises ValueError for anything else."""
    if not isinstance(content, dict):
        raise ValueError("not an object")
    step, epoch = (content.pop(name, None) for name in ("step", "epoch"))
    if not all(type(number) is int and 0 <= number < 2**53 for number in (step, epoch)):
        raise ValueError("no step or no epoch")
    if content.keys() <= {"measured", "reported"} and all(isinstance(part, dict) for part in content.values()):
        parts = [content.get(name, {}) for name in ("measured", "reported")]
    else:  # format 1 had both in one object
        parts = [{n: v for n, v in content.items() if (n in MEASURED) is measured} for measured in (True, False)]
    return MetricRow(step, epoch, *({name: _number(value) for name, value in part.items()} for part in parts))


def _number(value: Any) -> float:
    if isinstance(value, str) and value in _TEXTS:
        return _TEXTS[value]
    if not is_number(value):
        raise ValueError(f"{value!r} is not a number")
    number: float = value
    return number
