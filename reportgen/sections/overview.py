"""Overview: results per epoch, what was recorded, and what was asked for."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.sections.context import PageContext
from reportgen.sections.measures import NAMES, per_epoch
from reportgen.sections.words import called, plural, scored_output


def build(context: PageContext) -> Section:
    """Results per epoch, and what was asked for."""
    run = context.run
    blocks: list[Block] = [*([_results(context)] if run.metrics.epochs else []), _configuration(context)]
    finding = _snapshots(context) if context.run.kind == "training" else f"{_asked(context)}."
    finding += scored_output(run)
    return Section("overview", "Overview", finding, tuple(blocks), numbers(context))


def numbers(context: PageContext) -> tuple[Numbers, ...]:
    """Every update's and every epoch's metrics."""
    if not context.run.metrics.epochs:
        return ()
    return (Numbers("metrics.csv", _metric_columns(context), lambda: _metric_rows(context)),)


def _asked(context: PageContext) -> str:
    model, source = called(context.network.name), context.run.provenance.get("parameters", "its parameters")
    return f"{model} with {source}, looked into without training"


def _snapshots(context: PageContext) -> str:
    run = context.run
    every = run.config.get("snapshot_every")
    how = (
        "after every batch"
        if every == 1
        else f"after every {run.stage}"
        if every == "epoch"
        else f"every {every} batches"
    )
    kept = plural(len(run.snapshots), "snapshot")
    if fewer := run.provenance.get("snapshots_kept"):
        how += f" ({fewer})"
    return f"Its parameters were recorded {how}, {kept} in all." if len(run.snapshots) > 1 else f"{kept} was recorded."


_NAMES = {
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
    "val_loss": "Test loss",
    **NAMES,
    **{f"{name}_reported": f"{text}, as reported" for name, text in NAMES.items()},
}


def _results(context: PageContext) -> Fold:
    stage, epochs = context.run.stage, per_epoch(context.run)
    known = list(dict.fromkeys(name for row in epochs for name in row if name not in ("step", "epoch")))
    names = [*(name for name in _NAMES if name in known), *(name for name in known if name not in _NAMES)]
    rows = tuple((int(r["epoch"]), int(r["step"]), *(_known(r.get(name)) for name in names)) for r in epochs)
    table = Table(
        "results",
        f"Metrics per {stage}. {_MEANS if stage == 'epoch' else ''}{stage.capitalize()} 0 is before training.",
        (stage.capitalize(), "Step", *(_NAMES.get(name, name) for name in names)),
        rows,
        "r" * (2 + len(names)),
    )
    return Fold(f"Results per {stage}", (table,))


_MEANS = (
    "Training values are means over the epoch's batches, taken while the parameters changed; test values are of the "
    "network at the epoch's end. "
)


def _configuration(context: PageContext) -> Fold:
    rows = tuple((name, _text(value)) for name, value in sorted(context.run.config.items()))
    table = Table("configuration", "Options of the run.", ("Option", "Value"), rows, "ll")
    method = Text(
        "Step 0 is the network before training; step s is after s updates. Channels, labels, steps and "
        "epochs count from 0.",
        "method",
    )
    return Fold("Configuration", (table, method))


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _metric_columns(context: PageContext) -> tuple[str, ...]:
    """Names of the updates' numbers, then of the epochs'; a name that both have is the epoch's with a prefix."""
    steps, epochs = (
        [name for name in dict.fromkeys(n for row in rows for n in row) if name not in ("step", "epoch")]
        for rows in (context.run.steps, per_epoch(context.run))
    )
    return ("step", "epoch", *steps, *(f"epoch_{name}" if name in steps else name for name in epochs))


def _metric_rows(context: PageContext) -> Iterator[tuple[Any, ...]]:
    """A row per update; the one that closes an epoch has the epoch's numbers too."""
    columns = _metric_columns(context)
    merged = {int(row["step"]): dict(row) for row in context.run.steps}
    for row in per_epoch(context.run):
        into = merged.setdefault(int(row["step"]), {"step": row["step"], "epoch": row["epoch"]})
        into.update(
            {
                f"epoch_{n}" if f"epoch_{n}" in columns else n: value
                for n, value in row.items()
                if n not in ("step", "epoch")
            }
        )
    for step in sorted(merged):
        yield tuple(_known(merged[step].get(name)) for name in columns)


def _known(value: float | None) -> float | None:
    """No data for what is not finite."""
    return value if value is not None and isfinite(value) else None
