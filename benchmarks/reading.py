"""Reading one kernel over 600 snapshots, against loading 600 whole snapshots."""

from collections.abc import Callable

import numpy as np

from benchmarks.measure import Here, Row, Settings, in_turns, ratio
from benchmarks.runs import write_run


def measure(settings: Settings) -> list[Row]:
    """mnist_cnn's parameters, 3.3 MB a snapshot; the second convolution's kernel."""
    count = 4 if settings.tiny else 600
    run = settings.folder / "snapshots600"
    write_run(run, snapshots=count, extra={"hidden/kernel": (1568, 512 if not settings.tiny else 2)})
    sides = {name: Here(f"benchmarks.reading:{name}", {"run": str(run)}) for name in ("kernel", "whole")}
    taken = in_turns(sides, settings.rounds)
    return [ratio("one kernel over 600 snapshots / 600 whole snapshots", taken["kernel"], taken["whole"], 0.05)]


def kernel(run: str) -> Callable[[], None]:
    """One tensor of each snapshot, checked against its checksum."""
    from reportgen.store import open_run

    snapshots = open_run(run).snapshots

    def read() -> None:
        np.stack([snapshots[step].params["conv0/kernel"] for step in snapshots])

    return read


def whole(run: str) -> Callable[[], None]:
    """All tensors of each snapshot, checked; one snapshot in memory at a time."""
    from reportgen.store import open_run

    snapshots = open_run(run).snapshots

    def read() -> None:
        for step in snapshots:
            dict(snapshots[step].params)

    return read
