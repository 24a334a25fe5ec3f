"""Paths as users give them: text or path objects, with ~ for the home, and never a URL.

local_path("~/runs/a")             # Path("/home/me/runs/a")
lasting_path("runs/a")             # absolute: it stays the same folder when the process changes its own
local_path("gs://bucket/run")      # OptionError
"""

import errno
import os
import re
from pathlib import Path

from reportgen.errors import OptionError

# A drive of Windows has one letter; Path("gs://x") keeps a single slash.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(given: str | os.PathLike[str]) -> Path:
    """The file or folder that a user named, with ~ and ~NAME as the home folder.

    Raises OptionError for a URL (such as gs://, s3:// or memory://), for no text, for a home that is not known, and for
    a name that is too long.
    """
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(text, str):
        raise OptionError(f"a path must be text or a path object; got {given!r:.80}", code="O108")
    if not text or "\0" in text:
        raise OptionError(f"{text!r} is no path; name a file or a folder", code="O108")
    if _URL.match(text):
        raise OptionError(
            f"{text} is a URL, and only files and folders of this machine are read and written; "
            "give a local path, and copy from or to the other place",
            code="O109",
        )
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


def lasting_path(given: str | os.PathLike[str]) -> Path:
    """As `local_path`, and absolute: for what is read or written later, maybe from another working directory."""
    path = local_path(given)
    try:
        return path.absolute()
    except OSError as error:
        raise OptionError(
            f"{path}: the working directory does not exist any more; give a path from the root", code="O108"
        ) from error


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
