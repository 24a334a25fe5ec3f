"""Reads a run directory into `core.run.Run`, lazily and without jax.

    run = open_run("demo/run")

    report = with_what_is_whole(run, make_report)    # once more on the rest, when a file proves damaged

What is damaged does not stop the rest: snapshots, activations, images and labels that can't be read or
contradict the run are left out and named in `run.problems`, which the report prints.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reportgen.core.network import Network
from reportgen.core.run import Activations, Images, MetricRow, Metrics, Run, RunData, Snapshot
from reportgen.errors import RunError
from reportgen.store import layout
from reportgen.store.checks import REAL, WHOLE, Expected, activations_problem, snapshot_signature
from reportgen.store.files import DamagedError, Tensors
from reportgen.store.header import Header, parse_header
from reportgen.store.rows import read_rows, without_columns

T = TypeVar("T")

ROUNDS = 3
"""How often a report is begun anew because a file proved damaged; each time all files were read before."""


def open_run(path: str | Path, verify: bool = False) -> Run:
    """The run recorded in the directory `path`.

    Headers, shapes, types and indices are checked now; checksums when a tensor is read, or all of them
    now with `verify`. Raises RunError when there is no run, when it was written by a later version, or
    when its run.json or all of its snapshots can't be read.
    """
    folder = Path(path)
    header, problems = read_header(folder)
    classes, network = header.classes, network_of(header)
    metrics = Metrics(*(_rows(folder / name, problems) for name in (layout.STEPS_FILE, layout.EPOCHS_FILE)))
    data = read_data(folder / layout.DATA_FILE, len(classes), problems)
    expected = Expected(
        network.layers,
        len(classes),
        *(len(labels) or None for labels in (data.probe_labels, data.evaluation_labels, data.embedding_labels)),
    )
    snapshots = _alike(_files(folder / layout.SNAPSHOTS, problems, verify), problems)
    if not snapshots:
        why = f" ({problems[0]})" if problems else ""
        raise RunError(f"{folder} holds no readable snapshot; the recording was stopped before step 0 was kept{why}")
    answers = {}
    for step, tensors in _files(folder / layout.ACTIVATIONS, problems, verify).items():
        try:
            problem = activations_problem(tensors, expected)
        except RunError as error:
            problem = str(error).replace(f"{folder / layout.ACTIVATIONS}/", "")
        if problem is None:
            answers[step] = tensors
        else:
            problems.append(f"activations of step {step} left out: {problem}")
    return Run(
        path=folder,
        classes=classes,
        network=network,
        config=header.config,
        provenance=header.provenance,
        metrics=metrics,
        snapshots=_Steps(snapshots, read_snapshot),
        activations=_Steps(answers, read_activations),
        data=data,
        embed_layer=header.embed_layer,
        status=header.status,
        problems=tuple(problems),
    )


def with_what_is_whole(run: Run, use: Callable[[Run], T]) -> T:
    """`use(run)`; when a file of the run proves damaged on the way, once more without it.

    Nothing is read twice while all is well. After damage every file is verified, so that the second round
    knows of all of it. Raises DamagedError when files go on changing under the reader.
    """
    for _ in range(ROUNDS):
        try:
            return use(run)
        except DamagedError:
            run = open_run(run.path, verify=True)
    return use(run)


def network_of(header: Header) -> Network:
    """The network that a run's header describes."""
    layers = {layer.path: layer for layer in header.layers}
    return Network(str(header.config.get("model", "the network")), layers, header.uncaptured)


def read_header(folder: Path) -> tuple[Header, list[str]]:
    """run.json and what had to be left out of it. Raises RunError where it is missing, damaged or of a later format."""
    if not folder.is_dir():
        raise RunError(f"{folder} is no directory; a run is what `reportgen train -o` or a Recorder writes")
    file = folder / layout.RUN_FILE
    if not file.is_file():
        raise RunError(f"{folder} holds no run: there is no {layout.RUN_FILE} in it")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error!r}") from error
    if type(version) is not int or not 1 <= version <= layout.FORMAT:
        raise RunError(
            f"{folder} has run format {str(version)[:40]}, this reportgen reads formats up to {layout.FORMAT}"
        )
    try:
        return parse_header(content, _parameter_shapes(folder) if version == 1 else {})
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error}") from error


def _parameter_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters by name, as the first readable snapshot has them."""
    for step in layout.listed_steps(folder / layout.SNAPSHOTS):
        try:
            described = Tensors(layout.step_file(folder / layout.SNAPSHOTS, step)).described
        except RunError:
            continue  # it is named among the run's problems when the snapshots are opened
        return {name: shape for name, (_, shape) in described.items()}
    return {}


def _rows(file: Path, problems: list[str]) -> tuple[MetricRow, ...]:
    rows, unreadable = read_rows(file)
    if unreadable:
        problems.append(f"{file.name}: {unreadable} unreadable lines left out")
    known, unwanted = without_columns(rows, file.name)
    problems += unwanted
    return known


def read_snapshot(tensors: Tensors) -> Snapshot:
    """The parameters in one snapshot file."""
    return Snapshot(*_place(tensors), tensors)


def snapshot_epoch(run: Path, step: int) -> int:
    """The epoch that the snapshot of `step` belongs to. Raises RunError when it is not there or damaged."""
    return _place(Tensors(layout.step_file(run / layout.SNAPSHOTS, step)))[1]


def read_activations(tensors: Tensors) -> Activations:
    """One activations file. Its tensors are named as the fields of `Activations`, the layer after a slash."""
    step, epoch = _place(tensors)
    return Activations(
        step=step,
        epoch=epoch,
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


def read_data(file: Path, classes: int, problems: list[str]) -> RunData:
    """The images and labels of a run, empty arrays for what can't be read or makes no sense.

    Images that were kept as bytes come back as what was fed in. What is left out is added to `problems`.
    """
    arrays: dict[str, Any] = {}
    try:
        tensors = Tensors(file)
        for name in _DATA:
            try:
                arrays[name] = _data_array(tensors, name, classes)
            except (RunError, ValueError) as error:
                problems.append(f"{name} left out: {error}".replace(f"{file.parent}/", ""))
    except RunError as error:
        problems.append(f"images and labels left out: {error}".replace(f"{file.parent}/", ""))
    for part in ("probe", "evaluation"):
        images, labels = (arrays.get(f"{part}_{what}") for what in ("images", "labels"))
        if images is not None and labels is not None and len(images) > len(labels):
            problems.append(f"{part}_images left out: there are {len(images)} for {len(labels)} labels")
            del arrays[f"{part}_images"]
    if "probe_images" in arrays:
        # The few that are shown whole; of the others only those that are looked at are read.
        arrays["probe_images"] = arrays["probe_images"][:]
    empty: dict[str, Any] = {name: np.zeros(0, np.int64) for name in _DATA if name.endswith("labels")}
    empty |= {"probe_images": np.zeros(0, np.float32), "evaluation_images": Images((0,), lambda _: np.zeros(0))}
    return RunData(**{**empty, **arrays})


_DATA = ("probe_images", "probe_labels", "evaluation_images", "evaluation_labels", "embedding_labels")


def _data_array(tensors: Tensors, name: str, classes: int) -> np.ndarray | Images:
    """One array of data.safetensors, checked; ValueError in words for what it can't be."""
    if name not in tensors:
        raise ValueError("it is missing")
    dtype, shape = tensors.described[name]
    if name.endswith("images"):
        if dtype not in REAL or not shape or 0 in shape:
            raise ValueError(f"{dtype}{list(shape)} are no images")
        tensors.check(name)
        divided = f"{name}_divisor" in tensors and dtype == "U8"
        return Images(shape, partial(_fed_in, tensors, name, divided))
    if dtype not in WHOLE or len(shape) != 1:
        raise ValueError(f"{dtype}{list(shape)} are no labels")
    labels = tensors[name]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"they run from {labels.min()} to {labels.max()}, for {classes} classes")
    return labels.astype(np.int64)


def _fed_in(tensors: Tensors, name: str, divided: bool, chosen: Any) -> np.ndarray:
    images = tensors.rows(name, chosen)
    return np.divide(images, np.float32(255), dtype=np.float32) if divided else images


def _place(tensors: Tensors) -> tuple[int, int]:
    """(step, epoch) that a file says it is of."""
    try:
        step, epoch = (int(tensors.metadata[name]) for name in ("step", "epoch"))
    except (KeyError, ValueError) as error:
        raise DamagedError(f"{tensors.path} does not say of which step and epoch it is") from error
    if not (0 <= step < 2**53 and 0 <= epoch < 2**53):
        raise DamagedError(f"{tensors.path} says it is of step {step}, epoch {epoch}")
    return step, epoch


def _files(folder: Path, problems: list[str], verify: bool) -> dict[int, Tensors]:
    """Step -> its file, for those that can be opened and are what their name says."""
    found: dict[int, Tensors] = {}
    for step in layout.listed_steps(folder):
        file = layout.step_file(folder, step)
        try:
            tensors = Tensors(file)
            said, _ = _place(tensors)
            if said != step:
                raise RunError(f"{file} says it is step {said}")
            if verify:
                tensors.verify()
            found[step] = tensors
        except RunError as error:
            problems.append(f"{folder.name} of step {step} left out: {error}".replace(f"{folder}/", ""))
    return found


def _alike(files: Mapping[int, Tensors], problems: list[str]) -> dict[int, Tensors]:
    """The snapshots that hold the same parameters as most do (as the first ones do, of as many)."""
    signatures = {}
    for step, tensors in files.items():
        try:
            signatures[step] = snapshot_signature(tensors)
        except RunError as error:
            problems.append(f"snapshots of step {step} left out: {error}")
    if not signatures:
        return {}
    usual = Counter(signatures.values()).most_common(1)[0][0]
    for step, signature in signatures.items():
        if signature != usual:
            problems.append(f"snapshots of step {step} left out: it holds other parameters than the others")
    return {step: files[step] for step, signature in signatures.items() if signature == usual}


class _Steps(Mapping[int, T]):
    """Step -> what its file holds, made when asked for: hundreds of snapshots cost their headers only."""

    def __init__(self, files: Mapping[int, Tensors], read: Callable[[Tensors], T]):
        self._files = files
        self._read = read

    def __getitem__(self, step: int) -> T:
        return self._read(self._files[step])

    def __contains__(self, step: object) -> bool:  # Mapping's own would read it
        return step in self._files

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

    def __contains__(self, name: object) -> bool:  # Mapping's own would read it
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
