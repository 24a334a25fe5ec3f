"""What can be mended is also what Python calls it: a missing file, a value, a thing that is there already."""

import inspect
import pickle
import traceback

import numpy as np
import pytest

import reportgen
from reportgen import errors
from reportgen.data.pictures import as_pictures
from reportgen.npz import read_npz
from reportgen.page.outline import figures
from reportgen.store import RunWriter
from reportgen.weights import read
from tests.conftest import tiny_model

EMPTY = {"classes": [], "layers": [], "config": {}, "provenance": {}, "embed_layer": None, "uncaptured": {}}


@pytest.mark.parametrize(
    ("use", "kind", "own"),
    [
        (lambda here: reportgen.open_run(here / "none"), FileNotFoundError, errors.RunError),
        (lambda here: reportgen.open_run(here), FileNotFoundError, errors.RunError),
        (lambda here: read(here / "none.npz", None), FileNotFoundError, errors.WeightsError),
        (lambda here: read_npz(here / "none.npz", errors.DataError), FileNotFoundError, errors.DataError),
        (lambda here: as_pictures([here / "none.png"]), FileNotFoundError, errors.DataError),
        (lambda here: reportgen.load_dataset("none"), ValueError, errors.DataError),
        (lambda here: reportgen.inspect("none", [np.zeros((8, 8))]), ValueError, errors.ModelError),
        (lambda here: reportgen.inspect(), ValueError, errors.OptionError),
    ],
)
def test_an_error_is_also_what_python_calls_it(tmp_path, use, kind, own):
    with pytest.raises(own) as caught:
        use(tmp_path)
    assert isinstance(caught.value, kind) and isinstance(caught.value, errors.ReportgenError)


def test_a_run_that_is_there_is_a_file_that_exists(tmp_path):
    RunWriter(tmp_path / "run", EMPTY).close("finished", 0.0)
    with pytest.raises(FileExistsError, match="already holds a run") as caught:
        RunWriter(tmp_path / "run", EMPTY)
    assert isinstance(caught.value, errors.RunError)
    RunWriter(tmp_path / "run", EMPTY, overwrite=True).close("finished", 0.0)


@pytest.mark.parametrize(("name", "now"), [("BuiltReport", "Report"), ("load", "load_dataset")])
def test_an_earlier_name_works_and_says_its_new_one(name, now):
    with pytest.warns(DeprecationWarning, match=f"reportgen.{name} is called reportgen.{now} now"):
        assert getattr(reportgen, name) is getattr(reportgen, now)
    assert name not in dir(reportgen)


def test_inspects_earlier_arguments_work_and_say_their_new_form(recorded):
    with pytest.warns(DeprecationWarning, match=r"inspect\(value_range=...\) is normalize=\(A, B\) now"):
        report = reportgen.inspect(run=recorded, model=tiny_model(), layers=["conv1"], value_range=(0, 1))
    assert any("Fixed range 0 (black) to 1 (white)" in figure.caption for figure in figures(report.document))
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        reportgen.inspect(run=recorded, colour="red")
    with pytest.warns(DeprecationWarning), pytest.raises(errors.OptionError, match="exclude each other"):
        reportgen.inspect(run=recorded, normalize="channel", value_range=(0, 1))


def test_a_warning_names_the_line_of_the_users_own_code(recwarn):
    inside = {"__name__": "reportgen.deep"}
    exec("def deep(warn):\n    warn('mind', code='C202')", inside)
    line = inspect.currentframe().f_lineno + 1
    inside["deep"](errors.warn)
    (warning,) = recwarn
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_a_recorders_warning_names_the_call(recwarn, tmp_path):
    x = np.zeros((4, 3), np.float32)
    with reportgen.Recorder(
        tmp_path / "run", lambda params, x: x @ params["w"], {"params": {"w": np.eye(3)}}, probe=x
    ) as recorder:
        line = inspect.currentframe().f_lineno + 1
        recorder.epoch({"params": {"w": np.eye(3)}})
    named = [(w.filename, w.lineno) for w in recwarn if "without step()" in str(w.message)]
    assert named == [(__file__, line)]


def test_a_code_stands_in_the_traceback_below_the_message_and_not_in_it():
    with pytest.raises(errors.DataError) as caught:
        reportgen.load_dataset("none")
    assert caught.value.code == "D101" and "D101" not in str(caught.value)
    assert "[D101]" in "".join(traceback.format_exception(caught.value)).splitlines()[-1]
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.code, again.__notes__) == (str(caught.value), "D101", caught.value.__notes__)
    with pytest.raises(errors.NoDataError) as caught:
        as_pictures(["none.png"])
    assert caught.value.code == "F101" and str(caught.value) == "none.png: no such file"
