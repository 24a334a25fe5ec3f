"""The reducers that compare outputs with targets, one for each kind of task, and the outcomes that they give.

scoring = scoring_of(task, classes=10, network=capture.network)
Evaluator(capture, list(scoring.evaluation.values()))
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reportgen.core.arrays import SummedLabels
from reportgen.core.examples import leaves
from reportgen.core.network import Network, Role
from reportgen.core.outcome import (
    Classification,
    Dense,
    Kind,
    MultiLabel,
    Outcome,
    Reconstruction,
    Regression,
    Task,
    Tokens,
)
from reportgen.evaluate.arrays import PerExample, Scores
from reportgen.evaluate.columns import Layers
from reportgen.evaluate.evaluator import Examples, Reducer, predicted
from reportgen.evaluate.parts import like_an_input, named_leaves, token_leaf, unmasked
from reportgen.evaluate.reducers import LabelSums, MostProbable, Predictions

TOKENS_KEPT = 1 << 18
"""Tokens whose own losses are kept with each outcome: those of the first evaluation examples."""


@dataclass(frozen=True)
class Scoring:
    """How a task is scored: reducers of the evaluation batch by name, one of the probe's output, the outcome that
    their results make, and the reducer of the most probable classes where there are classes."""

    evaluation: Mapping[str, Reducer] = field(default_factory=dict)
    probe: Reducer | None = None
    outcome: Callable[[Mapping[str, Any]], Outcome | None] = lambda _: None
    ranking: Reducer | None = None


def scoring_of(task: Task, classes: int, network: Network, summed: SummedLabels, *, loss: bool = False) -> Scoring:
    """The scoring of a task with so many classes; of labels alone where nothing is scored.

    Sums by label are of the labels `summed`. `loss` asks for the cross-entropy, where there is a score per class.
    """
    output = functools.partial(_output, task.output)
    likely = _gives_probabilities(network)
    match task.kind:
        case Kind.CLASSIFICATION:
            scores = functools.partial(_class_scores, output, likely)
            sums = LabelSums(classes, summed, scores)
            missed = LabelSums(classes, summed, scores, missed=True)
            reducers: dict[str, Reducer] = {"sums": sums, "missed": missed, "predictions": Predictions(scores)}
            if loss:
                reducers["loss"] = CrossEntropy(scores, likely)
            return Scoring(
                reducers, outcome=functools.partial(_classified, summed), ranking=MostProbable(scores, likely)
            )
        case Kind.MULTILABEL:
            return Scoring(
                {"outcome": PerExampleValues(output, _log_odds if likely else None, MultiLabel)}, outcome=_whole
            )
        case Kind.REGRESSION:
            return Scoring({"outcome": PerExampleValues(output, None, Regression)}, outcome=_whole)
        case Kind.DENSE:
            position = functools.partial(_position_classes, output, likely)
            return Scoring({"counts": PositionCounts(position, max(classes, 2))}, Shown(position), _dense)
        case Kind.TOKENS:
            return Scoring({"outcome": TokenLosses(output, likely)}, outcome=_whole)
        case Kind.RECONSTRUCTION:
            return Scoring({"errors": Errors(output)}, Shown(output), _reconstructed)
    if not classes:
        return Scoring()
    return Scoring({"sums": LabelSums(classes, summed)}, outcome=functools.partial(_classified, summed))


@dataclass(frozen=True)
class Loss:
    """The mean loss of a task: what it is called, its reducer, and the number that its result makes."""

    name: str
    reducer: Reducer
    mean: Callable[[Any], float]


def loss_of(task: Task, network: Network) -> Loss | None:
    """The loss that a network of this task is usually trained with; None for a task without a usual one."""
    output = functools.partial(_output, task.output)
    likely = _gives_probabilities(network)
    match task.kind:
        case Kind.CLASSIFICATION:
            scores = functools.partial(_class_scores, output, likely)
            return Loss("cross-entropy", CrossEntropy(scores, likely), float)
        case Kind.TOKENS:
            return Loss("cross-entropy per token", TokenLosses(output, likely), _token_loss)
        case Kind.REGRESSION:
            return Loss("mean squared error", Errors(functools.partial(_flat, output)), _mean)
        case Kind.RECONSTRUCTION:
            return Loss("mean squared error", Errors(output), _mean)
    return None


def _token_loss(result: Tokens) -> float:
    return float(result.loss_sums.sum() / max(result.counts.sum(), 1))


def _flat(output: Callable[[Any], Any], whole: Any) -> jax.Array:
    found: jax.Array = output(whole)
    return found.reshape(len(found), -1)


def _mean(errors: np.ndarray) -> float:
    return float(errors.mean(dtype=np.float64))


def _output(name: str, output: Any) -> Any:
    return named_leaves(output)[name]


def _whole(results: Mapping[str, Any]) -> Any:
    return results.get("outcome")


def _classified(summed: SummedLabels, results: Mapping[str, Any]) -> Outcome | None:
    if "sums" not in results:
        return None
    predictions, gap = results.get("predictions", (np.zeros(0, np.int64), np.zeros(0, np.float32)))
    sums, counts, inputs = results["sums"]
    missed = results["missed"][0] if "missed" in results else {}
    return Classification(predictions, gap, counts, sums, inputs, summed, results.get("loss"), missed)


def _dense(results: Mapping[str, Any]) -> Outcome | None:
    if "counts" not in results:
        return None
    matrix, right, counted = results["counts"]
    return Dense(matrix, right, counted, results["probe"])


def _reconstructed(results: Mapping[str, Any]) -> Outcome | None:
    return Reconstruction(results["errors"], results["probe"]) if "errors" in results else None


def _class_scores(output: Callable[[Any], Any], likely: bool, whole: Any) -> Scores:
    """[example, class]; of a single number z, the scores 0 and z, or 1 - p and p."""
    scores: jax.Array = output(whole)
    if scores.ndim == 2 and scores.shape[1] > 1:
        return scores
    single = scores.reshape(-1).astype(jnp.float32)
    return jnp.stack([1 - single if likely else jnp.zeros_like(single), single], axis=1)


def _position_classes(output: Callable[[Any], Any], likely: bool, whole: Any) -> jax.Array:
    """[example, *position] int32: the class of each position; -1 where a score is not a number."""
    scores = output(whole).astype(jnp.float32)
    if scores.shape[-1] > 1:
        return jnp.asarray(predicted(scores), jnp.int32)
    single = scores[..., 0]
    return jnp.where(jnp.isnan(single), -1, (single > (0.5 if likely else 0)).astype(jnp.int32))


def _log_odds(probability: jax.Array) -> jax.Array:
    return jnp.log(probability) - jnp.log1p(-probability)


class _PerExample:
    """Merges parts of [example, ...]."""

    def merge(self, total: Any, part: Any, count: int) -> Any:
        return [*(total or []), jax.tree.map(lambda array: np.asarray(array)[:count], part)]


class CrossEntropy(_PerExample):
    """The mean cross-entropy in nats of scores [example, class]; with `likely` they are probabilities."""

    def __init__(self, scores: Callable[[Any], Scores], likely: bool):
        self._scores, self._likely = scores, likely

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        scores = self._scores(output).astype(jnp.float32)
        logs = jnp.log(scores) if self._likely else jax.nn.log_softmax(scores)
        return -jnp.take_along_axis(logs, examples.targets[:, None], axis=1)[:, 0]

    def result(self, total: Any) -> float:
        return float(np.concatenate(total).mean(dtype=np.float64))


class PerExampleValues(_PerExample):
    """The output flattened to [example, value] float32, `changed` where that is given, as a `kind` of outcome."""

    def __init__(
        self,
        output: Callable[[Any], Any],
        changed: Callable[[jax.Array], jax.Array] | None,
        kind: type[Regression] | type[MultiLabel],
    ):
        self._output, self._changed, self._kind = output, changed or (lambda value: value), kind

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        scored = self._output(output)
        return self._changed(scored.reshape(len(scored), -1).astype(jnp.float32))

    def result(self, total: Any) -> Regression | MultiLabel:
        return self._kind(np.concatenate(total))


class Shown(_PerExample):
    """What `output` makes of a batch's output, whole: [example, ...]."""

    def __init__(self, output: Callable[[Any], Any]):
        self._output = output

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        return self._output(output)

    def result(self, total: Any) -> np.ndarray:
        shown: np.ndarray = np.concatenate(total)
        return shown.astype(np.int64) if np.issubdtype(shown.dtype, np.integer) else shown.astype(np.float32)


class PositionCounts:
    """(matrix [class, class], right [example], counted [example]) as in `core.outcome.Dense`."""

    def __init__(self, position: Callable[[Any], jax.Array], classes: int):
        self._position, self._classes = position, classes

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        guess = self._position(output)
        truth = examples.targets.reshape(guess.shape)
        counted = (truth >= 0) & real.reshape(-1, *[1] * (truth.ndim - 1))
        pairs = jnp.where(counted & (guess >= 0), truth * self._classes + guess, self._classes**2)
        matrix = jnp.bincount(pairs.reshape(-1), length=self._classes**2 + 1)[:-1]
        positions = tuple(range(1, truth.ndim))
        return matrix, ((truth == guess) & counted).sum(axis=positions), counted.sum(axis=positions)

    def merge(self, total: Any, part: Any, count: int) -> Any:
        matrix, right, counted = (np.asarray(array, np.int64) for array in part)
        here = (matrix, [right[:count]], [counted[:count]])
        return here if total is None else tuple(a + b for a, b in zip(total, here, strict=True))

    def result(self, total: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        matrix, right, counted = total
        return matrix.reshape(self._classes, self._classes), np.concatenate(right), np.concatenate(counted)


class TokenLosses:
    """`core.outcome.Tokens` of scores [example, time, token].

    Without targets the token at place t is predicted by the output at place t - 1. An input whose name has "mask" in
    it is 0 where there is padding; negative targets are not counted.
    """

    def __init__(self, output: Callable[[Any], Any], likely: bool):
        self._output, self._likely = output, likely

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        scores = self._output(output).astype(jnp.float32)
        targets, counted, scores = _next_tokens(examples, scores)
        logs = jnp.log(scores) if self._likely else jax.nn.log_softmax(scores)
        losses = -jnp.take_along_axis(logs, jnp.where(counted, targets, 0)[..., None], axis=-1)[..., 0]
        return losses, predicted(scores), targets, counted

    def merge(self, total: Any, part: Any, count: int) -> Any:
        losses, best, targets, counted = (np.asarray(array)[:count] for array in part)
        right = (best == targets) & counted
        best = np.where(counted, best, -1)
        sums = np.where(counted, losses, 0).sum(axis=0, dtype=np.float64), counted.sum(axis=0), right.sum(axis=0)
        losses = np.where(counted, losses, np.float32(np.nan))
        if total is None:
            return (*sums, [losses], [best])
        keep = sum(map(np.size, total[3])) < TOKENS_KEPT
        kept = (total[3] + [losses], total[4] + [best]) if keep else total[3:]
        return (*(a + b for a, b in zip(total, sums, strict=False)), *kept)

    def result(self, total: Any) -> Tokens:
        sums, counts, right, losses, best = total
        most = max(1, TOKENS_KEPT // max(len(sums), 1))
        kept = np.concatenate(losses)[:most], np.concatenate(best)[:most].astype(np.int64)
        return Tokens(sums, counts.astype(np.int64), right.astype(np.int64), *kept)


def _next_tokens(examples: Examples, scores: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(targets, which of them count, scores) [example, time, ...], each at the target's place."""
    inputs = leaves(examples.inputs)
    tokens = token_leaf(inputs)
    shape = scores.shape[:2]
    real = unmasked(inputs, shape)
    targets = examples.targets
    if targets is not None and targets.ndim == 2:
        return targets, (targets >= 0) & real, scores
    assert tokens is not None
    placed = jnp.pad(scores[:, :-1], ((0, 0), (1, 0), (0, 0)))
    follows = jnp.pad(real[:, :-1], ((0, 0), (1, 0)))
    return tokens, real & follows & (tokens >= 0), placed


class Errors(_PerExample):
    """[example] float32: the mean squared difference between the output and its target, by default the input."""

    def __init__(self, output: Callable[[Any], Any]):
        self._output = output

    def batch(self, values: Layers, output: Any, examples: Examples, real: PerExample) -> Any:
        scored = self._output(output).astype(jnp.float32)
        targets = examples.targets
        if targets is None or targets.shape != scored.shape:
            targets = like_an_input(leaves(examples.inputs), scored.shape)
        return jnp.square(scored - targets).reshape(len(scored), -1).mean(axis=1)

    def result(self, total: Any) -> np.ndarray:
        return np.concatenate(total).astype(np.float32)


def _gives_probabilities(network: Network) -> bool:
    """Whether the network's output is that of a sigmoid or softmax, reshaping aside."""
    layers = [layer for layer in network.distinct if layer.role is not Role.RESHAPE]
    return bool(layers) and layers[-1].op in ("sigmoid", "softmax")
