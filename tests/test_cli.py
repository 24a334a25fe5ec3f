"""The whole command line on a tiny run, and wrong inputs: one sentence, exit code 2, nothing overwritten."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reportgen import cli


def run_cli(capsys, *arguments: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the command."""
    sys.argv = ["reportgen", *map(str, arguments)]
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = int(end.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture
def argv(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)


@pytest.mark.usefixtures("argv")
class TestCommands:
    def test_build_writes_page_numbers_and_figures(self, capsys, recorded, tmp_path):
        code, out, _ = run_cli(
            capsys,
            *("build", recorded, "-o", tmp_path / "new" / "a.html", "--embedding", "pca", "--title", "My <title>"),
            *("--from", "6", "--numbers", tmp_path / "numbers", "--figures", tmp_path / "figures"),
        )
        assert code == 0
        page = (tmp_path / "new" / "a.html").read_text(encoding="utf-8")
        assert "My &lt;title&gt;" in page
        assert "step 6 to step 12" in page
        assert str(tmp_path / "new" / "a.html") in out
        assert {file.name for file in (tmp_path / "numbers").iterdir()} == {
            *("metrics.csv", "layers.csv", "confusion.csv", "diffs.csv", "activity.csv", "channels.csv"),
            *("channel_ranges.csv", "embedding_quality.csv", "overlay.csv", "predictions.csv", "activity_channels.csv"),
            *("embedding.csv", "health_layers.csv", "health_updates.csv", "health_parameters.csv", "report.json"),
            *("calibration.csv", "classes.csv", "excitations.csv", "score.csv", "score_breaks.csv", ".reportgen.json"),
        }
        figures = {file.suffix for file in (tmp_path / "figures").glob("[!.]*")}
        assert figures == {".svg", ".gif", ".txt", ".tex"}
        assert (tmp_path / "figures" / "curves-chart.svg").read_bytes().startswith(b"<?xml")

    def test_layers_are_separated_by_commas_or_given_one_by_one(self, capsys, recorded, tmp_path):
        for name, layers in (
            ("a", ("--layers", "conv1,hid*")),
            ("b", ("--layers", "conv1", "--layers", "hid*")),
            ("c", ("--layers", "conv1")),
        ):
            code, _, err = run_cli(
                capsys, "build", recorded, "-o", tmp_path / name, *layers, "--embedding", "pca", "--max-size", "none"
            )
            assert code == 0, err
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()

    def test_build_writes_a_folder_and_markdown(self, capsys, recorded, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for form, first, pictures in (("dir", "index.html", "figures"), ("md", "report.md", "report-figures")):
            code, out, err = run_cli(capsys, "build", recorded, "--format", form, "-o", form, "--embedding", "pca")
            assert code == 0, err
            assert f"{form}/{first}" in out
            assert (tmp_path / form / first).stat().st_size > 1000
            assert any((tmp_path / form / pictures).iterdir())
        code, out, _ = run_cli(capsys, "build", recorded, "--format", "md", "--embedding", "pca")
        assert code == 0
        assert (tmp_path / "report" / "report.md").is_file()

    def test_build_keeps_to_a_size_and_says_what_it_left_out(self, capsys, recorded, tmp_path):
        path = tmp_path / "a.html"
        code, out, _ = run_cli(capsys, "build", recorded, "-o", path, "--embedding", "pca", "--max-size", "400KB")
        assert code == 0
        assert path.stat().st_size <= 400_000
        assert "this page leaves out: " in out and "feature maps of" in out
        assert "--max-size" in out

    def test_train_and_resume(self, capsys, tmp_path):
        data = tmp_path / "tiny.npz"
        rng = np.random.default_rng(0)
        np.savez(data, images=rng.integers(0, 256, (60, 12, 12), np.uint8), labels=np.arange(60) % 3)
        options = (
            "--dataset",
            data,
            "--model",
            "tests.reliability.nets:tiny",
            "--batch-size",
            16,
            "-o",
            tmp_path / "run",
        )
        code, out, err = run_cli(capsys, "train", *options, "--epochs", 1, "--snapshot-every", "epoch")
        assert code == 0, err
        assert "3 steps in 1 epochs" in out
        code, _, err = run_cli(capsys, "train", *options, "--epochs", 2)
        assert code == 2
        assert "already holds a run" in err
        code, out, err = run_cli(capsys, "train", *options, "--epochs", 2, "--resume")
        assert code == 0, err
        assert "6 steps in 2 epochs" in out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["train", "--dataset", "mnist6k", "-o", "RUN"], "mnist6k.*did you mean mnist5k.*digits"),
            (["train", "--dataset", "mnist", "--data-dir", "TMP", "-o", "RUN"], "train-images"),
            (["train", "--model", "lenat", "-o", "RUN"], "lenat.*did you mean lenet.*mnist_cnn"),
            (["train", "--model", "no_such_module:build", "-o", "RUN"], "no_such_module"),
            (["train", "--epochs", "-1", "-o", "RUN"], "epochs must be at least 0"),
            (["train", "--epochs", "two", "-o", "RUN"], "two"),
            (["train", "--snapshot-every", "week", "-o", "RUN"], "every 'week'"),
            (["train", "--dataset", "digits", "--model", "mnist_cnn", "--embed-layer", "hiden", "-o", "RUN"], "hidden"),
            (["train", "--resume", "--overwrite", "-o", "RUN"], "give only one of them"),
            (["train", "--dataset", "digits", "--model", "mnist_cnn", "--resume", "-o", "RUN"], "no checkpoint"),
            (["build", "TMP", "-o", "OUT"], "does not hold a run: it has no run.json"),
            (["build", "TMP/none", "-o", "OUT"], "is not a directory"),
            (["build", "RECORDED", "-o", "OUT", "--from", "77"], "no snapshot of step 77 was recorded; recorded: 0-12"),
            (["build", "RECORDED", "-o", "OUT", "--to", "soon"], "'soon' is not a step: give a number, init or final"),
            (["build", "RECORDED", "-o", "OUT", "--layers", "cov*"], "no layer matches 'cov\\*'.*conv1"),
            (["build", "RECORDED", "-o", "OUT", "--layers", "conv1,cov*"], "no layer matches 'cov\\*'.*conv1"),
            (["build", "RECORDED", "-o", "OUT", "--embedding", "tsne"], "tsne"),
            (["build", "RECORDED", "-o", "OUT", "--format", "pdf"], "pdf"),
            (["build", "RECORDED", "-o", "OUT", "--max-size", "big"], "size such as 10MB or 500KB.*'big'"),
            (["build", "RECORDED", "-o", "OUT", "--max-size", "-1MB"], "more than 0"),
            (
                ["build", "RECORDED", "-o", "OUT", "--embedding", "pca", "--max-size", "20KB"],
                r"can't be made as small as --max-size asks for: .*give --max-size \d+KB or more",
            ),
            (["bild"], "bild"),
        ],
    )
    def test_wrong_input_is_one_sentence_and_exit_code_2(self, capsys, recorded, tmp_path, arguments, message):
        places = {"RUN": tmp_path / "run", "TMP": tmp_path, "OUT": tmp_path / "out.html", "RECORDED": recorded}
        places["TMP/none"] = tmp_path / "none"
        code, _, err = run_cli(capsys, *[places.get(argument, argument) for argument in arguments])
        assert code == 2
        import re

        assert re.search(message, err.replace("\n", " ")), err
        assert "Traceback" not in err
        assert not (tmp_path / "out.html").exists()
        assert not (tmp_path / "run" / "run.json").exists()


def test_the_module_is_a_command_too():
    done = subprocess.run([sys.executable, "-m", "reportgen", "--help"], capture_output=True, text=True, check=True)
    assert "reportgen demo" in done.stdout


@pytest.mark.parametrize("command", ["demo", "train", "build"])
def test_help_says_what_a_command_does(command):
    done = subprocess.run(
        [sys.executable, "-m", "reportgen", command, "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage:" in done.stdout
    assert "-o" in done.stdout


def test_demo_replaces_no_run_but_a_demo(capsys, argv, tmp_path, monkeypatch, run_copy):
    trained = []
    monkeypatch.setattr(cli, "_train", lambda path, *_, **__: trained.append(Path(path)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_cli(capsys, "demo", "-o", tmp_path / "new")
    code, _, err = run_cli(capsys, "demo", "-o", run_copy.parent)
    assert code == 2
    assert "holds a run that is of tiny on tiny, no earlier demo; give another folder with -o" in err
    file = run_copy / "run.json"
    content = json.loads(file.read_text())
    content["config"] |= {"model": "lenet", "dataset": "mnist5k"}
    file.write_text(json.dumps(content))
    with pytest.raises(ZeroDivisionError):
        run_cli(capsys, "demo", "-o", run_copy.parent)
    assert trained == [tmp_path / "new" / "run", run_copy]
    file.write_text("{")
    assert run_cli(capsys, "demo", "-o", run_copy.parent)[0] == 2


def test_training_keeps_what_jax_compiled(capsys, argv, tmp_path, monkeypatch):
    monkeypatch.setattr("reportgen.process.start_jax", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_cli(capsys, "train", "--dataset", "digits", "-o", tmp_path / "run")
