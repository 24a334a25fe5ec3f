"""Wrong calls of the public functions end in an error of reportgen's, or are taken: never in one from inside."""

import dataclasses
import inspect
import os
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import reportgen
from reportgen.errors import ReportgenError
from reportgen.record import Keep, Recorder, Start
from reportgen.store import open_run, save_run

WRONG = ["no such", object(), np.zeros(3)]
if os.environ.get("REPORTGEN_SOAK"):
    WRONG += [None, 3, -1, 1.5, True, b"x", [], {}, (1,), [1, "a"], int, jax.ShapeDtypeStruct((3,), jnp.float32)]
X, Y = np.random.default_rng(0).random((6, 3)).astype(np.float32), np.arange(6) % 2
DATA = {"probe": (X[:2], Y[:2]), "evaluation": (X, Y)}


VARIABLES = {"w": jnp.ones((3, 2))}


def net(params, inputs):
    return inputs @ params["w"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("calls") / "run"
    Recorder(path, net, VARIABLES, **DATA).close()
    return path


@pytest.fixture
def calls(run, tmp_path):
    """Name -> (function of keyword arguments, its parameters)."""
    report = reportgen.build(run, embedding="pca")
    count = iter(range(10**6))

    def record(**changes):
        given = {"path": tmp_path / str(next(count)), "model": net, "variables": VARIABLES, **DATA}
        with Recorder(**{**given, **changes}) as recorder:
            return recorder

    def during(call, first):
        def made(**changes):
            with recorder() as open_one:
                getattr(open_one, call)(**{first: VARIABLES, **changes})

        return made

    def recorder():
        return Recorder(tmp_path / str(next(count)), net, VARIABLES, **DATA)

    def parameters(function):
        return [name for name, each in inspect.signature(function).parameters.items() if each.kind != each.VAR_KEYWORD]

    return {
        "Recorder": (record, parameters(Recorder)),
        "Keep": (lambda **k: record(keep=Keep(**k)), [each.name for each in dataclasses.fields(Keep)]),
        "Start": (lambda **k: record(start=Start(**k)), [each.name for each in dataclasses.fields(Start)]),
        "step": (during("step", "params"), ["params", "loss", "rate"]),
        "epoch": (during("epoch", "variables"), ["variables", "steps", "losses", "rate"]),
        "build": (lambda **k: reportgen.build(**{"run": run, "embedding": "pca", **k}), parameters(reportgen.build)),
        "open_run": (lambda **k: open_run(**{"path": run, **k}), ["path", "verify"]),
        "save_run": (
            lambda **k: save_run(**{"run": open_run(run), "path": tmp_path / str(next(count)), **k}),
            parameters(save_run),
        ),
        "save": (lambda **k: report.save(**{"path": tmp_path / str(next(count)), **k}), ["path", "format"]),
        "write_figures": (
            lambda **k: report.write_figures(**{"folder": tmp_path / str(next(count)), **k}),
            ["folder", "format"],
        ),
        "with_section": (lambda **k: report.with_section(**{"title": "t", **k}), ["title", "finding"]),
    }


NAMES = "Recorder Keep Start step epoch build open_run save_run save write_figures with_section"


@pytest.mark.parametrize("name", NAMES.split())
def test_a_wrong_argument_ends_in_a_sentence(name, calls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, parameters = calls[name]
    bad = []
    for parameter in parameters:
        for wrong in WRONG:
            try:
                with warnings.catch_warnings(action="ignore"):
                    call(**{parameter: wrong})
            except ReportgenError as error:
                assert str(error)
            except Exception as error:
                bad.append(f"{parameter}={wrong!r:.40}: {type(error).__name__}: {error!s:.80}")
    assert not bad
