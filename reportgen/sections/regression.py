"""Predicted against true values, residuals, and the examples with the largest errors."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.scores import mean_interval, r2
from reportgen.core.numbers import short_number
from reportgen.core.outcome import Regression
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.histogram import histogram
from reportgen.figures.scatter import fit
from reportgen.sections.context import PageContext
from reportgen.sections.words import noun, plural, scored_output
from reportgen.sections.worst import worst

CHARTS = 4
"""Output values with a chart of their own: the first ones."""


def build(context: PageContext) -> Section | None:
    """The fit of each output value on the evaluation examples; None for another task, or without targets."""
    outcome, targets = context.outcome, context.run.batch("evaluation").targets
    if not isinstance(outcome, Regression) or targets is None or len(targets) != len(outcome.predictions):
        return None
    true, predicted = np.asarray(targets, float).reshape(len(targets), -1), outcome.predictions
    if true.shape != predicted.shape:
        return None
    count, one = true.shape[1], noun(context.run)
    blocks: list[Block] = []
    for value in range(min(count, CHARTS)):
        blocks.append(
            chart(
                f"regression-fit-{value}",
                fit(true[:, value], predicted[:, value], _name(value, count)),
                alt=finding(context, true, predicted),
                caption=f"{_name(value, count)}: a point per evaluation {one}. Left: predicted against true, dashed "
                "where they are equal. Right: the residuals, predicted minus true; a slope in them is what the network "
                "has not learned.",
                wide=True,
            )
        )
    if count > CHARTS:
        blocks.append(Text(f"The first {CHARTS} of {count} output values are drawn; the table has all of them."))
    off = predicted - true
    blocks.append(
        chart(
            "regression-residuals",
            histogram(off, "predicted − true", f"{one}s" if count == 1 else f"values of {one}s", zero=True),
            alt=f"Residuals from {short_number(float(np.nanmin(off)))} to {short_number(float(np.nanmax(off)))}."
            if np.isfinite(off).any()
            else "No residual is finite.",
            caption="How often a residual occurs" + ("" if count == 1 else ", all output values together") + ".",
            wide=True,
        )
    )
    blocks.append(Fold("Measures of each output value", (_measures(true, predicted),)))
    blocks += _worst(context, true, predicted)
    blocks.append(Text(f"{_METHOD}{scored_output(context.run)}", "method"))
    columns = ("index", "value", "true", "predicted", "residual")
    numbers = Numbers("regression.csv", columns, lambda: _rows(true, predicted))
    return Section("regression", "Predicted against true", finding(context, true, predicted), tuple(blocks), (numbers,))


_METHOD = (
    "R² is 1 minus the sum of squared residuals over the sum of squares about the mean of the true values: 1 is exact, "
    "0 is as good as predicting that mean, below 0 is worse. With several output values it is the mean of theirs. MAE "
    "is the mean absolute residual, RMSE the root of the mean squared one, bias the mean one, all in the targets' "
    "units; the interval of the MAE is 1.96 standard errors over examples to each side."
)


def _name(value: int, count: int) -> str:
    return "The output value" if count == 1 else f"Output value {value}"


def finding(context: PageContext, true: np.ndarray, predicted: np.ndarray) -> str:
    """R² and MAE over the evaluation, against predicting the mean."""
    of = plural(len(true), f"evaluation {noun(context.run)}")
    shares, off = r2(predicted, true), np.abs(predicted - true)
    known = shares[np.isfinite(shares)]
    if not np.isfinite(off).all():
        return f"Of {of}, {int((~np.isfinite(off)).any(axis=1).sum()):,} have a prediction that is not finite."
    text = f"MAE is {short_number(float(off.mean()))}"
    within = mean_interval(off.mean(axis=1), np.ones(len(off)))
    text += f" (95\N{NO-BREAK SPACE}% interval {' to '.join(map(short_number, within))})" if within else ""
    if not len(known):
        return f"{text} over {of}; R² is not defined, as the true values are all equal."
    share = float(known.mean())
    text = f"R² is {share:.3f}".replace("-", "−") + f" and {text} over {of}"
    baseline = np.abs(true - true.mean(axis=0)).mean(axis=1)
    gain = mean_interval(baseline - off.mean(axis=1), np.ones(len(off)))
    if gain is None or gain[0] <= 0:
        return f"{text}: no better than predicting their mean (MAE {short_number(float(baseline.mean()))})."
    return f"{text}; predicting their mean has an MAE of {short_number(float(baseline.mean()))}."


def _measures(true: np.ndarray, predicted: np.ndarray) -> Table:
    off, shares = predicted - true, r2(predicted, true)
    rows = tuple(
        (
            value,
            f"{shares[value]:.3f}" if np.isfinite(shares[value]) else None,
            *(
                short_number(float(number)) if np.isfinite(number) else None
                for number in (
                    np.abs(off[:, value]).mean(),
                    np.sqrt(np.square(off[:, value]).mean()),
                    off[:, value].mean(),
                    true[:, value].std(),
                )
            ),
        )
        for value in range(true.shape[1])
    )
    columns = ("Value", "R²", "MAE", "RMSE", "Bias", "Standard deviation of the true values")
    return Table("regression-measures", f"Over {len(true):,} evaluation examples.", columns, rows, "rrrrrr")


def _worst(context: PageContext, true: np.ndarray, predicted: np.ndarray) -> list[Block]:
    off = np.abs(predicted - true)
    # Values of different units are compared in standard deviations of the true ones.
    scale = true.std(axis=0)
    error = (off / np.where(scale > 0, scale, 1.0)).max(axis=1)
    value = (off / np.where(scale > 0, scale, 1.0)).argmax(axis=1)
    order = [int(i) for i in np.argsort(-np.nan_to_num(error, nan=np.inf), kind="stable")]
    texts = [
        f"{short_number(float(true[i, value[i]]))} → {short_number(float(predicted[i, value[i]]))}"
        + (f" (value {value[i]})" if true.shape[1] > 1 else "")
        for i in order
    ]
    return worst(context, "regression", order, texts, "True → predicted", "The largest errors first, true → predicted")


def _rows(true: np.ndarray, predicted: np.ndarray) -> Iterator[tuple[Any, ...]]:
    for index, (row, guess) in enumerate(zip(true, predicted, strict=True)):
        for value, (one, other) in enumerate(zip(row.tolist(), guess.tolist(), strict=True)):
            known = np.isfinite([one, other])
            yield (
                *(index, value, one if known[0] else None, other if known[1] else None),
                other - one if known.all() else None,
            )
