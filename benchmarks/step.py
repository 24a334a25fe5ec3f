"""A step of `reportgen train`, with its recording, against PyTorch's step on the same network and batches."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.measure import Missing, Row, Settings, contestant, in_turns, ratio, read_digits

BATCH = 100


def measure(settings: Settings) -> list[Row]:
    """Per step of mnist_cnn, Adam, batch 100; what PyTorch reaches at its defaults and at its best."""
    file = settings.digits_file(4000, 100)
    common = {"file": file, "steps": 2 if settings.tiny else 40, "batch": 10 if settings.tiny else BATCH}
    with ExitStack() as stack:
        sides = {
            "ours": stack.enter_context(contestant(settings, "benchmarks.step:ours", **common)),
            "bare": stack.enter_context(contestant(settings, "benchmarks.step:ours", record=False, **common)),
        }
        try:
            for name, tuned in (("default", False), ("tuned", True)):
                peer = contestant(settings, "benchmarks.peers.torch_cnn:train", tuned=tuned, **common)
                sides[name] = stack.enter_context(peer)
        except Missing as missing:
            if settings.tiny:
                in_turns(sides, 1)
            raise missing
        taken = in_turns(sides, settings.rounds)
    bare = f"without the recording {np.median([t['seconds'] for t in taken['bare']]) * 1e3:.1f} ms"
    return [
        ratio("`reportgen train` step / PyTorch's at its defaults", taken["ours"], taken["default"], 0.8, detail=bare),
        ratio("the same / PyTorch's with malloc tuned, fused Adam", taken["ours"], taken["tuned"], 1.0, detail=bare),
    ]


def ours(file: str, steps: int, batch: int, record: bool = True) -> Callable[[], dict[str, float]]:
    """`steps` updates as `reportgen train` makes them; returns seconds per step."""
    from reportgen.process import keep_compiled

    keep_compiled()
    import time

    import jax
    import optax

    from reportgen.models import build
    from reportgen.record import Recorder
    from reportgen.training.step import State, make_update

    images, labels, *_ = read_digits(file)
    model, key, optimizer = build("mnist_cnn", 10), jax.random.key(0), optax.adam(1e-3)
    params = model.init(key, images[:1])["params"]
    update = make_update(model, optimizer)
    state = State(params, {}, optimizer.init(params), np.int32(0))
    recorder = None
    if record:
        few = (images[:10], labels[:10])
        folder = Path(tempfile.mkdtemp()) / "run"
        recorder = Recorder(folder, model, {"params": params}, probe=few, evaluation=few)

    def run() -> dict[str, float]:
        nonlocal state
        started = time.perf_counter()
        for number in range(steps):
            begin = number * batch % (len(images) - batch + 1)
            state, (loss, _) = update(state, images[begin : begin + batch], labels[begin : begin + batch], key)
            if recorder is not None:
                recorder.step(state.params, loss=loss)
        jax.block_until_ready(state)
        return {"seconds": (time.perf_counter() - started) / steps}

    return run
