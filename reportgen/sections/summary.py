"""The top of an inspection's page: one sentence, and the strip of key figures."""

import hashlib
from typing import Any

import numpy as np

from reportgen.sections.inspection import changes, strongest
from reportgen.sections.inspection.view import View
from reportgen.sections.words import listed


def title(view: View) -> str:
    """Which network on which images."""
    images = listed(view.images) if len(view.images) <= 3 else f"{len(view.images)} images"
    return f"{view.found.network.name} on {images}"


def headline(view: View) -> str:
    """What the network answered, in one sentence."""
    found = view.found
    if len(view.images) > 1 and view.map_layers:
        return changes.finding(view)
    images = listed(view.images) if len(view.images) <= 3 else f"{len(view.images)} images"
    start = f"{found.network.name} with {found.source}, on {images}"
    return f"{start}. {strongest.finding(view)}" if view.map_layers else f"{start}."


def configuration(view: View) -> dict[str, Any]:
    """What was asked for, and the images' fingerprints (sha256 of the pixels before preprocessing)."""
    found, how = view.found, view.how
    prints = {p.name: hashlib.sha256(np.ascontiguousarray(p.pixels).tobytes()).hexdigest() for p in found.pictures}
    return {
        "model": found.network.name,
        "parameters": found.source,
        "images": prints,
        "layers": list(found.chosen),
        "channels": list(found.channels),
        "preprocess": found.preprocessing.words,
        "normalize": how.kind if how.kind != "range" else f"range {how.low:g},{how.high:g}",
        **({"dataset": found.labelled.name} if found.labelled else {}),
        **({"verified": found.verified} if found.verified else {}),
    }


def key_figures(view: View) -> tuple[tuple[str, str], ...]:
    """Images, their size, layers and feature maps shown, parameters, preprocessing."""
    found = view.found
    height, width, channels = found.inputs.shape[1:]
    return (
        ("images", f"{len(view.images):,}"),
        ("size", f"{height}×{width}×{channels}"),
        ("layers shown", f"{len(view.layers):,} of {len(found.network.distinct):,}"),
        ("feature maps", f"{sum(layer.channels for layer in view.map_layers) * len(view.images):,}"),
        ("parameters", f"{sum(layer.parameters for layer in found.network.layers.values()):,}"),
        ("preprocessing", found.preprocessing.name),
    )
