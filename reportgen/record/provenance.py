"""Where a recording was made: day, command, versions, device, git commit. No environment, no user names.

provenance()   # {"python": "3.11.7", "device": "cpu", "packages": {...}, "git_commit": ..., ...}
"""

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import jax

from reportgen import __version__

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def provenance() -> dict[str, Any]:
    """Versions, device and commit, which are needed to judge or repeat a recording, as JSON values."""
    packages: dict[str, str | None] = {"reportgen": __version__}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": packages,
        "device": f"{device.platform}: {device.device_kind}",
        "devices": jax.device_count(),
        "command": command(sys.argv),
        **({} if os.environ.get("SOURCE_DATE_EPOCH") else {"date": datetime.now(UTC).date().isoformat()}),
        **git_state(),
    }


_SECRET = re.compile(r"token|secret|password|passwd|api|key|auth", re.IGNORECASE)

OURS = frozenset({"--key"})
"""Options of reportgen's own commands whose names sound secret and whose values are none."""


def command(argv: Sequence[str]) -> str | None:
    """The command that runs this program; None where nobody gave one, as in a notebook.

    Folders are left out of absolute paths, places out of URLs, and so are the values of options that sound secret.

    >>> command(["/home/me/bin/reportgen", "train", "-o", "runs/a"]), command(["/tmp/x.py", "--api-key=1", "/data/b"])
    ('reportgen train -o runs/a', 'python x.py --api-key=… b')
    >>> command(["reportgen", "train", "-o", "s3://bucket/runs/a"])
    'reportgen train -o a'
    """
    program = Path(argv[0] if argv else "")
    if program.name in ("", "-c", "-", "ipykernel_launcher.py"):
        return None
    start = f"python -m {program.parent.name}" if program.name == "__main__.py" else program.name
    words = [f"python {start}" if start.endswith(".py") else start]
    known = OURS if start in ("reportgen", "python -m reportgen") else frozenset()
    hidden = False
    for word in argv[1:]:
        name, equals, value = word.partition("=")
        option = name.startswith("-")
        if hidden and not option:
            words.append("…")
        elif option and equals:
            words.append(f"{name}={'…' if _is_secret(name, known) else shlex.quote(_without_folders(value))}")
        else:
            words.append(shlex.quote(_without_folders(word)))
        hidden = option and not equals and _is_secret(name, known)
    return " ".join(words)


def _is_secret(option: str, known: Set[str]) -> bool:
    return option not in known and bool(_SECRET.search(option))


def _without_folders(word: str) -> str:
    if "://" in word:
        return PurePosixPath(urlsplit(word).path).name or "…"
    return Path(word).name if word.startswith(("/", "~")) or Path(word).is_absolute() else word


def git_state() -> dict[str, Any]:
    """Commit of the current directory's repository, and whether tracked files differ from it.

    Both are None outside a repository, or without git.
    """
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"git_commit": commit, "git_dirty": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
