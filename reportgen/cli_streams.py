"""The standard streams of the command line: closed, full, or with a reader that went away."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from reportgen.errors import ReportgenError


def open_streams() -> None:
    """Make the standard streams usable, and print warnings as sentences, without a line of code that nobody wrote.

    Streams that were closed before the start are the null device: otherwise the next file that is opened would get the
    number of one, and what is printed would go into it. What a stream can't encode, such as a file's name that is no
    UTF-8, is printed with backslashes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))
    warnings.formatwarning = lambda message, *_, **__: f"reportgen: warning: {message}\n"
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def stream_errors() -> Iterator[None]:
    """Within, a standard output that takes nothing more (a full disk behind >) raises ReportgenError."""
    try:
        yield
        sys.stdout.flush()
    except ReportgenError:
        raise  # a missing run is an OSError too, and no fault of the stream
    except OSError as error:
        if error.filename is not None or isinstance(error, BrokenPipeError):
            raise
        raise ReportgenError(f"standard output can't be written: {error.strerror or error}", code="F105") from error


def end(code: int, say: Callable[[], object] = lambda: None) -> None:
    """End the process with that exit code, after `say` has printed why.

    What the streams don't take is dropped, so that Python does not try again at its end and change the code.
    """
    with suppress(OSError):
        say()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def is_standard_output(path: str) -> bool:
    """Whether that is "-", or a name of the file that standard output is, such as /dev/stdout."""
    if path == "-":
        return True
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False
