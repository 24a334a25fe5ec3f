"""The network drawn, the new one against base: layers added, removed and changed, and how alike the others are."""

from reportgen.core.network import Layer, Network
from reportgen.core.report import Section
from reportgen.graph.rows import Look
from reportgen.sections import graph
from reportgen.sections.compare.comparison import Comparison
from reportgen.sections.words import listed, plural


def build(comparison: Comparison) -> Section | None:
    """The new side's network; None for one without layers."""
    base, new = comparison.base.network, comparison.new.network
    added = [path for path in new.layers if path not in base.layers]
    removed = [path for path in base.layers if path not in new.layers]
    changed = [path for path, layer in new.layers.items() if path in base.layers and _differs(layer, base.layers[path])]
    alike = {path: found.cka for path, found in comparison.layers.items() if found.cka is not None}
    look = Look(
        marks=dict.fromkeys(added, "added") | dict.fromkeys(changed, "changed"),
        tints={path: min(max(1.0 - cka, 0.0), 1.0) for path, cka in alike.items()},
        notes={path: f"similarity to base {cka:.2f}" for path, cka in alike.items()},
        scale=("similarity to base: 1", "0") if alike else None,
    )
    probe = comparison.new.batch("probe")
    shape = tuple(probe.images.shape[1:]) if probe.size else ()
    said = " The bluer, the less a layer is alike in both networks (debiased linear CKA)." if alike else ""
    return graph.section(new, shape, look, said, _finding(added, removed, changed, base, new))


def _differs(layer: Layer, other: Layer) -> bool:
    """Whether the layer is another one of the same name."""
    return (layer.op, layer.shape, layer.params) != (other.op, other.shape, other.params) or (
        layer.inputs != other.inputs and layer.alias_of == other.alias_of
    )


def _finding(added: list[str], removed: list[str], changed: list[str], base: Network, new: Network) -> str:
    said = [
        f"{plural(len(paths), 'layer')} {what} ({listed(paths, 3)})"
        for what, paths in (("added", added), ("removed", removed), ("changed", changed))
        if paths
    ]
    if said:
        return f" Against base: {', '.join(said)}."
    return " Base has the same layers." if len(base.layers) == len(new.layers) else ""
