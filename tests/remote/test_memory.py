"""Runs and pages elsewhere, in fsspec's memory: what arrives in which order, what is fetched, what is refused."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from click.testing import CliRunner

import reportgen
from reportgen import Keep, Recorder, open_run, train
from reportgen.cli import cli
from reportgen.errors import NoRunError, OptionError, RunError, RunExistsError
from reportgen.inspection import from_run
from reportgen.record import Start
from reportgen.remote import Place, kept_folder, place_of, spool
from reportgen.store import RunWriter, layout
from tests.conftest import tiny_dataset, tiny_model
from tests.remote.nets import DATA, MODEL, VARIABLES, recorded, scaled

ROOT = Path(__file__).parents[2]
RUN = "memory://runs/a"


def names(system, root="/runs/a") -> set[str]:
    return {path.removeprefix(f"{root}/") for path in system.find(root)}


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != layout.LOCK_FILE]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@contextmanager
def line_cut(monkeypatch) -> Iterator[None]:
    """Within, the line is cut once the recording has begun, and who waits for it soon gives up."""
    put = Place.put

    def failing(self, file, name, *more):
        if name != layout.LOCK_FILE:
            raise ConnectionResetError("the line is cut")
        put(self, file, name, *more)

    with monkeypatch.context() as patch:
        patch.setattr(spool, "PATIENCE", 0.1)
        patch.setattr(Place, "put", failing)
        yield


def test_a_run_arrives_as_it_is_written_on_this_machine(memory, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    train(tmp_path / "run", tiny_dataset(), tiny_model(), epochs=2)
    train(RUN, tiny_dataset(), tiny_model(), epochs=2)
    local = {name: content for name, content in contents(tmp_path / "run").items() if "checkpoints" not in name}
    assert {name for name in names(memory) if "checkpoints" not in name} == set(local)
    assert {name: memory.cat_file(f"/runs/a/{name}") for name in local} == local
    assert {name.split("/")[1] for name in names(memory) if "checkpoints" in name} == {"0", "1", "2"}
    assert not kept_folder("spool", RUN).exists(), "all of it has arrived"
    one, other = (reportgen.build(run, embedding="pca").save(tmp_path / "page") for run in (tmp_path / "run", RUN))
    assert one.read_bytes() == other.read_bytes()


def test_whatever_has_arrived_opens(memory, monkeypatch):
    put, opened, wrong = Place.put, [], []

    def look() -> None:
        if not memory.exists("/runs/a/run.json"):
            with pytest.raises(NoRunError):
                open_run(RUN)
            return
        run = open_run(RUN)
        opened.append(len(run.snapshots))
        assert not run.problems
        assert {row.step for row in run.metrics.epochs} <= set(run.observations) <= set(run.snapshots)
        assert max((row.step for row in run.metrics.steps), default=0) <= max(run.snapshots)

    def watched(self, file, name, *more):
        put(self, file, name, *more)
        try:
            look()
        except BaseException as error:  # the spool would try again
            wrong.append((name, error))

    monkeypatch.setattr(Place, "put", watched)
    with Recorder(RUN, MODEL, VARIABLES, **DATA) as recorder:
        for epoch in range(4):
            for step in range(6 * epoch + 1, 6 * epoch + 7):
                recorder.step(scaled(step), loss=0.5)
            recorder.epoch({"params": scaled(6 * epoch + 6)})
            recorder.flush()
            for _ in range(2000):  # until some of it has arrived
                if wrong or (opened and opened[-1] > 6 * epoch):
                    break
                time.sleep(0.01)
    assert not wrong
    assert opened[-1] == 25 and len(set(opened)) >= 4 and opened == sorted(opened)
    assert open_run(RUN).status == "finished"


def test_a_run_is_not_announced_before_its_first_state_is_there(memory, monkeypatch):
    sent, put = [], Place.put
    monkeypatch.setattr(Place, "put", lambda self, file, name, *more: (put(self, file, name), sent.append(name))[0])
    record = RunWriter.record

    def late(self, *what, **how):
        for _ in range(2000):  # until rounds have gone by
            if "data.safetensors" in sent:
                break
            time.sleep(0.01)
        time.sleep(0.2)
        sent.append("written")
        record(self, *what, **how)

    monkeypatch.setattr(RunWriter, "record", late)
    recorded(RUN, steps=1)
    assert sent.index("written") < sent.index("run.json")
    assert list(open_run(RUN).snapshots) == [0, 1]


def test_a_run_that_is_read_again_is_fetched_where_it_has_changed(memory, monkeypatch):
    fetched, get = [], Place.get
    monkeypatch.setattr(Place, "get", lambda self, names, *to: (fetched.extend(names), get(self, names, *to))[1])
    train(RUN, tiny_dataset(), tiny_model(), epochs=1)
    assert len(open_run(RUN).snapshots) == 4
    assert set(fetched) == {name for name in names(memory) if "checkpoints" not in name}
    assert fetched.index("run.json") < fetched.index("steps.jsonl") < fetched.index("snapshots/00-000000.segment")
    fetched.clear()
    open_run(RUN)
    assert fetched == []
    train(RUN, tiny_dataset(), tiny_model(), epochs=2, resume=True)
    fetched.clear()
    assert open_run(RUN).status == "finished"
    assert "steps.jsonl" in fetched and "data.safetensors" not in fetched
    fetched.clear()
    copy = open_run(RUN).path
    (copy / "steps.jsonl").write_text("")
    (copy / "of-another.txt").write_text("")
    assert len(open_run(RUN).metrics.steps) == 6 and fetched == ["steps.jsonl"]
    assert not (copy / "of-another.txt").exists()


def test_a_run_that_was_replaced_is_not_mixed_with_the_one_before(memory):
    recorded(RUN, steps=40)
    assert len(open_run(RUN).snapshots) == 41
    with pytest.raises(RunExistsError, match="memory://runs/a already holds a run"):
        recorded(RUN)
    recorded(RUN, steps=3, overwrite=True)
    assert len(open_run(RUN).snapshots) == 4
    assert "snapshots/05-000000.segment" not in names(memory)


def test_snapshots_that_are_given_up_go_there_too(memory):
    size = sum(array.nbytes for array in jax.tree.leaves(VARIABLES))
    recorded(RUN, steps=64, keep=Keep(every="batch", bytes=30 * size))
    run = open_run(RUN)
    assert len(run.snapshots) < 40 and not run.problems
    assert "snapshots/00-000000.segment" not in names(memory)


def test_resuming_goes_on_from_what_is_there(memory, tmp_path):
    train(RUN, tiny_dataset(), tiny_model(), epochs=1)
    shutil.rmtree(tmp_path / "remote")  # as on another machine
    train(RUN, tiny_dataset(), tiny_model(), epochs=2, resume=True)
    train(tmp_path / "run", tiny_dataset(), tiny_model(), epochs=2)
    one, other = open_run(RUN), open_run(tmp_path / "run")
    assert list(one.snapshots) == list(other.snapshots)
    np.testing.assert_array_equal(
        one.snapshots[6].variables["params"]["output/kernel"], other.snapshots[6].variables["params"]["output/kernel"]
    )
    with pytest.raises(NoRunError, match=r"memory://runs/b does not hold a run"):
        train("memory://runs/b", tiny_dataset(), tiny_model(), epochs=2, resume=True)


def test_nobody_waits_for_the_line_before_the_end(memory, monkeypatch):
    put, held = Place.put, threading.Event()

    def waiting(self, file, name, *more):
        assert name == layout.LOCK_FILE or held.wait(60)
        put(self, file, name, *more)

    monkeypatch.setattr(Place, "put", waiting)
    recorder = Recorder(RUN, MODEL, VARIABLES, **DATA)
    for step in range(200):
        recorder.step(scaled(step), loss=0.1)
    recorder.epoch({"params": scaled(199)})
    recorder.flush()
    assert names(memory) == {layout.LOCK_FILE}
    held.set()
    recorder.close()
    assert len(open_run(RUN).snapshots) == 201 and layout.LOCK_FILE not in names(memory)


def test_a_store_that_is_not_reached_at_the_end_loses_nothing(memory, monkeypatch):
    with line_cut(monkeypatch):
        with pytest.warns(UserWarning, match=r"not all of the run has reached memory://runs/a.*the line is cut.*F107"):
            recorded(RUN)
        left = kept_folder("spool", RUN)
        assert len(open_run(left).snapshots) == 6
        with pytest.raises(NoRunError):
            open_run(RUN)
        with pytest.raises(RunExistsError, match="what has not arrived there of it in"):
            recorded(RUN)
    reportgen.upload(RUN)
    assert len(open_run(RUN).snapshots) == 6 and open_run(RUN).status == "finished"
    assert not left.exists() and layout.LOCK_FILE not in names(memory)
    with pytest.raises(NoRunError, match="nothing that was recorded to memory://runs/a is left"):
        reportgen.upload(RUN)


def test_a_spool_is_deleted_only_after_all_of_it_has_arrived(memory, monkeypatch):
    copy, missed = shutil.copyfile, []

    def failing(source, target):
        if "activations" in str(source) and len(missed) < 3:
            missed.append(source)
            raise FileNotFoundError(f"{target} is in a folder that somebody deleted")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", failing)
    recorded(RUN)
    assert len(missed) == 3 and len(open_run(RUN).observations) == 2


def test_what_was_left_is_gone_on_with(memory, monkeypatch):
    with line_cut(monkeypatch), pytest.warns(UserWarning, match="the line is cut"):
        recorded(RUN)
    with Recorder(RUN, MODEL, VARIABLES, **DATA, start=Start(resume_at=5)) as recorder:
        recorder.step(scaled(9))
        recorder.epoch({"params": scaled(9)})
    assert list(open_run(RUN).snapshots) == list(range(7))


def test_what_another_machine_did_since_is_not_written_over(memory, monkeypatch, tmp_path):
    with line_cut(monkeypatch), pytest.warns(UserWarning, match="F107"):
        recorded(RUN)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("REPORTGEN_REMOTE", str(tmp_path / "elsewhere"))
        with pytest.raises(RunError, match="is being recorded into from another machine, or was left by one"):
            recorded(RUN)
        recorded(RUN, steps=7, overwrite=True)
    for again in (lambda: recorded(RUN, start=Start(resume_at=5)), lambda: reportgen.upload(RUN)):
        with pytest.raises(RunError, match="was recorded into from elsewhere since"):
            again()
    assert len(open_run(RUN).snapshots) == 8


def test_what_was_fetched_and_not_gone_on_with_is_fetched_again(memory):
    train(RUN, tiny_dataset(), tiny_model(), epochs=1)
    with pytest.raises(OptionError, match="nothing is left to do"):
        train(RUN, tiny_dataset(), tiny_model(), epochs=1, resume=True)
    train("memory://runs/b", tiny_dataset(), tiny_model(), epochs=2)
    for name in names(memory):
        memory.rm_file(f"/runs/a/{name}")
    for name in names(memory, "/runs/b"):  # as another machine left it
        memory.pipe_file(f"/runs/a/{name}", memory.cat_file(f"/runs/b/{name}"))
    train(RUN, tiny_dataset(), tiny_model(), epochs=3, resume=True)
    assert list(open_run(RUN).snapshots) == list(range(10))


def test_a_recorder_that_is_dropped_uploads_too(memory):
    recorder = Recorder(RUN, MODEL, VARIABLES, **DATA)
    recorder.step(scaled(1))
    del recorder
    recorded("memory://runs/b")
    assert open_run(RUN).status == "not closed" and len(open_run(RUN).snapshots) == 2


def test_a_wrong_argument_leaves_what_is_there(memory):
    recorded(RUN)
    before = {name: memory.cat_file(f"/runs/a/{name}") for name in names(memory)}
    with pytest.raises(OptionError):
        recorded(RUN, overwrite=True, config=3)
    assert {name: memory.cat_file(f"/runs/a/{name}") for name in names(memory)} == before


def test_a_place_with_other_files_is_refused(memory):
    memory.pipe_file("/runs/a/thesis.tex", b"")
    with pytest.raises(RunError, match=r"holds 'thesis.tex', which no recorder wrote"):
        recorded(RUN)
    assert names(memory) == {"thesis.tex"}


def test_runs_elsewhere_are_taken_wherever_a_run_is(memory, tmp_path):
    recorded("memory://gan/generator")
    recorded("memory://gan/discriminator", steps=4)
    memory.pipe_file("/gan/notes/huge.bin", b"never fetched")
    together = reportgen.build("memory://gan", embedding="pca")
    assert {section.part for section in together.document.sections} >= {"generator", "discriminator"}
    assert not list((tmp_path / "remote").rglob("huge.bin"))
    compared = reportgen.compare("memory://gan/generator", "memory://gan/discriminator", embedding="pca")
    assert "steps" in compared.measures
    site = reportgen.build_site(["memory://gan/generator", "memory://gan/discriminator"], tmp_path / "site")
    assert len(site.built) == 2
    again = reportgen.build_site(["memory://gan/generator", "memory://gan/discriminator"], tmp_path / "site")
    assert len(again.current) == 2
    assert from_run("memory://gan/generator", model=MODEL).step == 5
    with pytest.raises(NoRunError, match="memory://gan holds the runs discriminator and generator"):
        open_run("memory://gan")


def test_pages_are_delivered(memory, tmp_path, request):
    report = reportgen.build(request.getfixturevalue("recorded"), embedding="pca")
    path = report.save("memory://pages/a.html")
    assert path.name == "a.html" and path.read_bytes() == memory.cat_file("/pages/a.html")
    assert names(memory, "/pages") == {"a.html"}
    report.save("memory://pages/folder", "dir")
    report.save(tmp_path / "folder", "dir")
    assert {name: memory.cat_file(f"/pages/folder/{name}") for name in names(memory, "/pages/folder")} == contents(
        tmp_path / "folder"
    )
    shutil.rmtree(tmp_path / "remote")  # the next build runs elsewhere
    memory.pipe_file("/pages/folder/of-somebody.else", b"")
    report.sections["curves"].save("memory://pages/folder", "dir")
    left = names(memory, "/pages/folder")
    assert "of-somebody.else" in left and not any("maps" in name for name in left)
    report.save("memory://pages/pr.md")
    assert {"pr.md", ".reportgen.json"} < names(memory, "/pages")
    files = report.write_numbers("memory://pages/numbers")
    assert {file.name for file in files} < names(memory, "/pages/numbers")
    assert report.write_figures("memory://pages/figures") and "figures.tex" in names(memory, "/pages/figures")


def test_a_page_that_is_not_taken_is_said(memory, monkeypatch, tmp_path):
    recorded(tmp_path / "run")
    monkeypatch.setattr(Place, "put", lambda *_: (_ for _ in ()).throw(PermissionError("Forbidden")))
    with pytest.raises(RunError, match="memory://pages can't be written: Forbidden"):
        reportgen.build(tmp_path / "run", embedding="pca").save("memory://pages/a.html")


@pytest.mark.parametrize(
    ("missing", "url", "said"),
    [
        ("fsspec", "memory://x", r"this needs fsspec, which is not installed: pip install 'reportgen-jax\[remote\]'"),
        ("s3fs", "s3://b/x", r"s3:// needs s3fs, which is not installed: pip install 'reportgen-jax\[remote\]'"),
        (
            "gcsfs",
            "gs://b/x",
            r"gs:// needs gcsfs, which is not installed: pip install 'reportgen-jax\[remote\]' gcsfs",
        ),
        ("adlfs", "abfs://b/x", r"abfs:// needs adlfs.* adlfs"),
    ],
)
def test_without_the_extra_a_url_is_refused(missing, url, said, tmp_path):
    code = """
import sys
sys.modules[sys.argv[1]] = None
import reportgen
from reportgen.page.save import save
for use in (reportgen.open_run, reportgen.build, reportgen.upload, lambda url: save(None, url)):
    try:
        use(sys.argv[2])
    except reportgen.errors.MissingError as error:
        print(error)
"""
    command = [sys.executable, "-c", code, missing, url]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and all(re.fullmatch(said, line) for line in lines), lines
    assert not list(tmp_path.iterdir())


def test_a_url_of_no_known_kind_is_refused():
    with pytest.raises(OptionError, match="simplecache::memory://x is a chain of file systems"):
        place_of("simplecache::memory://x")
    with pytest.raises(OptionError, match="nowhere://x is no URL that is read or written"):
        place_of("nowhere://x")


def test_names_that_lead_out_of_the_folder_are_never_fetched(memory, tmp_path):
    recorded(RUN)
    memory.store["/runs/a/../../escaped.json"] = memory.store["/runs/a/run.json"]
    memory.store["/runs/a/snapshots/../../../escaped.segment"] = memory.store["/runs/a/run.json"]
    open_run(RUN)
    assert not list(tmp_path.rglob("escaped*"))


def test_copies_that_nobody_reads_are_deleted(memory, monkeypatch):
    from reportgen.remote import cache

    recorded(RUN)
    recorded("memory://runs/b")
    copy = open_run(RUN).path
    monkeypatch.setattr(cache, "UNUSED", -1.0)
    assert open_run("memory://runs/b").path.exists() and not copy.exists()


def test_a_replay_is_recorded_elsewhere_and_goes_on_there(memory, tmp_path):
    def replayed(*steps, **how):
        series = [(step, {"params": scaled(step)}) for step in steps]
        return reportgen.replay(series, MODEL, RUN, **DATA, **how)

    assert list(replayed(1, 2).snapshots) == [1, 2]
    shutil.rmtree(tmp_path / "remote")
    assert list(replayed(1, 2, 3).snapshots) == [1, 2, 3]
    assert list(replayed(4, overwrite=True).snapshots) == [4]
    recorded("memory://runs/b")
    with pytest.raises(RunExistsError):
        reportgen.replay([(1, {"params": scaled(1)})], MODEL, "memory://runs/b", **DATA)


def test_the_command_line_takes_urls(memory):
    recorded(RUN)
    for arguments, said in (("-o memory://pages/a.html", "a.html ("), ("-o memory://pages/md --format md", "md (")):
        done = CliRunner().invoke(cli, ["build", RUN, *arguments.split(), "--embedding", "pca"], catch_exceptions=False)
        assert done.exit_code == 0 and f"memory://pages/{said}" in done.stdout, done.output
    assert names(memory, "/pages") >= {"a.html", "md/report.md"}


def test_a_demo_is_made_elsewhere(memory, monkeypatch):
    monkeypatch.setattr("reportgen.data.DATASETS", {"mnist5k": lambda _: replace(tiny_dataset(), name="mnist5k")})
    made = []
    monkeypatch.setattr("reportgen.cli._train", lambda path, *_, **how: (made.append(path), recorded(path))[1])
    memory.pipe_file("/demo/run/run.json", b'{"config": {"model": "mine", "dataset": "digits"}}')
    done = CliRunner().invoke(cli, ["demo", "-o", "memory://demo", "-q"])
    assert "memory://demo/run holds a run that is of mine on digits" in str(done.exception) and not made
    memory.rm("/demo", recursive=True)
    CliRunner().invoke(cli, ["demo", "-o", "memory://demo", "-q"], catch_exceptions=False)
    assert made == ["memory://demo/run"] and "report.html" in names(memory, "/demo")


def test_a_run_in_memory_is_saved_elsewhere(memory, tmp_path):
    recorded(RUN)
    run = open_run(RUN)
    assert reportgen.save_run(run, "memory://copies/a") == "memory://copies/a"
    assert reportgen.save_run(run, tmp_path / "copy") == tmp_path / "copy"
    there, here = open_run("memory://copies/a"), open_run(tmp_path / "copy")
    assert contents(there.path) == contents(here.path)
    with pytest.raises(RunExistsError, match="memory://copies/a already holds a run"):
        reportgen.save_run(run, "memory://copies/a")
    assert reportgen.save_run(run, "memory://copies/a", overwrite=True) == "memory://copies/a"
    assert not kept_folder("spool", "memory://copies/a").exists()


def test_a_landscape_is_added_elsewhere(memory, tmp_path):
    for path in (RUN, tmp_path / "run"):
        train(path, tiny_dataset(), tiny_model(), epochs=1)
        reportgen.landscape(path, model=tiny_model(), dataset=tiny_dataset(), points=3)
        assert reportgen.open_run(path).landscape is not None
    there = memory.cat_file(f"/runs/a/{layout.LANDSCAPE_FILE}")
    assert there == (tmp_path / "run" / layout.LANDSCAPE_FILE).read_bytes()
    assert reportgen.build(RUN, embedding="pca").sections["landscape"]
    recorded("memory://runs/line")
    with pytest.raises(RunError, match="snapshots of memory://runs/line lie on a line"):
        reportgen.landscape("memory://runs/line", model=MODEL, points=3)
    done = CliRunner().invoke(cli, ["landscape", "memory://runs/none"])
    assert "memory://runs/none does not hold a run" in str(done.exception)


def test_what_can_not_be_resumed_is_named_by_its_url(memory):
    train(RUN, tiny_dataset(), tiny_model(), epochs=1)
    for how, said in (
        ({"epochs": 1}, "memory://runs/a has 1 epochs"),
        ({"seed": 3}, "memory://runs/a can't be resumed"),
    ):
        with pytest.raises((OptionError, RunError)) as caught:
            train(RUN, tiny_dataset(), tiny_model(), resume=True, **{"epochs": 2, **how})
        assert said in str(caught.value) and "spool" not in str(caught.value)


def test_a_site_is_built_elsewhere(memory, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    runs = [tmp_path / name for name in "ab"]
    for run in runs:
        recorded(run)
    site = reportgen.build_site(runs, "memory://site")
    assert site.built == ("a", "b") and not site.failed
    reportgen.build_site(runs, tmp_path / "here" / "site")
    local = contents(tmp_path / "here" / "site")
    assert {name: memory.cat_file(f"/site/{name}") for name in names(memory, "/site")} == local
    shutil.rmtree(tmp_path / "remote")  # the next build runs elsewhere
    sent, put = [], Place.put
    monkeypatch.setattr(Place, "put", lambda self, file, name, *more: (sent.append(name), put(self, file, name))[1])
    assert reportgen.build_site(runs, "memory://site/").current == ("a", "b")
    assert "runs/a.html" not in sent
    memory.rm_file("/site/runs/a.html")
    sent.clear()
    done = CliRunner().invoke(cli, ["build", *map(str, runs), "-o", "memory://site/"], catch_exceptions=False)
    assert "memory://site/index.html: 1 built, 1 current" in done.stdout
    assert sent.index("runs/a.html") < sent.index("index.html")
    reportgen.build_site(runs[:1], "memory://site")
    assert "runs/b.html" not in names(memory, "/site"), "it is of a run that is none of the site's any more"
