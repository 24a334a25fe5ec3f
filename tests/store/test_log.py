"""The log of snapshots: what is written is read bit for bit, what was torn, damaged or given up is left out alone."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reportgen.errors import DamagedError
from reportgen.store import log_writer
from reportgen.store.log import read_log
from reportgen.store.log_writer import LogWriter
from reportgen.store.packed import Packed
from reportgen.store.schema import read_snapshot
from reportgen.store.segments import HEAD, read_segment
from tests.snapshots import raw, records


def arrays(step: int) -> dict[str, np.ndarray]:
    return {
        "params/a/kernel": np.full((20, 30), step, np.float32),
        "params/a/bias": np.arange(5, dtype=np.float32) + step,
        "batch_stats/count": np.array(step, np.int32),
        "params/none": np.zeros((0, 3), np.float16),
    }


def written(folder: Path, steps: int, until: int = -1) -> LogWriter:
    writer = LogWriter(folder, until)
    for step in range(max(until + 1, 0), steps):
        writer.append(step, step // 10, Packed.of(arrays(step)), end=step % 10 == 0)
    return writer


def same(record, step: int) -> None:
    record.verify()
    assert record.metadata["step"] == str(step) and set(record) == set(arrays(step))
    for name, array in arrays(step).items():
        assert record[name].dtype == array.dtype
        np.testing.assert_array_equal(record[name], array)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(log_writer, "SEGMENT_BYTES", 20_000)


@pytest.mark.parametrize("closed", [False, True])
def test_what_is_appended_is_read_with_and_without_indexes(tmp_path, closed):
    writer = written(tmp_path, 100)
    if closed:
        writer.close()
    log, problems = read_log(tmp_path)
    assert list(log) == list(range(100)) and not problems
    assert closed == (len(list(tmp_path.glob("*.index"))) == len(list(tmp_path.glob("*.segment"))))
    for step in log:
        same(log[step], step)
        assert log[step].metadata["epoch"] == str(step // 10)
    writer.close()


def test_an_array_that_begins_and_ends_within_blocks_is_whole_and_its_form_is_known_unread(tmp_path, monkeypatch):
    values = {f"params/{name}": np.arange(size, dtype=np.int32) for name, size in (("a", 5), ("b", 70_000), ("c", 3))}
    writer = LogWriter(tmp_path, -1)
    writer.append(0, 0, Packed.of(values), end=True)
    writer.close()
    snapshot = read_snapshot(read_log(tmp_path)[0][0])
    for name, array in snapshot.params.items():
        np.testing.assert_array_equal(array, values[f"params/{name}"])
        array[0] = 1  # it is the reader's own
    monkeypatch.setattr("reportgen.store.log.read_payload", None)
    assert {name: (form.shape, form.dtype) for name, form in snapshot.forms.items()} == {
        name.removeprefix("params/"): (array.shape, array.dtype) for name, array in values.items()
    }


def test_a_record_is_read_by_numpy_alone(tmp_path):
    folder = tmp_path / "snapshots"
    folder.mkdir()
    written(folder, 12).close()
    assert list(records(tmp_path)) == list(range(12))
    for name, array in raw(tmp_path, 7).items():
        np.testing.assert_array_equal(array, arrays(7)[name])


@pytest.mark.parametrize(
    ("array", "kept"),
    [
        (np.array([[True, False]]), np.bool_),
        (np.arange(6, dtype=np.uint8), np.uint8),
        (np.array([1.5, -2], ml_dtypes.bfloat16), ml_dtypes.bfloat16),
        (np.array([1, -2], ml_dtypes.int4), np.int8),
        (np.array([0.5], ml_dtypes.float8_e4m3fn), np.float32),
        (np.array([1 + 2j], np.complex128), np.complex64),
        (np.array(3.25, np.float64), np.float64),
    ],
)
def test_arrays_of_every_type(tmp_path, array, kept):
    writer = LogWriter(tmp_path, -1)
    writer.append(1, 1, Packed.of({"params/x": array, "params/y": np.float32(1)}))
    writer.close()
    log, _ = read_log(tmp_path)
    assert log[1]["params/x"].dtype == kept and log[1]["params/x"].shape == array.shape
    np.testing.assert_array_equal(log[1]["params/x"], array.astype(kept))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 2500))
def test_a_torn_end_is_no_record_and_no_damage_and_is_written_anew(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("log")
    written(folder, 8).close()
    segment = folder / "00-000000.segment"
    content = segment.read_bytes()
    segment.write_bytes(content[: len(content) - cut])
    log, problems = read_log(folder)
    last = max(step for step in log if step % 2)
    assert not problems and set(log) == {0, 2, 4, 6, *range(1, last + 1, 2)} and last in (3, 5)
    writer = LogWriter(folder, 7)
    for step in range(last + 2, 8, 2):
        writer.append(step, 0, Packed.of(arrays(step)))
    writer.close()
    assert segment.read_bytes() == content


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), bit=st.integers(0, 7), indexed=st.booleans())
def test_a_flipped_bit_costs_one_record_at_most_and_is_told(tmp_path_factory, at, bit, indexed):
    folder = tmp_path_factory.mktemp("log")
    written(folder, 8).close()
    if not indexed:
        (folder / "00-000000.index").unlink()
    segment = folder / "00-000000.segment"
    content = bytearray(segment.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1 << bit
    segment.write_bytes(content)
    log, problems = read_log(folder)
    broken = set(range(8)) - set(log)
    for step in log:
        try:
            same(log[step], step)
        except DamagedError as error:
            broken.add(step)
            assert "00-000000.segment" in str(error)
    # Without an index the last record may look torn; a layout's loss is that of all that need it.
    assert problems or indexed or not set(range(7)) - set(log)
    assert broken <= {1, 3, 5, 7} and (len(broken) <= 1 or not indexed)


def test_a_log_goes_on_after_a_step_as_if_never_stopped(tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    once.mkdir(), twice.mkdir()
    written(once, 60).close()
    written(twice, 45).close()
    written(twice, 60, until=30).close()
    assert {f.name: f.read_bytes() for f in once.iterdir()} == {f.name: f.read_bytes() for f in twice.iterdir()}


def test_an_end_that_was_written_anew_is_not_replaced_by_what_it_was_before(tmp_path):
    writer = written(tmp_path, 9)
    writer.append(7, 0, Packed.of(arrays(70)), end=True)
    assert writer.thin({0, 7})
    writer.close()
    log, _ = read_log(tmp_path)
    assert list(log) == [0, 2, 4, 6, 7, 8] and log[7]["batch_stats/count"] == 70
    writer = LogWriter(tmp_path, 8, 1)
    writer.append(6, 0, Packed.of(arrays(60)), end=True)
    assert writer.thin({0, 6, 7})
    writer.close()
    log, _ = read_log(tmp_path)
    assert list(log) == [0, 4, 6, 7, 8] and [log[step]["batch_stats/count"] for step in (6, 7)] == [60, 70]


def test_thinning_keeps_powers_of_two_and_ends(tmp_path):
    writer = written(tmp_path, 64)
    size = writer.size
    assert writer.thin({7}) and writer.stage == 1
    assert writer.size < 0.7 * size
    assert writer.thin({7, 18}) and writer.stage == 2
    assert not writer.append(66, 6, Packed.of(arrays(66))) and writer.append(68, 6, Packed.of(arrays(68)))
    assert writer.append(69, 6, Packed.of(arrays(69)), end=True)
    writer.close()
    log, problems = read_log(tmp_path)
    kept = {step for step in range(64) if step % 4 == 0 or step % 10 == 0} | {7, 18, 68, 69}
    assert set(log) == kept and not problems
    for step in log:
        same(log[step], step)
    # Ends that were copied stand after later ones: going on drops what is to be dropped all the same.
    writer = LogWriter(tmp_path, 15, writer.stage)
    writer.close()
    assert set(read_log(tmp_path)[0]) == {step for step in kept if step <= 15}


def test_the_last_record_of_a_step_counts(tmp_path):
    writer = LogWriter(tmp_path, -1)
    for value in (1, 2):
        writer.append(3, 1, Packed.of({"params/x": np.float32(value)}))
    assert float(read_log(tmp_path)[0][3]["params/x"]) == 2
    writer.close()


def test_an_index_of_another_file_is_not_believed(tmp_path):
    written(tmp_path, 8).close()
    other = tmp_path / "other"
    other.mkdir()
    written(other, 40).close()
    (other / "00-000000.index").rename(tmp_path / "00-000000.index")
    assert list(read_log(tmp_path)[0]) == list(range(8))


def test_layouts_that_claim_more_than_there_is_allocate_nothing(tmp_path):
    writer = LogWriter(tmp_path, -1)
    packed = Packed.of({"params/x": np.zeros(4, np.float32)})
    packed.layout.__dict__["content"] = b'[["params/x","F32",[1099511627776],0]]'
    writer.append(1, 1, packed)
    log, _ = read_log(tmp_path)
    assert log[1].described["params/x"] == ("F32", (2**40,))
    with pytest.raises(DamagedError, match="outside of its record"):
        log[1]["params/x"]
    with pytest.raises(DamagedError, match="outside of its record"):
        log[1].verify()
    writer.close()


def test_a_head_that_claims_more_than_there_is_costs_nothing(tmp_path):
    written(tmp_path, 2).close()
    (tmp_path / "00-000000.index").unlink()
    segment = tmp_path / "00-000000.segment"
    segment.write_bytes(HEAD.pack(b"RGR1", 0, 2**60, 1, 1, 0) + segment.read_bytes())
    found = read_segment(segment)
    assert list(found.steps) == [1] and found.gaps == [(0, HEAD.size)]
