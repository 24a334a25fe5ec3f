"""Recording in programs that set JAX's modes, or put parameters on a mesh of devices."""

import os
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx

from reportgen import inspect
from reportgen.capture import capture
from reportgen.record import Recorder
from reportgen.store import open_run

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(0).random((24, 8, 8, 1)).astype(np.float32)
Y = np.arange(24) % 3
DATA = {"probe": (X[:3], Y[:3]), "evaluation": (X, Y)}


class Net(nn.Module):
    factor: float = 1.0

    @nn.compact
    def __call__(self, x):
        hidden = nn.relu(nn.Dense(8, name="hidden")(x.reshape(len(x), -1)))
        return nn.Dense(3, name="head")(hidden) * self.factor


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.head = nnx.Linear(64, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.hidden(x.reshape(len(x), -1))))


MODES = {
    "jax_transfer_guard": "disallow",
    "jax_disable_jit": True,
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_check_tracer_leaks": True,
    "jax_numpy_dtype_promotion": "strict",
}


def record(path, model, variables):
    with Recorder(path, model, variables, **DATA, verify=True) as recorder:
        recorder.step(variables or model, loss=jax.tree.leaves(variables or nnx.state(model))[0].sum())
        recorder.epoch(variables or model)
    run = open_run(path, verify=True)
    assert list(run.snapshots) == list(run.observations) == [0, 1] and not run.problems
    assert run.provenance["verification_failed"] == {}
    return run


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_of_jax_changes_neither_the_recording_nor_is_it_changed(tmp_path, mode):
    variables, model = Net().init(jax.random.key(0), X[:1]), NnxNet(nnx.Rngs(0))
    expected = [record(tmp_path / f"{name}-plain", *what) for name, what in (("linen", (Net(), variables)),)]
    before = getattr(jax.config, mode)
    jax.config.update(mode, MODES[mode])
    try:
        runs = [record(tmp_path / "linen", Net(), variables), record(tmp_path / "nnx", model, None)]
        page = inspect(Net(), [np.zeros((8, 8), np.uint8)], variables=variables, verify=True)
        assert getattr(jax.config, mode) == MODES[mode]
    finally:
        jax.config.update(mode, before)
    assert page.document.sections
    for path, value in expected[0].observations[1].maps.items():
        np.testing.assert_allclose(runs[0].observations[1].maps[path], value, rtol=1e-6)


def test_a_network_that_diverged_is_recorded_where_jax_stops_at_nan(tmp_path):
    variables = Net().init(jax.random.key(0), X[:1])
    with jax.debug_nans(True):
        run = record(tmp_path / "run", Net(float("nan")), variables)
    assert np.isnan(run.observations[1].maps["head"]).sum() == 0
    assert (run.observations[1].outcome.predictions == -1).all()


@pytest.mark.parametrize(
    ("side", "what"), [("flops", "numbers of operations"), ("receptive_fields", "receptive fields")]
)
def test_what_is_known_beside_the_values_never_ends_a_recording(tmp_path, monkeypatch, side, what):
    def fails(*_):
        raise NotImplementedError("of this backend")

    monkeypatch.setattr(capture, side, fails)
    variables = Net().init(jax.random.key(0), X[:1])
    with pytest.warns(UserWarning, match=f"does not capture {what}: NotImplementedError: of this backend"):
        run = record(tmp_path / "run", Net(), variables)
    assert run.network.uncaptured == {what: "NotImplementedError: of this backend"}


ON_A_MESH = """
import sys
import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from flax import nnx
from pathlib import Path
from tests.record.test_modes import Net, NnxNet, X, record

variables, model = Net().init(jax.random.key(0), X[:1]), NnxNet(nnx.Rngs(0))
EXPLICIT, AUTO = AxisType.Explicit, AxisType.Auto
for axes, parted, inside in (EXPLICIT, False, False), (EXPLICIT, True, True), (AUTO, True, True):
    mesh = jax.make_mesh((4,), ("d",), axis_types=(axes,))
    def put(leaf):
        return jax.device_put(leaf, NamedSharding(mesh, P("d") if parted and leaf.shape[0] % 4 == 0 else P()))
    definition, state = nnx.split(model)
    whole = jax.tree.map(put, variables), nnx.merge(definition, jax.tree.map(put, state))
    with jax.set_mesh(mesh) if inside else jax.transfer_guard("allow"):
        before = jax.sharding.get_mesh()
        record(Path(sys.argv[1]) / f"linen{axes}{parted}", Net(), whole[0])
        record(Path(sys.argv[1]) / f"nnx{axes}{parted}", whole[1], None)
        assert jax.sharding.get_mesh() == before
"""


def started(code, *arguments, devices):
    environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=-1, stderr=subprocess.STDOUT, text=True)


def test_parameters_may_be_on_a_mesh(tmp_path):
    process = started(ON_A_MESH, tmp_path, devices=4)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert len(list(tmp_path.iterdir())) == 6
