"""Reads a run directory into `core.run.Run`, lazily and without jax.

    run = open_run("demo/run")

What is damaged beyond the part that was asked for does not stop the rest: unreadable snapshots and
activations are left out and named in `run.problems`, which the report prints.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reportgen.core.run import Activations, Layer, Run, RunData, Snapshot
from reportgen.errors import RunError
from reportgen.store import layout
from reportgen.store.files import Tensors

T = TypeVar("T")


def open_run(path: str | Path) -> Run:
    """The run recorded in the directory `path`.

    Raises RunError when there is no run, when it was written by a later version, or when its header
    or its data can't be read.
    """
    folder = Path(path)
    header = _read_header(folder)
    problems: list[str] = []
    snapshots = _by_step(folder / layout.SNAPSHOTS, read_snapshot, problems)
    activations = _by_step(folder / layout.ACTIVATIONS, read_activations, problems)
    if not snapshots:
        raise RunError(f"{folder} holds no readable snapshot; the recording was stopped before step 0 was kept")
    rows = {}
    for name in (layout.STEPS_FILE, layout.EPOCHS_FILE):
        rows[name], unreadable = read_rows(folder / name)
        if unreadable:
            problems.append(f"{name}: {unreadable} unreadable lines left out")
    try:
        layers = tuple(
            Layer(**{**layer, "shape": tuple(layer["shape"]), "params": tuple(layer["params"])})
            for layer in header["layers"]
        )
        return Run(
            path=folder,
            classes=tuple(header["classes"]),
            layers=layers,
            config=header["config"],
            provenance=header["provenance"],
            steps=tuple(rows[layout.STEPS_FILE]),
            epochs=tuple(rows[layout.EPOCHS_FILE]),
            snapshots=snapshots,
            activations=activations,
            data=read_data(folder / layout.DATA_FILE),
            embed_layer=header["embed_layer"],
            status=header["status"],
            uncaptured=header["uncaptured"],
            problems=tuple(problems),
        )
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder / layout.RUN_FILE} is damaged: {error!r} is missing or of another type") from error


def _read_header(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise RunError(f"{folder} is no directory; a run is what `reportgen train -o` or a Recorder writes")
    file = folder / layout.RUN_FILE
    if not file.is_file():
        raise RunError(f"{folder} holds no run: there is no {layout.RUN_FILE} in it")
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
        version = header["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file} is damaged: {error}") from error
    if not isinstance(version, int) or version > layout.FORMAT:
        raise RunError(f"{folder} has run format {version}, this reportgen reads formats up to {layout.FORMAT}")
    return header


def read_rows(file: Path) -> tuple[list[dict[str, Any]], int]:
    """Rows of a .jsonl file, and how many lines before the last were unreadable.

    The last line may be half-written after a kill: it is left out without a word. A step that stands
    twice (a resumed run) counts once, as it was written last.
    """
    if not file.is_file():
        return [], 0
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise RunError(f"{file} can't be read: {error.strerror or error}") from error
    rows: dict[int, dict[str, Any]] = {}
    unreadable = 0
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows[int(row["step"])] = row
        except (ValueError, KeyError, TypeError):
            unreadable += number < len(lines)
    return [rows[step] for step in sorted(rows)], unreadable


def read_snapshot(tensors: Tensors) -> Snapshot:
    """The parameters in one snapshot file."""
    return Snapshot(int(tensors.metadata["step"]), int(tensors.metadata["epoch"]), tensors)


def snapshot_epoch(run: Path, step: int) -> int:
    """The epoch that the snapshot of `step` belongs to. Raises RunError when it is not there or damaged."""
    return int(Tensors(layout.step_file(run / layout.SNAPSHOTS, step)).metadata["epoch"])


def read_activations(tensors: Tensors) -> Activations:
    """One activations file. Its tensors are named as the fields of `Activations`, the layer after a slash."""
    return Activations(
        step=int(tensors.metadata["step"]),
        epoch=int(tensors.metadata["epoch"]),
        maps=_Below(tensors, "maps/"),
        label_sums=_Below(tensors, "label_sums/"),
        label_counts=tensors["label_counts"],
        input_sums=tensors["input_sums"],
        predictions=tensors["predictions"],
        margins=tensors["margins"],
        embedding_vectors=tensors["embedding_vectors"],
        evaluation_vectors=tensors["evaluation_vectors"],
        extremes=_Below(tensors, "extremes/"),
    )


def read_data(file: Path) -> RunData:
    """The images and labels of a run. Images that were kept as bytes come back as what was fed in."""
    tensors = Tensors(file)

    def images(name: str) -> np.ndarray:
        array = tensors[name]
        return array.astype(np.float32) / 255 if array.dtype == np.uint8 and f"{name}_divisor" in tensors else array

    return RunData(
        probe_images=images("probe_images"),
        probe_labels=tensors["probe_labels"],
        evaluation_images=images("evaluation_images"),
        evaluation_labels=tensors["evaluation_labels"],
        embedding_labels=tensors["embedding_labels"],
    )


def _by_step(folder: Path, read: Callable[[Tensors], T], problems: list[str]) -> "_Steps[T]":
    found: dict[int, Tensors] = {}
    for step in layout.listed_steps(folder):
        try:
            tensors = Tensors(layout.step_file(folder, step))
            if int(tensors.metadata["step"]) != step:
                raise RunError(f"{layout.step_file(folder, step)} says it is step {tensors.metadata['step']}")
            found[step] = tensors
        except (RunError, KeyError, ValueError) as error:
            problems.append(f"{folder.name} of step {step} left out: {error}".replace(f"{folder}/", ""))
    return _Steps(found, read)


class _Steps(Mapping[int, T]):
    """Step -> what its file holds, made when asked for: hundreds of snapshots cost their headers only."""

    def __init__(self, files: Mapping[int, Tensors], read: Callable[[Tensors], T]):
        self._files = files
        self._read = read

    def __getitem__(self, step: int) -> T:
        return self._read(self._files[step])

    def __iter__(self) -> Iterator[int]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class _Below(Mapping[str, np.ndarray]):
    """The tensors whose names begin with a prefix, under the rest of their names, in file order."""

    def __init__(self, tensors: Tensors, prefix: str):
        self._tensors = tensors
        self._names = {name.removeprefix(prefix): name for name in tensors if name.startswith(prefix)}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[self._names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
