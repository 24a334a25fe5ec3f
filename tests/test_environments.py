"""The commands where they run: containers, logs, other accounts, streams that are closed or full."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reportgen import build, open_run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="what a POSIX shell can do to a process")


def shell(line: str, **variables: object) -> subprocess.CompletedProcess[bytes]:
    """The line in a shell where $reportgen is the command, and each of the variables is one."""
    environment = {**os.environ, "PYTHONWARNINGS": "default", "PYTHONPATH": str(Path(__file__).parent.parent)}
    environment |= {name: str(value) for name, value in variables.items()}
    command = f'reportgen="{sys.executable} -m reportgen"; {line}'
    return subprocess.run(["bash", "-c", command], capture_output=True, env=environment, check=False)


BUILD = '$reportgen build "$run" --embedding pca --layers conv1'


@pytest.fixture(scope="module")
def page(recorded, tmp_path_factory) -> bytes:
    """The page that every way of building has to give."""
    path = tmp_path_factory.mktemp("page") / "a.html"
    done = shell(f'{BUILD} -o "$to"', run=recorded, to=path)
    assert done.returncode == 0, done.stderr
    return path.read_bytes()


class TestStreams:
    @pytest.mark.parametrize("target", ["-", "/dev/stdout"])
    def test_the_page_goes_to_standard_output_and_the_rest_to_standard_error(self, recorded, page, tmp_path, target):
        done = shell(f'{BUILD} -o {target} --numbers "$to" > "$to.html"', run=recorded, to=tmp_path / "n")
        assert done.returncode == 0 and (tmp_path / "n.html").read_bytes() == page
        assert b"standard output (" in done.stderr and b"files of numbers" in done.stderr

    def test_several_files_do_not_go_to_standard_output(self, recorded):
        done = shell(f"{BUILD} -o - --format dir", run=recorded)
        assert (done.returncode, done.stdout) == (2, b"")
        assert (
            done.stderr
            == b"reportgen: -o - writes one HTML file; --format dir has several: give a folder with -o [O103]\n"
        )

    def test_a_full_disk_behind_standard_output_loses_nothing_else(self, recorded, page, tmp_path):
        done = shell(f'{BUILD} -o "$to/a.html" --numbers "$to/n" > /dev/full', run=recorded, to=tmp_path)
        assert done.returncode == 2
        assert done.stderr.endswith(b"\nreportgen: standard output can't be written: No space left on device [F105]\n")
        assert (tmp_path / "a.html").read_bytes() == page and (tmp_path / "n" / "report.json").is_file()

    @pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>/dev/full"])
    def test_streams_that_take_nothing_do_not_matter(self, recorded, page, tmp_path, closed):
        done = shell(f'{BUILD} -o "$to" {closed}', run=recorded, to=tmp_path / "a.html")
        assert done.returncode == 0 and b"Traceback" not in done.stderr
        assert (tmp_path / "a.html").read_bytes() == page

    @pytest.mark.parametrize("line", ["--help", "--version", "build --help"])
    def test_help_that_can_not_be_printed_is_one_sentence(self, line):
        done = shell(f"$reportgen {line} > /dev/full")
        assert done.returncode == 2
        assert done.stderr == b"reportgen: standard output can't be written: No space left on device [F105]\n"

    def test_a_reader_that_has_gone_is_told_nothing(self):
        done = shell("set -o pipefail; $reportgen build --help | true")
        assert done.returncode in (0, 1) and done.stderr == b""


class TestLogs:
    def test_a_build_is_a_line_for_each_section(self, recorded, tmp_path):
        done = shell(f'{BUILD} -o "$to"', run=recorded, to=tmp_path / "a.html")
        assert b"\r" not in done.stderr and b"\x1b" not in done.stderr
        lines = done.stderr.decode().splitlines()
        assert len(lines) > 5 and all(line.startswith("report: ") for line in lines)
        assert done.stdout.decode().startswith(f"{tmp_path}/a.html (")

    def test_a_training_is_a_line_for_each_epoch(self, tmp_path):
        train = '$reportgen train -o "$to" --epochs 2 --batch-size 4000'
        done = shell(train, to=tmp_path / "run", JAX_PLATFORMS="cpu")
        assert done.returncode == 0, done.stderr
        epochs = [line.partition(", ")[0] for line in done.stderr.decode().splitlines() if line.startswith("train: ")]
        assert epochs == ["train: epoch 1/2", "train: epoch 2/2"] and b"\r" not in done.stderr

    def test_quiet_is_quiet(self, recorded, page, tmp_path):
        done = shell(f'{BUILD} -o "$to" --numbers "$to.n" --quiet', run=recorded, to=tmp_path / "a.html")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (tmp_path / "a.html").read_bytes() == page
        done = shell('$reportgen build "$to" -q', to=tmp_path / "missing")
        assert done.returncode == 2 and done.stderr.startswith(b"reportgen: ")


NO_ACCOUNT = """
import os, pwd, sys
def nobody(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = nobody
from reportgen.cli import main
main()
"""


class TestAccounts:
    """A container's user has no home, no name, no locale, and no folder to write into but one."""

    @pytest.mark.parametrize("command", ["build", "train"])
    def test_an_account_without_home_and_name(self, recorded, tmp_path, command):
        rest = 'build "$run" --embedding pca --layers conv1' if command == "build" else "train --epochs 0"
        line = f'cd /; unset HOME XDG_CACHE_HOME USER LOGNAME; {sys.executable} -c "$code" {rest} -o "$to"'
        done = shell(line, code=NO_ACCOUNT, run=recorded, to=tmp_path / "made", LC_ALL="C", JAX_PLATFORMS="cpu")
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
        assert (tmp_path / "made").exists()

    def test_names_that_are_no_utf8(self, recorded, page, tmp_path):
        line = f"""cd "$to"; cp -r "$run" $'caf\\xe9'; run=$'caf\\xe9'; {BUILD} -o $'\\xe9.html' --numbers $'n\\xe9'"""
        done = shell(line, run=recorded, to=tmp_path, LC_ALL="C.UTF-8")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / os.fsdecode(b"\xe9.html")).read_bytes() == page
        assert done.stdout.startswith(b"\\udce9.html (")

    def test_a_working_directory_that_is_gone(self, recorded, page, tmp_path):
        line = f'mkdir "$to/gone"; cd "$to/gone"; rmdir "$to/gone"; {BUILD} -o "$to/a.html"'
        assert shell(line, run=recorded, to=tmp_path).returncode == 0
        assert (tmp_path / "a.html").read_bytes() == page

    def test_a_run_is_read_on_after_the_working_directory_changed(self, recorded, tmp_path, monkeypatch):
        shutil.copytree(recorded, tmp_path / "run")
        monkeypatch.chdir(tmp_path)
        run = open_run("run")
        monkeypatch.chdir("/")
        assert all(snapshot.params for snapshot in run.snapshots.values())


@pytest.mark.parametrize("command", ["train", "inspect --run", "replay --model lenet --dataset mnist5k"])
def test_a_device_that_is_not_there_is_one_sentence(recorded, tmp_path, command):
    given = "" if command == "train" else '"$run"'
    done = shell(f'$reportgen {command} {given} -o "$to"', run=recorded, to=tmp_path / "a", JAX_PLATFORMS="rocm")
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1, done.stderr
    assert done.stderr.startswith(b"reportgen: jax finds no device: JAX_PLATFORMS is 'rocm'")
    assert not (tmp_path / "a").exists()


def test_builds_in_threads_are_the_same_bytes(recorded, tmp_path):
    def make(folder: Path) -> None:
        report = build(recorded, embedding="pca", layers="conv1")
        report.save(folder / "a.html")
        report.write_figures(folder / "figures", "pdf")

    threads = [threading.Thread(target=make, args=(tmp_path / name,)) for name in ("1", "2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = (
        {
            file.relative_to(tmp_path / name): file.read_bytes()
            for file in (tmp_path / name).rglob("*")
            if file.is_file()
        }
        for name in ("1", "2")
    )
    assert len(first) > 5 and first == second
