"""The evaluation examples that a network does worst on: as pictures where they are, else as a table of their values.

blocks.append(worst(context, "regression", order, texts, "Error", "The largest errors first"))
"""

from collections.abc import Sequence

import numpy as np

from reportgen.core.examples import leaves
from reportgen.core.numbers import short_number
from reportgen.core.report import Block, Figure, Table
from reportgen.figures.export import picture_export
from reportgen.sections.context import PageContext
from reportgen.sections.pixels import image_mosaic
from reportgen.sections.words import noun, plural

IMAGES = 30
ROWS = 10
VALUES = 6
"""Input values of an example that a table shows."""


def worst(
    context: PageContext, anchor: str, order: Sequence[int], texts: Sequence[str], heading: str, caption: str
) -> list[Block]:
    """The first examples of `order` whose inputs the run keeps; `texts` says something of each example of `order`.

    `heading` is the column of the texts, `caption` is a sentence without its full stop on how they are ordered.
    """
    images, shades = context.evaluation_pictures
    one = noun(context.run)
    if len(images):
        kept = [(i, text) for i, text in zip(order, texts, strict=True) if i < len(images)]
        kept = kept[: IMAGES if context.limits.pictures is None else context.limits.pictures]
        picture = image_mosaic(
            images,
            [i for i, _ in kept],
            shades,
            labels=[text for _, text in kept],
            values=[f"{one} {i}: {text}" for i, text in kept],
            columns=min(len(kept), 10),
            gap=2,
        )
        if picture is None:
            return []
        name, alt = f"{anchor}-worst", f"{plural(len(kept), f'evaluation {one}')}, the worst first."
        text = f"{caption}; {plural(len(kept), f'evaluation {one}')}."
        return [Figure(name, picture, alt, text, export=picture_export(picture), wide=True)]
    arrays = leaves(context.run.batch("evaluation").inputs)
    rows = tuple(
        (str(i), text, *(_values(array, i) for array in arrays.values()))
        for i, text in list(zip(order, texts, strict=True))[:ROWS]
    )
    columns = (one.capitalize(), heading, *(name or "Input" for name in arrays))
    return [Table(f"{anchor}-worst", f"{caption}.", columns, rows, "ll" + "l" * len(arrays))] if rows else []


def _values(array: np.ndarray, example: int) -> str | None:
    if example >= len(array):
        return None
    values = np.asarray(array[example]).reshape(-1)
    shown = ", ".join(short_number(float(value)) for value in values[:VALUES])
    return shown + (f", … ({len(values):,} values)" if len(values) > VALUES else "")
