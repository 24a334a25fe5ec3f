"""The network: every captured layer in call order, with shapes, parameters, operations and receptive fields."""

from collections.abc import Iterator
from typing import Any

from reportgen.core.network import Layer
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.sections.context import PageContext
from reportgen.sections.words import called, plural

UNFOLDED = 40

_LETTER = {"channel": "c", "head": "h", "query": "q", "key": "k"}

_COLUMNS = (
    *("layer", "kind", "shape", "params", "operations", "axes", "reads", "same_as", "same_parameters_as"),
    *("inputs", "field_height", "field_width", "field_step_y", "field_step_x"),
)


def build(context: PageContext) -> Section:
    """The layer table, what was not captured, and what was verified."""
    network, facts = context.network, context.run.provenance
    table = _table(context)
    blocks: list[Block] = [table] if len(table.rows) <= UNFOLDED else [Fold(f"All {len(table.rows)} layers", (table,))]
    if network.uncaptured:
        rows = tuple(sorted(network.uncaptured.items()))
        blocks.append(Table("uncaptured", "What was not captured, and why.", ("Part", "Reason"), rows, "ll"))
    if "Receptive field" in table.columns:
        blocks.append(
            Text(
                "Receptive field: the part of the image that one value depends on, from the windows, steps and "
                "dilations of all operations before it, padding included; step: by how many pixels it moves from one "
                "value to the next. Not known: values that see different parts without a regular step (after a "
                "flattening), or an operation that does not tell.",
                "method",
            )
        )
    parameters = sum(layer.parameters for layer in network.layers.values())
    holders, layers = sum(x.parameters > 0 for x in network.layers.values()), plural(len(network.distinct), "layer")
    source = f" with {facts['parameters']}" if "parameters" in facts else ""
    within = layers if holders == len(network.distinct) else f"{holders:,} of its {layers}"
    finding = f"{called(network.name)}{source} has {plural(parameters, 'parameter')} in {within}."
    if verified := str(facts.get("verification", "")):
        finding += f" {verified[0].upper()}{verified[1:]}."
    numbers = Numbers("layers.csv", _COLUMNS, lambda: _rows(context))
    return Section("network", "The network", finding, tuple(blocks), (numbers,))


def _table(context: PageContext) -> Table:
    layers = tuple(context.network.layers.values())
    known = context.size is not None and any(layer.field is not None for layer in layers)
    fields = [_field(context, layer) for layer in layers] if known else []
    columns: dict[str, tuple[str, list[Any]]] = {
        "Layer": ("l", [layer.path for layer in layers]),
        "Kind": ("l", [layer.op for layer in layers]),
        "Output": ("l", ["×".join(map(str, layer.shape)) or "1" for layer in layers]),
        "Parameters": ("r", [layer.parameters for layer in layers]),
        "Operations": ("r", [layer.flops for layer in layers]),
        "Receptive field": ("r", [window for window, _ in fields]),
        "Step": ("r", [step for _, step in fields]),
        "Note": ("l", [_note(layer) for layer in layers]),
    }
    shown = {name: column for name, column in columns.items() if any(cell not in (None, "") for cell in column[1])}
    counted = "; operations are floating-point ones for one example, as XLA counts them"
    given = "" if context.size is None else f" for an input of {'×'.join(map(str, context.size))} pixels"
    pixels = "; receptive field and step in pixels, rows × columns"
    return Table(
        "layers",
        "Layers in call order: modules, and the functional operations between them. Shapes are of one example's output"
        f"{given}"
        f"{counted if 'Operations' in shown else ''}{pixels if 'Receptive field' in shown else ''}.",
        tuple(shown),
        tuple(zip(*(cells for _, cells in shown.values()), strict=True)),
        "".join(align for align, _ in shown.values()),
    )


def _note(layer: Layer) -> str:
    notes = [f"same values as {layer.alias_of}"] if layer.alias_of else []
    notes += [f"same parameters as {layer.tied_to}"] if layer.tied_to else []
    return "; ".join(notes)


def _field(context: PageContext, layer: Layer) -> tuple[str, str]:
    """The receptive field and its step, in words."""
    assert context.size is not None
    if layer.field is None:
        return "not known", ""
    if layer.field.covers(*context.size):
        return "whole image", ""
    return f"{layer.field.height}×{layer.field.width}", f"{layer.field.step_y}×{layer.field.step_x}"


def _rows(context: PageContext) -> Iterator[tuple[Any, ...]]:
    for layer in context.network.layers.values():
        field = layer.field
        window = (None,) * 4 if field is None else (field.height, field.width, field.step_y, field.step_x)
        shape, axes = "x".join(map(str, layer.shape)), "".join(_LETTER.get(axis, axis) for axis in layer.axes)
        counts = (layer.parameters, layer.flops, axes)
        reads = None if layer.alias_of else layer.reads
        edges = (reads, layer.alias_of, layer.tied_to, " ".join(layer.inputs))
        yield (layer.path, layer.op, shape, *counts, *edges, *window)
