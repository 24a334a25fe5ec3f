"""How each example fares in the two networks, where it is not right or wrong: by its error, its share of positions."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Numbers, Section, Table, Text
from reportgen.figures.chart import chart
from reportgen.figures.histogram import histogram
from reportgen.sections.compare.answers import example_pictures
from reportgen.sections.compare.comparison import Comparison, Scored
from reportgen.sections.compare.verdict import METRICS, score
from reportgen.sections.words import plural

IMAGES = 30
ROWS = 10


def build(comparison: Comparison) -> Section | None:
    """The changes of all examples, and those that changed most; None for one class per example, and without pairs."""
    scored = comparison.scored
    if scored is None:
        return None
    result, name = scored.result, METRICS[scored.metric]
    better = result.changes * scored.better
    count = len(result.used)
    finding = (
        f"Of {plural(count, 'shared evaluation example')}, new answers {int((better > 0).sum()):,} better than base "
        f"and {int((better < 0).sum()):,} worse; {int((better == 0).sum()):,} are the same."
    )
    blocks: list[Block] = [
        chart(
            "scores-changes",
            histogram(result.changes, f"{name} of new minus that of base", "examples", zero=True),
            alt=finding,
            caption=f"The change of each of {plural(count, 'example')}, its own {name} in new minus that in base. "
            f"{'Right' if scored.better > 0 else 'Left'} of the dashed line is better.",
            wide=True,
        )
    ]
    order = np.argsort(-better, kind="stable")
    for kind, sign, chosen in (("better", 1, order), ("worse", -1, order[::-1])):
        changed = [int(i) for i in chosen if better[i] * sign > 0]
        picture = example_pictures(
            comparison,
            f"scores-{kind}",
            [int(scored.here[result.used[i]]) for i in changed],
            [" → ".join(score(scored, float(values[i])) for values in result.each) for i in changed],
            f"that new answers {kind}",
            f"the largest change first, {name} of base → that of new",
        )
        if picture is not None:
            blocks.append(picture)
    rows = [*_rows(scored, order)]
    ends = rows if len(rows) <= 2 * ROWS else rows[:ROWS] + rows[-ROWS:]
    shown = tuple((place, *(short_number(value, 4) for value in values)) for place, _, *values in ends)
    caption = (
        f"{name.capitalize()} of single examples, from what improved most to what worsened most; numbers are places "
        "in the evaluation batch of base."
    )
    blocks.append(Table("scores-table", caption, ("Example", "Base", "New", "Change"), shown, "rrrr"))
    blocks.append(Text(_METHOD, "method"))
    numbers = Numbers("scores.csv", _COLUMNS, lambda: _rows(scored, np.arange(count)))
    return Section("scores", "Example by example", finding, tuple(blocks), (numbers,))


_COLUMNS = ("index_base", "index_new", "base", "new", "change")

_METHOD = (
    "The interval of the difference is Student's t over examples, which are taken for independent, not the positions "
    "or tokens within one (ratio estimate; Cochran, Sampling Techniques, 1977). Wilcoxon's signed-rank test asks "
    "whether changes for the better are as many and as large as those for the worse. A difference is claimed where "
    "both say so: the mean may be led by a few examples, the test by many small changes. Of sequences of tokens, those "
    "are compared whose losses the runs keep."
)


def _rows(scored: Scored, order: np.ndarray) -> Iterator[tuple[Any, ...]]:
    result, (before, after) = scored.result, scored.result.each
    for i in order:
        at = result.used[i]
        places = int(scored.here[at]), int(scored.there[at])
        yield *places, float(before[i]), float(after[i]), float(after[i] - before[i])
