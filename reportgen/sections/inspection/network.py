"""The network: every captured layer in call order, with shapes, parameters and receptive fields."""

from collections.abc import Iterator
from typing import Any

from reportgen.core.network import Layer
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.sections.inspection.view import View
from reportgen.sections.words import plural

UNFOLDED = 40


def build(view: View) -> Section:
    """The layer table, what was not captured, and what was verified."""
    found = view.found
    table = _table(view)
    blocks: list[Block] = [table] if len(table.rows) <= UNFOLDED else [Fold(f"All {len(table.rows)} layers", (table,))]
    if found.network.uncaptured:
        rows = tuple(sorted(found.network.uncaptured.items()))
        blocks.append(Table("uncaptured", "What was not captured, and why.", ("Part", "Reason"), rows, "ll"))
    blocks.append(
        Text(
            "Receptive field: the part of the image that one value depends on, from the windows, steps and dilations "
            "of "
            "all operations before it, padding included; step: by how many pixels it moves from one value to the next. "
            "Not known: values that see different parts without a regular step (after a flattening), or an operation "
            "that "
            "does not tell.",
            "method",
        )
    )
    parameters = sum(layer.parameters for layer in found.network.layers.values())
    height, width = found.inputs.shape[1:3]
    with_parameters = sum(layer.parameters > 0 for layer in found.network.layers.values())
    finding = (
        f"{found.network.name} with {found.source}: {plural(parameters, 'parameter')} in "
        f"{plural(with_parameters, 'layer')}; shapes for {height}×{width} images."
    )
    if found.verified:
        finding += f" {found.verified[0].upper()}{found.verified[1:]}."
    numbers = Numbers(
        "layers.csv",
        ("layer", "kind", "shape", "params", "field_height", "field_width", "field_step_y", "field_step_x"),
        lambda: _rows(view),
    )
    return Section("network", "The network", finding, tuple(blocks), (numbers,))


def _table(view: View) -> Table:
    rows = []
    for layer in view.found.network.layers.values():
        notes = [f"same values as {layer.alias_of}"] if layer.alias_of else []
        if layer.tied_to:
            notes.append(f"parameters of {layer.tied_to}")
        shape = "×".join(map(str, layer.shape)) or "1"
        rows.append((layer.path, layer.op, shape, layer.parameters, *_field(view, layer), "; ".join(notes)))
    return Table(
        "layers",
        "Layers in call order: modules, and the functional operations between them. Output shapes are for one of these "
        "images; receptive field and step in pixels, rows × columns.",
        ("Layer", "Kind", "Output", "Parameters", "Receptive field", "Step", "Note"),
        tuple(rows),
        "lllrrrl",
    )


def _field(view: View, layer: Layer) -> tuple[str, str]:
    field = layer.field
    if field is None:
        return "not known", ""
    if field.covers(*view.found.inputs.shape[1:3]):
        return "whole image", ""
    return f"{field.height}×{field.width}", f"{field.step_y}×{field.step_x}"


def _rows(view: View) -> Iterator[tuple[Any, ...]]:
    for layer in view.found.network.layers.values():
        field = layer.field
        window = (None,) * 4 if field is None else (field.height, field.width, field.step_y, field.step_x)
        yield (layer.path, layer.op, "x".join(map(str, layer.shape)), layer.parameters, *window)
