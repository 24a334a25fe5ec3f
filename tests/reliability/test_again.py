"""A report.json is enough to make the run again, bit for bit."""

import json
import sys

import numpy as np
import pytest

from reportgen import cli
from reportgen.errors import DataError, RunError
from reportgen.training import read_report
from tests.reliability.test_kill import recorded
from tests.reliability.worker import dataset


def run_cli(monkeypatch, capsys, *arguments: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["reportgen", *map(str, arguments)])
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().err


@pytest.fixture
def secret_folder(tmp_path):
    folder = tmp_path / "secret-folder"
    folder.mkdir()
    data = dataset()
    images = [(part * 255).astype(np.uint8) for part in (data.train_images, data.test_images)]
    names = ("images", "test_images", "labels", "test_labels")
    np.savez(folder / "noise.npz", **dict(zip(names, (*images, data.train_labels, data.test_labels), strict=True)))
    return folder


def test_train_build_and_train_again(monkeypatch, capsys, tmp_path, secret_folder):
    data = secret_folder / "noise.npz"
    asked = ("--epochs", 2, "--batch-size", 25, "--learning-rate", "0.003", "--seed", 5, "--embed-size", 30)
    every = ("--snapshot-every", 2, "--model", "tests.reliability.nets:tiny", "--embed-layer", "hidden")
    code, err = run_cli(monkeypatch, capsys, "train", "-o", tmp_path / "a", "--dataset", data, *asked, *every)
    assert code == 0, err
    build = ("build", tmp_path / "a", "-o", tmp_path / "a.html", "--embedding", "pca", "--numbers", tmp_path / "n")
    code, err = run_cli(monkeypatch, capsys, *build)
    assert code == 0, err
    report = tmp_path / "n" / "report.json"
    assert "secret-folder" not in report.read_text()
    assert "secret-folder" not in (tmp_path / "a" / "run.json").read_text()

    code, err = run_cli(monkeypatch, capsys, "train", "-o", tmp_path / "b", "--from-report", report)
    assert code == 2
    assert "no dataset, .npz file or image folder 'noise'" in err

    code, err = run_cli(monkeypatch, capsys, "train", "-o", tmp_path / "b", "--from-report", report, "--dataset", data)
    assert code == 0, err
    assert recorded(tmp_path / "a") == recorded(tmp_path / "b")
    one, two = (json.loads((tmp_path / run / "run.json").read_text()) for run in "ab")
    assert one["config"] == two["config"]


def report_of(tmp_path, **changes):
    content = {
        "config": {
            **{"model": "lenet", "dataset": "digits", "epochs": 1, "batch_size": 10, "learning_rate": 0.1, "seed": 0},
            **{"snapshot_every": 1, "embed_size": 10},
        },
        "packages": {"jax": "0.0.1"},
        "dataset_fingerprint": "0" * 64,
    }
    for name, value in changes.items():
        (content["config"] if name in content["config"] else content)[name] = value
    (tmp_path / "report.json").write_text(json.dumps(content))
    return tmp_path / "report.json"


def test_other_data_and_other_versions_are_told(tmp_path):
    asked = read_report(report_of(tmp_path))
    with pytest.raises(DataError, match=r"noise is not the data of the report \(digits\)"):
        asked.check(dataset())
    assert asked.versions()[0].startswith("jax 0.0.1, now ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": []}, "is not the report.json of a run"),
        ({"config": {"model": "lenet"}}, "it lacks dataset, epochs"),
        ({"epochs": "ten"}, "says epochs is 'ten'"),
        ({"batch_size": True}, "says batch_size is True"),
        ({"model": ["lenet"]}, "is not the report.json of a run"),
        ({"dataset_fingerprint": None}, "is not the report.json of a run"),
        ({"packages": "jax"}, "is not the report.json of a run"),
    ],
)
def test_what_is_no_report_of_a_training(tmp_path, changes, message):
    with pytest.raises(RunError, match=message):
        read_report(report_of(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"[]", b"null", b"{}"])
def test_what_is_no_report(tmp_path, content):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(RunError, match=r"report\.json"):
        read_report(tmp_path / "report.json")
    with pytest.raises(RunError, match="can't be read"):
        read_report(tmp_path / "none.json")
