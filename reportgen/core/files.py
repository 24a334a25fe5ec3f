"""Files that are replaced in one step, and folders that hold what one build wrote.

    write(Path("out/report.html"), text)           # makes the folder; flushed to disk before it is renamed
    write_bytes(run / "run.json", content)         # renamed without waiting for the disk

    with Built(Path("out"), "index.html") as built:      # afterwards, files of the build before are gone
        built.write("figures/curves.svg", svg)
        built.write("index.html", page)

A process that is killed before the rename leaves the old file, or none, never part of a new one.
"""

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from reportgen.errors import ReportgenError, RunError

LISTING = ".reportgen.json"
"""Names what builds wrote into a folder: the file to open -> all files that belong to it."""


def write(path: Path, content: str | bytes) -> Path:
    """Write the content (text as UTF-8) to `path`, making missing folders; returns the path.

    It is on disk before it takes the name. A file that is there keeps its permissions and, where that is allowed, its
    owner; a link stays one, and a pipe or a device is written to. Raises ReportgenError that names the file if it
    can't be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        before = _stat(path)
        if before is not None and not stat.S_ISREG(before.st_mode) and not stat.S_ISDIR(before.st_mode):
            path.write_bytes(data)
            return path
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may write the same report: each needs its own temporary name.
        partial = target.with_name(f".{target.name[:80]}.{secrets.token_hex(4)}.tmp")
        _replace(target, partial, [data], flushed=True, like=before)
    except OSError as error:
        raise ReportgenError(
            f"can't write {path}: {error.strerror or error}; choose another location, or fix this one", code="F105"
        ) from error
    return path


def _stat(path: Path) -> os.stat_result | None:
    """What the path leads to; None where there is nothing yet, as behind a link to a file that is still to be made."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


class Built:
    """What one build writes into a folder, which is used together with others: `main` is the file to open.

    On leaving, files that an earlier build of the same `main` wrote and this one did not are deleted, unless they
    belong to another `main` too. Nothing else in the folder is touched.
    """

    def __init__(self, folder: Path, main: str):
        self.folder = folder
        self.main = main
        self.paths: list[Path] = []
        """The files written, in order."""
        self._names: set[str] = set()

    def write(self, name: str, content: str | bytes) -> Path:
        """Write the file of that name, relative to the folder, as the function `write` does."""
        path = write(self.folder / name, content)
        self.paths.append(path)
        self._names.add(name)
        return path

    def keep(self, name: str) -> None:
        """Count a file that is there as one of this build: as of an earlier one, or written by another process."""
        self._names.add(name)

    def __enter__(self) -> "Built":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        listing = _listing(self.folder / LISTING)
        before = set(listing.pop(self.main, ()))
        if kind is None:
            for name in sorted(before - self._names.union(*listing.values())):
                _delete(self.folder, name)
            self._list(listing, self._names)
        else:  # the next build is to know what this one wrote until it failed
            with suppress(ReportgenError):
                self._list(listing, before | self._names)

    def _list(self, others: dict[str, list[str]], names: set[str]) -> None:
        listing = {**others, self.main: sorted(names)} if names else others
        write(self.folder / LISTING, json.dumps(listing, indent=1, sort_keys=True) + "\n")


def listed(folder: Path) -> set[str]:
    """The names of all that builds wrote into a folder."""
    return {name for names in _listing(folder / LISTING).values() for name in names}


def _listing(file: Path) -> dict[str, list[str]]:
    """What the file lists; nothing where it is missing or was not written by us."""
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
        return {main: [name for name in names if isinstance(name, str)] for main, names in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _delete(folder: Path, name: str) -> None:
    """Delete a file that an earlier build wrote; a name that leads out of the folder is none that a build writes."""
    try:
        path = folder / name
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            path.unlink()
    except (OSError, ValueError) as error:
        raise ReportgenError(
            f"can't delete {folder / name!s}, which an earlier build wrote: {error}", code="F105"
        ) from error


def is_full(error: BaseException) -> bool:
    """Whether a write failed because there is no room on the disk; of an error of ours, whether that is its cause."""
    cause = error.__cause__ or error
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_bytes(path: Path, *content: bytes | memoryview) -> None:
    """Write the parts of `content` to `path`, replacing an existing file in one step.

    Raises RunError that names the file.
    """
    try:
        _replace(path, path.with_name(f".{path.name}.partial"), content, flushed=False)
    except OSError as error:
        raise RunError(f"{path} could not be written: {error.strerror or error}", code="F105") from error


def _replace(
    path: Path,
    partial: Path,
    content: Iterable[bytes | memoryview],
    *,
    flushed: bool,
    like: os.stat_result | None = None,
) -> None:
    """Write `content` to `partial`, then rename it to `path`.

    `flushed` waits for the disk, which for a file of a run would take longer than the write itself.

    The file gets the permissions and the owner of `like`.
    """
    try:
        with partial.open("wb") as file:
            if like is not None:
                _make_alike(file.fileno(), like)
            file.writelines(content)
            if flushed:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        # On a full disk the partial file would keep taking space.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _make_alike(descriptor: int, like: os.stat_result) -> None:
    """Set group, owner and permissions. What only root may do, or a file system does not have, is left as it is."""
    if os.name != "posix":
        return
    for owner in ((-1, like.st_gid), (like.st_uid, -1)):
        with suppress(OSError):
            os.fchown(descriptor, *owner)
    with suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
