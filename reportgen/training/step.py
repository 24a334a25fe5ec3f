"""One update of a classifier, compiled once.

optimizer = optax.adam(1e-3)
update = make_update(model, optimizer)
state, (loss, correct) = update(state, images, labels, key)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

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
