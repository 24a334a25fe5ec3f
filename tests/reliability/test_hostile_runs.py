"""A run directory with anything in it ends in a reportgen error or in a report that says what is left out.

Never in a traceback, a hang, or memory that a mere claim asks for.
"""

import json
import shutil
import signal
import struct
import tempfile
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reportgen
from reportgen.core.run import Run
from reportgen.errors import ReportgenError, RunError
from reportgen.page.html import html
from reportgen.store import open_run
from tests.reliability import count
from tests.reliability.mutations import damages
from tests.reliability.runs import write_run
from tests.snapshots import rewrite

ANYHOW = {"suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def numbers(whole, tmp_path_factory) -> dict[str, bytes]:
    """What `--numbers` writes for the whole run."""
    folder = tmp_path_factory.mktemp("numbers")
    reportgen.build(whole, embedding="pca").write_numbers(folder)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@contextmanager
def damaged(whole: Path, changes):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(shutil.copytree(whole, Path(folder) / "run"))
        for change in changes:
            try:
                change(run)
            except (FileNotFoundError, ValueError, KeyError, IndexError, ZeroDivisionError, TypeError) as error:
                # The change before this one took away what this one changes.
                if len(changes) == 1:
                    raise AssertionError("a change of a whole run failed") from error
            except Exception:
                if len(changes) == 1:
                    raise
        yield run


@contextmanager
def no_hang(seconds: int = 120):
    def late(*_):
        raise AssertionError(f"still not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read_all(run: Run) -> None:
    """Read every array of a run; what is damaged is a RunError."""
    for snapshot in run.snapshots.values():
        list(snapshot.params.values())
    for answers in run.observations.values():
        list(answers.maps.values())


@settings(max_examples=count(100, 1000), **ANYHOW)
@given(changes=st.lists(damages(), min_size=1, max_size=3))
def test_reading_a_damaged_run_ends_in_a_run_or_a_reportgen_error(whole, changes):
    with damaged(whole, changes) as path, no_hang():
        try:
            read_all(open_run(path))
        except RunError as error:
            assert str(error)


@settings(max_examples=count(10, 45), **ANYHOW)
@given(changes=st.lists(damages(), min_size=1, max_size=2))
def test_building_from_a_damaged_run_ends_in_a_report_or_a_reportgen_error(whole, numbers, changes):
    with damaged(whole, changes) as path, no_hang():
        try:
            built = reportgen.build(path, embedding="pca")
        except ReportgenError as error:
            assert str(error)
            return
        page = html(built.document)
        assert page.endswith("</html>\n")
        built.write_numbers(path.parent / "numbers")
        told = any("could not be read" in warning for warning in built.document.warnings)
        if open_run(path, verify=True).problems and not told and len(changes) == 1:
            # Nothing on the page is taken from the damaged part: the numbers are those of the whole run.
            assert contents(path.parent / "numbers") == numbers


@settings(max_examples=count(5, 30), **ANYHOW)
@given(changes=st.lists(damages(), min_size=1, max_size=2), side=st.sampled_from(["base", "new"]))
def test_comparing_with_a_damaged_run_ends_in_a_comparison_or_a_reportgen_error(whole, changes, side):
    with damaged(whole, changes) as path, no_hang():
        other = "new" if side == "base" else "base"
        try:
            compared = reportgen.compare(**{side: path, other: whole}, embedding="pca")
        except ReportgenError as error:
            assert str(error)
            return
        assert html(compared.document).endswith("</html>\n")
        compared.write_numbers(path.parent / "numbers")


@settings(max_examples=count(20, 200), **ANYHOW)
@given(content=st.binary(max_size=200), name=st.sampled_from(["run.json", "steps.jsonl", "data.safetensors"]))
def test_arbitrary_bytes_in_the_place_of_a_file(whole, content, name):
    with damaged(whole, [lambda run: (run / name).write_bytes(content)]) as path:
        try:
            read_all(open_run(path))
        except RunError as error:
            assert "run.json" in str(error)
            assert name == "run.json"


@pytest.mark.parametrize("shape", [[2**40], [2**40, 0], [0, 2**62], [2**31, 2**31]])
def test_a_header_that_claims_the_sky_costs_nothing(run_of_one, shape):
    rewrite(run_of_one, lambda step, tensors: None if step == 4 else tensors)
    file = run_of_one / "snapshots" / "00000004.safetensors"  # as formats 1 and 2 have them
    size = 4 * int(np.prod(shape, dtype=object))
    claim = json.dumps(
        {
            "__metadata__": {"step": "4", "epoch": "2", "crc32": "{}"},
            "conv/kernel": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]},
        }
    ).encode()
    file.write_bytes(struct.pack("<Q", len(claim)) + claim)
    tracemalloc.start()
    try:
        run = open_run(run_of_one)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 4 not in run.snapshots
    assert run.problems[0].startswith("snapshots of step 4 left out")
    assert peak < 16 << 20


@pytest.mark.parametrize(
    ("layer", "shape"), [("conv", [2**40, 1, 3]), ("conv", [6, 6, 2**30]), ("output", [2**39]), ("conv", [-1, 6, 3])]
)
def test_a_layer_that_claims_the_sky_is_refused_or_its_activations_are(run_of_one, layer, shape):
    file = run_of_one / "run.json"
    content = json.loads(file.read_text())
    next(part for part in content["layers"] if part["path"] == layer)["shape"] = shape
    file.write_text(json.dumps(content))
    try:
        run = open_run(run_of_one)
    except RunError as error:
        assert "can't have the shape" in str(error)
    else:
        assert not run.observations
        assert len(run.problems) == 3


@pytest.fixture
def run_of_one(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_names_with_dots_and_slashes_stay_in_the_folder(tmp_path):
    run = write_run(tmp_path / "in" / "run")
    names = {"params/conv/kernel": "params/../../../escaped/kernel", "params/hidden/kernel": "params//root/kernel"}
    rewrite(run, lambda step, tensors: {names.get(name, name): array for name, array in tensors.items()})
    content = json.loads((run / "run.json").read_text())
    content["layers"][0]["path"] = "../../conv"
    (run / "run.json").write_text(json.dumps(content))
    built = reportgen.build(run, embedding="pca")
    out = tmp_path / "in" / "out"
    for form in ("dir", "md"):
        built.save(out / form, form)
    built.write_numbers(out / "numbers")
    built.write_figures(out / "figures")
    written = [file for file in tmp_path.rglob("*") if file.is_file() and run not in file.parents]
    assert all(out in file.parents for file in written)
    assert any("escaped" in file.name for file in written)


def test_text_of_every_kind_is_escaped_or_replaced(tmp_path):
    hostile = "</script><script>alert(1)</script>\x00\ud800{{7*7}}\u202e"
    run = write_run(tmp_path / "run")
    content = json.loads((run / "run.json").read_text())
    content["classes"] = [f"{hostile}{i}" for i in range(3)]
    content["config"] = {hostile: hostile, "model": hostile, "dataset": [hostile]}
    content["uncaptured"] = {hostile: hostile}
    content["status"] = hostile
    content["provenance"][hostile] = {hostile: [hostile]}
    for layer in content["layers"]:
        layer["op"] += hostile
    (run / "run.json").write_text(json.dumps(content))
    page = html(reportgen.build(run, embedding="pca").document)
    page.encode()
    assert "<script>alert" not in page
    assert "\x00" not in page
    assert "{{7*7}}" in page


def test_a_layer_without_recorded_activity_is_left_out_of_the_numbers(whole, tmp_path):
    run = open_run(whole)
    step, final = list(run.observations.items())[-1]
    sums = {path: value for path, value in final.outcome.label_sums.items() if path != "conv/max_pool"}
    fewer = replace(final, outcome=replace(final.outcome, label_sums=sums))
    less = replace(run, observations={**run.observations, step: fewer})
    reportgen.build(less, embedding="pca").write_numbers(tmp_path)
    rows = (tmp_path / "activity.csv").read_text(encoding="utf-8")
    assert "\nconv/relu," in rows and "\nconv/max_pool," not in rows
