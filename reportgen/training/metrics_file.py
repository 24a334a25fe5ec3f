"""Metrics that a training wrote beside its checkpoints: TensorBoard's event files, CSV, or a JSON object per line.

rows = read_metrics(Path("logs"))      # {100: {"train_loss": 1.9, "learning_rate": 0.001}, ...}

A slash in a name becomes an underscore ("train/loss"), and "loss" alone is that of training.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reportgen.errors import DataError, NoDataError, naming_the_extra

STEP = ("step", "global_step", "steps", "iteration")
"""Columns that may hold the number of updates."""

_RENAMED = {"loss": "train_loss", "accuracy": "train_accuracy"}
_RESERVED = ("epoch", "measured", "reported")


def read_metrics(path: Path) -> dict[int, dict[str, float]]:
    """Step -> metric -> number, of an event file or a folder of them, a .csv or a .jsonl file.

    What is no finite or infinite number is left out. Raises DataError for a file without steps or without metrics.
    """
    if not path.exists():
        raise NoDataError(f"{path}: no such file or folder", code="F101")
    readers: Mapping[str, Callable[[Path], Iterator[Mapping[str, Any]]]] = {".csv": _csv, ".jsonl": _jsonl}
    try:
        read = list((readers.get(path.suffix) or _events)(path))
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise DataError(f"{path}: not readable as metrics ({error})", code="D114") from error
    rows: dict[int, dict[str, float]] = {}
    for row in read:
        step = next((number for name in STEP if (number := _number(row.get(name))) is not None), None)
        if step is None or step < 0 or step != int(step):
            continue
        values = {_name(name): _number(value) for name, value in row.items() if name not in STEP}
        known = {name: value for name, value in values.items() if value is not None and name not in _RESERVED}
        rows.setdefault(int(step), {}).update(known)
    rows = {step: row for step, row in sorted(rows.items()) if row}
    if not rows:
        raise DataError(
            f"{path}: no metrics by step in it; expected a column {STEP[0]!r} and others of numbers", code="D114"
        )
    return rows


def _name(name: str) -> str:
    plain = name.strip().replace("/", "_")
    return _RENAMED.get(plain, plain)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if isinstance(value, bool) or math.isnan(number) else number


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: value for name, value in row.items() if name is not None}


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object")
            yield row


def _events(path: Path) -> Iterator[Mapping[str, Any]]:
    files = sorted(path.rglob("events.out.tfevents.*")) if path.is_dir() else [path]
    if not files or (not path.is_dir() and "tfevents" not in path.name):
        raise DataError(
            f"{path}: no metrics; expected TensorBoard's event files, or a .csv or .jsonl file", code="D114"
        )
    with naming_the_extra():
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.util.tensor_util import make_ndarray
    for file in files:
        # The loader turns the older form, a simple value, into a tensor.
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                array = make_ndarray(value.tensor)
                if array.shape == () and array.dtype.kind in "fiu":
                    yield {"step": event.step, value.tag: array}
