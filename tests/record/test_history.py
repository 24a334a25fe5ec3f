"""Loops whose updates run inside jit: their history handed over at once, and step by step from a callback."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from reportgen import Keep, Recorder, open_run
from reportgen.errors import OptionError

X = np.random.default_rng(0).random((6, 3), np.float32)
DATA = {"probe": X[:2], "evaluation": X}


def apply(params, x):
    return jnp.tanh(x @ params["w"]) + params["b"][None]


def start():
    return {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}


def update(params, rate):
    new = jax.tree.map(lambda leaf: leaf * rate + 0.25, params)
    return new, (new, new["w"].sum())


RATES = jnp.linspace(0.5, 1, 5)


def stepped(path, **options):
    with Recorder(path, apply, start(), **DATA, **options) as recorder:
        params = start()
        for rate in RATES:
            params, (_, loss) = jax.jit(update)(params, rate)
            recorder.step(params, loss=loss, rate=rate)
        recorder.epoch(params)
    return open_run(path)


def same(one, other):
    assert list(one.snapshots) == list(other.snapshots) and one.metrics == other.metrics
    for step in one.snapshots:
        for name, array in one.snapshots[step].params.items():
            np.testing.assert_array_equal(array, other.snapshots[step].params[name])
    assert not one.problems + other.problems


@pytest.mark.parametrize("every", ["batch", 2, "epoch"])
def test_a_history_is_recorded_as_its_updates_one_by_one(tmp_path, every):
    whole = stepped(tmp_path / "steps", keep=Keep(every=every))
    with Recorder(tmp_path / "scan", apply, start(), **DATA, keep=Keep(every=every)) as recorder:
        params, (history, losses) = jax.jit(lambda params: jax.lax.scan(update, params, RATES))(start())
        recorder.steps(history, losses, rate=RATES)
        jax.tree.map(lambda leaf: leaf.delete(), history)
        recorder.epoch(params)
    same(whole, open_run(tmp_path / "scan"))
    assert len(whole.metrics.steps) == 5


def test_updates_are_recorded_from_within_a_scan_by_a_callback(tmp_path):
    whole = stepped(tmp_path / "steps")
    with Recorder(tmp_path / "scan", apply, start(), **DATA) as recorder:

        def note(params, loss, rate):
            recorder.step(jax.tree.map(np.asarray, params), loss=np.asarray(loss), rate=np.asarray(rate))

        def noted(params, rate):
            new, (_, loss) = update(params, rate)
            io_callback(note, None, new, loss, rate, ordered=True)
            return new, None

        params, _ = jax.jit(lambda params: jax.lax.scan(noted, params, RATES))(start())
        jax.effects_barrier()
        recorder.epoch(params)
    same(whole, open_run(tmp_path / "scan"))


@pytest.mark.parametrize(
    ("params", "given", "message"),
    [
        (start(), {}, r"a further first axis, one entry for each update; b is \(2,\)"),
        ({"w": np.ones((4, 3, 2)), "b": np.ones((5, 2))}, {}, "a further first axis"),
        ({"w": np.ones((4, 3, 3)), "b": np.ones((4, 2))}, {}, "of another network: w is"),
        ({"w": np.ones((4, 3, 2)), "b": np.ones((4, 2))}, {"losses": np.ones(3)}, r"train_loss must be \[4\]"),
        ({"w": np.ones((4, 3, 2)), "b": np.ones((4, 2))}, {"losses": 1.0}, r"train_loss must be \[4\].*got \[\]"),
        ({"w": np.ones((4, 3, 2)), "b": np.ones((4, 2))}, {"step": np.ones(4)}, "a metric can't be called 'step'"),
    ],
)
def test_what_is_no_history_is_refused_and_leaves_nothing(tmp_path, params, given, message):
    with Recorder(tmp_path / "run", apply, start(), **DATA) as recorder:
        with pytest.raises(OptionError, match=message):
            recorder.steps(params, **given)
        recorder.flush()
        assert list(open_run(tmp_path / "run").snapshots) == [0]
        assert not open_run(tmp_path / "run").metrics.steps
