"""A checkpoint or a metrics file with anything in it ends a replay by its name, or is passed over and named."""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.serialization import to_bytes
from flax.traverse_util import flatten_dict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from reportgen import replay
from reportgen.errors import DataError, OptionError, WeightsError
from tests.reliability import count

ANYHOW = {"suppress_health_check": list(HealthCheck)}
X = np.random.default_rng(0).random((4, 3), np.float32)
PARAMS = {"layer": {"w": np.ones((3, 2), np.float32), "b": np.zeros(2, np.float32)}}


def net(params, inputs):
    return jax.nn.relu(inputs @ params["layer"]["w"] + params["layer"]["b"][None])


def safetensors(tree) -> bytes:
    return save({"/".join(path): leaf for path, leaf in flatten_dict(tree).items()})


def npz(tree) -> bytes:
    with tempfile.TemporaryFile() as file:
        np.savez(file, **{"/".join(path): leaf for path, leaf in flatten_dict(tree).items()})
        file.seek(0)
        return file.read()


FORMATS = {"msgpack": to_bytes, "safetensors": safetensors, "npz": npz}


@st.composite
def changed(draw, content: bytes) -> bytes:
    """The bytes cut, with some replaced, or others in their place."""
    how = draw(st.sampled_from(["cut", "replace", "other"]))
    if how == "cut":
        return content[: draw(st.integers(0, len(content) - 1))]
    if how == "other":
        return draw(st.binary(max_size=200))
    whole = bytearray(content)
    for place, byte in draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1)):
        whole[place] = byte
    return bytes(whole)


@pytest.fixture(scope="module", params=FORMATS)
def form(request):
    return request.param


@settings(max_examples=count(8, 60), **ANYHOW)
@given(data=st.data(), skip=st.booleans())
def test_a_damaged_checkpoint_is_named(form, data, skip):
    content = FORMATS[form](PARAMS)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder, "checkpoints")
        checkpoints.mkdir()
        for step in (1, 3):
            (checkpoints / f"model_{step}.{form}").write_bytes(content)
        (checkpoints / f"model_2.{form}").write_bytes(data.draw(changed(content)))
        try:
            run = replay(checkpoints, net, Path(folder, "run"), probe=X, skip_bad=skip)
        except WeightsError as error:
            assert not skip and "model_2" in str(error)
            assert not Path(folder, "run", "run.json").exists()
            return
        passed_over = any("model_2" in note for note in run.notes)
        assert sorted(run.snapshots) == ([1, 3] if passed_over else [1, 2, 3])


@settings(max_examples=count(8, 60), **ANYHOW)
@given(data=st.data(), kind=st.sampled_from(["csv", "jsonl"]))
def test_a_damaged_metrics_file_is_named_or_gives_finite_steps(data, kind):
    rows = {"csv": b"step,loss\n1,0.5\n2,0.25\n", "jsonl": b'{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n'}
    with tempfile.TemporaryDirectory() as folder:
        metrics = Path(folder, f"metrics.{kind}")
        metrics.write_bytes(data.draw(changed(rows[kind])))
        given_ = [(step, {"params": jax.tree.map(jnp.asarray, PARAMS)}) for step in (1, 2)]
        try:
            run = replay(given_, net, Path(folder, "run"), probe=X, metrics=metrics)
        except (DataError, OptionError) as error:
            assert str(error)
            return
        assert all(0 < row.step <= 2 for row in run.metrics.steps)
