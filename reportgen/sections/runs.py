"""The index of many runs: a row for each, with a link to its page.

    entry = entry_of(document, run, "a", "runs/a.html")
    document = index([entry, ...], "experiments", None, {"b": "b does not hold a run: it has no run.json"})

Plain numbers go in, so that an index is made anew without its runs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

import msgspec
import numpy as np

from reportgen.core.numbers import short_number
from reportgen.core.report import Cell, Document, Section, Table
from reportgen.core.run import Run
from reportgen.figures.curves import spark
from reportgen.figures.svg import drawing
from reportgen.sections.measures import MAIN, NAMES
from reportgen.sections.words import listed, plural

METRICS = 6
"""Columns of metrics; those that most runs have come first."""

POINTS = 60
"""Values of a small curve."""


class Entry(msgspec.Struct, frozen=True):
    """What the index says of a run. A number that is not finite is None.

    `metrics` are those at its end, in the order of its rows, the one of the `curve` first; `values` are that one's.
    """

    name: str
    page: str
    title: str
    date: str = ""
    status: str = "finished"
    epochs: int = 0
    steps: int = 0
    metrics: dict[str, float | None] = {}
    curve: str = ""
    values: tuple[float | None, ...] = ()


def entry_of(document: Document, run: Run | None, name: str, page: str) -> Entry:
    """The entry of a run whose `page` shows the document; of several networks side by side, where `run` is None, the
    title alone."""
    if run is None:
        return Entry(name, page, document.title)
    rows = run.epochs or run.steps[-1:]
    last = {key: value for key, value in (rows[-1] if rows else {}).items() if key not in ("step", "epoch")}
    curve, values = _course(run)
    if curve in last:
        last = {curve: last[curve], **last}
    return Entry(
        name,
        page,
        document.title,
        str(run.provenance.get("date", "")),
        run.status,
        int(rows[-1]["epoch"]) if rows else 0,
        max(run.snapshots),
        {key: _finite(value) for key, value in last.items()},
        curve,
        tuple(_finite(value) for value in values),
    )


def index(entries: Sequence[Entry], of: str, title: str | None, failed: Mapping[str, str]) -> Document:
    """The page that lists the entries in their order; `failed` has a sentence for each run that has none."""
    titles = {entry.title for entry in entries}
    about = f" of {titles.pop()}" if len(titles) == 1 else ""
    dates = sorted({entry.date for entry in entries if entry.date})
    days = f", recorded {' to '.join(dict.fromkeys((dates[0], dates[-1])))}" if dates else ""
    return Document(
        title=title or of,
        headline=f"{plural(len(entries), 'run')}{about}{days}.",
        key_figures=(),
        sections=(_section(entries),) if entries else (),
        provenance={},
        warnings=tuple(f"{name} has no page: {text.rstrip('.')}." for name, text in failed.items()),
        subject=of,
    )


def _section(entries: Sequence[Entry]) -> Section:
    counted = Counter(name for entry in entries for name in entry.metrics)
    names = sorted(counted, key=lambda name: (-counted[name], name not in MAINS))[:METRICS]
    ends = _ends(entries)
    metrics = {NAMES.get(name, name): [entry.metrics.get(name) for entry in entries] for name in names}
    main = dict(list(metrics.items())[:1])
    columns: dict[str, list[Any]] = {
        "run": [Cell(entry.name, link=entry.page) for entry in entries],
        **main,
        "curve": [_curve(entry, ends) for entry in entries],
        **metrics,
        "network and data": [entry.title for entry in entries],
        "recorded": [entry.date or None for entry in entries],
        "epochs": [entry.epochs for entry in entries],
        "steps": [entry.steps for entry in entries],
        "status": [entry.status for entry in entries],
    }
    # What all have alike stands in the headline, or goes without saying.
    for name, same in (("network and data", entries[0].title), ("recorded", None), ("status", "finished")):
        if all(cell == same for cell in columns[name]):
            del columns[name]
    table = Table(
        "runs",
        "Runs and their metrics at the end of training. A name leads to the page of the run; with a script, a heading "
        f"sorts the rows. A curve shows {_curves(entries)} from first to last, on one scale for all runs.",
        tuple(columns),
        tuple(zip(*columns.values(), strict=True)),
        "".join("r" if name in (*metrics, "epochs", "steps") else "l" for name in columns),
    )
    return Section("all-runs", "Runs", _finding(entries, names), (table,))


MAINS = ("val_accuracy", *MAIN.values(), "val_loss", "train_loss")


def _finding(entries: Sequence[Entry], names: Sequence[str]) -> str:
    """Between what the metric that most runs have lies."""
    if not names:
        return "No run has a metric."
    values = [value for entry in entries if (value := entry.metrics.get(names[0])) is not None]
    if not values:
        return f"No run has a finite {names[0]}."
    called = NAMES.get(names[0], names[0])
    low, high = (short_number(f(values), 4) for f in (min, max))
    return f"{called} at the end of {plural(len(values), 'run')} lies between {low} and {high}."


def _curves(entries: Sequence[Entry]) -> str:
    shown = dict.fromkeys(NAMES.get(entry.curve, entry.curve) for entry in entries if entry.curve)
    return listed([f"{name[0].lower()}{name[1:]}" for name in shown]) if shown else "nothing"


def _course(run: Run) -> tuple[str, list[float]]:
    """The metric that says most of a run, and its values until the end."""
    own = "val_accuracy" if run.task is None else MAIN.get(run.task.kind, "val_accuracy")
    for name in (own, *MAINS):
        for rows in (run.epochs, run.steps):
            values = [row.get(name, nan) for row in rows]
            if np.isfinite(values).sum() > 1:
                return name, [float(np.median(part)) for part in np.array_split(values, min(len(values), POINTS))]
    return "", []


def _ends(entries: Sequence[Entry]) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each metric that is drawn, over all runs."""
    values: dict[str, list[float]] = {}
    for entry in entries:
        values.setdefault(entry.curve, []).extend(value for value in entry.values if value is not None)
    return {name: (min(known), max(known)) for name, known in values.items() if known}


def _curve(entry: Entry, ends: Mapping[str, tuple[float, float]]) -> Cell | None:
    known = [value for value in entry.values if value is not None]
    if not known:
        return None
    said = f"{NAMES.get(entry.curve, entry.curve)} from {short_number(known[0], 4)} to {short_number(known[-1], 4)}"
    scene = spark([nan if value is None else value for value in entry.values], *ends[entry.curve])
    return Cell(said, drawing=drawing(scene), value=known[-1])


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
