"""Writes a run that is in memory, such as an inspection's, into a run directory.

save_run(run, "runs/face")
"""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from reportgen.core.network import Network
from reportgen.core.run import Run
from reportgen.errors import expect
from reportgen.store.elsewhere import target
from reportgen.store.landscape import write_landscape
from reportgen.store.writer import RunWriter


def save_run(run: Run, path: str | Path, overwrite: bool = False) -> str | Path:
    """Write the run into the directory or to the URL `path`, and return it: the directory's as a `Path`.

    Raises RunError where there is a run already (unless `overwrite`) or anything else, or it can't be written; warns
    where not all of it arrives at a URL.
    """
    expect("run", run, Run, "a Run, as open_run returns it")
    seconds = run.provenance.get("seconds")
    spooled, folder = target(path)
    make = partial(RunWriter, folder, run_header(run), overwrite=overwrite)
    if spooled is not None:
        spooled.prepare(overwrite=overwrite, resume=False)
    writer = make() if spooled is None else spooled.opened(make)
    try:
        writer.batches(run.batches)
        for step, snapshot in run.snapshots.items():
            writer.snapshot(step, snapshot.epoch, snapshot.variables)
        for observation in run.observations.values():
            writer.observation(observation)
        writer.step_rows(*run.metrics.steps)
        for row in run.metrics.epochs:
            writer.epoch_row(row)
        if run.landscape is not None:
            write_landscape(folder, run.landscape)
    except BaseException:
        writer.close("failed", seconds)
        raise
    writer.close(run.status, seconds)
    if spooled is None:
        return folder
    spooled.wait()
    return spooled.place.url


def run_header(run: Run) -> dict[str, Any]:
    """The content of run.json except format and status."""
    return {
        "classes": list(run.classes),
        **network_header(run.network, run.embed_layer),
        "config": dict(run.config),
        "provenance": {name: value for name, value in run.provenance.items() if name != "seconds"},
        "kind": run.kind,
        "notes": list(run.notes),
        **({"task": asdict(run.task)} if run.task is not None else {}),
        "vocabulary": list(run.vocabulary),
    }


def network_header(network: Network, embed_layer: str | None) -> dict[str, Any]:
    """What run.json says of the network."""
    return {
        "layers": [asdict(layer) for layer in network.layers.values()],
        "embed_layer": embed_layer,
        "uncaptured": dict(network.uncaptured),
    }
