"""A recording of a training that was not recorded, from its checkpoints: an ordinary user of `record.Recorder`.

    run = replay("checkpoints/", "mynets:small", "runs/mine", dataset=load_dataset("my.npz"))
    run = replay(Checkpoint("checkpoints/", key="ema_params"), model, "runs/mine", probe=x, evaluation=(x_val, y_val))

Every checkpoint is looked at before anything is written: of files that can tell, names and shapes alone. Then one after
the other is read, evaluated and recorded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from flax import linen, nnx

from reportgen.capture import flat_names
from reportgen.core.arguments import truth
from reportgen.core.paths import lasting_path, named_path
from reportgen.core.progress import Bar
from reportgen.core.run import Run
from reportgen.data import Dataset
from reportgen.errors import (
    ModelError,
    NoDataError,
    NoWeightsError,
    OptionError,
    RunError,
    RunExistsError,
    WeightsError,
    expect,
)
from reportgen.inspection.network import initial_variables
from reportgen.models import build as build_model
from reportgen.record import Keep, Recorder, Start
from reportgen.remote import copied
from reportgen.store import layout, open_run, target
from reportgen.store.reader import read_header
from reportgen.training.account import Facts, account, with_values
from reportgen.training.metrics_file import read_metrics
from reportgen.training.replay_data import ReplayData, replay_data
from reportgen.training.replay_series import Entry, Reader
from reportgen.weights.checkpoint import Checkpoint


def replay(
    checkpoints: str | Path | Checkpoint | Iterable[tuple[int, Any]],
    model: Any,
    path: str | Path,
    *,
    dataset: Dataset | None = None,
    probe: Any = None,
    evaluation: Any = None,
    embedding: Any = None,
    apply: Callable[[Any, Any, Any], Any] | None = None,
    classes: Sequence[str] | None = None,
    preprocess: str | Callable[[Any], Any] | None = None,
    steps: str | None = None,
    metrics: str | Path | None = None,
    keep: Keep = Keep(top=True),  # noqa: B008 (frozen)
    skip_bad: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Run:
    """Record the run at `path`, a folder or a URL, from the checkpoints of a training, and return it.

    checkpoints     a folder or a glob pattern, of this machine or at a URL, a `Checkpoint` that says how they are read,
                    or (step, variables) one after the other, with variables as the recorder takes them
    model           a name, MODULE:FACTORY, a Linen or NNX module, or a function `apply(params, inputs)`
    dataset         images whose test part is evaluated; or else `probe`, `evaluation` and `embedding` as the recorder
                    takes them, already as the model sees them
    preprocess      from the dataset's pixels to the model's inputs, as for `inspect`
    steps           which of them: "0,1000:10000:500" (both ends belong to a range)
    metrics         what was reported while training: TensorBoard's event files, .csv or .jsonl with a column "step"
    keep            what is recorded of each, as for the recorder; the loss always is, where there is a score per class
    skip_bad        pass over checkpoints that are damaged or do not fit, and say so on the page
    overwrite       replace the run; without it a replay of the same checkpoints goes on where it stopped

    What only a live recording has is left out, and the page says so. The loss is the mean cross-entropy of the
    evaluation, where the output is a score per class. Raises subclasses of ReportgenError; what is found wrong
    before the first checkpoint is recorded leaves `path` untouched.
    """
    url, (spool, path) = path, target(path, shown=progress)
    expect("steps", steps, str | None, 'a text such as "0,1000:10000:500"')
    expect("keep", keep, Keep, "a Keep(...)")
    skip_bad, overwrite = truth("skip_bad", skip_bad), truth("overwrite", overwrite)
    given = replay_data(model, dataset, probe, evaluation, embedding, classes, preprocess)
    network = build_model(model, len(given.classes or ()) or None, given.shape) if isinstance(model, str) else model
    reader = Reader(network, _expected(network, given, apply), skip_bad)
    with ExitStack() as kept:
        entries: Iterable[Entry]
        if isinstance(checkpoints, str | Path | Checkpoint):
            how = checkpoints if isinstance(checkpoints, Checkpoint) else Checkpoint(checkpoints)
            if PurePath(named_path(how.path)).is_relative_to(named_path(url)):
                raise OptionError(f"the checkpoints lie in {url} itself; give another folder for the run", code="O108")
            folder = lasting_path(kept.enter_context(copied(how.path, NoWeightsError)))
            name, entries = folder.name, reader.survey(replace(how, path=folder), steps)
        else:
            if steps is not None:
                raise OptionError(
                    "steps choose among the checkpoints of a folder: leave out those that are not wanted", code="O103"
                )
            name, entries = "the checkpoints handed over", reader.given(checkpoints)
        config = {
            **given.config,
            "model": model if isinstance(model, str) else type(network).__name__,
            "checkpoints": name,
        }
        rows = {} if metrics is None else read_metrics(kept.enter_context(copied(metrics, NoDataError)))
        if spool is not None:
            spool.prepare(overwrite=overwrite, resume=not overwrite and spool.holds_a_run())
        done = None if overwrite else _done(path, config)

        def begin(variables: Any, start: Start) -> Recorder:
            return Recorder(
                spool or path,
                network,
                variables,
                **given.batches,
                apply=apply,
                classes=given.classes,
                keep=replace(keep, every="epoch", loss=True),
                config=config,
                # What a replay left that was stopped before its first checkpoint was written holds nothing.
                overwrite=overwrite or (done is None and (path / layout.RUN_FILE).is_file()),
                start=start,
            )

        with Bar("replay", reader.count, "checkpoint", shown=progress) as bar:
            _Replay(given, reader).record(entries, done, rows, begin, bar)
        return open_run(url)


class _Replay:
    """One replay: its reader and data, and what is found out on the way."""

    def __init__(self, data: ReplayData, reader: Reader):
        self._data, self._reader = data, reader
        self._facts: dict[int, Facts] = {}

    def record(
        self,
        entries: Iterable[Entry],
        done: Run | None,
        rows: Mapping[int, Mapping[str, float]],
        begin: Callable[[Any, Start], Recorder],
        bar: Bar,
    ) -> None:
        """Read, evaluate and record the checkpoints that the run does not have yet."""
        recorded = {} if done is None else done.snapshots
        last, epoch = max(recorded, default=-1), 0
        if recorded:
            self._facts = {step: Facts(step, f"step {step}") for step in recorded}
            epoch = recorded[last].epoch
        with ExitStack() as stack:
            recorder: Recorder | None = None
            thread = stack.enter_context(ThreadPoolExecutor(1))
            for entry, following in _with_following(entries):
                step, name = entry.facts.step, entry.facts.name
                if step in recorded:
                    self._facts[step] = entry.facts
                    bar.advance()
                    continue
                if step < last:
                    raise RunError(
                        f"the run was replayed up to step {last} without step {step}, which is there now; "
                        "replay it anew (overwrite)",
                        code="R107",
                    )
                bar.note(f"reading {name}", 0, 1)
                try:
                    variables = self._reader.variables(entry, thread, following)
                except WeightsError as problem:
                    self._reader.skip(name, problem)
                    continue
                # Of a series whose first steps are gone by now, the count goes on.
                epoch = entry.epoch if self._reader.epochs_known or not self._facts else epoch + 1
                before = max(self._facts, default=-1)
                if before < 0:
                    start = Start(at=(step, epoch), facts=self._provenance)
                    recorder = stack.enter_context(begin(variables, start))
                else:
                    if recorder is None:
                        start = Start(resume_at=last, facts=self._provenance)
                        recorder = stack.enter_context(begin(variables, start))
                    recorder.at(variables, step, epoch)
                recorder.rows({at: row for at, row in rows.items() if before < at <= step}, epoch)
                self._facts[step] = with_values(entry.facts, _named(variables))
                del variables
                recorder.flush()  # one checkpoint at a time is held
                bar.advance()
                bar.part(f"{len(self._facts)}/{self._reader.count or '?'} {name}")
            if not self._facts:
                raise WeightsError(f"there is no checkpoint to replay{_because(self._reader.said)}", code="W107")
            if recorder is not None:
                for step, snapshot in recorded.items():
                    self._facts[step] = with_values(self._facts[step], snapshot.variables)
                recorder.notes += self._notes()

    @property
    def _provenance(self) -> dict[str, Any]:
        return {**self._data.facts, "epochs_are": "epochs" if self._reader.epochs_known else "checkpoints"}

    def _notes(self) -> list[str]:
        """What stands on top of the page: what it was made of and what it lacks, then what gives reason to doubt."""
        facts = [self._facts[step] for step in sorted(self._facts)]
        known = self._reader.epochs_known
        unit = (
            ""
            if known
            else f" The column epoch of its tables of numbers counts checkpoints, step {facts[0].step} the first."
        )
        return [
            f"Replayed from {len(facts)} checkpoints: what only a live recording has, the parameters and the loss of "
            f"every batch, is left out.{unit}",
            *account(facts, regular=self._reader.regular),
            *self._reader.said,
        ]


def _with_following(entries: Iterable[Entry]) -> Iterable[tuple[Entry, Entry | None]]:
    """Each entry with the one after it, where that is known: what a user hands over is asked for one at a time."""
    if isinstance(entries, Sequence):
        return zip(entries, [*entries[1:], None], strict=True)
    return ((entry, None) for entry in entries)


def _expected(network: Any, data: ReplayData, apply: Callable[..., Any] | None) -> dict[str, Any] | None:
    """The variables that the model starts with; None where it does not tell, as a plain function."""
    if not isinstance(network, linen.Module | nnx.Module):
        return None
    try:
        return initial_variables(network, data.example)
    except ModelError:
        if apply is None:  # which may know what else the model needs
            raise
        return None


def _named(variables: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    return {
        kind: {name: np.asarray(leaf) for name, leaf in flat_names(tree).items()} for kind, tree in variables.items()
    }


def _because(said: Sequence[str]) -> str:
    return f" ({'; '.join(said[:3])})" if said else ""


def _done(path: Path, config: Mapping[str, Any]) -> Run | None:
    """The run that a replay of the same checkpoints left at `path`, to go on with; None where there is none.

    Of a replay that was stopped, the last checkpoint is replayed again. Raises RunError where another run is there.
    """
    if not (path / layout.RUN_FILE).is_file():
        return None
    header, _ = read_header(path)
    if "checkpoints" not in header.config:
        raise RunExistsError(
            f"{path} already holds a run; choose another folder, or replace it (overwrite)", code="R102"
        )
    differ = [
        f"{name} {header.config.get(name)!r}, now {value!r}"
        for name, value in config.items()
        if header.config.get(name) != value
    ]
    if differ:
        raise RunError(
            f"{path} was replayed with other options: {'; '.join(differ)}; give those that it was begun with, "
            "or replace the run (overwrite)",
            code="R107",
        )
    if not layout.has_snapshots(path):
        return None
    run = open_run(path)
    whole = {row.step for row in run.metrics.epochs} & set(run.observations)
    steps = sorted(run.snapshots) if run.status == "finished" else sorted(run.snapshots)[:-1]
    kept = list(takewhile(lambda step: step in whole, steps))
    return replace(run, snapshots={step: run.snapshots[step] for step in kept}) if kept else None
