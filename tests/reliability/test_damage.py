"""Files that are damaged, missing, or can't be written: named, left out, and the rest still reported."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import reportgen
from reportgen.core.report import Document
from reportgen.core.run import MetricRow
from reportgen.errors import DamagedError, ReportgenError, RunError
from reportgen.page.html import html
from reportgen.store import RunWriter, open_run
from reportgen.store.files import Tensors, write_tensors
from reportgen.store.log import Record
from reportgen.store.segments import segment_files
from tests.reliability import SOAK
from tests.reliability.runs import header, write_run
from tests.snapshots import flip_last_byte


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def warnings_of(run: Path, **options) -> tuple[str, ...]:
    return reportgen.build(run, embedding="pca", **options).document.warnings


def test_a_flipped_bit_in_the_last_snapshot_moves_the_report_to_the_one_before(run):
    flip_last_byte(run, 4)
    built = reportgen.build(run, embedding="pca")
    (warning,) = built.document.warnings
    assert warning.startswith("Part of the run could not be read: snapshots of step 4 left out: 02-000000.segment")
    assert "step 4 does not match its checksum" in warning
    assert "step 0 to step 3" in html(built.document)


def test_a_flipped_bit_that_nothing_reads_disturbs_nothing_until_it_is_read(run):
    flip_last_byte(run, 2)
    run_before = open_run(run)
    assert not run_before.problems
    with pytest.raises(DamagedError, match=r"01-000000\.segment is damaged: step 2"):
        list(run_before.snapshots[2].params.values())
    assert list(open_run(run, verify=True).snapshots) == [0, 1, 3, 4]


def test_damage_in_numbers_that_no_figure_shows_is_told_before_they_are_written(run, tmp_path):
    # The activity of a dense layer stands in activity.csv alone.
    file = run / "activations" / "00000004.safetensors"
    content = bytearray(file.read_bytes())
    size = int.from_bytes(content[:8], "little")
    begin, _ = json.loads(content[8 : 8 + size])["label_sums/hidden"]["data_offsets"]
    content[8 + size + begin] ^= 1
    file.write_bytes(content)
    built = reportgen.build(run, embedding="pca")
    assert any("activations of step 4 left out" in warning for warning in built.document.warnings)
    built.write_numbers(tmp_path / "numbers")
    assert "hidden" in (tmp_path / "numbers" / "activity.csv").read_text()


def test_a_step_that_was_asked_for_and_is_damaged_is_told(run):
    flip_last_byte(run, 3)
    with pytest.raises(ReportgenError, match="no snapshot of step 3 was recorded"):
        reportgen.build(run, embedding="pca", to_step=3)


def test_damaged_final_activations_move_the_answers_to_the_epoch_before(run):
    file = run / "activations" / "00000004.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    report = reportgen.build(run, embedding="pca").document
    assert any("activations of step 4 left out" in warning for warning in report.warnings)
    assert any("of epoch 1 (step 2), not of epoch 2" in warning for warning in report.warnings)
    assert report.headline.endswith(" after 1 epoch; one seed.")
    assert ("epochs", "1") in report.key_figures
    assert dict(report.key_figures)["steps"] == "4"


def test_activations_that_lack_a_tensor_are_left_out_or_shown_without_it(run):
    file = run / "activations" / "00000002.safetensors"
    tensors = Tensors(file)
    arrays = dict(tensors)
    for name in sorted(arrays) if SOAK else ["embedding_vectors"]:
        write_tensors(file, {other: array for other, array in arrays.items() if other != name}, tensors.metadata)
        told = any(f"activations of step 2 left out: {name}" in warning for warning in warnings_of(run))
        assert told or name != "embedding_vectors"


def test_without_images_and_labels_the_rest_is_reported(run):
    (run / "data.safetensors").unlink()
    report = reportgen.build(run, embedding="pca").document
    anchors = {section.anchor for section in report.sections}
    assert anchors >= {"embedding", "curves", "parameters", "activity", "maps", "health", "overview"}
    assert not anchors & {"samples", "mistakes"}
    assert any("data.safetensors is missing" in warning for warning in report.warnings)
    assert html(report)


@pytest.mark.parametrize(
    "name", ["evaluation_labels", "probe_labels", "embedding_labels", "evaluation_images", "probe_images"]
)
def test_one_damaged_array_of_the_data_is_left_out_alone(run, name):
    file = run / "data.safetensors"
    content = bytearray(file.read_bytes())
    end = 8 + int.from_bytes(content[:8], "little")
    content[end + json.loads(content[8:end])[name]["data_offsets"][0]] ^= 1
    file.write_bytes(content)
    report = reportgen.build(run, embedding="pca").document
    assert any(f"{name} left out" in warning for warning in report.warnings)
    assert len([w for w in report.warnings if "left out" in w]) == 1
    assert html(report)


def test_a_file_that_vanishes_between_listing_and_reading(run, monkeypatch):
    """It is listed, opened, and gone when its values are read."""
    opened = open_run(run)
    (run / "snapshots" / "02-000000.segment").unlink()
    report = reportgen.build(opened, embedding="pca").document
    assert "step 0 to step 3" in html(report)

    listed = segment_files

    def and_gone(folder):
        found = listed(folder)
        (run / "snapshots" / "01-000000.segment").unlink(missing_ok=True)
        return found

    monkeypatch.setattr("reportgen.store.log.segment_files", and_gone)
    assert any("01-000000.segment is missing" in problem for problem in open_run(run).problems)


def test_a_run_that_goes_on_changing_is_given_up_with_a_reason(run, monkeypatch):
    monkeypatch.setattr(Record, "verify", lambda self: None)
    flip_last_byte(run, 4)
    with pytest.raises(RunError, match=r"02-000000\.segment is damaged"):
        reportgen.build(run, embedding="pca")


def test_all_snapshots_damaged_is_one_sentence(run):
    for file in (run / "snapshots").glob("*.segment"):
        file.write_bytes(b"\0" + file.read_bytes()[1:200])
    with pytest.raises(RunError, match="holds no readable snapshot"):
        reportgen.build(run)


def test_many_problems_are_counted_and_not_all_listed(run):
    for step in range(5, 60):
        (run / "snapshots" / f"{step:08d}.safetensors").write_bytes(b"half")
    found = warnings_of(run)
    assert len(found) == 13
    assert found[-1] == "43 further parts of the run could not be read."


@contextmanager
def as_nobody():
    """Without root's right to write anywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(tmp_path):
    """A folder that others may enter; pytest's own are root's alone."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


EMPTY = reportgen.Report(Document("title", "headline", (), (), {}))


def test_a_read_only_folder_is_named_and_nothing_is_changed(open_folder, run):
    target, closed = Path(shutil.copytree(run, open_folder / "run")), open_folder / "closed"
    closed.mkdir()
    before = {file: file.read_bytes() for file in target.rglob("*") if file.is_file()}
    for folder in (closed, target, *(f for f in target.rglob("*") if f.is_dir())):
        folder.chmod(0o555)
    for options in ({}, {"overwrite": True}, {"resume_at": 2}):
        with as_nobody(), pytest.raises(RunError, match=f"{target}.*Permission denied"):
            RunWriter(target, header(3, 6, 1), **options)
    with as_nobody(), pytest.raises(RunError, match="can't be made a run directory: Permission denied"):
        RunWriter(closed / "new", header(3, 6, 1))
    with as_nobody(), pytest.raises(ReportgenError, match=r"can't write .*report.html: Permission denied"):
        EMPTY.save(target / "report.html")
    assert {file: file.read_bytes() for file in target.rglob("*") if file.is_file()} == before
    for folder in (target, *(f for f in target.rglob("*") if f.is_dir())):
        folder.chmod(0o755)


def test_a_run_that_may_not_be_read_is_named(open_folder, run):
    target = Path(shutil.copytree(run, open_folder / "run"))
    (target / "run.json").chmod(0)
    with as_nobody(), pytest.raises(RunError, match=r"run\.json is damaged.*Permission denied"):
        open_run(target)


@contextmanager
def full_disk(after: int):
    """No file may grow beyond `after` bytes: as a disk that is full, for this process."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_and_what_was_recorded_before_is_whole(tmp_path):
    path = tmp_path / "run"
    arrays = {"conv/kernel": np.arange(50_000, dtype=np.float32)}
    writer = RunWriter(path, header(3, 6, 1))
    writer.snapshot(0, 0, {"params": arrays})
    with full_disk(100_000):
        with pytest.raises(RunError, match=r"00-000000\.segment could not be written: File too large"):
            writer.snapshot(1, 1, {"params": arrays})
        writer.close("failed", 1.0)
    opened = open_run(path)
    assert list(opened.snapshots) == [0]
    assert opened.status == "failed"
    assert opened.snapshots[0].params["conv/kernel"].tobytes() == arrays["conv/kernel"].tobytes()
    assert not list(path.rglob("*.partial"))


def test_a_row_that_a_full_disk_did_not_take_is_an_error_at_once_and_when_closing(tmp_path):
    writer = RunWriter(tmp_path / "run", header(3, 6, 1))
    writer.snapshot(0, 0, {"params": {"conv/kernel": np.zeros(3, np.float32)}})
    with full_disk(10), pytest.raises(RunError, match=r"steps\.jsonl could not be written: File too large"):
        writer.step_rows(MetricRow(1, 1, reported={"train_loss": 1.0}))
    with full_disk(10), pytest.raises(RunError, match="could not be written: File too large"):
        writer.close("failed", 1.0)
    # The lock is free again, and the torn row counts for nothing.
    assert open_run(tmp_path / "run").steps == ()
    RunWriter(tmp_path / "run", header(3, 6, 1), overwrite=True).close("finished", 0.0)


def test_a_full_disk_leaves_the_old_report(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    with full_disk(1000), pytest.raises(ReportgenError, match=r"can't write .*report.html: File too large"):
        EMPTY.save(target)
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["report.html"]


def test_overwriting_that_is_stopped_half_way_leaves_no_run(run, monkeypatch):
    """The old run's rest must not be taken for a run."""

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("reportgen.store.writer.write_bytes", stopped)
    with pytest.raises(KeyboardInterrupt):
        RunWriter(run, header(3, 6, 1), overwrite=True)
    with pytest.raises(RunError, match=r"it has no run\.json"):
        open_run(run)


def test_a_damaged_run_file_can_not_be_resumed(run):
    (run / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json is missing or damaged"):
        RunWriter(run, header(3, 6, 1), resume_at=2)


def test_a_report_says_how_the_recording_ended(tmp_path):
    run = write_run(tmp_path / "run", status="interrupted")
    assert any("did not finish (status: interrupted)" in warning for warning in warnings_of(run))


def test_without_activations_parameters_are_still_shown(run):
    shutil.rmtree(run / "activations")
    report = reportgen.build(run, embedding="pca").document
    assert {"curves", "parameters", "health", "overview"} <= {section.anchor for section in report.sections}
    assert html(report)
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
