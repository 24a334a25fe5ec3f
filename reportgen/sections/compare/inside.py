"""Inside: how alike each layer is in the two networks, its channels matched, and the first layer that differs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.analysis.similarity import MATCHED, Similarity
from reportgen.core.report import Block, Fold, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.intervals import intervals
from reportgen.sections.compare.comparison import Comparison
from reportgen.sections.words import likeness, listed, plural

ROWS = 15
DRAWN = 60


def build(comparison: Comparison) -> Section | None:
    """Similarity per layer; None where no layer can be compared."""
    layers = comparison.layers
    if not layers:
        return None
    paths = list(layers)
    drawn = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(DRAWN, len(paths))).round().astype(int))]
    found = [layers[path] for path in drawn]
    blocks: list[Block] = [
        chart(
            "inside-cka",
            intervals(
                drawn,
                np.array([np.nan if x.cka is None else x.cka for x in found]),
                np.array([np.nan if x.interval is None else x.interval[0] for x in found]),
                np.array([np.nan if x.interval is None else x.interval[1] for x in found]),
                label="similarity of the representations (debiased linear CKA)",
                chance=np.array([np.nan if x.null is None else x.null for x in found]),
                within=(min(-0.05, *(x.interval[0] for x in found if x.interval is not None), 0.0), 1.02),
            ),
            alt=_finding(comparison),
            caption="1: the same representation up to rotation and scale; 0: unrelated. Line: "
            "95\N{NO-BREAK SPACE}% interval. Grey: what shuffled examples give (the largest of 99)"
            + (f". {len(drawn)} of {len(paths)} layers, evenly chosen." if len(drawn) < len(paths) else "."),
            wide=True,
        )
    ]
    rows = [_row(comparison, path, layers[path]) for path in paths]
    columns: tuple[str, ...] = (
        "Layer",
        "Channels",
        "CKA",
        "from",
        "to",
        "Shuffled",
        "Procrustes",
        "Channels matched",
        "Mean r",
        "Shuffled r",
    )
    if comparison.between_seeds:
        columns += ("CKA of base's seeds",)
    align = "lrrrrrrrrrr"[: len(columns)]
    examples = max(layer.examples for layer in layers.values())
    caption = (
        f"Each layer over the same {plural(examples, 'evaluation example')}, each channel's mean over positions. "
        "Procrustes: share of variance that the best rotation explains on examples that it was not fitted on, where "
        "there are twice as many as channels. Channels matched: pairs that "
        f"correlate by at least {MATCHED}, of the best assignment."
    )
    least = sorted(range(len(rows)), key=lambda i: (_cka(layers[paths[i]]), i))[:ROWS]
    shown = rows if len(rows) <= ROWS else [rows[i] for i in sorted(least)]
    blocks.append(
        Table(
            "inside-layers",
            caption if len(rows) <= ROWS else f"The {ROWS} layers that are least alike. {caption}",
            columns,
            tuple(shown),
            align,
        )
    )
    if len(rows) > ROWS:
        blocks.append(Fold(f"All {len(rows)} layers", (Table("inside-all", caption, columns, tuple(rows), align),)))
    blocks.append(Text(_METHOD, "method"))
    numbers = (
        Numbers("layers.csv", _LAYER_COLUMNS, lambda: _layer_rows(comparison)),
        Numbers("channels.csv", ("layer", "base", "new", "correlation"), lambda: _channel_rows(comparison)),
    )
    return Section("inside", "Inside, layer by layer", _finding(comparison), tuple(blocks), numbers)


_METHOD = (
    "Linear CKA by the unbiased estimator of HSIC, which does not grow with the number of channels; its interval is a "
    "jackknife over ten blocks of examples. It compares what distances between examples the layer keeps, not single "
    "features: networks that compute the same in another basis have 1. A few examples with large values can dominate "
    "it. Channels are matched one to one by the assignment with the largest sum of correlations. Of convolutions, "
    "only the "
    "mean over positions is compared: what differs in place alone is not seen. Networks trained from other seeds "
    "differ "
    "here without being better or worse."
)


def _finding(comparison: Comparison) -> str:
    layers = comparison.layers
    different = [path for path, layer in layers.items() if not layer.same]
    reordered = [path for path, layer in layers.items() if layer.same == "order"]
    if not different:
        if not reordered:
            return (
                f"All {plural(len(layers), 'compared layer')} give the same values: inside, the networks are the same."
            )
        return (
            f"The same network with its channels in another order: {plural(len(reordered), 'layer')} of {len(layers)} "
            f"({listed(reordered, 3)}) give the same values once their channels are matched."
        )
    first = different[0]
    before = list(layers).index(first)
    known = {path: layer.cka for path, layer in layers.items() if layer.cka is not None}
    text = f"The first layer that differs is {first}" + (f", after {plural(before, 'equal layer')}" if before else "")
    if known:
        least = min(known, key=lambda path: known[path])
        text += f"; least alike is {least} (CKA {likeness(known[least], 2)})"
        unrelated = [path for path in known if not layers[path].beyond_chance]
        if unrelated:
            text += f"; {listed(unrelated, 3)} no more than shuffled examples"
    return f"{text}."


def _cka(layer: Similarity) -> float:
    return 2.0 if layer.cka is None else layer.cka


def _row(comparison: Comparison, path: str, layer: Similarity) -> tuple[Any, ...]:
    low, high = layer.interval or (None, None)
    before, after = layer.channels
    pairs = len(layer.matches.correlation)
    mean = float(layer.matches.correlation.mean()) if pairs else None
    row = (
        path,
        str(before) if before == after else f"{before} → {after}",
        *(_rounded(value) for value in (layer.cka, low, high, layer.null)),
        _rounded(layer.procrustes) or "not defined",
        f"{layer.matches.alike} of {pairs}",
        _rounded(mean),
        _rounded(layer.matches.null),
    )
    return (*row, _rounded(comparison.between_seeds.get(path))) if comparison.between_seeds else row


def _rounded(value: float | None) -> str | None:
    return None if value is None else likeness(value)


_LAYER_COLUMNS = (
    *("layer", "examples", "channels_base", "channels_new", "same", "cka", "low", "high", "shuffled", "procrustes"),
    *("matched", "mean_correlation", "shuffled_correlation", "cka_base_seeds"),
)


def _layer_rows(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    for path, x in comparison.layers.items():
        mean = float(x.matches.correlation.mean()) if len(x.matches.correlation) else None
        matched = (x.matches.alike, mean, x.matches.null, comparison.between_seeds.get(path))
        yield (
            path,
            x.examples,
            *x.channels,
            x.same,
            x.cka,
            *(x.interval or (None, None)),
            x.null,
            x.procrustes,
            *matched,
        )


def _channel_rows(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    for path, layer in comparison.layers.items():
        for before, after, r in zip(layer.matches.before, layer.matches.after, layer.matches.correlation, strict=True):
            yield path, int(before), int(after), float(r)
