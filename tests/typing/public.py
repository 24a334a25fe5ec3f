"""A user's program: what a type checker sees of the public names. It is checked (test_public.py), never run.

An ignored error must be one: mypy's strict mode reports comments that ignore nothing.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np

import reportgen
from reportgen import Figure, PageContext, Recorder, Report, ReportgenError, Run, Section, Table, Text
from reportgen.core.network import Layer, Network
from reportgen.core.run import Batch, Observation, Snapshot
from reportgen.data import Dataset
from reportgen.sections import SectionBuilder
from reportgen.training.loop import Summary


def record(path: Path, model: Any, variables: Any, images: np.ndarray, labels: np.ndarray) -> float | None:
    with Recorder(path, model, variables, probe=images[:3], evaluation=(images, labels), layers=("conv*",)) as recorder:
        assert_type(recorder, Recorder)
        recorder.step(variables, loss=0.5, grad_norm=1.0)
        recorder.epoch(variables, val_loss=0.4)
    return recorder.accuracy


def read(path: str) -> list[str]:
    run = reportgen.open_run(path)
    assert_type(run, Run)
    assert_type(run.network, Network)
    assert_type(run.network.layers["conv1"], Layer)
    assert_type(run.network.layers["conv1"].shape, tuple[int, ...])
    assert_type(run.snapshots[40], Snapshot)
    assert_type(run.snapshots[40].params["conv1/kernel"], np.ndarray)
    assert_type(run.observations[40], Observation)
    assert_type(run.observations[40].maps["conv1"], np.ndarray)
    assert_type(run.batch("evaluation"), Batch)
    assert_type(run.batch("evaluation").labels, np.ndarray)
    run.status = "failed"  # type: ignore[misc]
    return list(run.network.layers)


def show(path: str) -> Path:
    report = reportgen.build(path, layers="conv*", channels=[3], normalize=(0.0, 1.0), embedding="pca")
    assert_type(report, Report)
    assert_type(report.run, Run | None)
    assert_type(report.write_numbers("numbers"), list[Path])
    assert_type(report.write_figures("figures", "pdf"), list[Path])
    report.save("report.pdf", "pdf")  # type: ignore[arg-type]
    reportgen.build(path, embedding="tsne")  # type: ignore[arg-type]
    return report.with_section("Notes", "A paragraph.", finding="All is well.").save("report.html")


def look(images: list[Path]) -> Report:
    try:
        return reportgen.inspect("squeezenet", images, weights="squeezenet.npz", preprocess="caffe", size=(227, 227))
    except ReportgenError as error:
        raise SystemExit(str(error)) from error


def learn() -> Summary:
    data = reportgen.load_dataset("digits")
    assert_type(data, Dataset)
    assert_type(data.train_images, np.ndarray)
    return reportgen.train("run", data, object(), epochs=1)


def section(context: PageContext) -> Section | None:
    assert_type(context.run, Run)
    assert_type(context.network, Network)
    rows = tuple((layer.path, layer.channels) for layer in context.network.distinct)
    table = Table("widths", "Channels of every layer", ("layer", "channels"), rows)
    return Section("widths", "Widths", f"{len(rows)} layers", (Text("All layers."), table)) if rows else None


builder: SectionBuilder = section
figure: type[Figure] = reportgen.Figure
reportgen.nothing  # type: ignore[attr-defined]  # noqa: B018
