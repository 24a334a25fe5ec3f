"""A copy of a folder elsewhere, of which what has changed is fetched anew.

folder = fetched(place, lambda names: [name for name in names if name.endswith(".json")])

with copied("s3://bucket/digits.npz", NoDataError) as path:    # or a path of this machine, or a pattern
    read(path)

What is read by pieces is fetched when it is read, see `sparse`; all else is fetched whole.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from filelock import FileLock

from reportgen.core.files import write_bytes
from reportgen.core.paths import local_path, naming
from reportgen.errors import ReportgenError, RunError
from reportgen.remote import sparse
from reportgen.remote.place import Entry, Place, kept_folder, place_of

SMALL = 2 * sparse.BLOCK
"""Bytes of a file up to which it is fetched whole in any case."""

ROUNDS = 5
"""How often a folder is listed again because a file of it went while it was fetched."""

UNUSED = 7 * 24 * 3600.0
"""Seconds after which a copy that nobody asked for is deleted."""

_LEDGER = "fetched.json"


def fetched(
    place: Place,
    wanted: Callable[[Collection[str]], Sequence[str]],
    by_pieces: Callable[[Collection[str]], Collection[str]] = lambda names: (),
) -> Path:
    """The folder of this machine that has the files which are `wanted` of the names there, as they are now.

    They are fetched in the order of `wanted`, and again where size, tag or time there is another; what is gone
    there, or not wanted, is deleted here. Those that are read `by_pieces` are not fetched yet, unless they are small or
    the place gives no pieces.
    Raises RunError where the place can't be reached, and where it goes on changing.
    """
    folder = kept_folder("cache", place.url)
    ledger = folder.with_name(_LEDGER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name("lock")):
            for _ in range(ROUNDS):
                files = place.files()
                names = wanted(files)
                pieces = {n for n in by_pieces(files) if files[n].size > SMALL} if place.gives_pieces else set()
                known = _known(ledger)
                lacking = [n for n in names if not _is_there(folder / n, files[n], known.get(n), n in pieces)]
                whole = [name for name in lacking if name not in pieces]
                _see_that_there_is_room(place, folder, sum(files[name].size for name in whole))
                try:
                    for name in lacking:
                        sparse.forget(folder / name)
                    place.get(whole, folder, files)
                except FileNotFoundError:
                    continue
                for name in pieces.intersection(lacking):
                    sparse.begin(folder / name, place, name, files[name])
                kept = {file for name in names for file in (folder / name, sparse.list_of(folder / name))}
                for path in [path for path in folder.rglob("*") if path.is_file() and path not in kept]:
                    path.unlink()
                told = {name: [files[name].mark, _mark(folder / name)] for name in names if name not in pieces}
                write_bytes(ledger, json.dumps(told, indent=1).encode())
                _delete_unused(folder.parent)
                return folder
    except OSError as error:
        raise RunError(f"{folder} can't be written: {error.strerror or error}", code="F105") from error
    raise RunError(f"{place.url} goes on changing while it is read; try again later", code="F106")


@contextmanager
def copied(given: str | os.PathLike[str], missing: type[ReportgenError]) -> Iterator[Path]:
    """Within, the file or folder that a user named; of a URL, or a pattern of one, a copy of all of it as it is now.

    What is raised within names the URL. Raises `missing` where nothing is there, RunError as `fetched` does.
    """
    place = place_of(given)
    if place is None:
        yield local_path(given)
        return
    name = PurePosixPath(place.root).name
    if "*" in name or "[" in name:  # a question mark stands before a URL's query
        path = (
            fetched(place.around(), lambda names: [n for n in names if fnmatchcase(n.partition("/")[0], name)]) / name
        )
    elif kind := place.kind():
        path = fetched(place.around(name), list) / name if kind == "file" else fetched(place, list)
    else:
        raise missing(f"{place.url}: no such file or folder", code="F101")
    with naming(given, path):
        yield path


def _is_there(file: Path, entry: Entry, known: object, in_pieces: bool) -> bool:
    """Whether a file is the one there now, or becomes it as it is read, where that is what is wanted."""
    part = sparse.sparse_at(file)
    if part is not None:
        return in_pieces and part.mark == entry.mark and _mark(file)[:1] == [entry.size]
    return known == [entry.mark, _mark(file)]


def _see_that_there_is_room(place: Place, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise RunError(
            f"{folder.parent} has {free / 1e9:,.1f} GB free, and a copy of {place.url} takes {size / 1e9:,.1f}; make "
            "room, or set $REPORTGEN_REMOTE to a folder of another disk",
            code="F105",
        )


def _mark(file: Path) -> list[int]:
    """What tells that a copy is as it was fetched: its size and time."""
    try:
        stat = file.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _known(ledger: Path) -> Mapping[str, object]:
    try:
        known = json.loads(ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _delete_unused(used: Path) -> None:
    """Delete the copies beside the one that is used that nobody has asked for."""
    os.utime(used / _LEDGER)
    for ledger in used.parent.glob(f"*/{_LEDGER}"):
        with suppress(OSError):
            if ledger.parent != used and time.time() - ledger.stat().st_mtime > UNUSED:
                shutil.rmtree(ledger.parent)
