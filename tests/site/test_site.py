"""Many runs as a site: what is built anew, what one broken run does to the others, and names of every kind."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from reportgen import build, build_site
from reportgen.cli import cli
from reportgen.errors import OptionError, RunError
from reportgen.page.html import html
from reportgen.sections.runs import Entry, index
from reportgen.site.fingerprint import file_name, named
from tests.reliability.runs import write_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs side by side."""
    for name in "abc":
        write_run(tmp_path / "runs" / name)
    return tmp_path / "runs"


def linked(site: Path) -> list[str]:
    return re.findall(r'<th[^>]*><a href="([^"]+)">', (site / "index.html").read_text(encoding="utf-8"))


def test_pages_are_those_of_build_and_the_index_leads_to_them(runs, tmp_path):
    site = build_site(sorted(runs.iterdir()), tmp_path / "site", embedding="pca")
    assert site.index == tmp_path / "site" / "index.html" and site.built == ("a", "b", "c") and not site.failed
    assert linked(tmp_path / "site") == ["runs/a.html", "runs/b.html", "runs/c.html"]
    alone = build(runs / "b", embedding="pca").save(tmp_path / "b.html")
    assert alone.read_bytes() == (tmp_path / "site" / "runs" / "b.html").read_bytes()


def test_only_what_changed_is_built(runs, tmp_path):
    folder = tmp_path / "site"

    def built(*names: str, **options) -> tuple[str, ...]:
        return build_site([runs / name for name in names], folder, embedding="pca", **options).built

    assert built("a", "b") == ("a", "b")
    first = (folder / "index.html").read_bytes()
    assert built("a", "b") == () and (folder / "index.html").read_bytes() == first
    os.utime(runs / "b" / "epochs.jsonl")
    assert built("a", "b") == ("b",)
    (folder / "runs" / "a.html").unlink()
    assert built("a", "b") == ("a",)
    assert built("a", "b", layers="conv*") == ("a", "b")
    assert built("a", "c", layers="conv*") == ("c",)
    assert sorted(page.name for page in (folder / "runs").iterdir()) == ["a.html", "c.html"]
    (folder / "site.json").write_text("{")
    assert built("a", "c", layers="conv*") == ("a", "c")


def test_a_broken_run_costs_no_other(runs, tmp_path):
    (runs / "b" / "run.json").write_text("{")
    command = ["build", *map(str, sorted(runs.iterdir())), "-o", f"{tmp_path}/site/", "--embedding", "pca", "-q"]
    with pytest.raises(RunError, match=r"^1 of 3 runs could not be built, .*: b: .*run.json is damaged") as raised:
        CliRunner().invoke(cli, command, catch_exceptions=False)
    assert raised.value.code == "R110"
    assert linked(tmp_path / "site") == ["runs/a.html", "runs/c.html"]
    assert "b has no page" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


SECTION = """
import os, signal
def build(context):
    if context.run.path.name == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    if context.run.path.name == "c":
        raise KeyError("no such thing")
"""


def test_a_process_that_dies_costs_one_page(runs, tmp_path, monkeypatch):
    """A section of another package's, found on the caller's own path."""
    package = tmp_path / "path"
    (package / "bad-1.0.dist-info").mkdir(parents=True)
    (package / "bad-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (package / "bad-1.0.dist-info" / "entry_points.txt").write_text("[reportgen.sections]\nbad = bad_section:build\n")
    (package / "bad_section.py").write_text(SECTION)
    monkeypatch.syspath_prepend(package)
    site = build_site(sorted(runs.iterdir()), tmp_path / "site", embedding="pca")
    assert site.built == ("a", "c") and dict(site.failed) == {"b": "the process that built it ended with signal 9"}
    assert "KeyError" in (tmp_path / "site" / "runs" / "c.html").read_text(encoding="utf-8")


def test_names_that_collide_or_are_ugly(tmp_path):
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z", tmp_path / "z" / ".", tmp_path / "Z"]
    names = named(paths)
    assert list(names) == ["x/run", "y/run", "z", "Z"]
    ugly = ["a b", "a-b", "実験", "..", "<i>", "x" * 300, "a\nb", "A-B", "con cat", "plain_1.0"]
    files = [file_name(name, ugly) for name in ugly]
    assert len({file.casefold() for file in files}) == len(files) and files[-1] == "plain_1.0.html"
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.html", file) for file in files)
    # The file of a run does not depend on the order in which runs are given.
    assert [file_name(name, ugly[::-1]) for name in ugly] == files


@pytest.mark.parametrize("name", ["<b>run</b> & co", "実験 1", "run\udcff"])
def test_a_run_of_an_ugly_name_has_its_page(name, tmp_path):
    try:
        (tmp_path / name).mkdir()
    except (OSError, UnicodeError):
        pytest.skip("the file system takes no such name")
    shutil.rmtree(tmp_path / name)
    write_run(tmp_path / name)
    site = build_site([tmp_path / name], tmp_path / "site", embedding="pca")
    (page,) = linked(tmp_path / "site")
    assert not site.failed and (tmp_path / "site" / page).is_file()
    assert "<b>run" not in site.index.read_text(encoding="utf-8")


def test_the_same_run_twice_is_one(runs, tmp_path):
    assert build_site([runs / "a", f"{runs}/a/"], tmp_path / "site", embedding="pca").built == ("a",)


def test_a_log_has_a_line_for_each_run(runs, tmp_path):
    command = ["build", str(runs / "a"), "-o", f"{tmp_path}/site/", "--embedding", "pca"]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.stderr == "site: 1/1 a\n" and done.stdout.endswith("index.html: 1 built, 0 current, 0 failed\n")


@pytest.mark.parametrize("more", [[], ["-o", "-"], ["-o", "s", "--numbers", "n"], ["-o", "s", "--format", "md"]])
def test_what_is_of_one_page_is_refused(runs, more):
    with pytest.raises(OptionError, match="several runs make a site"):
        CliRunner().invoke(cli, ["build", str(runs / "a"), str(runs / "b"), *more], catch_exceptions=False)


def test_no_run_is_refused(tmp_path):
    with pytest.raises(OptionError, match="at least one run"):
        build_site([], tmp_path / "site")
    with pytest.raises(OptionError, match="embedding must be umap or pca"):
        build_site([tmp_path], tmp_path / "site", embedding="tsne")


def test_an_index_of_runs_that_differ():
    """Runs of other tasks, without metrics, and with values that are no numbers."""
    entries = [
        Entry("one", "runs/one.html", "A", "2026-01-01", metrics={"val_accuracy": 0.5}, curve="val_accuracy",
              values=(0.1, None, 0.5)),
        Entry("two", "runs/two.html", "B", metrics={"val_accuracy": None, "mine": 3.0}),
        Entry("three", "runs/three.html", "C", status="interrupted"),
    ]  # fmt: skip
    document = index(entries, "all", None, {})
    table = document.sections[0].blocks[0]
    assert table.columns[:4] == ("run", "Test accuracy", "curve", "mine")
    assert [row[1] for row in table.rows] == [0.5, None, None] and [row[3] for row in table.rows] == [None, 3.0, None]
    assert table.rows[0][2].text == "Test accuracy from 0.1 to 0.5" and table.rows[1][2] is None
    assert document.headline == "3 runs, recorded 2026-01-01." and "interrupted" in html(document)
    assert html(index([], "none", "Mine", {"a": "it is gone."})).count("a has no page: it is gone.") == 1


def test_the_ledger_holds_no_path(runs, tmp_path):
    build_site([runs / "a"], tmp_path / "site", embedding="pca")
    text = (tmp_path / "site" / "site.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text and list(json.loads(text)) == ["runs/a.html"]
