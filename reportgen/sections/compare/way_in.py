"""What was different on the way in: settings, versions, data, architecture, start, and where the trainings parted."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from reportgen.analysis.origins import ExamplesChange, LayerChange, Origins, Parting, Setting
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.core.run import Run
from reportgen.sections.compare.comparison import SIDES, Comparison
from reportgen.sections.words import listed, plural

SHOWN = 15
LONGEST = 80
MANY = 10
"""Predictions of one network from which on it is told that the other has none of that class."""


def build(comparison: Comparison) -> Section:
    """Every difference on the way in, as sentences and as a table."""
    found = comparison.origins
    rows = list(_rows(found))
    blocks: list[Block] = [Text(sentence) for sentence in sentences(comparison)]
    shown = tuple(
        (what, name, *("not there" if value is None else value for value in pair)) for what, name, *pair in rows
    )
    if rows:
        caption = "What was different on the way in."
        table = Table("way-in-table", caption, ("What", "Name", "Base", "New"), shown[:SHOWN], "llll")
        blocks.append(table)
    if len(rows) > SHOWN:
        more = Table("way-in-all", "All of it.", ("What", "Name", "Base", "New"), shown, "llll")
        blocks.append(Fold(f"All {len(rows)} differences on the way in", (more,)))
    if comparison.has_seeds:
        blocks.append(Text("Of the runs of each side, this is about the first.", "method"))
    numbers = Numbers("way_in.csv", ("what", "name", "base", "new"), lambda: iter(rows))
    return Section("way-in", "What was different on the way in", _finding(found), tuple(blocks), (numbers,))


def _finding(found: Origins) -> str:
    differ = [
        *([f"the configuration ({listed([setting.name for setting in found.settings], 3)})"] if found.settings else []),
        *([f"the architecture ({plural(len(found.layers), 'layer')})"] if found.layers else []),
        *(["the examples or their labels"] if any(map(_examples_differ, found.examples.values())) else []),
        *(
            [f"the length of the training ({found.steps[0]:,} and {found.steps[1]:,} updates)"]
            if found.steps[0] != found.steps[1]
            else []
        ),
        *(["versions, code or place"] if found.circumstances else []),
        *(["what is trained"] if any(found.frozen) else []),
    ]
    what = f"Base and new differ in {listed(differ)}." if differ else "Nothing recorded on the way in differs."
    return what + _start(found)


def _start(found: Origins) -> str:
    parting = found.parting
    if parting is None:
        return ""
    if parting.step is None:
        if found.steps[0] == found.steps[1]:
            return " The parameters are equal throughout."
        shorter = "base" if found.steps[0] < found.steps[1] else "new"
        return f" The parameters are equal up to step {parting.same_until:,}, the last of {shorter}."
    if parting.same_until is None:
        return f" They start from other parameters ({len(parting.names)} of {parting.of})."
    return f" They start from the same parameters and part after step {parting.same_until:,}."


def sentences(comparison: Comparison) -> Iterator[str]:
    """What the differences mean, as far as the runs show it."""
    found, base = comparison.origins, comparison.base
    for name, change in found.examples.items():
        yield from _of_examples(name, change, base)
    if found.parting is not None:
        yield from _of_parting(found.parting)
    for side, names, other in (("base", found.frozen[0], "new"), ("new", found.frozen[1], "base")):
        parameters = [n.removeprefix("params/") for n in names if n.startswith("params/")]
        others = [n for n in names if not n.startswith("params/")]
        if parameters:
            yield f"Frozen: {listed(parameters, 3)} did not change during the training of {side}, and did in {other}."
        if others:
            yield f"Never updated: {listed(others, 3)} stayed as at the start in {side}, and changed in {other}."
    if found.dtypes:
        name, before, after = found.dtypes[0]
        more = f", and so are {len(found.dtypes) - 1:,} more parameters" if len(found.dtypes) > 1 else ""
        yield f"{name} is {before} in base and {after} in new{more}."
    yield from _missing_classes(comparison)


def _of_examples(name: str, change: ExamplesChange, run: Run) -> Iterator[str]:
    batch = "probe" if name == "probe" else f"{name} batch"
    if change.rescaled is not None:
        factor, offset = change.rescaled
        sign = "−" if offset < 0 else "+"
        yield (
            f"The inputs of the {batch} are prepared differently: those of new are {short_number(factor, 4)} times "
            f"those of "
            f"base {sign} {short_number(abs(offset), 4)}."
        )
    elif change.shared == 0 and change.counts[0] == change.counts[1] and change.counts[0]:
        yield (
            f"The {batch} has as many examples of each label in both runs, and no equal input: prepared or drawn "
            f"differently."
        )
    if change.relabelled:
        total = sum(count for *_, count in change.relabelled)
        true, other, count = change.relabelled[0]
        kinds = len(change.relabelled)
        most = f"{run.classes[true]} is labelled {run.classes[other]} {count} times"
        which = f"all of them: {most}" if kinds == 1 else f"{kinds} kinds; most often {most}"
        yield f"{total:,} of the {change.shared:,} shared examples of the {batch} have another label in new ({which})."
    if change.shared is not None and change.shared == change.sizes[0] == change.sizes[1] and not change.in_order:
        yield f"The {batch} has the same examples in another order."
    for label, (before, after) in enumerate(zip(*change.counts, strict=True)):
        if bool(before) != bool(after) and name != "probe":
            side = "base" if not before else "new"
            yield (
                f"The {batch} of {side} has no example of class {run.classes[label]}; the other has "
                f"{max(before, after):,}."
            )


def _of_parting(parting: Parting) -> Iterator[str]:
    if parting.same_until is None:
        if len(parting.names) < parting.of:
            yield (
                f"At step {parting.step:,} only {listed(list(parting.names), 3)} "
                f"differ{'s' if len(parting.names) == 1 else ''}; the "
                f"other {parting.of - len(parting.names)} parameters are equal: re-initialised, or taken from "
                f"elsewhere."
            )
        return
    if parting.step is None:
        return
    loss = parting.loss
    if loss is not None and loss[0] <= parting.step:
        step, before, after = loss
        same = f"Up to step {step - 1:,} the two trainings are the same; the" if parting.equal_losses else "The"
        yield (
            f"{same} loss of update {step}, from equal parameters, is {short_number(before, 4)} in base and "
            f"{short_number(after, 4)} in new: another batch (its order, content or labels), or other randomness or "
            "computation in the forward pass."
        )
        return
    start = f"Update {parting.step} starts from equal parameters"
    start += " and an equal loss" if parting.equal_losses else ""
    if parting.update == "larger":
        yield (
            f"{start}; in new it is {short_number(parting.factor, 4)} times as large, in the same direction, as "
            "another learning rate gives."
        )
    elif parting.update == "decay":
        yield (
            f"{start}; new also moves by {short_number(parting.factor, 3)} times the parameters, as weight decay gives."
        )
    elif parting.update:
        cause = "another optimizer" if parting.equal_losses else "another batch or optimizer"
        yield (
            f"{start}, and differs in {plural(len(parting.names), 'parameter')} of {parting.of} "
            f"({listed(list(parting.names), 3)}): {cause}, or other settings of it."
        )


def _missing_classes(comparison: Comparison) -> Iterator[str]:
    if comparison.predictions is None:
        return
    _, *predicted = comparison.predictions
    classes = comparison.base.classes
    for (side, ours), (other, theirs) in permutations(zip(SIDES, predicted, strict=True)):
        if none := int((ours < 0).sum()):
            yield f"{side.capitalize()} gives no prediction for {plural(none, 'evaluation example')}: not finite."
        counts, its = (np.bincount(values[values >= 0], minlength=len(classes)) for values in (ours, theirs))
        never = np.flatnonzero((counts == 0) & (its >= MANY))
        if len(never) and counts.any():
            names = listed([classes[label] for label in never], 3)
            does = plural(int(its[never].sum()), "evaluation example")
            yield f"{side.capitalize()} never predicts {names}; {other} does for {does}."


def _examples_differ(change: ExamplesChange) -> bool:
    return bool(change.relabelled) or change.rescaled is not None or change.shared not in (None, *change.sizes)


def _rows(found: Origins) -> Iterator[tuple[str, str, str | None, str | None]]:
    yield from _settings("configuration", found.settings)
    for change in found.layers:
        layer = change.after or change.before
        assert layer is not None
        yield "layer", layer.path, *_layer_words(change)
    for name, batch in found.examples.items():
        if batch.sizes[0] != batch.sizes[1]:
            yield "data", f"examples of the {name} batch", f"{batch.sizes[0]:,}", f"{batch.sizes[1]:,}"
    if found.steps[0] != found.steps[1]:
        yield "training", "updates", f"{found.steps[0]:,}", f"{found.steps[1]:,}"
    if found.epochs[0] != found.epochs[1]:
        yield "training", "epochs", str(found.epochs[0]), str(found.epochs[1])
    yield from _settings("circumstances", found.circumstances)


def _settings(what: str, settings: tuple[Setting, ...]) -> Iterator[tuple[str, str, str | None, str | None]]:
    for setting in settings:
        yield what, setting.name, _shown(setting.before), _shown(setting.after)


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _layer_words(change: LayerChange) -> tuple[str | None, str | None]:
    """The layer in each network: what both have alike is left out."""
    if change.before is None or change.after is None:
        return tuple(None if x is None else f"{x.op} {_shape(x.shape)}" for x in (change.before, change.after))  # type: ignore[return-value]
    words: tuple[list[str], list[str]] = ([], [])
    first, second = change.before, change.after
    kernels = [{n.rpartition("/")[2]: s for n, s in layer.params.items()} for layer in (first, second)]
    differing = [n for n in dict.fromkeys([*kernels[0], *kernels[1]]) if kernels[0].get(n) != kernels[1].get(n)]
    for side, layer, shapes in zip(words, (first, second), kernels, strict=True):
        if first.path != second.path:
            side.append(layer.path)
        if first.op != second.op:
            side.append(layer.op)
        if first.shape != second.shape:
            side.append(_shape(layer.shape))
        if first.dtype != second.dtype:
            side.append(layer.dtype)
        side += [f"{name} {_shape(shapes[name])}" if name in shapes else f"no {name}" for name in differing]
        if not side or (first.alias_of is None) != (second.alias_of is None):
            side.append(f"the same as {layer.alias_of}" if layer.alias_of else "values of its own")
    return ", ".join(words[0]), ", ".join(words[1])


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"
