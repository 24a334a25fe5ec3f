"""One update and one evaluation of a classifier, each compiled once.

optimizer = optax.adam(1e-3)
update = make_update(model, optimizer)
state, (loss, correct) = update(state, images, labels, key)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reportgen.capture import forward as capture
from reportgen.errors import ReportgenError
from reportgen.evaluate import predicted
from reportgen.training.forward import forward_of


class State(NamedTuple):
    """The state that an update changes: parameters, other variables (batch statistics), optimizer state, step."""

    params: Any
    others: Any
    optimizer: Any
    step: jax.Array


def make_update(
    model: Any, optimizer: optax.GradientTransformation
) -> Callable[[State, Any, Any, jax.Array], tuple[State, tuple[jax.Array, jax.Array]]]:
    """The jitted update: (state, images, labels, key) -> (state, (mean loss, correct predictions)).

    Softmax cross-entropy on integer labels. Dropout draws from `key` folded with the step.
    """

    forward = forward_of(model)

    @jax.jit
    def update(
        state: State, images: jax.Array, labels: jax.Array, key: jax.Array
    ) -> tuple[State, tuple[jax.Array, jax.Array]]:
        def loss_of(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
            scores, others = forward.train(params, state.others, images, jax.random.fold_in(key, state.step))
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
            return losses.mean(), (_correct(scores, labels), others)

        (loss, (correct, others)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        change, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, change)
        return State(params, dict(others), optimizer_state, state.step + 1), (loss, correct)

    return update


def _correct(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """How many of the images are classified correctly."""
    return jnp.sum(predicted(scores) == labels)


class NoScoresError(ReportgenError):
    """The network's output is no score per class."""


def make_loss(
    model: Any, apply: Callable[[Any, Any, Any], Any] | None = None
) -> Callable[[Any, np.ndarray, np.ndarray], float]:
    """The function (variables, images, labels) -> mean cross-entropy in evaluation, batch by batch.

    `apply` as the recorder takes it. It raises NoScoresError where the output is not [image, class].
    """

    evaluate = forward_of(model).evaluate if apply is None else capture.forward_of(model, apply).plain

    @jax.jit
    def batch_loss(variables: Any, images: jax.Array, labels: jax.Array, count: int) -> jax.Array:
        scores = evaluate(variables, images)
        if getattr(scores, "ndim", 0) != 2 or len(scores) != len(labels):
            raise NoScoresError("the output is no score per class", code="C103")
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return jnp.sum(jnp.where(jnp.arange(len(labels)) < count, losses, 0))

    def loss(variables: Any, images: np.ndarray, labels: np.ndarray, batch: int = 100) -> float:
        sums = []
        for start in range(0, len(images), batch):
            x, y = images[start : start + batch], labels[start : start + batch]
            fill = [(0, batch - len(y))]
            x = np.pad(x, fill + [(0, 0)] * (x.ndim - 1))
            sums.append(batch_loss(variables, x, np.pad(y, fill), len(images[start : start + batch])))
        return float(np.sum([float(value) for value in sums], dtype=np.float64) / len(images))

    return loss
