"""`reportgen --help`, and the start of a training with and without programs compiled before."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import REPOSITORY, Row, Settings, ratio

IMPORTED = "import sys; from reportgen.cli import cli; sys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"


def measure(settings: Settings) -> list[Row]:
    """Seconds of whole processes; from the start of one to the first update in its run directory."""
    helped = []
    for _ in range(settings.rounds):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "reportgen", "--help"], check=True, capture_output=True, cwd=REPOSITORY)
        helped.append(time.perf_counter() - started)
    free = subprocess.run([sys.executable, "-c", IMPORTED], cwd=REPOSITORY).returncode == 0
    detail = "neither jax nor matplotlib imported" if free else "jax or matplotlib imported"
    rows = [Row("`reportgen --help`", tuple(helped) if free else (float("inf"),), 0.3, "s", detail)]
    if settings.tiny:
        return rows
    first, second = [], []
    for number in range(settings.rounds):
        cache = settings.folder / f"cache{number}"
        first.append({"seconds": _first_step(settings, cache)})
        second.append({"seconds": _first_step(settings, cache)})
    return [*rows, ratio("second `reportgen train`, start to first step / the first", second, first, 0.5)]


def _first_step(settings: Settings, cache: Path) -> float:
    run = settings.folder / "started"
    shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, "-m", "reportgen", "train", "-o", str(run), "--model", "mnist_cnn", "--epochs", "1"]
    environment = {"JAX_PLATFORMS": "cpu", **os.environ, "XDG_CACHE_HOME": str(cache)}
    rows = run / "steps.jsonl"
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as training:
        while not (rows.is_file() and rows.stat().st_size):
            if training.poll() is not None:
                raise RuntimeError(f"reportgen train ended with {training.returncode}")
            time.sleep(0.003)
        seconds = time.perf_counter() - started
        training.kill()
    return seconds
