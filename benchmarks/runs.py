"""Synthetic run directories of any size, written as the recorder writes them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reportgen.core.outcome import Classification
from reportgen.core.run import Batch, MetricRow, Observation
from reportgen.store import RunWriter

CLASSES = 10
HIDDEN = 32


def write_run(
    path: Path,
    snapshots: int = 10,
    channels: int = 8,
    images: int = 1000,
    layers: int = 2,
    extra: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """A run of `layers` 3x3 convolutions of `channels` maps of 8x8, and of `images` 28x28 evaluation images.

    Two recorded epochs, ten probe images, `extra` parameters by name and shape.
    """
    rng = np.random.default_rng(0)
    paths = [f"conv{index}" for index in range(layers)]
    # The first layer has `channels` outputs of few inputs, so that parameters grow with the channels only.
    shapes = {f"{name}/kernel": (3, 3, 4, channels) for name in paths} | {f"{name}/bias": (channels,) for name in paths}
    shapes |= dict(extra or {})
    header = {
        "classes": [str(label) for label in range(CLASSES)],
        "layers": [_layer(name, channels) for name in paths] + [_hidden()],
        "embed_layer": "hidden",
        "uncaptured": {},
        "config": {"model": "synthetic", "dataset": "noise", "epochs": 2, "snapshot_every": 1},
        "provenance": {},
    }
    writer = RunWriter(path, header, overwrite=True)
    labels = rng.integers(0, CLASSES, images)
    probe = rng.integers(0, 256, (10, 28, 28, 1), np.uint8) / np.float32(255)
    shown = np.resize(rng.integers(0, 256, (1000, 28, 28, 1), np.uint8) / np.float32(255), (images, 28, 28, 1))
    writer.batches(
        {
            "probe": Batch(10, probe, np.arange(10)),
            "evaluation": Batch(images, shown, labels),
            "embedding": Batch(min(images, 200), None, labels[:200]),
        }
    )
    params = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    for step in range(snapshots):
        params = {
            name: value + np.float32(0.01) * rng.standard_normal(1).astype(np.float32) for name, value in params.items()
        }
        writer.snapshot(step, int(step > 0), {"params": params})
        if step:
            writer.step_rows(MetricRow(step, 1, reported={"train_loss": 1 / step}))
    for step, epoch in ((0, 0), (snapshots - 1, 1)):
        writer.observation(_observation(step, epoch, rng, paths, channels, labels))
        writer.epoch_row(MetricRow(step, epoch, {"val_accuracy": 0.5}, {"val_loss": 1.0}))
    writer.close("finished", seconds=1.0)


def _layer(name: str, channels: int) -> dict:
    return {
        "path": name,
        "op": "Conv",
        "role": "conv",
        "shape": [8, 8, channels],
        "params": {f"{name}/kernel": [3, 3, 4, channels], f"{name}/bias": [channels]},
        "axes": ["y", "x", "channel"],
    }


def _hidden() -> dict:
    return {"path": "hidden", "op": "Dense", "role": "dense", "shape": [HIDDEN], "axes": ["channel"]}


def _observation(
    step: int, epoch: int, rng: np.random.Generator, paths: list[str], channels: int, labels: np.ndarray
) -> Observation:
    right = rng.random(len(labels)) < 0.95
    predictions = np.where(right, labels, (labels + 1) % CLASSES)
    counts = np.bincount(labels[right], minlength=CLASSES)
    vectors = rng.normal(size=(min(len(labels), 2000), HIDDEN)).astype(np.float32)[:200]
    sums = {name: rng.random((CLASSES, channels)) * counts[:, None] for name in paths}
    gap = np.where(right, 0, 1).astype(np.float32)
    return Observation(
        step,
        epoch,
        maps={name: rng.random((10, 8, 8, channels), dtype=np.float32) for name in paths},
        ranges={name: np.stack([np.zeros(channels), np.ones(channels)]).astype(np.float32) for name in paths},
        vectors={"embedding": vectors, "evaluation": vectors},
        outcome=Classification(predictions, gap, counts, sums, counts * 100.0),
    )
