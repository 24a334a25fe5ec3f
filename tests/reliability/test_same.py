"""The same every time: two processes, two places, two hash seeds, two time zones, one result."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reportgen
from reportgen.page.html import html
from tests.reliability.runs import write_run
from tests.reliability.whole_way import FORMS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def twice(tmp_path_factory) -> tuple[Path, Path]:
    """Two folders that each hold run/ and out/, made by a process of its own."""
    folders, processes = [], []
    for seed, zone in ((1, "UTC"), (2, "Asia/Tokyo")):
        folder = tmp_path_factory.mktemp(f"process-{seed}") / ("x" * seed)
        folder.mkdir()
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(seed),
            "TZ": zone,
            "SOURCE_DATE_EPOCH": "1700000000",
            "PYTHONPATH": str(ROOT),
            "SECRET_TOKEN": "hunter2-hunter2",
        }
        command = [sys.executable, "-m", "tests.reliability.whole_way", folder / "run", folder / "out"]
        processes.append(subprocess.Popen(command, env=environment, cwd=folder))
        folders.append(folder)
    assert [process.wait() for process in processes] == [0, 0]
    return folders[0], folders[1]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "checkpoints" not in file.parts
    }


def test_two_processes_write_the_same_bytes(twice):
    first, second = map(contents, twice)
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []
    kinds = {Path(name).suffix for name in first}
    assert kinds >= {".html", ".md", ".gif", ".svg", ".png", ".csv", ".json", ".safetensors", ".jsonl"}
    assert {f"out/{form}" for form in FORMS} <= {str(Path(name).parent) for name in first}


def test_no_path_no_environment_and_no_user_get_out(twice):
    import getpass
    import socket

    told = [str(twice[0]), str(ROOT), "hunter2", str(Path.home()) + "/", sys.executable, f"/{getpass.getuser()}/"]
    # A short name stands in any text by chance.
    told += [name for name in [socket.gethostname()] if len(name) > 6]
    found = {name: [text for text in told if text.encode() in content] for name, content in contents(twice[0]).items()}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_two_builds_of_one_run_are_the_same_page(tmp_path):
    run = write_run(tmp_path / "run")
    first, second = (html(reportgen.build(run, embedding="pca").document) for _ in range(2))
    assert first == second


def test_the_duration_is_all_that_a_clock_made_and_source_date_epoch_leaves_it_out(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    slow = write_run(tmp_path / "slow")
    quick = write_run(tmp_path / "quick")
    file = quick / "run.json"
    assert '"seconds": 1.5' in file.read_text()
    file.write_text(file.read_text().replace('"seconds": 1.5', '"seconds": 7.25'))
    pages = [html(reportgen.build(run, embedding="pca").document) for run in (slow, quick)]
    assert pages[0] != pages[1]
    duration = r'<(dd|td) dir="auto">(2 s|7 s|1\.5|7\.25)</'
    assert re.sub(duration, "", pages[0]) == re.sub(duration, "", pages[1])

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    timeless = [html(reportgen.build(run, embedding="pca").document) for run in (slow, quick)]
    assert timeless[0] == timeless[1]
    assert "seconds" not in timeless[0]
    assert '"seconds"' not in (write_run(tmp_path / "third") / "run.json").read_text()
