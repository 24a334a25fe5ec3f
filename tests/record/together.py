"""A training in one of several processes of two devices each, or in one alone, recorded.

    python -m tests.record.together RANK COUNT PORT FOLDER nnx+linen    # or double, kill, refused; FOLDER may be a URL

Of a process that is told to `kill`, lines on stdout say what it has written: `ack STEP`.
"""

import os
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

X = np.random.default_rng(0).random((38, 8), np.float32)
Y = np.arange(38) % 4
DATA = {"probe": (X[:3], Y[:3]), "evaluation": (X, Y)}
EPOCHS, PER_EPOCH = 2, 3
FACTOR = np.float32(0.99)


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(16, name="hidden")(x))  # no channel is constant, so that none are equal but for rounding
        x = nn.BatchNorm(use_running_average=True, name="norm")(x)
        return nn.Dense(4, name="head")(x)


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.head = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 4, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.hidden(x)))


def mesh_of_all() -> Mesh | None:
    if jax.process_count() == 1:
        return None
    return Mesh(np.array(jax.devices()).reshape(-1, 2), ("x", "y"))


def put(mesh: Mesh | None, leaf, spread: bool = True) -> jax.Array:
    """The array spread over both axes, as far as they divide it, or a copy on each device."""
    host = np.asarray(leaf)
    if mesh is None:
        return jnp.asarray(host)
    sizes = zip(("x", "y"), host.shape, strict=False)
    axes = [name if spread and size % mesh.shape[name] == 0 else None for name, size in sizes]
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    return jax.make_array_from_callback(host.shape, sharding, lambda place: host[place])


def train(path: Path | str, do: str) -> None:
    """Two epochs, the second closed with averaged parameters, the rows of each update reported; `double` in float64."""
    from reportgen.record import Keep, Recorder

    mesh, real = mesh_of_all(), np.float64 if do == "double" else np.float32
    inputs = X.astype(real)
    data = {"probe": (inputs[:3], Y[:3]), "evaluation": (inputs, Y)}
    if do == "nnx":
        graph, state = nnx.split(Nnx(nnx.Rngs(0)))
        variables, given = jax.tree.map(lambda leaf: put(mesh, leaf), state), lambda state: nnx.merge(graph, state)
        model = given(variables)

        def apply(variables, x):
            return nnx.merge(graph, variables)(x)
    else:
        model, given = Linen(), lambda variables: variables
        variables = model.init(jax.random.key(0), X[:1])
        variables = jax.tree.map(lambda leaf: put(mesh, np.asarray(leaf, real), do != "replicated"), variables)
        apply = model.apply

    def loss_of(variables, x, y):
        scores = jax.nn.log_softmax(apply(variables, x))
        return -jnp.take_along_axis(scores, y[:, None], axis=1).mean()

    @jax.jit
    def update(variables, x, y):
        loss, change = jax.value_and_grad(loss_of)(variables, x, y)
        return jax.tree.map(lambda value, by: value - 0.2 * by, variables, change), loss

    before, keep = variables, Keep(every="batch")
    with Recorder(path, model if do == "nnx" else Linen(), None if do == "nnx" else variables, keep=keep, **data) as r:
        for epoch in range(EPOCHS):
            for number in range(PER_EPOCH):
                begin = 4 * (epoch * PER_EPOCH + number)
                before, (variables, loss) = (
                    variables,
                    update(variables, inputs[begin : begin + 8], Y[begin : begin + 8]),
                )
                r.step(given(variables) if do == "nnx" else {"params": variables["params"]}, loss=loss)
            closing = variables
            if epoch and do != "nnx":
                closing = jax.tree.map(lambda one, other: (one + other) / 2, before, variables)
            r.epoch(given(closing), val_loss=float(loss))
    if jax.process_count() > 1:
        print("accuracy", r.accuracy, flush=True)


def scaled(path: Path, steps: int = 2000) -> None:
    """Updates that wait for no other process, each acknowledged when it is written."""
    from reportgen.record import Keep, Recorder
    from reportgen.store import PartWriter, RunWriter

    def acknowledged(write):
        def record(self, step, *rest, **options):
            write(self, step, *rest, **options)
            os.write(1, f"ack {step}\n".encode())

        return record

    for kind in (RunWriter, PartWriter):
        kind.record = acknowledged(kind.record)
    mesh, model = mesh_of_all(), Linen()
    variables = jax.tree.map(lambda leaf: put(mesh, leaf), model.init(jax.random.key(0), X[:1]))
    update = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * FACTOR, tree))
    with Recorder(path, model, variables, keep=Keep(every="batch"), **DATA) as recorder:
        for step in range(1, steps + 1):
            variables = update(variables)
            recorder.step(variables, loss=1.0)
            if step % 100 == 0:
                recorder.epoch(variables)


def refused(folder: Path) -> None:
    """What must end in a sentence: a process that records alone, or elsewhere, or whose part can't be written."""
    from jax.experimental import multihost_utils

    from reportgen.errors import RunError
    from reportgen.record import Recorder, processes

    rank, mesh, model = jax.process_index(), mesh_of_all(), Linen()
    variables = jax.tree.map(lambda leaf: put(mesh, leaf), model.init(jax.random.key(0), X[:1]))
    broken = folder / "broken"
    (broken / "snapshots").mkdir(parents=True, exist_ok=True)
    (broken / ".lock").touch()
    (broken / "snapshots" / "process-1").touch()  # a file where process 1 needs a folder
    for name, path in {"alone": folder / "alone", "apart": folder / f"apart{rank}", "broken": broken}.items():
        processes.PATIENCE = 60.0 if name == "broken" else 2.0
        if name == "broken":
            multihost_utils.sync_global_devices(name)
        try:
            if name != "alone" or rank == 0:
                Recorder(path, model, variables, **DATA)
        except RunError as error:
            print(name, "refused:", str(error).splitlines()[0], flush=True)


def main() -> None:
    rank, count, port, folder, do = sys.argv[1:]
    jax.config.update("jax_enable_x64", do == "double")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=int(count), process_id=int(rank))
    for kind in do.split("+"):
        if kind == "kill":
            scaled(Path(folder) / kind)
        elif kind == "refused":
            refused(Path(folder))
        else:
            train(f"{folder}/{kind}", kind)


if __name__ == "__main__":
    main()
