import json
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from reportgen.core.run import MetricRow, Observation
from reportgen.errors import RunError
from reportgen.store import RunWriter, layout, open_run, schema, snapshot_at
from reportgen.store.files import Tensors, write_tensors
from reportgen.store.rows import PIECE, read_rows, row_line
from tests.snapshots import flip_last_byte

HEADER = {
    "classes": ["a", "b"],
    "layers": [],
    "config": {},
    "provenance": {},
    "embed_layer": None,
    "uncaptured": {},
}


def test_vectors_are_read_when_they_are_asked_for(recorded, monkeypatch):
    read, tensor = [], Tensors._tensor
    monkeypatch.setattr(Tensors, "_tensor", lambda file, name: read.append(name) or tensor(file, name))
    final = open_run(recorded).observations[12]
    assert final.epoch == 2 and not [name for name in read if name in schema.VECTORS.values()]
    assert len(final.vectors["embedding"]) and read.count(schema.VECTORS["embedding"]) == 1


def test_a_recorded_run_has_every_batch_and_every_epoch(recorded):
    run = open_run(recorded)
    assert list(run.snapshots) == list(range(13))
    assert [run.snapshots[step].epoch for step in run.snapshots] == [0] + [1] * 6 + [2] * 6
    assert list(run.observations) == [0, 6, 12]
    assert [row["step"] for row in run.steps] == list(range(1, 13))
    assert [row["epoch"] for row in run.epochs] == [0, 1, 2]
    assert run.status == "finished"
    assert run.problems == ()
    assert run.snapshots[12].params["conv1/kernel"].shape == (3, 3, 1, 4)


def test_snapshots_of_the_run_change_from_batch_to_batch(recorded):
    run = open_run(recorded)
    kernels = [run.snapshots[step].params["hidden/kernel"] for step in run.snapshots]
    assert all(not np.array_equal(a, b) for a, b in pairwise(kernels))


def test_asking_what_there_is_reads_nothing(recorded, monkeypatch):
    run = open_run(recorded)
    snapshot, activations = run.snapshots[0], run.observations[0]

    def read(self, name):
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(Tensors, "__getitem__", read)
    assert 0 in run.observations and 1 not in run.observations and 1000 not in run.snapshots
    assert "conv1/kernel" in snapshot.params and "conv1" not in snapshot.params
    assert "conv1" in activations.maps and "maps/conv1" not in activations.maps


def test_evaluation_images_come_back_as_they_were_fed_in(recorded, tmp_path):
    from tests.conftest import tiny_dataset

    images = open_run(recorded).batch("evaluation").images
    np.testing.assert_array_equal(images, tiny_dataset().test_images)
    assert images[:1].dtype == np.float32
    assert [image.shape for image in images] == [(8, 8, 1)] * 100


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "run.json").unlink(), "it has no run.json"),
        (lambda run: (run / "run.json").write_text("{"), "run.json is damaged"),
        (lambda run: (run / "run.json").write_text("[]"), "run.json is damaged"),
        (lambda run: (run / "run.json").write_text('{"format": 1}'), "run.json is damaged: .*classes"),
        (lambda run: (run / "run.json").write_text('{"format": 99}'), "has run format 99"),
        (lambda run: [f.unlink() for f in (run / "snapshots").iterdir()], "no readable snapshot"),
    ],
)
def test_what_can_not_be_opened_is_refused_with_its_reason(run_copy, damage, message):
    damage(run_copy)
    with pytest.raises(RunError, match=message):
        open_run(run_copy)


def test_no_directory_at_all(tmp_path):
    with pytest.raises(RunError, match="nothing is not a directory"):
        open_run(tmp_path / "nothing")


def test_a_damaged_snapshot_is_left_out_and_named(run_copy):
    flip_last_byte(run_copy, 5)
    run = open_run(run_copy, verify=True)
    assert 5 not in run.snapshots
    assert len(run.snapshots) == 12
    assert len(run.problems) == 1
    assert run.problems[0].startswith("snapshots of step 5 left out")
    assert str(run_copy) not in run.problems[0]


def test_a_file_under_another_steps_name_is_left_out(run_copy):
    observations = run_copy / layout.ACTIVATIONS
    layout.step_file(observations, 6).write_bytes(layout.step_file(observations, 12).read_bytes())
    run = open_run(run_copy)
    assert 6 not in run.observations
    assert "says it is step 12" in run.problems[0]


def test_half_written_files_are_not_taken_for_whole_ones(run_copy):
    (run_copy / layout.SNAPSHOTS / ".00000099.safetensors.partial").write_bytes(b"half")
    assert list(open_run(run_copy).snapshots) == list(range(13))


def test_rows_survive_a_torn_last_line_and_count_torn_middles(tmp_path):
    file = tmp_path / "rows.jsonl"
    whole = [MetricRow(1, 1, {}, {"x": 1}), MetricRow(3, 1, {"val_accuracy": 0.5}, {"val_accuracy": 97.5})]
    one, three = map(row_line, whole)
    file.write_text(f'{one}{{"step": 2, "x"\n{three}{{"step": 4, "epoch": 1, "reported": {{"x": 4')
    rows, unreadable = read_rows(file)
    assert rows == whole
    assert unreadable == 1


def test_a_step_that_stands_twice_counts_as_written_last(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(row_line(MetricRow(1, 1, {}, {"x": x})) for x in (1, 2)))
    assert read_rows(file) == ([MetricRow(1, 1, {}, {"x": 2})], 0)


def test_a_row_is_valid_json_and_keeps_every_digit(tmp_path):
    values = {"whole": 3, "third": 1 / 3, "nan": np.nan, "least": -np.inf, "most": np.inf, "tiny": 5e-324}
    line = row_line(MetricRow(1, 1, {}, values))

    def refuse(text):
        raise AssertionError(text)

    assert json.loads(line, parse_constant=refuse)["reported"]["least"] == "-Infinity"
    (tmp_path / "rows.jsonl").write_text(line)
    (row,), _ = read_rows(tmp_path / "rows.jsonl")
    np.testing.assert_equal(dict(row.reported), values)
    assert type(row.reported["whole"]) is int


def test_rows_of_format_1_count_val_accuracy_as_measured(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"step": 1, "epoch": 1, "val_accuracy": 0.5, "val_loss": NaN}\n')
    (row,), unreadable = read_rows(tmp_path / "rows.jsonl")
    assert row.measured == {"val_accuracy": 0.5} and list(row.reported) == ["val_loss"] and not unreadable


def test_a_directory_that_holds_a_run_is_refused(run_copy):
    before = sorted(p.name for p in (run_copy / layout.SNAPSHOTS).iterdir())
    with pytest.raises(RunError, match="already holds a run"):
        RunWriter(run_copy, HEADER)
    assert sorted(p.name for p in (run_copy / layout.SNAPSHOTS).iterdir()) == before


def test_overwrite_replaces_all_of_it(run_copy):
    writer = RunWriter(run_copy, HEADER, overwrite=True)
    assert list((run_copy / layout.SNAPSHOTS).iterdir()) == []
    assert layout.listed_steps(run_copy / layout.ACTIVATIONS) == []
    assert (run_copy / layout.STEPS_FILE).read_text() == ""
    assert not (run_copy / layout.CHECKPOINTS).exists()
    writer.close("finished", 1.0)


def test_resuming_drops_what_lies_after_the_step(run_copy):
    before = json.loads((run_copy / "run.json").read_text())["provenance"]
    assert 0 < before["evaluating_seconds"] < before["seconds"]
    writer = RunWriter(run_copy, HEADER, resume_at=6)
    writer.observation(Observation(7, 2, {}), 0.25)
    (run_copy / layout.ACTIVATIONS / "00000007.safetensors").unlink()
    writer.close("finished", 1.0)
    assert list(open_run(run_copy).snapshots) == list(range(7))
    assert layout.listed_steps(run_copy / layout.ACTIVATIONS) == [0, 6]
    assert [row.step for row in read_rows(run_copy / layout.STEPS_FILE)[0]] == list(range(1, 7))
    assert [row.step for row in read_rows(run_copy / layout.EPOCHS_FILE)[0]] == [0, 6]
    after = json.loads((run_copy / "run.json").read_text())["provenance"]
    assert after["seconds"] == pytest.approx(before["seconds"] + 1)
    assert after["evaluating_seconds"] == pytest.approx(before["evaluating_seconds"] + 0.25)


def test_two_writers_at_once_are_refused(tmp_path):
    first = RunWriter(tmp_path / "run", HEADER)
    with pytest.raises(RunError, match="still being recorded into by a Recorder of this process: close it first"):
        RunWriter(tmp_path / "run", HEADER, overwrite=True)
    first.close("finished", 0.0)
    RunWriter(tmp_path / "run", HEADER, overwrite=True).close("finished", 0.0)


def test_the_run_directory_can_not_be_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="can't be made a run directory"):
        RunWriter(tmp_path / "file", HEADER)


def test_the_epoch_of_a_snapshot(recorded):
    assert [snapshot_at(recorded, step)[0] for step in (0, 6, 7)] == [0, 1, 2]


def test_the_run_file_names_no_path_and_no_user(recorded):
    text = (recorded / "run.json").read_text()
    assert str(recorded.parent) not in text
    assert "/home" not in text


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "name", ["checkpoints/step_1.pt", "data.safetensors", "steps.jsonl", "snapshots/00000001.safetensors", "thesis.tex"]
)
@pytest.mark.parametrize("other", [None, "run.json"])
def test_what_no_recorder_wrote_is_never_deleted(tmp_path, name, overwrite, other):
    """Twice: the first attempt must leave nothing that makes the second one think that all of it is ours."""
    file = tmp_path / "mine" / name
    file.parent.mkdir(parents=True)
    file.write_text('{"mine": 1}\n')
    if other:
        (tmp_path / "mine" / other).write_text('{"format": "of another program"}')
    for _ in range(2):
        with pytest.raises(
            RunError, match=r"refusing to overwrite: '.*' was not written by .* choose an empty or new directory"
        ):
            RunWriter(tmp_path / "mine", HEADER, overwrite=overwrite)
        assert file.read_text() == '{"mine": 1}\n'


def test_left_overs_of_a_killed_recording_are_ours_and_a_foreign_file_among_them_is_named(run_copy):
    (run_copy / "run.json").unlink()
    (run_copy / ".data.safetensors.partial").write_bytes(b"half")
    (run_copy / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"'notes\.txt' was not written by reportgen"):
        RunWriter(run_copy, HEADER)
    assert (run_copy / "data.safetensors").exists()
    (run_copy / "notes.txt").unlink()
    RunWriter(run_copy, HEADER).close("finished", 0.0)
    assert not (run_copy / "data.safetensors").exists()
    assert not (run_copy / ".data.safetensors.partial").exists()


def test_a_report_beside_a_run_stays_when_the_run_is_replaced(run_copy):
    (run_copy / "report.html").write_text("mine")
    RunWriter(run_copy, HEADER, overwrite=True).close("finished", 0.0)
    assert (run_copy / "report.html").read_text() == "mine"


def test_many_rows_are_read_as_few_are(tmp_path):
    file = tmp_path / "rows.jsonl"
    values = (0.5, 7, np.nan, np.inf, -np.inf, 1e-300, 2**70)
    rows = [MetricRow(step, step // 9, {}, {"loss": values[step % 7]}) for step in range(1, 4001)]
    rows[5] = MetricRow(6, 0, {"val_accuracy": 0.25}, {})
    text = "".join(map(row_line, rows))
    file.write_text(text)
    whole, unreadable = read_rows(file)
    np.testing.assert_equal([row.flat for row in whole], [row.flat for row in rows])
    assert not unreadable and len(text) > 2 * PIECE
    # A line of another form, or none, has all of them read in the general way.
    file.write_text(text + '{"step": 5000, "epoch": 1, "val_loss": 2.5}\n{"step": 5001, "ep')
    mixed, unreadable = read_rows(file)
    np.testing.assert_equal([row.flat for row in mixed[:-1]], [row.flat for row in rows])
    assert mixed[-1].reported == {"val_loss": 2.5} and not unreadable


@pytest.mark.parametrize(("whole", "real"), [(np.uint8, np.float64), (np.int32, np.float16)])
def test_numbers_of_another_type_come_back_as_the_type_they_are(recorded, run_copy, whole, real):
    """Another program may have written them: a file whose checksum is right, and whose values fit."""
    run = open_run(recorded)
    step, expected = max(run.observations), run.observations[max(run.observations)]
    for file in (layout.step_file(run_copy / layout.ACTIVATIONS, step), run_copy / layout.VECTORS_FILE):
        held = Tensors(file)
        changed = {name: value.astype(whole if value.dtype.kind in "iu" else real) for name, value in held.items()}
        write_tensors(file, changed, schema.place(*schema.read_place(held)))
    found = open_run(run_copy, verify=True).observations[step]
    assert found.outcome.input_sums.dtype == np.float64
    assert found.outcome.loss is None  # it is among the metrics
    for part in (part for part in fields(expected.outcome) if part.name != "loss"):
        one, other = getattr(expected.outcome, part.name), getattr(found.outcome, part.name)
        pairs = [(one, other)] if isinstance(one, np.ndarray) else [(one[path], other[path]) for path in one]
        assert all(before.dtype == after.dtype for before, after in pairs)
    assert {value.dtype for value in found.ranges.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(found.outcome.predictions, expected.outcome.predictions)
    assert found.layer_vectors.examples.dtype == np.int64
