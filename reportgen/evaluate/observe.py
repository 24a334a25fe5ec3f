"""Evaluate all batches of a run on one state of the network."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from reportgen.capture import Capture
from reportgen.core.network import Role
from reportgen.core.outcome import Task
from reportgen.core.progress import Progress
from reportgen.core.run import Batch, Observation
from reportgen.evaluate.evaluator import Evaluator, Examples, Reducer
from reportgen.evaluate.outcomes import scoring_of
from reportgen.evaluate.reducers import ChannelMeans, Maps, Ranges, Vectors, summed_labels
from reportgen.evaluate.top import Top

COMPARED = 512
"""Evaluation examples whose layer vectors are kept, at most."""

COMPARED_BYTES = 16 << 20
"""Bytes of them, at most."""


class Observer:
    """Observes a captured model on the batches "probe", "evaluation" and "embedding", as far as there are any.

        observation = Observer(capture, batches, task, classes=10, embed_layer="hidden/relu")(variables, 0, 0)

    `task` says what is scored; where nothing is, sums by label are over all examples of so many `classes`, 0 where
    the targets are no labels. `embed_layer` is the path of a selected layer whose vectors are kept, None for none. An
    embedding batch without inputs is the first examples of the evaluation batch. `top` asks for the top-activating
    examples. Where the evaluation batch has fingerprints, the layer vectors of `COMPARED` examples are kept for
    comparing runs. `mapped` are the selected layers whose maps are kept, None for all, as float16 if `halved`. `loss`
    asks for the cross-entropy of a classification. The attribute `seconds` is what the last observation took, 0 before
    the first.
    """

    def __init__(
        self,
        capture: Capture,
        batches: Mapping[str, Batch],
        task: Task,
        classes: int,
        embed_layer: str | None = None,
        *,
        top: bool = False,
        mapped: Sequence[str] | None = None,
        halved: bool = False,
        loss: bool = False,
    ):
        self.seconds = 0.0
        self.network = capture.network
        self._batches = batches
        channels = sum(capture.network.layers[path].channels for path in capture.selected)
        # Two sums of each channel: over the examples that are predicted correctly, and over the others.
        summed = summed_labels(batches.get("evaluation", Batch()).labels, 2 * channels)
        self._scoring = scoring_of(task, classes, capture.network, summed, loss=loss)
        shown: dict[str, Reducer] = {"probe": self._scoring.probe} if self._scoring.probe is not None else {}
        shows = capture if mapped is None else replace(capture, selected=tuple(mapped))
        self._maps = Evaluator(shows, [Maps(halved), *shown.values()])
        reducers: dict[str, Reducer] = {"ranges": Ranges(rows=top), **self._scoring.evaluation}
        if top:
            reducers["top"] = Top()
        if (known := batches.get("evaluation", Batch()).fingerprints) is not None:
            paths = _compared(capture)
            width = sum(capture.network.layers[path].channels for path in paths)
            count = min(COMPARED, COMPARED_BYTES // max(2 * width, 1))
            reducers["means"] = ChannelMeans(np.argsort(known, kind="stable")[:count], paths)
        ranking = self._scoring.ranking
        if ranking is not None:
            reducers["top_classes"] = ranking
        self._embedded: Evaluator | None = None
        embedding = batches.get("embedding", Batch())
        if embed_layer is not None:
            reducers["vectors"] = Vectors(embed_layer, embedding.size)
            if embedding.inputs is not None:
                wanted = [reducers["vectors"], *([ranking] if ranking is not None else [])]
                self._embedded = Evaluator(replace(capture, selected=(embed_layer,)), wanted)
        self._names = tuple(reducers)
        self._evaluate = Evaluator(capture, list(reducers.values()))

    def __call__(self, variables: Any, step: int, epoch: int, progress: Progress | None = None) -> Observation:
        """The observation of the network with these variables. Waits for it.

        `progress(name, done, of)` is called after each batch, in examples.
        """
        began = time.monotonic()
        note = partial(partial, progress) if progress is not None else lambda _: None
        probe, evaluation, embedding = (
            self._batches.get(name, Batch()) for name in ("probe", "evaluation", "embedding")
        )
        results: dict[str, Any] = {}
        if evaluation.size:
            values = _evaluated(self._evaluate, variables, evaluation, note("evaluation"))
            results = dict(zip(self._names, values, strict=True))
        vectors = {"evaluation": results["vectors"]} if "vectors" in results else {}
        ranked = {"evaluation": results["top_classes"]} if "top_classes" in results else {}
        if self._embedded is not None:
            vectors["embedding"], *ranking = self._embedded(variables, embedding.inputs)
            ranked |= dict(zip(("embedding",), ranking, strict=False))
        elif vectors:
            vectors["embedding"] = vectors["evaluation"]
        maps, *shown = self._maps(variables, probe.inputs, progress=note("probe"))
        maps = {path: array.reshape(len(array), *self.network.layers[path].shape) for path, array in maps.items()}
        results |= dict(zip(("probe",), shown, strict=False))
        ranges, top = results.get("ranges", {}), results.get("top", {})
        means = results.get("means")
        outcome = self._scoring.outcome(results)
        self.seconds = time.monotonic() - began
        return Observation(step, epoch, maps, ranges, vectors, outcome, top, means, ranked)


def _compared(capture: Capture) -> list[str]:
    """The layers with a vector for each example: a value per channel. Reshaped and dropped-out ones repeat others."""
    layers = [capture.network.layers[path] for path in capture.selected]
    repeating = (Role.RESHAPE, Role.DROPOUT)
    return [x.path for x in layers if x.shape and x.axes[-1:] in ((), ("channel",), ("?",)) and x.role not in repeating]


def _evaluated(evaluate: Evaluator, variables: Any, batch: Batch, progress: Any) -> list[Any]:
    if batch.stream is None:
        return evaluate(variables, batch.inputs, batch.targets, progress=progress)
    return evaluate.stream(variables, (Examples(*part) for part in batch.stream()), batch.size, progress)
