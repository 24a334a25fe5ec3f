"""Loss and accuracy, training and test, per epoch; loss per update behind them."""

from collections.abc import Mapping, Sequence

import numpy as np

from reportgen.analysis.confusion import wilson
from reportgen.core.report import Block, Figure, Fold, Section, Text
from reportgen.core.run import MEASURED
from reportgen.figures.chart import chart
from reportgen.figures.curves import curves, steps_per_bin
from reportgen.sections.context import PageContext
from reportgen.sections.words import noun, percent, plural


def build(context: PageContext) -> Section | None:
    """The curves; None for a run without an epoch of training."""
    epochs = context.run.epochs
    if len(epochs) < 2:
        return None
    loss = _series(epochs, {"train_loss": "training", "val_loss": "test"})
    accuracy = _series(epochs, {"train_accuracy": "training", "val_accuracy": "test"})
    at = [row["epoch"] for row in epochs]
    places, behind = _per_step(context, "train_loss")
    group = steps_per_bin(len(behind))
    per_point = (
        "the loss of each update's batch"
        if group == 1
        else f"the batch loss of every {group} updates (line: median; band: least to largest)"
    )
    figure = chart(
        "curves-chart",
        curves(at, loss, accuracy, places, behind),
        alt=f"{'Loss and accuracy' if accuracy else 'Loss'} until epoch {int(at[-1])}. {_finding(context)}",
        caption="Loss, as the training loop reported it"
        + (f"; grey behind it, {per_point}" if behind else "")
        + (f". Accuracy: share of {noun(context.run)}s classified correctly" if accuracy else "")
        + (". Epoch 0 is before training." if at[0] == 0 else "."),
        wide=True,
    )
    measured = (
        "Test accuracy is that of the recorder's evaluation images, which the network saw in evaluation, without "
        "dropout, at the epoch's end. The other values"
    )
    method = Text(
        f"{measured if 'val_accuracy' in epochs[-1] else 'All values'} are as the training loop reported them: those "
        "of training are usually means over an epoch's batches, taken while the parameters changed and with dropout, "
        "and can therefore look worse than test in the first epochs.",
        "method",
    )
    return Section(
        "curves", "Loss and accuracy" if accuracy else "Loss", _finding(context), (figure, *_others(context), method)
    )


def _per_step(context: PageContext, name: str) -> tuple[list[float], list[float]]:
    """Where each update that has the metric stands on the axis of epochs, and its value."""
    epochs = context.run.epochs
    rows = [row for row in context.run.steps if name in row]
    # Epochs may have different numbers of updates.
    ends = np.array([row["step"] for row in epochs], float)
    places = np.interp([row["step"] for row in rows], ends, [row["epoch"] for row in epochs])
    return places.tolist(), [float(row[name]) for row in rows]


def _others(context: PageContext) -> list[Block]:
    """A chart of every metric that has no place beside loss and accuracy: as reported by the training loop."""
    epochs, steps = context.run.epochs, context.run.steps
    names = dict.fromkeys(name for row in (*steps, *epochs) for name in row if name not in _SHOWN)
    figures = [_other(context, name) for name in list(names)[:CHARTS]]
    if not figures:
        return []
    left = len(names) - len(figures)
    more = [Text(f"{left} more metrics stand in the table of results and in metrics.csv.")] if left > 0 else []
    if len(figures) <= UNFOLDED:
        return [*figures]
    return [Fold(f"The other {len(names)} metrics", (*figures, *more))]


def _other(context: PageContext, name: str) -> Figure:
    places, behind = _per_step(context, name)
    epochs = context.run.epochs
    series = _series(epochs, {name: "per epoch"})
    title = _TITLES.get(name, name)
    group = steps_per_bin(len(behind))
    each = "each update" if group == 1 else f"every {group} updates (line: median; band: least to largest)"
    parts = ([f"grey: of {each}"] if behind else []) + (["line: of each epoch"] if series else [])
    return chart(
        f"curves-metric-{context.slug(name)}",
        curves([row["epoch"] for row in epochs], series, {}, places, behind, title),
        alt=f"{title} over {plural(int(epochs[-1]['epoch']), 'epoch')}.",
        caption=f"{title}, as the training loop reported it; {'; '.join(parts)}.",
        wide=True,
    )


CHARTS = 24
UNFOLDED = 4
_TITLES = {f"{name}_reported": f"{name}, as reported" for name in MEASURED}
_SHOWN = ("step", "epoch", "train_loss", "val_loss", "train_accuracy", *MEASURED)


def _series(rows: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> dict[str, list[float]]:
    return {
        label: [float(row.get(name, np.nan)) for row in rows]
        for name, label in names.items()
        if any(name in row for row in rows)
    }


def _apart(first: float, second: float, examples: int) -> bool:
    """Whether the second accuracy lies outside the first one's 95 % interval, over so many examples."""
    low, high = wilson(round(first * examples), examples) if examples else (first, first)
    return not low <= second <= high


def _finding(context: PageContext) -> str:
    epochs, examples = context.run.epochs, context.run.batch("evaluation").size
    last = epochs[-1]

    def place(row: Mapping[str, float]) -> str:
        return f"epoch {int(row['epoch'])}" if context.run.stage == "epoch" else f"step {int(row['step']):,}"

    rated = [row for row in epochs if np.isfinite(row.get("val_accuracy", np.nan))]
    text = f"The network was trained until {place(last)}"
    if len(rated) > 1 and rated[-1] is last:
        first, best = rated[0], max(rated, key=lambda row: row["val_accuracy"])
        start, end = first["val_accuracy"], last["val_accuracy"]
        span = f"in {plural(int(last['epoch'] - first['epoch']), context.run.stage)}"
        if not _apart(start, end, examples):
            text = f"Test accuracy is {percent(end)} after {place(last)}, within the 95\N{NO-BREAK SPACE}% "
            text += f"interval of the {percent(start)} after {place(first)}"
        else:
            text = f"Test accuracy {'rose' if end > start else 'fell'} from {percent(start)} to {percent(end)} {span}"
        if _apart(best["val_accuracy"], end, examples):
            text += f"; it was highest after {place(best)}, at {percent(best['val_accuracy'])}"
    losses = [row for row in epochs if np.isfinite(row.get("val_loss", np.nan))]
    if not np.isfinite(last.get("val_loss", 0.0)):
        text += f"; test loss is not finite after {place(last)}"
    elif losses:
        least = min(losses, key=lambda row: row["val_loss"])
        loss = f"{least['val_loss']:.4f}"
        text += (
            f"; test loss, {loss}, was still falling at the end"
            if least is last
            else f"; test loss was lowest after {place(least)}, {loss}"
        )
    return text + "."
