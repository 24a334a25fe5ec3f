"""A run recorded in format 2, a file for each snapshot and sums for every label, is read and built like any other."""

from pathlib import Path

import numpy as np

from reportgen import build
from reportgen.store import open_run

RUN = Path(__file__).parent / "format_2" / "run"
"""A convolution with batch normalisation and two dense layers, two epochs of two updates; 3 of 4 classes occur."""


def test_a_run_of_format_2_is_read():
    run = open_run(RUN, verify=True)
    assert run.problems == () and run.status == "finished"
    assert list(run.snapshots) == [0, 1, 2, 3, 4] and list(run.observations) == [0, 2, 4]
    assert [sorted(run.snapshots[step].variables) for step in (1, 2)] == [["params"], ["batch_stats", "params"]]
    for name, value in run.snapshots[1].params.items():
        np.testing.assert_allclose(value, run.snapshots[0].params[name] * np.float32(0.99) + np.float32(0.001), 1e-6)


def test_its_sums_are_of_every_label():
    outcome = open_run(RUN).observations[4].outcome
    assert outcome.summed.tolist() == [0, 1, 2, 3] and len(outcome.label_sums["conv"]) == 4


def test_it_is_built():
    document = build(RUN, embedding="pca").document
    assert {"parameters", "explorer", "activity", "curves"} <= {section.anchor for section in document.sections}
