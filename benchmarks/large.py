"""Networks of the size that people train: what opening a recorder costs, and what building the page takes."""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Row, Settings, contestant

NAMES = ("ResNet-50", "ViT-B/16", "GPT-2")


def measure(settings: Settings) -> list[Row]:
    """Of each: opening / compiling a forward pass; then the build's processor time, memory and bytes within 10 MB."""
    rows = []
    for name in NAMES:
        run, out = settings.folder / name.replace("/", "-"), settings.folder / "page.html"
        with contestant(settings, "benchmarks.large:recorded", name=name, run=str(run), tiny=settings.tiny) as recorder:
            opened = recorder.run()
        rows.append(Row(f"{name}: opening / compiling a forward pass", (opened["ratio"],), 1.5))
        with contestant(settings, "benchmarks.large:page", run=str(run), out=str(out)) as builder:
            built = builder.run()
        rows.append(Row(f"{name}: build, seconds of the processor", (built["seconds"],), 15, "s"))
        rows.append(Row(f"{name}: memory of the build", (built["resident"],), 1000, "MB"))
        rows.append(Row(f"{name}: page", (out.stat().st_size / 1e6,), 10, "MB"))
    return rows


def recorded(name: str, run: str, tiny: bool) -> Callable[[], dict[str, float]]:
    """Record two steps and two evaluations of random weights; "ratio" is of opening to compiling the network alone."""
    import jax

    from benchmarks.networks import moved, network
    from reportgen.record import Recorder

    net = network(name, tiny)
    # Each compilation is to be paid for.
    jax.config.update("jax_enable_compilation_cache", False)
    variables = jax.jit(net.model.init)(jax.random.key(0), net.inputs[:1])

    def once() -> dict[str, float]:
        began = time.perf_counter()
        jax.jit(net.model.apply).lower(variables, net.inputs).compile()
        compiled = time.perf_counter()
        now = dict(variables)
        batches = {"probe": (net.inputs[:2], net.targets[:2]), "evaluation": (net.inputs, net.targets)}
        with Recorder(run, net.model, now, **batches, overwrite=True) as recorder:
            opened = time.perf_counter()
            for step in range(2):
                now["params"] = jax.device_put(moved(now["params"], step))
                recorder.step(now["params"], loss=float(2 - step))
                recorder.epoch(now)
        return {"ratio": (opened - compiled) / (compiled - began)}

    return once


def page(run: str, out: str) -> Callable[[], dict[str, float]]:
    """Build and save; "seconds" are the processor's, "resident" is the most memory that the process held, in MB."""
    from reportgen import build

    def once() -> dict[str, float]:
        began = time.process_time()
        build(run).save(Path(out))
        seconds = time.process_time() - began
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return {"seconds": seconds, "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}

    return once
