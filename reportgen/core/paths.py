"""Paths as users give them: text or path objects, with ~ for the home, and URLs.

local_path("~/runs/a")             # Path("/home/me/runs/a")
lasting_path("runs/a")             # absolute: it stays the same folder when the process changes its own
local_path("gs://bucket/run")      # OptionError
url_of("gs://bucket/run")          # the URL; None for a path of this machine
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from reportgen.errors import OptionError, ReportgenError

# A drive of Windows has one letter; Path("gs://x") keeps a single slash.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(:|//?)")

_HERE = "file://"


def url_of(given: str | os.PathLike[str]) -> str | None:
    """The URL that a user named, in text or as an object of another library whose path is one (`epath`).

    None for what is none, and for file:///, which is a path of this machine. Raises OptionError for one that pathlib
    has taken apart.
    """
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    found = _URL.match(text) if isinstance(text, str) and not text.startswith(f"{_HERE}/") else None
    if found is None:
        return None
    if found[1] == "/":
        raise OptionError(
            f"{text} is a URL of which pathlib has taken a slash away: give it as text, as in {found[0]}/…", code="O109"
        )
    return found[0] + text[found.end() :].rstrip("/")


def local_path(given: str | os.PathLike[str]) -> Path:
    """The file or folder that a user named, with ~ and ~NAME as the home folder; file:///tmp is /tmp.

    Raises OptionError for a URL (such as gs://, s3:// or memory://), for no text, for a home that is not known, and for
    a name that is too long.
    """
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(text, str):
        raise OptionError(f"a path must be text or a path object; got {given!r:.80}", code="O108")
    if not text or "\0" in text:
        raise OptionError(f"{text!r} is no path; name a file or a folder", code="O108")
    if url_of(text) is not None:
        raise OptionError(
            f"{text} is a URL, and here a path of this machine is needed; copy from or to the other place",
            code="O109",
        )
    text = text.removeprefix(_HERE)
    try:
        path = Path(text).expanduser()
        path.lstat()
    except RuntimeError as error:
        raise OptionError(f"{text}: the home folder is not known; write the path without ~", code="O108") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OptionError(
                f"{text[:40]}…, of {len(text):,} characters, is longer than the file system takes; give a shorter path",
                code="O108",
            ) from error
        # Whether it is there, and may be read, is for who opens it to tell.
    return path


def suffix_of(given: str | os.PathLike[str]) -> str:
    """The suffix of a path or a URL. Raises as `local_path` does."""
    url = url_of(given)
    return local_path(given).suffix if url is None else PurePosixPath(url).suffix


def lasting_path(given: str | os.PathLike[str]) -> Path:
    """As `local_path`, and absolute: for what is read or written later, maybe from another working directory."""
    path = local_path(given)
    try:
        return path.absolute()
    except OSError as error:
        raise OptionError(
            f"{path}: the working directory does not exist any more; give a path from the root", code="O108"
        ) from error


def named_path(given: str | os.PathLike[str]) -> str:
    """As a user named it: the URL, or the path as `lasting_path` has it. Raises as that does."""
    return url_of(given) or str(lasting_path(given))


@contextmanager
def naming(given: str | os.PathLike[str], path: Path) -> Iterator[None]:
    """Within, an error that names `path`, where this machine has what lies at a URL, names the URL that was given."""
    try:
        yield
    except ReportgenError as error:
        if (url := url_of(given)) is not None:
            error.args = (str(error).replace(str(path), url),)
        raise


def orbax_path(path: Path) -> Path:
    """The path, of which Orbax's storage takes only the UTF-8 form. Raises OptionError where it has none."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{path}: Orbax, by which checkpoints are read and written, takes no name that is not UTF-8; "
            "take a folder of another name",
            code="O108",
        ) from error
    return path
