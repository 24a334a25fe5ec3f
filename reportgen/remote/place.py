"""A folder elsewhere, by fsspec: s3://, gs://, abfs://, memory:// and whatever else that knows.

    place = place_of("s3://bucket/runs/a")      # None for a path of this machine
    place.files()                               # name -> size, and what tells that a file has changed
    place.get(["run.json"], Path("copy"))
    place.put(Path("copy/run.json"), "run.json")

A file has its name only once all of it is there: object stores know no other way.
"""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from reportgen.core.paths import url_of
from reportgen.errors import MissingError, OptionError, RunError, naming_the_extra, reason_of

T = TypeVar("T")

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the attempts of what somebody waits for."""

_TELLING = frozenset(
    {"size", "etag", "md5", "md5hash", "content_md5", "generation"}
    | {"lastmodified", "last_modified", "mtime", "modified", "updated", "created"}
)

_TIMES = ("LastModified", "last_modified", "mtime", "modified", "created")


class Entry(NamedTuple):
    """A file elsewhere: its bytes, its size, tag and time as one text that changes with the file, and when it was
    written, in seconds since 1970, None where that is not known."""

    size: int
    mark: str
    time: float | None


@dataclass(frozen=True)
class Place:
    """A folder elsewhere: its URL, the file system of fsspec that reaches it, and its path there.

    Where `only` is the name of a file in it, that is all that is listed.
    """

    url: str
    system: Any
    root: str
    only: str = ""

    def kind(self) -> str:
        """What fsspec calls that which is there: "file" or "directory"; "" for nothing. Raises as `files` does."""

        def found() -> str:
            self.system.invalidate_cache()
            return str(self.system.info(self.root)["type"])

        try:
            return self.tried("read", found)
        except FileNotFoundError:
            return ""

    def around(self, only: str = "") -> "Place":
        """The folder around it, under the same URL."""
        return replace(self, root=self.root.rpartition("/")[0], only=only)

    def files(self) -> dict[str, Entry]:
        """Name (relative, with slashes) -> what is known of each file.

        Raises RunError where the place can't be reached.
        """

        def found() -> dict[str, Any]:
            self.system.invalidate_cache()
            try:
                if self.only:  # `find` tells nothing of a single file
                    return {self._path(self.only): self.system.info(self._path(self.only))}
                listed: dict[str, Any] = self.system.find(self.root, detail=True)
            except FileNotFoundError:
                return {}
            return listed

        return self._entries(self.tried("read", found))

    def _entries(self, listed: Mapping[str, Any]) -> dict[str, Entry]:
        files = {}
        for path, info in listed.items():
            name = PurePosixPath(path[len(self.root) :].lstrip("/"))
            if name.parts and ".." not in name.parts:
                told = {key: str(value) for key, value in info.items() if key.lower() in _TELLING}
                times = [info[key].timestamp() for key in _TIMES if isinstance(info.get(key), datetime)]
                files[str(name)] = Entry(
                    int(info.get("size") or 0), repr(sorted(told.items())), times[0] if times else None
                )
        return files

    @property
    def gives_pieces(self) -> bool:
        """Whether parts of files are fetched several at a time, and by any process: memory:// is of one."""
        return bool(self.system.async_impl)

    def pieces(self, name: str, spans: Sequence[tuple[int, int]], mark: str) -> list[bytes]:
        """The bytes from `start` to `stop` of a file for each span, several fetched at a time.

        Raises FileNotFoundError where the file has gone or is another one than that of the `mark`: of two files never
        a part each. Raises RunError where the place can't be reached.
        """
        path = self._path(name)

        def fetched() -> list[bytes]:
            try:
                found = self.system.cat_ranges(
                    [path] * len(spans), [start for start, _ in spans], [stop for _, stop in spans], on_error="raise"
                )
            except Exception:
                self._see_that_it_is(name, mark)  # of a shorter file a store says that there is no such range
                raise
            self._see_that_it_is(name, mark)  # afterwards: what was fetched before was of the same file then
            return [bytes(piece) for piece in found]

        return self.tried("read", fetched)

    def _see_that_it_is(self, name: str, mark: str) -> None:
        """Raise FileNotFoundError where the file is not the one of the mark. By a listing, from which the mark is."""
        self.system.invalidate_cache()
        listed = self.system.ls(self._path(name).rpartition("/")[0], detail=True)
        entry = self._entries({each["name"]: each for each in listed}).get(name)
        if entry is None or entry.mark != mark:
            raise FileNotFoundError(name)

    def get(self, names: Sequence[str], folder: Path, files: Mapping[str, Entry]) -> None:
        """Copy files into a folder, with the times that `files` has. Each is there only once it is whole.

        Raises FileNotFoundError where one has gone, RunError where the place can't be reached or the folder written.
        """
        if not names:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="partial-", dir=folder.parent) as partial:
                parts = [Path(partial) / str(number) for number in range(len(names))]
                paths = [self._path(name) for name in names]
                self.tried("read", lambda: self.system.get(paths, [str(part) for part in parts]))
                for name, part in zip(names, parts, strict=True):
                    if (time := files[name].time) is not None:
                        os.utime(part, (time, time))
                    target = folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    part.replace(target)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RunError(f"{folder} can't be written: {error.strerror or error}", code="F105") from error

    def put(self, file: Path, name: str, moved: Callable[[], None] = lambda: None) -> None:
        """Copy a file of this machine there, once; `moved` is called for each part. Raises what the place does."""
        from fsspec.callbacks import Callback

        told = Callback(hooks={"moved": lambda size, value: moved()})
        self.system.put_file(str(file), self._path(name), callback=told)

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None where there is none. Raises RunError where the place can't be reached."""
        try:
            return bytes(self.tried("read", lambda: self.system.cat_file(self._path(name))))
        except FileNotFoundError:
            return None

    def send(self, file: Path, name: str) -> None:
        """Copy a file of this machine there, for who waits for it. Raises RunError where the place takes none."""
        try:
            self.tried("written", lambda: self.put(file, name))
        except FileNotFoundError as error:  # there is no such bucket
            raise RunError(f"{self.url} can't be written: {reason_of(error)}", code="F106") from error

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, one after the other; what is not there is gone already. Raises what the place does."""
        for name in names:
            try:
                self.system.rm_file(self._path(name))
            except FileNotFoundError:
                continue

    def tried(self, how: str, work: Callable[[], T]) -> T:
        """What `work` returns, which is tried again after a pause. Raises FileNotFoundError, and RunError else."""
        for pause in (*PAUSES, None):
            try:
                return work()
            except FileNotFoundError:
                raise
            except Exception as error:  # each store has errors of its own, few of which are OSError
                if pause is None or isinstance(error, PermissionError):
                    raise RunError(f"{self.url} can't be {how}: {reason_of(error)}", code="F106") from error
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"


def place_of(given: str | os.PathLike[str]) -> Place | None:
    """The folder elsewhere that a user named by a URL; None for a path of this machine.

    Raises MissingError without fsspec or the package that it needs for the URL, OptionError for a URL of no kind that
    it knows, RunError where it is not reached.
    """
    url = url_of(given)
    if url is None:
        return None
    with naming_the_extra():
        import fsspec
        from fsspec.registry import known_implementations
    protocol, _, rest = url.partition(":")
    if not rest.startswith("//"):
        raise OptionError(f"{url} is a chain of file systems: give the URL of the place alone", code="O109")
    try:
        system, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = str(known_implementations[protocol]["class"]).partition(".")[0]
        also = "" if package == "s3fs" else f" {package}"
        raise MissingError(
            f"{protocol}:// needs {package}, which is not installed: pip install 'reportgen-jax[remote]'{also}",
            code="P107",
        ) from error
    except ValueError as error:
        raise OptionError(f"{url} is no URL that is read or written: {reason_of(error)}", code="O109") from error
    except Exception as error:  # some connect at once, and each has errors of its own
        raise RunError(f"{url} can't be reached: {reason_of(error)}", code="F106") from error
    return Place(url, system, root.rstrip("/"))


def kept_folder(kind: str, url: str) -> Path:
    """The folder of this machine for what belongs to a URL: in $REPORTGEN_REMOTE, or in the user's cache folder.

    It has the last part of the URL as its name.
    """
    stated = os.environ.get("REPORTGEN_REMOTE")
    try:
        base = Path(stated or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # an account without a home
        base = Path(tempfile.gettempdir())
    base = base if stated else base / "reportgen" / "remote"
    name = re.sub(r"[*?\[\]]", "_", PurePosixPath(url.partition("://")[2]).name) or "root"
    return base.absolute() / kind / hashlib.sha256(url.encode()).hexdigest()[:16] / name
