"""Files that are there whole or not at all.

    write(Path("out/report.html"), text)           # folder made, file replaced once it is on the disk
    write_bytes(run / "run.json", content)         # replaced in one step; the disk may take its time

Whatever stops the process before the last step leaves the old file as it was, or none where there was none: never a
part of one.
"""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from reportgen.errors import ReportgenError, RunError


def write(path: Path, content: str | bytes) -> Path:
    """Puts the content (text as UTF-8) at `path`, making the folder where there is none; returns the path.

    It has reached the disk before it takes the name. Raises ReportgenError naming the file when it can't be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may write the same report: each has a name of its own.
        _replace(path, path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp"), [data], flushed=True)
    except OSError as error:
        raise ReportgenError(
            f"can't write {path}: {error.strerror or error}; choose another place, or mend this one"
        ) from error
    return path


def write_bytes(path: Path, *content: bytes | memoryview) -> None:
    """Puts `content`, part after part, at `path`, replacing what is there in one step.

    Raises RunError naming the file.
    """
    try:
        _replace(path, path.with_name(f".{path.name}.partial"), content, flushed=False)
    except OSError as error:
        raise RunError(f"{path} could not be written: {error.strerror or error}") from error


def _replace(path: Path, partial: Path, content: Iterable[bytes | memoryview], *, flushed: bool) -> None:
    """`flushed` waits for the disk, which takes a file of a run longer than the rest of its writing."""
    try:
        with partial.open("wb") as file:
            file.writelines(content)
            if flushed:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        # On a full disk the part is in the way of everything else.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
