"""What the page says of a network whose scores are NaN: nothing is predicted, nothing is right."""

import jax
import numpy as np
import pytest

import reportgen
from reportgen.page.html import html
from reportgen.store import open_run
from tests.conftest import tiny_dataset, tiny_model


def numbers(report, name: str) -> list[tuple]:
    return next(list(n.rows()) for section in report.sections for n in section.numbers if n.filename == name)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A real recording whose parameters are NaN after epoch 1."""
    path = tmp_path_factory.mktemp("broken") / "run"
    dataset, model = tiny_dataset(), tiny_model()
    variables = model.init(jax.random.key(0), dataset.test_images[:1])
    images = (dataset.test_images, dataset.test_labels)
    with reportgen.Recorder(
        path, model, variables, probe=images, evaluation=images, classes=dataset.classes
    ) as recorder:
        nan = jax.tree.map(lambda x: x * np.nan, variables)
        recorder.step(nan["params"])
        recorder.epoch(nan)
    return path


def test_nan_parameters_predict_nothing_and_the_page_says_so(broken):
    run = open_run(broken)
    assert set(run.observations[1].outcome.predictions) == {-1}
    assert run.epochs[-1]["val_accuracy"] == 0
    report = reportgen.build(broken, embedding="pca").document
    assert dict(report.key_figures)["accuracy"] == "0.0\N{NO-BREAK SPACE}%"
    section = next(s for s in report.sections if s.anchor == "mistakes")
    wrong = "100 of 100 evaluation images are misclassified (100.0\N{NO-BREAK SPACE}%, 95\N{NO-BREAK SPACE}% interval"
    assert section.finding.startswith(
        f"{wrong} 96.3 to 100.0), 100 of them without a prediction, as their scores are not finite."
    )
    assert "The network predicts nothing for all 100 evaluation images: its scores are not finite." in report.warnings
    assert all(set(row[1:]) == {0} for row in numbers(report, "confusion.csv"))
    assert all(row[2] is None for row in numbers(report, "predictions.csv"))
    assert "no prediction" in html(report)


def test_every_layer_of_the_broken_network_is_told(broken):
    report = reportgen.build(broken, embedding="pca").document
    rows = [row for row in numbers(report, "health_layers.csv") if row[0] == 1]
    assert rows
    assert all(row[8] == row[3] for row in rows), "channels that are not finite"
