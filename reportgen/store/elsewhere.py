"""Runs elsewhere: recorded by way of a spool, read by way of a copy.

    folder = folder_to_read("s3://bucket/runs/a")      # a copy; a path of this machine is itself
    spooled, folder = target("s3://bucket/runs/a")     # None, and the path, for one of this machine
    spooled.prepare(overwrite=False, resume=False)
    writer = spooled.opened(lambda: RunWriter(folder, header))
    ...
    writer.close("finished", seconds)
    spooled.wait()

The spool is a whole run directory, within the bytes that any run may take, and is deleted once all of it has arrived.
"""

import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from reportgen.core.files import write_bytes
from reportgen.core.paths import lasting_path, naming
from reportgen.errors import NoRunError, RunError, RunExistsError
from reportgen.remote import Place, Spool, fetched, kept_folder, place_of
from reportgen.remote.place import Entry
from reportgen.remote.spool import Mark, mark_of
from reportgen.store import layout
from reportgen.store.parts import PATIENCE, wait_for_parts
from reportgen.store.segments import INDEX, SEGMENT
from reportgen.store.writer import RunWriter

T = TypeVar("T")

ORDER = (
    *(layout.SNAPSHOTS, layout.ACTIVATIONS, layout.DATA_FILE, layout.VECTORS_FILE, layout.LANDSCAPE_FILE),
    *(layout.STEPS_FILE, layout.EPOCHS_FILE, layout.CHECKPOINTS, layout.RUN_FILE),
)
"""What a run consists of, each after what it refers to; run.json, by which it is a run, is last."""

CLAIM = layout.LOCK_FILE
"""There: which spool the run is recorded by, until all of it has arrived. It shows beforehand that files are taken."""


class RunSpool:
    """A run that is recorded to a place; `folder` is where it is written on this machine.

    `shown` is whether waiting for the uploads says how far they are.
    """

    def __init__(self, place: Place, *, shown: bool = True):
        self.place, self._shown = place, shown
        self.folder = kept_folder("spool", place.url)
        self._claim = self.folder.with_name("claim")
        self._spool: Spool | None = None
        self._there: dict[str, Mark | None] | None = None
        self._overwrite = False

    def __str__(self) -> str:
        return self.place.url

    @property
    def left(self) -> bool:
        """Whether a recording left its run on this machine, and not only fetched one to go on with."""
        return self._read_claim() is not None and layout.is_header(self.folder / layout.RUN_FILE)

    def holds_a_run(self) -> bool:
        """Whether there is a run to go on with, here or there."""
        return self.left or self.place.read(layout.RUN_FILE) is not None

    def prepare(self, *, overwrite: bool, resume: bool) -> None:
        """See that a recording may begin; of a run that is to go on, fetch it where this machine does not have it.

        Raises RunExistsError where a run is there and neither is wanted, NoRunError where none is to go on with,
        RunError where the place holds something else, can't be reached, or is recorded into elsewhere.
        """
        if self._there is not None:
            return
        files, left = self.place.files(), self.left
        claim, own = self.place.read(CLAIM) if CLAIM in files else None, self._read_claim()
        foreign = [name for name in sorted(files) if PurePosixPath(name).parts[0] not in layout.ENTRIES]
        if foreign:
            raise RunError(
                f"{self.place.url} holds {foreign[0]!r}, which no recorder wrote; choose an empty or new place",
                code="R106",
            )
        self._there, self._overwrite = dict.fromkeys(name for name in files if name != CLAIM), overwrite
        if overwrite:
            return
        if resume and left and claim != own:
            raise RunError(
                f"{self.place.url} was recorded into from elsewhere since {self.folder} was left on this machine; "
                f"delete {self.folder} to go on with what is there",
                code="R109",
            )
        if resume and not left:
            self._fetch(files)
        elif not resume and claim is not None and claim != own:
            raise RunError(
                f"{self.place.url} is being recorded into from another machine, or was left by one; choose another "
                "place, or replace what is there (overwrite)",
                code="R109",
            )
        elif not resume and (left or layout.RUN_FILE in files):
            here = f", and what has not arrived there of it in {self.folder}" * left
            raise RunExistsError(
                f"{self.place.url} already holds a run{here}; choose another place, or go on with it (resume), or "
                "replace it (overwrite)",
                code="R102",
            )

    def _fetch(self, files: Mapping[str, Entry]) -> None:
        if layout.RUN_FILE not in files:
            raise NoRunError(f"{self.place.url} does not hold a run: it has no {layout.RUN_FILE}", code="R101")
        names = [name for name in files if name != CLAIM]
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            # What makes it a run of this machine comes last.
            self.place.get([name for name in names if name != layout.RUN_FILE], self.folder, files)
            self.place.get([layout.RUN_FILE], self.folder, files)
        except FileNotFoundError as error:
            raise RunError(f"{self.place.url} changes while it is read: it is being recorded", code="R109") from error
        self._there = {name: mark_of(self.folder / name) for name in names}

    def opened(self, make: Callable[[], RunWriter]) -> RunWriter:
        """The writer that `make` makes, of the folder; what it writes is uploaded while it does, and when it is closed.

        Raises RunError where the place does not take files, and what `make` does.
        """
        writer = self.begun(make)
        writer.after = self.finish
        return writer

    def begun(self, make: Callable[[], T]) -> T:
        """What `make` returns; from then on what is in the folder is uploaded. Raises as `opened` does."""
        spool = Spool(
            self.place, self.folder, ORDER, self._there or {}, self._done, sign=layout.EPOCHS_FILE, shown=self._shown
        )
        try:
            if self._overwrite:
                shutil.rmtree(self.folder, ignore_errors=True)
                # First: what is left, should this be interrupted, is no run.
                self.place.tried("written", lambda: self.place.delete([layout.RUN_FILE]))
            write_bytes(self._claim, secrets.token_hex(8).encode())
            self.place.send(self._claim, CLAIM)
            made = make()
        except BaseException:
            spool.release()
            raise
        self._spool = spool
        spool.start()
        return made

    def finish(self) -> None:
        """Have what is there now uploaded as the last; waits for nothing."""
        if self._spool is not None:
            with suppress(RunError):  # a process that still writes tells of it itself
                wait_for_parts(self.folder / layout.SNAPSHOTS, PATIENCE)
            self._spool.finish()

    def wait(self) -> None:
        """Wait until all has arrived; warns where it does not, see `Spool.wait`."""
        if self._spool is not None:
            self._spool.finish()
            self._spool.wait()

    def _done(self) -> None:
        self.place.delete([CLAIM])
        shutil.rmtree(self.folder)
        self._claim.unlink()

    def _read_claim(self) -> bytes | None:
        try:
            return self._claim.read_bytes()
        except FileNotFoundError:
            return None


def target(path: str | Path | RunSpool, *, shown: bool = True) -> tuple[RunSpool | None, Path]:
    """How a run is recorded to a URL, None for a folder of this machine; and the folder that it is written into."""
    if not isinstance(path, RunSpool):
        place = place_of(path)
        if place is None:
            return None, lasting_path(path)
        path = RunSpool(place, shown=shown)
    return path, path.folder


def upload(url: str | Path) -> None:
    """Upload what a recording to a URL has left on this machine, because it was killed or the place wasn't reached.

    Raises NoRunError where there is nothing left, RunError where the place can't be reached. Warns where not all of it
    arrives.
    """
    spooled, _ = target(url)
    if spooled is None or not spooled.left:
        raise NoRunError(f"nothing that was recorded to {url} is left on this machine to be uploaded", code="R101")
    spooled.prepare(overwrite=False, resume=True)
    spooled.begun(lambda: None)
    spooled.wait()


@contextmanager
def folder_to_read(path: str | Path) -> Iterator[Path]:
    """The folder of a run, or of runs side by side; of a URL a copy, of which what has changed is fetched now.

    What is raised within names the URL, not the copy. Raises RunError where the place can't be reached.
    """
    folder = run_folder(path)
    with naming(path, folder):
        yield folder


def run_file(path: str | Path) -> bytes | None:
    """The content of the run.json of a folder or a URL; None where there is none.

    Raises RunError where it can't be read.
    """
    place = place_of(path)
    if place is not None:
        return place.read(layout.RUN_FILE)
    try:
        return (lasting_path(path) / layout.RUN_FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path}/{layout.RUN_FILE} can't be read: {error.strerror or error}", code="F105") from error


def run_folder(path: str | Path) -> Path:
    """The same without naming the URL in what is raised."""
    place = place_of(path)
    return lasting_path(path) if place is None else fetched(place, _read_of, _by_pieces)


def _read_of(names: Collection[str]) -> list[str]:
    """The files of those that a report reads, of a run or of runs in folders beside each other.

    In the opposite of the order in which they are uploaded, so that a run that is being recorded is whole.
    """
    within = {""} if layout.RUN_FILE in names else {f"{PurePosixPath(name).parts[0]}/" for name in names}
    runs = [run for run in sorted(within) if f"{run}{layout.RUN_FILE}" in names]
    if len(runs) > layout.MOST_NETWORKS:
        return [f"{run}{layout.RUN_FILE}" for run in runs]  # no page has room for them
    groups = [run + group for group in reversed(ORDER) if group != layout.CHECKPOINTS for run in runs]
    return [name for group in groups for name in names if name == group or name.startswith(f"{group}/")]


def _by_pieces(names: Collection[str]) -> list[str]:
    """The files of which little is read: segments that an index lies beside, of runs that nobody is recording.

    Of one that is being recorded all is copied as it is now, before it is replaced or given up there.
    """
    recorded = {name.removesuffix(CLAIM) for name in names if PurePosixPath(name).name == CLAIM}
    complete = [name for name in names if str(PurePosixPath(name).with_suffix(INDEX)) in names]
    return [n for n in complete if n.endswith(SEGMENT) and not any(n.startswith(run) for run in recorded)]
