"""The recorder called in any order with any values: after each call the run holds exactly what was acknowledged."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reportgen.errors import ReportgenError
from reportgen.record import Keep, Recorder, Start, recorder
from reportgen.store import open_run
from tests.reliability import count

X, Y = np.random.default_rng(0).random((6, 3), np.float32), np.arange(6) % 2
DATA = {"probe": (X[:2], Y[:2]), "evaluation": (X, Y)}


def apply(params, inputs):
    return jax.nn.relu(inputs @ params["w"]) + params["b"][None]


def params(value):
    return {"w": jnp.full((3, 2), value), "b": jnp.array([0.0, 1.0])}


NUMBERS = st.one_of(
    st.floats(width=32),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(width=32).map(np.float32),
    st.floats(-1e3, 1e3).map(jnp.bfloat16),
    st.integers(-(2**31), 2**31 - 1).map(jnp.int32),
)
NO_NUMBERS = st.sampled_from([None, "0.5", [1.0], np.ones(2), 1j, np.datetime64("2026"), jax.random.key(0), object()])
NAMES = st.sampled_from(["loss", "rate", "step", "epoch", "val_accuracy", "a/b", "measured"])
METRICS = st.dictionaries(NAMES, st.one_of(NUMBERS, NUMBERS, NO_NUMBERS), max_size=3)
WRONG = [
    *(None, 3, "params", [], {}, {"w": jnp.ones((3, 2))}, {"w": jnp.ones((4, 2)), "b": jnp.ones(2)}),
    {**params(1.0), "more": jnp.ones(1)},
    jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params(1.0)),
    jax.eval_shape(lambda: params(1.0)),
    {"w": np.array([["a"]]), "b": jnp.ones(2)},
]


def number(value):
    """What a run keeps of a metric, by another way than the recorder's: the value itself for comparison."""
    array = np.asarray(value)
    return (int(value), None) if isinstance(value, int) or array.dtype.kind in "iub" else (float(array), array.dtype)


def is_number(value):
    return isinstance(value, bool | int | float | np.float32) or (
        isinstance(value, jax.Array) and value.dtype in (jnp.bfloat16, jnp.int32)
    )


class Machine(RuleBasedStateMachine):
    """`snapshots`, `steps` and `epochs` are what the run must hold, by step."""

    calls = 0
    """Calls after which a run was checked, in all machines."""

    @initialize(every=st.sampled_from([None, 1, 2, "epoch"]))
    def begin(self, every):
        self.folder = Path(tempfile.mkdtemp())
        self.every = {None: 1, "epoch": 0}.get(every, every)
        self.keep = Keep(every=every)
        self.recorder = None
        self.status = None
        self.snapshots, self.steps, self.epochs = {}, {}, {}
        self.value = 0.0
        self.open()

    def open(self, **options):
        self.recorder = Recorder(self.folder / "run", apply, params(self.value), **DATA, keep=self.keep, **options)
        self.begun = False
        self.status = "running"
        if "start" not in options:
            self.snapshots, self.steps, self.epochs = {0: (0, self.value)}, {}, {0: (0, {})}
            self.step = self.epoch = self.began = 0

    def accepted(self, given):
        """The metrics that will be kept; None where the call is refused."""
        good = {k: v for k, v in given.items() if k not in ("step", "epoch", "measured") and is_number(v)}
        return None if len(good) < len(given) and not self.begun else good

    @precondition(lambda self: self.status == "running")
    @rule(value=st.integers(0, 50), given=METRICS, again=st.booleans())
    def note_step(self, value, given, again):
        self.value = self.value if again else float(value)
        good = self.accepted(given)
        if good is None:
            with pytest.raises(ReportgenError):
                self.recorder.step(params(self.value), **given)
            return
        self.recorder.step(params(self.value), **given)
        self.begun = True
        self.step += 1
        self.steps[self.step] = (self.epoch + 1, {"train_loss" if k == "loss" else k: v for k, v in good.items()})
        if self.every and self.step % self.every == 0:
            self.snapshots[self.step] = (self.epoch + 1, self.value)

    @precondition(lambda self: self.status == "running")
    @rule(
        value=st.integers(0, 50), given=METRICS, again=st.booleans(), losses=st.none() | st.lists(NUMBERS, max_size=3)
    )
    def note_epoch(self, value, given, again, losses):
        if losses is not None:
            losses = [float(np.asarray(each)) for each in losses]
        given = {k: v for k, v in given.items() if k != "loss"}
        evaluated = self.value if again else float(value)
        good = self.accepted(given)
        if good is None:
            with pytest.raises(ReportgenError):
                self.recorder.epoch(params(evaluated), losses=losses, **given)
            return
        self.recorder.epoch(params(evaluated), losses=losses, **given)
        self.begun = True
        self.value = evaluated
        self.epoch += 1
        for loss in losses or []:
            self.step += 1
            self.steps[self.step] = (self.epoch, {"train_loss": loss})
        self.step += not losses and self.step == self.began
        self.began = self.step
        self.snapshots[self.step] = (self.epoch, evaluated)
        self.epochs[self.step] = (self.epoch, good)

    @precondition(lambda self: self.status == "running")
    @rule(wrong=st.sampled_from(WRONG), call=st.sampled_from(["step", "epoch"]))
    def hand_over_what_is_wrong(self, wrong, call):
        with pytest.raises(ReportgenError):
            getattr(self.recorder, call)(wrong)

    @rule(call=st.sampled_from(["step", "epoch", "flush"]))
    @precondition(lambda self: self.status != "running")
    def call_after_close(self, call):
        with pytest.raises(ReportgenError, match="closed"):
            getattr(self.recorder, call)(*[params(0.0)] * (call != "flush"))

    @rule(status=st.sampled_from(["finished", "failed"]))
    def close(self, status):
        self.recorder.close(status)
        self.status = status if self.status == "running" else self.status

    @precondition(lambda self: self.status == "running")
    @rule()
    def open_a_second(self):
        with pytest.raises(ReportgenError, match="Recorder of this process"):
            Recorder(self.folder / "run", apply, params(0.0), **DATA, overwrite=True)

    @precondition(lambda self: self.status != "running")
    @rule()
    def replace(self):
        with pytest.raises(ReportgenError, match="already holds a run"):
            Recorder(self.folder / "run", apply, params(0.0), **DATA)
        self.open(overwrite=True)

    @precondition(lambda self: self.status != "running")
    @rule(data=st.data(), kind=st.sampled_from([int, np.int64, jnp.int32]))
    def go_on(self, data, kind):
        at = data.draw(st.sampled_from(sorted(self.snapshots)))
        self.open(start=Start(resume_at=kind(at)))
        self.snapshots, self.steps, self.epochs = (
            {step: row for step, row in rows.items() if step <= at}
            for rows in (self.snapshots, self.steps, self.epochs)
        )
        self.step, self.began = at, max(self.epochs)
        self.epoch = self.epochs[self.began][0]

    @precondition(lambda self: self.status != "running")
    @rule()
    def go_on_from_nowhere(self):
        with pytest.raises(ReportgenError, match="no snapshot of step"):
            self.open(start=Start(resume_at=max(self.snapshots) + 1))

    @invariant()
    def the_run_holds_what_was_acknowledged(self):
        if self.recorder is None:
            return
        Machine.calls += 1
        if self.status == "running":
            self.recorder.flush()
        run = open_run(self.folder / "run", verify=True)
        assert run.problems == () and run.status == self.status
        assert {s: (shot.epoch, float(shot.params["w"][0, 0])) for s, shot in run.snapshots.items()} == self.snapshots
        assert list(run.observations) == sorted(self.epochs)
        for rows, expected in ((run.metrics.steps, self.steps), (run.metrics.epochs, self.epochs)):
            assert [(row.step, row.epoch) for row in rows] == [(step, expected[step][0]) for step in sorted(expected)]
            for row in rows:
                assert row.reported.keys() == expected[row.step][1].keys()
                for name, value in expected[row.step][1].items():
                    self.same(row.reported[name], value)

    @staticmethod
    def same(kept, value):
        wide, kind = number(value)
        kept = kept if kind is None else np.asarray(kept).astype(kind)
        np.testing.assert_equal(kept if kind is None else float(kept), wide)

    def teardown(self):
        if getattr(self, "recorder", None) is not None:
            self.recorder.close()
            shutil.rmtree(self.folder)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_order_of_calls(monkeypatch):
    """The machines record one network on one computer: what a recorder finds out about both is found out once."""
    prepared = []

    def prepare_once(*given):
        if not prepared:
            prepared.append(prepare(*given))
        return prepared[0]

    prepare = recorder.prepare_model
    monkeypatch.setattr(recorder, "prepare_model", prepare_once)
    monkeypatch.setattr(recorder, "provenance", cache(recorder.provenance))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # which updates are kept must not depend on how busy this computer is
    Machine.calls = 0
    while Machine.calls < count(30, 10_000):
        form = settings(max_examples=count(3, 50), stateful_step_count=count(12, 50))
        run_state_machine_as_test(Machine, settings=form)
