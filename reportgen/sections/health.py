"""Health: values that are not finite, channels that died, and, of a training, updates too large or none."""

from collections.abc import Iterator, Sequence
from math import isfinite, nan
from typing import Any

import numpy as np

from reportgen.analysis.checkup import Checkup, Update
from reportgen.analysis.health import LayerHealth
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Numbers, Section, Table, Text, folded
from reportgen.sections import score
from reportgen.sections.context import PageContext
from reportgen.sections.words import NOT_DEFINED, listed, moment, noun, of_all, percent, plural

MOST_DEAD, OF_FEW, FEW = 0.1, 0.5, 20
"""Share of a layer's channels from which on dead ones are a warning on top of the page; over fewer images than FEW,
where a sound network has channels that are 0, it is OF_FEW."""

DEAD_LAYERS = 3
"""Layers with dead channels that are named there, at most."""

LARGE_UPDATE = 0.5
"""Size of one update / size of the kernel from which on it is a warning. Usual are 0.001 to 0.01."""

NAMED = 12
SHOWN = 6


def build(context: PageContext) -> Section:
    """What was looked at and what was found; serious findings are `warnings` too."""
    found = context.checkup
    blocks: list[Block] = [Text(warning, "warning") for warning in warnings(context)]
    drawn, way, behind = score.blocks(context) if context.before is not None else ([], "", ())
    blocks += drawn
    if found.channels:
        blocks.append(folded(_layers(context), "Channels of every layer"))
    if any(found.updates.values()):
        blocks.append(folded(_updates(found, context.run.stage), "Updates of every kernel"))
    blocks += [Text(text, "method") for text in (_method(context), way) if text]
    numbers = (
        Numbers("health_layers.csv", _LAYER_COLUMNS, lambda: _layer_rows(found)),
        Numbers("health_updates.csv", _UPDATE_COLUMNS, lambda: _update_rows(found)),
        Numbers("health_parameters.csv", _BROKEN_COLUMNS, lambda: _broken_rows(found)),
        *behind,
    )
    title = "Health of the network" if context.before is None else "Health of the training"
    return Section("health", title, _finding(context), tuple(blocks), numbers)


def warnings(context: PageContext) -> list[str]:
    """What makes the other numbers of the page doubtful, a sentence each."""
    found, said, alone = context.checkup, [], context.before is None
    if found.loss:
        step, count = found.loss
        said.append(
            f"The training loss is not finite from step {step:,} on."
            if count > 1
            else f"The training loss of step {step:,} is not finite."
        )
    if found.broken:
        first = found.broken[0]
        at = f" (epoch {first.epoch})" if context.run.stage == "epoch" else ""
        since = "" if alone else f" from step {first.step:,}{at} on"
        names = _some([part.name for part in found.broken])
        said.append(
            f"NaN or infinite parameters{since}, in {names}: "
            f"{sum(p.nan + p.infinite for p in found.broken):,} of {sum(p.size for p in found.broken):,} values there."
        )
    if found.broken_layer and not alone:  # the notes of an inspection say it
        epoch, layer = found.broken_layer
        said.append(
            f"NaN or infinite activations from {moment(context.run, epoch)} on, first in {layer.path}: "
            f"{len(layer.non_finite)} of {plural(layer.channels, 'channel')}."
        )
    died: list[tuple[float, str]] = []
    constants: list[str] = []
    most = MOST_DEAD if found.images >= FEW else OF_FEW
    for layer in (health[-1] for health in found.channels.values()):
        dead, constant = len(layer.dead), len(layer.constant)
        of = f"{plural(layer.channels, 'channel')} of {layer.path}"
        if alone and not found.whole:
            continue  # on a few images many channels of a sound network are 0
        if layer.channels > 1 and dead >= most * layer.channels:
            after = "" if alone else f" after {moment(context.run, found.epochs[-1])}"
            share = f" ({percent(dead / layer.channels)})" if dead < layer.channels else ""
            said_of = f"{of_all(dead, of + share)} dead{after}: always 0 on {_images(context)}."
            died.append((dead / layer.channels, said_of))
        elif constant and dead + constant == layer.channels:
            constants.append(f"All channels of {layer.path} have the same value on {_images(context)}.")
    died.sort(key=lambda layer: -layer[0])
    said += [text for _, text in died[:DEAD_LAYERS]]
    if len(died) > DEAD_LAYERS:
        further = plural(len(died) - DEAD_LAYERS, "further layer")
        said.append(f"At least a tenth of the channels are dead in {further}.")
    said += constants
    said += _one_class(context)
    for name, updates in found.updates.items():
        last = updates[-1] if updates else None
        if last and last.updates == 1 and last.ratio >= LARGE_UPDATE:
            said.append(f"The update at step {last.step:,} changed {name} by {percent(last.ratio)} of its size.")
    lasts = [updates[-1] for updates in found.updates.values() if updates]
    if lasts and all(last.ratio == 0 for last in lasts):
        count = lasts[0].updates
        what = "update that was kept" if count == 1 else f"{count} updates that were kept"
        said.append(f"No kernel changed any more in the last {what}.")
    return said


def _one_class(context: PageContext) -> list[str]:
    final, outcome, labels = context.observation, context.classification, context.run.batch("evaluation").labels
    if final is None or outcome is None or not final.step or len(np.unique(labels)) < 2:
        return []
    if len(np.unique(outcome.predictions)) != 1:
        return []
    guess, images = int(outcome.predictions[0]), plural(len(outcome.predictions), f"evaluation {noun(context.run)}")
    if guess < 0:
        return [f"The network predicts nothing for all {images}: its scores are not finite."]
    return [f"The network predicts {context.run.classes[guess]} for all {images}."]


def _finding(context: PageContext) -> str:
    found, alone = context.checkup, context.before is None
    looked, kept = len(found.looked), len(context.run.snapshots)
    steps = f" in {f'all {kept:,}' if looked == kept else f'the {looked:,} of {kept:,}'} snapshots examined"
    parts = []
    if found.broken:
        first = found.broken[0]
        since = "" if alone else f" from step {first.step:,} on"
        has = "has" if len(found.broken) == 1 else "have"
        parts.append(f"{plural(len(found.broken), 'parameter array')} {has} values that are not finite{since}")
    else:
        parts.append(f"All parameters are finite{'' if alone else steps}")
    if found.channels:
        if found.broken_layer:
            since = "" if alone else f" from {moment(context.run, found.broken_layer[0])} on"
            parts.append(f"activations of {found.broken_layer[1].path} are not finite{since}")
        elif not found.broken:
            parts[0] += f"; so are all activations on {_images(context)}"
        parts.append(_dead(found, "dead" if found.whole or not alone else "always 0"))
    lasts = [(updates[-1].ratio, name) for name, updates in found.updates.items() if updates]
    known = [last for last in lasts if isfinite(last[0])]
    if known:
        (least, _), (most, name) = min(known), max(known)
        count = next(u[-1].updates for u in found.updates.values() if u)
        alike = _share(least) == _share(most)
        span = _share(most) if alike else f"{_share(least)} ({min(known)[1]}) to {_share(most)} ({name})"
        what = "update" if count == 1 else f"{count} updates"
        parts.append(f"the last {what} changed kernels by {span} of their size")
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def _dead(found: Checkup, dead: str) -> str:
    last = [health[-1] for health in found.channels.values()]
    some = [layer for layer in last if layer.dead]
    if not some:
        return f"no channel is {dead}"
    worst = max(some, key=lambda layer: len(layer.dead) / layer.channels)
    text = f"{of_all(len(worst.dead), plural(worst.channels, 'channel') + ' of ' + worst.path)} {dead}"
    rest = f"{len(some)} of {plural(len(last), 'layer')} have dead channels; in the worst, "
    return text if len(some) == 1 else rest + text


def _layers(context: PageContext) -> Table:
    found, alone = context.checkup, context.before is None
    picked = np.unique(np.linspace(0, len(found.epochs) - 1, min(SHOWN, len(found.epochs))).round().astype(int))
    epochs = [found.epochs[i] for i in picked]
    rows = []
    for path, health in found.channels.items():
        last = health[-1]
        rows.append(
            (
                path,
                last.channels,
                *(len(health[i].dead) for i in picked),
                _numbered(last.dead),
                len(last.constant),
                NOT_DEFINED if last.saturated is None else len(last.saturated),
                len(last.non_finite),
            )
        )
    return Table(
        "health-layers",
        f"Channels over {_images(context)}. Dead: always 0. Constant: always one other value. Saturated: 95 % of the "
        "values on the probe within 1 % of an end of the activation function's range; not defined for functions "
        "without ends. Not finite: with NaN or infinite values."
        f"{'' if alone else f' All but the dead after {moment(context.run, found.epochs[-1])}.'}",
        (
            *("Layer", "Channels"),
            *("Dead" if alone else f"Dead, {moment(context.run, epoch)}" for epoch in epochs),
            *("Which", "Constant", "Saturated", "Not finite"),
        ),
        tuple(rows),
        "lr" + "r" * len(epochs) + "lrrr",
    )


def _updates(found: Checkup, stage: str) -> Table:
    rows = []
    first, last = next((u[0], u[-1]) for u in found.updates.values() if u)
    several = (f"Step {first.step:,}", f"Step {last.step:,}", "Least", "Most")
    columns = several if last is not first else several[:1]
    for name, updates in found.updates.items():
        ratios = [update.ratio for update in updates if isfinite(update.ratio)]
        if updates:
            ends = [updates[0].ratio, updates[-1].ratio, *(f(ratios, default=nan) for f in (min, max))]
            rows.append((name, *map(_rounded, ends[: len(columns)])))
    return Table(
        "health-updates",
        f"Size of the change in {_intervals(found, stage)}, divided by the size of the kernel before it (Euclidean "
        "norms). For single updates 0.001 to 0.01 is usual; 0 is a kernel that does not learn.",
        ("Kernel", *columns),
        tuple(rows),
        "l" + "r" * len(columns),
    )


def _intervals(found: Checkup, stage: str) -> str:
    counts = {update.updates for updates in found.updates.values() for update in updates}
    replayed = stage == "checkpoint"
    if counts == {1}:
        return "the last update before each checkpoint" if replayed else f"the last update of each {stage}"
    many = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    if replayed:
        return f"the {many} updates between each checkpoint and the one before"
    return f"the {many} updates before the end of each {stage} that lie between kept snapshots"


def _method(context: PageContext) -> str:
    found, kept = context.checkup, len(context.run.snapshots)
    where = (
        f"steps {_some([f'{step:,}' for step in found.looked])}" if len(found.looked) < kept else "every recorded step"
    )
    epochs = len(context.run.observations)
    text = "Pooling and flattening layers are left out: they hand on what died before."
    if any(layer.has_attention for layer in context.network.distinct):
        text += " Attention weights are, too: they have no channels."
    if context.before is not None:
        text = (
            f"Parameters were examined at {where}, activations at {_observed(len(found.epochs), epochs)} "
            f"({moment(context.run, 0)} is before training). {text}"
        )
    if found.channels and not found.whole:
        text += " Channels were judged by the probe alone: their ranges over an evaluation set are not known."
    return text


def _observed(looked: int, recorded: int) -> str:
    return f"{looked:,} of {recorded:,} recorded moments" if looked < recorded else f"all {recorded:,} recorded moments"


def _images(context: PageContext) -> str:
    found = context.checkup
    return plural(found.images, f"{'evaluation' if found.whole else 'probe'} {noun(context.run)}")


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return listed(list(names)) if more <= 0 else f"{', '.join(names[:NAMED])} and {more:,} more"


def _numbered(channels: tuple[int, ...]) -> str:
    return ", ".join(map(str, channels[:NAMED])) + (
        f" and {len(channels) - NAMED} more" if len(channels) > NAMED else ""
    )


def _share(ratio: float) -> str:
    return percent(ratio) if ratio >= 0.0005 or ratio == 0 else f"{short_number(ratio * 100, 1)}\N{NO-BREAK SPACE}%"


def _rounded(ratio: float) -> str | None:
    return short_number(ratio, 2) if isfinite(ratio) else None


_LAYER_COLUMNS = ("epoch", "step", "layer", "channels", "images", "dead", "constant", "saturated", "non_finite")
_UPDATE_COLUMNS = ("epoch", "step", "param", "updates", "ratio")
_BROKEN_COLUMNS = ("step", "epoch", "param", "nan", "infinite", "size")


def _layer_rows(found: Checkup) -> Iterator[tuple[Any, ...]]:
    for path, layers in found.channels.items():
        for epoch, step, health in zip(found.epochs, found.steps, layers, strict=True):
            counts = (_count(channels) for channels in _groups(health))
            yield epoch, step, path, health.channels, health.images, *counts


def _groups(health: LayerHealth) -> tuple[tuple[int, ...] | None, ...]:
    return health.dead, health.constant, health.saturated, health.non_finite


def _count(channels: tuple[int, ...] | None) -> int | None:
    return None if channels is None else len(channels)


def _update_rows(found: Checkup) -> Iterator[tuple[Any, ...]]:
    for name, updates in found.updates.items():
        for update in updates:
            yield update.epoch, update.step, name, update.updates, _known(update)


def _known(update: Update) -> float | None:
    return update.ratio if isfinite(update.ratio) else None


def _broken_rows(found: Checkup) -> Iterator[tuple[Any, ...]]:
    for part in found.broken:
        yield part.step, part.epoch, part.name, part.nan, part.infinite, part.size
