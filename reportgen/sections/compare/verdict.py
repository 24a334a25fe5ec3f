"""The verdict: whether the change made the network better, in one sentence with its uncertainty."""

from math import isfinite

import numpy as np

from reportgen.analysis.paired import LEVEL, Paired, differ
from reportgen.core.numbers import short_number
from reportgen.core.run import MEASURED
from reportgen.sections.compare.comparison import NOT_METRICS, Comparison, Scored
from reportgen.sections.words import NBSP, percent, plural

Strip = tuple[tuple[str, str], ...]


def headline(comparison: Comparison) -> str:
    """The verdict."""
    if comparison.other_tasks is not None:
        base, new = comparison.other_tasks
        return f"No verdict: base is scored on {base}, new on {new}; such numbers can't be compared."
    if comparison.has_seeds:
        return _over_seeds(comparison)
    if (result := comparison.paired) is not None:
        return _on_examples(comparison, result)
    if (scored := comparison.scored) is not None:
        return _on_scores(comparison, scored)
    if _parameters(comparison):
        return "No difference in parameters: those of base and new are all equal. Their answers could not be compared."
    name = deciding(comparison)
    if name is None:
        return "No verdict: the two runs have no metric in common."
    before, after = (values[-1] for values in comparison.measures[name])
    return (
        f"No verdict: {name} is {_number(before)} in base and {_number(after)} in new, one run each; whether that is "
        f"more "
        "than chance can't be told without answers to the same examples, or several seeds of each."
    )


def key_figures(comparison: Comparison) -> Strip:
    """The metrics that matter most, base then new."""
    strip = []
    result = comparison.paired
    if result is not None and not comparison.has_seeds:
        strip.append(
            (
                "accuracy",
                f"{percent(result.right_before / result.count)} → {percent(result.right_after / result.count)}",
            )
        )
        strip.append(("fixed, broken", f"{len(result.fixed):,}, {len(result.broken):,}"))
    shown: tuple[str, ...] = ("val_accuracy",) if comparison.has_seeds and comparison.other_tasks is None else ()
    scored = None if comparison.has_seeds else comparison.scored
    if scored is not None:
        before, after = (score(scored, value) for value in (scored.result.before, scored.result.after))
        strip.append((METRICS[scored.metric], f"{before} → {after}"))
    shown += ("val_loss",) if comparison.other_tasks is None else ()
    for name in (*shown, "dead_channels", "parameters", "epochs"):
        values = comparison.measures.get(name)
        if values is not None and all(values):
            first, second = (sum(side) / len(side) for side in values)
            strip.append((name.replace("_", " "), _number(first) if first == second else _arrow(first, second)))
    return tuple(strip)


def deciding(comparison: Comparison) -> str | None:
    """The metric that decides where answers to examples do not: that of the task, of the evaluation, else any."""
    both = [name for name, (first, second) in comparison.measures.items() if first and second]
    metrics = [name for name in both if name not in ("dead_channels", *NOT_METRICS)]
    own = [] if comparison.scored is None else [comparison.scored.metric]
    evaluation = [name for name in metrics if name.startswith("val_")]
    return next((name for name in (*own, *MEASURED, "val_loss", *evaluation, *metrics) if name in metrics), None)


METRICS = {
    "val_accuracy": "position accuracy",
    "val_f1": "F1",
    "val_mae": "mean absolute error",
    "val_token_loss": "nats per token",
    "val_reconstruction_error": "mean squared error",
}
"""Metric of tasks other than one class per example -> how the page calls it."""


def score(scored: Scored, value: float) -> str:
    """A value of the metric: a share in percent, else a number."""
    return percent(value) if scored.metric == "val_accuracy" else short_number(value, 4)


def points(difference: float) -> str:
    """A difference of shares in points, with its sign.

    >>> points(0.008), points(-0.0213)
    ('+0.8\\xa0points', '−2.1\\xa0points')
    """
    value = round(difference * 100, 1)
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{abs(value):.1f}{NBSP}points"


def p_text(p: float) -> str:
    """A p as papers write it, never rounded over the level at which networks are said to differ.

    >>> p_text(0.0378), p_text(0.0512), p_text(3e-9)
    ('p = 0.04', 'p = 0.051', 'p < 0.0001')
    """
    if p < 1e-4:
        return "p < 0.0001"
    side = np.sign(p - LEVEL)
    texts = [f"{p:.{digits}f}" for digits in range(4 if p < 0.01 else 2, 18)]
    return "p = " + next((text for text in texts if np.sign(float(text) - LEVEL) == side), texts[0])


def _on_examples(comparison: Comparison, result: Paired) -> str:
    assert comparison.predictions is not None
    _, first, second = comparison.predictions
    of = f"the same {plural(result.count, 'evaluation example')}"
    if (first == second).all():
        return f"No difference: base and new give the same answer to {of}{_parameters(comparison)}."
    low, high = result.interval
    numbers = (
        f"{points(result.difference)} of accuracy on {of} (95{NBSP}% interval {_signed(low)} to {_signed(high)}, "
        f"McNemar "
        f"{p_text(result.p)}): {len(result.fixed):,} fixed, {len(result.broken):,} broken"
    )
    if not (found := differ(result)):
        return f"{_no_difference(found)}: {numbers}."
    if comparison.origins.one_configuration:
        return f"{_by_chance(comparison)} {numbers}."
    better = "better" if result.difference > 0 else "worse"
    return f"New is {better}: {numbers}. {_ONE_RUN}"


def _on_scores(comparison: Comparison, scored: Scored) -> str:
    result = scored.result
    of = f"the same {plural(len(result.used), 'evaluation example')}"
    if not result.changes.any():
        return f"No difference: base and new have the same {METRICS[scored.metric]} on each of {of}."
    up, down = int((result.changes > 0).sum()), int((result.changes < 0).sum())
    better, worse = (up, down) if scored.better > 0 else (down, up)
    between = ""
    if result.interval is not None:
        low, high = (_change(scored, end).removesuffix(f"{NBSP}points") for end in result.interval)
        between = f" (95{NBSP}% interval {low} to {high})"
    left_out = len(scored.here) - len(result.used)
    without = f"; {left_out:,} more have no finite score in both" if left_out else ""
    numbers = (
        f"{METRICS[scored.metric]} {score(scored, result.before)} → {score(scored, result.after)}, a change of "
        f"{_change(scored, result.difference)}{between} on {of}; {better:,} are answered better, {worse:,} worse "
        f"(Wilcoxon {p_text(result.p)}){without}"
    )
    if not (found := differ(result)):
        return f"{_no_difference(found)}: {numbers}."
    if comparison.origins.one_configuration:
        return f"{_by_chance(comparison)} {numbers}."
    side = "better" if result.difference * scored.better > 0 else "worse"
    return f"New is {side}: {numbers}. {_ONE_RUN}"


def _no_difference(found: bool | None) -> str:
    return "No clear difference, as interval and test disagree" if found is None else "No difference beyond chance"


def _change(scored: Scored, value: float) -> str:
    if scored.metric == "val_accuracy":
        return points(value)
    return ("+" if value > 0 else "") + short_number(value, 3)


_ONE_RUN = "With one run each, how much of it another seed alone gives is not known."


def _by_chance(comparison: Comparison) -> str:
    """What another training of one configuration differs in."""
    parting = comparison.origins.parting
    batches = parting is not None and parting.same_until is not None and comparison.origins.seeds != "different"
    what, alone = ("the batches", "other batches alone give") if batches else ("the seed", "another seed alone gives")
    return f"No difference but {what}, as far as the runs recorded it: {alone}"


def _parameters(comparison: Comparison) -> str:
    parting = comparison.origins.parting
    same = parting is not None and parting.step is None and parting.same_until == max(comparison.base.snapshots)
    return ", and all their parameters are equal" if same else ""


def _over_seeds(comparison: Comparison) -> str:
    name = deciding(comparison)
    counts = f"{plural(len(comparison.sides[0]), 'run')} of base and {len(comparison.sides[1])} of new"
    result = None if name is None else comparison.seeds.get(name)
    if name is None or result is None:
        return f"No verdict: {counts} have no metric in common that is finite in all of them."
    difference = amount(name, result.difference)
    ranks = f"Mann-Whitney {p_text(result.p)}, at least {result.least_p:.2g} with so few runs"
    if result.interval is None:
        alone = min(map(len, comparison.sides)) == 1
        why = "a single run on a side has no spread" if alone else "the runs do not vary"
        return f"No test is possible over {counts}: {why}. {name}: {difference}."
    low, high = (amount(name, end).removesuffix(f"{NBSP}points") for end in result.interval)
    numbers = f"{name} {difference} over {counts} (95{NBSP}% interval {low} to {high}, Welch's t; {ranks})"
    if result.differ and comparison.origins.one_configuration:
        return f"No difference but the seeds, as far as the runs recorded it: other seeds alone give {numbers}."
    if result.differ:
        return f"New differs: {numbers}."
    least = amount(name, result.detectable or 0.0).lstrip("+")
    return f"No difference beyond the seeds: {numbers}. With this spread, less than {least} could not have been shown."


def amount(name: str, value: float) -> str:
    """A difference of values of a metric, with its sign and unit."""
    if "accuracy" in name:
        return points(value)
    return ("+" if value > 0 else "") + short_number(value, 3)


def _signed(share: float) -> str:
    return points(share).removesuffix(f"{NBSP}points")


def _arrow(before: float, after: float) -> str:
    """Both numbers with as many decimals: 0.1017 → 0.1120."""
    texts = _number(before), _number(after)
    if not all(text.lstrip("−").replace(".", "").isdigit() for text in texts):
        return " → ".join(texts)
    places = max(len(text.partition(".")[2]) for text in texts)
    return " → ".join(f"{value:.{places}f}".replace("-", "−") for value in (before, after))


def _number(value: float) -> str:
    if isfinite(value) and abs(value) >= 1000 and value == int(value):
        return f"{value:,.0f}"
    return short_number(value, 4) if isfinite(value) else "not finite"
