"""Runs of any task in memory, without jax: outcomes of which a test knows what the page must say."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reportgen.analysis.scores import scores
from reportgen.core.network import INPUT, Layer, Network, Role
from reportgen.core.outcome import Kind, Outcome, Task
from reportgen.core.report import Document, Section
from reportgen.core.run import Batch, MetricRow, Metrics, Observation, Run, Snapshot
from reportgen.sections import PAGES, Moment, Options, PageContext
from reportgen.sections.assemble import Pages

HEAD = Layer("head", "Dense", Role.DENSE, (4,), ("channel",), inputs=(INPUT,), params={"head/kernel": (3, 4)})


def made(
    kind: Kind,
    outcome: Outcome | None,
    evaluation: Batch,
    probe: Batch | None = None,
    *,
    classes: Sequence[str] = (),
    vocabulary: Sequence[str] = (),
    first: Outcome | None = None,
    output: str = "",
    reason: str = "",
    layers: Sequence[Layer] = (HEAD,),
    maps: Mapping[str, np.ndarray] | None = None,
    reported: Mapping[str, float] | None = None,
) -> PageContext:
    """The context of a run of two epochs whose last outcome is `outcome`, and `first` that before training."""
    probe = probe or Batch(2, np.zeros((2, 3), np.float32))
    maps = maps or {"head": np.arange(4.0 * probe.size, dtype=np.float32).reshape(probe.size, 4)}
    targets = None if evaluation.targets is None else np.asarray(evaluation.targets)
    rows, observations = [], {}
    for step, one in ((0, first), (5, None), (10, outcome)):
        known = {} if one is None or (targets is None and kind in NEEDING) else scores(one, targets)
        rows.append(MetricRow(step, step // 5, known, {"train_loss": 1.0 / (step + 1), **(reported or {})}))
        if step != 5:
            observations[step] = Observation(step, step // 5, maps, {}, outcome=one)
    weights = {step: {"head/kernel": np.full((3, 4), 1.0 + step, np.float32)} for step in (0, 5, 10)}
    run = Run(
        path=Path("run"),
        classes=tuple(classes),
        network=Network("Net", {layer.path: layer for layer in layers}),
        config={"model": "Net"},
        provenance={},
        metrics=Metrics(tuple(rows[1:]), tuple(rows)),
        snapshots={step: Snapshot(step, step // 5, {"params": params}) for step, params in weights.items()},
        observations=observations,
        batches={"probe": probe, "evaluation": evaluation},
        task=Task(kind, output, reason),
        vocabulary=tuple(vocabulary),
    )
    return PageContext(Moment(run, 10), Moment(run, 0), Options(embedding="pca"))


NEEDING = (Kind.REGRESSION, Kind.MULTILABEL)
"""Kinds whose scores need targets."""


def document(context: PageContext) -> Document:
    """The whole page of a context."""
    return Pages(context, PAGES["training"]).whole


def rows_of(section: Section, filename: str) -> list[dict[str, object]]:
    """A CSV file of the section, a dict per row."""
    numbers = next(numbers for numbers in section.numbers if numbers.filename == filename)
    return [dict(zip(numbers.columns, row, strict=True)) for row in numbers.rows()]
