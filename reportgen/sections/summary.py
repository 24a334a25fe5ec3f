"""The top of a page: title, headline, key figures, and what the reader must know before believing the rest."""

from math import isfinite

from reportgen.analysis.confusion import wilson
from reportgen.analysis.embedding import Embedding
from reportgen.core.run import MetricRow
from reportgen.sections import answers, health, strongest
from reportgen.sections.context import PageContext
from reportgen.sections.measures import measured, unscored
from reportgen.sections.options import Need
from reportgen.sections.words import called, interval, listed, noun, percent, plural

PROBLEMS = 12
"""Unreadable parts of a run that are named one by one on top of the page."""

CONTAINERS = ("Sequential", "")
"""Classes whose name says nothing of a network."""

Strip = tuple[tuple[str, str], ...]


def page_title(context: PageContext) -> str:
    """Which network on which data."""
    run = context.run
    if run.kind == "inspection":
        return f"{called(context.network.name)} on {_inputs(context)}"
    dataset = _dataset(context)
    name = _model(context) or f"A network with {plural(_parameters(context), 'parameter')}"
    return f"{name} on {dataset}" if dataset else name


def _model(context: PageContext) -> str:
    """The network's name; "" where it is only that of a class that holds any network."""
    name = called(str(context.run.config.get("model") or context.network.name))
    return "" if name in CONTAINERS else name


def _dataset(context: PageContext) -> str:
    return called(str(context.run.config.get("dataset", "")))


def subject(context: PageContext) -> str:
    """Which network on which data, and on how many examples it was evaluated."""
    size = context.run.batch("evaluation").size
    return page_title(context) + (f" ({plural(size, f'evaluation {noun(context.run)}')})" if size else "")


def origin(context: PageContext) -> str:
    """Where the run comes from: day, commit, seed, data, command; what is not known is left out."""
    facts, config = context.run.provenance, context.run.config
    parts = [str(facts["date"])] if facts.get("date") else []
    if commit := facts.get("git_commit"):
        parts.append(f"commit {str(commit)[:10]}{' with uncommitted changes' if facts.get('git_dirty') else ''}")
    if "seed" in config:
        parts.append(f"seed {config['seed']}")
    if "train_images" in facts:
        parts.append(f"{int(facts['train_images']):,} training {noun(context.run)}s")
    if fingerprint := facts.get("dataset_fingerprint"):
        parts.append(f"data {str(fingerprint)[:10]}")
    return " · ".join([*parts, *([str(facts["command"])] if facts.get("command") else [])])


def headline(context: PageContext) -> str:
    """One sentence: what the network answered, or how well it does after how long."""
    return _inspected(context) if context.run.kind == "inspection" else _trained(context)


def key_figures(context: PageContext) -> Strip:
    """The strip under the title."""
    return _inspection_figures(context) if context.run.kind == "inspection" else _training_figures(context)


def _inputs(context: PageContext) -> str:
    return listed(context.names) if len(context.names) <= 3 else plural(len(context.names), noun(context.run))


def _inspected(context: PageContext) -> str:
    if context.map_layers and Need.COMPARABLE in context.offers:
        return answers.finding(context)
    source = f" with {context.run.provenance['parameters']}" if "parameters" in context.run.provenance else ""
    start = f"{called(context.network.name)}{source}, on {_inputs(context)}"
    return f"{start}. {strongest.finding(context)}" if context.map_layers else f"{start}."


def _trained(context: PageContext) -> str:
    result, model, last = context.confusion, _model(context) or "The network", _reached(context)
    by_epochs, span = context.run.stage == "epoch" and last.epoch > 0, plural(last.epoch, "epoch")
    when = f"after {span}" if by_epochs else f"at step {last.step:,}" if last.epoch else "before any training"
    seeds = "; one seed" if last.epoch else ""
    if result is None or result.accuracy is None:
        found = measured(context)
        if found is None:
            return f"{model}{f' was trained for {span}' if by_epochs else f', {when}'}{unscored(context)}."
        return f"{model} {found.verb} {when}{seeds}."
    right, one = result.images - len(result.misclassified), noun(context.run)
    within = interval(*wilson(right, result.images))
    training = last.reported.get("train_accuracy")
    fitted = f"; training {percent(training)}" if training is not None and 0 <= training <= 1 else ""
    return (
        f"{model} classifies {right:,} of {plural(result.images, f'test {one}')} correctly "
        f"({percent(result.accuracy)}, {within}) {when}{fitted}{seeds}."
    )


def _training_figures(context: PageContext) -> Strip:
    """Accuracy or the task's own measure, loss, parameters, steps, epochs, time."""
    run, result, last = context.run, context.confusion, _reached(context)
    strip = []
    if result is not None and result.accuracy is not None:
        strip.append(("accuracy", percent(result.accuracy)))
    elif (found := measured(context)) is not None:
        strip += found.figures
    if (loss := last.reported.get("val_loss")) is not None:
        strip.append(("loss", f"{loss:.4f}" if isfinite(loss) else "not finite"))
    strip.append(("parameters", f"{_parameters(context):,}"))
    strip.append(("steps", f"{max(run.snapshots):,}"))
    strip.append(("epochs", f"{last.epoch}") if run.stage == "epoch" else ("checkpoints", f"{len(run.observations)}"))
    if "seconds" in run.provenance and "checkpoints" not in run.config:  # a replay's are not the training's
        spent = run.provenance.get("evaluating_seconds")
        evaluating = "" if spent is None else f", {_duration(float(spent))} of it evaluating"
        strip.append((f"time{evaluating}", _duration(float(run.provenance["seconds"]))))
    return tuple(strip)


def _inspection_figures(context: PageContext) -> Strip:
    """Images, their size, layers and feature maps shown, parameters, preprocessing."""
    stated = context.probe.preprocessing
    return (
        (f"{noun(context.run)}s", f"{len(context.names):,}"),
        ("size", "×".join(map(str, context.probe.inputs.shape[1:]))),
        ("layers shown", f"{len(context.layers):,} of {len(context.network.distinct):,}"),
        ("feature maps", f"{sum(layer.channels for layer in context.map_layers) * len(context.names):,}"),
        ("parameters", f"{_parameters(context):,}"),
        *((("preprocessing", stated.name),) if stated is not None else ()),
    )


def _parameters(context: PageContext) -> int:
    return sum(layer.parameters for layer in context.network.layers.values())


def _reached(context: PageContext) -> MetricRow:
    """The row of the epoch that the predictions are of; the last row where there are none."""
    observed, rows = context.observation, context.run.metrics.epochs
    if observed is None:
        return rows[-1] if rows else MetricRow(context.now.step, 0)
    found = (row for row in rows if row.step == observed.step)
    return next(found, MetricRow(observed.step, observed.epoch or 0))


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.{1 if seconds < 1 else 0}f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def warnings(context: PageContext) -> tuple[str, ...]:
    """What makes the rest of the page doubtful, a sentence each."""
    run, rows = context.run, context.run.metrics.epochs
    found = [f"Part of the run could not be read: {problem}." for problem in run.problems[:PROBLEMS]]
    if len(run.problems) > PROBLEMS:
        found.append(f"{len(run.problems) - PROBLEMS:,} further parts of the run could not be read.")
    observed = context.observation
    if observed is not None and rows and observed.step < rows[-1].step:
        found.append(
            f"The last activations that can be read are of epoch {observed.epoch} (step {observed.step:,}), not of "
            f"epoch {rows[-1].epoch}: what this page says of predictions and activations is of that epoch."
        )
    elif observed is not None and len(run.observations) == 1 and observed.step < max(run.snapshots):
        found.append(
            "No epoch was recorded, as a loop does by calling epoch() after each: what this page says of predictions "
            f"and activations is of step {observed.step:,}, not of step {max(run.snapshots):,}."
        )
    found += run.notes
    if context.options.umap_is_missing and isinstance(context.embedding, Embedding):
        note = "The hidden layer is drawn by PCA: UMAP needs numba, which is not installed"
        found.append(f"{note} (pip install 'reportgen-jax[umap]').")
    found += health.warnings(context)
    if run.status != "finished":
        found.append(
            f"The recording did not finish (status: {run.status}); this report shows what was recorded until then."
        )
    return tuple(found)
