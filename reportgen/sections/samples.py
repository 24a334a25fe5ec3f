"""Samples of the data with their labels."""

import numpy as np

from reportgen.core.report import Figure, Section, Table
from reportgen.figures.export import picture_export
from reportgen.sections.context import PageContext
from reportgen.sections.pixels import image_mosaic
from reportgen.sections.words import plural

PER_CLASS = 10
CLASSES = 12


def build(context: PageContext) -> Section | None:
    """The first evaluation images of each class, a row per class; None for data that are no pictures."""
    evaluation, classes = context.run.batch("evaluation"), context.run.classes
    images, shades = context.evaluation_pictures
    if not len(images):
        return None
    labels = evaluation.labels[: len(images)]
    shown = [np.flatnonzero(labels == label)[:PER_CLASS] for label in range(min(len(classes), CLASSES))]
    chosen = np.concatenate(shown)[: context.limits.pictures] if len(labels) else ()
    if not len(chosen):
        return None
    # Rows of one class only line up when each has as many images.
    columns = PER_CLASS if all(len(of_class) == PER_CLASS for of_class in shown) else None
    picture = image_mosaic(
        images,
        chosen,
        shades,
        labels=[classes[label] for label in labels[chosen]],
        columns=columns,
    )
    assert picture is not None
    low, high = shades
    fed = "as fed to the network" if evaluation.pictures is None else "before preprocessing"
    counts = np.bincount(evaluation.labels, minlength=len(classes))
    height, width = images.shape[1:3]
    figure = Figure(
        "samples-images",
        picture,
        f"{plural(len(chosen), 'image')} with their labels.",
        f"The first {PER_CLASS} evaluation images of each class"
        f"{'' if len(classes) <= CLASSES else f' (of the first {CLASSES} classes)'}, {fed}: "
        f"black is {low:g}, white is {high:g}. The label stands on each.",
        export=picture_export(picture),
        wide=True,
    )
    table = Table(
        "samples-counts",
        "Evaluation images per class.",
        ("Class", "Images"),
        tuple((name, int(n)) for name, n in zip(classes, counts, strict=True)),
        "lr",
    )
    least, most = int(counts.min()), int(counts.max())
    spread = f"{least:,} in each" if least == most else f"{least:,} to {most:,} in each"
    return Section(
        anchor="samples",
        title="Samples of the data",
        finding=f"The evaluation set has {plural(int(counts.sum()), 'image')} of {height}×{width} pixels in "
        f"{plural(len(classes), 'class')}, {spread}."
        + (f" The run keeps the pictures of the first {len(images):,}." if len(images) < counts.sum() else ""),
        blocks=(figure, table),
    )
