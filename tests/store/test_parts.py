"""Snapshots that several processes write: put together bit for bit, there once all parts are."""

import json
from pathlib import Path

import numpy as np
import pytest

from reportgen.errors import DamagedError, RunError
from reportgen.store import Layout, Packed, Piece, RunWriter, open_run, raw_bytes, snapshot
from reportgen.store.log import read_log
from reportgen.store.log_writer import LogWriter
from reportgen.store.parts import PartWriter, cut_parts
from reportgen.store.segments import read_segment
from tests.reliability.runs import header

PARTS = 3
"""Of each array the first axis, and of kernels the second in two; the bias is the first process's."""


def arrays(step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {
        "params/kernel": rng.random((6, 4), np.float32),
        "params/half": rng.random((3, 2)).astype(np.float16),
        "params/bias": rng.random(5).astype(np.float32),
        "params/count": np.array(step, np.int32),
        "params/none": np.zeros((0, 3), np.float32),
    }


def pieces(values: dict[str, np.ndarray], process: int) -> list[tuple[Piece, np.ndarray]]:
    found = []
    for name, array in values.items():
        if name in ("params/kernel", "params/half"):
            rows, columns = len(array) // PARTS, array.shape[1] // 2
            for column in (0, columns):
                start = (rows * process, column)
                cut = array[start[0] : start[0] + rows, column : column + columns]
                found.append((Piece(name, array.dtype, cut.shape, start, array.shape), cut))
        elif not process:
            found.append((Piece.all_of(name, array.dtype, array.shape), array))
    return found


def packed(values: dict[str, np.ndarray], process: int) -> Packed:
    everything = [Piece.all_of(name, array.dtype, array.shape) for name, array in values.items()]
    found = pieces(values, process)
    layout = Layout.of([piece for piece, _ in found], PARTS, everything)
    return Packed(layout, memoryview(b"".join(raw_bytes(cut) for _, cut in found)))


def written(folder: Path, steps: range, process: int, values=arrays) -> None:
    until = steps[0] - 1
    writer = LogWriter(folder, until) if process == 0 else PartWriter(folder, process, until)
    for step in steps:
        (writer.append if process == 0 else writer.record)(step, 1, packed(values(step), process), end=step % 10 == 0)
    writer.close()


def write_small_run(path: Path, packed_of, steps: range, **options) -> RunWriter:
    writer = RunWriter(path, header(3, 6, 1), **options)
    writer.batches({})
    for step in steps:
        writer.record(step, 1, packed_of(step))
    return writer


def same(record, expected: dict[str, np.ndarray]) -> None:
    record.verify()
    assert set(record) == set(expected)
    for name, array in expected.items():
        assert record[name].dtype == array.dtype and record.described[name][1] == array.shape
        assert record[name].tobytes() == array.tobytes()


def test_parts_are_put_together_bit_for_bit(tmp_path):
    for process in range(PARTS):
        written(tmp_path, range(20), process)
    log, problems = read_log(tmp_path)
    assert list(log) == list(range(20)) and not problems
    for step in log:
        same(log[step], arrays(step))


def test_of_one_array_only_its_pieces_are_read(tmp_path):
    for process in range(PARTS):
        written(tmp_path, range(2), process)
    segment = tmp_path / "process-2" / "00-000000.segment"
    at = read_segment(segment).offsets[0]
    content = bytearray(segment.read_bytes())
    content[at + 36 + 4 + 4] ^= 1  # in the first piece of the kernel, behind head and checksum
    segment.write_bytes(content)
    record = read_log(tmp_path)[0][1]
    assert record["params/bias"].tolist() == arrays(1)["params/bias"].tolist()
    with pytest.raises(DamagedError, match=r"process-2/00-000000.segment is damaged: step 1"):
        record["params/kernel"]


def test_a_step_is_there_once_all_of_its_parts_are(tmp_path):
    for process, last in enumerate((9, 7, 8)):
        written(tmp_path, range(last), process)
        if process < PARTS - 1:
            assert not len(read_log(tmp_path)[0])
    log, problems = read_log(tmp_path)
    assert list(log) == list(range(7)) and not problems


def test_a_step_in_the_middle_without_a_part_is_told(tmp_path):
    for process in (0, 2):
        written(tmp_path, range(9), process)
    written(tmp_path, range(3), 1)
    written(tmp_path, range(5, 9), 1)
    log, problems = read_log(tmp_path)
    assert list(log) == [0, 1, 2, *range(5, 9)]
    assert problems == [f"{tmp_path.name} of step 3, 4 left out: a process did not write its part of them"]


def test_parts_of_two_writings_of_a_step_are_never_mixed(tmp_path):
    """A step that is written anew, with more collections, counts once all have done so."""

    def more(step):
        return {**{name: array + 1 for name, array in arrays(step).items()}, "step_params/bias": np.float32([1])}

    for process in range(PARTS):
        written(tmp_path, range(1, 4), process)
    logs = [LogWriter(tmp_path, 3), *(PartWriter(tmp_path, process, 3) for process in range(1, PARTS))]
    for process, log in enumerate(logs):
        same(read_log(tmp_path)[0][3], arrays(3))
        (log.record if process else log.append)(3, 1, packed(more(3), process), end=True)
    same(read_log(tmp_path)[0][3], more(3))
    for log in logs:
        log.close()


@pytest.mark.parametrize("change", ["overlap", "gap", "type", "shape", "missing"])
def test_parts_that_do_not_make_whole_arrays_are_refused(tmp_path, change):
    def changed(step):
        values = packed(arrays(step), 1)
        places = dict(enumerate(values.layout.places))
        name, place = places[0]
        if change == "missing":
            del places[0]
        else:
            other = {"overlap": ("start", (2, 2)), "gap": ("start", (1, 0)), "type": ("dtype", "U32")}
            field, value = other.get(change, ("whole", (9, 4)))
            places[0] = name, place._replace(**{field: value})
        layout = values.layout
        return Packed(Layout(list(places.values()), layout.parts, layout.kind, layout.beside), values.payload)

    for process in (0, 2):
        written(tmp_path, range(2), process)
    writer = PartWriter(tmp_path, 1)
    for step in range(2):
        writer.record(step, 1, changed(step))
    writer.close()
    log, _ = read_log(tmp_path)
    with pytest.raises(DamagedError, match="do not make whole arrays"):
        log[1]


@pytest.mark.parametrize(
    "content",
    [
        {"parts": 1, "kind": 0, "beside": 0, "pieces": []},
        {"parts": 2, "kind": -1, "beside": 0, "pieces": []},
        {"parts": 2, "kind": 0, "beside": "many", "pieces": []},
        {"parts": 2, "kind": 0, "beside": 0},
        {"parts": 2, "kind": 0, "beside": 0, "pieces": [["a", "F32", [2], 0, [1], [2]]]},
        {"parts": 2, "kind": 0, "beside": 0, "pieces": [["a", "F32", [2], 0, [0, 0], [2]]]},
        {"parts": 2, "kind": 0, "beside": 0, "pieces": [["a", "F32", [2], 0]]},
        [["a", "F32", [2], 0], ["a", "F32", [2], 8]],
    ],
)
def test_a_layout_that_is_none_is_refused(content):
    with pytest.raises((ValueError, TypeError)):
        Layout.parsed(json.dumps(content).encode())


def test_a_layout_is_read_as_it_was_written():
    for process in range(PARTS):
        layout = packed(arrays(0), process).layout
        assert Layout.parsed(layout.content) == layout
        total = sum(array.nbytes for array in arrays(0).values())
        assert layout.beside + sum(place.nbytes for _, place in layout.places) == total


def test_the_other_processes_give_up_what_the_first_one_does(tmp_path):
    logs = [LogWriter(tmp_path, -1), *(PartWriter(tmp_path, process) for process in range(1, PARTS))]
    for step in range(64):
        for process, log in enumerate(logs):
            (log.record if process else log.append)(step, 1, packed(arrays(step), process), end=step in (7, 21))
    own = sum(file.stat().st_size for file in tmp_path.glob("*.segment"))
    assert logs[0].size == own + 64 * packed(arrays(0), 0).layout.beside  # what the parts take together
    assert logs[0].thin({7, 21}) and logs[0].thin({7, 21})
    log, problems = read_log(tmp_path)
    assert not problems and set(log) == {*range(0, 64, 4), 7, 21}
    for part in logs[1:]:
        part.follow(logs[0].stage, 7)
    for each in logs:
        each.close()
    assert not list(tmp_path.glob("process-*/00-*")) and list(tmp_path.glob("process-1/02-*"))
    log, problems = read_log(tmp_path)
    assert not problems and set(log) == {*range(0, 64, 4), 7, 21}
    for step in log:
        same(log[step], arrays(step))


def test_a_run_of_parts_is_format_4_and_is_replaced_and_gone_on_with(tmp_path):
    run, folder = tmp_path / "run", tmp_path / "run" / "snapshots"
    writer = write_small_run(run, lambda step: packed(arrays(step), 0), range(12))
    for process in range(1, PARTS):
        written(folder, range(12), process)
    writer.close("finished", 1.0)
    assert json.loads((run / "run.json").read_text())["format"] == 4
    opened = open_run(run, verify=True)
    assert list(opened.snapshots) == list(range(12)) and not opened.problems
    np.testing.assert_array_equal(opened.snapshots[5].params["kernel"], arrays(5)["params/kernel"])
    np.testing.assert_array_equal(snapshot(run, 5).params["half"], arrays(5)["params/half"])

    # Gone on with by one process alone.
    values = arrays(8)
    writer = write_small_run(run, lambda step: Packed.of(values), range(8, 9), resume_at=7)
    writer.close("finished", 1.0)
    opened = open_run(run, verify=True)
    assert list(opened.snapshots) == list(range(9)) and not opened.problems
    assert json.loads((run / "run.json").read_text())["format"] == 4

    open_part = PartWriter(folder, 2, 8)
    with pytest.raises(RunError, match="process 2 is still writing its part of the run"):
        write_small_run(run, lambda step: Packed.of(values), range(1), overwrite=True)
    with pytest.raises(RunError, match="process 2 is still writing its part of the run"):
        write_small_run(run, lambda step: Packed.of(values), range(8, 9), resume_at=7)
    open_part.close()
    writer = write_small_run(run, lambda step: Packed.of(values), range(1), overwrite=True)
    writer.close("finished", 1.0)
    assert not list(folder.glob("process-*"))
    assert json.loads((run / "run.json").read_text())["format"] == 3
    cut_parts(folder, -1)


def test_a_part_that_is_written_already_is_refused(tmp_path):
    first = PartWriter(tmp_path, 1)
    with pytest.raises(RunError, match="is being recorded into by another process"):
        PartWriter(tmp_path, 1)
    first.close()
