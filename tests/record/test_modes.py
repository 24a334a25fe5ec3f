"""Recording in programs that set JAX's modes, put parameters on a mesh of devices, or run in several processes."""

import os
import socket
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

IN_TWO_PROCESSES = """
import sys
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

number, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=number)
from reportgen.errors import OptionError
from reportgen.record import Recorder
from tests.record.test_modes import DATA, Net, X

mesh = Mesh(np.array(jax.devices()), ("d",))
values = jax.tree.map(np.asarray, Net().init(jax.random.key(0), X[:1]))
def put(leaf, spec=P()):
    return jax.make_array_from_callback(leaf.shape, NamedSharding(mesh, spec), lambda part: leaf[part])
try:
    parted = {"params": {**values["params"], "hidden": {"kernel": put(values["params"]["hidden"]["kernel"], P("d"))}}}
    Recorder(f"{folder}/parted", Net(), parted, **DATA)
except OptionError as error:
    assert "params/hidden/kernel (64, 8) is spread over 2 processes" in str(error), error
else:
    raise AssertionError
variables = jax.tree.map(put, values)
with Recorder(f"{folder}/run", Net(), variables, **DATA) as recorder:
    recorder.step(variables, loss=put(np.float32(0.5)))
    recorder.epoch(variables)
print("accuracy", recorder.accuracy)
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


def test_of_several_processes_the_first_writes_and_none_waits(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [started(IN_TWO_PROCESSES, number, port, tmp_path, devices=2) for number in (0, 1)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    said = [next(line for line in output.splitlines() if line.startswith("accuracy")) for output in outputs]
    assert said[0] == said[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    run = open_run(tmp_path / "run", verify=True)
    assert list(run.snapshots) == [0, 1] and run.status == "finished" and run.steps[0]["train_loss"] == 0.5
