"""What a training loop calls: parameters after every batch, activations after every epoch.

    with Recorder("runs/mine", model, variables, probe=(images, labels), evaluation=(x, y)) as recorder:
        for epoch in range(epochs):
            for batch in batches:
                state, loss = train_step(state, batch)
                recorder.step(state.params, loss=loss)
            recorder.epoch({"params": state.params, "batch_stats": state.batch_stats}, val_accuracy=accuracy)

Opening the recorder records step 0, the network before training. `step` copies the parameters on the
device and returns; a thread fetches and writes them.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import Capture, check, flat_names, prepare, variables_of
from reportgen.core.network import Layer
from reportgen.errors import DataError, ModelError, OptionError, choices
from reportgen.record.background import Background
from reportgen.record.evaluate import Passes
from reportgen.record.provenance import provenance
from reportgen.store import RunWriter, snapshot_epoch

EVERY_BATCH_UP_TO = 1_000_000
"""Parameters up to which every batch is kept by default; a larger model keeps every k-th, such that
at most this many numbers are written per batch on average."""

WAITING_BYTES = 256 << 20
"""Snapshots that may wait for the disk, in bytes, before `step` waits too."""

MAPS_BYTES = 64 << 20
"""Probe activations kept per recorded epoch; of a larger network, fewer probe images are kept."""

IMAGE_BYTES = 64 << 20
"""Evaluation images kept in the run (a byte per value where they were bytes once)."""

VERIFIED_IMAGES = 4
"""Probe images that a verification looks at."""

_copied = jax.jit(lambda leaves: [jnp.copy(leaf) for leaf in leaves])


class Recorder:
    """Records one training of a Flax model into a run directory.

    model, variables    a flax.linen Module and its variables ({"params": ...}), or a TrainState; or an
                        nnx.Module alone. It is not changed, and read only where it is handed over
    probe               (images, labels): the few images whose activations are kept whole
    evaluation          (images, labels): what predictions and activity per label are computed on
    embedding           (images, labels): the points of the hidden-layer embedding, usually training
                        images; default: the first 2,000 evaluation images
    apply               (model, variables, images) -> output, for a model that needs more arguments
    classes             names of the labels; default: "0", "1", ...
    layers              glob patterns on layer paths: what is captured
    embed_layer         path of the layer to embed; default: the last hidden vector before the output
    snapshot_every      "batch", "epoch", or a number of batches; default: see `EVERY_BATCH_UP_TO`
    config, facts       JSON values for the report: what was asked for; what is known of data and place
    initial             metrics of the network before training (val_loss=...)
    overwrite           replace a run that is there; without it such a directory is refused
    resume_at           step to go on from: later snapshots and rows are dropped
    verify              compute every captured value of the probe again (`capture.verify`); the result is
                        noted in the run's provenance, and warned about when something differs

    Images are arrays [image, ...] as the model takes them, labels integers. Raises DataError, ModelError,
    OptionError or RunError, each saying what to change. A recorder that is closed by an exception leaves
    a run that can be read.
    """

    def __init__(
        self,
        path: str | Path,
        model: Any,
        variables: Any = None,
        *,
        probe: tuple[Any, Any],
        evaluation: tuple[Any, Any],
        embedding: tuple[Any, Any] | None = None,
        apply: Callable | None = None,
        classes: Sequence[str] | None = None,
        layers: Sequence[str] = ("*",),
        embed_layer: str | None = None,
        snapshot_every: str | int | None = None,
        config: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        resume_at: int | None = None,
        verify: bool = False,
    ):
        self._started = time.monotonic()
        variables = variables_of(model, variables)
        self._model = model
        self._collections = set(variables)
        probe_images, probe_labels = _labelled("probe", *probe)
        images, labels = _labelled("evaluation", *evaluation)
        self._embeds_evaluation = embedding is None
        if embedding is None:
            embedding = images[:2000], labels[:2000]
        self._embedding_images, embedding_labels = _labelled("embedding", *embedding)
        self._classes = _class_names(classes, [labels, probe_labels, embedding_labels])
        self._evaluation = images, labels
        self._every = _snapshot_interval(snapshot_every, variables)
        self._step = resume_at or 0
        self._epoch = 0 if resume_at is None else snapshot_epoch(Path(path), resume_at)
        self._kept = self._step
        self.accuracy: float | None = None
        """Share of the evaluation images predicted right when they were last evaluated."""

        capture = prepare(model, variables, probe_images[:1], apply=apply, layers=layers)
        self._embed_layer = _embedding_layer(capture, embed_layer)
        if self._embed_layer is not None and self._embed_layer not in capture.selected:
            capture = replace(capture, selected=(*capture.selected, self._embed_layer))
        scored = _scores_classes(capture, variables, probe_images[:1], len(self._classes))
        self._passes = Passes(capture, len(self._classes) if scored else 0, self._embed_layer)
        kept = _probe_count(capture.network.distinct, len(probe_images))
        self._probe_images = probe_images[:kept]

        self._writer = RunWriter(
            Path(path),
            {
                "classes": self._classes,
                "layers": [asdict(layer) for layer in capture.network.layers.values()],
                "embed_layer": self._embed_layer,
                "uncaptured": dict(capture.network.uncaptured),
                "config": {
                    "model": capture.network.name,
                    **(config or {}),
                    "snapshot_every": self._every or "epoch",
                    "layers": list(layers),
                },
                "provenance": {
                    **provenance(),
                    **(facts or {}),
                    **(
                        {"flax_capture_not_used": capture.forward.flax_capture_error}
                        if capture.forward.flax_capture_error
                        else {}
                    ),
                    **({"probe_images_kept": _fewer(kept, len(probe_images))} if kept < len(probe_images) else {}),
                    **(_verified(capture, variables, probe_images) if verify else {}),
                },
            },
            overwrite=overwrite,
            resume_at=resume_at,
        )
        nbytes = sum(leaf.nbytes for leaf in jax.tree.leaves(variables["params"]))
        self._background = Background(capacity=int(np.clip(WAITING_BYTES // max(nbytes, 1), 2, 64)))
        try:
            if resume_at is None:
                self._writer.data(self._shown(probe_labels, images, labels, embedding_labels))
                self._keep(variables["params"], 0)
                self._record(variables, initial or {})
        except BaseException:
            self.close("failed")
            raise

    def step(self, params: Any, loss: Any = None, **metrics: Any) -> None:
        """Note one update: `params` after it, and the loss of the batch that made it.

        `params` is a params tree, a TrainState, or variables with "params"; for NNX the model, its state,
        or nnx.state(model, nnx.Param). `loss` and further metrics may be device scalars, which are not
        waited for. Raises what the writer thread failed with.
        """
        self._step += 1
        row = {"step": self._step, "epoch": self._epoch + 1}
        values = {**({} if loss is None else {"train_loss": loss}), **metrics}
        if self._every and self._step % self._every == 0:
            self._keep(variables_of(self._model, params)["params"], row["epoch"])
        # Copied like the parameters: the loop may delete or donate what it was given.
        copies = dict(zip(values, _copied(list(values.values())), strict=True))
        self._background.submit(lambda: self._writer.step_row({**row, **_numbers(copies)}))

    def epoch(self, variables: Any, **metrics: Any) -> None:
        """Close an epoch: records activations, predictions, vectors, and `metrics` with val_accuracy.

        `variables` as the model takes them, or a TrainState; for NNX the model or its state. Waits for the
        evaluation. Raises OptionError when a collection that the model began with is missing.
        """
        variables = variables_of(self._model, variables)
        if missing := self._collections - set(variables):
            raise OptionError(
                f"epoch() was given {', '.join(sorted(variables))} without {', '.join(sorted(missing))}; "
                "give all that the model needs in evaluation"
            )
        self._epoch += 1
        if self._kept != self._step:
            self._keep(variables["params"], self._epoch)
        self._record(variables, metrics)

    def flush(self) -> None:
        """Wait until all that was noted until now lies in the run. Raises what the writer thread failed with."""
        self._background.flush()

    def close(self, status: str = "finished") -> None:
        """Write what waits, and let go of the run. `status` is noted in it."""
        try:
            self._background.close()
        except BaseException:
            self._writer.close("failed", time.monotonic() - self._started)
            raise
        self._writer.close(status, time.monotonic() - self._started)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        if kind is None:
            self.close()
        else:
            self.close("interrupted" if issubclass(kind, KeyboardInterrupt) else "failed")

    def _keep(self, params: Any, epoch: int) -> None:
        """Hand a copy of the parameters to the writer thread."""
        self._kept = step = self._step
        named = flat_names(params)
        # The copy is queued on the device behind the update that made the parameters, so a loop that
        # donates them to its next update can go on.
        copies = _copied(list(named.values()))

        def write() -> None:
            self._writer.snapshot(step, epoch, dict(zip(named, map(np.asarray, copies), strict=True)))

        self._background.submit(write)

    def _record(self, variables: Any, metrics: Mapping[str, Any]) -> None:
        """Evaluate the network as it is now, and hand the results to the writer thread."""
        step, epoch = self._step, self._epoch
        images, labels = self._evaluation
        found = self._passes.evaluate(variables, images, labels, vectors=len(self._embedding_images))
        found["embedding_vectors"] = (
            found["evaluation_vectors"]
            if self._embeds_evaluation
            else self._passes.vectors(variables, self._embedding_images)
        )
        for path, value in self._passes.maps(variables, self._probe_images).items():
            found[f"maps/{path}"] = value
        for name, value in flat_names({k: v for k, v in variables.items() if k != "params"}).items():
            found[f"variables/{name}"] = np.asarray(value)
        row: dict[str, float] = {"step": step, "epoch": epoch}
        if len(found["predictions"]):
            row["val_accuracy"] = self.accuracy = float(np.mean(found["predictions"] == labels))
        row.update(_numbers(metrics))
        self._background.submit(lambda: self._writer.activations(step, epoch, found))
        self._background.submit(lambda: self._writer.epoch_row(row))

    def _shown(self, probe_labels, images, labels, embedding_labels) -> dict[str, np.ndarray]:
        """The arrays of data.safetensors."""
        arrays = {
            "probe_labels": probe_labels[: len(self._probe_images)],
            "evaluation_labels": labels,
            "embedding_labels": embedding_labels,
        }
        per_image = max(1, as_bytes(images[:1])[0].nbytes)
        for name, kept in (
            ("probe_images", self._probe_images),
            ("evaluation_images", images[: IMAGE_BYTES // per_image]),
        ):
            arrays[name], was_scaled = as_bytes(kept)
            if was_scaled:
                arrays[f"{name}_divisor"] = np.array(255)
        return arrays


def as_bytes(images: np.ndarray) -> tuple[np.ndarray, bool]:
    """Images that are n/255 for whole n as uint8, and True; others as they are, and False.

    Data sets come in bytes; a quarter of the space keeps exactly what was fed to the network.
    """
    if (
        images.dtype != np.float32
        or not np.isfinite(images).all()
        or images.min(initial=0) < 0
        or images.max(initial=0) > 1
    ):
        return images, False
    whole = np.rint(images * np.float32(255)).astype(np.uint8)
    exact = np.array_equal(whole.astype(np.float32) / 255, images)
    return (whole, True) if exact else (images, False)


def _labelled(name: str, images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(images), np.asarray(labels)
    if len(images) == 0 or labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name} must be (images, labels) with a whole number for each image; "
            f"got images {images.shape} and labels {labels.shape} of type {labels.dtype}"
        )
    return images, labels.astype(np.int64)


def _class_names(classes: Sequence[str] | None, labels: list[np.ndarray]) -> list[str]:
    low, high = min(int(x.min()) for x in labels), max(int(x.max()) for x in labels)
    names = [str(i) for i in range(high + 1)] if classes is None else [str(name) for name in classes]
    if low < 0 or high >= len(names):
        raise DataError(f"labels run from {low} to {high}, but there are {len(names)} classes, counted from 0")
    return names


def _snapshot_interval(asked: str | int | None, variables: Mapping[str, Any]) -> int:
    """Keep every n-th batch; 0 keeps the ends of epochs only."""
    if asked is None:
        count = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(variables["params"]))
        return max(1, -(-count // EVERY_BATCH_UP_TO))
    named = {"batch": 1, "epoch": 0}
    if asked in named:
        return named[asked]
    if isinstance(asked, int) and asked >= 1:
        return asked
    raise OptionError(f"snapshots can't be kept every {asked!r}: give batch, epoch, or a number of batches")


def _embedding_layer(capture: Capture, asked: str | None) -> str | None:
    """The layer to embed: the asked one, else the last vector before the layer that gives the output."""
    named = capture.network.layers
    if asked is not None:
        if asked not in named:
            raise ModelError(f"there is no layer {asked!r} to embed; {choices(asked, named)}")
        return named[asked].alias_of or asked
    layers = tuple(named.values())
    with_params = [i for i, layer in enumerate(layers) if layer.parameters]
    before_output = layers[: with_params[-1]] if with_params else ()
    vectors = [layer.path for layer in before_output if len(layer.shape) == 1 and layer.alias_of is None]
    return vectors[-1] if vectors else None


def _verified(capture: Capture, variables: Any, images: np.ndarray) -> dict[str, Any]:
    """What a verification of all layers found, as provenance."""
    every = replace(capture, selected=tuple(layer.path for layer in capture.network.distinct))
    found = check(every, variables, images[:VERIFIED_IMAGES])
    if not found:
        failed = "; ".join(f"{path} {text}" for path, text in found.failed.items())
        warnings.warn(f"{found}: {failed}", UserWarning, stacklevel=3)
    return {"verification": str(found), "verification_flax": found.flax, "verification_failed": dict(found.failed)}


def _scores_classes(capture: Capture, variables: Any, image: np.ndarray, classes: int) -> bool:
    """Whether the model's output is one score per class, so that it can be right or wrong."""
    output = jax.eval_shape(lambda v, x: capture(v, x)[0], variables, image)
    return getattr(output, "shape", None) == (1, classes)


def _probe_count(layers: Sequence[Layer], images: int) -> int:
    per_image = sum(int(np.prod(layer.shape)) * 4 for layer in layers)
    return max(1, min(images, MAPS_BYTES // max(per_image, 1)))


def _fewer(kept: int, given: int) -> str:
    return f"{kept} of {given}: the feature maps of more would take over {MAPS_BYTES >> 20} MiB an epoch"


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(np.asarray(value)) for name, value in values.items()}
