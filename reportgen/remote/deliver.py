"""Files that are written to this machine, and then taken to where they belong.

with delivered("s3://bucket/report.html") as path:
    write(path, page)
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from reportgen.core.files import LISTING, listed, write
from reportgen.core.paths import local_path
from reportgen.errors import ReportgenError
from reportgen.remote.place import kept_folder, place_of


@contextmanager
def delivered(target: str | Path, *, is_folder: bool = False, brought: Sequence[str] = ()) -> Iterator[Path]:
    """Within, the path to write to; of a URL one of this machine, from which what was written is then taken there.

    Of what an earlier build wrote into that folder, the files whose names are `brought` are here at first. What an
    earlier build wrote into that folder, wherever it ran, and this one did not is deleted there. Raises
    RunError where the place can't be reached.
    """
    place = place_of(target)
    if place is None:
        yield local_path(target)
        return
    path = kept_folder("pages", place.url)
    folder = path if is_folder else path.parent
    if not is_folder:
        place = replace(place, url=place.url.rpartition("/")[0], root=place.root.rpartition("/")[0])
    with _own(folder):
        before = {name: place.read(name) for name in (LISTING, *brought)}
        for name, content in before.items():
            if content is not None:
                write(folder / name, content)
        earlier = listed(folder)
        yield path
        names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        # What refers to others comes after them, and what tells that all is there comes last.
        for name in sorted(names, key=lambda name: (name == LISTING, "/" not in name)):
            if name not in before or (folder / name).read_bytes() != before[name]:
                place.send(folder / name, name)
        gone = sorted(earlier - listed(folder))
        place.tried("written", lambda: place.delete(gone))


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Within, the folder is empty at first, and no other build's; another build of the same waits."""
    kept = folder.parent
    try:
        kept.mkdir(parents=True, exist_ok=True)
        lock = FileLock(kept / f"{folder.name}.lock")
        lock.acquire()
    except OSError as error:
        raise ReportgenError(f"{kept} can't be written into: {error.strerror or error}", code="F105") from error
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield
    finally:
        lock.release()
