"""The whole job: train, record, analyse, draw; against Keras, umap-learn and matplotlib with an axes per channel."""

import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import REPOSITORY, Missing, Row, Settings, ratio, read_digits

EPOCHS = 3
POINTS = 2000


def measure(settings: Settings) -> list[Row]:
    """mnist_cnn, 10,000 and 2,000 images, 3 epochs, from the start of a process to the last file, memory too.

    Both write parameters of every batch, embed 2,000 points before training and after each epoch, and draw
    everything. What each compiles it compiles in every round: jax's cache of programs starts empty.
    """
    if find_spec("keras") is None:
        raise Missing("No module named 'keras'")  # before our side has taken its minutes for nothing
    file = settings.digits_file(10_000, 2000)
    epochs = 1 if settings.tiny else EPOCHS
    sides: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    scripts = {"ours": "benchmarks.whole_job", "peer": "benchmarks.peers.keras_article"}
    for number in range(settings.rounds):
        for name in scripts if number % 2 == 0 else reversed(scripts):
            sides[name].append(_process(scripts[name], file, settings.folder / name, epochs))
    held = [max(taken["memory"] for taken in side) / 1e9 for side in (sides["ours"], sides["peer"])]
    memory = "{:.1f} / {:.1f} GB of memory".format(*held)
    return [ratio("the whole job / the article's way", sides["ours"], sides["peer"], 0.25, detail=memory)]


def _process(module: str, file: str, out: Path, epochs: int) -> dict[str, float]:
    """Seconds and largest resident memory of one process."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    before = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", module, file, str(out), str(epochs)], cwd=REPOSITORY, capture_output=True, text=True
    )
    seconds = time.perf_counter() - before
    if "ModuleNotFoundError" in done.stderr:
        raise Missing(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-2000:]}")
    return {"seconds": seconds, "memory": float(done.stdout.split()[-1])}


def main(file: str, out: str, epochs: str) -> None:
    """Our side, in this process; prints its largest resident memory in bytes."""
    import os
    import resource

    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["XDG_CACHE_HOME"] = str(Path(out) / "cache")
    from reportgen.process import keep_compiled

    keep_compiled()
    from reportgen import build
    from reportgen.data import make_dataset
    from reportgen.models import build as build_model
    from reportgen.training import train

    data = make_dataset("mnist", *read_digits(file), [str(digit) for digit in range(10)])
    train(f"{out}/run", data, build_model("mnist_cnn", 10), epochs=int(epochs), embed_size=POINTS)
    built = build(f"{out}/run")
    built.save(f"{out}/report.html")
    built.write_numbers(f"{out}/numbers")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
