"""What keeping the parameters after every update costs a fast loop, and what a run of 200,000 updates takes to read."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, Settings, contestant, in_turns, ratio
from benchmarks.runs import write_run

LOOPS = {"1 ms": (1e-3, 1.05), "0.2 ms": (2e-4, 1.3)}
"""Step of about that time -> its seconds, and the target."""

TRIED = 8
"""Updates of a small network in a step, by which is found how many take so long here."""


def measure(settings: Settings) -> list[Row]:
    """Two loops of four arrays, every update recorded / bare, until all is on disk; then a long run."""
    rows = []
    steps = 20 if settings.tiny else 2000
    with contestant(settings, "benchmarks.log:loop", record=False, inner=TRIED, steps=steps) as tried:
        tried.run()
        each = min(tried.run()["seconds"] for _ in range(settings.rounds)) / steps / TRIED
    for name, (seconds, target) in LOOPS.items():
        common = {"inner": max(1, round(seconds / each)), "steps": steps}
        with (
            contestant(settings, "benchmarks.log:loop", record=False, **common) as bare,
            contestant(settings, "benchmarks.log:loop", record=True, **common) as recorded,
        ):
            taken = in_turns({"bare": bare, "recorded": recorded}, settings.rounds)
        rows.append(ratio(f"a loop of {name} steps, every one kept / bare", taken["recorded"], taken["bare"], target))
    count = 200 if settings.tiny else 200_000
    run = settings.folder / "long"
    write_run(run, snapshots=count + 1, images=100)
    files = sum(file.is_file() for file in run.rglob("*"))
    rows.append(Row(f"files of a run of {count:,} updates", (float(files),), 100))
    with contestant(settings, "benchmarks.log:opened", run=str(run)) as reader:
        opened = [reader.run() for _ in range(settings.rounds)]
    rows.append(Row(f"opening {count:,} updates", tuple(one["seconds"] for one in opened), 1.0, "s"))
    rows.append(Row("memory of a process that opened them", tuple(one["resident"] for one in opened), 200, "MB"))
    with contestant(
        settings, "benchmarks.growth:page", run=str(run), out=str(settings.folder / "long.html")
    ) as builder:
        rows.append(Row(f"building {count:,} updates", (builder.run()["seconds"],), 10, "s"))
    return rows


def loop(inner: int, steps: int, record: bool) -> Callable[[], None]:
    """Updates of two dense layers, `inner` of them in a step."""
    import jax
    import jax.numpy as jnp

    from reportgen.record import Keep, Recorder

    def apply(params, inputs):
        return jnp.tanh(inputs @ params["hidden"] + params["shift"][None]) @ params["output"] + params["bias"][None]

    def one(params, _):
        loss, gradient = jax.value_and_grad(lambda p: (apply(p, x) ** 2).mean())(params)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient), loss

    @jax.jit
    def update(params):
        params, losses = jax.lax.scan(one, params, None, length=inner)
        return params, losses[-1]

    x = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    square = np.eye(32, dtype=np.float32)
    begin = jax.device_put({"hidden": square, "shift": square[0], "output": square, "bias": square[0]})
    recorder = None
    if record:
        folder = Path(tempfile.mkdtemp()) / "run"
        recorder = Recorder(folder, apply, begin, probe=x[:2], evaluation=x, keep=Keep(every="batch", bytes="200MB"))

    def run() -> None:
        params = begin
        for _ in range(steps):
            params, loss = update(params)
            if recorder is not None:
                recorder.step(params, loss=loss)
        jax.block_until_ready(params)
        if recorder is not None:
            recorder.flush()

    return run


def opened(run: str) -> Callable[[], dict[str, float]]:
    """Open the run; "resident" is what the process holds then, in MB."""
    import resource

    from reportgen import open_run

    def once() -> dict[str, float]:
        started = time.perf_counter()
        open_run(run)
        seconds = time.perf_counter() - started
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return {"seconds": seconds, "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}

    return once
