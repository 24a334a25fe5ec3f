"""Wrong calls of the public functions end in an error of reportgen's, or are taken: never in one from inside."""

import dataclasses
import inspect
import os
import warnings
from itertools import count

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.serialization import to_bytes

import reportgen
from reportgen.core.report import Raster
from reportgen.data import make_dataset
from reportgen.errors import ReportgenError
from reportgen.record import Keep, Recorder, Start
from reportgen.store import open_run, save_run

WRONG = ["no such", object(), np.zeros(3)]
if os.environ.get("REPORTGEN_SOAK"):
    WRONG += [None, 3, -1, 1.5, float("nan"), True, b"x", [], {}, (1,), [1, "a"], int]
    WRONG += [lambda *given: None, jax.ShapeDtypeStruct((3,), jnp.float32)]
X, Y = np.random.default_rng(0).random((6, 4, 4, 1)).astype(np.float32), np.arange(6) % 2
DATA = {"probe": (X[:2], Y[:2]), "evaluation": (X, Y)}


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2, name="output")(x.reshape(len(x), -1))


NET = Net()
VARIABLES = NET.init(jax.random.key(0), X[:1])
DATASET = make_dataset("squares", X, Y, X, Y, ("a", "b"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, its comparison with itself, and files to read."""
    path = tmp_path_factory.mktemp("calls")
    Recorder(path / "run", NET, VARIABLES, **DATA).close()
    with Recorder(path / "trained", NET, VARIABLES, **DATA) as recorder:
        for step in (1, 2):
            recorder.step(jax.tree.map(lambda leaf, step=step: leaf + 0.1 * step**2 * jnp.cos(leaf), VARIABLES))
    names = ("train_images", "train_labels", "test_images", "test_labels")
    np.savez(path / "data.npz", **dict(zip(names, (X, Y, X, Y), strict=True)), classes=["a", "b"])
    (path / "checkpoints").mkdir()
    for step in (1, 2):
        (path / "checkpoints" / f"model_{step}.msgpack").write_bytes(to_bytes(VARIABLES))
    return path


def parameters(function):
    """The names of a function's parameters; of one that takes further metrics, one of these too."""
    kinds = inspect.signature(function).parameters
    further = [name for name, each in kinds.items() if each.kind == each.VAR_KEYWORD and name == "reported"]
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [n for n, each in kinds.items() if n != "self" and each.kind not in variable] + ["rate"] * len(further)


@pytest.fixture
def calls(folder, tmp_path):
    """Public name -> (function of keyword arguments, its parameters)."""
    number = count()
    run = folder / "run"
    report = reportgen.build(run, embedding="pca")
    comparison = reportgen.compare(run, run, embedding="pca")

    def new():
        return tmp_path / str(next(number))

    def called(function, *own, **usual):
        def call(**given):
            made = {name: value() if value is new else value for name, value in usual.items()}
            return function(*own, **{**made, **given})

        return call, parameters(function)

    def record(**given):
        Recorder(**{"path": new(), "model": NET, "variables": VARIABLES, **DATA, **given}).close()

    def during(method, **usual):
        def call(**given):
            with Recorder(new(), NET, VARIABLES, **DATA) as recorder:
                method(recorder, **{**usual, **given})

        return call, parameters(method)

    def shown(kind, **usual):
        def call(**given):
            made = kind(**{**usual, **given})
            longer = (
                dataclasses.replace(report, document=dataclasses.replace(report.document, sections=(made,)), draw=None)
                if kind is reportgen.Section
                else report.with_section("more", made)
            )
            longer.save(new())
            longer.save(new(), "md")
            longer.write_figures(new())

        return call, parameters(kind)

    def weights(**given):
        reportgen.inspect(NET, [X[0]], weights=reportgen.Checkpoint(**{"path": checkpoint, **given}))

    checkpoint = folder / "checkpoints" / "model_1.msgpack"
    raster = Raster(b"GIF89a", "image/gif", 1, 1)
    replayed = {"model": NET, "path": new}
    return {
        "Checkpoint": (weights, parameters(reportgen.Checkpoint)),
        "ComparisonReport.crossed": called(comparison.crossed),
        "Figure": shown(reportgen.Figure, name="n", picture=raster, alt="a", caption="c"),
        "Keep": (lambda **given: record(keep=Keep(**given)), parameters(Keep)),
        "Recorder": (record, parameters(Recorder)),
        "Recorder.at": during(Recorder.at, variables=VARIABLES, step=1, epoch=1),
        "Recorder.close": during(Recorder.close),
        "Recorder.epoch": during(Recorder.epoch, variables=VARIABLES),
        "Recorder.flush": during(Recorder.flush),
        "Recorder.rows": during(Recorder.rows, rows={1: {"rate": 0.1}}, epoch=1),
        "Recorder.step": during(Recorder.step, params=VARIABLES),
        "Recorder.steps": during(Recorder.steps, params=jax.tree.map(lambda leaf: leaf[None], VARIABLES)),
        "Report.save": called(report.save, path=new),
        "Report.with_section": called(report.with_section, title="t"),
        "Report.write_figures": called(report.write_figures, folder=new),
        "Report.write_numbers": called(report.write_numbers, folder=new),
        "Run.batch": called(open_run(run).batch),
        "Section": shown(reportgen.Section, anchor="a", title="t", finding="f", blocks=()),
        "Start": (lambda **given: record(start=Start(**given)), parameters(Start)),
        "Table": shown(reportgen.Table, name="n", caption="c", columns=("a", "b"), rows=((1, 2),)),
        "Task": (
            lambda **given: record(task=reportgen.Task(**{"kind": "classification", **given})),
            parameters(reportgen.Task),
        ),
        "Text": shown(reportgen.Text, text="t"),
        "build": called(reportgen.build, run=run, embedding="pca"),
        "build_site": called(reportgen.build_site, runs=[run], folder=new, embedding="pca"),
        "compare": called(reportgen.compare, base=run, new=run, embedding="pca"),
        "inspect": called(reportgen.inspect, model=NET, images=[X[0]], variables=VARIABLES),
        "inspect a run": called(reportgen.inspect, model=NET, run=run),
        "landscape": called(reportgen.landscape, path=folder / "trained", model=NET, points=3),
        "load_dataset": called(reportgen.load_dataset, name_or_path=folder / "data.npz"),
        "open_run": called(open_run, path=run),
        "replay": called(reportgen.replay, checkpoints=folder / "checkpoints", dataset=DATASET, **replayed),
        "replay pairs": called(reportgen.replay, checkpoints=[(1, VARIABLES)], **DATA, **replayed),
        "replay a step": (
            lambda **given: reportgen.replay(
                [tuple({"step": 1, "variables": VARIABLES, **given}.values())], NET, new(), **DATA
            ),
            ["step", "variables"],
        ),
        "save_run": called(save_run, run=open_run(run), path=new),
        "train": called(reportgen.train, path=new, dataset=DATASET, model=NET, epochs=1, batch_size=3),
        "upload": called(reportgen.upload),
    }


NAMES = (
    """
Checkpoint/ComparisonReport.crossed/Figure/Keep/Recorder/Recorder.at/Recorder.close/Recorder.epoch/Recorder.flush
Recorder.rows/Recorder.step/Recorder.steps/Report.save/Report.with_section/Report.write_figures/Report.write_numbers/Run.batch/Section
Start/Table/Task/Text/build/build_site/compare/inspect/inspect a run/landscape/load_dataset/open_run/replay/replay pairs
replay a step/save_run/train/upload
""".replace("\n", "/")
    .strip("/")
    .split("/")
)

GIVEN = {"ComparisonReport", "PageContext", "Report", "ReportgenError", "Run", "Site"}
"""Public classes that are handed out, not called."""

EARLIER = {"Report.add_section"}
"""Earlier names, which call the new ones."""


def test_every_public_callable_is_called_here(calls):
    assert list(calls) == NAMES
    public = {name: getattr(reportgen, name) for name in dir(reportgen)}
    callables = {name for name, each in public.items() if callable(each)} - GIVEN
    for name, each in public.items():
        if isinstance(each, type) and not issubclass(each, Exception) and name != "PageContext":
            own = {k for base in each.__mro__ if base.__module__.startswith("reportgen") for k in vars(base)}
            methods = {k for k in own if inspect.isfunction(inspect.getattr_static(each, k)) and not k.startswith("_")}
            callables |= {f"{name}.{method}" for method in methods}
    missing = callables - calls.keys() - EARLIER
    inherited = {name for name in missing if f"Report.{name.rpartition('.')[2]}" in {*calls, *EARLIER}}
    assert missing == inherited
    for name, (_, walked) in calls.items():
        assert walked or name == "Recorder.flush"


@pytest.mark.parametrize("name", NAMES)
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
                if parameter == "progress" and callable(wrong):
                    continue  # nothing is wrong with it but what it does itself
                bad.append(f"{parameter}={wrong!r:.40}: {type(error).__name__}: {error!s:.80}")
    assert not bad
