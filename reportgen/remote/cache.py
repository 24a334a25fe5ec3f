"""A copy of a folder elsewhere, of which what has changed is fetched anew.

folder = fetched(place, lambda names: [name for name in names if name.endswith(".json")])
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from reportgen.core.files import write_bytes
from reportgen.errors import RunError
from reportgen.remote.place import Place, kept_folder

ROUNDS = 5
"""How often a folder is listed again because a file of it went while it was fetched."""

UNUSED = 7 * 24 * 3600.0
"""Seconds after which a copy that nobody asked for is deleted."""

_LEDGER = "fetched.json"


def fetched(place: Place, wanted: Callable[[Collection[str]], Sequence[str]]) -> Path:
    """The folder of this machine that has the files which are `wanted` of the names there, as they are now.

    They are fetched whole, in the order of `wanted`, and again where size, tag or time there is another; what is gone
    there, or not wanted, is deleted here. Raises RunError where the place can't be reached, and where it goes on
    changing.
    """
    folder = kept_folder("cache", place.url)
    ledger = folder.with_name(_LEDGER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name("lock")):
            for _ in range(ROUNDS):
                files = place.files()
                names = wanted(files)
                known = _known(ledger)
                lacking = [name for name in names if known.get(name) != [files[name], _mark(folder / name)]]
                try:
                    place.get(lacking, folder)
                except FileNotFoundError:
                    continue
                for path in [path for path in folder.rglob("*") if path.is_file()]:
                    if path.relative_to(folder).as_posix() not in names:
                        path.unlink()
                told = {name: [files[name], _mark(folder / name)] for name in names}
                write_bytes(ledger, json.dumps(told, indent=1).encode())
                _delete_unused(folder.parent)
                return folder
    except OSError as error:
        raise RunError(f"{folder} can't be written: {error.strerror or error}", code="F105") from error
    raise RunError(f"{place.url} goes on changing while it is read; try again later", code="F106")


def _mark(file: Path) -> list[int]:
    """What tells that a copy is as it was fetched: its size and time."""
    try:
        stat = file.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _known(ledger: Path) -> Mapping[str, object]:
    try:
        known = json.loads(ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _delete_unused(used: Path) -> None:
    """Delete the copies beside the one that is used that nobody has asked for."""
    os.utime(used / _LEDGER)
    for ledger in used.parent.glob(f"*/{_LEDGER}"):
        with suppress(OSError):
            if ledger.parent != used and time.time() - ledger.stat().st_mtime > UNUSED:
                shutil.rmtree(ledger.parent)
