"""Loss, accuracy and other metrics, training and test, per epoch; values per update behind them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from reportgen.analysis.confusion import wilson
from reportgen.core.outcome import Kind
from reportgen.core.report import Block, Figure, Fold, Section, Text
from reportgen.core.run import Run
from reportgen.figures.chart import chart
from reportgen.figures.curves import close_to_one, curves, steps_per_bin
from reportgen.sections import overview
from reportgen.sections.context import PageContext
from reportgen.sections.measures import MAIN, NAMES, per_epoch, reported, value_of
from reportgen.sections.words import listed, noun, others, percent, plural


def build(context: PageContext) -> Section | None:
    """The curves; None for a run without an epoch of training."""
    run = context.run
    if len(run.epochs) < 2:
        return None
    measured = {name for row in run.metrics.epochs for name in row.measured}
    return Section(
        "curves",
        _title(context),
        _finding(context),
        (*_loss_and_accuracy(context), *_others(context), Text(_method(context, bool(measured)), "method")),
        overview.numbers(context),
    )


def _title(context: PageContext) -> str:
    kind = None if context.run.task is None else context.run.task.kind
    own = MAIN.get(kind) if kind is not None else None
    parts = ["loss"] if _loss(context) else []
    parts += ["accuracy"] if _accuracy(context) else []
    if own is not None and any(own in row for row in context.run.epochs):
        parts.append(NAMES[own].removeprefix("Test "))
    text = listed(parts) or "metrics"
    return f"{text[0].upper()}{text[1:]}"


def _loss(context: PageContext) -> bool:
    return any(name in row for row in (*context.run.steps, *context.run.epochs) for name in ("train_loss", "val_loss"))


def _accuracy(context: PageContext) -> dict[str, list[float]]:
    return _series(per_epoch(context.run), {"train_accuracy": "training", "val_accuracy": "test"})


def _loss_and_accuracy(context: PageContext) -> list[Figure]:
    """Both beside each other, as far as there are any."""
    epochs, accuracy = per_epoch(context.run), _accuracy(context)
    if not _loss(context) and not accuracy:
        return []
    axis = _axis(context)
    at = [row[axis] for row in epochs]
    places, behind = _per_step(context, "train_loss")
    group = steps_per_bin(len(behind))
    per_point = (
        "the loss of each update's batch"
        if group == 1
        else f"the batch loss of every {group} updates (line: median; band: least to largest)"
    )
    loss = _series(epochs, {"train_loss": "training", "val_loss": "test"}) if _loss(context) else {}
    captions = []
    if _loss(context):
        averaged = f", averaged over each {context.run.stage}'s updates" if _averaged(context, ("train_loss",)) else ""
        captions.append(_loss_words(context) + averaged + (f"; grey behind it, {per_point}" if behind else ""))
    if accuracy:
        captions.append(_accuracy_words(context, accuracy))
    caption = ". ".join(captions)
    return [
        chart(
            "curves-chart",
            curves(at, loss, accuracy, places, behind, across=axis),
            alt=f"{_title(context)} until {axis} {int(at[-1])}. {_finding(context)}",
            caption=caption + (f". {axis.capitalize()} 0 is before training." if at[0] == 0 else "."),
            wide=True,
        )
    ]


def _averaged(context: PageContext, names: Sequence[str]) -> bool:
    """Whether the line of one of the metrics is the mean over updates, since the loop reported it of these alone."""
    of_epochs = {name for row in context.run.epochs for name in row}
    return any(name in row for row in context.run.steps for name in names if name not in of_epochs)


def _accuracy_words(context: PageContext, accuracy: Mapping[str, Sequence[float]]) -> str:
    share = f"share of {_counted(context)} classified"
    if not close_to_one(accuracy):
        return f"Accuracy: {share} correctly"
    none = any(1.0 in column for column in accuracy.values())
    return f"Error: {share} wrongly{', at the lower edge where it is 0' if none else ''}"


def _axis(context: PageContext) -> str:
    """What curves are drawn over: the steps of a replay whose checkpoints say nothing of epochs."""
    return "epoch" if context.run.stage == "epoch" else "step"


def _loss_words(context: PageContext) -> str:
    run = context.run
    if not _replayed(run):
        return "Loss, as the training loop reported it"
    parts = {"val_loss": "of test as the replay computed it", "train_loss": "of training as it was reported"}
    known = {name for row in (*run.steps, *run.epochs) for name in row}
    return f"Loss, {' and '.join(words for name, words in parts.items() if name in known)}"


def _replayed(run: Run) -> bool:
    return "epochs_are" in run.provenance


def _end(context: PageContext) -> str:
    return "the end of each epoch" if context.run.stage == "epoch" else "each checkpoint"


def _counted(context: PageContext) -> str:
    """What an accuracy is a share of."""
    kind = None if context.run.task is None else context.run.task.kind
    return {Kind.DENSE: "positions", Kind.TOKENS: "tokens"}.get(kind or Kind.NONE, f"{noun(context.run)}s")


def _method(context: PageContext, measured: bool) -> str:
    own = (
        f"What the recorder measures is of its evaluation {noun(context.run)}s, which the network saw in evaluation, "
        f"without dropout, at {_end(context)}. The other values"
    )
    if _replayed(context.run):
        return (
            f"Test values are computed by the replay on its evaluation {noun(context.run)}s, without dropout; other "
            "values are as they were reported."
        )
    return (
        f"{own if measured else 'All values'} are as the training loop reported them: those of training are usually "
        "means over an epoch's batches, taken while the parameters changed and with dropout, and can therefore look "
        "worse than test in the first epochs."
    )


def _per_step(context: PageContext, name: str) -> tuple[list[float], list[float]]:
    """Where each update that has the metric stands on the axis, and its value."""
    epochs = context.run.epochs
    rows = [row for row in context.run.steps if name in row]
    # Epochs may have different numbers of updates.
    ends = np.array([row["step"] for row in epochs], float)
    places = np.interp([row["step"] for row in rows], ends, [row[_axis(context)] for row in epochs])
    return places.tolist(), [float(row[name]) for row in rows]


def _others(context: PageContext) -> list[Block]:
    """A chart of every metric that has no place beside loss and accuracy; those of training and test in one."""
    groups = _groups(context)
    own = [names for names in groups if any(name in NAMES for name in names)]
    rest = [names for names in groups if names not in own]
    figures = [_other(context, names) for names in rest[:CHARTS]]
    left = sum(map(len, rest[CHARTS:]))
    more = [Text(f"{left} more metrics stand in the table of results and in metrics.csv.")] if left > 0 else []
    measured = [_other(context, names) for names in own]
    if len(figures) <= UNFOLDED:
        return [*measured, *figures]
    return [*measured, Fold(others(sum(map(len, rest)), "metric"), (*figures, *more))]


_PARTS = {"train": "training", "val": "test", "test": "test", "valid": "validation", "validation": "validation"}


def _groups(context: PageContext) -> list[list[str]]:
    """The names of metrics that are drawn together: "train_f1" and "val_f1", "val_f1" and "val_f1_reported"."""
    groups: dict[str, list[str]] = {}
    for row in (*context.run.steps, *context.run.epochs):
        for name in row:
            if name not in _SHOWN and name not in groups.get(_base(name), ()):
                groups.setdefault(_base(name), []).append(name)
    return list(groups.values())


def _base(name: str) -> str:
    part, _, base = name.removesuffix("_reported").partition("_")
    return base if part in _PARTS and base else name


def _labels(names: Sequence[str]) -> dict[str, str]:
    """How each metric of a chart is called in it."""
    parts = [name.partition("_")[0] if _base(name) != name else "" for name in names]
    called = dict(_PARTS) | ({"val": "validation"} if "test" in parts else {})
    return {
        name: called.get(part, "per epoch") + (", reported" if name.endswith("_reported") else "")
        for name, part in zip(names, parts, strict=True)
    }


def _other(context: PageContext, names: Sequence[str]) -> Figure:
    epochs, labels, axis = per_epoch(context.run), _labels(names), _axis(context)
    own = next((name for name in names if name in NAMES), None)
    title = names[0] if len(names) == 1 else _base(names[0])
    title = f"{names[0].removesuffix('_reported')}, as reported" if names[0].endswith("_reported") else title
    title = NAMES[own].removeprefix("Test ") if own is not None else title
    title = f"{title[0].upper()}{title[1:]}" if own is not None else title
    places, behind = next((found for name in names if (found := _per_step(context, name))[0]), ([], []))
    series = _series(epochs, labels)
    group = steps_per_bin(len(behind))
    each = "each update" if group == 1 else f"every {group} updates (line: median; band: least to largest)"
    parts = ([f"grey: of {each}"] if behind else []) + (
        [f"line: {'their mean in' if _averaged(context, names) else 'of'} each {context.run.stage}"]
        if series and own is None
        else []
    )
    reported = ", as the training loop reported it"
    if own is not None:
        others = listed([labels[name] for name in names if name != own])
        reported = f", measured by the recorder on its evaluation {noun(context.run)}s at {_end(context)}"
        reported += f"; {others} as the training loop reported it" if others else ""
    return chart(
        f"curves-metric-{context.slug(names[0])}",
        curves([row[axis] for row in epochs], series, {}, places, behind, title, axis),
        alt=f"{title} until {axis} {int(epochs[-1][axis])}.",
        caption="; ".join([f"{title}{reported}", *parts]) + ".",
        wide=True,
    )


CHARTS = 24
UNFOLDED = 4
_SHOWN = ("step", "epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy")


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


def _own_measure(context: PageContext, name: str, place: Callable[[Mapping[str, float]], str]) -> str:
    """From what to what the task's own metric went; "" where it is not known at both ends."""
    rows = [row for row in context.run.epochs if np.isfinite(row.get(name, np.nan))]
    if len(rows) < 2 or rows[-1] is not context.run.epochs[-1]:
        return ""
    first, last = rows[0], rows[-1]
    ends = [value_of(name, row[name]) for row in (first, last)]
    start = "before training" if first["epoch"] == 0 else f"after {place(first)}"
    if ends[0] == ends[1]:
        return f"{NAMES[name]} is {ends[1]} after {place(last)}, as it was {start}"
    return f"{NAMES[name]} went from {ends[0]} {start} to {ends[1]} after {place(last)}"


def _finding(context: PageContext) -> str:
    epochs, examples = context.run.epochs, context.run.batch("evaluation").size
    last, kind = epochs[-1], None if context.run.task is None else context.run.task.kind

    def place(row: Mapping[str, float]) -> str:
        return f"epoch {int(row['epoch'])}" if context.run.stage == "epoch" else f"step {int(row['step']):,}"

    rated = [row for row in epochs if np.isfinite(row.get("val_accuracy", np.nan))]
    text = reported(context) or f"The network was trained until {place(last)}"
    if kind is not None and kind in MAIN:
        text = _own_measure(context, MAIN[kind], place) or text
    elif len(rated) > 1 and rated[-1] is last:
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
        falling = least is last and sum(row["step"] > 0 for row in losses) > 1
        lowest = "at the end" if least is last else f"after {place(least)}"
        text += (
            f"; test loss, {loss}, was still falling at the end"
            if falling
            else f"; test loss was lowest {lowest}, {loss}"
        )
    return text + "."
