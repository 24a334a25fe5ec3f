"""Writes a run directory: every call leaves it readable, whatever happens next.

    writer = RunWriter(path, header={"classes": [...], ...})
    writer.batches({"probe": Batch(10, images, labels)})
    writer.snapshot(step, epoch, {"params": {"conv1/kernel": array}})    # or writer.record(step, epoch, packed)
    writer.observation(Observation(step, epoch, maps))
    writer.step_rows(MetricRow(step=1, epoch=1, reported={"train_loss": 2.3}))
    writer.close("finished", seconds=12.5)

Nothing here runs in the background: `record` calls it from its writer thread.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO
from weakref import WeakValueDictionary

import numpy as np
from filelock import FileLock, Timeout

from reportgen.core.files import write_bytes
from reportgen.core.network import BY_HEAD
from reportgen.core.paths import lasting_path
from reportgen.core.run import Batch, MetricRow, Observation
from reportgen.errors import RunError, RunExistsError
from reportgen.store import layout
from reportgen.store.batches import batch_tensors
from reportgen.store.files import write_tensors
from reportgen.store.log import part_folders
from reportgen.store.log_writer import LogWriter
from reportgen.store.packed import Packed
from reportgen.store.parts import PATIENCE, cut_parts, wait_for_parts
from reportgen.store.rows import read_rows, row_line
from reportgen.store.schema import layer_vector_tensors, observation_tensors, place, variable_tensors
from reportgen.store.segments import INDEX, segment_files

_OPEN: "WeakValueDictionary[tuple[int, str], RunWriter]" = WeakValueDictionary()
"""Writers by their process, as a forked one has its parent's here too, and directory."""


FINISHED = "finished"
"""Status of a run whose recording came to its end."""


class RunWriter:
    """The one writer of a run directory; a second one on the same directory is refused.

    `header` goes to run.json: classes, layers, config, provenance, embed_layer, uncaptured. A
    directory that holds a run already is refused with RunError unless `overwrite` (its snapshots,
    activations and rows are deleted) or `resume_at` (a step: what lies after it is deleted); one that
    holds anything else is always refused.
    """

    def __init__(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        *,
        overwrite: bool = False,
        resume_at: int | None = None,
        most: int | None = None,
    ):
        self.path = lasting_path(path)
        self._most = most
        self.recorded = -1 if resume_at is None else resume_at
        """The step whose snapshot was written last."""
        self.paced = ""
        """Which updates were not handed over for a snapshot, in words."""
        self.after: Callable[[], None] = lambda: None
        """What is done once the run is closed."""
        self._ends: set[int] = set()
        if layout.is_header(self.path.parent / layout.RUN_FILE):
            raise RunError(
                f"{self.path.parent} is a run itself, and no other is recorded beneath it; give each of several "
                "networks a folder of its own beneath one that is no run",
                code="R106",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Before creating the lock: an existing lock identifies our left-overs.
            _check_ours(self.path)
        except OSError as error:
            why = "it is a file" if self.path.is_file() else error.strerror or error
            raise RunError(f"{self.path} can't be made a run directory: {why}", code="F105") from error
        self._lock = FileLock(self.path / layout.LOCK_FILE, thread_local=False)  # the writer thread may release it
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            if self._place in _OPEN:
                raise RunError(
                    f"{self.path} is still being recorded into by a Recorder of this process: close it first "
                    "(recorder.close(); leaving a `with` block does it), or give each of several networks a folder of "
                    f"its own, such as {self.path / 'generator'}",
                    code="R109",
                ) from error
            raise RunError(
                f"{self.path} is being recorded into by another process; wait for it to end", code="R109"
            ) from error
        except OSError as error:
            raise RunError(f"{self.path} can't be written into: {error.strerror or error}", code="F105") from error
        _OPEN[self._place] = self
        try:
            wait_for_parts(self.path / layout.SNAPSHOTS, 0)
            self._seconds_before = self._make_room(overwrite, resume_at)
            for folder in (layout.SNAPSHOTS, layout.ACTIVATIONS):
                (self.path / folder).mkdir(exist_ok=True)
            until = -1 if resume_at is None else resume_at
            self._log = LogWriter(self.path / layout.SNAPSHOTS, until, self._thinned_before)
            if most is not None:
                self._most = min(most, shutil.disk_usage(self.path).free // 2)
            parted = bool(part_folders(self.path / layout.SNAPSHOTS))
            heads = any(tuple(layer["axes"])[-2:] == BY_HEAD for layer in header.get("layers", ()))
            least = layout.BY_HEAD if heads else layout.PARTED if parted else layout.ALONE
            self._header = {"format": least, **header}
            self._write_header("running", self._seconds_before)
            self._steps = (self.path / layout.STEPS_FILE).open("a", encoding="utf-8")
            self._epochs = (self.path / layout.EPOCHS_FILE).open("a", encoding="utf-8")
        except BaseException as error:
            self._release()
            if isinstance(error, OSError) and not isinstance(error, RunError):
                raise RunError(
                    f"{error.filename or self.path} can't be written: {error.strerror or error}", code="F105"
                ) from error
            raise

    def _make_room(self, overwrite: bool, resume_at: int | None) -> float:
        """Delete what this recording replaces; returns the seconds that a resumed run already took."""
        run_file = self.path / layout.RUN_FILE
        if not run_file.exists() and resume_at is None:
            # Left-overs of a run killed before it wrote run.json: nothing is lost.
            overwrite = True
        elif not overwrite and resume_at is None:
            raise RunExistsError(
                f"{self.path} already holds a run; choose another directory, "
                "or go on with it (resume), or replace it (overwrite)",
                code="R102",
            )
        seconds = _number(run_file, "seconds") if resume_at is not None else 0.0
        self._evaluating = _number(run_file, "evaluating_seconds") if resume_at is not None else 0.0
        self._thinned_before = int(_number(run_file, "snapshots_thinned")) if resume_at is not None else 0
        keep = -1 if overwrite or resume_at is None else resume_at
        # Of states that may go, and without those that come.
        (self.path / layout.LANDSCAPE_FILE).unlink(missing_ok=True)
        if keep < 0:
            # First: if this is interrupted, the rest must not be mistaken for a run.
            run_file.unlink(missing_ok=True)
            shutil.rmtree(self.path / layout.CHECKPOINTS, ignore_errors=True)
            for name in (layout.DATA_FILE, layout.VECTORS_FILE):
                (self.path / name).unlink(missing_ok=True)
        for partial in self.path.glob(".*.partial"):
            partial.unlink()
        cut_parts(self.path / layout.SNAPSHOTS, keep)
        for path in segment_files(self.path / layout.SNAPSHOTS) if keep < 0 else ():
            path.unlink()
            path.with_suffix(INDEX).unlink(missing_ok=True)
        for folder in (self.path / layout.SNAPSHOTS, self.path / layout.ACTIVATIONS):
            for partial in folder.glob(".*.partial"):
                partial.unlink()
            for step in layout.listed_steps(folder):
                if step > keep:
                    layout.step_file(folder, step).unlink()
        for name in (layout.STEPS_FILE, layout.EPOCHS_FILE):
            file = self.path / name
            rows, _ = read_rows(file)
            write_bytes(file, "".join(row_line(row) for row in rows if row.step <= keep).encode())
            if name == layout.EPOCHS_FILE:
                self._ends = {row.step for row in rows if row.step <= keep}
        return seconds

    def batches(self, batches: Mapping[str, Batch]) -> None:
        """Write the inputs and targets that the report shows."""
        write_tensors(self.path / layout.DATA_FILE, *batch_tensors(batches))

    def snapshot(self, step: int, epoch: int, variables: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Write the variables after `step` updates: collection -> name -> array."""
        self.record(step, epoch, Packed.of(variable_tensors(variables)))

    def record(self, step: int, epoch: int, packed: Packed, *, end: bool = False) -> None:
        """The same of variables that are packed.

        Of a record in several parts, the part of the first process. Where snapshots take too much, all but the ends of
        epochs and multiples of a power of two are given up.
        """
        if packed.layout.parts > 1 and self._header["format"] < layout.PARTED:
            self._header["format"] = layout.PARTED
            self._write_header("running", self._seconds_before)
        if self._log.append(step, epoch, packed, end=end):
            self.recorded = step
        stage = self._log.stage
        while (
            self._most is not None
            and self._log.size > self._most
            and self._log.thin(self._ends | ({step} if end else set()))
        ):
            pass
        if self._log.stage > stage:
            self._write_header("running", self._seconds_before)

    def observation(self, observation: Observation, seconds: float = 0.0) -> None:
        """Write how the network responded at a step, which took so many seconds to find out."""
        self._evaluating += seconds
        file = layout.step_file(self.path / layout.ACTIVATIONS, observation.step)
        at = place(observation.step, observation.epoch)
        write_tensors(file, observation_tensors(observation), at)
        if observation.layer_vectors is not None:
            # One file for all: those of an earlier step are replaced.
            write_tensors(self.path / layout.VECTORS_FILE, layer_vector_tensors(observation.layer_vectors), at)

    @property
    def size(self) -> int:
        """Bytes of the batches, rows, snapshots and activations that are there."""
        files = [self.path / name for name in (layout.STEPS_FILE, layout.EPOCHS_FILE, layout.DATA_FILE)]
        files += (self.path / layout.ACTIVATIONS).iterdir()
        files += (self.path / layout.SNAPSHOTS).glob("*.safetensors")  # of an earlier format
        return self._log.size + sum(file.stat().st_size for file in files if file.exists())

    def step_rows(self, *rows: MetricRow, flushed: bool = True) -> None:
        """Append the metrics of updates; those that are not `flushed` may wait in memory until `flush`."""
        self._append(self._steps, rows, flushed)

    def epoch_row(self, row: MetricRow) -> None:
        """Append the metrics of one recorded epoch."""
        self.flush()
        self._ends.add(row.step)
        self._append(self._epochs, (row,), flushed=True)

    def flush(self) -> None:
        """Hand the rows that were appended to the system."""
        self._append(self._steps, (), flushed=True)

    def _append(self, file: TextIO, rows: Iterable[MetricRow], flushed: bool) -> None:
        try:
            file.write("".join(map(row_line, rows)))
            if flushed:
                file.flush()
        except OSError as error:
            raise RunError(f"{file.name} could not be written: {error.strerror or error}", code="F105") from error

    def close(self, status: str, seconds: float | None, notes: Sequence[str] = ()) -> None:
        """Record the final status ("finished", "interrupted", "failed", "not closed") and release the run directory.

        `seconds` it took, None for a run that has no duration; `notes` are sentences for the top of the page.
        """
        if notes:
            self._header["notes"] = [*self._header.get("notes", ()), *notes]
        try:
            failures = []
            for file in (self._steps, self._epochs):
                try:
                    file.close()
                except OSError as error:  # close() retries the buffered line and fails again
                    failures.append(f"{file.name} could not be written: {error.strerror or error}")
            try:
                self._log.close()
                if status == FINISHED:
                    wait_for_parts(self.path / layout.SNAPSHOTS, PATIENCE)
            except RunError as error:
                failures.append(str(error))
            if failures:
                raise RunError("; ".join(failures), code="F105")
            self._write_header(status, None if seconds is None else self._seconds_before + seconds)
        finally:
            self._release()
            self.after()

    @property
    def _place(self) -> tuple[int, str]:
        return os.getpid(), str(self.path.resolve())

    def _release(self) -> None:
        _OPEN.pop(self._place, None)
        self._lock.release()

    @property
    def stage(self) -> int:
        """How often snapshots were thinned."""
        return self._log.stage

    def _kept(self) -> str:
        """Which of the updates have a snapshot, where they are fewer than was asked for."""
        stage = self._log.stage
        thinned = (
            f"of these, multiples of {2**stage:,} and the ends of epochs, to take at most {self._most or 0:,} bytes"
        )
        return "; ".join(part for part in (self.paced, thinned * bool(stage)) if part)

    def _write_header(self, status: str, seconds: float | None) -> None:
        header = {**self._header, "status": status}
        if kept := self._kept():
            stated = {"snapshots_kept": kept, "snapshots_thinned": self._log.stage}
            header["provenance"] = {**header.get("provenance", {}), **stated}
        if seconds is not None and not os.environ.get("SOURCE_DATE_EPOCH"):
            # Who sets this asks for output that depends on no clock (reproducible-builds.org).
            taken = {"seconds": round(seconds, 3)}
            if self._evaluating:
                taken["evaluating_seconds"] = round(self._evaluating, 3)
            header["provenance"] = {**header.get("provenance", {}), **taken}
        content = json.dumps(header, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
        write_bytes(self.path / layout.RUN_FILE, content.encode("utf-8", "replace") + b"\n")


def _check_ours(folder: Path) -> None:
    """Raise RunError when `folder` holds what no recorder wrote: it would be deleted or written over.

    A directory is ours if it has a valid run.json, or our lock and only files with our names (left-overs of a
    run killed before it wrote run.json).
    """
    if within := layout.runs_beneath(folder):
        raise RunError(
            f"{layout.several(folder, within)}, or a folder of its own, such as {folder / 'generator'}", code="R106"
        )
    names = sorted(entry.name for entry in folder.iterdir())
    if not names or layout.is_header(folder / layout.RUN_FILE):
        return
    foreign = [name for name in names if name not in layout.ENTRIES and not _is_partial(name)]
    if layout.LOCK_FILE in names and not foreign:
        return
    raise RunError(
        f"{folder} is not empty and holds no run of reportgen; refusing to overwrite: {(foreign or names)[0]!r} "
        "was not written by reportgen; choose an empty or new directory",
        code="R106",
    )


def _is_partial(name: str) -> bool:
    return name.startswith(".") and name.endswith(".partial")


def _number(run_file: Path, name: str) -> float:
    """A number of a run's provenance, such as the seconds that it has taken until now; 0 where there is none."""
    try:
        return float(json.loads(run_file.read_text(encoding="utf-8"))["provenance"].get(name, 0.0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{run_file} is missing or damaged; replace the run (--overwrite)", code="R103") from error
