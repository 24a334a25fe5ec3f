"""Small runs made of plain arrays, without jax: as a recorder writes them, or with anything wrong in them.

write_run(path)                                             # two epochs of a tiny network
write_run(path, params=lambda step, name, value: value * np.nan)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.network import INPUT, role_of
from reportgen.core.outcome import Classification
from reportgen.core.run import Batch, MetricRow, Observation
from reportgen.store import RunWriter
from reportgen.store.batches import BATCHES

Change = Callable[[int, str, np.ndarray], np.ndarray]


def _same(step: int, name: str, value: np.ndarray) -> np.ndarray:
    return value


def header(classes: int, size: int, channels: int) -> dict[str, Any]:
    """The parts of run.json: conv, relu, max_pool, hidden, relu, output."""

    def layer(path: str, op: str, shape: list[int], params: int = 0, reads: str | None = None) -> dict[str, Any]:
        names = {f"{path}/kernel": [params - shape[-1]], f"{path}/bias": [shape[-1]]} if params else {}
        return {
            **{"path": path, "op": op, "role": role_of(op), "shape": shape, "params": names},
            **{"axes": ["y", "x", "channel"][-len(shape) :], "inputs": [reads or INPUT]},
        }

    half = size // 2
    return {
        "classes": [f"class {i}" for i in range(classes)],
        "layers": [
            layer("conv", "Conv", [size, size, 3], 9 * channels * 3 + 3),
            layer("conv/relu", "relu", [size, size, 3], reads="conv"),
            layer("conv/max_pool", "max_pool", [half, half, 3], reads="conv/relu"),
            layer("hidden", "Dense", [5], half * half * 3 * 5 + 5, "conv/max_pool"),
            layer("hidden/relu", "relu", [5], reads="hidden"),
            layer("output", "Dense", [classes], 5 * classes + classes, "hidden/relu"),
        ],
        "config": {"model": "tiny", "dataset": "made", "seed": 0, "snapshot_every": 1},
        "provenance": {"train_images": 20, "packages": {"numpy": "2"}, "git_commit": None, "git_dirty": None},
        "embed_layer": "hidden/relu",
        "uncaptured": {},
    }


def write_run(
    path: Path,
    *,
    classes: int = 3,
    images: int = 8,
    size: int = 6,
    channels: int = 1,
    epochs: int = 2,
    per_epoch: int = 2,
    params: Change = _same,
    pixels: Change = _same,
    answers: Change = _same,
    predicted: Callable[[np.ndarray], np.ndarray] = lambda labels: np.where(np.arange(len(labels)) == 1, 0, labels),
    rows: Callable[[dict[str, float]], dict[str, float]] = lambda row: row,
    status: str = "finished",
    seed: int = 0,
) -> Path:
    """Record a network that was never computed: shapes, names and types as a recorder has them, values drawn.

    `params`, `pixels` and `answers` change what is written: (step, name, array) -> array. Pixels have step 0.
    """
    rng = np.random.default_rng(seed)
    parts = header(classes, size, channels)
    writer = RunWriter(path, parts)
    labels = np.arange(images) % classes
    probe = min(images, 2)
    data = {
        "probe_images": rng.random((images, size, size, channels)).astype(np.float32)[:probe],
        "probe_labels": labels[:probe],
        "evaluation_images": rng.random((images, size, size, channels)).astype(np.float32),
        "evaluation_labels": labels,
        "embedding_labels": labels,
    }
    arrays = {name: pixels(0, name, value) for name, value in data.items()}
    named = {name: [arrays.get(f"{name}_{what}") for what in ("images", "labels")] for name in BATCHES}
    writer.batches({name: Batch(len(targets), inputs, targets) for name, (inputs, targets) in named.items()})
    kernels = _parameters(parts["layers"], rng, channels, size)
    guesses = predicted(labels)
    for step in range(epochs * per_epoch + 1):
        epoch = -(-step // per_epoch)
        kernels = {
            name: (value + 0.01 * rng.standard_normal(value.shape)).astype(np.float32)
            for name, value in kernels.items()
        }
        writer.snapshot(step, epoch, {"params": {name: params(step, name, value) for name, value in kernels.items()}})
        if step:
            writer.step_rows(MetricRow(step, epoch, reported=rows({"train_loss": 2.0 / step})))
        if step % per_epoch == 0:
            arrays = _answers(parts["layers"], labels, guesses, probe, classes, rng)
            writer.observation(observed(step, epoch, {n: answers(step, n, value) for n, value in arrays.items()}))
            measured = rows({"val_accuracy": float(np.mean(guesses == labels))})
            writer.epoch_row(MetricRow(step, epoch, measured, rows({"val_loss": 1.0})))
    writer.close(status, 1.5)
    return path


def _parameters(
    layers: list[dict[str, Any]], rng: np.random.Generator, channels: int, size: int
) -> dict[str, np.ndarray]:
    outputs = layers[-1]["shape"][0]
    shapes = {
        **{"conv/kernel": (3, 3, channels, 3), "conv/bias": (3,), "hidden/bias": (5,), "output/bias": (outputs,)},
        "hidden/kernel": ((size // 2) ** 2 * 3, 5),
        "output/kernel": (5, outputs),
    }
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def _answers(
    layers: list[dict[str, Any]],
    labels: np.ndarray,
    guesses: np.ndarray,
    probe: int,
    classes: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The tensors of an activations file."""
    images = len(labels)
    counts = np.bincount(labels[guesses == labels], minlength=classes)
    arrays = {
        "label_counts": counts.astype(np.int64),
        "input_sums": counts * 5.0,
        "predictions": guesses.astype(np.int64),
        "margins": np.where(guesses == labels, 0, 1.5).astype(np.float32),
        "embedding_vectors": rng.standard_normal((images, 5)).astype(np.float32),
        "evaluation_vectors": rng.standard_normal((images, 5)).astype(np.float32),
    }
    for layer in layers:
        path, shape = layer["path"], tuple(layer["shape"])
        maps = rng.standard_normal((probe, *shape)).astype(np.float32)
        arrays[f"maps/{path}"] = np.maximum(maps, 0) if layer["op"] == "relu" else maps
        arrays[f"label_sums/{path}"] = rng.random((classes, shape[-1])) * counts[:, None]
        flat = arrays[f"maps/{path}"].reshape(-1, shape[-1])
        arrays[f"extremes/{path}"] = np.stack([flat.min(axis=0), flat.max(axis=0)])
    return arrays


def observed(step: int, epoch: int, tensors: dict[str, np.ndarray]) -> Observation:
    """The observation whose activations file has these tensors."""

    def below(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    fixed = [tensors[name] for name in ("predictions", "margins", "label_counts")]
    outcome = Classification(*fixed, below("label_sums/"), tensors["input_sums"])
    vectors = {name: tensors[f"{name}_vectors"] for name in ("embedding", "evaluation")}
    return Observation(step, epoch, below("maps/"), below("extremes/"), vectors, outcome)
