"""Writes files so that a reader finds the old one or the new one, never half of either.

write(Path("out/report.html"), text)           # folder made, file replaced once complete
"""

import os
import secrets
from pathlib import Path

from reportgen.errors import ReportgenError


def write(path: Path, content: str | bytes) -> Path:
    """Puts the content (text as UTF-8) at `path`, making the folder where there is none; returns the path.

    The content goes to a temporary file in the same folder, reaches the disk, and then takes the
    name in one step: whatever stops the process before that leaves the old file as it was.
    Raises ReportgenError naming the file when it can't be written.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ReportgenError(
            f"can't write {path}: {error.strerror or error}; choose another place, or mend this one"
        ) from error
    return path
