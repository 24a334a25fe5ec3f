"""Record a training loop: parameters after every batch, activations after every epoch.

    with Recorder("runs/mine", model, variables, probe=(images, labels), evaluation=(x, y)) as recorder:
        for epoch in range(epochs):
            for batch in batches:
                state, loss = train_step(state, batch)
                recorder.step(state.params, loss=loss)
            recorder.epoch({"params": state.params, "batch_stats": state.batch_stats}, val_loss=val_loss)

Opening the recorder records step 0, the network before training. `step` copies the parameters on the
device and returns; a thread fetches and writes them.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reportgen.analysis.scores import scores
from reportgen.capture import own_modes
from reportgen.core.arguments import count, truth
from reportgen.core.classes import names_in_order
from reportgen.core.outcome import Task, task_named
from reportgen.core.run import MetricRow
from reportgen.errors import RunError, expect, warn
from reportgen.record.background import Background, Turn
from reportgen.record.batches import all_batches, recorded_part
from reportgen.record.copies import Copier, Share
from reportgen.record.keep import Keep, Start, interval, with_earlier
from reportgen.record.pace import Pace
from reportgen.record.prepared import fitting, prepare_model
from reportgen.record.processes import Processes
from reportgen.record.provenance import provenance
from reportgen.record.resumed import standing
from reportgen.record.snapshots import OTHER_PARAMETERS, Snapshots
from reportgen.record.trees import recordable, shapes_of, taken
from reportgen.record.unclosed import FORKED, INSIDE, leave_open, status_after, wait_for_dropped
from reportgen.record.values import NO_STEP, Metrics, configuration, history, numbers, rows_of, updates
from reportgen.store import Packed, RunSpool, RunWriter, target

WAITING_BYTES = 256 << 20
"""Snapshots that may wait for the disk, in bytes, before `step` waits too."""


class Recorder:
    """Records one training of a Flax model into a run directory, or by way of one to a URL (docs/remote.md).

    model, variables    a flax.linen Module and its variables ({"params": ...}), or a TrainState; or an
                        nnx.Module alone. It is never modified, and read only where it is handed over
    probe               the few examples whose activations are kept whole: inputs, or (inputs, targets)
    evaluation          likewise: what ranges, predictions and activity per label are computed on
    embedding           likewise: the points of the hidden-layer embedding, usually training examples;
                        default: the first 2,000 evaluation examples
    apply               (model, variables, inputs) -> output, for a model that needs more arguments
    classes             names of the labels; default: "0", "1", ...
    task                what is scored: a `reportgen.Task` or its kind ("regression", "tokens", ...); default: what
                        output and targets say (docs/tasks.md has the rules). "none" scores nothing
    vocabulary          the text of each token: a list, or a function of the token's number
    keep                what of the training is kept, see `Keep`
    config              settings to show in the report: numbers, texts, lists, mappings and what becomes these
    overwrite           replace a run that is there; without it such a directory is refused
    verify              compute every captured value of the probe again (docs/capture.md); the result is
                        noted in the run's provenance, and warned about when something differs
    start               how the recording begins, for a training that resumes: see `Start`

    Inputs are an array [example, ...] as the model takes it, or a dict or tuple of such arrays; as a pair is
    taken for inputs and targets, inputs that are a pair are written ((a, b), None). Targets are an array
    [example, ...]. `evaluation` may also come in batches: a list of pairs, a loader that can be gone through
    again, or a function that returns one; it is then evaluated part by part and never held whole. Raises
    DataError, ModelError, OptionError or RunError, each saying what to change. A recorder that
    is closed by an exception leaves a run that can be read. Networks that are trained together have a recorder each,
    into a folder each beneath one (`runs/gan/generator`), of which `build` makes one page.

    Parameters may be on a mesh of devices. In a program that runs in several processes (`jax.distributed`) all of them
    open the recorder, on a folder that they share, and call it in the same order: each writes the parts of parameters
    that it owns, they evaluate together, and the first writes the rest.
    """

    def __init__(
        self,
        path: str | Path | RunSpool,
        model: Any,
        variables: Any = None,
        *,
        probe: Any,
        evaluation: Any = None,
        embedding: Any = None,
        apply: Callable[[Any, Any, Any], Any] | None = None,
        classes: Sequence[str] | Mapping[int, str] | None = None,
        task: Task | str | None = None,
        vocabulary: Sequence[str] | Callable[[int], str] | None = None,
        keep: Keep = Keep(),  # noqa: B008 (frozen)
        config: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        verify: bool = False,
        start: Start = Start(),  # noqa: B008 (frozen)
        **earlier: Any,
    ):
        self._started = time.monotonic()
        self._spool, path = target(path)
        self._path = str(self._spool or path)
        keep, start = with_earlier(earlier, keep, start)
        overwrite, verify = truth("overwrite", overwrite), truth("verify", verify)
        with own_modes():
            variables = taken(model, variables)
        batches = all_batches(probe, evaluation, embedding)
        self._shapes = shapes_of(variables["params"])
        self._metrics = Metrics()
        every = interval(keep.every)
        leads = jax.process_index() == 0  # the other processes follow: none may keep less than the first
        self._pace = Pace(every, keep.share_of_time if keep.every is None and leads else None)
        self._closed, self._warned = False, set[str]()
        self._guard, self._process = Turn(), os.getpid()
        self.accuracy: float | None = None
        """Share of the evaluation examples that were predicted correctly when they were last evaluated."""
        self.loss: float | None = None
        """Their mean cross-entropy then, where `keep.loss` asks for it."""
        self.notes: list[str] = []
        """Sentences for the top of the page, written when the recorder is closed."""
        self._processes = Processes()
        self._processes.meet(path)
        with own_modes(), self._processes.together():
            if self._spool is not None and leads:
                self._spool.prepare(overwrite=overwrite, resume=start.resume_at is not None)
            names, task = None if classes is None else names_in_order(classes), task_named(task)
            prepared = prepare_model(model, variables, batches, names, task, vocabulary, apply, keep, verify)
        self._batches, self._observe, self._needed = prepared.batches, prepared.observe, prepared.needed
        self._copier = Copier(model, set(variables), prepared.needed, self._shapes)
        self._recorded = recorded_part(prepared.batches)
        self._step, self._epoch = start.at
        self._epoch_began = self._step
        if start.resume_at is not None:
            self._step = start.resume_at
            given = self._shapes, self._recorded, prepared.classes
            with own_modes(), self._processes.together():
                self._epoch, self._epoch_began = standing(path, self._step, *given, overwrite)
        known = (batch.fingerprints for batch in self._recorded.values())
        self._taken = sum(array.nbytes for array in known if array is not None)
        options = {"snapshot_every": every or "epoch", "layers": list(keep.layers)}
        header = {
            **prepared.header,
            "classes": prepared.classes,
            "config": {"model": prepared.observe.network.name, **configuration(config, "config"), **options},
            "provenance": {**provenance(), **configuration(start.facts, "facts"), **prepared.provenance},
        }
        initial = Metrics()(start.initial)
        self._writer: RunWriter | None = None
        wait_for_dropped()
        with own_modes(), self._processes.together():
            if leads:
                make = partial(RunWriter, path, header, overwrite=overwrite, resume_at=start.resume_at, most=keep.most)
                self._writer = make() if self._spool is None else self._spool.opened(make)
        share = Share.of({"params": recordable(variables["params"])})
        nbytes = sum(each.value.nbytes for each in share.owned)
        capacity = int(np.clip(WAITING_BYTES // max(nbytes, 1), 2, 64))
        self._background = Background(capacity, None if self._writer is None else self._writer.flush)
        began = -1 if start.resume_at is None else self._step
        of = self._copier, self._pace, self._background, self._writer, self._processes, began
        self._snapshots = Snapshots(path, *of)
        self._arrive: Callable[[], None] = (lambda: None) if self._spool is None else self._spool.wait
        leave_open(self, self._background, self._snapshots.close, self._started, self._arrive)
        if start.resume_at is None:
            self._record_start(variables, initial)

    def _record_start(self, variables: Mapping[str, Any], initial: Mapping[str, Any]) -> None:
        """The batches, and the network before training, or as it is where the recording begins."""
        try:
            if self._writer is not None:
                self._writer.batches(self._recorded)
            self._record(variables, initial)
        except BaseException as error:
            self.close(status_after(error))
            raise

    def step(self, params: Any, loss: Any = None, **reported: Any) -> None:
        """Note one update: `params` after it, and the loss of the batch that made it.

        `params` is a params tree, a TrainState, or variables with "params"; for NNX the model, its state,
        or nnx.state(model, nnx.Param). `loss` and further metrics may be device scalars, which are not
        waited for. A metric that is not a scalar number or has a reserved name raises OptionError in the first
        call, and is left out with one warning later. Raises OptionError for parameters of another network, RunError
        after `close`, and what the writer thread failed with. May be called from several threads.
        """
        with self._guard, own_modes():
            self._check_open("step")
            began = time.perf_counter()
            given = self._copier.take(params)
            reported_values = self._metrics({**({} if loss is None else {"train_loss": loss}), **reported})
            # Metrics on the device are copied like parameters: the loop may delete or donate what it was given.
            held = {name: value for name, value in reported_values.items() if isinstance(value, jax.Array)}
            kept = self._pace.keeps(self._step + 1)
            # One call for all, queued on the device behind the update that made them.
            copy, held = self._copier.copy(given if kept else None, held)
            self._note(copy, reported_values | held)
            if kept:
                self._snapshots.note(self._step, set(given.trees), given.trees["params"])
            self._pace.spent(self._step, time.perf_counter() - began)

    def steps(self, params: Any, losses: Any = None, **reported: Any) -> None:
        """Note updates of which the loop returns the history, as `jax.lax.scan` stacks it, each as `step` does.

        All arrays of `params`, `losses` and the metrics have a further first axis [update]. Waits for them. Raises
        OptionError for arrays of other shapes, and as `step` does.
        """
        with self._guard, own_modes():
            self._check_open("steps")
            count, trees, of_update = self._copier.stacked(params)
            columns = {**({} if losses is None else {"train_loss": losses}), **reported}
            for number, row in enumerate(history(columns, count)):
                kept = self._pace.keeps(self._step + 1)
                self._note(partial(of_update, number) if kept and of_update is not None else None, self._metrics(row))
                if kept:
                    self._snapshots.note(self._step, set(trees))

    def _note(self, copy: Callable[[], Packed] | None, row: Mapping[str, Any]) -> None:
        """Count an update, and hand the copy of its variables and its metrics to the writer thread."""
        self._step += 1
        step, epoch = self._step, self._epoch + 1

        snapshots, writer = self._snapshots, self._writer  # the thread must not hold the recorder, which may be dropped
        if copy is not None:
            snapshots.open()

        def write() -> None:
            with own_modes():
                if copy is not None:
                    snapshots.write(step, epoch, copy())
                if writer is not None:
                    writer.step_rows(MetricRow(step, epoch, reported=numbers(row)), flushed=False)

        snapshots.submit(write)

    def epoch(self, variables: Any, *, steps: int | None = None, losses: Any = None, **reported: Any) -> None:
        """Close an epoch: records activations, predictions, vectors, the measured val_accuracy, and metrics.

        `variables` as the model takes them, or a TrainState; for NNX the model or its state. A loop that calls
        neither `step` nor `steps` gives the number of updates as `steps`, or their `losses` [update]. Without either,
        an epoch in which neither was called counts as one update, for each epoch is kept under a step of its own.
        Waits for the evaluation. Parameters that are not those of the last `step`, as averaged ones, are kept in
        their place, and those of `step` beside them as the collection "step_params". Raises OptionError when a
        collection is missing that the model reads in evaluation, and as `step` does.
        """
        with self._guard, own_modes():
            self._check_open("epoch")
            variables = self._copier.whole(variables)
            each, count = updates(losses, steps)
            reported_values = self._metrics(reported)
            if not count and self._step == self._epoch_began:
                count = 1
                self._warn(NO_STEP, code="C202")
            self._epoch += 1
            rows = [
                MetricRow(self._step + number, self._epoch, reported=numbers({"train_loss": loss}))
                for number, loss in enumerate(each, 1)
            ]
            self._submit(lambda writer: writer.step_rows(*rows))
            self._step += count
            self._epoch_began = self._step
            self._record(variables, reported_values)

    def at(self, variables: Any, step: int, epoch: int, **reported: Any) -> None:
        """Record the network as it was after `step` updates, of a training that is not running: at the end of `epoch`.

        As `epoch` does; the variables are held until they are written, not copied. Steps and epochs only grow.
        """
        with self._guard, own_modes():
            self._check_open("at")
            step, epoch = count("step", step, self._step + 1), count("epoch", epoch, self._epoch + 1)
            whole = self._copier.whole(variables)
            self._step = self._epoch_began = step
            self._epoch = epoch
            self._record(whole, self._metrics(reported))

    def rows(self, rows: Mapping[int, Mapping[str, float]], epoch: int) -> None:
        """Note metrics that a training which is not running reported: step -> name -> number, of updates of `epoch`."""
        self._check_open("rows")
        noted = rows_of(rows, epoch, self._metrics)
        self._submit(lambda writer: writer.step_rows(*noted))

    def _check_open(self, call: str) -> None:
        if os.getpid() != self._process:
            raise RunError(FORKED.format(call=call, path=self._path), code="C107")
        if self._closed:
            raise RunError(f"the recorder of {self._path} is closed: nothing more can be recorded with it", code="C107")
        if self._guard.depth > 1:
            raise RunError(INSIDE.format(call=call), code="C107")

    def _warn(self, text: str, *, code: str) -> None:
        """Warn the caller of `epoch`, once."""
        if text not in self._warned:
            self._warned.add(text)
            warn(text, code=code)

    def flush(self) -> None:
        """Wait until all that was noted until now lies in the run. Raises what the writer thread failed with."""
        self._check_open("flush")
        self._background.flush()

    def close(self, status: str = "finished") -> None:
        """Flush pending writes and release the run directory, whose `status` is noted in it.

        A recorder that is never closed is flushed when the program ends; the run's status is "not closed" then.
        """
        expect("status", status, str, "a text, such as finished or failed")
        if os.getpid() != self._process or self._background.closed:
            return
        with self._guard:
            self._closed = True

        def last(failed: bool) -> None:
            self._snapshots.close("failed" if failed else status, time.monotonic() - self._started, self.notes)

        try:
            self._background.close(last)
        finally:
            self._arrive()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        self.close(status_after(error))

    def _record(self, variables: Any, reported_values: Mapping[str, Any]) -> None:
        """Evaluate the network as it is now, and hand it and the results to the writer thread."""
        with own_modes():
            needed = {kind: tree for kind, tree in variables.items() if kind in self._needed}
            observation = self._observe(needed, self._step, self._epoch)
            # Only now: the copy that is written is not held beside the evaluation's memory.
            if self._snapshots.end(variables, self._step, self._epoch):
                self._warn(OTHER_PARAMETERS, code="C204")
        outcome, seconds = observation.outcome, self._observe.seconds
        measured = {} if outcome is None else scores(outcome, self._batches["evaluation"].targets)
        self.accuracy, self.loss = measured.get("val_accuracy"), getattr(outcome, "loss", None)
        computed = {} if self.loss is None else {"val_loss": self.loss}
        row = MetricRow(self._step, self._epoch, measured, computed | numbers(reported_values))
        self._submit(lambda writer: writer.observation(fitting(observation, writer.size, self._taken), seconds))
        self._submit(lambda writer: writer.epoch_row(row))

    def _submit(self, write: Callable[[RunWriter], None]) -> None:
        """Have the writer thread write; of several processes, which all have the same to write, in the first one."""
        if self._writer is not None:
            self._snapshots.submit(partial(write, self._writer))
