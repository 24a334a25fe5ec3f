"""Overview: what was trained on what, how well it does, and what the network is made of."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from reportgen.core.network import Layer
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.sections.context import Context
from reportgen.sections.words import percent, plural

LAYERS_UNFOLDED = 40


def build(context: Context) -> Section:
    """Results per epoch, the layer table in call order, and what was asked for."""
    run = context.run
    parameters = sum(layer.parameters for layer in run.network.layers.values())
    blocks: list[Block] = [*_layer_table(context), _results(context), _configuration(context)]
    if run.network.uncaptured:
        rows = tuple(sorted(run.network.uncaptured.items()))
        blocks.append(Table("uncaptured", "What was not captured, and why.", ("Part", "Reason"), rows, "ll"))
    return Section(
        anchor="overview",
        title="Overview",
        finding=(
            f"The network has {plural(parameters, 'parameter')} in "
            f"{plural(sum(1 for layer in run.network.layers.values() if layer.parameters), 'layer')}; "
            f"{_snapshots(context)}"
        ),
        blocks=tuple(blocks),
        numbers=(
            Numbers("metrics.csv", _metric_columns(context), lambda: _metric_rows(context)),
            Numbers("layers.csv", _LAYER_COLUMNS, lambda: _layer_rows(context)),
        ),
    )


def headline(context: Context) -> str:
    """One sentence: which network, on which data, how well, after how long."""
    run, result = context.run, context.confusion
    config, facts = run.config, run.provenance
    model = str(config.get("model", "A network"))
    data = f" on {config['dataset']}" if "dataset" in config else ""
    if "train_images" in facts:
        data += f" ({plural(int(facts['train_images']), 'training image')})"
    last = _reached(context).get("epoch", 0)
    when = f"after {plural(int(last), 'epoch')}" if last else "before any training"
    if result is None or result.accuracy is None:
        return f"{model}{data}, {when}."
    return f"{model}{data} predicts {percent(result.accuracy)} of {plural(result.images, 'test image')} right {when}."


def key_figures(context: Context) -> tuple[tuple[str, str], ...]:
    """The strip under the title: accuracy, loss, parameters, steps, epochs, time."""
    run, result = context.run, context.confusion
    last = _reached(context)
    strip = []
    if result is not None and result.accuracy is not None:
        strip.append(("accuracy", percent(result.accuracy)))
    if "val_loss" in last:
        strip.append(("loss", f"{last['val_loss']:.4f}" if isfinite(last["val_loss"]) else "not finite"))
    strip.append(("parameters", f"{sum(layer.parameters for layer in run.network.layers.values()):,}"))
    strip.append(("steps", f"{max(run.snapshots):,}"))
    strip.append(("epochs", f"{int(last.get('epoch', 0))}"))
    if "seconds" in run.provenance:
        strip.append(("time", _duration(float(run.provenance["seconds"]))))
    return tuple(strip)


def _reached(context: Context) -> Mapping[str, float]:
    """The row of the epoch that the predictions are of; the last row where there are none."""
    final, rows = context.final, context.run.epochs
    if final is None:
        return rows[-1] if rows else {}
    return next((row for row in rows if row["step"] == final.step), {"epoch": final.epoch})


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _snapshots(context: Context) -> str:
    run = context.run
    every = run.config.get("snapshot_every")
    how = "after every batch" if every == 1 else "after every epoch" if every == "epoch" else f"every {every} batches"
    kept = plural(len(run.snapshots), "snapshot")
    return f"its parameters were kept {how}, {kept} in all." if len(run.snapshots) > 1 else f"{kept} was kept."


def _layer_table(context: Context) -> list[Block]:
    layers = tuple(context.run.network.layers.values())
    columns: dict[str, tuple[str, list[Any]]] = {
        "Layer": ("l", [layer.path for layer in layers]),
        "Kind": ("l", [layer.op for layer in layers]),
        "Output": ("l", ["×".join(map(str, layer.shape)) or "1" for layer in layers]),
        "Parameters": ("r", [layer.parameters for layer in layers]),
        "Operations": ("r", [layer.flops for layer in layers]),
        "Note": ("l", [_note(layer) for layer in layers]),
    }
    shown = {name: column for name, column in columns.items() if any(cell not in (None, "") for cell in column[1])}
    table = Table(
        "layers",
        "Layers in call order: modules, and the functional operations between them. Shapes are of one example's output"
        + (
            "; operations are floating-point ones for one example, as XLA counts them."
            if "Operations" in shown
            else "."
        ),
        tuple(shown),
        tuple(zip(*(cells for _, cells in shown.values()), strict=True)),
        "".join(align for align, _ in shown.values()),
    )
    return [table] if len(layers) <= LAYERS_UNFOLDED else [Fold(f"All {len(layers)} layers", (table,))]


def _note(layer: Layer) -> str:
    if layer.alias_of:
        return f"same values as {layer.alias_of}"
    return f"same parameters as {layer.tied_to}" if layer.tied_to else ""


_NAMES = {
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
    "val_loss": "Test loss",
    "val_accuracy": "Test accuracy",
    "val_accuracy_reported": "Test accuracy, as reported",
}


def _results(context: Context) -> Fold:
    known = list(dict.fromkeys(name for row in context.run.epochs for name in row if name not in ("step", "epoch")))
    names = [*(name for name in _NAMES if name in known), *(name for name in known if name not in _NAMES)]
    rows = tuple(
        (int(r["epoch"]), int(r["step"]), *(_known(r.get(name)) for name in names)) for r in context.run.epochs
    )
    table = Table(
        "results",
        "Metrics per epoch. Training values are means over the epoch's batches, taken while the "
        "parameters changed; test values are of the network at the epoch's end. Epoch 0 is before training.",
        ("Epoch", "Step", *(_NAMES.get(name, name) for name in names)),
        rows,
        "r" * (2 + len(names)),
    )
    return Fold("Results per epoch", (table,))


def _configuration(context: Context) -> Fold:
    rows = tuple((name, _text(value)) for name, value in sorted(context.run.config.items()))
    table = Table("configuration", "What was asked for.", ("Option", "Value"), rows, "ll")
    method = Text(
        "Step 0 is the network before training; step s is after s updates. Channels, labels, steps and "
        "epochs count from 0.",
        "method",
    )
    return Fold("Configuration", (table, method))


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _metric_columns(context: Context) -> tuple[str, ...]:
    """Names of the updates' numbers, then of the epochs'; a name that both have is the epoch's with a prefix."""
    steps, epochs = (
        [name for name in dict.fromkeys(n for row in rows for n in row) if name not in ("step", "epoch")]
        for rows in (context.run.steps, context.run.epochs)
    )
    return ("step", "epoch", *steps, *(f"epoch_{name}" if name in steps else name for name in epochs))


def _metric_rows(context: Context) -> Iterator[tuple[Any, ...]]:
    """A row per update; the one that closes an epoch has the epoch's numbers too."""
    columns = _metric_columns(context)
    merged = {int(row["step"]): dict(row) for row in context.run.steps}
    for row in context.run.epochs:
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


_LAYER_COLUMNS = ("layer", "kind", "shape", "params", "operations", "axes", "reads", "same_as", "same_parameters_as")

_LETTER = {"channel": "c", "head": "h", "query": "q", "key": "k"}


def _layer_rows(context: Context) -> Iterator[tuple[Any, ...]]:
    for layer in context.run.network.layers.values():
        shape = "x".join(map(str, layer.shape))
        axes = "".join(_LETTER.get(axis, axis) for axis in layer.axes)
        reads = (layer.reads, layer.alias_of, layer.tied_to)
        yield (layer.path, layer.op, shape, layer.parameters, layer.flops, axes, *reads)
