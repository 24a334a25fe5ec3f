"""The snapshot explorer: any two kept snapshots of a kernel, compared in the page itself."""

import numpy as np

from reportgen.analysis.diffs import ParamDiff
from reportgen.analysis.quantise import exact, quantise
from reportgen.core.network import is_kernel
from reportgen.core.numbers import short_number
from reportgen.core.report import Section, Text
from reportgen.core.scripted import Explorer, ExplorerKernel, pack
from reportgen.figures.palettes import DIVERGING, LEVELS, NOT_FINITE_COLOR
from reportgen.figures.scatter import DOTS_UP_TO
from reportgen.sections.context import PageContext
from reportgen.sections.words import listed, plural

LEAST_STEPS = 5
"""A kernel so large that fewer steps would fit is left out."""

MOST_STEPS = 101
EXACT = 10_000
"""Weights below which a kernel is carried exactly; larger ones in 16 bits."""


def build(context: PageContext) -> Section | None:
    """Kernels from the smallest up, at as many evenly spaced snapshots as fit; None with fewer than two."""
    # Bytes of packed parameters that the page may carry; a third more as text.
    budget = context.limits.packed
    assert context.before is not None
    start, end = context.before.step, context.now.step
    kept = [step for step in context.run.snapshots if start <= step <= end]
    kernels = sorted(
        (diff for diff in context.diffs if is_kernel(diff.name, diff.shape)),
        key=lambda d: (d.size, d.name),
    )
    if len(kept) < 2 or not kernels:
        return None
    few = _evenly(kept, LEAST_STEPS)
    fitting, spent = [], 0
    for diff in kernels:
        # Packed, one step of weights is never a fifth of two bytes each: such a kernel need not be read to be left out.
        if diff.size > 3 * budget:
            break
        cost = len(pack([_carried(context, diff, few)[0]]))
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
    carried = [_carried(context, diff, steps) for diff in ordered]
    described = [
        ExplorerKernel(diff.name, tuple(map(int, diff.shape)), scale, {} if scale is None else _known(diff))
        for diff, (_, scale) in zip(ordered, carried, strict=True)
    ]
    left_out = [diff.name for diff in context.diffs if is_kernel(diff.name, diff.shape) and diff.name not in names]
    rounded = {kernel.name: kernel.scale for kernel in described if kernel.scale is not None}
    among, recorded = plural(len(steps), "snapshot"), len(context.run.snapshots)
    among += f" (of {recorded:,})" if len(steps) < recorded else ""
    finding = f"Any two of {among} can be compared here, in {listed([kernel.name for kernel in described], most=3)}."
    binned = any(diff.size > DOTS_UP_TO for diff in ordered)
    missing = f" Not carried, for their size: {listed(left_out, most=12)}." if left_out else ""
    errors = "; ".join(f"{name} ±{short_number(scale / 2)}" for name, scale in rounded.items())
    larger = (
        f", larger ones in 16 bits per weight: {errors}; a change is off by at most twice that. The numbers of the two "
        "snapshots shown first are exact."
    )
    method = Text(
        f"Kernels below {EXACT:,} weights are carried as they were recorded{larger if errors else '.'} Snapshots are "
        f"evenly spaced.{missing}",
        "method",
    )
    many = f"; of more than {DOTS_UP_TO:,} weights, a cell is the darker the more it holds" if binned else ""
    explorer = Explorer(
        "explorer-kernels",
        "Tiles: the change between the two snapshots; white 0, red decrease, blue increase. Dots: value at the earlier "
        f"one against change, a dot per weight{many}.",
        tuple(steps),
        (steps[0], steps[-1]),
        tuple(described),
        pack([values for values, _ in carried]),
        tuple("#" + bytes(color).hex() for color in DIVERGING.rgb[:LEVELS]),
        NOT_FINITE_COLOR,
    )
    return Section("explorer", "Any two snapshots", finding, (explorer, method))


def _evenly(steps: list[int], count: int) -> list[int]:
    """At most `count` of the steps, evenly spaced, the first and the last among them."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(count, len(steps))).round().astype(int))
    return [steps[place] for place in places]


def _carried(context: PageContext, diff: ParamDiff, steps: list[int]) -> tuple[np.ndarray, float | None]:
    """The kernel at the steps as the page has it, and the value of a level where it is rounded."""
    values = np.stack([context.run.snapshots[step].params[diff.name] for step in steps])
    single = exact(values) if diff.size < EXACT else None
    return quantise(values) if single is None else (single, None)


def _known(diff: ParamDiff) -> dict[str, float | None]:
    counts = {"increased": diff.increased, "decreased": diff.decreased, "away": diff.away, "towards": diff.toward}
    return {**counts, "meanAbs": diff.mean_abs, "correlation": diff.correlation}
