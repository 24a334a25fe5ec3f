"""How good a network is, in its own task's measure and words: for the headline and the key figures.

measured(context)              # ("predicts the next token of 200 test sequences with a perplexity of 9.47", ...)
"""

from dataclasses import dataclass

import numpy as np

from reportgen.analysis.scores import mean_interval, scores, share_interval
from reportgen.core.numbers import decimals, short_number
from reportgen.core.outcome import Dense, Kind, MultiLabel, Outcome, Reconstruction, Regression, Tokens
from reportgen.core.run import Run
from reportgen.sections.context import PageContext
from reportgen.sections.words import NBSP, interval, listed, noun, percent, plural

Span = tuple[float, float] | None

NAMES = {
    "val_accuracy": "Test accuracy",
    "val_f1": "Test F1",
    "val_r2": "Test R²",
    "val_mae": "Test MAE",
    "val_mean_iou": "Test mean IoU",
    "val_token_loss": "Test loss per token, nats",
    "val_perplexity": "Test perplexity",
    "val_reconstruction_error": "Test mean squared error",
}
"""Measured metric -> how the page calls it."""

MAIN = {
    Kind.TOKENS: "val_perplexity",
    Kind.REGRESSION: "val_r2",
    Kind.RECONSTRUCTION: "val_reconstruction_error",
    Kind.DENSE: "val_mean_iou",
    Kind.MULTILABEL: "val_f1",
}
"""The metric that says how good a network of that task is."""


_SHARES = ("val_r2", "val_mean_iou", "val_f1")

REPORTED = 2
"""Metrics of the training loop that a sentence names."""


@dataclass(frozen=True)
class Measured:
    """`verb` as it follows the network's name in a sentence, and the key figures (name, value)."""

    verb: str
    figures: tuple[tuple[str, str], ...]


def measured(context: PageContext) -> Measured | None:
    """What the evaluation says; None for a classifier, which has its own words, and where nothing is scored."""
    batch, outcome = context.run.batch("evaluation"), context.outcome
    if outcome is None:
        return None
    values = _scores(context, outcome)
    one = f"test {noun(context.run)}"
    match outcome:
        case Dense() if "val_accuracy" in values:
            share, within = values["val_accuracy"], share_interval(outcome.right, outcome.counted)
            sure = f", {interval(*within)}" if within else ""
            united = values.get("val_mean_iou")
            also = "" if united is None else f", with a mean intersection over union of {united:.3f},"
            verb = f"classifies {percent(share)} of the positions of {plural(len(outcome.right), one)} correctly"
            verb += f" ({int(outcome.right.sum()):,} of {int(outcome.counted.sum()):,}{sure}){also}"
            figures = [("position accuracy", percent(share))]
            return Measured(verb, (*figures, *([("mean IoU", f"{united:.3f}")] if united is not None else [])))
        case Tokens() if np.isfinite(values.get("val_perplexity", np.nan)):
            perplexity = short_number(values["val_perplexity"])
            verb = f"predicts the next token of {plural(batch.size, one)} with a perplexity of {perplexity}"
            verb += f" ({values['val_token_loss']:.3f} nats per token)"
            return Measured(verb, (("perplexity", perplexity), ("likeliest is true", percent(values["val_accuracy"]))))
        case Regression() if np.isfinite(values.get("val_mae", np.nan)):
            of, mae = plural(len(outcome.predictions), one), short_number(values["val_mae"])
            if "val_r2" not in values:
                return Measured(f"predicts {of} with a mean absolute error of {mae}", (("MAE", mae),))
            explained = value_of("val_r2", values["val_r2"])
            verb = f"predicts {of} with an R² of {explained} and a mean absolute error of {mae}"
            return Measured(verb, (("R²", explained), ("MAE", mae)))
        case Reconstruction() if np.isfinite(values.get("val_reconstruction_error", np.nan)):
            error = short_number(values["val_reconstruction_error"])
            sure = _between(mean_interval(outcome.errors, np.ones(len(outcome.errors))))
            verb = (
                f"reconstructs {plural(len(outcome.errors), one)} with a mean squared error of {error} per value{sure}"
            )
            return Measured(verb, (("mean squared error", error),))
        case MultiLabel() if "val_f1" in values:
            of = f"the classes of {plural(len(outcome.scores), one)}"
            return Measured(f"finds {of} with an F1 of {values['val_f1']:.3f}", (("F1", f"{values['val_f1']:.3f}"),))
    return None


def _scores(context: PageContext, outcome: Outcome) -> dict[str, float]:
    """The metrics as the recorder measured them; anew where the run does not have their row."""
    at = None if context.observation is None else context.observation.step
    row = next((row for row in context.run.metrics.epochs if row.step == at and row.measured), None)
    if row is not None:
        return dict(row.measured)
    targets = context.run.batch("evaluation").targets
    needs = isinstance(outcome, Regression | MultiLabel)
    return {} if needs and targets is None else scores(outcome, None if targets is None else np.asarray(targets))


def unscored(context: PageContext) -> str:
    """What the headline says of a network whose outputs are compared with nothing; "" where they are."""
    task, known = context.run.task, reported(context)
    if task is None or task.kind is not Kind.NONE:
        return ""
    return f"; nothing is scored. {known}" if known else "; nothing is scored"


def reported(context: PageContext) -> str:
    """How the first metrics that the training loop reported went, without a full stop; "" where it reported none."""
    metrics, stage = context.run.metrics, context.run.stage
    rows = [row for row in (metrics.steps or metrics.epochs) if row.epoch and row.reported]
    if not rows:
        return ""
    ends, means = sorted({rows[0].epoch, rows[-1].epoch}), list[str]()
    for name in list(dict.fromkeys(name for row in rows for name in row.reported))[:REPORTED]:
        at = [[row.reported.get(name, np.nan) for row in rows if row.epoch == end] for end in ends]
        if np.isfinite([value for values in at for value in values]).all():
            shown = [short_number(float(np.mean(values))) for values in at]
            went = "" if means else " went"
            means.append(
                f"{named(name)}{went} from {shown[0]} to {shown[-1]}" if len(ends) > 1 else f"{named(name)} {shown[0]}"
            )
    if not means:
        return ""
    over = " (means over updates)" if metrics.steps else ""
    if len(ends) == 1:
        return f"In {stage} {ends[0]}, the loop reported {listed(means)}{over}"
    return f"From {stage} {ends[0]} to {stage} {ends[-1]}, {listed(means)}{over}"


def value_of(metric: str, value: float) -> str:
    """A measured metric's value as headline, key figures and sentences have it."""
    return decimals(value, 3) if metric in _SHARES else short_number(value)


def per_epoch(run: Run) -> list[dict[str, float]]:
    """The metrics of each recorded epoch; of what was reported of updates alone, the mean over the epoch's."""
    of_epochs = {name for row in run.epochs for name in row}
    updates = dict[str, dict[float, list[float]]]()
    for row in run.steps:
        for name, value in row.items():
            if name not in of_epochs:
                updates.setdefault(name, {}).setdefault(row["epoch"], []).append(value)
    return [
        {**row, **{name: float(np.mean(at[row["epoch"]])) for name, at in updates.items() if row["epoch"] in at}}
        for row in run.epochs
    ]


def named(metric: str) -> str:
    """How a sentence calls a metric that the training loop reported."""
    return "training loss" if metric == "train_loss" else metric


def _between(within: Span) -> str:
    if within is None:
        return ""
    return f" (95{NBSP}% interval {short_number(max(within[0], 0.0))} to {short_number(within[1])})"


def scored_on(run: Run, outcome: Outcome | None) -> str:
    """What the outputs are compared with, in words; a run of an earlier format names no task, but has the outcome."""
    if run.task is not None:
        return SCORED_ON[run.task.kind]
    return SCORED_ON[Kind.NONE if outcome is None else Kind(type(outcome).__name__.lower())]


SCORED_ON = {
    Kind.CLASSIFICATION: "one class per example",
    Kind.MULTILABEL: "any number of classes per example",
    Kind.REGRESSION: "real values",
    Kind.DENSE: "a class per position",
    Kind.TOKENS: "the next token",
    Kind.RECONSTRUCTION: "a reconstruction",
    Kind.NONE: "nothing",
}
