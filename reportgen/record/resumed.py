"""Go on with a run: where its epochs stand at a step, and whether it is of the same network and data.

epoch, began = standing(path, step, shapes_of(variables["params"]), batches, classes, overwrite)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reportgen.core.examples import leaves
from reportgen.core.run import Batch
from reportgen.errors import OptionError, RunError
from reportgen.record.trees import Shapes, differing
from reportgen.store import open_run, snapshot_at

COMPARED = 16
"""Inputs of a batch that are compared with those of the run."""


def standing(
    path: Path, step: int, shapes: Shapes, batches: Mapping[str, Batch], classes: Sequence[str], overwrite: bool
) -> tuple[int, int]:
    """How many epochs are complete at `step` of the run in `path`, and the step after which the next one begins.

    Raises OptionError where it is to be replaced, RunError where there is no such run or step, or it is of another
    network or of other data.
    """
    if overwrite:
        raise OptionError(
            "a run is either replaced (overwrite) or gone on with (resume_at); give one of the two", code="O103"
        )
    run = open_run(path)
    if step not in run.snapshots:
        near = sorted(sorted(run.snapshots, key=lambda recorded: abs(recorded - step))[:5])
        listed = ", ".join(map(str, near))
        raise RunError(
            f"{path} has no snapshot of step {step} to go on from; the nearest are of steps {listed}", code="R107"
        )
    if difference := differing(shapes, snapshot_at(path, step)[1]):
        raise RunError(f"{path} is the run of another network: {difference}, as it is in the run", code="R107")
    if tuple(classes) != run.classes:
        raise RunError(
            f"{path} is a run of the classes {', '.join(run.classes[:12])}, not {', '.join(classes[:12])}", code="R107"
        )
    for name, batch in batches.items():
        if name in run.batches and not _same(batch, run.batches[name]):
            raise RunError(
                f"{path} is a run of other data: its {name} examples differ from those given; "
                "go on with the same, or record into another directory",
                code="R107",
            )
    ends = [(row.step, row.epoch) for row in run.metrics.epochs if row.step <= step]
    ends += [(at, run.observations[at].epoch) for at in run.observations if at <= step]
    began, epoch = max(ends, default=(0, 0))
    return epoch, began


def _same(batch: Batch, recorded: Batch) -> bool:
    """Whether a batch is the recorded one, as far as both have inputs and labels."""
    labelled = len(batch.labels) and len(recorded.labels)
    if batch.size != recorded.size or (labelled and not np.array_equal(batch.labels, recorded.labels)):
        return False
    given, known = leaves(batch.inputs), leaves(recorded.inputs)
    both = given.keys() & known.keys()
    return all(np.array_equal(given[part][:COMPARED], known[part][:COMPARED], equal_nan=True) for part in both)
