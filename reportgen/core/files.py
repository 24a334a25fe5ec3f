"""Atomic file replacement.

    write(Path("out/report.html"), text)           # makes the folder; flushed to disk before it is renamed
    write_bytes(run / "run.json", content)         # renamed without waiting for the disk

A process that is killed before the rename leaves the old file, or none, never part of a new one.
"""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from reportgen.errors import ReportgenError, RunError


def write(path: Path, content: str | bytes) -> Path:
    """Write the content (text as UTF-8) to `path`, making missing folders; returns the path.

    It is on disk before it takes the name. Raises ReportgenError that names the file if it can't be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may write the same report: each needs its own temporary name.
        _replace(path, path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp"), [data], flushed=True)
    except OSError as error:
        raise ReportgenError(
            f"can't write {path}: {error.strerror or error}; choose another location, or fix this one"
        ) from error
    return path


def write_bytes(path: Path, *content: bytes | memoryview) -> None:
    """Write the parts of `content` to `path`, replacing an existing file in one step.

    Raises RunError that names the file.
    """
    try:
        _replace(path, path.with_name(f".{path.name}.partial"), content, flushed=False)
    except OSError as error:
        raise RunError(f"{path} could not be written: {error.strerror or error}") from error


def _replace(path: Path, partial: Path, content: Iterable[bytes | memoryview], *, flushed: bool) -> None:
    """`flushed` waits for the disk, which for a file of a run would take longer than the write itself."""
    try:
        with partial.open("wb") as file:
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
