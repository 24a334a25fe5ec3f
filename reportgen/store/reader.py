"""Reads a run directory into `core.run.Run`, lazily and without jax.

    run = open_run("demo/run")

    report = with_what_is_whole(run, make_report)    # once more on the rest, when a file proves damaged

Damage does not stop the rest: snapshots, activations, images and labels that can't be read or
contradict the run are left out and named in `run.problems`, which the report prints.
"""

import json
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, TypeVar

from reportgen.core.landscape import Landscape
from reportgen.core.network import Network
from reportgen.core.run import MetricRow, Metrics, Run, Snapshot
from reportgen.errors import DamagedError, NoRunError, RunError, expect
from reportgen.store import layout
from reportgen.store.batches import read_batches
from reportgen.store.checks import Expected, activations_problem, layer_vectors_problem, snapshot_signature
from reportgen.store.elsewhere import folder_to_read
from reportgen.store.files import Lazy, Tensors
from reportgen.store.header import Header, parse_header
from reportgen.store.landscape import read_landscape
from reportgen.store.log import Log, read_log
from reportgen.store.rows import read_rows, without_columns
from reportgen.store.schema import Stored, parameter_shapes, read_observation, read_place, read_snapshot

T = TypeVar("T")

ROUNDS = 3
"""How often a report is begun anew because a file proved damaged; each time all files were read before."""


def open_run(path: str | Path, verify: bool = False) -> Run:
    """The run recorded in the directory `path`, or at a URL, of which a copy is kept on this machine (docs/remote.md).

    Headers, shapes, types and indices are checked now; checksums when a tensor is read, or all of them
    now with `verify`. Raises RunError when there is no run, when it was written by a later version, or
    when its run.json or all of its snapshots can't be read.
    """
    expect("verify", verify, bool, "True or False")
    with folder_to_read(path) as folder:
        return _opened(folder, verify)


def _opened(folder: Path, verify: bool) -> Run:
    header, problems = read_header(folder)
    classes, network = header.classes, network_of(header)
    metrics = Metrics(*(_rows(folder / name, problems) for name in (layout.STEPS_FILE, layout.EPOCHS_FILE)))
    batches = read_batches(folder / layout.DATA_FILE, len(classes), problems)
    targets = batches["evaluation"].targets if "evaluation" in batches else None
    expected = Expected(
        network.layers,
        len(classes),
        {name: batch.size for name, batch in batches.items() if batch.size},
        targets.shape[1] if targets is not None and len(targets.shape) == 2 else None,
        header.embed_layer is not None,
    )
    snapshots = _snapshots(folder, problems, verify)
    if not snapshots:
        why = f" ({problems[0]})" if problems else ""
        raise RunError(
            f"{folder} holds no readable snapshot; the recording was stopped before step 0 was written{why}",
            code="R104",
        )
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
    vectors = _layer_vectors(folder / layout.VECTORS_FILE, expected, problems, verify)
    landscape = _landscape(folder / layout.LANDSCAPE_FILE, snapshots, problems)
    return Run(
        path=folder,
        classes=classes,
        network=network,
        config=header.config,
        provenance=header.provenance,
        metrics=metrics,
        snapshots=Lazy(snapshots, lambda step: read_snapshot(snapshots[step], answers.get(step))),
        observations=Lazy(answers, lambda step: read_observation(answers[step], vectors.get(step))),
        batches=batches,
        embed_layer=header.embed_layer,
        status=header.status,
        problems=tuple(problems),
        kind=header.kind,
        notes=header.notes,
        task=header.task,
        vocabulary=header.vocabulary,
        landscape=landscape,
    )


def networks(path: str | Path) -> list[Path]:
    """The folders of the runs that are the networks of one page; empty for the folder of a run, or of none.

    Raises RunError for more than a page has room for.
    """
    with folder_to_read(path) as folder:
        within = layout.runs_beneath(folder)
        if len(within) > layout.MOST_NETWORKS:
            raise RunError(
                f"{layout.several(folder, within)}; a page shows {layout.MOST_NETWORKS} networks at most", code="R106"
            )
        return within


def _layer_vectors(file: Path, expected: Expected, problems: list[str], verify: bool) -> dict[int, Tensors]:
    """Step -> the file of the layer vectors; empty where there is none that is sound."""
    if not file.exists():
        return {}
    try:
        tensors = Tensors(file)
        if verify:
            tensors.verify()
        problem, (step, _) = layer_vectors_problem(tensors, expected), read_place(tensors)
    except RunError as error:
        problem, step = str(error).replace(f"{file.parent}/", ""), 0
    if problem is not None:
        problems.append(f"layer vectors left out: {problem}")
        return {}
    return {step: tensors}


def _landscape(file: Path, snapshots: Container[int], problems: list[str]) -> Landscape | None:
    if not file.exists():
        return None
    try:
        found = read_landscape(file)
    except RunError as error:
        problems.append(f"the landscape left out: {error}".replace(f"{file.parent}/", ""))
        return None
    gone = [step for step in (*found.steps.tolist(), *found.between) if step not in snapshots]
    if gone:
        problems.append(f"the landscape left out: it is of step {gone[0]}, which the run does not have")
    return None if gone else found


def with_what_is_whole(run: Run, use: Callable[[Run], T]) -> T:
    """`use(run)`; when a file of the run proves damaged on the way, once more without it.

    Nothing is read twice while all is well. After damage every file is verified, so that the second round
    knows of all of it. Raises DamagedError when files go on changing under the reader.
    """
    return with_all_whole([run], lambda runs: use(runs[0]))


def with_all_whole(runs: Sequence[Run], use: Callable[[Sequence[Run]], T]) -> T:
    """The same for several runs at once."""
    for _ in range(ROUNDS):
        try:
            return use(runs)
        except DamagedError:
            runs = [open_run(run.path, verify=True) for run in runs]
    return use(runs)


def network_of(header: Header) -> Network:
    """The network that a run's header describes."""
    layers = {layer.path: layer for layer in header.layers}
    return Network(str(header.config.get("model", "the network")), layers, header.uncaptured)


def read_header(folder: Path) -> tuple[Header, list[str]]:
    """run.json and what had to be left out of it. Raises RunError where it is missing, damaged or of a later format."""
    if not folder.is_dir():
        raise NoRunError(f"{folder} is not a directory; expected a run written by reportgen", code="R101")
    file = folder / layout.RUN_FILE
    if not file.is_file():
        if within := layout.runs_beneath(folder):
            raise NoRunError(layout.several(folder, within), code="R101")
        raise NoRunError(f"{folder} does not hold a run: it has no {layout.RUN_FILE}", code="R101")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error!r}", code="R103") from error
    if type(version) is not int or not 1 <= version <= layout.FORMAT:
        raise RunError(
            f"{folder} has run format {str(version)[:40]}, this reportgen reads formats up to {layout.FORMAT}",
            code="R105",
        )
    try:
        return parse_header(content, _parameter_shapes(folder) if version == 1 else {})
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error}", code="R103") from error


def _parameter_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters by name, as the first readable snapshot has them."""
    for step in layout.listed_steps(folder / layout.SNAPSHOTS):
        try:
            return parameter_shapes(Tensors(layout.step_file(folder / layout.SNAPSHOTS, step)))
        except RunError:
            continue  # it is named among the run's problems when the snapshots are opened
    return {}


def _rows(file: Path, problems: list[str]) -> tuple[MetricRow, ...]:
    rows, unreadable = read_rows(file)
    if unreadable:
        problems.append(f"{file.name}: {unreadable} unreadable lines left out")
    known, unwanted = without_columns(rows, file.name)
    problems += unwanted
    return known


def snapshot_at(run: Path, step: int) -> tuple[int, dict[str, tuple[int, ...]]]:
    """The epoch of the snapshot of `step`, and its parameters' shapes by name.

    Raises RunError when it is not there or damaged.
    """
    tensors = _recorded(run, step)
    return read_place(tensors)[1], parameter_shapes(tensors)


def snapshot(run: Path, step: int) -> Snapshot:
    """The snapshot of `step`. Raises RunError when it is not there or damaged."""
    return read_snapshot(_recorded(run, step))


def _recorded(run: Path, step: int) -> Stored:
    folder = run / layout.SNAPSHOTS
    log, _ = read_log(folder)
    return log[step] if step in log else Tensors(layout.step_file(folder, step))


def _files(folder: Path, problems: list[str], verify: bool) -> dict[int, Tensors]:
    """Step -> its file, for those that can be opened and are what their name says."""
    files_by_step: dict[int, Tensors] = {}
    for step in layout.listed_steps(folder):
        file = layout.step_file(folder, step)
        try:
            tensors = Tensors(file)
            stated, _ = read_place(tensors)
            if stated != step:
                raise RunError(f"{file} says it is step {stated}", code="R103")
            if verify:
                tensors.verify()
            files_by_step[step] = tensors
        except RunError as error:
            problems.append(f"{folder.name} of step {step} left out: {error}".replace(f"{folder}/", ""))
    return files_by_step


def _snapshots(run: Path, problems: list[str], verify: bool) -> Lazy[int, Stored]:
    """Step -> its snapshot: in the log, or in a file of its own, as of earlier formats.

    Those that hold the same parameters as most do (as the first ones do, of as many).
    """
    folder = run / layout.SNAPSHOTS
    log, damaged = read_log(folder)
    problems += damaged
    files = {step: file for step, file in _files(folder, problems, verify).items() if step not in log}
    broken = _broken(log, problems) if verify else set()
    groups: list[tuple[Stored, list[int]]] = [(file, [step]) for step, file in files.items()]
    for at in log.by_layout():
        try:
            groups.append((log[at[0]], [step for step in at if step not in broken]))
        except RunError as error:
            problems.append(f"snapshots of {_named(at)} left out: {error}".replace(f"{folder}/", ""))
    steps_of: dict[Any, list[int]] = {}
    for tensors, steps in groups:
        try:
            steps_of.setdefault(snapshot_signature(tensors), []).extend(steps)
        except RunError as error:
            problems.append(f"snapshots of {_named(steps)} left out: {error}")
    kept = max(steps_of.values(), key=lambda steps: (len(steps), -min(steps, default=0)), default=[])
    problems += [
        f"snapshots of {_named(steps)} left out: its parameters differ from the others'"
        for steps in steps_of.values()
        if steps is not kept
    ]
    return Lazy(dict.fromkeys(sorted(kept)), lambda step: log[step] if step in log else files[step])


def _named(steps: Sequence[int]) -> str:
    shown = ", ".join(map(str, steps[:3]))
    more = f" and {len(steps) - 3:,} more" if len(steps) > 3 else ""
    return f"step{'s' * (len(steps) > 1)} {shown}{more}"


def _broken(log: Log, problems: list[str]) -> set[int]:
    """The steps whose records are not as they were written."""
    broken = set()
    for step in log:
        try:
            log[step].verify()
        except RunError as error:
            problems.append(f"snapshots of step {step} left out: {error}".replace(f"{log[step].path.parent}/", ""))
            broken.add(step)
    return broken
