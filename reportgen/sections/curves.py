"""Loss and accuracy, training and test, per epoch; loss per update behind them."""

from collections.abc import Mapping, Sequence

import numpy as np

from reportgen.core.report import Section, Text
from reportgen.figures.charts import curves, steps_per_bin
from reportgen.figures.paper import chart
from reportgen.sections.context import Context
from reportgen.sections.words import percent


def build(context: Context) -> Section | None:
    """The curves; None for a run without an epoch of training."""
    epochs, steps = context.run.epochs, context.run.steps
    if len(epochs) < 2:
        return None
    loss = _series(epochs, {"train_loss": "training", "val_loss": "test"})
    accuracy = _series(epochs, {"train_accuracy": "training", "val_accuracy": "test"})
    at = [row["epoch"] for row in epochs]
    with_loss = [row for row in steps if "train_loss" in row]
    # Each update's place on the axis of epochs, also where epochs have different numbers of updates.
    ends = np.array([row["step"] for row in epochs], float)
    places = np.interp([row["step"] for row in with_loss], ends, at).tolist()
    behind = [row["train_loss"] for row in with_loss]
    group = steps_per_bin(len(behind))
    per_point = (
        "the loss of each update's batch"
        if group == 1
        else f"the batch loss of every {group} updates (line: median; band: least to largest)"
    )
    figure = chart(
        "curves-chart",
        lambda: curves(at, loss, accuracy, places, behind),
        alt=f"Loss and accuracy over {int(at[-1])} epochs. {_finding(epochs)}",
        caption="Left: mean cross-entropy; grey behind it, "
        f"{per_point}. Right: share of images predicted right. Epoch 0 is before training.",
        wide=True,
    )
    method = Text(
        "Training values are means over an epoch's batches, taken while the parameters changed and with "
        "dropout where the network has it; test values are of the network at the epoch's end, without. "
        "Training can therefore look worse than test in the first epochs.",
        "method",
    )
    return Section("curves", "Loss and accuracy", _finding(epochs), (figure, method))


def _series(rows: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> dict[str, list[float]]:
    return {
        label: [float(row.get(name, np.nan)) for row in rows]
        for name, label in names.items()
        if any(name in row for row in rows)
    }


def _finding(epochs: Sequence[Mapping[str, float]]) -> str:
    last = epochs[-1]
    rated = [row for row in epochs if np.isfinite(row.get("val_accuracy", np.nan))]
    text = f"The network was trained for {int(last['epoch'])} epochs"
    if len(rated) > 1 and rated[-1] is last:
        first, best = rated[0], max(rated, key=lambda row: row["val_accuracy"])
        start, end = first["val_accuracy"], last["val_accuracy"]
        span = f"in {int(last['epoch'] - first['epoch'])} epochs"
        if start == end:
            text = f"Test accuracy was {percent(end)} before and after, {span}"
        else:
            text = f"Test accuracy {'rose' if end > start else 'fell'} from {percent(start)} to {percent(end)} {span}"
        if best["val_accuracy"] > end:
            text += f"; it was highest after epoch {int(best['epoch'])}, at {percent(best['val_accuracy'])}"
    losses = [(row["val_loss"], int(row["epoch"])) for row in epochs if np.isfinite(row.get("val_loss", np.nan))]
    if not np.isfinite(last.get("val_loss", 0.0)):
        text += f"; test loss is not finite after epoch {int(last['epoch'])}"
    elif losses:
        least, where = min(losses)
        still = "still falling at the end" if where == last["epoch"] else f"lowest after epoch {where}, {least:.4f}"
        text += f"; test loss was {still}" if where != last["epoch"] else f"; test loss, {least:.4f}, was {still}"
    return text + "."
