"""Many runs as a site: what `reportgen build RUN RUN... -o SITE/` does, as a plain function.

site = build_site(["runs/a", "runs/b"], "site")
site.index                                     # site/index.html
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from reportgen.api import MAX_SIZE
from reportgen.core.arguments import positive
from reportgen.core.files import Built
from reportgen.core.paths import lasting_path
from reportgen.core.progress import Bar
from reportgen.errors import OptionError, expect
from reportgen.page.html import html
from reportgen.remote import delivered, place_of
from reportgen.sections.options import chosen
from reportgen.sections.runs import Entry, index
from reportgen.site.fingerprint import file_name, fingerprint, named
from reportgen.site.workers import Workers, cores
from reportgen.store import run_folder

PAGES = "runs"
LEDGER = "site.json"
"""What the pages of a site were made of; without it, all are built anew."""


class _Known(msgspec.Struct):
    """A page that is there: what it was made of, and what the index says of its run."""

    fingerprint: str
    entry: Entry


@dataclass(frozen=True)
class Site:
    """A site as it was written: its `index`, the names of the runs whose pages were `built`, and of those whose pages
    were `current`; `failed` has a sentence for each run that could not be built."""

    index: Path
    built: tuple[str, ...]
    current: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def build_site(
    runs: Sequence[str | Path],
    folder: str | Path,
    *,
    from_step: int | str = "init",
    to_step: int | str = "final",
    layers: str | Sequence[str] = (),
    channels: Sequence[int] = (),
    normalize: str | tuple[float, float] | None = None,
    embedding: Literal["umap", "pca"] | None = None,
    title: str | None = None,
    max_size: int | None = MAX_SIZE,
    progress: bool = False,
) -> Site:
    """Build a page for each of the `runs` into `folder`, also a URL, and an index that lists them with their metrics.

    A page is built only where it is missing, or where the run's files (their names, sizes and times), the version of
    reportgen or the options are others than it was made of. Pages are built by a process for each core. The folder
    holds the pages of these runs alone: those of others that an earlier call wrote are deleted. A run that can't be
    built does not stop the others. Options are as for `build`, and apply to each page; `title` is the index's.
    Raises OptionError for no runs and for invalid options, ReportgenError where the folder can't be written.
    """
    if isinstance(runs, str | os.PathLike):
        runs = [runs]
    expect("runs", runs, Iterable, "a list of run directories")
    expect("title", title, str | None, "a text")
    expect("progress", progress, bool, "True or False")
    if max_size is not None:
        positive("max_size", max_size)
    options = chosen(layers, channels, normalize, embedding)
    view = {
        **{"from_step": str(from_step), "to_step": str(to_step), "embedding": embedding},
        **{"layers": options.layers, "channels": options.channels, "normalize": normalize},
        "max_size": None if max_size is None else int(max_size),
    }
    folders = named([run_folder(run) for run in runs])
    if not folders:
        raise OptionError("a site needs at least one run", code="O103")
    elsewhere = place_of(folder)
    there = None if elsewhere is None else elsewhere.files()
    with delivered(folder, is_folder=True, brought=(LEDGER,)) as given:
        return _written(lasting_path(given), folders, view, title, there, progress)


def _written(
    place: Path,
    folders: Mapping[str, Path],
    view: Mapping[str, Any],
    title: str | None,
    there: Collection[str] | None,
    progress: bool,
) -> Site:
    """The site of these runs, in a folder of this machine. What is `there` of it already is elsewhere; None: in it."""
    pages = {name: f"{PAGES}/{file_name(name, folders)}" for name in folders}
    before, known, failed = _ledger(place / LEDGER), dict[str, _Known](), dict[str, str]()
    prints = {name: fingerprint(run, view) for name, run in folders.items()}
    for name, page in pages.items():
        found = before.get(page)
        is_there = (place / page).is_file() if there is None else page in there
        if found is not None and found.fingerprint == prints[name] and is_there:
            known[name] = _Known(prints[name], msgspec.structs.replace(found.entry, name=name))
    current = tuple(known)
    jobs = [
        {"run": str(folders[name]), "file": str(place / pages[name]), "name": name, "page": pages[name], "view": view}
        for name in folders
        if name not in known
    ]
    with Built(place, "index.html") as built:
        try:
            if jobs:
                _build(jobs, prints, known, failed, progress)
        finally:  # what was built until Ctrl-C need not be built again
            for name in known:
                built.keep(pages[name])
            ledger = {pages[name]: known[name] for name in folders if name in known}
            built.write(LEDGER, msgspec.json.format(msgspec.json.encode(ledger), indent=1) + b"\n")
        shown = [known[name].entry for name in folders if name in known]
        broken = {name: failed[name] for name in folders if name in failed}
        path = built.write(built.main, html(index(shown, place.name, title, broken)))
    return Site(path, tuple(name for name in folders if name in known and name not in current), current, broken)


def _build(
    jobs: list[dict[str, Any]], prints: Mapping[str, str], known: dict[str, _Known], failed: dict[str, str], shown: bool
) -> None:
    """Build the pages; each goes into `known`, or with its sentence into `failed`."""
    with (
        Bar("site", len(jobs), "run", shown=shown) as bar,
        Workers(min(cores(), len(jobs)), shown) as workers,
    ):
        for done, (name, answer) in enumerate(workers.build(jobs), 1):
            if isinstance(answer, Entry):
                known[name] = _Known(prints[name], answer)
            else:
                failed[name] = answer
            bar.advance()
            bar.part(f"{done}/{len(jobs)} {name}")


def _ledger(file: Path) -> dict[str, _Known]:
    """The pages that are there; none where that is not known."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, _Known])
    except (OSError, ValueError, RecursionError):
        return {}
