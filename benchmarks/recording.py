"""What recording everything costs a training loop of mnist_cnn: each batch's parameters, each epoch's activations."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, Settings, contestant, in_turns, ratio, read_digits


def measure(settings: Settings) -> list[Row]:
    """An epoch of 12,000 images and its evaluation on 2,000, as in all of MNIST; recorded / bare.

    The bare loop computes its accuracy itself, as every loop does; the recorded one leaves that to the
    recorder, which also records activity, ranges, vectors and maps. Its time ends when all is on disk.
    """
    common = {"file": settings.digits_file(12_000, 2000), "batch": 10 if settings.tiny else 100}
    with (
        contestant(settings, "benchmarks.recording:loop", record=False, **common) as bare,
        contestant(settings, "benchmarks.recording:loop", record=True, **common) as recorded,
    ):
        taken = in_turns({"bare": bare, "recorded": recorded}, settings.rounds)
    return [
        ratio("training loop, every batch recorded / bare", taken["recorded"], taken["bare"], 1.05, "steps"),
        ratio("whole epochs, everything recorded, until all is on disk / bare", taken["recorded"], taken["bare"], 1.05),
    ]


def loop(file: str, batch: int, record: bool) -> Callable[[], dict[str, float]]:
    """One epoch: "steps" is the time of its updates alone."""
    from reportgen.process import keep_compiled

    keep_compiled()
    import jax
    import jax.numpy as jnp
    import optax

    from reportgen.models import build
    from reportgen.record import Recorder
    from reportgen.training.step import State, make_update

    images, labels, x_test, y_test = read_digits(file)
    model, key, optimizer = build("mnist_cnn", 10), jax.random.key(0), optax.adam(1e-3)
    params = model.init(key, images[:1])["params"]
    update = make_update(model, optimizer)
    state = State(params, {}, optimizer.init(params), np.int32(0))
    predict = jax.jit(lambda params, x: jnp.argmax(model.apply({"params": params}, x), axis=1))
    recorder, folder = None, Path(tempfile.mkdtemp()) / "run"
    if record:
        probe = (x_test[:10], y_test[:10])
        # The points of the embedding are the evaluation's first 2,000 images, as by default.
        recorder = Recorder(folder, model, {"params": params}, probe=probe, evaluation=(x_test, y_test))
    step = 0

    def run() -> dict[str, float]:
        nonlocal state, step
        started = time.perf_counter()
        for begin in range(0, len(images) - batch + 1, batch):
            state, (loss, _) = update(state, images[begin : begin + batch], labels[begin : begin + batch], key)
            step += 1
            if recorder is not None:
                recorder.step(state.params, loss=loss)
        jax.block_until_ready(state)
        steps = time.perf_counter() - started
        if recorder is None:
            found = [predict(state.params, x_test[begin : begin + batch]) for begin in range(0, len(x_test), batch)]
            np.mean(np.concatenate(found) == y_test)
        else:
            recorder.epoch({"params": state.params})
            _wait_for(folder / "activations" / f"{step:08d}.safetensors")
        seconds = time.perf_counter() - started
        for segment in (folder / "snapshots").glob("*.segment"):  # 1 GB an epoch; one that is written goes on
            os.truncate(segment, 0)
        return {"seconds": seconds, "steps": steps}

    return run


def _wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.002)
