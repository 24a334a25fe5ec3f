"""What a training loop calls: parameters after every batch, activations after every epoch.

    with Recorder("runs/mine", model, variables, probe=(images, labels), evaluation=(x, y)) as recorder:
        for epoch in range(epochs):
            for batch in batches:
                state, loss = train_step(state, batch)
                recorder.step(state.params, loss=loss)
            recorder.epoch({"params": state.params, "batch_stats": state.batch_stats}, val_loss=val_loss)

Opening the recorder records step 0, the network before training. `step` copies the parameters on the
device and returns; a thread fetches and writes them.
"""

import operator
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from reportgen.capture import Capture, check, flat_names, prepare, variables_of
from reportgen.core.network import Layer
from reportgen.core.run import Batch, MetricRow
from reportgen.errors import ModelError, OptionError, RunError, choices
from reportgen.evaluate import Observer, scores_classes
from reportgen.record.background import Background
from reportgen.record.batches import batch_of, class_names, examples, first, kept
from reportgen.record.provenance import provenance
from reportgen.record.values import metrics, numbers, plain
from reportgen.store import RunWriter, snapshot_epoch

EVERY_BATCH_UP_TO = 1_000_000
"""Parameters up to which every batch is kept by default; a larger model keeps every k-th, such that
at most this many numbers are written per batch on average."""

WAITING_BYTES = 256 << 20
"""Snapshots that may wait for the disk, in bytes, before `step` waits too."""

MAPS_BYTES = 64 << 20
"""Probe activations kept per recorded epoch; of a larger network, fewer probe images are kept."""

EMBEDDED = 2000
"""Evaluation examples that are embedded where no others are given."""

VERIFIED_EXAMPLES = 4
"""Probe examples that a verification looks at."""

_copied = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))


class Recorder:
    """Records one training of a Flax model into a run directory.

    model, variables    a flax.linen Module and its variables ({"params": ...}), or a TrainState; or an
                        nnx.Module alone. It is not changed, and read only where it is handed over
    probe               the few examples whose activations are kept whole: inputs, or (inputs, labels)
    evaluation          likewise: what ranges, predictions and activity per label are computed on
    embedding           likewise: the points of the hidden-layer embedding, usually training examples;
                        default: the first 2,000 evaluation examples
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

    Inputs are an array [example, ...] as the model takes it, or a dict or tuple of such arrays; as a pair is
    taken for inputs and labels, inputs that are a pair are written ((a, b), None). Labels are integers. Raises
    DataError, ModelError, OptionError or RunError, each saying what to change. A recorder that
    is closed by an exception leaves a run that can be read.
    """

    def __init__(
        self,
        path: str | Path,
        model: Any,
        variables: Any = None,
        *,
        probe: Any,
        evaluation: Any = None,
        embedding: Any = None,
        apply: Callable[[Any, Any, Any], Any] | None = None,
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
        if variables is None and isinstance(model, nn.Module):
            raise OptionError("the variables are missing: a Linen model is recorded with its variables or a TrainState")
        variables = variables_of(model, variables)
        self._model = model
        self._collections = set(variables)
        given = {"probe": probe, "evaluation": evaluation, "embedding": embedding}
        self._batches = {name: batch_of(name, value) for name, value in given.items() if value is not None}
        if embedding is None and evaluation is not None:
            self._batches["embedding"] = replace(first(self._batches["evaluation"], EMBEDDED), inputs=None)
        self._classes = class_names(classes, self._batches)
        self._every = _snapshot_interval(snapshot_every, variables)
        self._step = self._epoch_began = resume_at or 0
        self._epoch = 0 if resume_at is None else snapshot_epoch(Path(path), resume_at)
        self._kept: tuple[int, set[str]] = self._step, self._collections
        self._closed = False
        self._warned = False
        self.accuracy: float | None = None
        """Share of the evaluation images predicted right when they were last evaluated."""

        whole = self._batches["probe"]
        example = examples(whole.inputs, 1)
        capture = prepare(model, variables, example, apply=apply, layers=layers)
        self._embed_layer = _embedding_layer(capture, embed_layer) if "embedding" in self._batches else None
        if self._embed_layer is not None and self._embed_layer not in capture.selected:
            capture = replace(capture, selected=(*capture.selected, self._embed_layer))
        count = _probe_count(capture.network.distinct, whole.size)
        self._batches["probe"] = first(whole, count)
        labelled = self._batches.get("evaluation", Batch()).targets is not None
        scored = labelled and scores_classes(capture, variables, example, len(self._classes))
        self._observe = Observer(capture, self._batches, len(self._classes) if scored else 0, self._embed_layer)

        self._writer = RunWriter(
            Path(path),
            {
                "classes": self._classes,
                "layers": [asdict(layer) for layer in capture.network.layers.values()],
                "embed_layer": self._embed_layer,
                "uncaptured": dict(capture.network.uncaptured),
                "config": {
                    "model": capture.network.name,
                    **_configuration(config),
                    "snapshot_every": self._every or "epoch",
                    "layers": list(layers),
                },
                "provenance": {
                    **provenance(),
                    **{name: plain(value, f"facts[{name!r}]") for name, value in (facts or {}).items()},
                    **(
                        {"flax_capture_not_used": capture.forward.flax_capture_error}
                        if capture.forward.flax_capture_error
                        else {}
                    ),
                    **({"probe_images_kept": _fewer(count, whole.size)} if count < whole.size else {}),
                    **(_verified(capture, variables, whole.inputs) if verify else {}),
                },
            },
            overwrite=overwrite,
            resume_at=resume_at,
        )
        nbytes = sum(leaf.nbytes for leaf in jax.tree.leaves(variables["params"]))
        self._background = Background(capacity=int(np.clip(WAITING_BYTES // max(nbytes, 1), 2, 64)))
        try:
            if resume_at is None:
                self._writer.batches(kept(self._batches))
                self._keep(variables, 0)
                self._record(variables, metrics(initial or {}))
        except BaseException:
            self.close("failed")
            raise

    def step(self, params: Any, loss: Any = None, **reported: Any) -> None:
        """Note one update: `params` after it, and the loss of the batch that made it.

        `params` is a params tree, a TrainState, or variables with "params"; for NNX the model, its state,
        or nnx.state(model, nnx.Param). `loss` and further metrics may be device scalars, which are not
        waited for. Raises OptionError for a metric that is not a scalar number or has a reserved name,
        RunError after `close`, and what the writer thread failed with.
        """
        self._check_open()
        given = metrics({**({} if loss is None else {"train_loss": loss}), **reported})
        variables = variables_of(self._model, params)
        self._step += 1
        step, epoch = self._step, self._epoch + 1
        if self._every and step % self._every == 0:
            self._keep(variables, epoch)
        copies = _held(given)
        self._background.submit(lambda: self._writer.step_rows(MetricRow(step, epoch, reported=numbers(copies))))

    def epoch(self, variables: Any, *, steps: int | None = None, losses: Any = None, **reported: Any) -> None:
        """Close an epoch: records activations, predictions, vectors, the measured val_accuracy, and metrics.

        `variables` as the model takes them, or a TrainState; for NNX the model or its state. A loop that does
        not call `step`, as one whose updates run inside `jax.lax.scan`, gives the number of updates as
        `steps`, or their `losses` [update], which become the loss of each. Without either, an epoch in which
        `step` was not called counts as one update, for each epoch is kept under a step of its own. Waits for
        the evaluation. Raises OptionError when a collection that the model began with is missing, and for
        metrics as `step` does.
        """
        self._check_open()
        variables = variables_of(self._model, variables)
        if missing := self._collections - set(variables):
            raise OptionError(
                f"epoch() was given {', '.join(sorted(variables))} without {', '.join(sorted(missing))}; "
                "give all that the model needs in evaluation"
            )
        given = metrics(reported)
        each = _losses(losses, steps)
        count = len(each) if steps is None else _count(steps)
        if not count and self._step == self._epoch_began:
            count = 1
            self._warn_of_no_step()
        self._epoch += 1
        rows = [
            MetricRow(self._step + number, self._epoch, reported=numbers({"train_loss": loss}))
            for number, loss in enumerate(each, 1)
        ]
        self._background.submit(lambda: self._writer.step_rows(*rows))
        self._step += count
        self._epoch_began = self._step
        if self._kept != (self._step, self._collections):
            self._keep(variables, self._epoch)
        self._record(variables, given)

    def _check_open(self) -> None:
        if self._closed:
            raise RunError(f"the recorder of {self._writer.path} is closed: nothing more can be recorded with it")

    def _warn_of_no_step(self) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                "epoch() was called without step() since the last epoch, so that it counts as one update; "
                "give the number of its updates as steps=, or their losses=",
                UserWarning,
                stacklevel=3,
            )

    def flush(self) -> None:
        """Wait until all that was noted until now lies in the run. Raises what the writer thread failed with."""
        self._background.flush()

    def close(self, status: str = "finished") -> None:
        """Flush pending writes and release the run directory, whose `status` is noted in it."""
        if self._closed:
            return
        self._closed = True
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

    def _keep(self, variables: Mapping[str, Any], epoch: int) -> None:
        """Hand a copy of the variables, of the collections that the model began with, to the writer thread."""
        step = self._step
        trees = {kind: flat_names(tree) for kind, tree in variables.items() if kind in self._collections}
        self._kept = step, set(trees)
        # The copy is queued on the device behind the update that made the parameters, so a loop that
        # donates them to its next update can go on.
        copies = _copied(trees)

        def write() -> None:
            self._writer.snapshot(step, epoch, jax.tree.map(np.asarray, copies))

        self._background.submit(write)

    def _record(self, variables: Any, given: Mapping[str, Any]) -> None:
        """Evaluate the network as it is now, and hand the results to the writer thread."""
        observation = self._observe(variables, self._step, self._epoch)
        outcome, measured = observation.outcome, {}
        if outcome is not None:
            right = outcome.predictions == self._batches["evaluation"].targets
            measured["val_accuracy"] = self.accuracy = float(np.mean(right))
        row = MetricRow(self._step, self._epoch, measured, numbers(given))
        self._background.submit(lambda: self._writer.observation(observation))
        self._background.submit(lambda: self._writer.epoch_row(row))


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


def _verified(capture: Capture, variables: Any, inputs: Any) -> dict[str, Any]:
    """What a verification of all layers found, as provenance."""
    every = replace(capture, selected=tuple(layer.path for layer in capture.network.distinct))
    found = check(every, variables, examples(inputs, VERIFIED_EXAMPLES))
    if not found:
        failed = "; ".join(f"{path} {text}" for path, text in found.failed.items())
        warnings.warn(f"{found}: {failed}", UserWarning, stacklevel=3)
    return {"verification": str(found), "verification_flax": found.flax, "verification_failed": dict(found.failed)}


def _probe_count(layers: Sequence[Layer], images: int) -> int:
    per_image = sum(int(np.prod(layer.shape)) * 4 for layer in layers)
    return max(1, min(images, MAPS_BYTES // max(per_image, 1)))


def _fewer(kept: int, given: int) -> str:
    return f"{kept} of {given}: the feature maps of more would take over {MAPS_BYTES >> 20} MiB an epoch"


def _held(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, those on the device copied like parameters: the loop may delete or donate what it was given."""
    arrays = {name: value for name, value in values.items() if isinstance(value, jax.Array)}
    return {**values, **_copied(arrays)} if arrays else dict(values)


def _losses(losses: Any, steps: int | None) -> list[Any]:
    """The loss of each of an epoch's updates. Raises OptionError when these are not as many as `steps`."""
    if losses is None:
        return []
    array = np.asarray(losses)
    if array.ndim != 1 or (steps is not None and len(array) != steps):
        raise OptionError(f"losses must be one number for each of the epoch's {steps or ''} updates; got {array.shape}")
    each = list(array)
    if each:
        metrics({"losses": each[0]})
    return each


def _count(steps: Any) -> int:
    try:
        count = operator.index(steps)
    except TypeError:
        count = -1
    if count < 0:
        raise OptionError(f"steps must be the number of the epoch's updates, not {steps!r}")
    return count


def _configuration(config: Any) -> dict[str, Any]:
    if config is not None and not isinstance(config, Mapping):
        raise OptionError(f"config must be a mapping of names to values, not {type(config).__name__}; try vars(config)")
    return {str(name): plain(value, f"config[{name!r}]") for name, value in (config or {}).items()}
