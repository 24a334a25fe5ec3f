"""What a run keeps of one state of the network: the evaluations of its batches, put together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax

from reportgen.capture import Capture
from reportgen.core.run import Batch, Classification, Observation
from reportgen.evaluate.evaluator import Evaluator, Reducer, size_of
from reportgen.evaluate.reducers import LabelSums, Maps, Predictions, Ranges, Vectors


class Observer:
    """Observes a captured model on the batches "probe", "evaluation" and "embedding", as far as there are any.

        observation = Observer(capture, batches, classes=10, embed_layer="hidden/relu")(variables, step=0, epoch=0)

    `classes` is how many the output scores, 0 where it does not (`scores_classes`) or the evaluation batch has no
    targets; `embed_layer` the path of a selected layer whose vectors are kept, None for none. An embedding batch
    without inputs is the first examples of the evaluation batch.
    """

    def __init__(self, capture: Capture, batches: Mapping[str, Batch], classes: int, embed_layer: str | None):
        self.network = capture.network
        self._batches = batches
        self._maps = Evaluator(capture, [Maps()])
        reducers: dict[str, Reducer] = {"ranges": Ranges()}
        if classes:
            reducers |= {"predictions": Predictions(), "sums": LabelSums(classes)}
        self._vectors: Evaluator | None = None
        embedding = batches.get("embedding", Batch())
        if embed_layer is not None:
            reducers["vectors"] = Vectors(embed_layer, embedding.size)
            if embedding.inputs is not None:
                self._vectors = Evaluator(replace(capture, selected=(embed_layer,)), [reducers["vectors"]])
        self._names = tuple(reducers)
        self._evaluate = Evaluator(capture, list(reducers.values()))

    def __call__(self, variables: Any, step: int, epoch: int) -> Observation:
        """The observation of the network with these variables. Waits for it."""
        probe, evaluation, embedding = (
            self._batches.get(name, Batch()) for name in ("probe", "evaluation", "embedding")
        )
        results: dict[str, Any] = {}
        if evaluation.size:
            values = self._evaluate(variables, evaluation.inputs, evaluation.targets)
            results = dict(zip(self._names, values, strict=True))
        vectors = {"evaluation": results["vectors"]} if "vectors" in results else {}
        if self._vectors is not None:
            (vectors["embedding"],) = self._vectors(variables, embedding.inputs)
        elif vectors:
            vectors["embedding"] = vectors["evaluation"]
        (maps,) = self._maps(variables, probe.inputs, size=probe.size)
        return Observation(step, epoch, maps, results.get("ranges", {}), vectors, _outcome(results))


def _outcome(results: Mapping[str, Any]) -> Classification | None:
    if "predictions" not in results:
        return None
    predictions, gap = results["predictions"]
    sums, counts, inputs = results["sums"]
    return Classification(predictions, gap, counts, sums, inputs)


def scores_classes(capture: Capture, variables: Any, inputs: Any, classes: int) -> bool:
    """Whether the model's output for the inputs is one score per class, so that it can be right or wrong."""
    output = jax.eval_shape(lambda v, x: capture(v, x)[0], variables, inputs)
    return bool(classes) and getattr(output, "shape", None) == (size_of(inputs), classes)
