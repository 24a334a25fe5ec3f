"""Samples of the data with their labels: pictures, the text of sequences, or values."""

import numpy as np

from reportgen.core.numbers import short_number
from reportgen.core.outcome import Kind
from reportgen.core.report import Block, Figure, FigureRow, Section, Table, folded
from reportgen.figures.chart import chart
from reportgen.figures.export import picture_export
from reportgen.figures.matrices import heatmap
from reportgen.sections.context import PageContext
from reportgen.sections.pixels import image_mosaic
from reportgen.sections.scale import layer_range
from reportgen.sections.tokens import pieces_of, token_inputs, visible
from reportgen.sections.words import noun, plural

PER_CLASS = 10
CLASSES = 12
TEXTS, CHARACTERS = 3, 160
"""Sequences of each class whose texts are shown, and how much of each."""

MOST_VALUES = 512
"""Values of an example up to which they are drawn one by one."""

CHANNELS = 4
"""Channels of a series that are drawn."""


def build(context: PageContext) -> Section | None:
    """The first evaluation examples of each class, a row per class of pictures; None for data that can't be shown."""
    labels, classes = context.run.batch("evaluation").labels, context.run.classes
    blocks = _pictures(context) or _texts(context) or _values(context)
    if not blocks:
        return None
    if not len(labels):
        one = plural(context.run.batch("evaluation").size, noun(context.run))
        return Section("samples", "Samples of the data", f"The evaluation set has {one}.", tuple(blocks))
    counts = np.bincount(labels, minlength=len(classes))
    one = noun(context.run)
    table = Table(
        "samples-counts",
        f"Evaluation {one}s per class.{'' if counts.all() else ' Classes without any are left out.'}",
        ("Class", f"{one.capitalize()}s"),
        tuple((name, int(n)) for name, n in zip(classes, counts, strict=True) if n),
        "lr",
    )
    counted = folded(table, f"{one.capitalize()}s per class")
    return Section("samples", "Samples of the data", _finding(context, counts), (*blocks, counted))


def _finding(context: PageContext, counts: np.ndarray) -> str:
    images, _ = context.evaluation_pictures
    least, most = int(counts.min()), int(counts.max())
    spread = f"{least:,} in each" if least == most else f"{least:,} to {most:,} in each"
    size = f" of {images.shape[1]}×{images.shape[2]} pixels" if len(images) else ""
    kept = f" The run keeps the pictures of the first {len(images):,}." if 0 < len(images) < counts.sum() else ""
    return (
        f"The evaluation set has {plural(int(counts.sum()), noun(context.run))}{size} in "
        f"{plural(len(context.run.classes), 'class')}, {spread}.{kept}"
    )


def _chosen(context: PageContext, count: int, each: int) -> list[np.ndarray]:
    """Of the first `count` examples, `each` at most of every class; without labels, the first as they stand."""
    labels, classes = context.run.batch("evaluation").labels[:count], context.run.classes
    if not len(labels):
        return [np.arange(min(count, each))]
    return [np.flatnonzero(labels == label)[:each] for label in range(min(len(classes), CLASSES))]


def _first(context: PageContext, each: int) -> str:
    """Which examples these are, to begin a caption."""
    classes, one = len(context.run.classes), f"evaluation {noun(context.run)}s"
    if not len(context.run.batch("evaluation").labels):
        return f"The first {one}"
    return f"The first {each} {one} of each class" + (
        "" if classes <= CLASSES else f" (of the first {CLASSES} classes)"
    )


def _pictures(context: PageContext) -> list[Block]:
    evaluation, classes = context.run.batch("evaluation"), context.run.classes
    images, shades = context.evaluation_pictures
    if not len(images) or not len(evaluation.labels):
        return []
    labels, shown = evaluation.labels, _chosen(context, len(images), PER_CLASS)
    chosen = np.concatenate(shown)[: context.limits.pictures]
    if not len(chosen):
        return []
    # Rows of one class only line up when each has as many images.
    columns = PER_CLASS if all(len(of_class) == PER_CLASS for of_class in shown) else None
    names = [classes[label] for label in labels[chosen]]
    picture = image_mosaic(images, chosen, shades, labels=names, columns=columns)
    assert picture is not None
    low, high = shades
    fed = "as fed to the network" if evaluation.pictures is None else "before preprocessing"
    figure = Figure(
        "samples-images",
        picture,
        f"{plural(len(chosen), 'image')} with their labels.",
        f"{_first(context, PER_CLASS)}, {fed}: black is {low:g}, white is {high:g}. The label stands on each.",
        export=picture_export(picture),
        wide=True,
    )
    return [figure]


def _texts(context: PageContext) -> list[Block]:
    """Sequences of tokens by class; those of a language model stand in its own section."""
    run, batch = context.run, context.run.batch("evaluation")
    tokens = token_inputs(batch)
    if tokens is None or not len(batch.labels) or (run.task is not None and run.task.kind is Kind.TOKENS):
        return []
    rows = []
    for index in np.concatenate(_chosen(context, len(tokens), TEXTS)).tolist():
        text = visible("".join(pieces_of(run, tokens[index])))
        short = text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 1]}…"
        rows.append((run.classes[batch.labels[index]], index, short))
    caption = f"{_first(context, TEXTS)}, as the network takes them."
    return [Table("samples-texts", caption, ("Class", "Sequence", "Text"), tuple(rows), "lrl")]


def _values(context: PageContext) -> list[Block]:
    """Series, a chart per channel, or a few values: a row per example, a column per value."""
    batch = context.run.batch("evaluation")
    inputs = batch.images
    floats = len(inputs) > 0 and np.issubdtype(np.asarray(inputs[:1]).dtype, np.floating)
    if (
        not floats
        or len(inputs.shape) not in (2, 3)
        or inputs.shape[1] > MOST_VALUES
        or len(context.evaluation_pictures[0])
    ):
        return []
    chosen = np.concatenate(_chosen(context, len(inputs), PER_CLASS))
    if not len(chosen):
        return []
    values = np.asarray(inputs[chosen]).reshape(len(chosen), inputs.shape[1], -1)
    low, high, palette = layer_range(values)
    names = (
        [context.run.classes[label] for label in batch.labels[chosen]] if len(batch.labels) else list(map(str, chosen))
    )
    series = values.shape[2] > 1 or any("t" in layer.axes for layer in context.network.distinct)
    across, figures = "time" if series else "value", []
    for channel in range(min(values.shape[2], CHANNELS)):
        of = f", channel {channel} of {values.shape[2]}" if values.shape[2] > 1 else ""
        figures.append(
            chart(
                f"samples-values-{channel}",
                heatmap(
                    values[:, :, channel],
                    low,
                    high if high > low else low + 1,
                    palette,
                    x_label=across,
                    y_label="class" if len(batch.labels) else noun(context.run),
                    y_names=names,
                ),
                alt=f"{plural(len(chosen), noun(context.run))}{of}, a row each.",
                caption=f"{_first(context, PER_CLASS)}{of}, a row each, as fed to the network: "
                f"{short_number(low)} to {short_number(high)}, one range for all.",
                wide=True,
            )
        )
    return [FigureRow(tuple(figures))] if len(figures) > 1 else list(figures)
