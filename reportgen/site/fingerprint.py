"""Whether the page of a run is still what would be built: names for pages, and fingerprints of what they are made of.

pages = named([Path("a/run"), Path("b/run")])       # {"a/run": ..., "b/run": ...}
file_name("a/run", pages)                           # "a-run.html"
fingerprint(Path("a/run"), view)                    # 64 hexadecimal digits
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reportgen import __version__
from reportgen.sections.installed import GROUP
from reportgen.store.layout import CHECKPOINTS, LOCK_FILE

LONGEST = 80
"""Characters of a page's name."""


def named(runs: Sequence[Path]) -> dict[str, Path]:
    """Name -> run, each run once: the folder's own name, or where several have it, its path below what all share.

    Bytes of a name that are no UTF-8 are written out.
    """
    folders = list(dict.fromkeys(Path(os.path.normpath(run)) for run in runs))
    if not folders:
        return {}
    taken = Counter(folder.name for folder in folders)
    above = os.path.commonpath([folder.parent for folder in folders])
    own = [folder if taken[folder.name] > 1 else Path(folder.name) for folder in folders]
    names = [path.relative_to(above) if path.is_absolute() else path for path in own]
    return {
        os.fsencode(name.as_posix()).decode("utf-8", "backslashreplace"): folder
        for name, folder in zip(names, folders, strict=True)
    }


def file_name(name: str, names: Iterable[str]) -> str:
    """The file of a run's page: its name where every file system takes that, else with digits that tell it apart."""
    plain = {each: _plain(each) for each in names}
    alike = Counter(each.casefold() for each in plain.values())
    own = plain[name]
    if own == name and alike[own.casefold()] == 1:
        return f"{own}.html"
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{own}-{digits}.html"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:LONGEST].strip(".-") or "run"


def fingerprint(run: Path, view: Mapping[str, Any]) -> str:
    """A digest of what a page depends on: names, sizes and times of the run's files, the version, and the options."""
    made = {
        "version": __version__,
        "view": view,
        "sections": sorted(str(entry) for entry in entry_points(group=GROUP)),
        "umap": find_spec("numba") is not None,
        "dated": not os.environ.get("SOURCE_DATE_EPOCH"),
        "files": sorted(_files(run, "")),
    }
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def _files(folder: Path, prefix: str) -> list[tuple[str, int, int]]:
    """(name, bytes, nanoseconds) of the files of a run, those of its checkpoints and half-written ones not."""
    found: list[tuple[str, int, int]] = []
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return []  # who builds the page says why
    for entry in entries:
        if entry.name in (CHECKPOINTS, LOCK_FILE) or entry.name.startswith("."):
            continue
        if entry.is_dir():
            found += _files(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file():
            state = entry.stat()
            found.append((prefix + entry.name, state.st_size, state.st_mtime_ns))
    return found
