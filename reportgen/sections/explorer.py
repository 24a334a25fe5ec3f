"""The snapshot explorer: any two kept snapshots of a kernel, compared in the page itself."""

import numpy as np

from reportgen.analysis.quantise import pack, quantise
from reportgen.core.numbers import short_number
from reportgen.core.report import Explorer, ExplorerKernel, Section, Text
from reportgen.figures.palettes import DIVERGING, LEVELS, NOT_FINITE_COLOR
from reportgen.sections.context import PageContext
from reportgen.sections.words import listed, plural

LEAST_STEPS = 11
"""A kernel so large that fewer steps would fit is left out."""

MOST_STEPS = 101


def build(context: PageContext) -> Section | None:
    """Kernels from the smallest up, at as many evenly spaced snapshots as fit; None with fewer than two."""
    # Bytes of packed parameters that the page may carry; a third more as text.
    budget = context.limits.packed
    assert context.before is not None
    start, end = context.before.step, context.now.step
    kept = [step for step in context.run.snapshots if start <= step <= end]
    kernels = sorted((diff for diff in context.diffs if diff.before.ndim >= 2), key=lambda d: (d.before.size, d.name))
    if len(kept) < 2 or not kernels:
        return None
    few = _evenly(kept, LEAST_STEPS)
    fitting, spent = [], 0
    for diff in kernels:
        # Packed levels of weights are never a tenth of their bytes: such a kernel need not be read to be left out.
        if diff.before.size > 10 * budget:
            break
        cost = len(pack([_levels(context, diff.name, few)[0]]))
        if spent + cost > budget:
            break
        fitting.append(diff)
        spent += cost
    if not fitting:
        return None
    # Steps nearer to one another differ less, so that more fit than the few promise.
    count = min(len(kept), MOST_STEPS, int(len(few) * budget / spent))
    names = {diff.name for diff in fitting}
    ordered = [diff for diff in context.diffs if diff.name in names]
    steps = _evenly(kept, count)
    quantised = [_levels(context, diff.name, steps) for diff in ordered]
    described = [
        ExplorerKernel(diff.name, tuple(int(n) for n in diff.before.shape), scale)
        for diff, (_, scale) in zip(ordered, quantised, strict=True)
    ]
    left_out = [diff.name for diff in context.diffs if diff.before.ndim >= 2 and diff.name not in names]
    error = max(kernel.scale / 2 for kernel in described)
    finding = (
        f"{plural(len(ordered), 'kernel')} at {len(steps)} of {plural(len(context.run.snapshots), 'kept snapshot')} "
        f"can be compared here, with values off by at most {short_number(error)}."
    )
    missing = f" Not carried, for their size: {listed(left_out)}." if left_out else ""
    method = Text(
        "The page carries these kernels in one byte per weight, a scale per kernel: "
        + "; ".join(f"{kernel.name} ±{short_number(kernel.scale / 2)}" for kernel in described)
        + f". A difference of two snapshots is off by at most twice that. Snapshots are evenly spaced.{missing} The "
        "heatmaps and numbers of the other sections are computed from the parameters as they were kept.",
        "method",
    )
    explorer = Explorer(
        "explorer-kernels",
        "Left: the change between the two snapshots; white 0, red decrease, blue increase. Right: value at the earlier "
        "one against change, a dot per weight.",
        tuple(steps),
        (steps[0], steps[-1]),
        tuple(described),
        pack([levels for levels, _ in quantised]),
        tuple("#" + bytes(color).hex() for color in DIVERGING.rgb[:LEVELS]),
        NOT_FINITE_COLOR,
    )
    return Section("explorer", "Any two snapshots", finding, (explorer, method))


def _evenly(steps: list[int], count: int) -> list[int]:
    """At most `count` of the steps, evenly spaced, the first and the last among them."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(count, len(steps))).round().astype(int))
    return [steps[place] for place in places]


def _levels(context: PageContext, name: str, steps: list[int]) -> tuple[np.ndarray, float]:
    return quantise(np.stack([context.run.snapshots[step].params[name] for step in steps]))
