"""A run recorded in format 1 is read and built like any other."""

from pathlib import Path

import numpy as np

from reportgen import build
from reportgen.core.network import Role
from reportgen.store import open_run

RUN = Path(__file__).parent / "format_1" / "run"
"""Recorded by version 0.1: a convolution with batch normalisation, two dense layers, two epochs of two batches."""


def test_a_layer_of_format_1_has_its_role_axes_edges_and_shapes_of_parameters():
    run = open_run(RUN)
    layers = run.network.layers
    assert run.problems == () and run.network.name == "tiny"
    assert [layer.role for layer in layers.values()] == [
        *(Role.CONV, Role.NORM, Role.ACTIVATION, Role.POOL, Role.RESHAPE, Role.DENSE, Role.ACTIVATION),
        *(Role.DROPOUT, Role.DENSE),
    ]
    assert layers["conv1"].params == {"conv1/bias": (4,), "conv1/kernel": (3, 3, 1, 4)}
    assert layers["conv1"].parameters == 40 and layers["conv1"].has_maps
    assert layers["bn1"].inputs == ("conv1",) and layers["Dropout_0"].alias_of == "hidden/relu"
    assert run.network.activation_of(layers["conv1"]) is layers["bn1/relu"]


def test_a_run_of_format_1_is_built_with_all_that_it_holds():
    run = open_run(RUN, verify=True)
    assert list(run.snapshots) == [0, 1, 2, 3, 4] and list(run.observations) == [0, 2, 4]
    assert np.isfinite(run.observations[4].maps["conv1"]).all()
    report = build(RUN, embedding="pca").document
    anchors = [section.anchor for section in report.sections]
    expected = ["embedding", "curves", "overlay", "mistakes", "examples", "graph"]
    expected += ["parameters", "explorer", "change", "activity"]
    rest = ["images", "strongest", "maps", "health", "network", "overview", "samples"]
    assert anchors == [*expected, *rest]
    assert [warning.split(" (")[0] for warning in report.warnings] == ["3 of 8 channels of hidden/relu"]


def test_the_accuracy_of_format_1_counts_as_measured():
    metrics = open_run(RUN).metrics
    assert [dict(row.measured) for row in metrics.epochs] == [{"val_accuracy": value} for value in (0.05, 0.15, 0.2)]
    assert all("val_loss" in row.reported for row in metrics.epochs)
    assert all(not row.measured and "train_loss" in row.reported for row in metrics.steps)


def test_batch_statistics_of_format_1_are_those_kept_with_the_activations():
    snapshots = open_run(RUN).snapshots
    assert [sorted(snapshots[step].variables) for step in (0, 1, 2)] == [
        ["batch_stats", "params"],
        ["params"],
        ["batch_stats", "params"],
    ]
    assert sorted(snapshots[2].variables["batch_stats"]) == ["bn1/mean", "bn1/var"]
    assert "bn1/scale" in snapshots[2].params and "conv1/kernel" in snapshots[1].params


def test_the_batches_and_outcome_of_format_1():
    run = open_run(RUN)
    evaluation, outcome = run.batch("evaluation"), run.observations[4].outcome
    assert evaluation.size == len(evaluation.images) == len(evaluation.labels) == len(outcome.predictions) == 40
    assert np.mean(outcome.predictions == evaluation.labels) == run.epochs[-1]["val_accuracy"] == 0.2
    assert set(run.observations[4].vectors) == {"embedding", "evaluation"}
    assert run.observations[4].ranges["conv1"].shape == (2, 4)
